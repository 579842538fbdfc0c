package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// remoteFS are file systems of other hosts: one that hangs holds whoever asks.
var remoteFS = map[string]bool{"nfs": true, "nfs4": true, "cifs": true, "smb3": true, "ceph": true, "fuse.sshfs": true, "fuse.glusterfs": true, "fuse.ceph-fuse": true,
	"glusterfs": true, "lustre": true, "ocfs2": true, "gfs2": true, "afs": true, "9p": true}

// mounts lists what is mounted.
func (c *collector) mounts(ctx context.Context, l *look) []host.Mount {
	list, err := c.host.Mounts(ctx)
	if err != nil {
		l.gaps = append(l.gaps, evidence.Gap{What: "what is mounted", Why: err.Error()})
	}
	return list
}

// btrfs asks each btrfs once for its devices' errors.
func (c *collector) btrfs(ctx context.Context, l *look, mounts []host.Mount) {
	asked := map[string]bool{}
	for _, m := range mounts {
		if m.Type == "btrfs" && !asked[m.Device] {
			asked[m.Device] = true
			c.tool(ctx, l, "btrfs", []string{"device", "stats", m.Path}, ParseBtrfsStats)
		}
	}
}

// remote asks each remote file system for its size, all at once. One that does not
// answer in time is hung, and is not asked again before it did: nothing piles up
// behind it.
func (c *collector) remote(ctx context.Context, l *look, mounts []host.Mount) {
	type answer struct {
		at  int
		err error
	}
	var list []host.Mount
	for _, m := range mounts {
		if remoteFS[m.Type] && !slices.ContainsFunc(list, func(o host.Mount) bool { return o.Path == m.Path }) {
			list = append(list, m)
		}
	}
	answers := make(chan answer, len(list))
	waiting := map[int]bool{}
	for i, m := range list {
		waiting[i] = true
		if c.begin(m.Path) {
			go func() {
				_, err := c.host.DiskUsage(m.Path)
				c.end(m.Path)
				answers <- answer{i, err}
			}()
		}
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for asked := len(waiting); asked > 0 && len(waiting) > 0; {
		select {
		case a := <-answers:
			delete(waiting, a.at)
			d := evidence.StorageDevice{Name: clip(list[a.at].Path, 200), Kind: evidence.StorageRemote, Form: list[a.at].Type, State: evidence.StorageOK}
			if a.err != nil {
				d.State, d.Reasons = evidence.StorageFailed, []string{evidence.StorageHung}
			}
			l.devices = append(l.devices, d)
			continue
		case <-timer.C:
		case <-ctx.Done():
		}
		break
	}
	for i := range waiting {
		l.devices = append(l.devices, evidence.StorageDevice{Name: clip(list[i].Path, 200), Kind: evidence.StorageRemote, Form: list[i].Type,
			State: evidence.StorageFailed, Reasons: []string{evidence.StorageHung}})
	}
}

// begin reports whether a path may be asked: nobody waits for it since earlier.
func (c *collector) begin(path string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hung[path] {
		return false
	}
	c.hung[path] = true
	return true
}

func (c *collector) end(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.hung, path)
}

// scannedDisk is a disk that smartctl --scan names, with how to reach it.
type scannedDisk struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// scanned reads `smartctl --json --scan`.
func scanned(out []byte) ([]scannedDisk, error) {
	var s struct {
		Devices []scannedDisk `json:"devices"`
	}
	if err := json.Unmarshal(out, &s); err != nil {
		return nil, fmt.Errorf("smartctl --scan: %w", err)
	}
	return s.Devices, nil
}

// Formats lists what this kind can read.
func Formats() []host.Format {
	format := func(name, title string, parse func([]byte) ([]evidence.StorageDevice, error)) host.Format {
		return host.Format{Name: name, Title: title, Parse: func(data []byte, _ time.Time) (host.Look, error) {
			devices, err := parse(data)
			if err != nil {
				return host.Look{}, err
			}
			if len(devices) == 0 {
				return host.Look{Unsupported: true, Gaps: []evidence.Gap{{What: "storage", Why: "there is none in this file"}}}, nil
			}
			f := evidence.Storage{Devices: devices}
			return host.Look{Facts: f, Gaps: []evidence.Gap{{What: "the rest of the host", Why: "only the file was read"}}}, f.Validate()
		}}
	}
	return []host.Format{
		format("smartctl", "smartctl --json --xall DISK, or --scan", ParseSmartctl),
		format("smartctl-json", "the same", ParseSmartctl),
		format("nvme-smart-log", "nvme smart-log -o json", ParseNVMe),
		format("mdstat", "/proc/mdstat", ParseMdstat),
		format("zpool-status", "zpool status, as text or with -j", func(b []byte) ([]evidence.StorageDevice, error) { return ParseZpoolStatus(b, time.UTC) }),
		format("zpool-list", "zpool list, or zpool list -Hp -o name,health,capacity", ParseZpoolList),
		format("zpool-state", "/proc/spl/kstat/zfs/POOL/state", ParseZpoolState),
		format("mdadm-detail", "mdadm --detail ARRAY…", ParseMdadmDetail),
		format("lvs", "lvs --reportformat json", ParseLVS),
		format("lvs-json", "the same", ParseLVS),
		format("multipath", "multipath -ll", ParseMultipath),
		format("storcli", "storcli or perccli /cALL/vALL show J, and /cALL/eALL/sALL show J", ParseStorcli),
		format("megacli", "MegaCli -LDInfo, -PDList, -AdpBbuCmd", ParseMegaCli),
		format("ssacli", "ssacli or hpacucli ctrl all show status, or show config", ParseSsacli),
		format("arcconf", "arcconf getconfig", ParseArcconf),
		format("tw-cli", "tw_cli info cN unitstatus, drivestatus, bbustatus, or /cN show all", ParseTwCli),
		format("sas2ircu", "sas2ircu or sas3ircu N display", ParseSasIrcu),
		format("mpt-status", "mpt-status -i ID", ParseMptStatus),
		format("cciss-vol-status", "cciss_vol_status, with -V or without", ParseCcissVolStatus),
		format("areca", "cli64 rsf info, disk info", ParseAreca),
		format("btrfs-stats", "btrfs device stats, as text or with --format json", ParseBtrfsStats),
	}
}
