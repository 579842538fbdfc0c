package backup

import (
	"context"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// borg reads a borg 1.x repository. It locks nothing (--bypass-lock), and
// answers none of borg's questions: without standard input each is a refusal.
type borg struct {
	runner
	glob  string
	names map[string]string // of archives, by id
}

// env makes borg write times in UTC (1.x leaves the zone out) and tell faults by
// exit code (1.4).
var borgEnv = []string{"TZ=UTC", "BORG_EXIT_CODES=modern"}

func (b *borg) ask(ctx context.Context, args ...string) (Archives, *Fault) {
	res, fault := b.run(ctx, b.timeout, borgEnv, toolBorg, append(args, "--json", "--log-json", "--bypass-lock")...)
	switch {
	case fault != nil:
		return Archives{}, fault
	case res.Exit == 1 || res.Exit >= 100 && res.Exit <= 127: // done, with a warning
	case res.Exit != 0:
		return Archives{}, BorgFault(res.Exit, res.Stderr)
	}
	a, err := ParseBorgList(res.Stdout, time.UTC)
	if err != nil {
		return Archives{}, faultFrom(err)
	}
	return a, nil
}

func (b *borg) list(ctx context.Context, s *state, now time.Time) *Fault {
	args := []string{"list", "--format", "{start}{end}{hostname}"}
	if b.glob != "" {
		args = append(args, "--glob-archives", b.glob)
	}
	a, fault := b.ask(ctx, args...)
	if fault != nil {
		return fault
	}
	s.points, s.encryption, b.names = a.Points, a.Encryption, a.Names
	b.localLock(s, now)
	return nil
}

func (b *borg) size(ctx context.Context, p Point) (Size, *Fault) {
	a, fault := b.ask(ctx, "info", "::"+b.names[p.ID])
	if fault != nil {
		return Size{}, fault
	}
	for _, q := range a.Points {
		if q.ID == p.ID {
			return q.Size, nil
		}
	}
	return Size{}, &Fault{Result: evidence.BackupUnknown, Reason: evidence.ReasonBadOutput, Text: "borg info does not speak of the archive it was asked for"}
}

// live asks once more, this time with borg's own shared lock: a repository that
// somebody works on refuses it.
func (b *borg) live(ctx context.Context, _ time.Time) bool {
	res, fault := b.run(ctx, b.timeout, borgEnv, toolBorg, "list", "--last", "1", "--lock-wait", "1", "--log-json", "--json")
	return fault == nil && res.Exit != 0 && BorgFault(res.Exit, res.Stderr).Reason == evidence.ReasonLocked
}

// staleBorgLock is how old a borg lock is when it is taken for one that a killed
// run left: borg itself names no term.
const staleBorgLock = 24 * time.Hour

// localLock looks for the lock of a repository on this host.
func (b *borg) localLock(s *state, now time.Time) {
	if !strings.HasPrefix(b.set.location, "/") {
		return
	}
	info, err := b.h.Stat(b.set.location + "/lock.exclusive")
	switch {
	case err != nil: // none, as a rule
	case now.Sub(info.ModTime()) > staleBorgLock:
		s.warnings = append(s.warnings, evidence.ReasonStaleLock)
	default:
		s.busy = true
		s.reasons = append(s.reasons, evidence.ReasonLocked)
	}
}

func (b *borg) check(ctx context.Context, s *state) Check {
	args := []string{"check", "--log-json", "--bypass-lock", "--repository-only"}
	if s.cfg.Check == "data" {
		args[len(args)-1] = "--verify-data"
	}
	res, fault := b.run(ctx, lookTimeout, borgEnv, toolBorg, args...)
	if fault != nil {
		return Check{Result: evidence.BackupUnknown, Fault: fault, Text: fault.Text}
	}
	return ParseBorgCheck(res.Exit, res.Stderr)
}
