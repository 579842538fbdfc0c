package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// exhibit is a stored record with all that is needed to examine it.
type exhibit struct {
	rec   store.Record
	entry ledger.Entry // zero when it is missing
	items []store.Item
	key   evidence.PublicKey // zero when there is none
	seq   uint64             // that the chain asks for
	prev  evidence.Digest    // likewise
	blob  func(evidence.Digest) (store.Blob, error)
	owed  func(evidence.Digest) bool // the agent has never sent it
	gone  func(store.Blob) error     // whether an entry says that it was erased

	suspect time.Time // what its agent sent from then on is distrusted
}

// named is what a signed statement names, by type.
type named struct {
	agent string
	seq   uint64
	prev  evidence.Digest
	items []store.Item
	kinds map[evidence.Digest]evidence.Item // blobs, each with the item that it is of
}

// examine proves a record from its bytes, all but its inclusion in the tree.
func (x exhibit) examine() []ledger.Proof {
	env, err := evidence.ParseEnvelope(x.rec.Envelope)
	if err != nil {
		return []ledger.Proof{x.entryProof(evidence.Envelope{}, err), {Name: ledger.ProofSignature, Why: err.Error()}}
	}
	proofs := []ledger.Proof{x.entryProof(env, nil)}
	said, err := x.open(env)
	if err != nil {
		return append(proofs, ledger.Proof{Name: ledger.ProofSignature, Why: err.Error()})
	}
	signed := string(env.KeyID())
	if !x.suspect.IsZero() && !x.rec.Received.Before(x.suspect) {
		signed += "; SUSPECT: the key was revoked, and what came since " + x.suspect.Format("2006-01-02 15:04 MST") + " may be another's"
	}
	return append(proofs, ledger.Proof{Name: ledger.ProofSignature, OK: true, Why: signed},
		x.chainProof(said), x.contentProof(said), x.indexProof(env, said))
}

// failed makes a proof of an error, or of its absence.
func failed(name string, err error) ledger.Proof {
	if err != nil {
		return ledger.Proof{Name: name, Why: err.Error()}
	}
	return ledger.Proof{Name: name, OK: true}
}

func (x exhibit) entryProof(env evidence.Envelope, unreadable error) ledger.Proof {
	return failed(ledger.ProofEntry, func() error {
		if x.entry.Line == nil {
			return errors.New("the log's entry is missing")
		}
		if evidence.LeafHash(x.entry.Line) != x.entry.Leaf {
			return errors.New("the entry's bytes do not have the leaf hash that is stored: one of the two was changed")
		}
		e, err := evidence.ParseEntry(x.entry.Line)
		switch {
		case err != nil:
			return err
		case unreadable != nil:
			return fmt.Errorf("the envelope was changed: %w", unreadable)
		case e.Env != env.Digest() || e.Stmt != env.StatementDigest():
			return errors.New("the envelope is not the one that was logged: it was changed")
		case e.Type != x.rec.Type || e.Agent != x.rec.Agent || e.Time.UnixMicro() != store.Micros(x.rec.Received):
			return errors.New("type, agent or time of the stored record are not those of the entry")
		}
		return nil
	}())
}

// open checks the signature and reads the statement.
func (x exhibit) open(env evidence.Envelope) (named, error) {
	n := named{agent: x.rec.Agent, kinds: map[evidence.Digest]evidence.Item{}}
	if x.key.IsZero() {
		return n, errors.New("the agent that is said to have signed it is unknown: its row is missing or changed")
	}
	switch x.rec.Type {
	case evidence.EntryEnrollment:
		_, key, err := evidence.OpenEnrollment(env)
		if err == nil && key.ID() != x.key.ID() {
			err = fmt.Errorf("enrolled with key %s, the agent's row says %s", key.ID(), x.key.ID())
		}
		return n, err
	case evidence.EntryWorkflow:
		w, err := evidence.OpenWorkflow(env, x.key)
		n.agent = ""
		n.items = []store.Item{workflowItem(x.rec, w)}
		n.kinds[w.Data] = evidence.Item{Kind: kindWorkflow, Detail: w.Data}
		return n, err
	case evidence.EntryEpoch:
		_, err := evidence.OpenEpoch(env, x.key)
		n.agent = ""
		return n, err
	case evidence.EntryRevocation:
		_, err := evidence.OpenRevocation(env, x.key)
		n.agent = ""
		return n, err
	case evidence.EntryErasure:
		_, err := evidence.OpenErasure(env, x.key)
		n.agent = ""
		return n, err
	case evidence.EntryEvidence, evidence.EntryRotation:
		v, err := evidence.Open(env, x.key, nil)
		if err == nil && v.Type() != x.rec.Type {
			err = fmt.Errorf("signed as %s, logged as %s", v.Type(), x.rec.Type)
		}
		if err != nil {
			return n, err
		}
		stated := v.Record()
		n.agent, n.seq, n.prev, n.items = stated.Agent, stated.Seq, stated.Prev, itemsOf(x.rec, stated)
		for _, it := range stated.Items {
			n.kinds[it.Facts] = it
			if !it.Detail.IsZero() {
				n.kinds[it.Detail] = it
			}
		}
		return n, nil
	}
	return n, fmt.Errorf("record of type %q", x.rec.Type)
}

func (x exhibit) chainProof(n named) ledger.Proof {
	if x.rec.Type != evidence.EntryEvidence && x.rec.Type != evidence.EntryRotation {
		return ledger.Proof{Name: ledger.ProofChain, OK: true, Why: "records of this type are not chained"}
	}
	return failed(ledger.ProofChain, func() error {
		switch {
		case n.seq != x.seq:
			return fmt.Errorf("it is number %d, its place in the log is that of number %d: a record is missing or out of order", n.seq, x.seq)
		case n.prev != x.prev:
			return fmt.Errorf("it follows statement %s, the record before it has %s", n.prev, x.prev)
		}
		return nil
	}())
}

func (x exhibit) contentProof(n named) ledger.Proof {
	note := ""
	for d, it := range n.kinds {
		b, err := x.blob(d)
		switch {
		case errors.Is(err, store.ErrNotFound) && x.owed(d):
			note = fmt.Sprintf("%s: the agent has not sent blob %s yet", it.Kind, d)
		case errors.Is(err, store.ErrNotFound):
			return ledger.Proof{Name: ledger.ProofContent, Why: fmt.Sprintf("%s: blob %s is missing", it.Kind, d)}
		case err != nil:
			return ledger.Proof{Name: ledger.ProofContent, Why: err.Error()}
		case b.Broken != "":
			return ledger.Proof{Name: ledger.ProofContent, Why: fmt.Sprintf("%s: %s", it.Kind, b.Broken)}
		case b.Data == nil && !b.Erased.IsZero():
			if err := x.gone(b); err != nil {
				return ledger.Proof{Name: ledger.ProofContent, Why: fmt.Sprintf("%s: blob %s is gone: %v", it.Kind, d, err)}
			}
			note = fmt.Sprintf("%s: blob %s was erased on %s, see entry %d", it.Kind, d, b.Erased.Format(time.DateOnly), b.Index)
		case evidence.Sum(b.Data) != d:
			return ledger.Proof{Name: ledger.ProofContent, Why: fmt.Sprintf("%s: blob %s was changed", it.Kind, d)}
		}
	}
	return ledger.Proof{Name: ledger.ProofContent, OK: true, Why: note}
}

// indexProof compares what checks read with what was signed.
func (x exhibit) indexProof(env evidence.Envelope, n named) ledger.Proof {
	return failed(ledger.ProofIndex, func() error {
		seq := int64(n.seq)
		if x.rec.Agent == "" {
			seq = x.rec.Index
		}
		if x.rec.Stmt != env.StatementDigest() || x.rec.Seq != seq || x.rec.Agent != n.agent {
			return errors.New("agent, number or statement of the stored record are not those that were signed")
		}
		key := func(it store.Item) string {
			return fmt.Sprint(it.Agent, it.Kind, it.Log, it.Index, it.Schema, store.Micros(it.From), store.Micros(it.To),
				store.Micros(it.Received), it.Outcome, it.Reason, it.Facts, it.Detail)
		}
		var have, want []string
		for _, it := range x.items {
			have = append(have, key(it))
		}
		for _, it := range n.items {
			want = append(want, key(it))
		}
		slices.Sort(have)
		slices.Sort(want)
		if !slices.Equal(have, want) {
			return fmt.Errorf("%d items are stored that are not as signed (signed: %d)", len(have), len(want))
		}
		return nil
	}())
}

// VerifyRecord proves the record of an index in an epoch of an organisation's log,
// from its stored bytes up to the log's current signed head. The error is for what
// could not be read, store.ErrNotFound among it; what does not hold is in the
// proofs.
func (s *Server) VerifyRecord(ctx context.Context, org string, epoch, index int64) ([]ledger.Proof, error) {
	st, err := s.store.LogAt(ctx, org, epoch)
	if err != nil {
		return nil, err
	}
	var x exhibit
	if x.rec, err = s.store.RecordAt(ctx, org, st.ID, index); err != nil {
		return nil, err
	}
	if x.items, err = s.store.ItemsAt(ctx, org, st.ID, index, index+1); err != nil {
		return nil, err
	}
	entries, err := s.store.Entries(ctx, st.ID, index, 1)
	if err != nil {
		return nil, err
	}
	if len(entries) == 1 && entries[0].Index == index {
		x.entry = entries[0]
	}
	if err := s.signerOf(ctx, &x); err != nil {
		return nil, err
	}
	if err := s.before(ctx, &x); err != nil {
		return nil, err
	}
	x.blob = func(d evidence.Digest) (store.Blob, error) { return s.store.Blob(ctx, x.rec.Place(d)) }
	x.gone = func(b store.Blob) error { return s.erasedBy(ctx, s.store.Reader, b) }
	x.owed = func(d evidence.Digest) bool {
		wants, err := s.store.WantsOf(ctx, org, x.rec.Agent, d)
		return err == nil && slices.Contains(wants, store.Want{Place: x.rec.Place(d), Agent: x.rec.Agent})
	}
	return append(x.examine(), s.inclusion(ctx, st, x.entry, index)), nil
}

// signerOf finds the key that must have signed a record, and whether it is
// distrusted; the zero key when the agent's row is missing or damaged.
func (s *Server) signerOf(ctx context.Context, x *exhibit) error {
	if x.rec.Agent == "" {
		x.key = s.keys.Server.Public()
		return nil
	}
	agent, err := s.store.Agent(ctx, x.rec.Agent)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if agent.SPKI, err = s.store.KeyAt(ctx, agent, x.rec.Seq); err != nil {
		return err
	}
	x.key, x.suspect = agentKey(agent), agent.Suspect
	return nil
}

// agentKey is the zero key when the row is damaged.
func agentKey(a store.Agent) evidence.PublicKey {
	key, err := evidence.ParsePublicKey(a.SPKI)
	if err != nil {
		return evidence.PublicKey{}
	}
	return key
}

// before finds which number and statement the record must follow, from the bytes
// of the record before it.
func (s *Server) before(ctx context.Context, x *exhibit) error {
	x.seq = uint64(x.rec.Seq)
	if x.rec.Type != evidence.EntryEvidence && x.rec.Type != evidence.EntryRotation {
		return nil
	}
	last, err := s.store.RecordBySeq(ctx, x.rec.Org, x.rec.Agent, x.rec.Seq-1)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if env, err := evidence.ParseEnvelope(last.Envelope); err == nil {
		x.prev = env.StatementDigest()
	}
	return nil
}

// inclusion proves an entry under the log's current head from the stored tree.
func (s *Server) inclusion(ctx context.Context, st ledger.State, e ledger.Entry, index int64) ledger.Proof {
	trust, err := s.trustedLog(st.Origin)
	if err != nil {
		return failed(ledger.ProofInclusion, err)
	}
	head, err := trust.OpenCheckpoint(st.Checkpoint)
	if err != nil {
		return failed(ledger.ProofInclusion, err)
	}
	path, err := ledger.At(ctx, s.store.Reader, st.ID, head.Size).Inclusion(index)
	if err != nil {
		return failed(ledger.ProofInclusion, err)
	}
	if err := tlog.CheckRecord(path, head.Size, head.Root, index, evidence.LeafHash(e.Line)); err != nil {
		return failed(ledger.ProofInclusion, fmt.Errorf("entry %d is not in the tree of %d entries that was signed: %w", index, head.Size, err))
	}
	return ledger.Proof{Name: ledger.ProofInclusion, OK: true, Why: fmt.Sprintf("entry %d of %d, root %s", index, head.Size, head.Root)}
}
