package duties

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/attesto/attesto/evidence"
)

//go:embed catalogue/*.yaml
var builtin embed.FS

// services are the services in the order of the board, with the file of each.
var services = [...]string{"sc", "wh", "pe", "bk"}

// Catalogue is the list of duties with their texts.
type Catalogue struct {
	checks    map[string]check
	described checksFile
	off       []NotApplied
	over      []error         // of off, whose time has passed
	vague     map[string]bool // what own files state with a fault
	services  []Service
	duties    []Duty
	workflows []Workflow
	families  []Family
	general   []Family // whose clauses stand with those of others
	digest    evidence.Digest
	byID      map[string]int
	words     map[string]wordings
	builtin   Releases
	releases  *atomic.Pointer[Releases]
}

type dutyFile struct {
	ID           string                      `yaml:"id"`
	Title        Text                        `yaml:"title"`
	Cadence      string                      `yaml:"cadence"`
	Parts        []string                    `yaml:"parts"`
	Any          bool                        `yaml:"any"`
	Acknowledged bool                        `yaml:"acknowledged"` // a failure wants a later review, or somebody who takes its alert on
	Attested     bool                        `yaml:"attested"`     // what no host can show is left to the attestation
	Asked        [][]string                  `yaml:"asked"`        // protocols of endpoints, one of each set
	Set          map[string]Params           `yaml:"set"`          // other defaults, by part
	Bounds       map[string]map[string]bound `yaml:"bounds"`       // what the duty leaves open, by part and parameter
}

// bound is how far a duty lets a figure be set.
type bound struct {
	Min *float64 `yaml:"min"`
	Max *float64 `yaml:"max"`
}

type checksFile struct {
	Services map[string]serviceFile       `yaml:"services"`
	Proofs   map[string]proofFile         `yaml:"proofs"`
	Cadences map[string]cadenceFile       `yaml:"cadences"`
	Most     map[string]map[string]string `yaml:"most"` // by cadence: the largest that a time of the list's duties may be set to
	Checks   map[string]checkFile         `yaml:"checks"`
}

type proofFile struct {
	Title  Text             `yaml:"title"`
	Params map[string]Param `yaml:"params"`
}

type cadenceFile struct {
	Every string `yaml:"every"`
	EN    string `yaml:"en"`
	IT    string `yaml:"it"`
}

type checkFile struct {
	Title  Text             `yaml:"title"`
	Params map[string]Param `yaml:"params"`
}

// Builtin is the catalogue that is built in, read and validated once: each caller has
// releases of its own, which Renew changes, and shares the rest, which nothing does.
func Builtin() (*Catalogue, error) {
	c, err := readOnce()
	if err != nil {
		return nil, err
	}
	own := *c
	own.releases = &atomic.Pointer[Releases]{}
	own.releases.Store(&own.builtin)
	return &own, nil
}

var readOnce = sync.OnceValues(readBuiltin)

func readBuiltin() (*Catalogue, error) {
	dir, err := fs.Sub(builtin, "catalogue")
	if err != nil {
		return nil, fmt.Errorf("reading the catalogue: %w", err)
	}
	return Read(dir)
}

// Read reads and validates a catalogue from a folder. Its error names file, duty
// and what is wrong.
func Read(dir fs.FS) (*Catalogue, error) {
	c := &Catalogue{checks: maps.Clone(checks), byID: map[string]int{}, words: map[string]wordings{}, vague: map[string]bool{}}
	if err := c.digestOf(dir); err != nil {
		return nil, err
	}
	if err := readYAML(dir, "checks.yaml", &c.described); err != nil {
		return nil, err
	}
	if err := c.described.validate(); err != nil {
		return nil, fmt.Errorf("checks.yaml: %w", err)
	}
	for _, service := range services {
		name := service + ".yaml"
		if err := c.addService(service, c.described.Services[service]); err != nil {
			return nil, fmt.Errorf("checks.yaml: service %s: %w", service, err)
		}
		var list []dutyFile
		if err := readYAML(dir, name, &list); err != nil {
			return nil, err
		}
		for _, d := range list {
			duty, err := c.duty(service, d)
			if err == nil {
				err = duty.hold(c.described.Most[d.Cadence])
			}
			if err != nil {
				return nil, fmt.Errorf("%s: duty %s: %w", name, d.ID, err)
			}
			if _, twice := c.byID[d.ID]; twice {
				return nil, fmt.Errorf("%s: duty %s stated twice", name, d.ID)
			}
			c.byID[d.ID] = len(c.duties)
			c.duties = append(c.duties, duty)
		}
	}
	if err := c.readFamilies(dir); err != nil {
		return nil, fmt.Errorf("families.yaml: %w", err)
	}
	if err := c.readWorkflows(dir); err != nil {
		return nil, fmt.Errorf("workflows.yaml: %w", err)
	}
	if err := c.readWords(dir); err != nil {
		return nil, err
	}
	var err error
	if c.builtin, err = readReleases(dir); err != nil {
		return nil, err
	}
	c.releases = &atomic.Pointer[Releases]{}
	c.releases.Store(&c.builtin)
	return c, c.unused()
}

// digestOf sums up the files of a folder.
func (c *Catalogue) digestOf(dir fs.FS) error {
	names, err := fs.Glob(dir, "*.yaml")
	if err != nil {
		return fmt.Errorf("reading the catalogue: %w", err)
	}
	for _, name := range names {
		b, err := fs.ReadFile(dir, name)
		if err != nil {
			return fmt.Errorf("reading the catalogue: %w", err)
		}
		c.sum(name, b)
	}
	return nil
}

// sum adds a file to the catalogue's digest.
func (c *Catalogue) sum(name string, content []byte) {
	d := evidence.Sum(content)
	c.digest = evidence.Sum(append(append(c.digest[:], name...), d[:]...))
}

// Digest changes with every file of the catalogue, the operator's own included: two
// catalogues with one digest, read by one version of the program, judge alike.
func (c *Catalogue) Digest() evidence.Digest { return c.digest }

func readYAML(dir fs.FS, name string, to any) error {
	b, err := fs.ReadFile(dir, name)
	if err != nil {
		return fmt.Errorf("reading the catalogue: %w", err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(to); err != nil {
		return fmt.Errorf("reading the catalogue: %s: %w", name, err)
	}
	return nil
}

func (f checksFile) validate() error {
	for name := range checks {
		if _, ok := f.Checks[name]; !ok {
			return fmt.Errorf("check %s is built in but not described", name)
		}
	}
	for name, c := range f.Checks {
		if err := lacks("title", c.Title); err != nil {
			return fmt.Errorf("check %s: %w", name, err)
		}
		if err := validateParams(c.Params, checks[name].params); err != nil {
			return fmt.Errorf("check %s: %w", name, err)
		}
	}
	for _, name := range []string{ProofReview, ProofWorkflow, ProofAttestation} {
		p := f.Proofs[name]
		if err := lacks("title", p.Title); err != nil {
			return fmt.Errorf("proof %s: %w", name, err)
		}
		var want []string
		switch name {
		case ProofReview:
			want = reviewParams
		case ProofAttestation:
			want = attestationParams
		}
		if err := validateParams(p.Params, want); err != nil {
			return fmt.Errorf("proof %s: %w", name, err)
		}
	}
	return nil
}

// validateParams holds the described parameters to those that the code reads.
func validateParams(have map[string]Param, want []string) error {
	names := slices.Sorted(maps.Keys(have))
	if !slices.Equal(names, slices.Sorted(slices.Values(want))) {
		return fmt.Errorf("parameters %v, the code reads %v", names, want)
	}
	for name, p := range have {
		if err := p.validate(); err != nil {
			return fmt.Errorf("parameter %s: %w", name, err)
		}
	}
	return nil
}

func (c *Catalogue) duty(service string, d dutyFile) (Duty, error) {
	out := Duty{ID: d.ID, Service: service, Title: d.Title, Cadence: d.Cadence, Any: d.Any, Acknowledged: d.Acknowledged, Attested: d.Attested, SetByYou: strings.HasPrefix(d.Cadence, "periodic")}
	errs := []error{lacks("title", d.Title)}
	bad := func(err error, path ...any) { errs = append(errs, under("", err, path...)) }
	prefix := strings.ToUpper(service) + "-"
	switch {
	case strings.HasPrefix(d.ID, prefix+"P"):
		out.Party = Provider
	case strings.HasPrefix(d.ID, prefix+"C"):
		out.Party = Customer
	default:
		bad(fmt.Errorf("an id of this file starts with %sP or %sC", prefix, prefix), "id")
	}
	var err error
	out.CadenceText, out.Every, err = c.cadence(d.Cadence)
	bad(err, "cadence")
	if len(d.Parts) == 0 {
		bad(missing("no parts: say how it is proven (check NAME, review, workflow or attestation)"), "parts")
	}
	for i, text := range d.Parts {
		p, err := c.part(text)
		if err == nil && slices.ContainsFunc(out.Parts, func(q Part) bool { return q.Name == p.Name }) {
			err = fmt.Errorf("part %s stated twice", p.Name)
		}
		if bad(err, "parts", i); err == nil || errors.Is(err, errVague) {
			out.Parts = append(out.Parts, p)
		}
	}
	if p, err := out.Part(ProofAttestation); err == nil && !out.byRestore() {
		delete(p.Params, "cosigned") // of restore tests, which prove nothing here
	}
	for _, name := range slices.Sorted(maps.Keys(d.Set)) {
		p, err := out.Part(name)
		if err == nil {
			err = under("part "+name, p.override(d.Set[name]))
		}
		bad(under("set", err), "set", name)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Bounds)) {
		p, err := out.Part(name)
		if err == nil {
			err = under("part "+name, p.bind(d.Bounds[name]))
		}
		bad(under("bounds", err), "bounds", name)
	}
	if out.Acknowledged && !out.Has(ProofReview) {
		return out, errors.New("acknowledged: it has no part review")
	}
	if out.Attested && (!out.Has(ProofAttestation) || !out.Has(ProofCheck) || out.Any) {
		return out, errors.New("attested: it wants a check and an attestation, and both")
	}
	if out.Asked = d.Asked; len(d.Asked) > 0 && !out.hasCheck("endpoints") {
		bad(errors.New("asked: it wants the part check endpoints"), "asked")
	}
	for i, protos := range d.Asked {
		for _, proto := range protos {
			if !slices.Contains(evidence.Protos(), proto) {
				bad(under("asked", noSuch("protocol", proto, evidence.Protos())), "asked", i)
			}
		}
	}
	return out, errors.Join(errs...)
}

// cadence is a rhythm by name.
func (c *Catalogue) cadence(name string) (words Text, every time.Duration, err error) {
	f, ok := c.described.Cadences[name]
	switch {
	case name == "":
		return words, 0, missing("cadence is missing: say how often, such as daily")
	case c.vague["cadence "+name]:
		return words, 0, errVague
	case !ok:
		return words, 0, noSuch("cadence", name, slices.Sorted(maps.Keys(c.described.Cadences)))
	}
	words = Text{EN: f.EN, IT: f.IT}
	if words.missing() {
		return words, 0, fmt.Errorf("cadence %q is not described in both languages", name)
	}
	if f.Every != "" {
		if every, err = time.ParseDuration(f.Every); err != nil {
			return words, 0, fmt.Errorf("cadence %q: %w", name, err)
		}
	}
	return words, every, nil
}

// hold keeps the times of a duty within the most that its cadence leaves open.
func (d Duty) hold(most map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(most)) {
		limit, err := time.ParseDuration(most[name])
		if err != nil {
			return fmt.Errorf("most: %s: %w", name, err)
		}
		for _, p := range d.Parts {
			param := p.Params[name]
			if time.Duration(param.Max)*unitLength[param.Unit] <= limit { // or no time at all
				continue
			}
			most := float64(limit) / float64(unitLength[param.Unit])
			if err := p.bind(map[string]bound{name: {Max: &most}}); err != nil {
				return fmt.Errorf("part %s: %w", p.Name, err)
			}
		}
	}
	return nil
}

func (c *Catalogue) part(text string) (Part, error) {
	if name, ok := strings.CutPrefix(text, ProofCheck+" "); ok {
		described, ok := c.described.Checks[name]
		switch {
		case c.vague["check "+name]:
			return Part{Name: name, Proof: ProofCheck, Check: name, Params: maps.Clone(described.Params)}, errVague
		case !ok:
			return Part{}, noSuch("check", name, slices.Sorted(maps.Keys(c.described.Checks)))
		}
		code, judged := c.checks[name]
		p := Part{Name: name, Proof: ProofCheck, Check: name, Title: described.Title, Params: maps.Clone(described.Params), Judged: judged}
		if judged {
			p.Kinds = []evidence.Kind{code.kind}
		}
		return p, nil
	}
	proof, ok := c.described.Proofs[text]
	if !ok {
		return Part{}, fmt.Errorf("part %q: want \"check NAME\", review, workflow or attestation", text)
	}
	return Part{Name: text, Proof: text, Title: proof.Title, Params: maps.Clone(proof.Params), Judged: true}, nil
}

// override gives parameters the defaults that a duty names.
func (p Part) override(set Params) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(set)) {
		param, err := p.Param(name)
		if err == nil {
			err = under(name, param.Allows(set[name]))
		}
		if err != nil {
			errs = append(errs, under("", err, name))
			continue
		}
		param.Default = set[name]
		p.Params[name] = param
	}
	return errors.Join(errs...)
}

// bind narrows what parameters may be set to.
func (p Part) bind(bounds map[string]bound) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(bounds)) {
		param, err := p.Param(name)
		if b := bounds[name].Min; b != nil {
			param.Min = *b
		}
		if b := bounds[name].Max; b != nil {
			param.Max = *b
		}
		if param.Bound = true; err == nil {
			err = under(name+": the default", param.Allows(param.Default))
		}
		if err != nil {
			errs = append(errs, under("", err, name))
			continue
		}
		p.Params[name] = param
	}
	return errors.Join(errs...)
}

// Param finds a parameter by name; the error names those that there are.
func (p Part) Param(name string) (Param, error) {
	param, ok := p.Params[name]
	if !ok {
		return param, noSuch("parameter", name, slices.Sorted(maps.Keys(p.Params)))
	}
	return param, nil
}

// readFamilies gives each duty its family: every duty has exactly one.
func (c *Catalogue) readFamilies(dir fs.FS) error {
	if err := readYAML(dir, "families.yaml", &c.families); err != nil {
		return err
	}
	for _, f := range c.families {
		if f.ID == "" || f.Title.missing() {
			return fmt.Errorf("family %q: id or title is missing", f.ID)
		}
		if f.general() {
			c.general = append(c.general, f)
		}
		for _, id := range f.Duties {
			at, ok := c.byID[id]
			if !ok {
				return fmt.Errorf("family %s: duty %s does not exist", f.ID, id)
			}
			if have := c.duties[at].Family.ID; have != "" {
				return fmt.Errorf("duty %s is in families %s and %s", id, have, f.ID)
			}
			c.duties[at].Family = f
		}
	}
	c.families = slices.DeleteFunc(c.families, Family.general)
	for i, d := range c.duties {
		if d.Family.ID == "" {
			return fmt.Errorf("duty %s is in no family", d.ID)
		}
		c.duties[i].Family = c.clauses(d.Family, d.Service)
	}
	return nil
}

// general reports whether a family's clauses stand with those of others.
func (f Family) general() bool { return f.All || len(f.Services) > 0 }

// clauses are a family's, with those that stand with every duty of a service.
func (c *Catalogue) clauses(f Family, service string) Family {
	for _, g := range c.general {
		if !g.All && !slices.Contains(g.Services, service) {
			continue
		}
		for _, x := range []struct {
			to   *[]string
			more []string
		}{{&f.GDPR, g.GDPR}, {&f.NIS2, g.NIS2}, {&f.Dlgs138, g.Dlgs138}, {&f.ISO27001, g.ISO27001}, {&f.AgID, g.AgID}, {&f.Codes, g.Codes}} {
			for _, clause := range x.more {
				if !slices.Contains(*x.to, clause) {
					*x.to = append(slices.Clone(*x.to), clause)
				}
			}
		}
	}
	return f
}

func (c *Catalogue) readWords(dir fs.FS) error {
	for _, lang := range []string{English, Italian} {
		var w wordings
		if err := readYAML(dir, "messages."+lang+".yaml", &w); err != nil {
			return err
		}
		c.words[lang] = w
	}
	en, it := c.words[English], c.words[Italian]
	if a, b := slices.Sorted(maps.Keys(en.Messages)), slices.Sorted(maps.Keys(it.Messages)); !slices.Equal(a, b) {
		return fmt.Errorf("messages: the languages differ: en %v, it %v", a, b)
	}
	for key, w := range en.Messages {
		if a, b := placeholders(w), placeholders(it.Messages[key]); !slices.Equal(a, b) {
			return fmt.Errorf("message %s: arguments %v in en, %v in it", key, a, b)
		}
	}
	if a, b := slices.Sorted(maps.Keys(en.Codes)), slices.Sorted(maps.Keys(it.Codes)); !slices.Equal(a, b) {
		return fmt.Errorf("codes: the languages differ: en %v, it %v", a, b)
	}
	for _, w := range c.workflows {
		for _, s := range w.Steps {
			en.Codes[w.ID+"."+s.ID], it.Codes[w.ID+"."+s.ID] = s.Title.EN, s.Title.IT
		}
	}
	return nil
}

var placeholder = regexp.MustCompile(`\{[a-z_]+\}`)

func placeholders(w wording) []string {
	list := placeholder.FindAllString(w.Why+w.Cure, -1)
	slices.Sort(list)
	return slices.Compact(list)
}

// unused refuses a check that no duty asks for.
func (c *Catalogue) unused() error {
	used := map[string]bool{}
	for _, d := range c.duties {
		for _, p := range d.Parts {
			used[p.Check] = true
		}
	}
	for name := range c.described.Checks {
		if !used[name] {
			return fmt.Errorf("check %s is used by no duty", name)
		}
	}
	return nil
}

// Duties lists all duties in the order of the list.
func (c *Catalogue) Duties() []Duty { return slices.Clone(c.duties) }

// Duty returns a duty by id.
func (c *Catalogue) Duty(id string) (Duty, bool) {
	at, ok := c.byID[id]
	if !ok {
		return Duty{}, false
	}
	return c.duties[at], true
}

// Find returns a duty by id; the error names some that are like it.
func (c *Catalogue) Find(id string) (Duty, error) {
	d, err := c.dutyAt(id)
	if err != nil {
		return Duty{}, err
	}
	return *d, nil
}

// KindCases is the kind under which cases count as facts.
const KindCases evidence.Kind = "workflow"

// Touched lists the duties of a party that facts of a kind can change.
func (c *Catalogue) Touched(party string, kind evidence.Kind) []Duty {
	var list []Duty
	for _, d := range c.duties {
		if d.Party == party && (kind == KindCases && d.Has(ProofWorkflow) || slices.ContainsFunc(d.Parts, func(p Part) bool { return slices.Contains(p.Kinds, kind) })) {
			list = append(list, d)
		}
	}
	return list
}
