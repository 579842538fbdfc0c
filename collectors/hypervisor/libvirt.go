package hypervisor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

const (
	snapshotsAsked = 500 // domains whose snapshots are asked for
	poolsAsked     = 50
)

func hasLibvirt(h *host.Host) bool {
	for _, path := range []string{"/run/libvirt/libvirt-sock-ro", "/run/libvirt/virtqemud-sock-ro", "/var/run/libvirt/libvirt-sock-ro"} {
		if _, err := h.Stat(path); err == nil {
			return true
		}
	}
	return false
}

// libvirt asks the host's own daemon by its read-only door. virsh alone is often
// installed for other hosts.
func (l *look) libvirt(ctx context.Context) {
	if !hasLibvirt(l.h) && strings.HasPrefix(l.cfg.Libvirt, "qemu:///") {
		return
	}
	l.asked = true
	out, err := l.virsh(ctx, "domstats", "--state")
	var inv Inventory
	if err == nil {
		inv, err = ParseVirshStats(out)
	}
	if err != nil {
		l.gap("libvirt", err.Error())
		return
	}
	state := evidence.HyperHost{Name: "libvirt", Platform: "libvirt", State: evidence.HyperOnline}
	if out, err := l.virsh(ctx, "hostname"); err == nil && strings.TrimSpace(string(out)) != "" {
		state.Name, _, _ = strings.Cut(strings.TrimSpace(string(out)), ".")
	}
	if out, err := l.virsh(ctx, "version"); err == nil {
		state.Version = ParseVirshVersion(out)
	}
	inv.Hosts = append(inv.Hosts, state)
	l.domains(ctx, &inv, state.Name)
	l.pools(ctx, &inv, state.Name)
	l.inv.add(inv)
}

func (l *look) virsh(ctx context.Context, args ...string) ([]byte, error) {
	return l.run(ctx, "virsh", append([]string{"-r", "-q", "-c", l.cfg.Libvirt}, args...)...)
}

// domains adds start-up and snapshots.
func (l *look) domains(ctx context.Context, inv *Inventory, node string) {
	starts := map[string]bool{}
	if out, err := l.virsh(ctx, "list", "--all", "--autostart", "--name"); err == nil {
		for name := range strings.Lines(string(out)) {
			starts[strings.TrimSpace(name)] = true
		}
	} else {
		l.gap("libvirt's start-up of domains", err.Error())
	}
	for i := range inv.Guests {
		g := &inv.Guests[i]
		g.Host, g.Starts = node, starts[g.Own]
		if i >= snapshotsAsked || ctx.Err() != nil || strings.HasPrefix(g.Own, "-") {
			continue
		}
		out, err := l.run(ctx, "virsh", "-r", "-c", l.cfg.Libvirt, "snapshot-list", "--domain", g.Own)
		var n int
		var oldest time.Time
		if err == nil {
			n, oldest, err = ParseVirshSnapshots(out)
		}
		if err != nil {
			l.gap("snapshots of "+l.name(*g), err.Error())
			continue
		}
		if g.Snapshots = n; n > 0 {
			g.Oldest = at(oldest)
		}
	}
	if len(inv.Guests) > snapshotsAsked {
		l.gap("snapshots", "of more domains than one look asks for")
	}
}

func (l *look) pools(ctx context.Context, inv *Inventory, node string) {
	out, err := l.virsh(ctx, "pool-list", "--all", "--name")
	if err != nil {
		l.gap("libvirt's pools", err.Error())
		return
	}
	n := 0
	for name := range strings.Lines(string(out)) {
		name = strings.TrimSpace(name)
		if name == "" || strings.HasPrefix(name, "-") {
			continue
		}
		if n++; n > poolsAsked {
			l.gap("libvirt's pools", "more than one look asks for")
			return
		}
		out, err := l.virsh(ctx, "pool-info", "--bytes", "--pool", name)
		var s evidence.HyperStore
		if err == nil {
			s, err = ParseVirshPool(out)
		}
		if err != nil {
			l.gap("libvirt's pool "+name, err.Error())
			continue
		}
		s.Host = node
		inv.Stores = append(inv.Stores, s)
	}
}

// vmware runs the declared commands.
func (l *look) vmware(ctx context.Context) {
	for n, command := range l.cfg.VMware {
		l.asked = true
		out, err := l.run(ctx, command[0], command[1:]...)
		var inv Inventory
		if err == nil {
			inv, err = ParseVMware(out)
		}
		if err != nil {
			l.gap("VMware", err.Error())
			continue
		}
		for i := range inv.Guests { // each vCenter counts its objects anew
			if n > 0 {
				inv.Guests[i].Name = strings.Replace(inv.Guests[i].Name, "vmware-", fmt.Sprintf("vmware%d-", n+1), 1)
			}
		}
		l.inv.add(inv)
	}
}
