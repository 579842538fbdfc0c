package server

import (
	"context"
	"fmt"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// kindWorkflow is the kind under which what the server itself states stands among
// the items: reason is the event, detail its data.
const kindWorkflow = duties.KindCases

// AppendWorkflow states, signed with the server's key, that something happened, as
// an entry of the organisation's log. detail is what may be erased later. It
// returns the entry's index once it is committed.
func (s *Server) AppendWorkflow(ctx context.Context, w evidence.Workflow, detail any) (index int64, err error) {
	err = s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		index, err = s.AppendWorkflowTx(ctx, tx, w, detail)
		return err
	})
	return index, err
}

// AppendWorkflowTx is AppendWorkflow within the caller's transaction. The log is
// locked until that ends.
func (s *Server) AppendWorkflowTx(ctx context.Context, tx *store.Tx, w evidence.Workflow, detail any) (int64, error) {
	blob, err := evidence.DetailBlob(detail)
	if err != nil {
		return 0, fmt.Errorf("stating %s: %w", w.Event, err)
	}
	st, err := tx.LockLog(ctx, w.Org)
	if err != nil {
		return 0, err
	}
	w.Data = evidence.Sum(blob)
	if w.At.IsZero() {
		w.At = evidence.At(s.now())
	}
	env, err := evidence.SealWorkflow(s.keys.Server, w)
	if err != nil {
		return 0, err
	}
	next, stored, err := s.ledger.Append(ctx, tx, st, s.now(), []evidence.Entry{{Type: evidence.EntryWorkflow, Stmt: env.StatementDigest(), Env: env.Digest()}})
	if err != nil {
		return 0, err
	}
	rec := store.Record{Org: w.Org, Seq: stored[0].Index, Type: evidence.EntryWorkflow, Stmt: env.StatementDigest(), Envelope: env.Bytes(),
		Log: next.ID, Index: stored[0].Index, Received: next.LastTime.Time}
	if err := tx.AddRecords(ctx, []store.Record{rec}); err != nil {
		return 0, err
	}
	if err := tx.AddItems(ctx, []store.Item{workflowItem(rec, w)}); err != nil {
		return 0, err
	}
	return rec.Index, tx.AddBlobs(ctx, []store.Blob{{Place: rec.Place(w.Data), Data: blob}})
}

func workflowItem(rec store.Record, w evidence.Workflow) store.Item {
	return store.Item{Org: rec.Org, Kind: kindWorkflow, Log: rec.Log, Index: rec.Index, Schema: 1, From: w.At.Time, To: w.At.Time,
		Received: rec.Received, Outcome: evidence.Complete, Reason: w.Event, Detail: w.Data}
}
