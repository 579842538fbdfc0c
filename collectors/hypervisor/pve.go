package hypervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

const (
	pveRoot      = "/etc/pve"
	captureFresh = 15 * time.Minute // how old an answer that root left may be
	maxStores    = 20               // of backups, that are asked
	maxSettings  = 1 << 20
)

func hasProxmox(h *host.Host) bool {
	_, err := h.Stat("/usr/bin/pvesh")
	return err == nil
}

// proxmox asks the node on which the agent runs; it knows the whole cluster.
func (l *look) proxmox(ctx context.Context) {
	if !hasProxmox(l.h) {
		return
	}
	l.asked = true
	out, err := l.pvesh(ctx, "resources", "/cluster/resources")
	var inv Inventory
	if err == nil {
		inv, err = ParsePVEResources(out)
	}
	if err != nil {
		l.gap("Proxmox VE", err.Error())
		return
	}
	l.version(ctx, &inv)
	if out, err = l.pvesh(ctx, "ha", "/cluster/ha/status/current"); err == nil {
		inv.HA, err = ParsePVEHA(out)
	}
	if err != nil {
		l.gap("Proxmox VE's HA", err.Error())
	}
	l.settings(&inv)
	l.backups(ctx, &inv)
	l.inv.add(inv)
}

// pvesh gives root's answer if it is fresh, else asks itself.
func (l *look) pvesh(ctx context.Context, name, address string, args ...string) ([]byte, error) {
	file := path.Join(l.cfg.Capture, name+".json")
	if info, err := l.h.Stat(file); err == nil {
		if l.now.Sub(info.ModTime()) > captureFresh {
			return nil, errors.New("what root's service left is older than 15 minutes: systemctl status attesto-hypervisor.timer")
		}
		out, err := l.h.ReadFile(file, output)
		if errors.Is(err, fs.ErrPermission) {
			return nil, fmt.Errorf("what root's service left may not be read: chgrp -R attesto %s && chmod -R g+rX %[1]s", l.cfg.Capture)
		}
		return out, err
	}
	return l.run(ctx, "pvesh", append([]string{"get", address, "--output-format", "json"}, args...)...)
}

func (l *look) version(ctx context.Context, inv *Inventory) {
	out, err := l.pvesh(ctx, "version", "/version")
	version := ""
	if err == nil {
		version, err = ParsePVEVersion(out)
	}
	if err != nil {
		l.gap("Proxmox VE's version", err.Error())
		return
	}
	node, err := l.h.ReadFile("/proc/sys/kernel/hostname", 1<<10)
	for i := range inv.Hosts { // the version of this node: others may run another
		if err == nil && inv.Hosts[i].Name == strings.TrimSpace(string(node)) || len(inv.Hosts) == 1 {
			inv.Hosts[i].Version = version
		}
	}
}

// settings reads start-up and snapshots in the guests' own files.
func (l *look) settings(inv *Inventory) {
	unread := 0
	for i := range inv.Guests {
		g := &inv.Guests[i]
		text, err := l.guestFile(*g)
		if err != nil {
			unread++
			continue
		}
		g.settings(ParsePVESettings(text))
	}
	if unread > 0 {
		l.gap("guests' snapshots", fmt.Sprintf("settings of %d of %d guests in /etc/pve could not be read: root and the group www-data may; see hypervisor.conf in /usr/share/doc/attesto-agent/examples", unread, len(inv.Guests)))
	}
}

func (l *look) guestFile(g Guest) ([]byte, error) {
	id := strings.TrimPrefix(g.Name, "vm-")
	for _, kind := range []string{"qemu-server", "lxc"} {
		text, err := l.h.ReadFile(path.Join(pveRoot, "nodes", path.Base(g.Host), kind, id+".conf"), maxSettings)
		if !errors.Is(err, fs.ErrNotExist) {
			return text, err
		}
	}
	return nil, fs.ErrNotExist
}

func (g *Guest) settings(s Settings) {
	g.Starts, g.Template = s.Starts, g.Template || s.Template
	g.Snapshots, g.Oldest = s.Snapshots, nil
	if s.Snapshots > 0 {
		g.Oldest = at(s.Oldest)
	}
	if g.Own == "" {
		g.Own = s.Name
	}
}

// backups asks each store of backups once an hour what it holds.
func (l *look) backups(ctx context.Context, inv *Inventory) {
	if l.cursor.due(l.now) {
		l.cursor.Asked, l.cursor.Backups, l.cursor.Whole = l.now, stored{}, true
		asked := map[string]bool{}
		for _, s := range inv.Stores {
			if asked[s.Name] && s.Host == "" || s.State == evidence.HyperDisabled || !l.holdsBackups(s.Name) {
				continue
			}
			if len(asked) >= maxStores {
				l.cursor.Whole = false
				break
			}
			asked[s.Name] = true
			l.storeBackups(ctx, inv, s)
		}
		if len(asked) == 0 {
			l.cursor.Whole = false
		}
	}
	l.cursor.Backups.tell(inv.Guests)
	inv.Backups = l.cursor.Whole
	if !l.cursor.Whole {
		l.gap("guests' backups", "not every store of backups could be asked what it holds")
	}
}

// holdsBackups tells whether a store is one of backups, by storage.cfg; where that may
// not be read, any store may be.
func (l *look) holdsBackups(store string) bool {
	text, err := l.h.ReadFile(pveRoot+"/storage.cfg", maxSettings)
	if err != nil {
		return true
	}
	return storesBackups(string(text), store)
}

// storesBackups reads /etc/pve/storage.cfg (pvesm(1)): blocks "TYPE: NAME" with indented
// settings; a store without the setting content has its type's default, of which only
// that of pbs is backups.
func storesBackups(text, store string) bool {
	in, pbs := false, false
	for line := range strings.Lines(text) {
		indented := strings.HasPrefix(line, "\t") || strings.HasPrefix(line, " ")
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if !indented && value != "" {
			in = strings.TrimSpace(value) == store
			pbs = pbs || in && key == "pbs"
			continue
		}
		if list, ok := strings.CutPrefix(strings.TrimSpace(line), "content "); in && ok {
			for item := range strings.SplitSeq(list, ",") {
				if strings.TrimSpace(item) == "backup" {
					return true
				}
			}
			return false
		}
	}
	return pbs
}

func (l *look) storeBackups(ctx context.Context, inv *Inventory, s evidence.HyperStore) {
	node := s.Host
	for _, h := range inv.Hosts {
		if node == "" && h.State == evidence.HyperOnline {
			node = h.Name
		}
	}
	out, err := l.pvesh(ctx, "content-"+path.Base(s.Name), "/nodes/"+node+"/storage/"+s.Name+"/content", "--content", "backup")
	var list []Backup
	if err == nil {
		list, err = ParsePVEContent(out)
	}
	if err != nil {
		l.cursor.Whole = false
		l.gap("backups in store "+s.Name, err.Error())
		return
	}
	l.cursor.Backups.take(list)
}
