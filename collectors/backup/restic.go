package backup

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// runner runs a job's tool with the job's settings. The address of the
// repository goes into the environment, not into the arguments: it may hold
// credentials.
type runner struct {
	h       *host.Host
	set     settings
	timeout time.Duration
}

// run starts the tool under its own deadline. What it says comes back without
// the job's secrets.
func (r runner) run(ctx context.Context, timeout time.Duration, env []string, name string, args ...string) (host.Result, *Fault) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return r.start(ctx, host.Command{Name: name, Args: args, Env: env})
}

func (r runner) start(ctx context.Context, c host.Command) (host.Result, *Fault) {
	c.Env = append(slices.Clone(c.Env), r.set.env...)
	res, err := r.h.Run(ctx, c)
	res.Stderr = r.set.redact(res.Stderr)
	switch {
	case err != nil:
		return res, faultFrom(err)
	case res.Cut:
		return res, faultFrom(errors.New("more output than the agent takes"))
	case res.Exit < 0:
		return res, &Fault{Result: evidence.BackupUnknown, Reason: evidence.ReasonInterrupted, Text: clip(res.Stderr)}
	}
	return res, nil
}

// restic reads a restic repository. It locks nothing: --no-lock everywhere.
type restic struct{ runner }

func (r *restic) ask(ctx context.Context, args ...string) ([]byte, *Fault) {
	res, fault := r.run(ctx, r.timeout, nil, toolRestic, append(args, "--no-lock")...)
	if fault == nil && res.Exit != 0 {
		fault = ResticFault(res.Exit, res.Stderr)
	}
	return res.Stdout, fault
}

func (r *restic) list(ctx context.Context, s *state, now time.Time) *Fault {
	out, fault := r.ask(ctx, "snapshots", "--json")
	if fault != nil {
		return fault
	}
	var err error
	if s.points, err = ParseResticSnapshots(out); err != nil {
		return faultFrom(err)
	}
	s.encryption = "aes256" // restic knows no other: References, "Keys, Encryption and MAC"
	locks, fault := r.locks(ctx)
	if fault != nil {
		return fault
	}
	for _, lock := range locks {
		switch {
		case lock.Stale(now):
			s.warnings = append(s.warnings, evidence.ReasonStaleLock)
		case lock.Exclusive:
			s.busy = true
			s.reasons = append(s.reasons, evidence.ReasonLocked)
		default:
			s.busy = true
			s.reasons = append(s.reasons, evidence.ReasonRunning)
		}
	}
	return nil
}

// locksRead bounds how many locks are looked into.
const locksRead = 5

func (r *restic) locks(ctx context.Context) ([]Lock, *Fault) {
	out, fault := r.ask(ctx, "list", "locks")
	if fault != nil {
		return nil, fault
	}
	var locks []Lock
	for id := range lines(string(out)) {
		if len(locks) == locksRead || strings.Trim(id, "0123456789abcdef") != "" {
			break
		}
		out, fault := r.ask(ctx, "cat", "lock", id)
		if fault != nil {
			continue // gone since: its owner finished
		}
		lock, err := ParseResticLock(out)
		if err != nil {
			return nil, faultFrom(err)
		}
		locks = append(locks, lock)
	}
	return locks, nil
}

func (r *restic) live(ctx context.Context, now time.Time) bool {
	locks, fault := r.locks(ctx)
	for _, l := range locks {
		if !l.Stale(now) {
			return true
		}
	}
	return fault != nil
}

func (r *restic) size(ctx context.Context, p Point) (Size, *Fault) {
	out, fault := r.ask(ctx, "stats", "--json", "--mode", "restore-size", p.ID)
	if fault != nil {
		return Size{}, fault
	}
	size, err := ParseResticStats(out)
	if err != nil {
		return Size{}, faultFrom(err)
	}
	return size, nil
}

func (r *restic) check(ctx context.Context, s *state) Check {
	args := []string{"check", "--no-lock", "--json"}
	if strings.HasPrefix(r.set.location, "/") || strings.HasPrefix(r.set.location, "local:") {
		args = append(args, "--no-cache") // leaves no temporary cache behind if the deadline ends it
	} else {
		args = append(args, "--with-cache")
	}
	if s.cfg.Check == "data" {
		args = append(args, "--read-data-subset="+s.cfg.CheckSubset)
	}
	res, fault := r.run(ctx, lookTimeout, nil, toolRestic, args...)
	if fault != nil {
		return Check{Result: evidence.BackupUnknown, Fault: fault, Text: fault.Text}
	}
	return ParseResticCheck(res.Exit, string(res.Stdout), res.Stderr)
}
