//go:build !linux

package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shirou/gopsutil/v3/disk"
	gohost "github.com/shirou/gopsutil/v3/host"
	gonet "github.com/shirou/gopsutil/v3/net"
)

func (h *Host) boot(ctx context.Context) (time.Time, time.Duration, error) {
	s, err := gohost.BootTimeWithContext(ctx)
	if err != nil {
		return time.Time{}, 0, fmt.Errorf("reading the boot time: %w", err)
	}
	at := time.Unix(int64(s), 0).UTC()
	return at, max(0, h.Now().Sub(at)), nil
}

func (h *Host) traffic(ctx context.Context) (int64, error) {
	all, err := gonet.IOCountersWithContext(ctx, false)
	if err != nil || len(all) == 0 {
		return 0, fmt.Errorf("reading the interfaces' counters: %w", errors.Join(err, ErrUnknown))
	}
	return int64(all[0].BytesRecv + all[0].BytesSent), nil
}

func (h *Host) mounts(ctx context.Context) ([]Mount, error) {
	parts, err := disk.PartitionsWithContext(ctx, false)
	if err != nil {
		return nil, fmt.Errorf("listing file systems: %w", err)
	}
	var mounts []Mount
	for _, p := range parts {
		mounts = append(mounts, Mount{Path: p.Mountpoint, Type: p.Fstype, Device: p.Device, Root: "/",
			ReadOnly: slices.Contains(p.Opts, "ro")})
	}
	return mounts, nil
}
