package duties

import (
	"slices"
	"time"
)

// Subject is what a case is about that was opened for a thing which a check found.
func Subject(check string, a Asset) string { return check + " " + a.Key() }

// foundBy is the workflow that deals with what a part of a duty finds; ok is false where
// none does.
func (c *Catalogue) foundBy(d Duty, p Part) (Workflow, bool) {
	for _, w := range c.workflows {
		if p.Check != "" && w.Found == p.Check && w.Proves(d.ID) {
			return w, true
		}
	}
	return Workflow{}, false
}

// dealt leaves what a check found to the case that was opened about it: whether its steps
// come in time, the duty's other part says. What nobody opened a case about stays a breach.
func (c *Catalogue) dealt(d Duty, pf PartFinding, q Question) PartFinding {
	if _, ok := c.foundBy(d, pf.Part); !ok {
		return pf
	}
	list := slices.Clone(pf.Assets)
	for i, f := range list {
		k, known := q.about(Subject(pf.Part.Check, f.Asset), f.Shown)
		if f.Shown.IsZero() || !known {
			continue
		}
		here := slices.ContainsFunc(q.Cases, func(o Case) bool { return o.ID == k.ID })
		why := Message{Key: "found_over", Args: f.Why.Args}
		switch {
		case k.Closed.IsZero() && k.Unplaced && !here:
			f.Verdict, why.Key = Unproven, "found_unplaced"
		case k.Closed.IsZero():
			f.Verdict, f.Found, why.Key = Fulfilled, true, "found_case"
		case k.Withdrawn: // a person's word stands against what was seen
			f.Verdict, why.Key = Unproven, "found_withdrawn"
		default:
			f.Verdict = Fulfilled
		}
		f.Why = why
		list[i] = f
	}
	if len(list) == 0 {
		return pf
	}
	return PartFinding{Part: pf.Part, Assets: list}.weakestFirst("all_fulfilled")
}

// about is the case about a subject that is open, or ended after a moment; one that was
// withdrawn only where there is no other.
func (q Question) about(subject string, since time.Time) (found Case, ok bool) {
	for _, k := range q.Dealt {
		if k.Subject == subject && (k.Closed.IsZero() || !k.Closed.Before(since)) && (!ok || k.Closed.IsZero() || found.Withdrawn) {
			found, ok = k, true
		}
	}
	return found, ok
}

// Undealt is a thing that a check found and that no case is open about.
type Undealt struct {
	Workflow Workflow
	Subject  string
	AssetFinding
}

// Undealt lists what the parts of a duty found that cases are to be opened about.
func (c *Catalogue) Undealt(d Duty, parts []PartFinding) (list []Undealt) {
	for _, p := range parts {
		w, ok := c.foundBy(d, p.Part)
		for _, f := range p.Assets {
			if ok && f.Verdict == Breached && !f.Shown.IsZero() {
				list = append(list, Undealt{w, Subject(p.Part.Check, f.Asset), f})
			}
		}
	}
	return list
}
