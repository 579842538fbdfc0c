package duties

import (
	"fmt"
	"time"

	"github.com/attesto/attesto/evidence"
)

// healthCheck judges whether a host was watched without holes and is in order.
var healthCheck = check{
	kind:   evidence.KindHealth,
	params: []string{"fresh", "window", "hole", "disk"},
	facts:  26 * time.Hour,
	judge:  judgeHealth,
}

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
	if len(facts.Units.Failed) > 0 {
		bad(Breached, "units_failed", "units", listed(facts.Units.Failed))
	}
	limit := h.number("disk")
	for _, d := range facts.Disks {
		if d.UsedPct >= limit {
			bad(Breached, "disk_full", "disk", d.Mount, "used", fmt.Sprintf("%.0f", d.UsedPct), "limit", limit)
		}
		if d.InodesPct >= limit {
			bad(Breached, "disk_inodes", "disk", d.Mount, "used", fmt.Sprintf("%.0f", d.InodesPct), "limit", limit)
		}
		if d.Unreadable {
			bad(Unproven, "disk_silent", "disk", d.Mount)
		}
	}
	for _, s := range facts.Watched {
		switch s.State {
		case "running":
		case "stopped":
			bad(Breached, "service_stopped", "name", s.Name)
		default:
			bad(Unproven, "service_unknown", "name", s.Name)
		}
	}
	return found
}

// samples counts the samples of the window and finds its first hole.
func (h host) samples() (n int, hole *AssetFinding) {
	limit := h.duration("hole")
	start := h.watchedSince(h.at.Add(-h.duration("window")))
	upTo := start
	looks, facts := usable[evidence.Health](h, start.Add(-time.Hour))
	for i, f := range facts {
		for _, s := range f.Samples {
			at := h.local(s.At.Time)
			if at.Before(upTo) {
				if at.After(start) {
					n++
				}
				continue
			}
			if at.Sub(upTo) > limit && hole == nil {
				f := h.find(Unproven, "", say("health_hole", "host", h.agent.Name, "from", h.clock(upTo), "to", h.clock(at)))
				f.Cites = append(f.Cites, Cite{looks[i].Log, looks[i].Index})
				hole = &f
			}
			upTo, n = at, n+1
		}
	}
	if n == 0 {
		f := h.find(Unproven, "", say("health_no_samples", "host", h.agent.Name))
		return 0, &f
	}
	return n, hole
}
