package hypervisor

import (
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Formats lists what this kind can read.
func Formats() []host.Format {
	return []host.Format{
		{Name: "virsh-list", Title: "virsh list --all", Parse: explain(ParseVirshList)},
		{Name: "virsh-domstats", Title: "virsh domstats", Parse: explain(ParseVirshStats)},
		{Name: "virsh-snapshots", Title: "virsh snapshot-list DOMAIN", Parse: explainSnapshots("libvirt", ParseVirshSnapshots)},
		{Name: "virsh-pool", Title: "virsh pool-info --bytes POOL", Parse: explain(func(b []byte) (Inventory, error) {
			s, err := ParseVirshPool(b)
			return Inventory{Stores: []evidence.HyperStore{s}}, err
		})},
		{Name: "pve-resources", Title: "pvesh get /cluster/resources --output-format json", Parse: explain(ParsePVEResources)},
		{Name: "pve-storage", Title: "pvesh get /nodes/NODE/storage --output-format json", Parse: explain(ParsePVEStorage)},
		{Name: "pve-ha", Title: "pvesh get /cluster/ha/status/current --output-format json, or /cluster/status", Parse: explain(func(b []byte) (Inventory, error) {
			ha, err := ParsePVEHA(b)
			return Inventory{HA: ha, Hosts: []evidence.HyperHost{{Name: "proxmox", Platform: "proxmox", State: evidence.HyperUnknown}}}, err
		})},
		{Name: "pve-snapshots", Title: "pvesh get /nodes/NODE/qemu/ID/snapshot --output-format json", Parse: explainSnapshots("proxmox", ParsePVESnapshots)},
		{Name: "pve-config", Title: "/etc/pve/qemu-server/ID.conf or lxc/ID.conf", Parse: explain(func(b []byte) (Inventory, error) {
			g := Guest{HyperGuest: evidence.HyperGuest{Name: "proxmox guest", State: evidence.HyperUnknown}}
			g.settings(ParsePVESettings(b))
			return Inventory{Guests: []Guest{g}}, nil
		})},
		{Name: "pve-content", Title: "pvesh get /nodes/NODE/storage/STORE/content --content backup --output-format json", Parse: explain(explainContent)},
		{Name: "vmware-inventory", Title: "what attesto-vmware prints", Parse: explain(ParseVMware)},
	}
}

// explain makes a format of a parser. Names stand as they are in what was captured.
func explain(parse func([]byte) (Inventory, error)) func([]byte, time.Time) (host.Look, error) {
	return func(data []byte, _ time.Time) (host.Look, error) {
		inv, err := parse(data)
		if err != nil {
			return host.Look{}, err
		}
		f, gaps := inv.facts(func(g Guest) string {
			if g.Own != "" {
				return g.Own
			}
			return g.Name
		})
		if len(f.Hosts)+len(f.Stores)+len(f.Guests) == 0 {
			return host.Look{Unsupported: true, Gaps: []evidence.Gap{{What: "hypervisor", Why: "no host, store or guest in it"}}}, nil
		}
		return host.Look{Facts: f, Gaps: gaps}, nil
	}
}

func explainSnapshots(name string, parse func([]byte) (int, time.Time, error)) func([]byte, time.Time) (host.Look, error) {
	return explain(func(b []byte) (Inventory, error) {
		n, oldest, err := parse(b)
		g := evidence.HyperGuest{Name: name + " guest", State: evidence.HyperUnknown, Snapshots: n}
		if n > 0 {
			g.Oldest = at(oldest)
		}
		return Inventory{Guests: []Guest{{HyperGuest: g}}}, err
	})
}

func explainContent(b []byte) (Inventory, error) {
	list, err := ParsePVEContent(b)
	if err != nil {
		return Inventory{}, err
	}
	inv, all := Inventory{Backups: true}, stored{}
	all.take(list)
	for name := range all {
		inv.Guests = append(inv.Guests, Guest{HyperGuest: evidence.HyperGuest{Name: name, State: evidence.HyperUnknown, Snapshots: -1}})
	}
	all.tell(inv.Guests)
	return inv, nil
}
