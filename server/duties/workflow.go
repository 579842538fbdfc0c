package duties

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// Either is the Opens of a workflow that both parties may start.
const Either = "either"

// Workflow is something that happens between the parties, step by step.
type Workflow struct {
	ID    string
	Title Text
	About Text   // when to open one
	Opens string // Provider, Customer or Either
	Own   bool   // the provider's own affair: no customer is concerned
	Early bool   // the provider may open one before it knows which customer is concerned
	Found string // the check of which the server opens one about each thing that it finds
	Steps []Step
}

// Step is one act of a workflow.
type Step struct {
	ID       string
	Title    Text
	Party    string        // who takes it
	Within   time.Duration // after the step before; of the first one, and where Opening says so, after the opening
	Opening  bool          // its time runs from the opening, whatever comes before it
	Most     time.Duration // the longest that Within may be agreed to be
	Proves   []string      // the duties that it counts for, if they are of the case's service
	MaySkip  bool          // it can be left out, with a reason
	Delivery bool          // the server takes it, when the notice has reached the customer
	AtOnce   bool          // whoever opens the case has taken it by that
}

type workflowFile struct {
	ID    string     `yaml:"id"`
	Title Text       `yaml:"title"`
	About Text       `yaml:"about"`
	Opens string     `yaml:"opens"`
	Own   bool       `yaml:"own"`
	Early bool       `yaml:"early"`
	Found string     `yaml:"found"`
	Steps []stepFile `yaml:"steps"`
}

type stepFile struct {
	ID     string   `yaml:"id"`
	Title  Text     `yaml:"title"`
	Party  string   `yaml:"party"`
	Within string   `yaml:"within"`
	From   string   `yaml:"from"`
	Most   string   `yaml:"most"`
	Proves []string `yaml:"proves"`
	May    string   `yaml:"may"`
	By     string   `yaml:"by"`
}

// With reports whether a case may be opened in the provider's log, or else a customer's.
func (w Workflow) With(provider bool) bool { return w.Early || w.Own == provider }

// Services are those for which a case of this workflow can prove something.
func (w Workflow) Services() []string {
	var list []string
	for _, s := range w.Steps {
		for _, id := range s.Proves {
			if service := serviceOf(id); !slices.Contains(list, service) {
				list = append(list, service)
			}
		}
	}
	return list
}

// Step finds a step by id.
func (w Workflow) Step(id string) (Step, bool) {
	for _, s := range w.Steps {
		if s.ID == id {
			return s, true
		}
	}
	return Step{}, false
}

// Proves reports whether a case of a service can count for a duty.
func (w Workflow) Proves(duty string) bool {
	return slices.ContainsFunc(w.Steps, func(s Step) bool { return slices.Contains(s.Proves, duty) })
}

// TellsProblems reports whether a duty is judged by what customers are told of the
// problems that the provider found.
func (c *Catalogue) TellsProblems(d Duty) bool {
	return slices.ContainsFunc(c.workflows, func(w Workflow) bool { return w.wantsProblems(d) })
}

func serviceOf(duty string) string {
	service, _, _ := strings.Cut(duty, "-")
	return strings.ToLower(service)
}

// Workflows lists what can happen between the parties.
func (c *Catalogue) Workflows() []Workflow { return slices.Clone(c.workflows) }

// Workflow finds a workflow by id.
func (c *Catalogue) Workflow(id string) (Workflow, bool) {
	for _, w := range c.workflows {
		if w.ID == id {
			return w, true
		}
	}
	return Workflow{}, false
}

// readWorkflows reads the workflows: each step has its duties, and each duty that is
// to be proven by a workflow has a step.
func (c *Catalogue) readWorkflows(dir fs.FS) error {
	var list []workflowFile
	if err := readYAML(dir, "workflows.yaml", &list); err != nil {
		return err
	}
	for _, f := range list {
		if err := c.addWorkflow(f); err != nil {
			return fmt.Errorf("workflow %s: %w", f.ID, err)
		}
	}
	for _, d := range c.duties {
		if err := c.walked(d.ID); err != nil {
			return err
		}
	}
	return nil
}

func (c *Catalogue) addWorkflow(f workflowFile) error {
	w, err := f.workflow()
	errs := []error{err}
	if _, twice := c.Workflow(w.ID); twice {
		errs = append(errs, under("", errors.New("stated twice: give it another id"), "id"))
	}
	if _, known := c.checks[w.Found]; w.Found != "" && !known {
		errs = append(errs, under("", fmt.Errorf("found %q: there is no such check", w.Found), "found"))
	}
	for i, s := range f.Steps {
		for _, id := range s.Proves {
			if c.vague["duty "+id] {
				errs = append(errs, errVague)
			} else if d, ok := c.Duty(id); s.known() && (!ok || d.Party != s.Party || !d.Has(ProofWorkflow)) {
				errs = append(errs, under("step "+s.ID, fmt.Errorf("it proves %s: want a duty of the %s with the part workflow", id, s.Party), "steps", i, "proves"))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	c.workflows = append(c.workflows, w)
	for _, s := range w.Steps {
		c.addTerms(w, s)
		for lang, words := range c.words {
			words.Codes[w.ID+"."+s.ID] = s.Title.In(lang)
		}
	}
	return nil
}

// addTerms lets how long a step may take be agreed upon, as a parameter of each duty that
// it proves. One that is taken at once takes none.
func (c *Catalogue) addTerms(w Workflow, s Step) {
	if s.AtOnce {
		return
	}
	for _, id := range s.Proves {
		parts := c.duties[c.byID[id]].Parts
		p := &parts[slices.IndexFunc(parts, func(p Part) bool { return p.Proof == ProofWorkflow })]
		if p.Params == nil {
			p.Params = map[string]Param{}
		}
		p.Params[w.term(s)] = Param{Unit: UnitHours, Default: s.Within.Hours(), Min: 0.25, Max: s.Most.Hours(), Bound: s.Most < maxTerm,
			Title: Text{EN: w.Title.EN + ": longest time to “" + s.Title.EN + "”", IT: w.Title.IT + ": tempo massimo per «" + s.Title.IT + "»"},
			Source: Source{Text{EN: "ours, until the parties agree on another: the list of duties says promptly, and of PE-P9 immediately",
				IT: "nostro, finché le parti non ne concordano un altro: l'elenco degli obblighi dice prontamente, e di PE-P9 immediatamente"}}}
	}
}

// maxTerm is the longest that a step may take where nothing says less: a leap year.
const maxTerm = 366 * 24 * time.Hour

// term is the name of the parameter that says how long a step may take.
func (w Workflow) term(s Step) string { return w.ID + "_" + s.ID }

// agreed is a workflow with the times that a duty is judged by.
func (w Workflow) agreed(d Duty, set map[string]Params) Workflow {
	w.Steps = slices.Clone(w.Steps)
	for i, s := range w.Steps {
		for _, p := range d.Parts {
			if _, ok := p.Params[w.term(s)]; ok && p.Proof == ProofWorkflow {
				w.Steps[i].Within = values{p.Params, set[p.Name]}.duration(w.term(s))
			}
		}
	}
	return w
}

// Agreed is a workflow with the times by which its steps are due in cases of a service:
// of the duties that a step proves there the shortest.
func (c *Catalogue) Agreed(w Workflow, service string, set func(duty string) map[string]Params) Workflow {
	due := w
	due.Steps = slices.Clone(w.Steps)
	for i, s := range w.Steps {
		first := true
		for _, id := range s.Proves {
			if d, _ := c.Duty(id); d.Service == service { // a step proves no others
				within := w.agreed(d, set(id)).Steps[i].Within
				if first || within < due.Steps[i].Within {
					due.Steps[i].Within, first = within, false
				}
			}
		}
	}
	return due
}

// walked refuses a duty that is to be proven by a workflow without one that proves it.
func (c *Catalogue) walked(duty string) error {
	d, ok := c.Duty(duty)
	if ok && !c.vague["workflow"] && d.Has(ProofWorkflow) && !slices.ContainsFunc(c.workflows, func(w Workflow) bool { return w.Proves(d.ID) }) {
		return fmt.Errorf("duty %s is to be proven by a workflow, and no step of one proves it", d.ID)
	}
	return nil
}

func (f workflowFile) workflow() (Workflow, error) {
	w := Workflow{ID: f.ID, Title: f.Title, About: f.About, Opens: f.Opens, Own: f.Own, Early: f.Early, Found: f.Found}
	errs := []error{lacks("title", f.Title), lacks("about", f.About)}
	if f.ID == "" {
		errs = append(errs, missing("id is missing"))
	}
	if f.Opens != Provider && f.Opens != Customer && f.Opens != Either {
		errs = append(errs, under("", fmt.Errorf("opens %q: want provider, customer or either", f.Opens), "opens"))
	}
	if len(f.Steps) == 0 {
		errs = append(errs, missing("no steps: say what is done, by whom and within what time"))
	}
	if f.Early && (f.Opens != Provider || slices.ContainsFunc(f.Steps, func(s stepFile) bool { return s.Party != Provider || s.By != "" })) {
		errs = append(errs, under("", errors.New("early: the provider must open it and take each step itself, as no customer is known yet"), "early"))
	}
	if f.Found != "" && !f.Early {
		errs = append(errs, under("", errors.New("found: the provider opens it before a customer is known: say early: true"), "found"))
	}
	for i, s := range f.Steps {
		step, err := s.step()
		if step.AtOnce && (i > 0 || s.Party != f.Opens) {
			err = errors.Join(err, under("", fmt.Errorf("by opening: only the first step can be taken so, by the party that opens (%s)", f.Opens), "by"))
		}
		if _, twice := w.Step(s.ID); twice {
			err = errors.Join(err, under("", errors.New("stated twice: give it another id"), "id"))
		}
		errs = append(errs, under(fmt.Sprintf("step %q", s.ID), err, "steps", i))
		w.Steps = append(w.Steps, step)
	}
	return w, errors.Join(errs...)
}

// known reports whether there is such a party.
func (s stepFile) known() bool { return s.Party == Provider || s.Party == Customer }

func (s stepFile) step() (Step, error) {
	errs := []error{lacks("title", s.Title)}
	bad := func(key, format string, args ...any) {
		errs = append(errs, under("", fmt.Errorf(format, args...), key))
	}
	if s.ID == "" {
		errs = append(errs, missing("id is missing"))
	}
	within, err := time.ParseDuration(s.Within)
	if err != nil || within <= 0 {
		bad("within", "within %q: want a duration such as 24h", s.Within)
	}
	most, err := time.ParseDuration(cmp.Or(s.Most, maxTerm.String()))
	if err != nil || most < within {
		bad("most", "most %q: want a duration such as 72h that is no shorter than within", s.Most)
	}
	if !s.known() {
		bad("party", "party %q: want provider or customer", s.Party)
	}
	if s.May != "" && s.May != "skip" {
		bad("may", "may %q: want skip, or nothing", s.May)
	}
	if s.By != "" && s.By != "delivery" && s.By != "opening" {
		bad("by", "by %q: want delivery or opening, or nothing", s.By)
	}
	if s.From != "" && s.From != "opening" {
		bad("from", "from %q: want opening, or nothing", s.From)
	}
	return Step{s.ID, s.Title, s.Party, within, s.From == "opening", most, s.Proves, s.May == "skip", s.By == "delivery", s.By == "opening"}, errors.Join(errs...)
}
