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
	since := s.At
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
// confirmation holds until the end of the next day of the cadence, in the
// organisation's zone: who looks every day is never without proof. A finding of
// the log rules that came after it opens it again.
func judgeLook(d Duty, q Question, v values) Finding {
	party := []any{"party_codes", d.Party}
	if len(q.Reviews) == 0 {
		return Finding{Why: say("review_never", party...)}
	}
	last := q.Reviews[len(q.Reviews)-1]
	cites := []Cite{{last.Log, last.Index}}
	until := reviewHolds(last.At, d.Every, q.Zone)
	args := append(party, "at", clock(last.At, q.Zone))
	if !q.At.Before(until) {
		return Finding{Why: say("review_old", args...), Cites: cites}
	}
	if open := untriaged(q, last.At, v.number("severity")); len(open) > 0 {
		return Finding{Why: say("review_open", append(args, "count", len(open), "findings", listed(findingNames(open)))...), Cites: cites, Due: until}
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
			f.Why = say("standing_not_run", append(party, "proof_codes", p.Part.Name)...)
			return f
		}
	}
	for _, a := range q.Alerts {
		if a.Opened.Before(since) || a.Opened.After(q.At) {
			continue
		}
		a = a.asOf(q.At)
		told, acked := a.Opened.Add(toldWithin), a.Delivered.Add(v.duration("ack"))
		args := append(party, "alert", a.Name, "opened", clock(a.Opened, q.Zone))
		switch {
		case a.Delivered.IsZero() && q.At.Before(told):
			f.Due = soonest(f.Due, told)
		case a.Delivered.IsZero():
			f.Why = say("standing_not_told", args...)
			return f
		case a.Acked.IsZero() && q.At.Before(acked):
			f.Due = soonest(f.Due, acked)
		case a.Acked.IsZero():
			f.Why = say("standing_not_acked", append(args, "limit", hours(v.duration("ack")))...)
			return f
		}
	}
	f.Verdict, f.Why = Fulfilled, say("standing_done", append(party, "alerts", len(q.Alerts))...)
	return f
}

// asOf is the alert as it stood at a moment.
func (a Raised) asOf(at time.Time) Raised {
	if a.Delivered.After(at) {
		a.Delivered = time.Time{}
	}
	if a.Acked.After(at) {
		a.Acked = time.Time{}
	}
	return a
}

// toldWithin is how soon an alert must have been delivered to count as one.
const toldWithin = time.Hour

// reviewHolds is until when a review of a moment holds: the end of the day that
// lies one cadence, at least a day, after it.
func reviewHolds(at time.Time, every time.Duration, zone *time.Location) time.Time {
	days := max(1, int(every.Hours()/24))
	y, m, day := at.In(zone).Date()
	return time.Date(y, m, day+days+1, 0, 0, 0, 0, zone)
}
