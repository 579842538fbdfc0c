package health

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// maxDisks bounds the file systems in facts.
const maxDisks = 200

// localTypes are file systems on disks of this host. Those in memory, over the
// network, layered or always full (squashfs, iso9660) are not among them.
var localTypes = []string{
	"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "bcachefs", "f2fs", "jfs", "reiserfs", "nilfs2",
	"vfat", "exfat", "ntfs", "ntfs3", "fuseblk", "ufs", "apfs", "hfs", "refs", "fat", "fat32",
}

// chooseMounts picks one mount of each local file system. A container, whose root
// is layered, has its root taken as it is.
func chooseMounts(mounts []host.Mount) []host.Mount {
	visible := map[string]host.Mount{} // a later mount hides an earlier one at the same place
	for _, m := range mounts {
		visible[m.Path] = m
	}
	best := map[string]host.Mount{}
	for _, m := range visible {
		if !slices.Contains(localTypes, strings.ToLower(m.Type)) || isSingleFile(m) {
			continue
		}
		if old, ok := best[m.Device]; !ok || better(m, old) {
			best[m.Device] = m
		}
	}
	var chosen []host.Mount
	for _, m := range best {
		chosen = append(chosen, m)
	}
	if root, ok := visible["/"]; ok && (len(chosen) == 0 || root.Type == "overlay") {
		chosen = append(chosen, root)
	}
	host.SortFunc(chosen, func(a, b host.Mount) int { return strings.Compare(a.Path, b.Path) })
	return chosen
}

// isSingleFile knows the files that container engines mount one by one from the
// host's disk, such as /etc/hosts.
func isSingleFile(m host.Mount) bool {
	return m.Root != "/" && (strings.HasPrefix(m.Path, "/etc/") || strings.HasPrefix(m.Path, "/dev/") ||
		strings.HasPrefix(m.Path, "/proc/") || strings.HasPrefix(m.Path, "/sys/"))
}

// better prefers the root, then a mount of the whole file system, then the
// shortest path.
func better(a, b host.Mount) bool {
	for _, whole := range []func(host.Mount) bool{
		func(m host.Mount) bool { return m.Path == "/" },
		func(m host.Mount) bool { return m.Root == "/" },
	} {
		if whole(a) != whole(b) {
			return whole(a)
		}
	}
	if len(a.Path) != len(b.Path) {
		return len(a.Path) < len(b.Path)
	}
	return a.Path < b.Path
}

// disks asks each file system for its size. One that does not answer in time is
// unreadable, and is not asked again before it did: nothing piles up behind it.
func (c *collector) disks(ctx context.Context) ([]evidence.Disk, []evidence.Gap) {
	mounts, err := c.host.Mounts(ctx)
	if err != nil {
		return []evidence.Disk{}, []evidence.Gap{{What: "disks", Why: err.Error()}}
	}
	var gaps []evidence.Gap
	mounts = chooseMounts(mounts)
	if len(mounts) == 0 {
		gaps = append(gaps, evidence.Gap{What: "disks", Why: "no file system is mounted here"})
	}
	if more := len(mounts) - maxDisks; more > 0 {
		mounts = mounts[:maxDisks]
		gaps = append(gaps, evidence.Gap{What: fmt.Sprintf("%d more file systems", more), Why: fmt.Sprintf("more than %d are mounted", maxDisks)})
	}
	waits := make([]<-chan usage, len(mounts))
	for i, m := range mounts {
		waits[i] = c.ask(m.Path)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	disks := []evidence.Disk{}
	for i, m := range mounts {
		u := usage{err: errSilent}
		select {
		case u = <-waits[i]:
		case <-ctx.Done():
			select {
			case u = <-waits[i]:
			default:
			}
		}
		if u.err != nil {
			gaps = append(gaps, evidence.Gap{What: "disk " + m.Path, Why: u.err.Error()})
		}
		disks = append(disks, diskOf(m, u))
	}
	return disks, gaps
}

type usage struct {
	host.DiskUsage
	err error
}

var errSilent = errors.New("the file system does not answer")

// ask asks one file system on a goroutine of its own, which lives as long as the
// kernel holds it.
func (c *collector) ask(path string) <-chan usage {
	answer := make(chan usage, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hung[path] {
		answer <- usage{err: errSilent}
		return answer
	}
	c.hung[path] = true
	go func() {
		u, err := c.host.DiskUsage(path)
		if err == nil && u.Used+u.Free <= 0 {
			err = errors.New("the file system states no size")
		}
		c.mu.Lock()
		delete(c.hung, path)
		c.mu.Unlock()
		answer <- usage{u, err}
	}()
	return answer
}

func diskOf(m host.Mount, u usage) evidence.Disk {
	d := evidence.Disk{Mount: m.Path, FS: m.Type, ReadOnly: m.ReadOnly, UsedPct: -1, InodesPct: -1}
	if u.err != nil {
		d.Unreadable = true
		return d
	}
	d.Size, d.UsedPct = u.Size, share(u.Used, u.Used+u.Free)
	if u.Inodes > 0 {
		d.InodesPct = share(u.InodesUsed, u.Inodes)
	}
	return d
}
