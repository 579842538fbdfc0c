package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"

	"github.com/attesto/attesto/evidence"
)

// report says what was checked and what was found wrong.
type report struct {
	Log     string            `json:"log"`
	Records int               `json:"records"`
	Blobs   int               `json:"blobs"`
	Agents  map[string]string `json:"agents"` // id to key fingerprint
	Absent  int               `json:"absent"` // blobs that are named and not in the bundle (erased, or left out)
	Faults  []fault           `json:"faults"`
}

// fault is one thing that is not proven.
type fault struct {
	Where string `json:"where"`
	What  string `json:"what"`
}

func (r *report) fail(where string, err error) {
	r.Faults = append(r.Faults, fault{where, err.Error()})
}

// verifyBundle checks everything in the folder. An error means that it could not
// begin; what does not hold is in the report.
func verifyBundle(dir string) (*report, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening bundle: %w", err)
	}
	defer root.Close() //nolint:errcheck // opened for reading
	b := bundle{root}
	k, err := b.keys()
	if err != nil {
		return nil, fmt.Errorf("reading bundle %s: %w", dir, err)
	}
	indexes, err := b.indexes()
	if err != nil {
		return nil, fmt.Errorf("reading bundle %s: %w", dir, err)
	}
	if len(indexes) == 0 {
		return nil, fmt.Errorf("bundle %s holds no records: nothing is proven by it", dir)
	}
	r := &report{Log: k.log.Origin, Agents: map[string]string{}, Faults: []fault{}}
	for id, key := range k.agents {
		r.Agents[id] = string(key.ID())
	}
	chains := map[string]link{}
	for _, index := range indexes {
		where := "records/" + strconv.FormatInt(index, 10)
		rec, err := b.record(index)
		if err != nil {
			r.fail(where, err)
			continue
		}
		if err := r.check(k, rec, chains); err != nil {
			r.fail(where, err)
		}
	}
	return r, nil
}

// link is an agent's last record that was seen.
type link struct {
	seq  uint64
	stmt evidence.Digest
}

func (r *report) check(k keys, rec record, chains map[string]link) error {
	r.Records++
	entry, index, _, err := rec.receipt.Verify(rec.envelope, k.log)
	if err != nil {
		return err
	}
	if index != rec.index {
		return fmt.Errorf("proof is for entry %d", index)
	}
	if entry.Type != evidence.EntryEvidence {
		return fmt.Errorf("entry of type %s among the records", entry.Type)
	}
	key, ok := k.agents[entry.Agent]
	if !ok {
		return fmt.Errorf("no key of agent %s in the bundle", entry.Agent)
	}
	v, err := evidence.Open(rec.envelope, key, rec.blobs)
	if err != nil {
		return err
	}
	r.Blobs += len(v.Blobs())
	r.Absent += len(v.Missing())
	got := v.Record()
	if got.Agent != entry.Agent || got.Seq != entry.Seq || got.Prev != entry.Prev {
		return fmt.Errorf("record %s/%d stands under the entry of %s/%d", got.Agent, got.Seq, entry.Agent, entry.Seq)
	}
	last, seen := chains[got.Agent]
	chains[got.Agent] = link{got.Seq, rec.envelope.StatementDigest()}
	if seen && got.Seq != last.seq+1 {
		return fmt.Errorf("agent %s: record %d follows %d: %d missing", got.Agent, got.Seq, last.seq, int64(got.Seq)-int64(last.seq)-1)
	}
	if seen && got.Prev != last.stmt {
		return fmt.Errorf("agent %s: record %d is not chained to the one before it", got.Agent, got.Seq)
	}
	return nil
}

func (r *report) print(out io.Writer) {
	fmt.Fprintf(out, "log      %s\n", r.Log)
	for _, id := range slices.Sorted(maps.Keys(r.Agents)) {
		fmt.Fprintf(out, "agent    %s  key %s\n", id, r.Agents[id])
	}
	fmt.Fprintf(out, "checked  %d records, %d facts and details", r.Records, r.Blobs)
	if r.Absent > 0 {
		fmt.Fprintf(out, " (%d named and not in the bundle)", r.Absent)
	}
	fmt.Fprintln(out)
	for _, f := range r.Faults {
		fmt.Fprintf(out, "NOT PROVEN  %s: %s\n", f.Where, strconv.QuoteToGraphic(f.What))
	}
	if len(r.Faults) == 0 {
		fmt.Fprintln(out, "result   everything in this bundle is proven")
		return
	}
	fmt.Fprintf(out, "result   %d of %d records are not proven\n", len(r.Faults), r.Records)
}
