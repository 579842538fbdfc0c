package duties

import (
	"fmt"
	"math"
	"slices"
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
	var list []watched
	for i, f := range facts {
		for _, s := range f.Samples {
			list = append(list, watched{looks[i].local(s.At.Time), looks[i]})
		}
	}
	return h.hole(list, h.since(list), "", "health_hole")
}

// watched is a moment at which a host, or a thing of it, was looked at.
type watched struct {
	at   time.Time
	look Seen
}

// since is from when on a host must have been watched: the start of the window, or, of a
// host that was enrolled within it, the first moment.
func (h host) since(list []watched) time.Time {
	first := h.local(h.newest().To)
	if len(list) > 0 {
		first = list[0].at
	}
	return h.watchedSince(h.at.Add(-h.duration("window")), first)
}

// hole counts the moments of the window at which a thing of a host, "" for the host itself,
// was looked at, and finds its last hole, up to the end of the newest look. What lies
// between that and now is the look's freshness, not a hole.
func (h host) hole(list []watched, start time.Time, thing, key string, pairs ...any) (n int, hole *AssetFinding) {
	limit := h.duration("hole")
	upTo := start
	if len(list) > 0 && list[0].at.Before(start) {
		upTo = list[0].at
	}
	end := watched{h.local(h.newest().To), h.newest()}
	for i, w := range append(slices.Clip(list), end) {
		if w.at.Sub(upTo) > limit && w.at.After(start) {
			f := h.find(Unproven, thing, say(key, append(pairs, "host", h.agent.Name, "from", h.clock(upTo), "to", h.clock(w.at))...))
			f.Cites = append(f.Cites, Cite{w.look.Log, w.look.Index})
			over := w.at
			if upTo.Equal(start) { // nothing was seen before: it gets shorter as the window moves on
				over = w.at.Add(-limit)
			}
			f.Due = soonest(f.Due, h.upcoming(over.Add(h.duration("window"))))
			hole = &f
		}
		if w.at.After(upTo) {
			upTo = w.at
		}
		if i < len(list) && !w.at.Before(start) {
			n++
		}
	}
	return n, hole
}
