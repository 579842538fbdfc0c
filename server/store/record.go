package store

import (
	"context"
	"fmt"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
)

// Record is a stored envelope and its place in the log. Agent is "" and Seq the
// index for what the server itself states; Seq is 0 for an enrollment.
type Record struct {
	Org      string
	Agent    string
	Seq      int64
	Type     evidence.EntryType
	Stmt     evidence.Digest
	Envelope []byte // exact bytes
	Log      string
	Index    int64
	Received time.Time // the entry's time
}

// Place is where a blob that the record names lies.
func (r Record) Place(d evidence.Digest) Place { return Place{r.Org, r.Log, r.Index, d} }

const recordColumns = `org_id, agent_id, seq, type, stmt, env, log_id, idx, received`

func scanRecord(row func(...any) error) (Record, error) {
	var r Record
	var stmt []byte
	var received int64
	err := row(&r.Org, &r.Agent, &r.Seq, &r.Type, &stmt, &r.Envelope, &r.Log, &r.Index, &received)
	r.Stmt, r.Received = digest(stmt), Time(received)
	return r, err
}

// AddRecords inserts records.
func (t *Tx) AddRecords(ctx context.Context, list []Record) error {
	rows := make([][]any, len(list))
	for i, r := range list {
		rows[i] = []any{r.Org, r.Agent, r.Seq, string(r.Type), r.Stmt[:], r.Envelope, r.Log, r.Index, Micros(r.Received)}
	}
	return t.insertMany(ctx, `INSERT INTO record (`+recordColumns+`) VALUES `, rows)
}

// RecordBySeq finds a record of an agent by its number, 0 for its enrollment.
func (r Reader) RecordBySeq(ctx context.Context, org, agent string, seq int64) (Record, error) {
	return r.oneRecord(ctx, `SELECT `+recordColumns+` FROM record
		WHERE org_id = $1 AND agent_id = $2 AND seq = $3 AND agent_id <> ''`, org, agent, seq)
}

// RecordAt finds the record of a log entry.
func (r Reader) RecordAt(ctx context.Context, org, log string, index int64) (Record, error) {
	return r.oneRecord(ctx, `SELECT `+recordColumns+` FROM record WHERE org_id = $1 AND log_id = $2 AND idx = $3`, org, log, index)
}

func (r Reader) oneRecord(ctx context.Context, query string, args ...any) (Record, error) {
	list, err := all(ctx, r, "reading a record", query, args, scanRecord)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("record: %w", ErrNotFound)
	}
	if err != nil {
		return Record{}, err
	}
	return list[0], nil
}

// Records reads up to limit records of a log from an index on.
func (r Reader) Records(ctx context.Context, org, log string, from int64, limit int) ([]Record, error) {
	return all(ctx, r, "reading records", `SELECT `+recordColumns+` FROM record
		WHERE org_id = $1 AND log_id = $2 AND idx >= $3 ORDER BY idx LIMIT $4`, []any{org, log, from, int64(limit)}, scanRecord)
}

// Stated lists what the server itself stated in an organisation's log before a moment
// and, at that moment, below an index; newest first.
func (r Reader) Stated(ctx context.Context, org string, before time.Time, index int64, limit int) ([]Record, error) {
	return all(ctx, r, "reading what was stated", `SELECT `+recordColumns+` FROM record
		WHERE org_id = $1 AND agent_id = '' AND received <= $2 AND (received < $2 OR idx < $3) ORDER BY received DESC, idx DESC LIMIT $4`,
		[]any{org, Micros(before), index, int64(limit)}, scanRecord)
}

// StoredRecord is a record with all that belongs to it.
type StoredRecord struct {
	Record
	In    ledger.State // the log that it stands in
	Line  []byte       // of its log entry; nil if the entry is missing
	Items []Item
	Blobs map[evidence.Digest]Blob
}

// Record reads the record of an index in an epoch of an organisation's log, with its
// entry, items and blobs; ErrNotFound when there is none.
func (r Reader) Record(ctx context.Context, org string, epoch, index int64) (StoredRecord, error) {
	st, err := r.LogAt(ctx, org, epoch)
	if err != nil {
		return StoredRecord{}, err
	}
	s := StoredRecord{In: st}
	if s.Record, err = r.RecordAt(ctx, org, st.ID, index); err != nil {
		return s, err
	}
	entries, err := r.Entries(ctx, st.ID, index, 1)
	if err != nil {
		return s, err
	}
	if len(entries) == 1 && entries[0].Index == index {
		s.Line = entries[0].Line
	}
	if s.Items, err = r.ItemsAt(ctx, org, st.ID, index, index+1); err != nil {
		return s, err
	}
	s.Blobs = map[evidence.Digest]Blob{}
	for _, it := range s.Items {
		for _, d := range []evidence.Digest{it.Facts, it.Detail} {
			if err := r.addBlob(ctx, s.Blobs, it, d); err != nil {
				return s, err
			}
		}
	}
	return s, nil
}

// AddFork keeps the other half of a fork as proof; at most 16 for an agent, which
// is enough to show it and no way to fill the disk.
func (t *Tx) AddFork(ctx context.Context, r Record) error {
	_, err := t.exec(ctx, "keeping a fork of agent "+r.Agent, `INSERT INTO fork (org_id, agent_id, seq, stmt, env, received)
		SELECT $1, $2, $3, $4, $5, $6 WHERE (SELECT count(*) FROM fork WHERE org_id = $1 AND agent_id = $2) < 16 ON CONFLICT DO NOTHING`,
		r.Org, r.Agent, r.Seq, r.Stmt[:], r.Envelope, Micros(r.Received))
	return err
}

// Forks lists the other halves of an agent's forks.
func (r Reader) Forks(ctx context.Context, org, agent string) ([]Record, error) {
	return all(ctx, r, "reading forks", `SELECT org_id, agent_id, seq, stmt, env, received FROM fork
		WHERE org_id = $1 AND agent_id = $2 ORDER BY received, seq`, []any{org, agent}, func(row func(...any) error) (Record, error) {
		f := Record{Type: evidence.EntryEvidence, Index: -1}
		var stmt []byte
		var received int64
		err := row(&f.Org, &f.Agent, &f.Seq, &stmt, &f.Envelope, &received)
		f.Stmt, f.Received = digest(stmt), Time(received)
		return f, err
	})
}

// Custody lists the records of a log that say who may sign, what was revoked or
// erased, and where it began: all but evidence and workflow.
func (r Reader) Custody(ctx context.Context, org, log string) ([]Record, error) {
	return all(ctx, r, "reading custody records", `SELECT `+recordColumns+` FROM record
		WHERE org_id = $1 AND log_id = $2 AND type NOT IN ('evidence', 'workflow') ORDER BY idx`, []any{org, log}, scanRecord)
}
