package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"log/slog"
	"runtime"

	"github.com/attesto/attesto/collectors"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Finding is one thing that the doctor looked at.
type Finding struct {
	What string `json:"what"`
	OK   bool   `json:"ok"`
	Says string `json:"says"`
	Cure string `json:"cure,omitempty"`
}

// KindFinding is what the doctor says of one kind.
type KindFinding struct {
	Kind    evidence.Kind `json:"kind"`
	Title   string        `json:"title"`
	On      bool          `json:"on"`
	Every   string        `json:"every"`
	Found   string        `json:"found"` // what there is to see
	Useful  bool          `json:"useful"`
	Missing []Finding     `json:"missing"`
}

// Diagnosis is the doctor's whole word.
type Diagnosis struct {
	General []Finding     `json:"general"`
	Kinds   []KindFinding `json:"kinds"`
}

// Healthy reports whether nothing was found amiss.
func (d Diagnosis) Healthy() bool {
	for _, f := range d.General {
		if !f.OK {
			return false
		}
	}
	for _, k := range d.Kinds {
		if k.On && len(k.Missing) > 0 {
			return false
		}
	}
	return true
}

// Doctor looks at what the agent needs and what stands in its way. It changes nothing.
func Doctor(ctx context.Context, cfg Config, h *host.Host, log *slog.Logger) (Diagnosis, error) {
	d := Diagnosis{General: general(ctx, cfg, h.Now(), log)}
	for _, spec := range collectors.All() {
		sched, err := cfg.Schedule(spec.Kind)
		if err != nil {
			return d, err
		}
		k := KindFinding{Kind: spec.Kind, Title: spec.Title, On: sched.Enabled, Every: shortDuration(sched.Every), Missing: []Finding{}}
		if !slices.Contains(spec.OS, runtime.GOOS) {
			k.Found = "does not work on " + runtime.GOOS
		} else if spec.Detect != nil {
			detected := spec.Detect(ctx, h)
			k.Found, k.Useful = detected.Found, detected.Useful
			for _, m := range detected.Missing {
				k.Missing = append(k.Missing, Finding{What: m.What, Cure: m.Cure})
			}
		} else {
			k.Useful = true
		}
		d.Kinds = append(d.Kinds, k)
	}
	return d, nil
}

// shortDuration writes 6h0m0s as 6h.
func shortDuration(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}

func general(ctx context.Context, cfg Config, now time.Time, log *slog.Logger) []Finding {
	status, err := ReadStatus(cfg, now)
	if err != nil {
		return []Finding{{What: "state", Says: err.Error(), Cure: "run doctor as root or as the agent's own user (attesto)"}}
	}
	if !status.Enrolled {
		return []Finding{{What: "enrollment", Says: "this host is not enrolled",
			Cure: "attesto-agent enroll --server URL --token TOKEN; the token comes from the board, Agents, Add an agent"}}
	}
	out := []Finding{{What: "enrollment", OK: true, Says: fmt.Sprintf("%s of %s at %s, key %s", status.Agent, status.OrgName, status.Server, status.KeyID)}}
	out = append(out, reach(ctx, cfg, status.Server, log))
	running := Finding{What: "service", OK: status.Running, Says: "running"}
	if !status.Running {
		running.Says, running.Cure = "not running", "systemctl enable --now attesto-agent"
	}
	out = append(out, running)
	clock := clockNow(now, 0)
	sync := Finding{What: "clock", OK: clock.Synced, Says: "synchronised"}
	if !clock.Synced {
		sync.Says, sync.Cure = "the kernel does not say that the clock is synchronised", "apt install systemd-timesyncd, or chrony"
	}
	out = append(out, sync)
	spool := Finding{What: "spool", OK: status.Spool.Lost == 0, Says: fmt.Sprintf("%d records wait, %d bytes; newest is %d", status.Spool.Waiting, status.Spool.Bytes, status.Spool.Last)}
	out = append(out, spool)
	if status.Alarm != nil {
		out = append(out, Finding{What: "alarm", Says: status.Alarm.Message, Cure: status.Alarm.Cure})
	}
	return out
}

func reach(ctx context.Context, cfg Config, server string, log *slog.Logger) Finding {
	f := Finding{What: "server"}
	c, err := newClient(cfg, server, "", log)
	if err != nil {
		f.Says, f.Cure = err.Error(), "enroll with the server's https address"
		return f
	}
	c.http.RetryMax = 0
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var r *refusal
	err = c.send(ctx, http.MethodGet, "/healthz", "text/plain", nil, nil)
	switch {
	case err == nil:
		f.OK, f.Says = true, "answers"
	case errors.As(err, &r):
		f.Says, f.Cure = err.Error(), "check the address, and what stands before the server"
	default:
		f.Says, f.Cure = err.Error(), "check network, DNS, proxy (config: proxy) and certificate (config: ca_file)"
	}
	return f
}
