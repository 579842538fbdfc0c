package bundle

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

func (w *writer) logs() error {
	for i, st := range w.states {
		e := w.m.Epochs[i]
		l := &logWriter{writer: w, st: st, e: e, folder: e.Folder(i, len(w.states)), tree: ledger.At(w.ctx, w.r, st.ID, st.Size)}
		if err := l.log(); err != nil {
			return err
		}
		if err := l.records(); err != nil {
			return err
		}
		w.newest = l
	}
	return nil
}

// logWriter writes one epoch.
type logWriter struct {
	*writer
	st     ledger.State
	e      evidence.BundleEpoch
	folder string
	tree   *ledger.Tree
	head   []byte // the checkpoint with what witnesses said of it

	pack  bytes.Buffer // of LayoutPacked
	first int64        // index of the first record in pack
}

// log writes tiles, entries and heads.
func (l *logWriter) log() error {
	prefix := l.folder + "log/"
	err := ledger.ExportTiles(l.ctx, l.r, l.st.ID, l.st.Size, func(path string, data []byte) error { return l.put(prefix+path, data) })
	if err != nil {
		return err
	}
	list, err := l.r.Cosignatures(l.ctx, l.st.ID, 0, 10_000)
	if err != nil {
		return err
	}
	notes := map[int64][]byte{}
	var sizes []int64
	for _, c := range cosigned(list) {
		if notes[c.Size] == nil {
			note, err := l.r.Checkpoint(l.ctx, l.st.ID, c.Size)
			if err != nil {
				return err
			}
			if note, err = l.Renew(bytes.Clone(note)); err != nil {
				return err
			}
			notes[c.Size], sizes = note, append(sizes, c.Size)
		}
		notes[c.Size] = append(notes[c.Size], c.Line...)
	}
	for _, size := range sizes {
		if err := l.put(prefix+"cosigned/"+strconv.FormatInt(size, 10), notes[size]); err != nil {
			return err
		}
	}
	if l.head, err = l.Renew(l.st.Checkpoint); err != nil {
		return err
	}
	if notes[l.st.Size] != nil {
		l.head = notes[l.st.Size]
	}
	return l.put(prefix+"checkpoint", l.head)
}

const readAtOnce = 256

// records writes those of the period, and before and after it those that say who
// may sign and what was erased.
func (l *logWriter) records() error {
	custody, err := l.r.Custody(l.ctx, l.org.ID, l.st.ID)
	if err != nil {
		return err
	}
	for _, rec := range custody {
		if rec.Index >= l.e.First && rec.Index < l.e.Next {
			continue
		}
		if err := l.record(rec, nil, "custody"); err != nil {
			return err
		}
	}
	if err := l.flush("custody"); err != nil {
		return err
	}
	for from := l.e.First; from < l.e.Next; {
		list, err := l.r.Records(l.ctx, l.org.ID, l.st.ID, from, readAtOnce)
		if err != nil {
			return err
		}
		to := min(from+readAtOnce, l.e.Next)
		items, err := l.r.ItemsAt(l.ctx, l.org.ID, l.st.ID, from, to)
		if err != nil {
			return err
		}
		byIndex := map[int64][]store.Item{}
		for _, it := range items {
			byIndex[it.Index] = append(byIndex[it.Index], it)
		}
		for _, rec := range list {
			if rec.Index != from {
				return fmt.Errorf("record %d of log %s is missing: run attesto-server check", from, l.st.Origin)
			}
			if err := l.record(rec, byIndex[from], ""); err != nil {
				return err
			}
			if from++; from == to {
				break
			}
		}
		if from != to {
			return fmt.Errorf("record %d of log %s is missing: run attesto-server check", from, l.st.Origin)
		}
	}
	return l.flush("")
}

// blob is a blob with its name in the bundle.
type blob struct {
	name string
	sha  evidence.Digest
	data []byte
}

// blobs reads what the items name, as far as it was asked for and is still there.
func (l *logWriter) blobs(items []store.Item) ([]blob, error) {
	var out []blob
	add := func(name string, it store.Item, d evidence.Digest, wanted bool) error {
		if d.IsZero() || !wanted {
			return nil
		}
		b, err := l.r.Blob(l.ctx, it.Place(d))
		if err == nil && b.Data != nil {
			out = append(out, blob{name, d, b.Data})
		}
		return notMissing(err)
	}
	for _, it := range items {
		if err := add(string(it.Kind)+".facts.json", it, it.Facts, l.kinds == nil || l.kinds[it.Kind]); err != nil {
			return nil, err
		}
		if err := add(string(it.Kind)+".detail.json", it, it.Detail, l.q.Detail); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// record writes one record in the layout of the bundle.
func (l *logWriter) record(rec store.Record, items []store.Item, pack string) error {
	blobs, err := l.blobs(items)
	if err != nil {
		return err
	}
	if l.m.Layout == evidence.LayoutPacked {
		return l.packed(rec, blobs, pack)
	}
	entries, err := l.r.Entries(l.ctx, l.st.ID, rec.Index, 1)
	if err != nil {
		return err
	}
	if len(entries) != 1 || entries[0].Index != rec.Index {
		return fmt.Errorf("entry %d of log %s is missing: run attesto-server check", rec.Index, l.st.Origin)
	}
	env, err := evidence.ParseEnvelope(rec.Envelope)
	if err != nil {
		return fmt.Errorf("record %d of log %s: %w", rec.Index, l.st.Origin, err)
	}
	receipt, err := l.tree.Receipt(rec.Index, entries[0].Line, l.head)
	if err != nil {
		return err
	}
	files := []blob{
		{name: "envelope.json", data: rec.Envelope}, {name: "bundle.sigstore.json", data: evidence.SigstoreBundle(env)},
		{name: "entry.json", data: receipt.Entry}, {name: "entry.tlog-proof", data: receipt.Proof},
	}
	for _, f := range append(files, blobs...) {
		if err := l.put(fmt.Sprintf("%srecords/%d/%s", l.folder, rec.Index, f.name), f.data); err != nil {
			return err
		}
	}
	return nil
}

// maxPack is where a packed file ends.
const maxPack = 8 << 20

func (l *logWriter) packed(rec store.Record, blobs []blob, pack string) error {
	p := evidence.PackedRecord{Index: rec.Index, Envelope: rec.Envelope, Blobs: map[evidence.Digest][]byte{}}
	var order []evidence.Digest
	for _, b := range blobs {
		p.Blobs[b.sha], order = b.data, append(order, b.sha)
	}
	if l.pack.Len() == 0 {
		l.first = rec.Index
	}
	l.pack.Write(p.Line(order))
	if l.pack.Len() < maxPack {
		return nil
	}
	return l.flush(pack)
}

// flush ends a packed file. Its name sorts by index.
func (l *logWriter) flush(pack string) error {
	if l.pack.Len() == 0 {
		return nil
	}
	name := fmt.Sprintf("%srecords/%s%012d.jsonl", l.folder, pack, l.first)
	err := l.put(name, bytes.Clone(l.pack.Bytes()))
	l.pack.Reset()
	return err
}
