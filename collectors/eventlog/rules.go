package eventlog

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

//go:embed rules/*.yaml
var builtin embed.FS

const (
	maxRules      = 1000
	defaultWithin = time.Hour
	maxWithin     = 24 * time.Hour
)

// Rule is one thing to look for. A message counts when it comes from one of the
// programs, contains one of the literals, matches one of the patterns whole and
// none of the exceptions.
type Rule struct {
	ID       string `yaml:"id"`
	Severity string `yaml:"severity"` // info, low, medium, high, critical
	Title    struct {
		EN string `yaml:"en"`
		IT string `yaml:"it"`
	} `yaml:"title"`
	// Families are the services whose duties the rule speaks to: SC, WH, PE, BK or
	// an operator's own. None means all.
	Families []string `yaml:"families"`
	// Programs are syslog identifiers; "postfix*" stands for all that start so, an
	// empty list for any program.
	Programs []string `yaml:"programs"`
	// Literals are looked for first, all rules' at once; patterns only confirm.
	Literals []string `yaml:"literals"`
	// Patterns are regular expressions (RE2) over the whole message. {IP} stands for
	// an address, {HOST} for an address or name, {USER} for a name that may hold
	// anything. Groups named ip count sources; those named user, user2 … become
	// pseudonyms in samples.
	Patterns []string `yaml:"patterns"`
	// Except are patterns of messages that look the same and are none.
	Except []string `yaml:"except"`
	// Limit makes the rule a finding when it matched so often within Within (an hour
	// if not said); 0: never. Per "address" counts each source by itself.
	Limit  int64         `yaml:"limit"`
	Within time.Duration `yaml:"within"`
	Per    string        `yaml:"per"`
	// Loss marks messages that say that the log itself is incomplete.
	Loss bool `yaml:"loss"`
	// After makes the rule a sequence instead: a match of Then from an address
	// that matched After at least Times within Within before.
	After string `yaml:"after"`
	Then  string `yaml:"then"`
	Times int64  `yaml:"times"`

	compiled bool
	patterns []*regexp.Regexp
	except   []*regexp.Regexp
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
		rules, err := parseRules(b, (*Rule).check)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, rules...)
	}
	return out, checkTogether(out)
}

// ParseRules reads a YAML file of rules and checks each by itself. Whether a
// sequence's parts are there is checked when all files are together.
func ParseRules(b []byte) ([]Rule, error) {
	return parseRules(b, func(r *Rule) error {
		if err := r.check(); err != nil {
			return err
		}
		return r.compile()
	})
}

func parseRules(b []byte, check func(*Rule) error) ([]Rule, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(b, &root); err != nil {
		return nil, err
	}
	if err := host.CheckKeys(&root); err != nil {
		return nil, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	var f ruleFile
	if err := dec.Decode(&f); err != nil {
		return nil, err
	}
	if len(f.Rules) == 0 || len(f.Rules) > maxRules {
		return nil, fmt.Errorf("%d rules in it, want 1 to %d under the key rules", len(f.Rules), maxRules)
	}
	for i := range f.Rules {
		if err := check(&f.Rules[i]); err != nil {
			return nil, fmt.Errorf("line %d: rule %q: %w", lineOf(root, i), f.Rules[i].ID, err)
		}
	}
	return f.Rules, nil
}

// lineOf finds the line where the rule of that index begins, 0 if there is no telling.
func lineOf(root yaml.Node, index int) int {
	if len(root.Content) == 0 {
		return 0
	}
	for i, n := range root.Content[0].Content {
		if i%2 == 1 && n.Kind == yaml.SequenceNode && index < len(n.Content) {
			return n.Content[index].Line
		}
	}
	return 0
}

var (
	ruleID     = regexp.MustCompile(`^[a-z][a-z0-9_]{1,63}$`)
	ruleFamily = regexp.MustCompile(`^[A-Z][A-Z0-9]{1,7}$`)
	severities = []string{evidence.SeverityInfo, evidence.SeverityLow, evidence.SeverityMedium, evidence.SeverityHigh, evidence.SeverityCritical}
	address    = `(?P<ip>[0-9A-Fa-f:.]{2,45})(?:%[\w.-]+)?`
	address2   = `(?P<ip>[0-9A-Fa-f.]{2,45}|[0-9A-Fa-f:]{2,45})(?:%[\w.-]+)?`
	shorthands = strings.NewReplacer(
		"{IP}", address,
		"{HOST}", `(?P<ip>[\w.:%-]+)`,
		"{USER}", `(?P<user>.*)`,
		// Lines of web servers up to the request, up to the message, and behind it.
		"{ACCESS}", `(?:[^\s"]+ )?`+address+` \S+ (?P<user>.*?) \[[^\]]{15,35}\] `,
		"{TARGET}", `[^" ]*`,
		"{STATUS}", `(?: HTTP/[\d.]+)?" `,
		"{APACHE}", `(?:\[[\w.:-]+\] )?(?:\[pid [^\]]*\] )?(?:\(\d+\)[^:\[]*: )?\[(?:client|remote) (?:\[`+address+`\]|`+address2+`)(?::\d+)?\] (?:\[client [^\]]*\] )?(?:AH\d+: )?`,
		"{NGINX}", `\[\w+\] \d+#\d+: (?:\*\d+ )?`,
		"{CLIENT}", `, client: `+address+`, server: [^,]*(?:, \w+: "[^"]*")*\s*`)
)

func (r *Rule) check() error {
	if !ruleID.MatchString(r.ID) {
		return errors.New("id: want 2 to 64 of a-z, 0-9 and _")
	}
	if !slices.Contains(severities, r.Severity) {
		return fmt.Errorf("severity %q: want %s", r.Severity, strings.Join(severities, ", "))
	}
	if r.Title.EN == "" || r.Title.IT == "" {
		return errors.New("title: want one in en and one in it")
	}
	for _, f := range r.Families {
		if !ruleFamily.MatchString(f) {
			return fmt.Errorf("family %q: want a service such as SC", f)
		}
	}
	if r.Within == 0 {
		r.Within = defaultWithin
	}
	if r.Limit < 0 || r.Within < time.Second || r.Within > maxWithin || (r.Per != "" && r.Per != "address") {
		return fmt.Errorf("limit %d, within %s, per %q: want 0 or more, 1s to %s, and nothing or address", r.Limit, r.Within, r.Per, maxWithin)
	}
	if r.After != "" || r.Then != "" || r.Times != 0 {
		return r.checkSequence()
	}
	return r.checkPatterns()
}

func (r *Rule) checkSequence() error {
	if r.After == "" || r.Then == "" || r.Times < 1 || len(r.Patterns)+len(r.Literals)+len(r.Except)+len(r.Programs) > 0 || r.Loss {
		return errors.New("a sequence needs after, then and times, and no programs, literals or patterns")
	}
	return nil
}

func (r *Rule) checkPatterns() error {
	if len(r.Literals) == 0 || len(r.Patterns) == 0 {
		return errors.New("want at least one literal and one pattern")
	}
	for _, l := range r.Literals {
		if len(l) < 4 || len(l) > 200 {
			return fmt.Errorf("literal %q: want 4 to 200 characters; a shorter one finds too much", l)
		}
	}
	return nil
}

// compile makes the patterns ready. Of the built-in rules, which a test compiles, that
// is left until a literal was found: most looks need few of them.
func (r *Rule) compile() (err error) {
	if r.compiled {
		return nil
	}
	if r.patterns, err = compileAll(r.Patterns); err != nil {
		return err
	}
	r.except, err = compileAll(r.Except)
	r.compiled = err == nil
	return err
}

func compileAll(patterns []string) ([]*regexp.Regexp, error) {
	var out []*regexp.Regexp
	for _, p := range patterns {
		re, err := regexp.Compile(`^(?s:` + shorthands.Replace(p) + `)$`)
		if err != nil {
			return nil, err
		}
		out = append(out, re)
	}
	return out, nil
}

// checkTogether checks what only shows when all files are together.
func checkTogether(rules []Rule) error {
	if len(rules) > maxRules {
		return fmt.Errorf("%d rules, want at most %d", len(rules), maxRules)
	}
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

// ruleSetDigest names the rules in force: SHA-256 over all that they say.
func ruleSetDigest(rules []Rule) (string, error) {
	b, err := json.Marshal(rules)
	if err != nil {
		return "", fmt.Errorf("naming the rule set: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

func (r *Rule) from(program string) bool {
	if len(r.Programs) == 0 {
		return true
	}
	for _, p := range r.Programs {
		if prefix, ok := strings.CutSuffix(p, "*"); p == program || ok && strings.HasPrefix(program, prefix) {
			return true
		}
	}
	return false
}
