package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"slices"
	"time"

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
	Why     string        `json:"why"` // why it is on or off
	Every   string        `json:"every"`
	Found   string        `json:"found"` // what there is to see
	Useful  bool          `json:"useful"`
	Missing []Finding     `json:"missing"`
}

// Diagnosis is the doctor's whole word.
type Diagnosis struct {
	Roles    []Role        `json:"roles"`    // what the host is for
	Services []string      `json:"services"` // suggested for it: sc, wh, pe, bk
	General  []Finding     `json:"general"`
	Kinds    []KindFinding `json:"kinds"`
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
	roles := Roles(h)
	d := Diagnosis{Roles: roles, Services: Suggested(roles), General: general(ctx, cfg, h.Now(), log)}
	for _, spec := range cfg.Specs {
		sched, err := cfg.Schedule(spec.Kind)
		if err != nil {
			return d, err
		}
		k := KindFinding{Kind: spec.Kind, Title: spec.Title, On: sched.Enabled != Off, Every: shortDuration(sched.Every), Missing: []Finding{}}
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
		k.Why = whyOn(sched.Enabled, k)
		d.Kinds = append(d.Kinds, k)
	}
	return d, nil
}

// whyOn says in words why a kind is on or off.
func whyOn(mode Mode, k KindFinding) string {
	switch {
	case mode == Off:
		return "the config says enabled: off"
	case mode == On:
		return "the config says enabled: on"
	case k.Useful:
		return "automatic: there is something to see"
	case len(k.Missing) > 0:
		return "automatic, but something is missing"
	}
	return "automatic: each look says that there is nothing to see"
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
	out := []Finding{folder(cfg), clock(now)}
	status, err := ReadStatus(cfg, now)
	if err != nil {
		return append(out, Finding{What: "state", Says: err.Error(), Cure: "run doctor as root or as the agent's own user (attesto)"})
	}
	if server := cmp.Or(cfg.Server, status.Server); server != "" {
		out = append(out, reach(ctx, cfg, server, log))
	}
	if !status.Enrolled {
		return append(out, Finding{What: "enrollment", Says: "this host is not enrolled",
			Cure: "attesto-agent enroll --server URL --token TOKEN; the token comes from the board, Agents, Add an agent"})
	}
	out = append(out, Finding{What: "enrollment", OK: true, Says: fmt.Sprintf("%s of %s at %s, key %s", status.Agent, status.OrgName, status.Server, status.KeyID)})
	running := Finding{What: "service", OK: status.Running, Says: "running"}
	if !status.Running {
		running.Says, running.Cure = "not running", "systemctl enable --now attesto-agent"
	}
	spool := Finding{What: "spool", OK: status.Spool.Lost == 0 && status.SealError == "",
		Says: fmt.Sprintf("%d records wait, %d of %d bytes; newest is %d", status.Spool.Waiting, status.Spool.Bytes, cfg.Spool.MaxBytes, status.Spool.Last)}
	if !spool.OK {
		spool.Says += fmt.Sprintf("; %d looks were not kept: %s", status.Spool.Lost, cmp.Or(status.SealError, "too much waits"))
		spool.Cure = "make room in " + cfg.StateDir + ", and see to it that the server can be reached"
	}
	out = append(out, running, spool)
	if status.Alarm != nil {
		out = append(out, Finding{What: "alarm", Says: status.Alarm.Message, Cure: status.Alarm.Cure})
	}
	return out
}

// folder looks whether the state folder is there, and its owner's alone.
func folder(cfg Config) Finding {
	f := Finding{What: "state folder", Says: cfg.StateDir}
	info, err := os.Stat(cfg.StateDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.OK, f.Says = true, cfg.StateDir+" is made by enrolling"
	case err != nil:
		f.Says, f.Cure = err.Error(), "run doctor as root or as the agent's own user (attesto)"
	case !info.IsDir():
		f.Says, f.Cure = cfg.StateDir+" is no folder", "set state_dir in the config to a folder"
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o066 != 0: // passing through to report/ is meant
		f.Says, f.Cure = fmt.Sprintf("%s is open to others (mode %04o)", cfg.StateDir, info.Mode().Perm()), "chmod 711 "+cfg.StateDir
	default:
		f.OK = true
	}
	return f
}

func clock(now time.Time) Finding {
	f := Finding{What: "clock", OK: clockNow(now, 0).Synced, Says: "synchronised"}
	if !f.OK {
		f.Says, f.Cure = "the kernel does not say that the clock is synchronised", "apt install systemd-timesyncd, or chrony"
	}
	return f
}

func reach(ctx context.Context, cfg Config, server string, log *slog.Logger) Finding {
	f := Finding{What: "server"}
	c, err := newClient(cfg, server, "", "doctor", log)
	if err != nil {
		f.Says, f.Cure = err.Error(), "enroll with the server's https address"
		return f
	}
	defer c.close()
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
