// Package storage asks disks, arrays and pools how they are, and whether file systems
// of other hosts still answer.
package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

const (
	every   = 15 * time.Minute
	timeout = 3 * time.Minute
	// patience is how long one tool, or one remote file system, may take.
	patience = 20 * time.Second
	// diskPatience is how long all disks together may take, and raidPatience the tools
	// of RAID controllers: what hangs leaves time to ask the others.
	diskPatience = time.Minute
	raidPatience = 30 * time.Second
	// output bounds what one tool prints.
	output = 8 << 20
)

// Spec describes the collector.
func Spec() host.Spec {
	return host.Spec{
		Kind:    evidence.KindStorage,
		Title:   "Disks, arrays, pools, remote file systems",
		OS:      []string{"linux"},
		Needs:   host.NeedExec | host.NeedRoot,
		Every:   every,
		Timeout: timeout,
		New:     func(decode func(any) error, h *host.Host) (host.Collector, error) { return newCollector(decode, h) },
		Detect:  detect,
		Formats: Formats(),
		About: host.About{
			Reads: []string{
				"`smartctl --json --xall` of each disk that `smartctl --scan` names, without waking one that sleeps",
				"`/proc/mdstat`, `zpool status` and `zpool list`, `lvs`, `btrfs device stats`, where they are",
				"`multipath -ll`, and of RAID controllers `storcli` or `perccli`, `MegaCli`, `ssacli`, `arcconf`, where they are",
				"whether remote file systems (NFS, CIFS, SSHFS, CephFS) answer",
			},
			Sends: []string{
				"per disk: model, state and why, hours, temperature, wear, replaced and unreadable sectors",
				"per array and pool: state and why, parts, errors, use, progress, last scrub",
			},
			Never: []string{
				"serial numbers and world-wide names of disks",
				"names of files, also where a pool lists damaged ones",
			},
			Needs: []string{
				"smartctl asks disks as root only: without `smart.conf` (see /usr/share/doc/attesto-agent/examples; group `disk`, CAP_SYS_RAWIO, for NVMe and btrfs CAP_SYS_ADMIN) disks are not seen, and a gap says so",
				"`lvs`, `btrfs device stats`, `multipath` and the tools of RAID controllers likewise; /proc/mdstat and zpool need nothing",
			},
		},
	}
}

type collector struct {
	host *host.Host

	mu   sync.Mutex
	hung map[string]bool // remote file systems that were asked and have not answered since
}

func newCollector(decode func(any) error, h *host.Host) (*collector, error) {
	if err := decode(&struct{}{}); err != nil {
		return nil, err
	}
	return &collector{host: h, hung: map[string]bool{}}, nil
}

// look gathers what the sources give.
type look struct {
	devices []evidence.StorageDevice
	gaps    []evidence.Gap
}

// Collect asks each source in turn.
func (c *collector) Collect(ctx context.Context, _ []byte) (host.Look, error) {
	l := &look{}
	c.disks(ctx, l)
	c.arrays(l)
	c.tool(ctx, l, "zpool", []string{"status", "-P"}, func(b []byte) ([]evidence.StorageDevice, error) { return ParseZpoolStatus(b, time.Local) })
	c.zpoolUse(ctx, l)
	c.tool(ctx, l, "lvs", []string{"--reportformat", "json", "-o", "vg_name,lv_name,lv_attr,data_percent,metadata_percent,lv_health_status"}, ParseLVS)
	if c.multipathed() {
		c.tool(ctx, l, "multipath", []string{"-ll"}, ParseMultipath)
	}
	c.controllers(ctx, l)
	mounts := c.mounts(ctx, l)
	c.btrfs(ctx, l, mounts)
	c.remote(ctx, l, mounts)
	if err := ctx.Err(); err != nil {
		return host.Look{}, fmt.Errorf("asking storage: %w", err)
	}
	l.devices = unique(sorted(l.devices))
	if len(l.devices) == 0 {
		if len(l.gaps) == 0 {
			return host.Look{Unsupported: true, Gaps: []evidence.Gap{{What: "storage", Why: "this host shows no disk, array, pool or remote file system of its own: a container or a virtual machine"}}}, nil
		}
		return host.Look{}, fmt.Errorf("%s: %s", l.gaps[0].What, l.gaps[0].Why)
	}
	return host.Look{Facts: evidence.Storage{Devices: l.devices}, Gaps: l.gaps}, nil
}

// tool runs a program and reads its answer. One that is not installed is no gap, and
// then there is false.
func (c *collector) tool(ctx context.Context, l *look, name string, args []string, parse func([]byte) ([]evidence.StorageDevice, error)) bool {
	out, err := c.run(ctx, name, args...)
	if errors.Is(err, host.ErrNoProgram) {
		return false
	}
	var devices []evidence.StorageDevice
	if err == nil {
		devices, err = parse(out)
	}
	if err != nil {
		l.gaps = append(l.gaps, evidence.Gap{What: name, Why: err.Error()})
	}
	l.devices = append(l.devices, devices...)
	return true
}

// run runs a program under its own deadline and says in words why it gave nothing.
func (c *collector) run(ctx context.Context, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	res, err := c.host.Run(ctx, host.Command{Name: name, Args: args, Limit: output})
	switch {
	case err != nil:
		return nil, err
	case res.Cut:
		return nil, fmt.Errorf("printed more than %d bytes", output)
	case name != "smartctl" && res.Exit != 0:
		return nil, refusal(res)
	}
	return res.Stdout, nil
}

// refusal is what a program said when it failed.
func refusal(res host.Result) error {
	text := strings.TrimSpace(res.Stderr)
	if low := strings.ToLower(text); strings.Contains(low, "permission denied") || strings.Contains(low, "not permitted") || strings.Contains(low, "must be root") {
		return fmt.Errorf("may be asked by root only: see smart.conf in /usr/share/doc/attesto-agent/examples")
	}
	text, _, _ = strings.Cut(text, "\n")
	return fmt.Errorf("exit status %d: %s", res.Exit, clip(text, 200))
}

// disks asks each disk that smartctl finds.
func (c *collector) disks(ctx context.Context, l *look) {
	ctx, cancel := context.WithTimeout(ctx, diskPatience)
	defer cancel()
	scan, err := c.run(ctx, "smartctl", "--json", "--scan")
	if errors.Is(err, host.ErrNoProgram) {
		if disks := c.realDisks(); len(disks) > 0 {
			l.gaps = append(l.gaps, evidence.Gap{What: "disks " + strings.Join(disks, ", "), Why: "smartctl is not installed: apt install smartmontools"})
		}
		return
	}
	if err != nil {
		l.gaps = append(l.gaps, evidence.Gap{What: "disks", Why: err.Error()})
		return
	}
	list, err := scanned(scan)
	if err != nil {
		l.gaps = append(l.gaps, evidence.Gap{What: "disks", Why: err.Error()})
		return
	}
	refused := 0
	for i, d := range list {
		if ctx.Err() != nil {
			l.gaps = append(l.gaps, evidence.Gap{What: fmt.Sprintf("%d disks", len(list)-i), Why: "others took all the time there is: a disk that does not answer, mostly"})
			break
		}
		out, err := c.run(ctx, "smartctl", "--json", "--xall", "--nocheck=standby,0", "--device="+d.Type, d.Name)
		if err != nil {
			l.gaps = append(l.gaps, evidence.Gap{What: "disk " + short(d.Name), Why: err.Error()})
			continue
		}
		devices, err := ParseSmartctl(out)
		if err != nil {
			l.gaps = append(l.gaps, evidence.Gap{What: "disk " + short(d.Name), Why: err.Error()})
			continue
		}
		for _, dev := range devices {
			if slices.Contains(dev.Reasons, evidence.StorageNoPermission) {
				refused++
				continue
			}
			l.devices = append(l.devices, dev)
		}
	}
	if refused > 0 {
		l.gaps = append(l.gaps, evidence.Gap{What: fmt.Sprintf("%d disks", refused), Why: "smartctl may ask them as root only: see smart.conf in /usr/share/doc/attesto-agent/examples"})
	}
}

// realDisks are the disks of the machine itself, by the kernel's list.
func (c *collector) realDisks() []string {
	found, err := c.host.Glob("/sys/block/*/device")
	if err != nil {
		return nil
	}
	var names []string
	for _, p := range found {
		name := path.Base(path.Dir(p))
		if vendor, err := c.host.ReadFile("/sys/block/"+name+"/device/vendor", 100); err == nil && strings.Contains(string(vendor), "0x1af4") {
			continue // virtio: a virtual disk tells nothing of itself
		}
		if strings.HasPrefix(name, "sd") || strings.HasPrefix(name, "nvme") {
			names = append(names, name)
		}
	}
	return names
}

func (c *collector) arrays(l *look) {
	text, err := c.host.ReadFile("/proc/mdstat", 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var devices []evidence.StorageDevice
	if err == nil {
		devices, err = ParseMdstat(text)
	}
	if err != nil {
		l.gaps = append(l.gaps, evidence.Gap{What: "/proc/mdstat", Why: err.Error()})
	}
	l.devices = append(l.devices, devices...)
}

// multipathed reports whether the kernel has a map of multipath: the tool alone says little.
func (c *collector) multipathed() bool {
	maps, err := c.host.Glob("/sys/block/dm-*/dm/uuid")
	if err != nil {
		return false
	}
	return slices.ContainsFunc(maps, func(file string) bool {
		uuid, err := c.host.ReadFile(file, 1000)
		return err == nil && strings.HasPrefix(string(uuid), "mpath-")
	})
}

// raidTools are the makers' tools that tell of RAID controllers in one or two answers;
// the first name that is installed is run. The formats of others can be explained.
var raidTools = []struct {
	names   []string
	queries [][]string
	parse   func([]byte) ([]evidence.StorageDevice, error)
}{
	{[]string{"storcli64", "storcli", "perccli64", "perccli"}, [][]string{{"/call/vall", "show", "J"}, {"/call/eall/sall", "show", "all", "J"}}, ParseStorcli},
	{[]string{"megacli", "MegaCli64", "MegaCli"}, [][]string{{"-LDInfo", "-LAll", "-aAll", "-NoLog"}, {"-PDList", "-aAll", "-NoLog"}}, ParseMegaCli},
	{[]string{"ssacli", "hpssacli", "hpacucli"}, [][]string{{"ctrl", "all", "show", "status"}, {"ctrl", "all", "show", "config"}}, ParseSsacli},
	{[]string{"arcconf"}, [][]string{{"getconfig", "1"}}, ParseArcconf},
}

// controllers asks the tools of RAID controllers that are installed.
func (c *collector) controllers(ctx context.Context, l *look) {
	ctx, cancel := context.WithTimeout(ctx, raidPatience)
	defer cancel()
	for _, t := range raidTools {
		for _, name := range t.names {
			if !c.tool(ctx, l, name, t.queries[0], t.parse) {
				continue
			}
			for _, args := range t.queries[1:] {
				c.tool(ctx, l, name, args, t.parse)
			}
			break
		}
	}
}

// zpoolUse adds how full pools are to their states.
func (c *collector) zpoolUse(ctx context.Context, l *look) {
	out, err := c.run(ctx, "zpool", "list", "-Hp", "-o", "name,health,capacity")
	if err != nil {
		return // status has said why
	}
	devices, err := ParseZpoolList(out)
	if err != nil {
		l.gaps = append(l.gaps, evidence.Gap{What: "zpool list", Why: err.Error()})
		return
	}
	for _, d := range devices {
		i := slices.IndexFunc(l.devices, func(o evidence.StorageDevice) bool { return o.Kind == d.Kind && o.Name == d.Name })
		if i >= 0 {
			l.devices[i].Used = d.Used
		}
	}
}

func detect(ctx context.Context, h *host.Host) host.Detection {
	c := &collector{host: h}
	var found []string
	if disks := c.realDisks(); len(disks) > 0 {
		found = append(found, "disks "+strings.Join(disks, ", "))
	}
	if text, err := h.ReadFile("/proc/mdstat", 1<<20); err == nil {
		if list, err := ParseMdstat(text); err == nil && len(list) > 0 {
			found = append(found, fmt.Sprintf("%d arrays", len(list)))
		}
	}
	l := &look{}
	for _, m := range c.mounts(ctx, l) {
		if remoteFS[m.Type] {
			found = append(found, m.Type+" "+m.Path)
		}
	}
	return host.Detection{Useful: len(found) > 0, Found: strings.Join(found, ", ")}
}
