package duties

import "time"

// Outage is a stretch of time in which no server judged: nothing that hosts or people did
// could reach one.
type Outage struct{ From, To time.Time }

// excuse is a finding of a moment as it counts. What turned bad by time alone while no
// server was there tells nothing of its party, neither silence nor a breach by age: it is
// unproven, by the server. before is how the duty stood.
func (s Story) excuse(f Finding, at time.Time, before Verdict) Finding {
	for _, o := range s.Off {
		if s.Known && !at.Before(o.From) && at.Before(o.To) && (f.Verdict == Unproven || f.Verdict == Breached && before != Breached) {
			f.Verdict, f.Why = Unproven, say("server_off", "from", clock(o.From, s.Zone), "to", clock(o.To, s.Zone))
		}
	}
	return f
}
