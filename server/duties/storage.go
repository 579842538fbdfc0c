package duties

import (
	"fmt"
	"strings"

	"github.com/attesto/attesto/evidence"
)

// storageCheck judges whether disks, arrays, pools and remote file systems are whole.
var storageCheck = check{
	kind:     evidence.KindStorage,
	params:   []string{"fresh", "pool", "scrub", "replaced"},
	optional: true,
	judge:    judgeStorage,
}

func judgeStorage(h host) []AssetFinding {
	facts, gaps, err := decode[evidence.Storage](h)
	if err != nil {
		return h.unreadable(err)
	}
	var found []AssetFinding
	if len(gaps) > 0 {
		found = append(found, h.find(Unproven, "", say("gaps", "host", h.agent.Name, "gaps", gapText(gaps))))
	}
	for _, d := range facts.Devices {
		found = append(found, h.device(d))
	}
	return found
}

// device judges one device: what it says of itself, then how full and how long unread.
func (h host) device(d evidence.StorageDevice) AssetFinding {
	args := []any{"device", d.Name, "host", h.agent.Name, "at", h.clock(h.moment(h.newest()))}
	why := ""
	for i, r := range d.Reasons {
		if i > 0 {
			why += ", "
		}
		why += "storage_" + r
	}
	find := func(v Verdict, key string, more ...any) AssetFinding {
		return h.find(v, d.Name, say(key, append(args, more...)...))
	}
	switch d.State {
	case evidence.StorageFailed, evidence.StorageDegraded:
		return find(Breached, "storage_bad", "state_codes", "storage_"+d.State, "reason_codes", why)
	case evidence.StorageRebuilding:
		return find(Breached, "storage_rebuilding", "progress", progress(d))
	case evidence.StorageUnknown:
		return find(Unproven, "storage_unknown", "reason_codes", why)
	}
	limit := h.number("pool")
	for _, used := range []*float64{d.Used, d.Meta} {
		if used != nil && *used >= limit {
			return find(Breached, "storage_full", "used", fmt.Sprintf("%.0f", *used), "limit", limit)
		}
	}
	if d.State == evidence.StorageWarning && !h.tolerated(d) {
		return find(Breached, "storage_warning", "reason_codes", why)
	}
	good := find(Fulfilled, "storage_good")
	switch days := h.duration("scrub"); {
	case days == 0:
	case d.Scrubbed != nil:
		scrubbed := h.local(d.Scrubbed.Time)
		if h.at.Sub(scrubbed) > days {
			return find(Breached, "storage_unscrubbed", "scrubbed", h.clock(scrubbed), "limit", int(days.Hours()/24))
		}
		good.Due = soonest(good.Due, h.upcoming(scrubbed.Add(days)))
	case scrubs(d):
		return find(Unproven, "storage_scrub_unknown", "limit", int(days.Hours()/24))
	}
	return good
}

// scrubs reports whether a device should tell when it was last read through: a pool, but
// for those of LVM, which are not, and of btrfs, whose counters do not say. While one is
// read through it tells of that instead.
func scrubs(d evidence.StorageDevice) bool {
	return d.Kind == evidence.StoragePool && !strings.HasPrefix(d.Form, "lvm") && d.Form != "btrfs" && d.State != evidence.StorageChecking && d.Progress == nil
}

// tolerated reports whether the only sign is sectors that were replaced, and those are
// fewer than the limit.
func (h host) tolerated(d evidence.StorageDevice) bool {
	for _, r := range d.Reasons {
		if r != evidence.StorageReplaced && r != evidence.StorageErrorLog {
			return false
		}
	}
	return d.Replaced == nil || float64(*d.Replaced) < h.number("replaced")
}

func progress(d evidence.StorageDevice) string {
	if d.Progress == nil {
		return "?"
	}
	return fmt.Sprintf("%.0f", *d.Progress)
}
