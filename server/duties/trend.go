package duties

import (
	"fmt"
	"slices"
	"time"

	"github.com/attesto/attesto/evidence"
)

// trendCheck judges a host's last week against itself: hours far above what is usual
// there, and file systems that fill up.
var trendCheck = check{
	kind:   evidence.KindHealth,
	params: []string{"fresh", "covered", "factor", "floor", "hours", "growth"},
	facts:  trendFacts,
	judge:  judgeTrend,
}

// trendFacts is how far back a week is looked for: hosts tell it once a day.
const trendFacts = 50 * time.Hour

// trafficFloor is the traffic of an hour, in MiB, below which nothing is unusual.
const trafficFloor = 1024

func judgeTrend(h host) []AssetFinding {
	_, facts := usable[evidence.Health](h, h.at.Add(-trendFacts))
	at := len(facts) - 1
	for at >= 0 && len(facts[at].Week) == 0 {
		at--
	}
	if at < 0 {
		return []AssetFinding{h.short(trendFacts, say("trend_none", "host", h.agent.Name))}
	}
	week := facts[at].Week
	if share := float64(len(week)) / (7 * 24) * 100; share < h.number("covered") {
		return []AssetFinding{h.short(8*24*time.Hour, say("trend_short", "host", h.agent.Name, "count", len(week), "limit", h.number("covered")))}
	}
	cpus := float64(max(1, facts[at].CPUs))
	var found []AssetFinding
	for _, m := range []struct {
		name  string
		floor float64
		of    func(evidence.HealthHour) float64
	}{
		{"measure_cpu", h.number("floor"), func(w evidence.HealthHour) float64 { return w.CPU }},
		{"measure_memory", h.number("floor"), func(w evidence.HealthHour) float64 { return w.Mem }},
		{"measure_traffic", trafficFloor, func(w evidence.HealthHour) float64 { return w.Net }},
		{"measure_load", cpus, func(w evidence.HealthHour) float64 { return w.Load }},
	} {
		found = append(found, h.outliers(week, m.name, m.floor, m.of)...)
	}
	found = append(found, h.growth(week)...)
	if len(found) == 0 {
		found = append(found, h.find(Fulfilled, "", say("trend_good", "host", h.agent.Name, "count", len(week), "from", h.clock(h.local(week[0].At.Time)))))
	}
	return found
}

// short is the finding of a host that lacks a week; one that was enrolled not long ago
// cannot have it yet.
func (h host) short(young time.Duration, why Message) AssetFinding {
	f := h.find(Unproven, "", why)
	if f.Building = h.at.Sub(h.agent.Enrolled) < young; f.Building {
		f.Why.Args[argCause], f.Due = string(CauseBuilding), soonest(f.Due, h.agent.Enrolled.Add(young))
	}
	return f
}

// outliers finds the hours in which a measure was far above its median of the week and
// above the floor below which nothing is unusual.
func (h host) outliers(week []evidence.HealthHour, name string, floor float64, of func(evidence.HealthHour) float64) []AssetFinding {
	var values []float64
	for _, w := range week {
		if v := of(w); v >= 0 {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return nil // a figure that the system does not offer
	}
	slices.Sort(values)
	median := values[len(values)/2]
	limit := max(floor, median*h.number("factor"))
	count, worst := 0, week[0]
	for _, w := range week {
		if v := of(w); v > limit {
			if count++; v > of(worst) {
				worst = w
			}
		}
	}
	if float64(count) < h.number("hours") {
		return nil
	}
	return []AssetFinding{h.find(Breached, "", say("trend_outlier", "host", h.agent.Name, "measure_codes", name, "count", count,
		"worst", fmt.Sprintf("%.1f", of(worst)), "at", h.clock(h.local(worst.At.Time)), "median", fmt.Sprintf("%.1f", median)))}
}

// growth finds a fullest file system that filled up within the week.
func (h host) growth(week []evidence.HealthHour) []AssetFinding {
	first, last := -1.0, 0.0
	for _, w := range week {
		if w.Disk >= 0 {
			if last = w.Disk; first < 0 {
				first = w.Disk
			}
		}
	}
	if first < 0 || last-first < h.number("growth") {
		return nil
	}
	return []AssetFinding{h.find(Breached, "", say("trend_disk", "host", h.agent.Name, "from", fmt.Sprintf("%.0f", first), "to", fmt.Sprintf("%.0f", last)))}
}
