package duties

import (
	"slices"
	"time"
)

// Problem is something that the provider found on its own hosts, of which the customers
// must know whom they serve.
type Problem struct {
	ID, Duty, Name string
	Opened, Ended  time.Time            // Ended: zero while it is open
	Hearers        []string             // the customers whom it concerns, sorted
	Told           map[string]time.Time // by customer: when a channel of it took the alert first
}

// wantsProblems reports whether a workflow tells customers, by delivery, what the provider
// found: then the duty is judged by the open problems of its service, too.
func (w Workflow) wantsProblems(d Duty) bool {
	return d.Party == Provider && slices.ContainsFunc(w.Steps, func(s Step) bool { return s.Delivery && slices.Contains(s.Proves, d.ID) })
}

// judgeProblems says of each open problem whether all whom it concerns were told in time:
// by a delivery of its alert, or by a notice of since then.
func (c *Catalogue) judgeProblems(d Duty, q Question) (list []AssetFinding) {
	i := slices.IndexFunc(c.workflows, func(w Workflow) bool { return w.wantsProblems(d) })
	if i < 0 || len(q.Problems) == 0 {
		return nil
	}
	within := c.workflows[i].agreed(d, q.Params).Steps[0].Within
	noticed := noticesOf(c.workflows[i].ID, d.Service, q)
	for _, p := range q.Problems {
		if serviceOf(p.Duty) != d.Service || p.Opened.After(q.At) || !p.Ended.IsZero() && !p.Ended.After(q.At) {
			continue
		}
		untold := 0
		for _, customer := range p.Hearers {
			if told := p.Told[customer]; (told.IsZero() || told.After(q.At)) && noticed[customer].Before(p.Opened) {
				untold++
			}
		}
		due := p.Opened.Add(within)
		f := AssetFinding{Asset: Asset{Agent: p.ID, Host: p.Duty, Thing: p.Name}}
		why := []any{"duty", p.Duty, "alert", p.Name, "opened", clock(p.Opened, q.Zone), "until", clock(due, q.Zone), "count", untold, "of", len(p.Hearers)}
		switch {
		case len(p.Hearers) == 0:
			continue
		case untold == 0:
			f.Verdict, f.Why = Fulfilled, say("problem_told", why...)
		case q.At.Before(due):
			f.Verdict, f.Why, f.Due = NoOccasion, say("problem_telling", why...), due
		default:
			f.Why = say("problem_untold", why...)
		}
		list = append(list, f)
	}
	return list
}

// noticesOf is, by customer, the opening of its newest notice that has reached it; the
// customer's own alerts are none of the provider's problems.
func noticesOf(workflow, service string, q Question) map[string]time.Time {
	newest := map[string]time.Time{}
	for _, k := range q.Cases {
		if k.Workflow == workflow && k.Service == service && !k.Withdrawn && len(k.Steps) > 0 && k.Opened.After(newest[k.Org]) {
			newest[k.Org] = k.Opened
		}
	}
	return newest
}

// Concerning are the problems that concern one customer.
func Concerning(list []Problem, customer string) (out []Problem) {
	for _, p := range list {
		if _, ok := slices.BinarySearch(p.Hearers, customer); ok {
			p.Hearers = []string{customer}
			out = append(out, p)
		}
	}
	return out
}

// moments are those at which a problem can count otherwise: of those told, the last.
func (p Problem) moments() []time.Time {
	last := time.Time{}
	for _, customer := range p.Hearers {
		if at := p.Told[customer]; at.After(last) {
			last = at
		}
	}
	return []time.Time{p.Opened, p.Ended, last}
}
