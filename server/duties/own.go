package duties

import (
	"errors"
	"fmt"
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

// ownFile is an operator's addition to the catalogue. docs/catalogue.md explains it.
type ownFile struct {
	Services   map[string]serviceFile       `yaml:"services"`
	Cadences   map[string]cadenceFile       `yaml:"cadences"`
	Checks     map[string]ownCheck          `yaml:"checks"`
	Duties     []ownDuty                    `yaml:"duties"`
	Workflows  []workflowFile               `yaml:"workflows"`
	Set        map[string]map[string]Params `yaml:"set"`   // parameters of any duty, by duty and part
	Every      map[string]days              `yaml:"every"` // days between two proofs, of a duty whose list names no figure
	NotApplied []notAppliedFile             `yaml:"not_applicable"`
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
	Duty, Who, Why string
	Until          time.Time // a day, not included
}

type notAppliedFile struct {
	Duty  string `yaml:"duty"`
	Who   string `yaml:"who"`
	Why   string `yaml:"why"`
	Until day    `yaml:"until"`
}

// day is a calendar day as files have it.
type day struct{ time.Time }

// UnmarshalYAML reads a day such as 2027-06-30.
func (d *day) UnmarshalYAML(n *yaml.Node) (err error) {
	if d.Time, err = time.Parse(time.DateOnly, n.Value); err != nil {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: “%s” is no day: write it as 2027-06-30", n.Line, n.Value)}}
	}
	return nil
}

// days are a number of days as files have it: whole.
type days int

// UnmarshalYAML reads a whole number.
func (d *days) UnmarshalYAML(n *yaml.Node) error {
	whole, err := strconv.Atoi(n.Value)
	if err != nil || n.Tag != "!!int" {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: a whole number is wanted here, not “%s”", n.Line, n.Value)}}
	}
	*d = days(whole)
	return nil
}

// Load reads the built-in catalogue and an operator's files in a folder, *.yaml by
// name, at a moment. Its error names each fault with file and line; there is no
// catalogue then.
func Load(dir fs.FS, at time.Time) (*Catalogue, error) {
	names, err := fs.Glob(dir, "*.yaml")
	other, bad := fs.Glob(dir, "*.yml")
	if err := errors.Join(err, bad); err != nil {
		return nil, fmt.Errorf("reading the own catalogue: %w", err)
	}
	for _, name := range other {
		return nil, fmt.Errorf("%s: it would not be read: let its name end in .yaml", name)
	}
	files := map[string][]byte{}
	for _, name := range names {
		if files[name], err = fs.ReadFile(dir, name); err != nil {
			return nil, fmt.Errorf("reading the own catalogue: %w", err)
		}
	}
	return With(files, at)
}

// With is the built-in catalogue with an operator's files, by name, at a moment.
func With(files map[string][]byte, at time.Time) (*Catalogue, error) {
	c, err := readBuiltin() // one of its own, to be extended
	if err != nil {
		return nil, err
	}
	var list []own
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(files)) {
		o, faults := parseOwn(name, files[name])
		list, errs = append(list, o), append(errs, faults...)
		c.sum(name, files[name])
	}
	if err := errors.Join(append(errs, c.extend(list, at))...); err != nil {
		return nil, err
	}
	return c, nil
}

// Over lists what own files say of duties that do not apply until a day that has come:
// it has no effect any more, each with file and line.
func (c *Catalogue) Over() []error { return c.over }

// extend adds own files to the catalogue: of all files what others rest on, then what
// rests on it.
func (c *Catalogue) extend(files []own, at time.Time) error {
	var errs []error
	add := func(o own, name string, fault error, path ...any) {
		if err := o.faults(fault, path...); err != nil {
			errs = append(errs, err)
		}
		if fault != nil || o.broken(path...) {
			c.vague[name] = true
		}
	}
	for _, o := range files {
		for _, id := range slices.Sorted(maps.Keys(o.Services)) {
			add(o, "service "+id, under("service "+id, c.addService(id, o.Services[id])), "services", id)
		}
		for _, id := range slices.Sorted(maps.Keys(o.Cadences)) {
			add(o, "cadence "+id, under(fmt.Sprintf("cadence %q", id), c.addCadence(id, o.Cadences[id])), "cadences", id)
		}
		for _, id := range slices.Sorted(maps.Keys(o.Checks)) {
			add(o, "check "+id, under("check "+id, c.addCheck(id, o.Checks[id])), "checks", id)
		}
	}
	for _, o := range files {
		for i, d := range o.Duties {
			add(o, "duty "+d.ID, under("duty "+d.ID, c.addDuty(d)), "duties", i)
		}
	}
	for _, o := range files {
		for i, w := range o.Workflows {
			add(o, "workflow", under("workflow "+w.ID, c.addOwnWorkflow(w)), "workflows", i)
		}
	}
	for _, o := range files {
		for i, d := range o.Duties {
			add(o, "", c.walked(d.ID), "duties", i)
		}
		for _, id := range slices.Sorted(maps.Keys(o.Checks)) {
			add(o, "", c.asked(id), "checks", id)
		}
		for _, id := range slices.Sorted(maps.Keys(o.Every)) {
			add(o, "", c.setEvery(id, int(o.Every[id])), "every", id)
		}
	}
	for _, o := range files {
		for _, id := range slices.Sorted(maps.Keys(o.Set)) {
			add(o, "", c.setParams(id, o.Set[id]), "set", id)
		}
		for i, n := range o.NotApplied {
			past, err := c.take(n, at)
			add(o, "", err, "not_applicable", i)
			if past := o.faults(past, "not_applicable", i); past != nil {
				c.over = append(c.over, past)
			}
		}
	}
	return errors.Join(errs...)
}

func (c *Catalogue) addCadence(id string, f cadenceFile) error {
	if _, there := c.described.Cadences[id]; there {
		return errors.New("it is there already: give it another name")
	}
	var errs []error
	if (Text{f.EN, f.IT}).missing() {
		errs = append(errs, missing("its words are missing in one language: write en: …, it: …"))
	}
	if every, err := time.ParseDuration(f.Every); f.Every != "" && (err != nil || every <= 0) {
		errs = append(errs, under("", fmt.Errorf("every %q: want a duration such as 48h, or none where an event is waited for", f.Every), "every"))
	}
	c.described.Cadences[id] = f
	return errors.Join(errs...)
}

var ownName = regexp.MustCompile(`^[a-z][a-z0-9_]{1,30}$`)

// addCheck adds an own check.
func (c *Catalogue) addCheck(name string, f ownCheck) error {
	if _, there := c.described.Checks[name]; there {
		return errors.New("it is there already: give it another name")
	}
	var errs []error
	if !ownName.MatchString(name) {
		errs = append(errs, errors.New("want a name of small letters, digits and _"))
	}
	errs = append(errs, lacks("title", f.Title), lacks("good", f.Good), lacks("bad", f.Bad), lacks("cure", f.Cure))
	if _, ok := f.Params["fresh"]; !ok {
		if f.Params == nil {
			f.Params = map[string]Param{}
		}
		f.Params["fresh"] = c.described.Checks["software"].Params["fresh"]
	}
	for _, p := range slices.Sorted(maps.Keys(f.Params)) {
		errs = append(errs, under("parameter "+p, f.Params[p].validate(), "params", p))
	}
	if f.Params["fresh"].Unit != UnitHours && f.Params["fresh"].Unit != UnitMinutes {
		errs = append(errs, under("", errors.New("fresh is the oldest look that still proves, in hours or minutes"), "params", "fresh"))
	}
	r, err := newRule(name, f.Rule, f.Kind, f.Params)
	if kind := (kindError{}); errors.As(err, &kind) {
		errs = append(errs, under("", kind.error, "kind"))
	} else {
		errs = append(errs, under("rule", err, "rule"))
	}
	c.checks[name] = check{kind: f.Kind, params: slices.Sorted(maps.Keys(f.Params)), judge: r.judge}
	c.described.Checks[name] = checkFile{f.Title, f.Params}
	for lang, w := range c.words {
		w.Messages[ownKey(name, "good")] = wording{Why: f.Good.In(lang)}
		w.Messages[ownKey(name, "bad")] = wording{Why: f.Bad.In(lang), Cure: f.Cure.In(lang)}
	}
	return errors.Join(errs...)
}

// ownFrom is from which number on duties of a built-in service are the operator's, so
// that a later version never takes one.
const ownFrom = 100

var dutyID = regexp.MustCompile(`^([A-Z]{2})-([PC])([1-9][0-9]{0,3})$`)

func (c *Catalogue) addDuty(f ownDuty) error {
	m := dutyID.FindStringSubmatch(f.ID)
	if m == nil {
		return under("", fmt.Errorf("%q: want an id such as DN-P1: the service's letters, P (provider) or C (customer), a number", f.ID), "id")
	}
	service := strings.ToLower(m[1])
	n, _ := strconv.Atoi(m[3]) // digits, by the pattern
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, under("", fmt.Errorf(format, args...), key))
	}
	switch _, there := c.byID[f.ID]; {
	case c.vague["service "+service]:
		errs = append(errs, errVague)
	case !c.hasService(service):
		bad("id", "there is no service %s: add it under services, or name one of %s", service, strings.Join(c.Services(), ", "))
	case slices.Contains(services[:], service) && n < ownFrom:
		bad("id", "own duties of a built-in service have numbers from %d: call it %s-%s%d", ownFrom, m[1], m[2], ownFrom+n)
	case there:
		bad("id", "stated twice: give it another number")
	}
	d, err := c.duty(service, f.dutyFile)
	errs = append(errs, err)
	d.Own = true
	at := slices.IndexFunc(c.families, func(x Family) bool { return x.ID == f.Family })
	switch {
	case f.Clauses != nil:
		d.Family = *f.Clauses
	case at >= 0:
		d.Family = c.clauses(c.families[at], service)
	case f.Family != "":
		bad("family", "there is no family %s: want one of F1 to F16, or clauses of its own", f.Family)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	c.byID[d.ID] = len(c.duties)
	c.duties = append(c.duties, d)
	return nil
}

func (c *Catalogue) addOwnWorkflow(w workflowFile) error {
	var errs []error
	for i, s := range w.Steps {
		for _, id := range s.Proves {
			if d, ok := c.Duty(id); ok && !d.Own {
				errs = append(errs, under("step "+s.ID, fmt.Errorf("it proves %s, which is built in: own workflows prove own duties", id), "steps", i, "proves"))
			}
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	return c.addWorkflow(w)
}

// asked refuses an own check that no duty asks for.
func (c *Catalogue) asked(check string) error {
	for name := range c.vague {
		if strings.HasPrefix(name, "duty ") || name == "check "+check {
			return nil
		}
	}
	if slices.ContainsFunc(c.duties, func(d Duty) bool { return d.hasCheck(check) }) {
		return nil
	}
	return fmt.Errorf("check %s is used by no duty: name it among the parts of one, as check %s", check, check)
}

// dutyAt finds a duty that files speak of.
func (c *Catalogue) dutyAt(id string) (*Duty, error) {
	if at, ok := c.byID[id]; ok {
		return &c.duties[at], nil
	}
	if c.vague["duty "+id] {
		return nil, errVague
	}
	return nil, noSuch("duty", id, slices.Sorted(maps.Keys(c.byID)))
}

// setParams gives a duty's parameters other defaults, within their range.
func (c *Catalogue) setParams(id string, parts map[string]Params) error {
	d, err := c.dutyAt(id)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		p, err := d.Part(name)
		if err == nil {
			err = under("part "+name+": set", p.override(parts[name]))
		}
		errs = append(errs, under("", err, name))
	}
	return under("duty "+id, errors.Join(errs...))
}

// Part finds a part by name; the error names those that there are.
func (d Duty) Part(name string) (Part, error) {
	var names []string
	for _, p := range d.Parts {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Part{}, fmt.Errorf("there is no part %s: it has %s", name, strings.Join(names, ", "))
}

// setEvery sets how often a duty must be proven whose list says "periodic" only, and
// with it how old what proves it may be: as much older or younger than it was.
func (c *Catalogue) setEvery(id string, days int) error {
	d, err := c.dutyAt(id)
	switch {
	case err != nil:
		return err
	case !d.SetByYou:
		return fmt.Errorf("duty %s: its list says %q, which cannot be changed: every is for duties that are periodic", id, d.Cadence)
	case days < 1 || days > 366:
		return fmt.Errorf("duty %s: every %d days: want 1 to 366", id, days)
	}
	every := time.Duration(days) * 24 * time.Hour
	for _, p := range d.Parts {
		for name, param := range p.Params {
			if !param.Every {
				continue
			}
			param.Default += float64(every-d.Every) / float64(unitLength[param.Unit])
			param.Min, param.Max, param.Bound = min(param.Min, param.Default), param.Default, true
			p.Params[name] = param
		}
	}
	d.Every = every
	d.CadenceText = Text{EN: fmt.Sprintf("periodic, set to %d days", days), IT: fmt.Sprintf("periodica, impostata a %d giorni", days)}
	return nil
}

// maxNotApplied is how far ahead a duty can be taken out: then it is decided anew.
const maxNotApplied = 366 * 24 * time.Hour

// take notes a duty as not applicable; past says that its time is over.
func (c *Catalogue) take(n notAppliedFile, at time.Time) (past, err error) {
	of := "duty " + n.Duty
	_, err = c.dutyAt(n.Duty)
	errs := []error{under("", err, "duty")}
	for _, must := range []struct{ key, text, why string }{{"who", n.Who, "say who decided so"}, {"why", n.Why, "say why"}} {
		if strings.TrimSpace(must.text) == "" {
			errs = append(errs, under(of, missing(must.key+" is missing: "+must.why)))
		}
	}
	switch {
	case n.Until.IsZero():
		errs = append(errs, under(of, missing("until is missing: say until when (until: 2027-06-30)")))
	case n.Until.After(at.Add(maxNotApplied)):
		errs = append(errs, under(of, fmt.Errorf("until %s is more than 366 days ahead: say a day within a year, and decide anew then", n.Until.Format(time.DateOnly)), "until"))
	case !n.Until.After(at):
		past = under(of, fmt.Errorf("until %s has passed, so that it applies again: take the entry out, or decide anew", n.Until.Format(time.DateOnly)), "until")
	}
	c.off = append(c.off, NotApplied{n.Duty, n.Who, n.Why, n.Until.Time})
	return past, errors.Join(errs...)
}

// notApplied is the finding of a duty that the operator has taken out.
func (c *Catalogue) notApplied(d Duty, q Question) (Finding, bool) {
	for _, n := range c.off {
		until := dayStart(n.Until.Year(), n.Until.Month(), n.Until.Day(), q.Zone)
		if n.Duty == d.ID && q.At.Before(until) {
			return Finding{Verdict: NotApplicable, Why: say("not_applied", "who", n.Who, "reason", n.Why, "until", clock(until, q.Zone)), Due: until}, true
		}
	}
	return Finding{}, false
}
