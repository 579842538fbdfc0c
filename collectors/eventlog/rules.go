package eventlog

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/attesto/attesto/evidence"
)

//go:embed rules/*.yaml
var builtin embed.FS

// Rule is one thing to look for. A message counts when it comes from one of the
// programs, contains one of the literals, and matches one of the patterns whole.
type Rule struct {
	ID       string `yaml:"id"`
	Severity string `yaml:"severity"` // info, low, medium, high, critical
	Title    struct {
		EN string `yaml:"en"`
		IT string `yaml:"it"`
	} `yaml:"title"`
	// Programs are syslog identifiers; "postfix/" stands for all that start so,
	// an empty list for any program.
	Programs []string `yaml:"programs"`
	// Literals are looked for first, all rules' at once; patterns only confirm.
	Literals []string `yaml:"literals"`
	// Patterns are regular expressions (RE2) over the message. Groups named ip
	// and user count networks and are made pseudonyms in samples.
	Patterns []string `yaml:"patterns"`
	// Limit makes the rule a finding when it matched so often in one window; 0: never.
	Limit int64 `yaml:"limit"`
	// After makes the rule a sequence instead: a match of Then from an address
	// that matched After at least Times before.
	After string `yaml:"after"`
	Then  string `yaml:"then"`
	Times int    `yaml:"times"`

	compiled []*regexp.Regexp
}

type ruleFile struct {
	Rules []Rule `yaml:"rules"`
}

// BuiltinRules are the rules that come with the agent.
func BuiltinRules() ([]Rule, error) {
	names, err := fs.Glob(builtin, "rules/*.yaml")
	if err != nil {
		return nil, err
	}
	var out []Rule
	for _, name := range names {
		b, err := builtin.ReadFile(name)
		if err != nil {
			return nil, err
		}
		rules, err := ParseRules(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, rules...)
	}
	return out, uniqueRules(out)
}

// ParseRules reads a YAML file of rules and checks each.
func ParseRules(b []byte) ([]Rule, error) {
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	var f ruleFile
	if err := dec.Decode(&f); err != nil {
		return nil, err
	}
	if len(f.Rules) == 0 {
		return nil, errors.New("no rules in it")
	}
	for i := range f.Rules {
		if err := f.Rules[i].compile(); err != nil {
			return nil, fmt.Errorf("rule %q: %w", f.Rules[i].ID, err)
		}
	}
	return f.Rules, nil
}

var ruleID = regexp.MustCompile(`^[a-z][a-z0-9_]{1,63}$`)

func (r *Rule) compile() error {
	if !ruleID.MatchString(r.ID) {
		return errors.New("id: want 2 to 64 of a-z, 0-9 and _")
	}
	if !slices.Contains([]string{evidence.SeverityInfo, evidence.SeverityLow, evidence.SeverityMedium, evidence.SeverityHigh, evidence.SeverityCritical}, r.Severity) {
		return fmt.Errorf("severity %q: want info, low, medium, high or critical", r.Severity)
	}
	if r.Title.EN == "" || r.Title.IT == "" {
		return errors.New("title: want one in en and one in it")
	}
	if r.After != "" || r.Then != "" {
		if r.After == "" || r.Then == "" || r.Times < 1 || len(r.Patterns) > 0 {
			return errors.New("a sequence needs after, then and times, and no patterns")
		}
		return nil
	}
	if len(r.Literals) == 0 || len(r.Patterns) == 0 {
		return errors.New("want at least one literal and one pattern")
	}
	for _, l := range r.Literals {
		if len(l) < 4 {
			return fmt.Errorf("literal %q: shorter than 4 characters finds too much", l)
		}
	}
	for _, p := range r.Patterns {
		re, err := regexp.Compile(`^(?:` + p + `)$`)
		if err != nil {
			return err
		}
		r.compiled = append(r.compiled, re)
	}
	return nil
}

func uniqueRules(rules []Rule) error {
	seen := map[string]bool{}
	for _, r := range rules {
		if seen[r.ID] {
			return fmt.Errorf("rule %q stands twice", r.ID)
		}
		seen[r.ID] = true
	}
	for _, r := range rules {
		for _, part := range []string{r.After, r.Then} {
			if part != "" && !seen[part] {
				return fmt.Errorf("rule %q rests on rule %q, which is not there", r.ID, part)
			}
		}
	}
	return nil
}

// ruleSetDigest names the rules in force.
func ruleSetDigest(rules []Rule) string {
	h := sha256.New()
	for _, r := range rules {
		fmt.Fprintf(h, "%s\x00%s\x00%s\x00%s\x00%s\x00%d\x00%s\x00%s\x00%d\n", r.ID, r.Severity, strings.Join(r.Programs, ","),
			strings.Join(r.Literals, "\x01"), strings.Join(r.Patterns, "\x01"), r.Limit, r.After, r.Then, r.Times)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (r *Rule) from(program string) bool {
	if len(r.Programs) == 0 {
		return true
	}
	for _, p := range r.Programs {
		if p == program || (strings.HasSuffix(p, "/") && strings.HasPrefix(program, p)) {
			return true
		}
	}
	return false
}
