package server

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// older finds one of the log's earlier epochs; nil when none fits.
func (a *appending) older(ctx context.Context, fits func(ledger.State) bool) (*ledger.State, error) {
	if a.logs == nil {
		var err error
		if a.logs, err = a.tx.LogsOf(ctx, a.st.Org); err != nil {
			return nil, err
		}
	}
	for i, st := range a.logs {
		if st.ID != a.st.ID && fits(st) {
			return &a.logs[i], nil
		}
	}
	return nil, nil
}

// place finds the log that an agent knows. One that the database does not have at
// all was lost with a later epoch.
func (a *appending) place(ctx context.Context, p *push) (err error) {
	if p.origin == "" || p.origin == a.st.Origin {
		return nil
	}
	p.from, err = a.older(ctx, func(st ledger.State) bool { return st.Origin == p.origin })
	if err == nil && p.from == nil && a.stopped == nil {
		a.stopped = behind("is not the one that an agent knows: " + clip(p.origin, 120))
	}
	return err
}

// claims looks at the signed heads that agents show because they were told of
// smaller ones. One that the log does not continue makes it read-only, on all
// servers that share the database.
func (a *appending) claims(ctx context.Context, group []*push) error {
	for _, p := range group {
		if p.claim == "" || p.origin == "" {
			continue
		}
		c, err := a.s.contradiction(ctx, a.tx.Reader, a.st, p)
		if err != nil {
			return err
		}
		if c == nil {
			continue
		}
		if err := a.tx.AddClaim(ctx, *c); err != nil {
			return err
		}
		a.st.Contested = true
		a.stopped = a.s.guard.watch(ctx, a.st)
	}
	return nil
}

// contradiction is what an agent holds if this server signed it and the log does
// not continue it, else nil.
func (s *Server) contradiction(ctx context.Context, r store.Reader, st ledger.State, p *push) (*store.Claim, error) {
	_, org, epoch, ok := evidence.SplitOrigin(p.origin)
	if !ok || org != st.Org || int64(epoch) < st.Epoch {
		return nil, nil
	}
	trust, err := s.trustedLog(p.origin)
	if err != nil {
		return nil, nil //nolint:nilerr // another server's log: not ours to judge
	}
	head, err := trust.OpenCheckpoint([]byte(p.claim))
	if err != nil {
		s.log.WarnContext(ctx, "an agent shows a head that this server did not sign", "agent", p.agent.ID, "err", err)
		return nil, nil
	}
	if p.origin == st.Origin && head.Size <= st.Size {
		tree := ledger.At(ctx, r, st.ID, st.Size)
		now, err := tlog.TreeHash(st.Size, tree)
		if err == nil && now != st.Root {
			err = fmt.Errorf("log %s: its entries do not give its root: run attesto-server check", st.Origin)
		}
		if err != nil {
			return nil, err
		}
		if then, err := tlog.TreeHash(head.Size, tree); err != nil || then == head.Root {
			return nil, err
		}
	}
	s.log.ErrorContext(ctx, "an agent holds a signed head that the log does not continue", "agent", p.agent.ID, "log", p.origin, "known", head.Size, "size", st.Size)
	return &store.Claim{Org: st.Org, Epoch: int64(epoch), Agent: p.agent.ID, Size: head.Size, Note: []byte(p.claim), At: s.now()}, nil
}

// epochs proves to an agent that knows an older epoch why the log goes on in
// another one.
func (s *Server) epochs(ctx context.Context, newest ledger.State, p *push) error {
	logs, err := s.store.LogsOf(ctx, newest.Org)
	if err != nil {
		return err
	}
	for _, st := range logs {
		if st.Epoch <= p.from.Epoch || st.Epoch > newest.Epoch {
			continue
		}
		if st.ID == newest.ID {
			st = newest // the head under which the records are proven
		}
		e, err := s.newEpoch(ctx, st)
		if err != nil {
			return err
		}
		if len(p.answer.Epochs) == 0 && p.known <= p.from.Size {
			if e.Consistency, err = ledger.At(ctx, s.store.Reader, p.from.ID, p.from.Size).Consistency(p.known); err != nil {
				return err
			}
		}
		p.answer.Epochs = append(p.answer.Epochs, e)
	}
	return nil
}

func (s *Server) newEpoch(ctx context.Context, st ledger.State) (evidence.NewEpoch, error) {
	rec, err := s.store.RecordAt(ctx, st.Org, st.ID, 0)
	if err != nil {
		return evidence.NewEpoch{}, err
	}
	entries, err := s.store.Entries(ctx, st.ID, 0, 1)
	if err != nil {
		return evidence.NewEpoch{}, err
	}
	if len(entries) != 1 || entries[0].Index != 0 {
		return evidence.NewEpoch{}, fmt.Errorf("first entry of log %s is missing: run attesto-server check", st.Origin)
	}
	r, err := ledger.At(ctx, s.store.Reader, st.ID, st.Size).Receipt(0, entries[0].Line, st.Checkpoint)
	return evidence.NewEpoch{Envelope: string(rec.Envelope), Entry: string(r.Entry), Proof: string(r.Proof)}, err
}
