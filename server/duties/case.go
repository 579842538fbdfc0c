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
	return s, c.before(len(c.Steps)).Add(s.Within), true
}

// before is when the time for the n-th step began.
func (c Case) before(n int) time.Time {
	switch {
	case n == 0 && !c.Since.IsZero():
		return c.Since
	case n == 0:
		return c.Opened
	}
	return c.Steps[n-1].At
}

// missed is the step that was due before a case ended, and that nobody took; missed is
// false where it ended before its next step was due.
func (c Case) missed(w Workflow) (s Step, due time.Time, missed bool) {
	open := c
	open.Closed = time.Time{}
	s, due, waits := open.Next(w)
	return s, due, waits && c.Closed.After(due)
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
		if due := c.before(n).Add(s.Within); !done.Unasked && slices.Contains(s.Proves, d.ID) {
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
	if !c.Closed.IsZero() {
		f.Due = c.Closed.Add(Recall)
		if s, due, missed := c.missed(w); missed && !f.Past && slices.Contains(s.Proves, d.ID) {
			f.Verdict, f.Past, f.Why = Breached, true, say("case_missed", append(args(s, due), "at", clock(c.Closed, q.Zone))...)
		}
		return f, f.Past || ok && !c.Withdrawn
	}
	s, due, waits := c.Next(w)
	switch {
	case !waits || !slices.Contains(s.Proves, d.ID) || f.Past:
		return f, ok
	case q.At.Before(due):
		f.Verdict, f.Why, f.Due = NoOccasion, say("case_running", args(s, due)...), due
	default:
		f.Verdict, f.Why = Breached, say("case_overdue", args(s, due)...)
	}
	return f, true
}

// judgeWorkflow judges a duty by the cases in which a step of its counts.
func (c *Catalogue) judgeWorkflow(d Duty, p Part, q Question) PartFinding {
	pf := PartFinding{Part: p}
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
