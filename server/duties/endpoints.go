package duties

import (
	"maps"
	"slices"
	"strings"

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
	of, all := h.probes()
	_, hole := h.hole(all, h.since(all), "", "endpoints_hole")
	for _, e := range facts.Endpoints {
		f := h.endpoint(e)
		if w := h.unwatched(e.Name, of[e.Name], hole == nil); f.Verdict == Fulfilled && w != nil {
			f = *w
		}
		f.proto = protoOf(e)
		found, of[e.Name] = append(found, f), nil
	}
	for _, name := range slices.Sorted(maps.Keys(of)) { // asked before, and no longer
		if w := h.unwatched(name, of[name], hole == nil); w != nil {
			found = append(found, *w)
		}
	}
	if hole != nil {
		found = append(found, *hole)
	}
	return found
}

// probed is one probe of an endpoint.
type probed struct {
	watched
	evidence.Probe
	told bool // it was the last one of its look, which was judged by it
}

// probes are those of each endpoint, and the moments of all, oldest first.
func (h host) probes() (of map[string][]probed, all []watched) {
	of = map[string][]probed{}
	looks, facts := usable[evidence.Endpoints](h, h.at.Add(-healthFacts))
	for i, f := range facts {
		for _, e := range f.Endpoints {
			for n, p := range e.Probes {
				w := watched{looks[i].local(p.At.Time), looks[i]}
				of[e.Name] = append(of[e.Name], probed{w, p, n == len(e.Probes)-1})
				all = append(all, w)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b watched) int { return a.at.Compare(b.at) })
	return of, all
}

// unwatched finds what is wrong with the past of an endpoint within the window: that it was
// down and no look ended so, or, where holes asks, that nobody asked it. Of a probe that
// could not be made nobody knows anything. An endpoint is watched from its first probe on.
func (h host) unwatched(name string, list []probed, holes bool) *AssetFinding {
	var asked []watched
	var down, last *AssetFinding
	start, told := h.at.Add(-h.duration("window")), false
	var since *probed
	for i, p := range list {
		if p.Result != evidence.ProbeUnknown {
			asked = append(asked, p.watched)
		}
		if p.Result == evidence.ProbeDown {
			if since == nil {
				since, told = &list[i], false
			}
			told = told || p.told
			continue
		}
		if since != nil && !told && p.at.Sub(since.at) > h.duration("hole") && p.at.After(start) {
			f := h.find(Breached, name, say("endpoint_was_down", "endpoint", name, "host", h.agent.Name, "from", h.clock(since.at), "to", h.clock(p.at),
				"reason_codes", "endpoint_"+since.Reason))
			f.Due, f.Past = soonest(f.Due, h.upcoming(p.at.Add(h.duration("window")))), true
			down = &f
		}
		since = nil
	}
	if down != nil || !holes || len(asked) == 0 {
		return down
	}
	if from := asked[0].at; from.After(start) {
		start = from
	}
	_, last = h.hole(asked, start, name, "endpoint_hole", "endpoint", name)
	return last
}

// protoOf is the protocol of an endpoint, as duties ask for it: mail counts with encryption.
func protoOf(e evidence.Endpoint) string {
	mail := !slices.Contains([]string{evidence.ProtoTCP, evidence.ProtoHTTP, evidence.ProtoHTTPS}, e.Proto)
	if mail && e.TLS == nil {
		return ""
	}
	return e.Proto
}

// orUnasked has a part that is in order prove nothing while no host asks one of the
// protocols that the duty names.
func orUnasked(d Duty, pf PartFinding) PartFinding {
	if pf.Part.Check != "endpoints" || pf.Verdict != Fulfilled {
		return pf
	}
	for _, protos := range d.Asked {
		if !slices.ContainsFunc(pf.Assets, func(f AssetFinding) bool { return slices.Contains(protos, f.proto) }) {
			asset := Asset{Agent: "asked", Host: strings.Join(protos, ", ")}
			pf.Assets = append(pf.Assets, AssetFinding{Asset: asset, Finding: Finding{Why: say("endpoints_unasked", "protos", asset.Host, "service", d.Service), Due: pf.Due}})
		}
	}
	return pf.weakestFirst("all_fulfilled")
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
