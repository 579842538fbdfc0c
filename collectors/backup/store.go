package backup

import (
	"context"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Store is a repository of restic or borg with a job's own settings, as a restore test
// uses it.
type Store struct {
	cfg Repository
	run runner
	h   *host.Host
}

// Newest is the newest state of a job, and what a restore must know of it.
type Newest struct {
	Point
	Ref        string // as the tool's commands take it
	Encryption string
}

// Repositories are those that a host's own settings of restic, borg and borgmatic name.
func Repositories(h *host.Host) []Repository { return discover(h).jobs }

// Validate names the first setting that a restore test cannot use, and fills in what is
// left out.
func (r *Repository) Validate() error { return r.check() }

// Restorable tells whether a restore test knows the tool.
func (r *Repository) Restorable() bool { return r.Tool == toolRestic || r.Tool == toolBorg }

// OpenStore gathers the settings of a repository; nothing is run.
func OpenStore(h *host.Host, r Repository) (*Store, *Fault) {
	set, err := settingsOf(h, r)
	if err != nil {
		return nil, &Fault{Result: evidence.BackupUnknown, Reason: evidence.ReasonBadConfig, Text: err.Error() + cureOf(err)}
	}
	return &Store{cfg: r, h: h, run: runner{h: h, set: set, timeout: listTimeout}}, nil
}

// Newest asks the repository for the job's newest state that is not of the future.
func (s *Store) Newest(ctx context.Context, now time.Time) (Newest, *Fault) {
	st := &state{cfg: s.cfg, encryption: "unknown"}
	var t tool = &restic{runner: s.run}
	b := &borg{runner: s.run, glob: s.cfg.Archives}
	if s.cfg.Tool == toolBorg {
		t = b
	}
	if fault := t.list(ctx, st, now); fault != nil {
		return Newest{}, fault
	}
	mine := ofHost(st.points, st.host(s.h))
	if len(s.cfg.Paths) > 0 {
		mine, _ = ofPaths(mine, s.cfg.Paths)
	}
	usable, _ := usablePoints(mine, now)
	if len(usable) == 0 {
		return Newest{Encryption: st.encryption}, &Fault{Result: evidence.BackupFailed, Reason: evidence.ReasonNoPoints, Text: "the repository holds nothing of this job"}
	}
	n := Newest{Point: usable[len(usable)-1], Encryption: st.encryption}
	if n.Ref = n.ID; s.cfg.Tool == toolBorg {
		n.Ref = "::" + b.names[n.ID]
	}
	return n, nil
}

// Run runs the job's tool with the job's settings; what it says comes back without their
// secrets. A non-zero exit is no fault.
func (s *Store) Run(ctx context.Context, c host.Command) (host.Result, *Fault) {
	if s.cfg.Tool == toolBorg {
		c.Env = append(c.Env, borgEnv...)
	}
	return s.run.start(ctx, c)
}

// FaultOf says why the tool failed, by its exit code and words.
func (s *Store) FaultOf(exit int, stderr string) *Fault {
	if s.cfg.Tool == toolBorg {
		return BorgFault(exit, stderr)
	}
	return ResticFault(exit, stderr)
}

// Here tells whether a state was taken on this host.
func (s *Store) Here(p Point) bool { return sameHost(p.Host, hostName(s.h)) }
