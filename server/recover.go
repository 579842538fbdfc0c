package server

import (
	"context"
	"fmt"
	"slices"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// recoverReasons say why a log is begun anew.
var recoverReasons = []string{
	"restored",  // an older copy of the database was put back
	"lost",      // the database lost transactions that it had confirmed
	"rewritten", // what the database holds is not what was confirmed
}

// RecoverLog begins a log anew that cannot be continued because the database lost
// what was confirmed: a new epoch, whose first entry names the last head that is
// known to have been signed, what is kept of the old log, and the reason. The old log
// stays as it is, to be read and proven. Agents send again what is missing.
func (s *Server) RecoverLog(ctx context.Context, org, reason, by string) (evidence.Epoch, error) {
	if !slices.Contains(recoverReasons, reason) {
		return evidence.Epoch{}, fmt.Errorf("reason %q: want one of %v", reason, recoverReasons)
	}
	var e evidence.Epoch
	var next ledger.State
	err := s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		old, err := tx.LockLog(ctx, org)
		if err != nil {
			return err
		}
		last, note, err := s.lastKnown(ctx, tx.Reader, old)
		if err != nil {
			return err
		}
		e = evidence.Epoch{Org: org, At: evidence.At(s.now()), By: by, Reason: reason, Last: last, Kept: old.Head(), Checkpoint: string(note)}
		_, _, epoch, _ := evidence.SplitOrigin(last.Origin)
		e.Epoch = max(epoch, int(old.Epoch)) + 1
		if last.Origin != old.Origin { // of the epoch that was lost whole nothing is kept
			e.Kept = evidence.Head{Origin: last.Origin, Root: evidence.CompactRange{}.Root()}
		}
		next, err = s.beginEpoch(ctx, tx, old, e)
		return err
	})
	if err != nil {
		return e, fmt.Errorf("recovering the log: %w", err)
	}
	return e, s.guard.release(ctx, ledger.State{}, next)
}

// lastKnown is the newest head of a log that is known to have been signed: by the
// guard, or because an agent showed it. It refuses a log that nothing speaks
// against.
func (s *Server) lastKnown(ctx context.Context, r store.Reader, st ledger.State) (evidence.Head, []byte, error) {
	best, note, epoch := st.Head(), st.Checkpoint, int(st.Epoch)
	contradicted := st.Contested
	consider := func(signed []byte, origin string) error {
		server, org, n, ok := evidence.SplitOrigin(origin)
		if !ok || server != s.id.name || org != st.Org || n < int(st.Epoch) {
			return nil
		}
		trust, err := s.trustedLog(origin)
		if err != nil {
			return err
		}
		head, err := trust.OpenCheckpoint(signed)
		if err != nil {
			return fmt.Errorf("a head of %s that was kept: %w", origin, err)
		}
		if origin == st.Origin && head.Size < st.Size {
			return nil
		}
		contradicted = contradicted || head != st.Head()
		if n > epoch || n == epoch && (head.Size > best.Size || head.Size == best.Size && best == st.Head()) {
			best, note, epoch = head, signed, n
		}
		return nil
	}
	if err := s.guard.read(ctx); err != nil {
		return best, nil, err
	}
	for _, held := range s.guard.all() {
		if err := consider(held.Note, held.Origin); err != nil {
			return best, nil, err
		}
	}
	claims, err := r.Claims(ctx, st.Org)
	if err != nil {
		return best, nil, err
	}
	for _, c := range claims {
		if err := consider(c.Note, evidence.Origin(s.id.name, c.Org, int(c.Epoch))); err != nil {
			return best, nil, err
		}
	}
	if !contradicted {
		return best, nil, fmt.Errorf("nothing speaks against the log of %d entries: neither the guard nor an agent has seen more than it holds; "+
			"if the database was set back, wait until the agents have pushed: they show what they know", st.Size)
	}
	return best, note, nil
}

// beginEpoch makes the new log with its first entry and record.
func (s *Server) beginEpoch(ctx context.Context, tx *store.Tx, old ledger.State, e evidence.Epoch) (ledger.State, error) {
	env, err := evidence.SealEpoch(s.keys.Server, e)
	if err != nil {
		return ledger.State{}, err
	}
	st, err := s.ledger.Start(evidence.NewID("l_"), e.Org, evidence.Origin(s.id.name, e.Org, e.Epoch), int64(e.Epoch))
	if err != nil {
		return st, err
	}
	st.LastTime = old.LastTime
	if err := tx.AddLog(ctx, st); err != nil {
		return st, err
	}
	next, stored, err := s.ledger.Append(ctx, tx, st, s.now(), []evidence.Entry{{Type: evidence.EntryEpoch, Stmt: env.StatementDigest(), Env: env.Digest()}})
	if err != nil {
		return st, err
	}
	if err := tx.AddRecords(ctx, []store.Record{{Org: e.Org, Type: evidence.EntryEpoch, Stmt: env.StatementDigest(), Envelope: env.Bytes(),
		Log: next.ID, Index: stored[0].Index, Received: next.LastTime.Time}}); err != nil {
		return st, err
	}
	return next, tx.DropNonces(ctx, e.Org) // their hosts were offered the old log
}
