package duties

import (
	"slices"
	"time"
)

// Recall is how long a case counts after its end: a duty that was not met in time
// shows for that long.
const Recall = 31 * 24 * time.Hour

// Case is one workflow that takes place.
type Case struct {
	ID        string
	Workflow  string
	Service   string
	Org       string // the customer concerned; empty for the provider's own affairs
	Customer  string // its name
	Title     string // what it is about, for people
	Opened    time.Time
	Since     time.Time // when its first term began, where that was before it was opened here; else zero
	Closed    time.Time // all steps were taken, or it was withdrawn; zero while it is open
	Withdrawn bool      // it counts for nothing but what was late in it
	Left      bool      // it ended since its organisation left: nobody can mend it, so it counts for nothing
	Subject   string    // what a check found, of a case that was opened about it
	Unplaced  bool      // it stands with the provider, who has not said which customer it concerns
	Steps     []Done    // those taken, in their order
	Cites     []Cite    // of the opening
}

// Done is a step that was taken.
type Done struct {
	Step    string
	At      time.Time
	Skipped bool
	Unasked bool // whom it is for did not want it: it proves nothing, and the time of the next step runs from it
	Cites   []Cite
}

// Next is the step that a case waits for, and by when it is due; ok is false when
// there is none.
func (c Case) Next(w Workflow) (s Step, due time.Time, ok bool) {
	if !c.Closed.IsZero() || len(c.Steps) >= len(w.Steps) {
		return Step{}, time.Time{}, false
	}
	s = w.Steps[len(c.Steps)]
	return s, c.due(len(c.Steps), s), true
}

// DueBy is by when the n-th step of a workflow must be taken; zero while the one that its
// time runs from was not.
func (c Case) DueBy(w Workflow, n int) time.Time {
	if s := w.Steps[n]; n <= len(c.Steps) || s.Opening {
		return c.due(n, s)
	}
	return time.Time{}
}

// due is by when the n-th step must be taken.
func (c Case) due(n int, s Step) time.Time {
	switch first := n == 0 || s.Opening; {
	case first && !c.Since.IsZero():
		return c.Since.Add(s.Within)
	case first:
		return c.Opened.Add(s.Within)
	}
	return c.Steps[n-1].At.Add(s.Within)
}

// awaits is the step that counts for a duty, was not taken yet and is due first: the next
// one, or one whose time runs from the opening whatever is done before it.
func (c Case) awaits(w Workflow, d Duty) (step Step, due time.Time, ok bool) {
	for n := len(c.Steps); n < len(w.Steps); n++ {
		s := w.Steps[n]
		if !slices.Contains(s.Proves, d.ID) || n > len(c.Steps) && !s.Opening {
			continue
		}
		if at := c.due(n, s); !ok || at.Before(due) {
			step, due, ok = s, at, true
		}
	}
	return step, due, ok
}

// judge says how a case stands for a duty; ok is false where it says nothing.
func (c Case) judge(w Workflow, d Duty, q Question) (f AssetFinding, ok bool) {
	f.Asset = Asset{Agent: c.ID, Host: c.Customer, Thing: c.Title}
	args := func(s Step, due time.Time) []any {
		return []any{"case", c.Title, "step_codes", w.ID + "." + s.ID, "party_codes", s.Party, "until", clock(due, q.Zone)}
	}
	f.Cites = slices.Clone(c.Cites)
	for n, done := range c.Steps {
		s := w.Steps[min(n, len(w.Steps)-1)]
		if due := c.due(n, s); !done.Unasked && slices.Contains(s.Proves, d.ID) {
			f.Cites = append(f.Cites, done.Cites...)
			ok = true
			switch why := append(args(s, due), "at", clock(done.At, q.Zone)); {
			case f.Past: // the first step that came late says it all
			case done.At.After(due):
				f.Verdict, f.Past, f.Why = Breached, true, say("case_late", why...)
			default:
				f.Verdict, f.Why = Fulfilled, say("case_done", why...)
			}
		}
	}
	s, due, waits := c.awaits(w, d)
	if !c.Closed.IsZero() {
		f.Due = c.Closed.Add(Recall)
		if waits && !f.Past && c.Closed.After(due) {
			f.Verdict, f.Past, f.Why = Breached, true, say("case_missed", append(args(s, due), "at", clock(c.Closed, q.Zone))...)
		}
		return f, f.Past || ok && !c.Withdrawn
	}
	switch {
	case !waits:
		return f, ok
	case q.At.Before(due) && f.Past:
		f.Due = due
	case q.At.Before(due):
		f.Verdict, f.Why, f.Due = NoOccasion, say("case_running", args(s, due)...), due
	default: // what can still be done says more than what came late
		f.Verdict, f.Past, f.Why = Breached, false, say("case_overdue", args(s, due)...)
	}
	return f, true
}

// judgeWorkflow judges a duty by the cases in which a step of its counts.
func (c *Catalogue) judgeWorkflow(d Duty, p Part, q Question) PartFinding {
	pf := PartFinding{Part: p, Assets: c.judgeProblems(d, q)}
	for _, k := range q.Cases {
		w, known := c.Workflow(k.Workflow)
		if !known || k.Left || k.Service != d.Service || !k.Closed.IsZero() && !q.At.Before(k.Closed.Add(Recall)) {
			continue
		}
		w = w.agreed(d, q.Params)
		if f, ok := k.judge(w, d, q); ok {
			pf.Assets = append(pf.Assets, f)
		}
	}
	if len(pf.Assets) > 0 {
		return pf.weakestFirst("all_cases_done")
	}
	if !q.Watched {
		pf.Finding = Finding{Why: say("nobody_hears", "party_codes", d.Party)}
		return pf
	}
	pf.Finding = Finding{Verdict: NoOccasion, Why: say("no_case", "days", int(Recall.Hours()/24))}
	return pf
}

// NoticeOf is an alert of a customer's duty as the notice that it is: told when a
// channel took it, acknowledged by a person, solved when evidence showed it. One that
// ended by itself lacks what nobody did: that counts where it was due before. Of one that
// was raised under the customer's own silence nobody owes to tell it, and the customer's
// time to act runs from the start.
func NoticeOf(id, org, duty, customer, name string, silenced bool, opened, told, acked, solved time.Time) Case {
	c := Case{ID: id, Org: org, Workflow: "notice", Service: serviceOf(duty), Customer: customer, Title: duty + " " + name, Opened: opened, Closed: solved}
	if told.IsZero() || !acked.IsZero() && acked.Before(told) {
		told = acked
	}
	if silenced {
		told = opened
	}
	if told.IsZero() {
		return c
	}
	c.Steps = append(c.Steps, Done{Step: "told", At: told, Unasked: silenced})
	if acked.IsZero() {
		return c
	}
	c.Steps = append(c.Steps, Done{Step: "acknowledged", At: acked})
	if !solved.IsZero() {
		c.Steps = append(c.Steps, Done{Step: "acted", At: solved})
	}
	return c
}

// Has reports whether a duty asks for a way of proof.
func (d Duty) Has(proof string) bool {
	return slices.ContainsFunc(d.Parts, func(p Part) bool { return p.Proof == proof })
}
