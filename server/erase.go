package server

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// The reasons of an erasure.
const (
	basisRetention   = "retention"   // its term is over
	basisRequest     = "request"     // somebody asked whom it is about
	basisMistake     = "mistake"     // it should never have been sent
	basisOffboarding = "offboarding" // the customer has left
)

// appendStated adds what the server states to a log that this transaction has
// locked: entry and record.
func (s *Server) appendStated(ctx context.Context, tx *store.Tx, st ledger.State, kind evidence.EntryType, env evidence.Envelope) (ledger.State, store.Record, error) {
	next, stored, err := s.ledger.Append(ctx, tx, st, s.now(), []evidence.Entry{{Type: kind, Stmt: env.StatementDigest(), Env: env.Digest()}})
	if err != nil {
		return st, store.Record{}, err
	}
	rec := store.Record{Org: next.Org, Seq: stored[0].Index, Type: kind, Stmt: env.StatementDigest(), Envelope: env.Bytes(),
		Log: next.ID, Index: stored[0].Index, Received: next.LastTime.Time}
	return next, rec, tx.AddRecords(ctx, []store.Record{rec})
}

// EraseBlobs deletes facts or details of an organisation for good and says so in
// its log. Signatures, the log and all verdicts stay as they are. It returns the
// indexes of the entries that say so.
func (s *Server) EraseBlobs(ctx context.Context, org string, blobs []evidence.Digest, basis, by string) ([]int64, error) {
	if !slices.Contains([]string{basisRetention, basisRequest, basisMistake}, basis) {
		return nil, fmt.Errorf("basis %q: want %s, %s or %s", basis, basisRequest, basisMistake, basisRetention)
	}
	if len(blobs) == 0 {
		return nil, errors.New("nothing to erase")
	}
	var indexes []int64
	for part := range slices.Chunk(blobs, evidence.MaxErased) {
		err := s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
			index, err := s.eraseBlobs(ctx, tx, org, part, basis, by)
			if err == nil {
				indexes = append(indexes, index)
			}
			return err
		})
		if err != nil {
			return indexes, fmt.Errorf("erasing: %w", err)
		}
	}
	return indexes, nil
}

func (s *Server) eraseBlobs(ctx context.Context, tx *store.Tx, org string, blobs []evidence.Digest, basis, by string) (int64, error) {
	for _, d := range blobs {
		b, err := tx.Blob(ctx, org, d)
		if err != nil {
			return 0, err
		}
		if !b.Erased.IsZero() {
			return 0, fmt.Errorf("blob %s was erased already, see entry %d", d, b.Index)
		}
	}
	st, err := tx.LockLog(ctx, org)
	if err != nil {
		return 0, err
	}
	env, err := evidence.SealErasure(s.keys.Server, evidence.Erasure{Org: org, At: evidence.At(s.now()), By: by, Basis: basis, Scope: evidence.EraseBlobs, Blobs: blobs})
	if err != nil {
		return 0, err
	}
	_, rec, err := s.appendStated(ctx, tx, st, evidence.EntryErasure, env)
	if err != nil {
		return 0, err
	}
	for _, d := range blobs {
		if err := tx.EraseBlob(ctx, store.Blob{Org: org, SHA: d, Erased: rec.Received, Log: rec.Log, Index: rec.Index}); err != nil {
			return 0, err
		}
	}
	return rec.Index, nil
}

// BlobsOf lists the blobs that a record names: its facts, its details, or both.
func (s *Server) BlobsOf(ctx context.Context, org string, index int64, facts, detail bool) ([]evidence.Digest, error) {
	st, err := s.store.Log(ctx, org)
	if err != nil {
		return nil, err
	}
	items, err := s.store.ItemsAt(ctx, org, st.ID, index, index+1)
	if err != nil {
		return nil, err
	}
	var list []evidence.Digest
	for _, it := range items {
		if facts && !it.Facts.IsZero() {
			list = append(list, it.Facts)
		}
		if detail && !it.Detail.IsZero() {
			list = append(list, it.Detail)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("record %d of organisation %s names no such blob: %w", index, org, store.ErrNotFound)
	}
	return list, nil
}

// EraseOrg erases a customer that has left: all facts and details, whoever could
// sign in, its agents' access, and the key without which no copy of the database
// shows its contents. The log, its signatures and the board stay. What was begun
// and broken off is finished by calling it again.
func (s *Server) EraseOrg(ctx context.Context, org, by string) error {
	o, err := s.store.Org(ctx, org)
	if err != nil {
		return err
	}
	if o.Kind == store.Provider {
		return errors.New("the provider cannot be erased: every customer's board rests on it")
	}
	if o.Erased.IsZero() {
		if err := s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return s.eraseOrg(ctx, tx, org, by) }); err != nil {
			return fmt.Errorf("erasing organisation %s: %w", org, err)
		}
	}
	return s.keys.Data.Destroy(org)
}

func (s *Server) eraseOrg(ctx context.Context, tx *store.Tx, org, by string) error {
	agents, err := tx.Agents(ctx, org)
	if err != nil {
		return err
	}
	for _, a := range agents {
		if err := tx.SetAgentState(ctx, a.ID, store.AgentRevoked); err != nil {
			return err
		}
	}
	st, err := tx.LockLog(ctx, org)
	if err != nil {
		return err
	}
	key, err := s.keys.Data.Digest(org)
	if err != nil {
		return err
	}
	if key.IsZero() { // never needed one
		key = evidence.Sum([]byte(org))
	}
	env, err := evidence.SealErasure(s.keys.Server, evidence.Erasure{Org: org, At: evidence.At(s.now()), By: by, Basis: basisOffboarding, Scope: evidence.EraseOrg,
		Blobs: []evidence.Digest{key}})
	if err != nil {
		return err
	}
	_, rec, err := s.appendStated(ctx, tx, st, evidence.EntryErasure, env)
	if err != nil {
		return err
	}
	return errors.Join(tx.EraseAllBlobs(ctx, store.Blob{Org: org, Erased: rec.Received, Log: rec.Log, Index: rec.Index}),
		tx.EraseOrg(ctx, org, rec.Received), tx.RestVerdicts(ctx, org))
}

// erasedBy checks that an entry of the log says that a blob was erased.
func (s *Server) erasedBy(ctx context.Context, r store.Reader, b store.Blob) error {
	rec, err := r.RecordAt(ctx, b.Org, b.Log, b.Index)
	if errors.Is(err, store.ErrNotFound) {
		return errors.New("no entry says that it was erased")
	}
	if err != nil {
		return err
	}
	e, err := s.erasure(rec)
	if err != nil {
		return err
	}
	if e.Scope != evidence.EraseOrg && !slices.Contains(e.Blobs, b.SHA) {
		return fmt.Errorf("entry %d, which should say that it was erased, names other blobs", b.Index)
	}
	return nil
}

func (s *Server) erasure(rec store.Record) (evidence.Erasure, error) {
	env, err := evidence.ParseEnvelope(rec.Envelope)
	if err != nil {
		return evidence.Erasure{}, err
	}
	key, err := s.id.keyset.ServerKey(env.KeyID())
	if err != nil {
		return evidence.Erasure{}, err
	}
	return evidence.OpenErasure(env, key)
}

// stayedErased finds blobs that an entry says were erased and that are there: a
// copy of the database from before was put back.
func (l *logCheck) stayedErased(rec store.Record) error {
	back, err := l.s.returned(l.ctx, l.r, rec)
	if err != nil || len(back) == 0 {
		return err
	}
	l.fault(fmt.Sprintf("log %s, entry %d", l.st.Origin, rec.Index), "says that %d blobs were erased which are there: an older copy was put back; attesto-server erase --replay", len(back))
	return nil
}

// returned lists the blobs of an erasure that have content.
func (s *Server) returned(ctx context.Context, r store.Reader, rec store.Record) ([]evidence.Digest, error) {
	e, err := s.erasure(rec)
	if err != nil {
		return nil, nil //nolint:nilerr // reported when the record is examined
	}
	if e.Scope == evidence.EraseOrg {
		return r.PresentBlobs(ctx, rec.Org, 1_000_000)
	}
	var back []evidence.Digest
	for _, d := range e.Blobs {
		b, err := r.Blob(ctx, rec.Org, d)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if b.Data != nil || b.Broken != "" {
			back = append(back, d)
		}
	}
	return back, nil
}

// ReplayErasures deletes again what entries say was erased, after an older copy of
// the database was put back. It returns how many blobs it deleted.
func (s *Server) ReplayErasures(ctx context.Context) (n int, err error) {
	logs, err := s.store.Logs(ctx)
	if err != nil {
		return 0, err
	}
	for _, st := range logs {
		custody, err := s.store.Custody(ctx, st.Org, st.ID)
		if err != nil {
			return n, err
		}
		for _, rec := range custody {
			if rec.Type != evidence.EntryErasure {
				continue
			}
			more, err := s.replay(ctx, rec)
			if n += more; err != nil {
				return n, fmt.Errorf("replaying the erasure of entry %d of log %s: %w", rec.Index, st.Origin, err)
			}
		}
	}
	return n, nil
}

func (s *Server) replay(ctx context.Context, rec store.Record) (n int, err error) {
	err = s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		back, err := s.returned(ctx, tx.Reader, rec)
		if err != nil {
			return err
		}
		n = len(back)
		if e, err := s.erasure(rec); err == nil && e.Scope == evidence.EraseOrg {
			return tx.EraseAllBlobs(ctx, store.Blob{Org: rec.Org, Erased: rec.Received, Log: rec.Log, Index: rec.Index})
		}
		for _, d := range back {
			if err := tx.EraseBlob(ctx, store.Blob{Org: rec.Org, SHA: d, Erased: rec.Received, Log: rec.Log, Index: rec.Index}); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}
