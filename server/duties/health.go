package duties

import (
	"fmt"
	"math"
	"time"

	"github.com/attesto/attesto/evidence"
)

// healthCheck judges whether a host was watched without holes and is in order.
var healthCheck = check{
	kind:   evidence.KindHealth,
	params: []string{"fresh", "window", "hole", "disk", "read_only", "clock"},
	facts:  healthFacts,
	judge:  judgeHealth,
}

// healthFacts is how far back samples are looked at: the longest window and a
// little more.
const healthFacts = 26 * time.Hour

func judgeHealth(h host) []AssetFinding {
	facts, gaps, err := decode[evidence.Health](h)
	if err != nil {
		return h.unreadable(err)
	}
	found := h.state(facts)
	if len(gaps) > 0 {
		found = append(found, h.find(Unproven, "", say("gaps", "host", h.agent.Name, "gaps", gapText(gaps))))
	}
	samples, hole := h.samples()
	if hole != nil {
		found = append(found, *hole)
	}
	if len(found) > 0 {
		return found
	}
	return []AssetFinding{h.find(Fulfilled, "", say("health_good", "host", h.agent.Name, "samples", samples,
		"at", h.clock(h.moment(h.newest())), "disks", len(facts.Disks)))}
}

// state judges the host at its last sample.
func (h host) state(facts evidence.Health) []AssetFinding {
	var found []AssetFinding
	bad := func(v Verdict, key string, pairs ...any) {
		found = append(found, h.find(v, "", say(key, append([]any{"host", h.agent.Name}, pairs...)...)))
	}
	if facts.Units.Unread {
		bad(Unproven, "units_unread")
	}
	if len(facts.Units.Failed) > 0 {
		bad(Breached, "units_failed", "units", listed(facts.Units.Failed))
	}
	if c, most := facts.Clock, h.number("clock"); c != nil && c.OffsetMillis != nil && most > 0 && math.Abs(*c.OffsetMillis) > most*1000 {
		bad(Breached, "clock_off", "seconds", fmt.Sprintf("%.1f", *c.OffsetMillis/1000), "limit", most)
	}
	limit := h.number("disk")
	for _, d := range facts.Disks {
		if d.UsedPct >= limit {
			bad(Breached, "disk_full", "disk", d.Mount, "used", fmt.Sprintf("%.0f", d.UsedPct), "limit", limit)
		}
		if d.InodesPct >= limit {
			bad(Breached, "disk_inodes", "disk", d.Mount, "used", fmt.Sprintf("%.0f", d.InodesPct), "limit", limit)
		}
		if d.ReadOnly && !h.flag("read_only") {
			bad(Breached, "disk_read_only", "disk", d.Mount)
		}
		if d.Unreadable {
			bad(Unproven, "disk_silent", "disk", d.Mount)
		}
	}
	for _, s := range facts.Watched {
		switch s.State {
		case evidence.ServiceRunning:
		case evidence.ServiceStopped:
			bad(Breached, "service_stopped", "name", s.Name)
		default:
			bad(Unproven, "service_unknown", "name", s.Name)
		}
	}
	return found
}

// samples counts the samples of the window and finds its last hole.
func (h host) samples() (n int, hole *AssetFinding) {
	looks, facts := usable[evidence.Health](h, h.at.Add(-healthFacts))
	var times []time.Time
	var cites []Cite
	for i, f := range facts {
		for _, s := range f.Samples {
			times, cites = append(times, looks[i].local(s.At.Time)), append(cites, Cite{looks[i].Log, looks[i].Index})
		}
	}
	return h.hole(times, cites, "health_hole")
}

// hole counts the moments of the window at which a host was looked at, and finds its
// last hole. What lies between the newest of them and now is the look's freshness,
// not a hole.
func (h host) hole(times []time.Time, cites []Cite, key string) (n int, hole *AssetFinding) {
	limit := h.duration("hole")
	if len(times) == 0 {
		return 0, nil
	}
	start := h.watchedSince(h.at.Add(-h.duration("window")), times[0])
	upTo := start
	if times[0].Before(start) {
		upTo = times[0]
	}
	for i, at := range times {
		if at.Sub(upTo) > limit && at.After(start) {
			f := h.find(Unproven, "", say(key, "host", h.agent.Name, "from", h.clock(upTo), "to", h.clock(at)))
			f.Cites = append(f.Cites, cites[i])
			over := at
			if upTo.Equal(start) { // nothing was seen before: it gets shorter as the window moves on
				over = at.Add(-limit)
			}
			f.Due = soonest(f.Due, h.upcoming(over.Add(h.duration("window"))))
			hole = &f
		}
		if at.After(upTo) {
			upTo = at
		}
		if !at.Before(start) {
			n++
		}
	}
	return n, hole
}
