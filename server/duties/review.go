package duties

import "time"

// reviewParams are the parameters of a review.
var reviewParams = []string{"severity", "ack"}

// judgeReview asks whether the party has looked: a person confirmed it, or a standing
// instruction makes the duty's alerts its way of looking.
func judgeReview(d Duty, p Part, q Question, others []PartFinding) PartFinding {
	v := values{p.Params, q.Params[p.Name]}
	pf := PartFinding{Part: p, Finding: judgeLook(d, q, v)}
	s, ok := newest(q.Statements, StatementStanding)
	if !ok || !q.At.Before(s.Until) {
		return pf
	}
	since := standingSince(q.Statements)
	if n := len(q.Reviews); n > 0 && q.Reviews[n-1].At.After(since) {
		since = q.Reviews[n-1].At
	}
	for _, f := range untriaged(q, since, v.number("severity")) { // they raise alerts in the person's place
		why := say("review_found", "host", f.agent.Name, "rule", f.rule)
		pf.Assets = append(pf.Assets, AssetFinding{Asset: Asset{f.agent.ID, f.agent.Name, f.rule}, Finding: Finding{Verdict: Fulfilled, Why: why}, Found: true})
	}
	if pf.Verdict != Fulfilled {
		pf.Finding = judgeStanding(d, q, v, others, s, since)
	}
	return pf
}

// judgeLook asks whether a person of the party has confirmed having looked. A
// confirmation holds until just before the end of the next day of the cadence, in the
// organisation's zone: who looks every day is never without proof, and a day on which
// nobody looked ends without. A finding of the log rules that came after it opens it
// again, and so does a failure, where the duty has failures acknowledged, until somebody
// looks or takes its alert on.
func judgeLook(d Duty, q Question, v values) Finding {
	party := []any{"party_codes", d.Party}
	if len(q.Reviews) == 0 {
		return Finding{Why: say("review_never", party...)}
	}
	last := q.Reviews[len(q.Reviews)-1]
	cites := []Cite{{last.Log, last.Index}}
	until := lapses(last.At, q.days, q.Zone).Add(time.Millisecond)
	args := append(party, "at", clock(last.At, q.Zone))
	if !q.At.Before(until) {
		return Finding{Why: say("review_old", args...), Cites: cites}
	}
	if open := untriaged(q, last.At, v.number("severity")); len(open) > 0 {
		return Finding{Why: say("review_open", append(args, "count", len(open), "findings", listed(findingNames(open)))...), Cites: cites, Due: until}
	}
	for _, a := range q.Alerts {
		opened := a.Opened.Truncate(time.Millisecond) // as precise as the log has the review
		if a = a.asOf(q.At); d.Acknowledged && opened.After(last.At) && !opened.After(q.At) && a.Acked.IsZero() {
			return Finding{Why: say("review_failed", append(args, "alert", a.Name, "opened", clock(opened, q.Zone))...), Cites: cites, Due: until}
		}
	}
	return Finding{Verdict: Fulfilled, Why: say("review_done", append(args, "until", clock(until, q.Zone))...), Cites: cites, Due: until}
}

// judgeStanding asks whether a rule did what its party has signed for: it ran, and
// what it raised since then was delivered and acknowledged in time. An alert that ended
// before anybody took it on was not looked at either.
func judgeStanding(d Duty, q Question, v values, others []PartFinding, s Statement, since time.Time) Finding {
	party := []any{"party_codes", d.Party, "at", clock(s.At, q.Zone), "until", clock(s.Until, q.Zone)}
	f := Finding{Cites: []Cite{{s.Log, s.Index}}, Due: s.Until}
	if !q.Watched {
		f.Why = say("nobody_hears", "party_codes", d.Party)
		return f
	}
	for _, p := range others {
		building := len(p.Assets) > 0 && p.Assets[0].Building
		if p.Part.Proof == ProofCheck && p.Verdict == Unproven && !building {
			f.Why = say("standing_not_run", append(party, "proof_codes", p.Part.Name, argCause, p.Cause())...)
			return f
		}
	}
	ack, alerts := v.duration("ack"), 0
	for _, a := range q.Alerts {
		a = a.asOf(q.At)
		if a.Opened.Before(since) || a.Opened.After(q.At) || a.past(q.At) {
			continue
		}
		lacks, due := a.lacks(q.At, ack)
		f.Due = soonest(f.Due, due)
		if lacks != "" {
			f.Why = say(lacks, append(party, "alert", a.Name, "opened", clock(a.Opened, q.Zone), "delivered", clock(a.Delivered, q.Zone),
				"acked", clock(a.Acked, q.Zone), "limit", hours(ack))...)
			return f
		}
		alerts++
	}
	f.Verdict, f.Why = Fulfilled, say("standing_done", append(party, "alerts", alerts)...)
	return f
}

// standingSince is since when alerts look without a break: an instruction that was signed
// while the last one held goes on with it.
func standingSince(list []Statement) (since time.Time) {
	var until time.Time
	for _, s := range list {
		if s.Kind != StatementStanding {
			continue
		}
		if s.At.After(until) {
			since = s.At
		}
		until = s.Until
	}
	return since
}

// asOf is the alert as it stood at a moment. Who took it on had heard of it.
func (a Raised) asOf(at time.Time) Raised {
	for _, t := range []*time.Time{&a.Delivered, &a.Acked, &a.Ended} {
		if t.After(at) {
			*t = time.Time{}
		}
	}
	if !a.Acked.IsZero() && (a.Delivered.IsZero() || a.Acked.Before(a.Delivered)) {
		a.Delivered = a.Acked
	}
	return a
}

// past reports whether an alert ended too long ago to count.
func (a Raised) past(at time.Time) bool { return !a.Ended.IsZero() && !at.Before(a.Ended.Add(Recall)) }

// lacks names the message that says what was not done with an alert, or not in time; none
// while there is time. due is when that changes.
func (a Raised) lacks(at time.Time, ack time.Duration) (key string, due time.Time) {
	told, acked := a.Opened.Add(toldWithin), a.Delivered.Add(ack)
	switch {
	case a.Delivered.IsZero() && at.Before(told):
		return "", told
	case a.Delivered.IsZero():
		key = "standing_not_told"
	case a.Delivered.After(told):
		key = "standing_told_late"
	case a.Acked.IsZero() && at.Before(acked):
		return "", acked
	case a.Acked.IsZero():
		key = "standing_not_acked"
	case a.Acked.After(acked):
		key = "standing_acked_late"
	default:
		return "", time.Time{}
	}
	if !a.Ended.IsZero() {
		due = a.Ended.Add(Recall)
	}
	return key, due
}

// toldWithin is how soon an alert must have been delivered to count as one.
const toldWithin = time.Hour
