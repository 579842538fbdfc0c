// Package hypervisor asks Proxmox VE, libvirt and VMware how the hosts of virtual machines
// are, how full what they are stored on is, and what is known of each guest: whether it
// runs, its snapshots, its newest backup. It asks only; it changes nothing.
package hypervisor

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

const (
	every    = 5 * time.Minute
	timeout  = 4 * time.Minute
	patience = 45 * time.Second // for one question
	output   = 32 << 20         // of one answer, in bytes

	// DefaultCapture is where a small service of root leaves Proxmox's answers, so that
	// the agent need not be root.
	DefaultCapture = "/run/attesto-hypervisor"
)

// Spec describes the collector.
func Spec() host.Spec {
	return host.Spec{
		Kind: evidence.KindHypervisor, Title: "Hypervisors: hosts, stores, guests, snapshots, backups, HA",
		OS:    []string{"linux"},
		Needs: host.NeedExec | host.NeedRoot, Every: every, Timeout: timeout,
		New: New, Detect: detect, Formats: Formats(),
		About: host.About{
			Reads: []string{
				"Proxmox VE: `pvesh get` of /cluster/resources, /version, /cluster/ha/status/current, and once an hour the list of backups in each store; guests' settings in /etc/pve for start-up and snapshots",
				"libvirt: `virsh -r` (read-only) domstats, list, snapshot-list, pool-list, pool-info, version",
				"VMware: what the separate program attesto-vmware prints, where the configuration names it",
			},
			Sends: []string{
				"hosts: name, platform, version, state; stores: name, kind, state, size, free; HA: quorum, services and their state",
				"per guest: a number or pseudonym, state, whether it starts with its host, snapshots and the oldest one's time, newest stored backup and its verification",
				"names of guests (erasable; in the facts only with `names: true`)",
			},
			Never: []string{
				"guests' settings, addresses, disks and consoles",
				"passwords and tokens: those for VMware stand in a file of attesto-vmware's own",
			},
			Needs: []string{
				"pvesh runs as root only: `attesto-hypervisor.service` and `.timer` (see /usr/share/doc/attesto-agent/examples) let root ask and leave the answers in /run/attesto-hypervisor, where the agent reads them",
				"group `www-data` for guests' settings in /etc/pve, by the drop-in `hypervisor.conf`; without it start-up and snapshots are a gap",
				"virsh -r needs nothing where libvirt's read-only socket is open, as it is by default",
			},
		},
	}
}

// Config is the kind's part of the agent's config file.
type Config struct {
	// Names sends guests' names in place of pseudonyms.
	Names bool `yaml:"names"`
	// Capture is where root's service leaves Proxmox's answers; DefaultCapture if empty.
	Capture string `yaml:"capture"`
	// Libvirt is the address that virsh connects to; qemu:///system if empty.
	Libvirt string `yaml:"libvirt"`
	// VMware are commands that print an inventory as attesto-vmware does, each with its
	// arguments.
	VMware [][]string `yaml:"vmware"`
}

// numbered are names that Proxmox and VMware gave.
var numbered = regexp.MustCompile(`^(vmware\d*-)?vm-\d{1,12}$`)

var libvirtForm = regexp.MustCompile(`^[a-z]+(\+[a-z]+)?://[^\s]*$`)

type collector struct {
	cfg Config
	h   *host.Host
}

// New makes the collector of what the config file says.
func New(decode func(any) error, h *host.Host) (host.Collector, error) {
	c := &collector{h: h}
	if err := decode(&c.cfg); err != nil {
		return nil, err
	}
	if c.cfg.Capture == "" {
		c.cfg.Capture = DefaultCapture
	}
	if c.cfg.Libvirt == "" {
		c.cfg.Libvirt = "qemu:///system"
	}
	if !libvirtForm.MatchString(c.cfg.Libvirt) {
		return nil, fmt.Errorf("hypervisor.libvirt %q: want an address such as qemu:///system", c.cfg.Libvirt)
	}
	for i, command := range c.cfg.VMware {
		if len(command) == 0 || !filepath.IsAbs(command[0]) {
			return nil, fmt.Errorf("hypervisor.vmware[%d]: want a program with its whole path and its arguments, such as [/usr/bin/attesto-vmware, --config, /etc/attesto/vmware.yaml]", i)
		}
	}
	return c, nil
}

// Detail says which guest a name of the facts stands for.
type Detail struct {
	Guests map[string]string `json:"guests,omitempty"`
}

// look is one look under way.
type look struct {
	*collector
	now    time.Time
	cursor cursor
	inv    Inventory
	gaps   []evidence.Gap
	asked  bool // a platform is there
}

// Collect asks each platform that is there.
func (c *collector) Collect(ctx context.Context, cur []byte) (host.Look, error) {
	l := &look{collector: c, now: c.h.Now(), cursor: readCursor(cur)}
	l.proxmox(ctx)
	l.libvirt(ctx)
	l.vmware(ctx)
	if err := ctx.Err(); err != nil {
		return host.Look{}, fmt.Errorf("asking the hypervisor: %w", err)
	}
	if !l.asked {
		return host.Look{Unsupported: true, Gaps: []evidence.Gap{{What: "hypervisor", Why: "no Proxmox VE, no libvirt, and no VMware named in the agent's config"}}}, nil
	}
	detail := Detail{Guests: map[string]string{}}
	f, more := l.inv.facts(func(g Guest) string {
		name := c.name(g)
		if g.Own != "" && g.Own != name && len(detail.Guests) < evidence.MaxHyperGuests {
			detail.Guests[name] = g.Own
		}
		return name
	})
	l.gaps = append(l.gaps, more...)
	next, err := l.cursor.encode()
	if err != nil {
		return host.Look{}, err
	}
	if len(f.Hosts)+len(f.Stores)+len(f.Guests) == 0 {
		if len(l.gaps) == 0 {
			return host.Look{Unsupported: true, Gaps: []evidence.Gap{{What: "hypervisor", Why: "no host, store or guest here"}}}, nil
		}
		return host.Look{}, fmt.Errorf("%s: %s", l.gaps[0].What, l.gaps[0].Why)
	}
	return host.Look{Facts: f, Detail: detail, Gaps: l.gaps, Next: next}, nil
}

// name is a guest's number on Proxmox, else a pseudonym that is the same in every look of
// this host, or the name.
func (c *collector) name(g Guest) string {
	switch {
	case c.cfg.Names && g.Own != "":
		return g.Own
	case numbered.MatchString(g.Name):
		return g.Name
	}
	mac := hmac.New(sha256.New, c.h.MachineKey)
	fmt.Fprintf(mac, "guest\x00%s", cmp.Or(g.Name, g.Own))
	return "guest-" + hex.EncodeToString(mac.Sum(nil)[:6])
}

func (l *look) gap(what, why string) { l.gaps = append(l.gaps, evidence.Gap{What: what, Why: why}) }

// run runs a program under its own deadline and says in words why it gave nothing.
func (l *look) run(ctx context.Context, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	res, err := l.h.Run(ctx, host.Command{Name: name, Args: args, Limit: output})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("%s did not answer within %v", filepath.Base(name), patience)
	case err != nil:
		return nil, err
	case res.Cut:
		return nil, fmt.Errorf("%s printed more than %d bytes", filepath.Base(name), output)
	case res.Exit != 0:
		return nil, refusal(filepath.Base(name), res)
	}
	return res.Stdout, nil
}

var errRoot = errors.New("may be asked by root only: see attesto-hypervisor.service in /usr/share/doc/attesto-agent/examples")

// refusal is what a program said when it failed.
func refusal(name string, res host.Result) error {
	text := strings.TrimSpace(res.Stderr)
	if low := strings.ToLower(text); strings.Contains(low, "permission denied") || strings.Contains(low, "as root") || strings.Contains(low, "authentication") {
		return errRoot
	}
	text, _, _ = strings.Cut(text, "\n")
	if r := []rune(strings.ToValidUTF8(text, "")); len(r) > 200 {
		text = string(r[:200])
	}
	return fmt.Errorf("%s ended with exit code %d: %s", name, res.Exit, text)
}

// cureSettings is a drop-in, since /etc/pve takes no access lists.
const cureSettings = "cp /usr/share/doc/attesto-agent/examples/hypervisor.conf /etc/systemd/system/attesto-agent.service.d/ && systemctl daemon-reload && systemctl restart attesto-agent"

func detect(_ context.Context, h *host.Host) host.Detection {
	var d host.Detection
	var found []string
	if hasProxmox(h) {
		found = append(found, "Proxmox VE")
		if _, err := h.Stat(DefaultCapture); err != nil {
			d.Missing = append(d.Missing, host.Missing{What: "pvesh may be run by root only", Cure: "install attesto-hypervisor.service and .timer from /usr/share/doc/attesto-agent/examples"})
		}
		d.Missing = append(d.Missing, h.Unread(DefaultCapture+"/*.json")...)
		if len(h.Unread(pveRoot+"/nodes/*/qemu-server/*.conf", pveRoot+"/nodes/*/lxc/*.conf")) > 0 {
			d.Missing = append(d.Missing, host.Missing{What: "permission to read guests' settings in " + pveRoot, Cure: cureSettings})
		}
	}
	if hasLibvirt(h) {
		found = append(found, "libvirt")
	}
	d.Useful, d.Found = len(found) > 0, strings.Join(found, ", ")
	return d
}
