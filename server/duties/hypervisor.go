package duties

import (
	"fmt"
	"slices"
	"time"

	"github.com/attesto/attesto/evidence"
)

// hypervisorCheck judges whether hosts of virtual machines, their stores, HA and
// snapshots are in order.
var hypervisorCheck = check{
	kind:     evidence.KindHypervisor,
	params:   []string{"fresh", "store", "snapshot"},
	optional: true,
	judge:    judgeHypervisor,
}

// vmbackupCheck judges whether each guest has a backup that is young enough, in the
// stores that its hypervisor knows.
var vmbackupCheck = check{
	kind:     evidence.KindHypervisor,
	params:   []string{"fresh", "age"},
	optional: true,
	none:     "vmbackup_no_guests",
	judge:    judgeVMBackup,
}

func judgeHypervisor(h host) []AssetFinding {
	facts, gaps, err := decode[evidence.Hypervisor](h)
	if err != nil {
		return h.unreadable(err)
	}
	var found []AssetFinding
	bad := func(v Verdict, thing, key string, more ...any) {
		args := append([]any{"name", thing, "host", h.agent.Name, "at", h.clock(h.moment(h.newest()))}, more...)
		found = append(found, h.find(v, thing, say(key, args...)))
	}
	for _, x := range facts.Hosts {
		switch x.State {
		case evidence.HyperOffline:
			bad(Breached, x.Name, "hyper_host_down")
		case evidence.HyperUnknown:
			bad(Unproven, x.Name, "hyper_unknown")
		}
	}
	h.stores(facts, bad)
	for _, x := range facts.HA {
		switch x.State {
		case evidence.HyperHAError:
			bad(Breached, x.Name, "hyper_ha")
		case evidence.HyperUnknown:
			bad(Unproven, x.Name, "hyper_unknown")
		}
	}
	next := h.guests(facts, bad)
	if len(gaps) > 0 {
		found = append(found, h.find(Unproven, "", say("gaps", "host", h.agent.Name, "gaps", gapText(gaps))))
	}
	if len(found) == 0 {
		found = append(found, h.find(Fulfilled, "", say("hyper_good", "host", h.agent.Name, "hosts", len(facts.Hosts), "stores", len(facts.Stores), "guests", len(facts.Guests), "at", h.clock(h.moment(h.newest())))))
	}
	for i := range found {
		found[i].Due = soonest(found[i].Due, next)
	}
	return found
}

// unfilled are the forms of stores that have no filling of their own: Proxmox VE reaches
// through them to LUNs, or to the stores of an ESXi host (pvesm(1)).
var unfilled = []string{"iscsi", "iscsidirect", "esxi"}

func (h host) stores(facts evidence.Hypervisor, bad func(Verdict, string, string, ...any)) {
	limit := h.number("store")
	for _, x := range facts.Stores {
		name := x.Name
		if x.Host != "" {
			name += " (" + x.Host + ")"
		}
		taken := 100 * float64(x.Size-x.Free) // divided by its size, how full it is in percent
		switch {
		case x.State == evidence.HyperInactive:
			bad(Breached, name, "hyper_store_away")
		case x.State == evidence.HyperAvailable && x.Size > 0 && x.Free >= 0 && taken >= limit*float64(x.Size):
			bad(Breached, name, "hyper_store_full", "used", fmt.Sprintf("%.0f", taken/float64(x.Size)), "limit", limit)
		case x.State == evidence.HyperUnknown && h.anyUp(facts, x.Host):
			bad(Unproven, name, "hyper_unknown")
		case x.State == evidence.HyperAvailable && (x.Size <= 0 || x.Free < 0) && !slices.Contains(unfilled, x.Form):
			bad(Unproven, name, "hyper_store_unknown")
		}
	}
}

// anyUp tells whether the host of a store could have been asked: of one that is down,
// the host itself is the finding.
func (h host) anyUp(facts evidence.Hypervisor, name string) bool {
	for _, x := range facts.Hosts {
		if x.Name == name {
			return x.State != evidence.HyperOffline
		}
	}
	return true
}

// guests finds guests that crashed or of which nobody knows, and snapshots that are too
// old; next is when another snapshot is.
func (h host) guests(facts evidence.Hypervisor, bad func(Verdict, string, string, ...any)) (next time.Time) {
	days := h.duration("snapshot")
	for _, g := range facts.Guests {
		switch {
		case g.State == evidence.HyperCrashed:
			bad(Breached, g.Name, "hyper_guest_crashed")
		case g.State == evidence.HyperUnknown && h.anyUp(facts, g.Host):
			bad(Unproven, g.Name, "hyper_unknown")
		case days > 0 && g.Oldest != nil && h.at.Sub(h.local(g.Oldest.Time)) > days:
			bad(Breached, g.Name, "hyper_snapshot", "count", g.Snapshots, "taken", h.clock(h.local(g.Oldest.Time)), "limit", int(days.Hours()/24))
		case g.Oldest != nil:
			next = soonest(next, h.upcoming(h.local(g.Oldest.Time).Add(days)))
		}
	}
	return next
}

func judgeVMBackup(h host) []AssetFinding {
	facts, gaps, err := decode[evidence.Hypervisor](h)
	if err != nil {
		return h.unreadable(err)
	}
	var found []AssetFinding
	young := 0
	age := h.duration("age")
	var due time.Time
	for _, g := range facts.Guests {
		if g.Template {
			continue
		}
		find := func(v Verdict, key string, more ...any) {
			args := append([]any{"name", g.Name, "host", h.agent.Name, "limit", int(age.Hours() / 24)}, more...)
			found = append(found, h.find(v, g.Name, say(key, args...)))
		}
		switch {
		case g.Backup == nil && !facts.Backups:
			// nobody asked: said once, below
		case g.Backup == nil:
			find(Breached, "vmbackup_none")
			found[len(found)-1].measured = time.Time{} // it may have one where this hypervisor does not look
		case g.Damaged:
			find(Breached, "vmbackup_damaged", "at", h.clock(h.local(g.Backup.Time)))
		case h.at.Sub(h.local(g.Backup.Time)) > age:
			find(Breached, "vmbackup_old", "at", h.clock(h.local(g.Backup.Time)))
		case h.local(g.Backup.Time).After(h.at.Add(time.Hour)):
			find(Unproven, "vmbackup_future", "at", h.clock(h.local(g.Backup.Time)))
			due = soonest(due, h.local(g.Backup.Time).Add(-time.Hour))
		default:
			young++
			due = soonest(due, h.upcoming(h.local(g.Backup.Time).Add(age)))
		}
	}
	if !facts.Backups {
		found = append(found, h.find(Unproven, "", say("vmbackup_unasked", "host", h.agent.Name, "gaps", gapText(gaps))))
	}
	others := besides(gaps, "snapshots", "guests' snapshots", "libvirt's start-up", "libvirt's pool", "Proxmox VE's HA", "Proxmox VE's version", "guests' backups", "backups in store")
	if len(others) > 0 { // guests may be missing
		found = append(found, h.find(Unproven, "", say("gaps", "host", h.agent.Name, "gaps", gapText(others))))
	}
	if len(found) == 0 && young > 0 {
		found = append(found, h.find(Fulfilled, "", say("vmbackup_good", "host", h.agent.Name, "count", young, "limit", int(age.Hours()/24))))
	}
	for i := range found {
		found[i].Due = soonest(found[i].Due, due)
	}
	return found
}
