package duties

import (
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// antivirusCheck judges whether what antivirus products know is current. That one runs
// proves nothing: the age of what it looks with decides, and whether it can get younger.
// A host that serves and has none is looked after by none.
var antivirusCheck = check{
	kind:   evidence.KindAntivirus,
	params: []string{"fresh", "age", "running", "realtime", "scan"},
	judge:  judgeAntivirus,
}

// endingSoon is how long before an engine is cut off the finding says so.
const endingSoon = 90 * 24 * time.Hour

func judgeAntivirus(h host) []AssetFinding {
	facts, gaps, err := decode[evidence.Antivirus](h)
	if err != nil {
		return h.unreadable(err)
	}
	var found []AssetFinding
	active := slices.ContainsFunc(facts.Products, func(p evidence.AntivirusProduct) bool { return !p.Passive })
	for _, p := range facts.Products {
		if !p.Passive || !active {
			found = append(found, h.product(p, gaps))
		}
	}
	// Gaps on a product that is in the facts show there as unknown; others may hide one.
	gaps = slices.DeleteFunc(gaps, func(g evidence.Gap) bool {
		return slices.ContainsFunc(facts.Products, func(p evidence.AntivirusProduct) bool { return strings.HasSuffix(g.What, " of "+p.Name) })
	})
	if len(gaps) > 0 {
		found = append(found, h.find(Unproven, "", say("gaps", "host", h.agent.Name, "gaps", gapText(gaps))))
	}
	return found
}

// product judges one product: first what keeps it from ever being current, then its age.
func (h host) product(p evidence.AntivirusProduct, gaps []evidence.Gap) AssetFinding {
	looked := h.moment(h.newest())
	limit := h.duration("age")
	served := lastDay(p.Served)
	args := []any{"product", p.Name, "host", h.agent.Name, "engine", orQuestion(p.Engine), "at", h.clock(looked)}
	find := func(v Verdict, key string, more ...any) AssetFinding {
		f := h.find(v, p.Name, say(key, append(args, more...)...))
		f.Due = soonest(f.Due, h.upcoming(served))
		return f
	}
	switch {
	case p.Passive:
		return find(Unproven, "av_passive")
	case p.Running == evidence.No && h.flag("running"):
		return find(Breached, "av_stopped")
	case p.Licence == evidence.No:
		return find(Breached, "av_licence")
	case !served.IsZero() && h.at.After(served):
		return find(Breached, "av_cut_off", "day", p.Served)
	case p.Update.Result == evidence.UpdateFailed && p.Update.Reason == evidence.UpdateBlocked:
		return find(Breached, "av_blocked")
	}
	age, known := p.Age(looked, h.at)
	switch {
	case !known && len(p.Definitions) == 0 && !slices.ContainsFunc(gaps, func(g evidence.Gap) bool { return g.What == "definitions of "+p.Name }):
		return find(Breached, "av_none")
	case !known:
		return find(Unproven, "av_unknown", "gaps", gapText(gaps))
	case age < -time.Hour:
		f := find(Unproven, "av_future", "built", h.clock(h.at.Add(-age)))
		f.Due = soonest(f.Due, h.at.Add(-age-time.Hour))
		return f
	case age > limit:
		return h.outOfDate(p, looked, find, "built", h.clock(h.at.Add(-age)), "age", hours(age), "limit", hours(limit))
	}
	switch {
	case p.Running == evidence.Unknown && h.flag("running"):
		return find(Unproven, "av_running_unknown", "gaps", gapText(of(gaps, "service of "+p.Name)))
	case p.Licence == evidence.Unknown:
		return find(Unproven, "av_licence_unknown", "gaps", gapText(of(gaps, "licence of "+p.Name)))
	}
	if f, asked := h.looking(p, find); asked {
		return f
	}
	key, more := "av_current", []any{"age", hours(max(age, 0)), "built", h.clock(h.at.Add(-age))}
	if !served.IsZero() && served.Sub(h.at) < endingSoon {
		key, more = "av_ending", append(more, "day", p.Served)
	}
	f := find(Fulfilled, key, more...)
	f.Due = soonest(f.Due, h.upcoming(h.at.Add(limit-age)))
	if term := h.duration("scan"); term > 0 {
		f.Due = soonest(f.Due, h.upcoming(h.local(p.Scan.At.Time).Add(term)))
	}
	return f
}

// outOfDate says why definitions are too old, as far as the facts tell.
func (h host) outOfDate(p evidence.AntivirusProduct, looked time.Time, find func(Verdict, string, ...any) AssetFinding, args ...any) AssetFinding {
	onDisk := p
	onDisk.Loaded = nil
	if age, ok := onDisk.Age(looked, h.at); ok && age <= h.duration("age") {
		return find(Breached, "av_not_reloaded", args...)
	}
	if p.Update.Result == evidence.UpdateFailed {
		return find(Breached, "av_update_failed", append(args, "reason_codes", "av_"+p.Update.Reason)...)
	}
	return find(Breached, "av_old", args...)
}

// looking judges what only some duties ask for: looking at files as they are opened, and
// looking through all of them now and then.
func (h host) looking(p evidence.AntivirusProduct, find func(Verdict, string, ...any) AssetFinding) (AssetFinding, bool) {
	if h.flag("realtime") {
		switch p.RealTime {
		case evidence.No:
			return find(Breached, "av_realtime_off"), true
		case evidence.Unknown:
			return find(Unproven, "av_realtime_unknown"), true
		}
	}
	limit := h.duration("scan")
	switch {
	case limit == 0:
	case p.NeverScans:
		return find(Breached, "av_never_scanned", "limit", int(limit.Hours()/24)), true
	case p.Scan == nil || p.Scan.At == nil:
		return find(Unproven, "av_scan_unknown"), true
	case h.at.Sub(h.local(p.Scan.At.Time)) > limit:
		return find(Breached, "av_scan_old", "scanned", h.clock(h.local(p.Scan.At.Time)), "limit", int(limit.Hours()/24)), true
	}
	return AssetFinding{}, false
}

// lastDay is the end of a day, zero if it names none.
func lastDay(day string) time.Time {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return time.Time{}
	}
	return t.Add(24 * time.Hour)
}

func orQuestion(s string) string {
	if s == "" {
		return "?"
	}
	return s
}
