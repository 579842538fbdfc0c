package web

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// checkSteps are what the reader's browser finds out about a record, in order; see
// static/record.js.
var checkSteps = []string{"root", "log", "custody", "inclusion", "signature", "entry", "chain", "content", "kept"}

// proofAnswer is all that a browser needs to check a record by itself, as the raw
// bytes: nothing in it is a verdict.
type proofAnswer struct {
	Org         string        `json:"org"`
	Origin      string        `json:"origin"`
	Agent       string        `json:"agent,omitempty"`
	Root        []byte        `json:"root"` // SPKI
	Keyset      string        `json:"keyset"`
	Checkpoint  string        `json:"checkpoint"`
	Records     []proofRecord `json:"records"`               // who may sign, the record before, and the record itself
	Key         []byte        `json:"key,omitempty"`         // SPKI of the agent, where its enrollment cannot be shown
	Consistency [][]byte      `json:"consistency,omitempty"` // with the head of the size that was asked for
}

type proofRecord struct {
	Index    int64             `json:"index"`
	Envelope string            `json:"envelope"`
	Entry    string            `json:"entry"`
	Proof    string            `json:"proof"`
	Blobs    map[string]string `json:"blobs"` // name to text
}

// prover makes proofs under one head.
type prover struct {
	w    *Web
	r    *http.Request
	st   ledger.State
	tree *ledger.Tree
}

func (w *Web) apiProof(rw http.ResponseWriter, r *http.Request) error {
	rec, err := w.stored(r)
	if err != nil {
		return err
	}
	st, err := w.Released(r.Context(), orgOf(r.Context()).ID, rec.In.Epoch)
	if err != nil {
		return err
	}
	p := prover{w: w, r: r, st: st, tree: ledger.At(r.Context(), w.Store.Reader, st.ID, st.Size)}
	sealed, root := w.Keyset()
	out := proofAnswer{Org: st.Org, Origin: st.Origin, Agent: rec.Agent, Root: root, Keyset: string(sealed), Checkpoint: string(st.Checkpoint)}
	open := viewerOf(r.Context()).sees(st.Org)
	if rec.Agent != "" && rec.Type != evidence.EntryEnrollment {
		if err := p.signer(&out, rec.Record, open); err != nil {
			return err
		}
	}
	own, err := p.record(rec.Record)
	if err != nil {
		return err
	}
	if open {
		addBlobs(own.Blobs, rec)
	}
	out.Records = append(out.Records, own)
	if err := p.consistency(&out); err != nil {
		return err
	}
	writeJSON(rw, http.StatusOK, out)
	return nil
}

// signer adds what says who may sign for the record's agent: its enrollment, its
// changes of key, and the record before, as far as they stand in this log. Whoever
// may not see the agent's name gets the key alone.
func (p prover) signer(out *proofAnswer, rec store.Record, open bool) error {
	ctx, s := p.r.Context(), p.w.Store
	agent, err := s.Agent(ctx, rec.Agent)
	if err != nil {
		return err
	}
	old, err := s.OldKeys(ctx, agent.ID)
	if err != nil {
		return err
	}
	seqs := []int64{0}
	for _, k := range old {
		seqs = append(seqs, k.Upto)
	}
	seqs = append(seqs, rec.Seq-1)
	slices.Sort(seqs)
	for _, seq := range slices.Compact(seqs) {
		if seq < 0 || seq >= rec.Seq || !open {
			continue
		}
		before, err := s.RecordBySeq(ctx, rec.Org, rec.Agent, seq)
		if errors.Is(err, store.ErrNotFound) || err == nil && before.Log != p.st.ID {
			continue
		}
		if err != nil {
			return err
		}
		pr, err := p.record(before)
		if err != nil {
			return err
		}
		out.Records = append(out.Records, pr)
	}
	if len(out.Records) == 0 || out.Records[0].Index != agent.EnrollIndex {
		out.Records = nil
		out.Key, err = s.KeyAt(ctx, agent, rec.Seq)
	}
	return err
}

func (p prover) record(rec store.Record) (proofRecord, error) {
	entries, err := p.w.Store.Entries(p.r.Context(), p.st.ID, rec.Index, 1)
	if err != nil {
		return proofRecord{}, err
	}
	if len(entries) != 1 || entries[0].Index != rec.Index {
		return proofRecord{}, notFound()
	}
	receipt, err := p.tree.Receipt(rec.Index, entries[0].Line, p.st.Checkpoint)
	if err != nil {
		return proofRecord{}, err
	}
	return proofRecord{Index: rec.Index, Envelope: string(rec.Envelope), Entry: string(receipt.Entry), Proof: string(receipt.Proof), Blobs: map[string]string{}}, nil
}

func addBlobs(to map[string]string, rec store.StoredRecord) {
	for _, it := range rec.Items {
		for name, d := range map[string]evidence.Digest{".facts.json": it.Facts, ".detail.json": it.Detail} {
			if b, ok := rec.Blobs[d]; ok && !d.IsZero() && b.Data != nil {
				to[string(it.Kind)+name] = string(b.Data)
			}
		}
	}
}

// consistency proves that the log continues the one whose size the request names.
func (p prover) consistency(out *proofAnswer) error {
	from, err := strconv.ParseInt(p.r.URL.Query().Get("from"), 10, 64)
	if err != nil || from < 1 || from >= p.st.Size {
		return nil //nolint:nilerr // nothing to prove; the browser notices
	}
	path, err := p.tree.Consistency(from)
	for _, h := range path {
		out.Consistency = append(out.Consistency, h[:])
	}
	return err
}

// witnessBody is an agent that saw a head of the log, of this size.
type witnessBody struct {
	Name string
	Size int64
	At   time.Time // as it states
}

// maxWitnesses bounds the witnesses that a record's page names.
const maxWitnesses = 5

// witnesses are the agents that cosigned a head under which the record stands, by
// their newest word. Who may not see the agents' names gets their ids.
func (w *Web) witnesses(r *http.Request, rec store.StoredRecord, hidden bool) (list []witnessBody, more int, err error) {
	signed, err := w.Store.Cosignatures(r.Context(), rec.In.ID, rec.Index+1, 1000)
	if err != nil {
		return nil, 0, err
	}
	seen := map[string]bool{}
	for _, c := range signed {
		if seen[c.Agent] {
			continue
		}
		if seen[c.Agent] = true; len(list) == maxWitnesses {
			more++
			continue
		}
		b := witnessBody{c.Agent, c.Size, c.At}
		if a, err := w.Store.Agent(r.Context(), c.Agent); err == nil && !hidden {
			b.Name = a.Name
		} else if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, 0, err
		}
		list = append(list, b)
	}
	return list, more, nil
}
