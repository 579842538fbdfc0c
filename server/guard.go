package server

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// guard keeps a log from being continued on a database that lost what this server
// had released: its file remembers each log's newest head outside the database.
// Every replica has its own.
type guard struct {
	s    *Server
	file *store.Guard // nil: nothing is remembered

	mu    sync.Mutex
	heads map[string]store.Guarded // as the file holds them, by origin
	said  map[string]bool          // origins whose loss the server's log has told
}

// openGuard reads the guard and tells which logs lost something.
func (s *Server) openGuard(ctx context.Context, file *store.Guard) error {
	s.guard = &guard{s: s, file: file, heads: map[string]store.Guarded{}, said: map[string]bool{}}
	if file == nil {
		return nil
	}
	if err := s.guard.read(ctx); err != nil {
		return err
	}
	logs, err := s.store.NewestLogs(ctx)
	if err != nil {
		return err
	}
	if len(s.guard.heads) == 0 && slices.ContainsFunc(logs, func(st ledger.State) bool { return st.Size > 0 }) {
		s.log.WarnContext(ctx, "the guard is new: whether the database was set back before now, only agents can tell", "logs", len(logs))
	}
	for _, st := range logs {
		if s.guard.watch(ctx, st) != nil {
			continue // told; the other logs are served
		}
		if err := s.guard.release(ctx, ledger.State{}, st); err != nil {
			s.log.ErrorContext(ctx, "guarding a log", "log", st.Origin, "err", err)
		}
	}
	for _, h := range s.guard.missing(logs) {
		s.log.ErrorContext(ctx, "a log is missing from the database, which was set back to an older copy", "log", h.Origin, "confirmed", h.Size,
			"cure", "stop the server and put back the newest copy of the database; if there is none, add the organisation again and enroll its agents anew")
	}
	return nil
}

// missing lists what is held of organisations that have no log at all.
func (g *guard) missing(logs []ledger.State) []store.Guarded {
	here := map[string]bool{}
	for _, st := range logs {
		here[st.Org] = true
	}
	return slices.DeleteFunc(g.all(), func(h store.Guarded) bool {
		_, org, _, ok := evidence.SplitOrigin(h.Origin)
		return !ok || here[org]
	})
}

// read takes over what the file holds.
func (g *guard) read(ctx context.Context) error {
	if g.file == nil {
		return nil
	}
	heads, err := g.file.Heads(ctx)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, h := range heads {
		g.heads[h.Origin] = h
	}
	return nil
}

func (g *guard) held(origin string) (store.Guarded, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h, ok := g.heads[origin]
	return h, ok
}

// mend forgets what was told of a log that goes on, here or as a new epoch.
func (g *guard) mend(st ledger.State) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.said) == 0 {
		return
	}
	maps.DeleteFunc(g.said, func(origin string, _ bool) bool {
		_, org, epoch, _ := evidence.SplitOrigin(origin)
		return org == st.Org && int64(epoch) <= st.Epoch
	})
}

// ReadOnly reports whether an organisation's log may not be continued, because the
// database lost or changed what was confirmed.
func (s *Server) ReadOnly(ctx context.Context, org string) (bool, error) {
	st, err := s.store.Log(ctx, org)
	s.guard.mu.Lock()
	defer s.guard.mu.Unlock()
	return st.Contested || s.guard.said[st.Origin], err
}

// lost counts the logs whose loss was told.
func (g *guard) lost() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.said)
}

// all lists what is held, by origin.
func (g *guard) all() []store.Guarded {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.SortedFunc(maps.Values(g.heads), func(a, b store.Guarded) int { return strings.Compare(a.Origin, b.Origin) })
}

// watch refuses to continue a log whose row, read under its lock, is behind what
// was released. The error is for the caller of the server as it is.
func (g *guard) watch(ctx context.Context, st ledger.State) *evidence.Error {
	held, ok := g.held(st.Origin)
	what := ""
	switch {
	case st.Contested:
		what = "does not continue what agents hold as confirmed: the database was set back or rewritten"
	case g.later(st):
		what = "was begun anew in a later epoch, which is missing: the database was set back to an older copy"
	case !ok || held.Size < st.Size || held.Head == st.Head():
		g.mend(st)
		return nil
	case held.Size == st.Size:
		what = fmt.Sprintf("has another root at %d entries than was confirmed: the database was rewritten", st.Size)
	default:
		what = fmt.Sprintf("has %d entries, %d were confirmed: the database was set back to an older copy", st.Size, held.Size)
	}
	g.tell(ctx, st.Origin, what)
	return behind(what)
}

// later reports whether an epoch after an organisation's newest one was released.
func (g *guard) later(st ledger.State) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.heads[evidence.Origin(g.s.id.name, st.Org, int(st.Epoch)+1)]
	return ok
}

// mayAppend is what the ledger asks before it signs.
func (s *Server) mayAppend(ctx context.Context, st ledger.State) error {
	if stopped := s.guard.watch(ctx, st); stopped != nil {
		return stopped
	}
	return nil
}

// behind is what callers hear of a log that may not be continued.
func behind(what string) *evidence.Error {
	return &evidence.Error{Code: evidence.CodeUnavailable, Message: "this organisation's log is read-only: it " + what,
		Cure: "nothing is lost here: records wait until the operator has put back the newest copy of the database, or has run attesto-server log recover"}
}

// tell puts a loss into the server's own log, once.
func (g *guard) tell(ctx context.Context, origin, what string) {
	g.mu.Lock()
	told := g.said[origin]
	g.said[origin] = true
	g.mu.Unlock()
	if !told {
		g.s.log.ErrorContext(ctx, "a log is read-only: it "+what, "log", origin,
			"cure", "stop the server and put back the newest copy of the database; if there is none, run attesto-server log recover")
	}
}

// release remembers a committed head before anything that is signed under it leaves
// the server. before is the state that the append started from, zero when it is
// not known; then the log must be proven to continue what was released.
func (g *guard) release(ctx context.Context, before, st ledger.State) error {
	if g.file == nil {
		return nil
	}
	held, ok := g.held(st.Origin)
	if ok && held.Size >= st.Size {
		return nil // watch has compared them, under the log's lock
	}
	if ok && held.Head != before.Head() {
		proof, err := ledger.At(ctx, g.s.store.Reader, st.ID, st.Size).Consistency(held.Size)
		if err == nil {
			err = evidence.CheckConsistency(held.Head, st.Head(), proof)
		}
		if err != nil {
			return fmt.Errorf("log %s does not continue what was released: %w: run attesto-server check", st.Origin, err)
		}
	}
	now, err := g.file.Raise(ctx, store.Guarded{Head: st.Head(), Note: st.Checkpoint})
	if err != nil {
		return err
	}
	g.mu.Lock()
	if g.heads[st.Origin].Size <= now.Size {
		g.heads[st.Origin] = now
	}
	g.mu.Unlock()
	if now.Size == st.Size && now.Root != st.Root {
		return fmt.Errorf("log %s has two roots at %d entries: run attesto-server check", st.Origin, st.Size)
	}
	return nil
}

// newest reads the newest log of an organisation, for handing out its head.
func (s *Server) newest(ctx context.Context, org string) (ledger.State, error) {
	st, err := s.store.Log(ctx, org)
	if err != nil {
		return st, err
	}
	return st, s.guard.release(ctx, ledger.State{}, st)
}
