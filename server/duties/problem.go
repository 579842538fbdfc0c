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
	Since          map[string]time.Time // by customer: since when it has the service
}

// wantsProblems reports whether a workflow tells customers, by delivery, what the provider
// found: then the duty is judged by the problems of its service, too.
func (w Workflow) wantsProblems(d Duty) bool {
	return d.Party == Provider && slices.ContainsFunc(w.Steps, func(s Step) bool { return s.Delivery && slices.Contains(s.Proves, d.ID) })
}

// tells reports whether customers are to be told of a problem by a duty: of all of its
// service, or, where the duty has checks, of what those find.
func (c *Catalogue) tells(d Duty, p Problem) bool {
	of, _ := c.Duty(p.Duty)
	mine := d.Checks()
	return serviceOf(p.Duty) == d.Service && (len(mine) == 0 || slices.ContainsFunc(of.Checks(), func(name string) bool { return slices.Contains(mine, name) }))
}

// judgeProblems says of each problem whether all whom it concerns were told in time: by a
// delivery of its alert, or by a notice of since then. One that is over counts as a case
// does, where somebody was told too late or not at all.
func (c *Catalogue) judgeProblems(d Duty, q Question) (list []AssetFinding) {
	i := slices.IndexFunc(c.workflows, func(w Workflow) bool { return w.wantsProblems(d) })
	if i < 0 || len(q.Problems) == 0 {
		return nil
	}
	within := c.workflows[i].agreed(d, q.Params).Steps[0].Within
	notices := noticesOf(c.workflows[i].ID, d.Service, q)
	for _, p := range q.Problems {
		if len(p.Hearers) == 0 || !c.tells(d, p) || p.Opened.After(q.At) {
			continue
		}
		if f, ok := p.judge(notices, within, q); ok {
			list = append(list, f)
		}
	}
	return list
}

// judge says how telling of a problem stands; ok is false where it says nothing.
func (p Problem) judge(notices []notice, within time.Duration, q Question) (f AssetFinding, ok bool) {
	over := !p.Ended.IsZero() && !p.Ended.After(q.At)
	var waiting, untold, late int
	var next time.Time // when the first of those who wait must have been told
	for _, customer := range p.Hearers {
		due, told := p.due(customer, within), p.told(customer, notices, q.At)
		switch {
		case over && !p.Ended.After(due), !told.IsZero() && !told.After(due):
		case !told.IsZero():
			late++
		case q.At.Before(due):
			waiting, next = waiting+1, soonest(next, due)
		default:
			untold++
		}
	}
	if over && (untold+late == 0 || !q.At.Before(p.Ended.Add(Recall))) {
		return f, false
	}
	f.Asset = Asset{Agent: p.ID, Host: p.Duty, Thing: p.Name}
	why := func(key string, count int, due time.Time) Message {
		return say(key, "duty", p.Duty, "alert", p.Name, "opened", clock(p.Opened, q.Zone), "until", clock(due, q.Zone), "count", count, "of", len(p.Hearers))
	}
	due := p.Opened.Add(within)
	switch {
	case untold > 0:
		f.Why = why("problem_untold", untold, due)
	case late > 0:
		f.Why = why("problem_told_late", late, due)
	case waiting > 0:
		f.Verdict, f.Why = NoOccasion, why("problem_telling", waiting, next)
	default:
		f.Verdict, f.Why = Fulfilled, why("problem_told", 0, due)
	}
	if f.Due = next; over {
		f.Due = p.Ended.Add(Recall)
	}
	return f, true
}

// due is by when a customer must be told: who came later than the problem, within the same
// time from then.
func (p Problem) due(customer string, within time.Duration) time.Time {
	if since := p.Since[customer]; since.After(p.Opened) {
		return since.Add(within)
	}
	return p.Opened.Add(within)
}

// told is when a customer was told of a problem first, as known at a moment; zero for not
// yet.
func (p Problem) told(customer string, notices []notice, at time.Time) (first time.Time) {
	if told := p.Told[customer]; !told.After(at) {
		first = told
	}
	for _, n := range notices {
		if n.org == customer && !n.opened.Before(p.Opened) {
			first = soonest(first, n.told)
		}
	}
	return first
}

// notice is a notice that has reached its customer.
type notice struct {
	org          string
	opened, told time.Time
}

// noticesOf are the notices of a service that have reached their customers; the customers'
// own alerts are none of the provider's problems.
func noticesOf(workflow, service string, q Question) (list []notice) {
	for _, k := range q.Cases {
		if k.Workflow == workflow && k.Service == service && len(k.Cites) > 0 && !k.Withdrawn && len(k.Steps) > 0 {
			list = append(list, notice{k.Org, k.Opened, k.Steps[0].At})
		}
	}
	return list
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
