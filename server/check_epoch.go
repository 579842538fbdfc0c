package server

import (
	"context"
	"fmt"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// guarded compares a log with what was released of it.
func (c *checking) guarded(ctx context.Context, st ledger.State) error {
	where := "log " + st.Origin
	if st.Contested {
		c.fault(where, "agents hold signed heads that it does not continue: the database was set back or rewritten")
	}
	held, ok := c.s.guard.held(st.Origin)
	if !ok {
		return nil
	}
	if held.Size > st.Size {
		c.fault(where, "has %d entries, the guard has seen %d: the database was set back to an older copy", st.Size, held.Size)
		return nil
	}
	proof, err := ledger.At(ctx, c.r, st.ID, st.Size).Consistency(held.Size)
	if err != nil {
		return err
	}
	if err := evidence.CheckConsistency(held.Head, st.Head(), proof); err != nil {
		c.fault(where, "does not continue what the guard has seen: %v", err)
	}
	return nil
}

// began checks the first statement of a later epoch: it names what is kept of the
// epoch before it, and no less than what was confirmed.
func (l *logCheck) began(rec store.Record) {
	where := fmt.Sprintf("log %s, record %d", l.st.Origin, rec.Index)
	env, err := evidence.ParseEnvelope(rec.Envelope)
	if err != nil {
		return // reported when it is examined
	}
	e, err := evidence.OpenEpoch(env, l.s.keys.Server.Public())
	if err != nil {
		l.fault(where, "does not say why the log began anew: %v", err)
		return
	}
	if rec.Index != 0 || e.Org != l.st.Org || int64(e.Epoch) != l.st.Epoch || l.old == nil {
		l.fault(where, "begins epoch %d of organisation %s, which is not this log's place", e.Epoch, e.Org)
		return
	}
	if e.Kept.Origin == l.old.Origin && e.Kept != l.old.Head() {
		l.fault(where, "says that %d entries of log %s are kept, it has %d, or their roots differ", e.Kept.Size, l.old.Origin, l.old.Size)
	}
	if err := l.last(e); err != nil {
		l.fault(where, "%v", err)
	}
}

// last checks the last head of the old log that an epoch names.
func (l *logCheck) last(e evidence.Epoch) error {
	trust, err := l.s.trustedLog(e.Last.Origin)
	if err != nil {
		return err
	}
	head, err := trust.OpenCheckpoint([]byte(e.Checkpoint))
	if err != nil {
		return fmt.Errorf("the last head of the old log: %w", err)
	}
	if head != e.Last {
		return fmt.Errorf("its checkpoint of the old log is of %d entries, it names %d", head.Size, e.Last.Size)
	}
	if held, ok := l.s.guard.held(e.Last.Origin); ok && held.Size > head.Size {
		return fmt.Errorf("it names %d entries of log %s, the guard has seen %d", head.Size, head.Origin, held.Size)
	}
	return nil
}
