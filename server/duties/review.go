package duties

import "time"

// reviewParams are the parameters of a review.
var reviewParams = []string{"severity"}

// judgeReview asks whether a person of the party has confirmed having looked. A
// confirmation holds until the end of the next day of the cadence, in the
// organisation's zone: who looks every day is never without proof. A finding of
// the log rules that came after it opens it again.
func judgeReview(d Duty, q Question, v values) Finding {
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
		return Finding{Why: say("review_open", append(args, "count", len(open), "findings", listed(open))...), Cites: cites, Due: until}
	}
	return Finding{Verdict: Fulfilled, Why: say("review_done", append(args, "until", clock(until, q.Zone))...), Cites: cites, Due: until}
}

// reviewHolds is until when a review of a moment holds: the end of the day that
// lies one cadence, at least a day, after it.
func reviewHolds(at time.Time, every time.Duration, zone *time.Location) time.Time {
	days := max(1, int(every.Hours()/24))
	y, m, day := at.In(zone).Date()
	return time.Date(y, m, day+days+1, 0, 0, 0, 0, zone)
}
