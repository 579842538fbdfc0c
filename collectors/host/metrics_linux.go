package host

import (
	"context"
	"time"
)

// boot reads btime itself: gopsutil computes it from the wall clock in
// containers, where it then drifts from look to look.
func (h *Host) boot(context.Context) (time.Time, time.Duration, error) {
	stat, err := h.ReadFile("/proc/stat", 16<<20)
	if err != nil {
		return time.Time{}, 0, err
	}
	at, err := ParseBootTime(stat)
	if err != nil {
		return time.Time{}, 0, err
	}
	up, err := h.ReadFile("/proc/uptime", 4<<10)
	if err != nil {
		return time.Time{}, 0, err
	}
	d, err := ParseUptime(up)
	return at, d, err
}

// traffic reads the agent's own view of the interfaces.
func (h *Host) traffic(context.Context) (int64, error) {
	b, err := h.ReadFile("/proc/self/net/dev", 4<<20)
	if err != nil {
		return 0, err
	}
	return ParseNetDev(b)
}

// mounts reads the agent's own table: only what it names can be asked for its
// size. gopsutil reads that of process 1.
func (h *Host) mounts(context.Context) ([]Mount, error) {
	b, err := h.ReadFile("/proc/self/mountinfo", 16<<20)
	if err != nil {
		return nil, err
	}
	return ParseMountInfo(b)
}
