package health

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// moment is how long CPUs are watched when there is no earlier look to compare with.
const moment = 300 * time.Millisecond

// sample reads the figures of this moment into a sample and the host's sizes
// into facts. What it cannot read is -1 and a gap.
func (c *collector) sample(ctx context.Context, now evidence.Time, before cursor, facts *evidence.Health, gaps *[]evidence.Gap) (evidence.Sample, counters) {
	gap := func(what string, err error) { *gaps = append(*gaps, evidence.Gap{What: what, Why: err.Error()}) }
	s := evidence.Sample{At: now, CPU: -1, Load1: -1, MemUsed: -1, SwapUsed: -1, UptimeS: -1}

	busy, read, err := c.cpu(ctx, before.CPU)
	if err != nil {
		gap("CPU", err)
	} else {
		s.CPU = busy
	}
	if facts.CPUs, err = c.host.CPUs(ctx); err != nil {
		gap("number of CPUs", err)
	}
	if m, err := c.host.Memory(ctx); err != nil {
		gap("memory", err)
	} else {
		facts.Memory, facts.Swap = m.Total, m.SwapTotal
		s.MemUsed, s.SwapUsed = share(m.Total-m.Available, m.Total), 0
		if m.SwapTotal > 0 {
			s.SwapUsed = share(m.SwapTotal-m.SwapFree, m.SwapTotal)
		}
	}
	switch load, err := c.host.Load1(ctx); {
	case err == nil:
		s.Load1 = round(load)
	case !errors.Is(err, host.ErrUnknown):
		gap("load", err)
	}
	if at, up, err := c.host.Boot(ctx); err != nil {
		gap("boot time", err)
	} else {
		boot := evidence.At(at)
		facts.BootAt, s.UptimeS = &boot, int64(up.Seconds())
	}
	return s, read
}

// cpu is the busy share since the last look, or of a moment if there is none
// that counts: none at all, or one before a restart.
func (c *collector) cpu(ctx context.Context, last counters) (float64, counters, error) {
	t, err := c.host.CPUTime(ctx)
	if err != nil {
		return 0, counters{}, err
	}
	if last.Total == 0 || t.Total <= last.Total || t.Busy < last.Busy {
		last = counters(t)
		timer := time.NewTimer(moment)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return 0, counters{}, ctx.Err()
		case <-timer.C:
		}
		if t, err = c.host.CPUTime(ctx); err != nil {
			return 0, counters{}, err
		}
	}
	if t.Total <= last.Total || t.Busy < last.Busy {
		return 0, counters{}, errors.New("the CPUs' counters stand still")
	}
	return round(min(100, (t.Busy-last.Busy)/(t.Total-last.Total)*100)), counters(t), nil
}

// share is part of whole in percent. whole is above 0.
func share(part, whole int64) float64 {
	return round(min(100, max(0, float64(part)/float64(whole)*100)))
}

// round keeps two decimals: samples are many.
func round(v float64) float64 { return math.Round(v*100) / 100 }
