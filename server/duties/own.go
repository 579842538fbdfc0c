package duties

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/attesto/attesto/evidence"
)

// maxOwn bounds an operator's file, in bytes.
const maxOwn = 1 << 20

// ownFile is an operator's addition to the catalogue. docs/catalogue.md explains it.
type ownFile struct {
	Services   map[string]serviceFile       `yaml:"services"`
	Cadences   map[string]cadenceFile       `yaml:"cadences"`
	Checks     map[string]ownCheck          `yaml:"checks"`
	Duties     []ownDuty                    `yaml:"duties"`
	Workflows  []workflowFile               `yaml:"workflows"`
	Set        map[string]map[string]Params `yaml:"set"`   // parameters of any duty, by duty and part
	Every      map[string]int               `yaml:"every"` // days between two proofs, of a duty whose list names no figure
	NotApplied []NotApplied                 `yaml:"not_applicable"`
}

type ownCheck struct {
	Title  Text             `yaml:"title"`
	Kind   evidence.Kind    `yaml:"kind"`
	Rule   string           `yaml:"rule"`
	Params map[string]Param `yaml:"params"`
	Good   Text             `yaml:"good"`
	Bad    Text             `yaml:"bad"`
	Cure   Text             `yaml:"cure"`
}

type ownDuty struct {
	dutyFile `yaml:",inline"`
	Family   string  `yaml:"family"`  // a built-in one, for its clauses
	Clauses  *Family `yaml:"clauses"` // or clauses of its own
}

// NotApplied is a duty that the operator has taken out of the board, with who decided
// so, why, and until when. It stays there, as not applicable.
type NotApplied struct {
	Duty  string    `yaml:"duty"`
	Who   string    `yaml:"who"`
	Why   string    `yaml:"why"`
	Until time.Time `yaml:"until"` // a day, not included
}

// Load reads the built-in catalogue and an operator's files in a folder, *.yaml by
// name. Its error names each fault with file and line; there is no catalogue then.
func Load(dir fs.FS) (*Catalogue, error) {
	names, err := fs.Glob(dir, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("reading the own catalogue: %w", err)
	}
	files := map[string][]byte{}
	for _, name := range names {
		if files[name], err = fs.ReadFile(dir, name); err != nil {
			return nil, fmt.Errorf("reading the own catalogue: %w", err)
		}
	}
	return With(files)
}

// With is the built-in catalogue with an operator's files, by name.
func With(files map[string][]byte) (*Catalogue, error) {
	c, err := Builtin()
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(files)) {
		errs = append(errs, c.extend(name, files[name]))
		c.sum(name, files[name])
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return c, c.unused()
}

// source finds lines in a file.
type source struct {
	name string
	doc  yaml.Node
}

// fault is an error at a place of the file, given by keys and list positions.
func (s source) fault(err error, path ...any) error {
	if err == nil {
		return nil
	}
	line := s.line(path...)
	var in ruleError
	if errors.As(err, &in) {
		line += in.line - 1
		if n := s.node(path...); n != nil && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			line++ // its text begins on the next line
		}
	}
	return fmt.Errorf("%s:%d: %w", s.name, line, err)
}

func (s source) line(path ...any) int {
	for n := len(path); n >= 0; n-- { // what is missing is shown at what lacks it
		if node := s.node(path[:n]...); node != nil {
			return node.Line
		}
	}
	return 1
}

func (s source) node(path ...any) *yaml.Node {
	at := s.doc.Content[0]
	for _, step := range path {
		var next *yaml.Node
		switch step := step.(type) {
		case string:
			for i := 0; at.Kind == yaml.MappingNode && i < len(at.Content); i += 2 { // keys, each before its value
				if at.Content[i].Value == step {
					next = at.Content[i+1]
				}
			}
		case int:
			if at.Kind == yaml.SequenceNode { // not an alias of one
				next = at.Content[step]
			}
		}
		if next == nil {
			return nil
		}
		at = next
	}
	return at
}

var yamlLine = regexp.MustCompile(`line (\d+): (?:field (\S+) not found in type \S+|(.*))`)

// parseOwn reads a file strictly; each fault of its form is named with its line.
func parseOwn(name string, b []byte) (ownFile, source, error) {
	var f ownFile
	s := source{name: name}
	if len(b) > maxOwn {
		return f, s, fmt.Errorf("%s: %d bytes: want at most %d", name, len(b), maxOwn)
	}
	err := yaml.Unmarshal(b, &s.doc)
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err == nil {
		err = dec.Decode(&f)
	}
	if errors.Is(err, io.EOF) { // comments at most
		return f, s, nil
	}
	if err == nil {
		return f, s, s.more(dec)
	}
	var errs []error
	for _, m := range yamlLine.FindAllStringSubmatch(err.Error(), -1) {
		what := m[3]
		if m[2] != "" {
			what = fmt.Sprintf("unknown key %q: see docs/catalogue.md for those that there are", m[2])
		}
		errs = append(errs, fmt.Errorf("%s:%s: %s", name, m[1], what))
	}
	if len(errs) == 0 {
		errs = []error{fmt.Errorf("%s:1: %w", name, err)}
	}
	return f, s, errors.Join(errs...)
}

// more refuses a second document: nobody would read it.
func (s source) more(dec *yaml.Decoder) error {
	var next yaml.Node
	if err := dec.Decode(&next); errors.Is(err, io.EOF) {
		return nil
	}
	return fmt.Errorf("%s:%d: another document begins after a line of ---: write all into one, or into a file of its own", s.name, max(next.Line, 1))
}

// extend adds a file to the catalogue.
func (c *Catalogue) extend(name string, b []byte) error {
	f, s, err := parseOwn(name, b)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(f.Services)) {
		errs = append(errs, s.fault(c.addService(id, f.Services[id]), "services", id))
	}
	for _, id := range slices.Sorted(maps.Keys(f.Cadences)) {
		errs = append(errs, s.fault(c.addCadence(id, f.Cadences[id]), "cadences", id))
	}
	for _, id := range slices.Sorted(maps.Keys(f.Checks)) {
		key, err := c.addCheck(id, f.Checks[id])
		errs = append(errs, s.fault(err, append([]any{"checks", id}, key...)...))
	}
	if err := errors.Join(errs...); err != nil { // duties that use them would only repeat it
		return err
	}
	for i, d := range f.Duties {
		errs = append(errs, s.fault(c.addDuty(d), "duties", i))
	}
	for i, w := range f.Workflows {
		errs = append(errs, s.fault(c.addOwnWorkflow(w), "workflows", i))
	}
	for i, d := range f.Duties {
		errs = append(errs, s.fault(c.walked(d.ID), "duties", i))
	}
	for _, id := range slices.Sorted(maps.Keys(f.Set)) {
		errs = append(errs, s.fault(c.setParams(id, f.Set[id]), "set", id))
	}
	for _, id := range slices.Sorted(maps.Keys(f.Every)) {
		errs = append(errs, s.fault(c.setEvery(id, f.Every[id]), "every", id))
	}
	for i, n := range f.NotApplied {
		errs = append(errs, s.fault(c.take(n), "not_applicable", i))
	}
	return errors.Join(errs...)
}

func (c *Catalogue) addCadence(id string, f cadenceFile) error {
	if _, there := c.described.Cadences[id]; there {
		return fmt.Errorf("cadence %q is there already: give it another name", id)
	}
	if f.EN == "" || f.IT == "" {
		return fmt.Errorf("cadence %q: its words are missing in one language: write en: …, it: …", id)
	}
	if every, err := time.ParseDuration(f.Every); f.Every != "" && (err != nil || every <= 0) {
		return fmt.Errorf("cadence %q: every %q: want a duration such as 48h, or none where an event is waited for", id, f.Every)
	}
	c.described.Cadences[id] = f
	return nil
}

var ownName = regexp.MustCompile(`^[a-z][a-z0-9_]{1,30}$`)

// addCheck adds an own check; on an error it says which key is at fault.
func (c *Catalogue) addCheck(name string, f ownCheck) (key []any, err error) {
	if _, there := c.described.Checks[name]; there {
		return nil, fmt.Errorf("check %s is there already: give it another name", name)
	}
	if !ownName.MatchString(name) {
		return nil, fmt.Errorf("check %q: want a name of small letters, digits and _", name)
	}
	for what, text := range map[string]Text{"title": f.Title, "good": f.Good, "bad": f.Bad, "cure": f.Cure} {
		if text.missing() {
			return []any{what}, fmt.Errorf("check %s: %s is missing in one language: write %s: {en: …, it: …}", name, what, what)
		}
	}
	if _, ok := f.Params["fresh"]; !ok {
		if f.Params == nil {
			f.Params = map[string]Param{}
		}
		f.Params["fresh"] = c.described.Checks["software"].Params["fresh"]
	}
	for _, p := range slices.Sorted(maps.Keys(f.Params)) {
		if err := f.Params[p].validate(); err != nil {
			return []any{"params", p}, fmt.Errorf("check %s: parameter %s: %w", name, p, err)
		}
	}
	if f.Params["fresh"].Unit != UnitHours && f.Params["fresh"].Unit != UnitMinutes {
		return []any{"params", "fresh"}, fmt.Errorf("check %s: fresh is the oldest look that still proves, in hours or minutes", name)
	}
	r, err := newRule(name, f.Rule, f.Kind, f.Params)
	if err != nil {
		return []any{"rule"}, fmt.Errorf("check %s: rule: %w", name, err)
	}
	c.checks[name] = check{kind: f.Kind, params: slices.Sorted(maps.Keys(f.Params)), judge: r.judge}
	c.described.Checks[name] = checkFile{f.Title, f.Params}
	for lang, w := range c.words {
		w.Messages[ownKey(name, "good")] = wording{Why: f.Good.In(lang)}
		w.Messages[ownKey(name, "bad")] = wording{Why: f.Bad.In(lang), Cure: f.Cure.In(lang)}
	}
	return nil, nil
}

// ownFrom is from which number on duties of a built-in service are the operator's, so
// that a later version never takes one.
const ownFrom = 100

var dutyID = regexp.MustCompile(`^([A-Z]{2})-([PC])([1-9][0-9]{0,3})$`)

func (c *Catalogue) addDuty(f ownDuty) error {
	m := dutyID.FindStringSubmatch(f.ID)
	if m == nil {
		return fmt.Errorf("duty %q: want an id such as DN-P1: the service's letters, P (provider) or C (customer), a number", f.ID)
	}
	service := strings.ToLower(m[1])
	n, _ := strconv.Atoi(m[3]) // digits, by the pattern
	switch _, there := c.byID[f.ID]; {
	case !c.hasService(service):
		return fmt.Errorf("duty %s: there is no service %s: add it under services", f.ID, service)
	case slices.Contains(services[:], service) && n < ownFrom:
		return fmt.Errorf("duty %s: own duties of a built-in service have numbers from %d: call it %s-%s%d", f.ID, ownFrom, m[1], m[2], ownFrom+n)
	case there:
		return fmt.Errorf("duty %s stated twice", f.ID)
	}
	d, err := c.duty(service, f.dutyFile)
	if err != nil {
		return fmt.Errorf("duty %s: %w", f.ID, err)
	}
	d.Own = true
	at := slices.IndexFunc(c.families, func(x Family) bool { return x.ID == f.Family })
	switch {
	case f.Clauses != nil:
		d.Family = *f.Clauses
	case at >= 0:
		d.Family = c.families[at]
	case f.Family != "":
		return fmt.Errorf("duty %s: there is no family %s: want one of F1 to F16, or clauses of its own", f.ID, f.Family)
	}
	c.byID[d.ID] = len(c.duties)
	c.duties = append(c.duties, d)
	return nil
}

func (c *Catalogue) addOwnWorkflow(w workflowFile) error {
	for _, s := range w.Steps {
		for _, id := range s.Proves {
			if d, ok := c.Duty(id); ok && !d.Own {
				return fmt.Errorf("workflow %s: step %s proves %s, which is built in: own workflows prove own duties", w.ID, s.ID, id)
			}
		}
	}
	return c.addWorkflow(w)
}

// setParams gives a duty's parameters other defaults, within their range.
func (c *Catalogue) setParams(id string, parts map[string]Params) error {
	at, ok := c.byID[id]
	if !ok {
		return fmt.Errorf("there is no duty %s", id)
	}
	for name, set := range parts {
		i := slices.IndexFunc(c.duties[at].Parts, func(p Part) bool { return p.Name == name })
		if i < 0 {
			return fmt.Errorf("duty %s has no part %s: see attesto-server catalogue list", id, name)
		}
		if err := c.duties[at].Parts[i].override(set); err != nil {
			return fmt.Errorf("duty %s: part %s: %w", id, name, err)
		}
	}
	return nil
}

// setEvery sets how often a duty must be proven whose list says "periodic" only.
func (c *Catalogue) setEvery(id string, days int) error {
	at, ok := c.byID[id]
	if !ok {
		return fmt.Errorf("there is no duty %s", id)
	}
	d := &c.duties[at]
	if !d.SetByYou {
		return fmt.Errorf("duty %s: its list says %q, which cannot be changed", id, d.Cadence)
	}
	if days < 1 || days > 366 {
		return fmt.Errorf("duty %s: every %d days: want 1 to 366", id, days)
	}
	d.Every = time.Duration(days) * 24 * time.Hour
	d.CadenceText = Text{EN: fmt.Sprintf("periodic, set to %d days", days), IT: fmt.Sprintf("periodica, impostata a %d giorni", days)}
	return nil
}

// take notes a duty as not applicable.
func (c *Catalogue) take(n NotApplied) error {
	if _, ok := c.byID[n.Duty]; !ok {
		return fmt.Errorf("there is no duty %s", n.Duty)
	}
	if strings.TrimSpace(n.Who) == "" || strings.TrimSpace(n.Why) == "" || n.Until.IsZero() {
		return fmt.Errorf("duty %s: say who decided so, why, and until when (until: 2027-06-30)", n.Duty)
	}
	c.off = append(c.off, n)
	return nil
}

// notApplied is the finding of a duty that the operator has taken out.
func (c *Catalogue) notApplied(d Duty, q Question) (Finding, bool) {
	for _, n := range c.off {
		until := time.Date(n.Until.Year(), n.Until.Month(), n.Until.Day(), 0, 0, 0, 0, q.Zone)
		if n.Duty == d.ID && q.At.Before(until) {
			return Finding{Verdict: NotApplicable, Why: say("not_applied", "who", n.Who, "reason", n.Why, "until", clock(until, q.Zone)), Due: until}, true
		}
	}
	return Finding{}, false
}
