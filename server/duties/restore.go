package duties

import (
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// restoreCheck judges whether a sample of each backup was restored lately, and came back
// whole. It is the agent's sample, not a person's restore of a whole system.
var restoreCheck = check{
	kind:     evidence.KindRestore,
	params:   []string{"fresh", "age", "decrypted"},
	optional: true,
	judge:    judgeRestore,
}

func judgeRestore(h host) []AssetFinding {
	facts, gaps, err := decode[evidence.Restore](h)
	if err != nil {
		return h.unreadable(err)
	}
	var found []AssetFinding
	for _, t := range facts.Tests {
		found = append(found, h.restored(t))
	}
	// A gap on a job that is stated shows in the job's own test.
	gaps = slices.DeleteFunc(gaps, func(g evidence.Gap) bool {
		return slices.ContainsFunc(facts.Tests, func(t evidence.RestoreTest) bool { return g.What == "restore test of "+t.Job })
	})
	if len(gaps) > 0 {
		found = append(found, h.find(Unproven, "", say("gaps", "host", h.agent.Name, "gaps", gapText(gaps))))
	}
	return found
}

// restored judges one job's last test. One that could not be made leaves the last good
// one standing until that is too old.
func (h host) restored(t evidence.RestoreTest) AssetFinding {
	age := h.duration("age")
	args := []any{"job", t.Job, "host", h.agent.Name, "reason_codes", strings.Join(t.Reasons, ", "), "limit", int(age.Hours() / 24)}
	find := func(v Verdict, key string, more ...any) AssetFinding {
		return h.find(v, t.Job, say(key, append(args, more...)...))
	}
	if t.Result == evidence.BackupFailed {
		f := find(Breached, "restore_failed", "at", h.clock(h.local(t.At.Time)))
		f.measured = h.local(t.At.Time)
		return f
	}
	if t.LastGood == nil {
		return find(Unproven, "restore_untried")
	}
	good := h.local(t.LastGood.Time)
	if good.After(h.at.Add(time.Hour)) {
		f := find(Unproven, "restore_future", "at", h.clock(good))
		f.Due = soonest(f.Due, good.Add(-time.Hour))
		return f
	}
	if h.at.Sub(good) > age {
		key := "restore_old"
		if t.Result == evidence.BackupUnknown {
			key = "restore_old_untried"
		}
		f := find(Breached, key, "at", h.clock(good))
		f.measured = time.Time{} // nobody measured anything since
		return f
	}
	var f AssetFinding
	switch figures := []any{"at", h.clock(good), "files", t.Files, "held", t.Held, "compared", t.Compared}; {
	case h.flag("decrypted") && (t.Encryption == "none" || t.Encryption == "unknown"):
		f = find(Unproven, "restore_plain", "at", h.clock(good))
	case t.Result == evidence.BackupUnknown:
		f = find(Fulfilled, "restore_stands", figures...) // the newest attempt could not be made
	default:
		f = find(Fulfilled, "restore_good", figures...)
	}
	f.Due, f.measured = soonest(f.Due, h.upcoming(good.Add(age))), good
	return f
}
