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
	places, err := s.placesOf(ctx, org, blobs)
	if err != nil {
		return nil, fmt.Errorf("erasing: %w", err)
	}
	return s.erase(ctx, org, places, basis, by)
}

// placesOf finds where blobs lie that are known by digest only; of one that lies
// beside several records, all that have content.
func (s *Server) placesOf(ctx context.Context, org string, blobs []evidence.Digest) ([]store.Place, error) {
	there, gone := map[evidence.Digest][]store.Place{}, map[evidence.Digest]store.Place{}
	for _, d := range blobs {
		there[d] = nil
	}
	err := s.store.Places(ctx, org, func(p store.Place, has bool) {
		switch list, wanted := there[p.SHA]; {
		case wanted && has:
			there[p.SHA] = append(list, p)
		case wanted:
			gone[p.SHA] = p
		}
	})
	var places []store.Place
	for _, d := range blobs {
		last, erased := gone[d]
		switch list, wanted := there[d]; {
		case err != nil || !wanted: // named twice
		case len(list) > 0:
			places = append(places, list...)
		case erased:
			places = append(places, last)
		default:
			err = fmt.Errorf("blob %s: %w", d, store.ErrNotFound)
		}
		delete(there, d)
	}
	return places, err
}

func (s *Server) erase(ctx context.Context, org string, places []store.Place, basis, by string) ([]int64, error) {
	var indexes []int64
	for part := range slices.Chunk(places, evidence.MaxErased) {
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

func (s *Server) eraseBlobs(ctx context.Context, tx *store.Tx, org string, places []store.Place, basis, by string) (int64, error) {
	var blobs []evidence.Digest
	for _, p := range places {
		b, err := tx.Blob(ctx, p)
		if err != nil {
			return 0, err
		}
		if !b.Erased.IsZero() {
			return 0, fmt.Errorf("blob %s was erased already, see entry %d", p.SHA, b.Index)
		}
		if !slices.Contains(blobs, p.SHA) {
			blobs = append(blobs, p.SHA)
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
	for _, p := range places {
		if err := tx.EraseBlob(ctx, store.Blob{Place: p, Erased: rec.Received, Log: rec.Log, Index: rec.Index}); err != nil {
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
// shows its contents. Its open cases and alerts end. The log, its signatures and the board stay. What was begun
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
	if err := s.erasePassed(ctx, org, by); err != nil {
		return fmt.Errorf("erasing what was passed on to organisation %s: %w", org, err)
	}
	return errors.Join(s.keys.Data.Destroy(org), s.caseMoved(ctx, org))
}

func (s *Server) eraseOrg(ctx context.Context, tx *store.Tx, org, by string) error {
	if err := s.endCases(ctx, tx, org, by); err != nil {
		return err
	}
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
	return errors.Join(tx.EraseAllBlobs(ctx, rec),
		tx.EraseOrg(ctx, org, rec.Received), tx.RestVerdicts(ctx, org))
}

// erasedBy checks that an entry of the log says that a blob was erased.
func (s *Server) erasedBy(ctx context.Context, r store.Reader, b store.Blob) error {
	rec, err := r.RecordAt(ctx, b.Place.Org, b.Log, b.Index)
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
	if e.Scope != evidence.EraseOrg && !slices.Contains(e.Blobs, b.Place.SHA) {
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

// erasures are entries of one organisation that say what was erased. One walk over
// its blobs tells for all of them what is there all the same.
type erasures struct {
	entries []store.Record // without their envelopes
	bases   []string
	by      map[evidence.Digest]int // which of the entries names a blob
	all     int                     // which of them names all blobs, from 1; 0 for none
}

// add notes what an entry says, if it can be read; if not, that is reported when
// the record is examined.
func (l *erasures) add(s *Server, rec store.Record) {
	e, err := s.erasure(rec)
	if err != nil {
		return
	}
	rec.Envelope = nil
	l.entries, l.bases = append(l.entries, rec), append(l.bases, e.Basis)
	if e.Scope == evidence.EraseOrg {
		l.all = len(l.entries)
		return
	}
	if l.by == nil {
		l.by = map[evidence.Digest]int{}
	}
	for _, d := range e.Blobs {
		l.by[d] = len(l.entries) - 1
	}
}

// many says that it is time to look: what is noted takes memory.
func (l *erasures) many() bool { return len(l.by) > 500_000 }

// returned lists, for each entry, the blobs of it that have content. What is past
// its term beside one record may not be beside another that names it too.
func (l *erasures) returned(ctx context.Context, r store.Reader) ([][]store.Place, error) {
	back := make([][]store.Place, len(l.entries))
	if len(back) == 0 {
		return nil, nil
	}
	there := map[evidence.Digest][]store.Place{}
	err := r.Places(ctx, l.entries[0].Org, func(p store.Place, has bool) {
		i, named := l.by[p.SHA]
		switch {
		case has && l.all > 0:
			back[l.all-1] = append(back[l.all-1], p)
		case has && named:
			there[p.SHA] = append(there[p.SHA], p)
		case named && l.bases[i] == basisRetention:
			delete(l.by, p.SHA)
		}
	})
	for d, places := range there {
		if i, named := l.by[d]; named {
			back[i] = append(back[i], places...)
		}
	}
	return back, err
}

// stayedErased finds blobs that entries say were erased and that are there: a copy
// of the database from before was put back.
func (l *logCheck) stayedErased() error {
	back, err := l.erased.returned(l.ctx, l.r)
	for i, places := range back {
		if len(places) > 0 {
			l.fault(fmt.Sprintf("log %s, entry %d", l.st.Origin, l.erased.entries[i].Index),
				"says that %d blobs were erased which are there: an older copy was put back; attesto-server erase --replay", len(places))
		}
	}
	l.erased = erasures{}
	return err
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
		var erased erasures
		for i, rec := range custody {
			if rec.Type == evidence.EntryErasure {
				erased.add(s, rec)
			}
			if !erased.many() && i < len(custody)-1 {
				continue
			}
			more, err := s.replay(ctx, &erased)
			if n += more; err != nil {
				return n, fmt.Errorf("replaying the erasures of log %s: %w", st.Origin, err)
			}
			erased = erasures{}
		}
	}
	return n, nil
}

func (s *Server) replay(ctx context.Context, l *erasures) (n int, err error) {
	back, err := l.returned(ctx, s.store.Reader)
	if err != nil {
		return 0, err
	}
	for i, places := range back {
		if len(places) == 0 {
			continue
		}
		rec := l.entries[i]
		err := s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
			if i == l.all-1 {
				return tx.EraseAllBlobs(ctx, rec)
			}
			for _, p := range places {
				if err := tx.EraseBlob(ctx, store.Blob{Place: p, Erased: rec.Received, Log: rec.Log, Index: rec.Index}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return n, fmt.Errorf("entry %d: %w", rec.Index, err)
		}
		n += len(places)
	}
	return n, nil
}
