package host

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"github.com/shirou/gopsutil/v3/common"
	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/disk"
	"github.com/shirou/gopsutil/v3/load"
	"github.com/shirou/gopsutil/v3/mem"
)

// CPUTime is the time that all CPUs together have spent since boot, in seconds.
// Waiting for disks counts as idle.
type CPUTime struct{ Busy, Total float64 }

// Memory is RAM and swap in bytes. Available is what programs can still get
// without swapping, reclaimable cache included.
type Memory struct{ Total, Available, SwapTotal, SwapFree int64 }

// Mount is one mounted file system.
type Mount struct {
	Path   string // where it is mounted
	Type   string // "ext4", "NTFS"
	Device string // equal for mounts of the same file system
	Root   string // the folder of the file system that is mounted, "/" for all of it
	// ReadOnly says that the file system itself is read-only, as after an error;
	// a read-only view of a writable one is not.
	ReadOnly bool
}

// DiskUsage is how full a file system is. Free is what an ordinary user can
// still use, so Used and Free together may be less than Size.
type DiskUsage struct {
	Size, Used, Free   int64 // bytes
	Inodes, InodesUsed int64 // 0 where the file system has no such limit
}

// ErrUnknown says that the system does not offer a figure.
var ErrUnknown = errors.New("not known on this system")

// under makes gopsutil read the host's own /proc and /sys, not those that an
// environment variable names.
func (h *Host) under(ctx context.Context) context.Context {
	root := h.Root
	if root == "" {
		root = "/"
	}
	return context.WithValue(ctx, common.EnvKey, common.EnvMap{
		common.HostProcEnvKey: filepath.Join(root, "proc"),
		common.HostSysEnvKey:  filepath.Join(root, "sys"),
	})
}

// CPUTime reads the CPUs' counters.
func (h *Host) CPUTime(ctx context.Context) (CPUTime, error) {
	times, err := cpu.TimesWithContext(h.under(ctx), false)
	if err != nil {
		return CPUTime{}, fmt.Errorf("reading CPU times: %w", err)
	}
	if len(times) != 1 {
		return CPUTime{}, fmt.Errorf("reading CPU times: %d totals, want one", len(times))
	}
	// Guest time is part of user time on Linux, so it is not added.
	t := times[0]
	busy := t.User + t.Nice + t.System + t.Irq + t.Softirq + t.Steal
	return CPUTime{Busy: busy, Total: busy + t.Idle + t.Iowait}, nil
}

// CPUs counts the logical CPUs.
func (h *Host) CPUs(ctx context.Context) (int, error) {
	n, err := cpu.CountsWithContext(h.under(ctx), true)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("counting CPUs: %d (%w)", n, errors.Join(err, ErrUnknown))
	}
	return n, nil
}

// Memory reads RAM and swap.
func (h *Host) Memory(ctx context.Context) (Memory, error) {
	v, err := mem.VirtualMemoryWithContext(h.under(ctx))
	if err != nil {
		return Memory{}, fmt.Errorf("reading memory: %w", err)
	}
	if v.Total == 0 || v.Available > v.Total {
		return Memory{}, fmt.Errorf("reading memory: %d of %d bytes available", v.Available, v.Total)
	}
	m := Memory{Total: int64(v.Total), Available: int64(v.Available), SwapTotal: int64(v.SwapTotal), SwapFree: int64(v.SwapFree)}
	if runtime.GOOS != "linux" {
		s, err := mem.SwapMemoryWithContext(ctx)
		if err != nil {
			return Memory{}, fmt.Errorf("reading swap: %w", err)
		}
		m.SwapTotal, m.SwapFree = int64(s.Total), int64(s.Free)
	}
	return m, nil
}

// Load1 is the load average of the last minute; ErrUnknown on Windows, which has
// none.
func (h *Host) Load1(ctx context.Context) (float64, error) {
	if runtime.GOOS == "windows" {
		return 0, ErrUnknown
	}
	avg, err := load.AvgWithContext(h.under(ctx))
	if err != nil {
		return 0, fmt.Errorf("reading the load average: %w", err)
	}
	return avg.Load1, nil
}

// Traffic is how many bytes all interfaces but loopback have received and sent since
// they came up.
func (h *Host) Traffic(ctx context.Context) (int64, error) { return h.traffic(ctx) }

// Boot is when the system started and how long it has been up.
func (h *Host) Boot(ctx context.Context) (at time.Time, up time.Duration, err error) {
	return h.boot(ctx)
}

// Mounts lists what is mounted, in the order of mounting. It asks the kernel's
// table only, so that a file system that hangs does not matter.
func (h *Host) Mounts(ctx context.Context) ([]Mount, error) { return h.mounts(ctx) }

// DiskUsage asks the file system that holds path. A file system that hangs
// makes it hang: the caller needs a deadline of its own.
func (h *Host) DiskUsage(path string) (DiskUsage, error) {
	if h.Usage != nil {
		return h.Usage(path)
	}
	u, err := disk.UsageWithContext(context.Background(), h.Path(path))
	if err != nil {
		return DiskUsage{}, fmt.Errorf("asking the file system at %s: %w", path, err)
	}
	return DiskUsage{Size: int64(u.Total), Used: int64(u.Used), Free: int64(u.Free),
		Inodes: int64(u.InodesTotal), InodesUsed: int64(u.InodesUsed)}, nil
}
