package duties

import (
	"time"

	"github.com/attesto/attesto/evidence"
)

// endpointsCheck judges whether the services that others reach answer, were asked
// without holes, and show certificates that hold.
var endpointsCheck = check{
	kind:     evidence.KindEndpoints,
	params:   []string{"fresh", "window", "hole", "certificate"},
	facts:    healthFacts,
	optional: true,
	judge:    judgeEndpoints,
}

func judgeEndpoints(h host) []AssetFinding {
	facts, gaps, err := decode[evidence.Endpoints](h)
	if err != nil {
		return h.unreadable(err)
	}
	var found []AssetFinding
	if len(gaps) > 0 {
		found = append(found, h.find(Unproven, "", say("gaps", "host", h.agent.Name, "gaps", gapText(gaps))))
	}
	for _, e := range facts.Endpoints {
		found = append(found, h.endpoint(e))
	}
	looks, all := usable[evidence.Endpoints](h, h.at.Add(-healthFacts))
	var times []time.Time
	var cites []Cite
	for i, f := range all {
		most := f.Endpoints[0].Probes
		for _, e := range f.Endpoints[1:] {
			if len(e.Probes) > len(most) {
				most = e.Probes
			}
		}
		for _, p := range most {
			times, cites = append(times, h.local(p.At.Time)), append(cites, Cite{looks[i].Log, looks[i].Index})
		}
	}
	if _, hole := h.hole(times, cites, "endpoints_hole"); hole != nil {
		found = append(found, *hole)
	}
	return found
}

// endpoint judges a service by its newest probe and certificate.
func (h host) endpoint(e evidence.Endpoint) AssetFinding {
	last := e.Probes[len(e.Probes)-1]
	args := []any{"endpoint", e.Name, "host", h.agent.Name, "at", h.clock(h.local(last.At.Time))}
	find := func(v Verdict, key string, more ...any) AssetFinding {
		return h.find(v, e.Name, say(key, append(args, more...)...))
	}
	switch {
	case last.Result == evidence.ProbeUnknown:
		return find(Unproven, "endpoint_unknown", "reason_codes", "endpoint_"+last.Reason)
	case last.Result == evidence.ProbeDown:
		return find(Breached, "endpoint_down", "reason_codes", "endpoint_"+last.Reason)
	case e.TLS == nil:
		return find(Fulfilled, "endpoint_up", "ms", last.Millis)
	}
	own := e.TLS.Chain[0]
	until := own.Until.Time
	for _, c := range e.TLS.Chain {
		if c.Until.Before(until) {
			until = c.Until.Time
		}
	}
	left := until.Sub(h.at)
	limit := h.duration("certificate")
	args = append(args, "until", h.clock(until))
	switch {
	case left <= 0:
		return find(Breached, "certificate_expired")
	case left < limit:
		return find(Breached, "certificate_ending", "days", int(left.Hours()/24))
	case e.Found == evidence.EndpointConfigured && len(e.TLS.Trouble) > 0:
		return find(Breached, "certificate_bad", "reason_codes", "endpoint_"+e.TLS.Trouble[0])
	}
	f := find(Fulfilled, "endpoint_secure", "ms", last.Millis)
	f.Due = soonest(f.Due, h.upcoming(until.Add(-limit)))
	return f
}
