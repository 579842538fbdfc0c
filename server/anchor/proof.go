package anchor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// Proof leads from a checkpoint of an organisation's log to what others said of the
// anchor log that holds it. docs/anchor.md says what its parts are, byte by byte.
type Proof struct {
	evidence.Anchored
	Log          evidence.Head       // that was anchored
	At           time.Time           // of the anchor entry
	Anchor       evidence.Head       // that Proof leads to
	Tokens       []store.AnchorToken // over exactly the bytes of the proof's checkpoint
	Cosignatures []store.Cosignature // of the proof's checkpoint; Agent is the witness' vkey
}

// Stamps are the outside times that the proof has for the organisation's log.
func (p Proof) Stamps() []evidence.Stamp {
	var list []evidence.Stamp
	for _, k := range p.Tokens {
		list = append(list, evidence.Stamp{Size: p.Log.Size, Anchored: p.At, Stamped: k.At})
	}
	for _, c := range p.Cosignatures {
		list = append(list, evidence.Stamp{Size: p.Log.Size, Anchored: p.At, Stamped: c.At})
	}
	return list
}

// Proofs finds what speaks for a log up to its head, the oldest first: the newest
// anchored checkpoint, the newest that each authority stamped and each witness
// cosigned, and the last stamped one of each day (UTC) since a moment. It is empty for
// a log that was never anchored.
func Proofs(ctx context.Context, r store.Reader, trust func(origin string) (evidence.TrustedLog, error), log ledger.State, since time.Time) ([]Proof, error) {
	below, err := trust(log.Origin)
	if err != nil {
		return nil, err
	}
	anchors, err := r.LogsOf(ctx, store.AnchorOrg)
	if err != nil {
		return nil, err
	}
	var list []Proof
	for _, st := range anchors {
		above, err := trust(st.Origin)
		if err != nil {
			return nil, err
		}
		sizes, err := r.AnchorSizes(ctx, st.ID, since)
		if err != nil {
			return nil, err
		}
		f := finder{ctx: ctx, r: r, log: log, anchor: st, below: below, above: above, said: map[string]bool{}}
		for _, size := range slices.Compact(append(sizes, st.Size)) {
			if size > st.Size { // in a snapshot there are none
				continue
			}
			if err := f.find(size); err != nil {
				return nil, fmt.Errorf("proving that log %s was anchored: %w", log.Origin, err)
			}
		}
		list = append(list, f.list...)
	}
	return list, nil
}

type finder struct {
	ctx          context.Context
	r            store.Reader
	log, anchor  ledger.State
	below, above evidence.TrustedLog
	said         map[string]bool // by place, and by place and who spoke
	list         []Proof
}

// find adds the proof under the anchor log's checkpoint of a size, unless others
// say as much already.
func (f *finder) find(size int64) error {
	row, err := f.r.AnchoredUnder(f.ctx, f.log.ID, f.log.Size, f.anchor.ID, size)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	tokens, err := f.r.AnchorTokens(f.ctx, f.anchor.ID, size, size+1)
	if err != nil {
		return err
	}
	lines, err := f.r.CosignaturesAt(f.ctx, f.anchor.ID, size)
	if err != nil {
		return err
	}
	speakers := []string{fmt.Sprint(row.Index)}
	for _, k := range tokens {
		speakers = append(speakers, fmt.Sprint(row.Index, " ", k.TSA))
	}
	for _, c := range lines {
		speakers = append(speakers, fmt.Sprint(row.Index, " ", c.Agent))
	}
	news := false
	for _, s := range speakers {
		news = news || !f.said[s]
		f.said[s] = true
	}
	if !news {
		return nil
	}
	p, err := f.prove(row, size)
	p.Tokens, p.Cosignatures = tokens, lines
	f.list = append(f.list, p)
	return err
}

func (f *finder) prove(row store.Anchored, size int64) (Proof, error) {
	note, err := f.r.Checkpoint(f.ctx, f.anchor.ID, size)
	if err != nil {
		return Proof{}, err
	}
	entries, err := f.r.Entries(f.ctx, f.anchor.ID, row.Index, 1)
	if err == nil && (len(entries) != 1 || entries[0].Index != row.Index) {
		err = fmt.Errorf("entry %d of log %s is missing", row.Index, f.anchor.Origin)
	}
	if err != nil {
		return Proof{}, err
	}
	receipt, err := ledger.At(f.ctx, f.r, f.anchor.ID, size).Receipt(row.Index, entries[0].Line, note)
	if err != nil {
		return Proof{}, err
	}
	p := Proof{Anchored: evidence.Anchored{Nonce: row.Nonce, Checkpoint: row.Note, Entry: receipt.Entry, Proof: receipt.Proof}}
	var e evidence.AnchorEntry
	e, p.Log, p.Anchor, err = p.Verify(f.below, f.above)
	p.At = e.Time.Time
	if err != nil {
		err = fmt.Errorf("%w: run attesto-server check", err)
	}
	return p, err
}
