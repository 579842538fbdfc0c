package bundle

import (
	_ "embed" // index.html
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/store"
)

//go:embed index.html
var page string

// Checker is a script that checks records in a browser: what the page of a bundle
// runs, and the page of a record on the board.
//
//go:embed check.js
var Checker string

// The page carries what it checks in itself, because a browser lets a file read no
// other; so it holds the newest records only.
const (
	pageRecords = 500
	pageBytes   = 8 << 20
)

// pageData is what the page's script reads.
type pageData struct {
	Manifest evidence.Manifest `json:"manifest"`
	Root     []byte            `json:"root"` // SPKI
	Keyset   string            `json:"keyset"`
	Head     string            `json:"checkpoint"`
	Duties   []Duty            `json:"duties"`
	Records  []pageRecord      `json:"records"` // by index
	Total    int64             `json:"total"`   // records of the period in the bundle
}

type pageRecord struct {
	Index    int64             `json:"index"`
	Envelope string            `json:"envelope"`
	Entry    string            `json:"entry"`
	Proof    string            `json:"proof"`
	Blobs    map[string]string `json:"blobs"` // name to text
}

// page writes index.html: the duties, and the newest records, which it checks in
// the reader's own browser.
func (w *writer) page() error {
	l := w.newest
	d := pageData{Manifest: w.m, Root: w.Root.SPKI(), Keyset: string(w.Sealed), Head: string(l.head), Duties: w.duties, Records: []pageRecord{},
		Total: l.e.Next - l.e.First}
	custody, err := w.r.Custody(w.ctx, w.org.ID, l.st.ID)
	if err != nil {
		return err
	}
	recent, err := w.r.Records(w.ctx, w.org.ID, l.st.ID, max(l.e.First, l.e.Next-pageRecords), pageRecords)
	if err != nil {
		return err
	}
	recent = slices.DeleteFunc(recent, func(r store.Record) bool { return r.Index >= l.e.Next })
	all := append(custody[:min(len(custody), pageRecords)], recent...)
	slices.SortFunc(all, func(a, b store.Record) int { return int(b.Index - a.Index) })
	all = slices.CompactFunc(all, func(a, b store.Record) bool { return a.Index == b.Index })
	for left := pageBytes; len(all) > 0; all = all[1:] { // newest first, and always who may sign
		p, size, err := l.pageRecord(all[0])
		if err != nil {
			return err
		}
		if left -= size; left > 0 || all[0].Type != evidence.EntryEvidence {
			d.Records = append(d.Records, p)
		}
	}
	slices.Reverse(d.Records)
	raw, err := json.Marshal(d) // escapes <, > and &, so that no text ends the script
	if err != nil {
		return err
	}
	return w.put("index.html", []byte(strings.NewReplacer("{{check}}", Checker, "{{data}}", string(raw)).Replace(page)))
}

func (l *logWriter) pageRecord(rec store.Record) (pageRecord, int, error) {
	entries, err := l.r.Entries(l.ctx, l.st.ID, rec.Index, 1)
	if err != nil || len(entries) != 1 || entries[0].Index != rec.Index {
		return pageRecord{}, 0, fmt.Errorf("entry %d of log %s is missing (%w): run attesto-server check", rec.Index, l.st.Origin, err)
	}
	receipt, err := l.tree.Receipt(rec.Index, entries[0].Line, l.head)
	if err != nil {
		return pageRecord{}, 0, err
	}
	items, err := l.r.ItemsAt(l.ctx, l.org.ID, l.st.ID, rec.Index, rec.Index+1)
	if err != nil {
		return pageRecord{}, 0, err
	}
	blobs, err := l.blobs(items)
	if err != nil {
		return pageRecord{}, 0, err
	}
	p := pageRecord{Index: rec.Index, Envelope: string(rec.Envelope), Entry: string(receipt.Entry), Proof: string(receipt.Proof), Blobs: map[string]string{}}
	size := len(p.Envelope) + len(p.Entry) + len(p.Proof)
	for _, b := range blobs {
		p.Blobs[b.name] = string(b.data)
		size += len(b.data)
	}
	return p, size, nil
}
