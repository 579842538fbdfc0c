package store

import (
	"context"
	"errors"
	"time"

	"github.com/attesto/attesto/evidence"
)

// Blob is the content that a record names by digest. Data is nil once it was
// erased.
type Blob struct {
	Org    string
	SHA    evidence.Digest
	Data   []byte
	Erased time.Time
	Log    string // of the entry that says that it was erased
	Index  int64  // likewise
	Broken string // why it is there and cannot be read; Data is nil then
}

// AddBlobs stores blobs of an organisation; those that it has stay as they are.
func (t *Tx) AddBlobs(ctx context.Context, org string, blobs map[evidence.Digest][]byte) error {
	rows := make([][]any, 0, len(blobs))
	for d, data := range blobs {
		sealed, err := t.sealed(ctx, org, d, data)
		if err != nil {
			return err
		}
		rows = append(rows, []any{org, d[:], sealed})
	}
	return t.insertMany(ctx, `INSERT INTO blob (org_id, sha, data) VALUES `, rows, ` ON CONFLICT DO NOTHING`)
}

// Blob reads a blob; ErrNotFound when it never came.
func (r Reader) Blob(ctx context.Context, org string, d evidence.Digest) (Blob, error) {
	b := Blob{Org: org, SHA: d}
	var erased int64
	err := r.one(ctx, "reading blob "+d.String(), `SELECT data, erased, erased_log, erased_idx FROM blob WHERE org_id = $1 AND sha = $2`,
		[]any{org, d[:]}, &b.Data, &erased, &b.Log, &b.Index)
	b.Erased = Time(erased)
	if err != nil {
		return b, err
	}
	return r.opened(b), nil
}

// EraseBlob removes a blob's content, with the entry that says so. A blob that
// never came is noted as erased, so that it is not taken any more.
func (t *Tx) EraseBlob(ctx context.Context, b Blob) error {
	_, err := t.exec(ctx, "erasing blob "+b.SHA.String(), `INSERT INTO blob (org_id, sha, data, erased, erased_log, erased_idx) VALUES ($1, $2, NULL, $3, $4, $5)
		ON CONFLICT (org_id, sha) DO UPDATE SET data = NULL, erased = excluded.erased, erased_log = excluded.erased_log, erased_idx = excluded.erased_idx`,
		b.Org, b.SHA[:], Micros(b.Erased), b.Log, b.Index)
	if err == nil {
		_, err = t.exec(ctx, "ending what is owed", `DELETE FROM blob_want WHERE org_id = $1 AND sha = $2`, b.Org, b.SHA[:])
	}
	return err
}

// EraseAllBlobs removes the content of every blob of an organisation.
func (t *Tx) EraseAllBlobs(ctx context.Context, b Blob) error {
	_, err := t.exec(ctx, "erasing all blobs of "+b.Org, `UPDATE blob SET data = NULL, erased = $2, erased_log = $3, erased_idx = $4 WHERE org_id = $1 AND erased = 0`,
		b.Org, Micros(b.Erased), b.Log, b.Index)
	if err == nil {
		_, err = t.exec(ctx, "ending what is owed", `DELETE FROM blob_want WHERE org_id = $1`, b.Org)
	}
	return err
}

func (r Reader) addBlob(ctx context.Context, to map[evidence.Digest]Blob, org string, d evidence.Digest) error {
	if d.IsZero() {
		return nil
	}
	b, err := r.Blob(ctx, org, d)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	to[d] = b
	return nil
}

// Want is a blob that a record names and that did not come with it.
type Want struct {
	Org, Agent string
	SHA        evidence.Digest
	Log        string
	Index      int64 // of the record
}

// AddWants notes blobs that are to come.
func (t *Tx) AddWants(ctx context.Context, list []Want) error {
	for _, w := range list {
		if _, err := t.exec(ctx, "noting a missing blob", `INSERT INTO blob_want (org_id, agent_id, sha, log_id, idx)
			VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`, w.Org, w.Agent, w.SHA[:], w.Log, w.Index); err != nil {
			return err
		}
	}
	return nil
}

// Want reads one blob that an agent still owes; ErrNotFound when it owes it not.
func (r Reader) Want(ctx context.Context, org, agent string, d evidence.Digest) (Want, error) {
	w := Want{Org: org, Agent: agent, SHA: d}
	err := r.one(ctx, "reading a missing blob", `SELECT log_id, idx FROM blob_want WHERE org_id = $1 AND agent_id = $2 AND sha = $3`,
		[]any{org, agent, d[:]}, &w.Log, &w.Index)
	return w, err
}

// Wants lists the blobs that an organisation's agents owe.
func (r Reader) Wants(ctx context.Context, org string) ([]Want, error) {
	return all(ctx, r, "listing missing blobs", `SELECT agent_id, sha, log_id, idx FROM blob_want WHERE org_id = $1 ORDER BY idx`, []any{org},
		func(row func(...any) error) (Want, error) {
			w := Want{Org: org}
			var sha []byte
			err := row(&w.Agent, &sha, &w.Log, &w.Index)
			w.SHA = digest(sha)
			return w, err
		})
}

// EndWant removes a want once its blob is stored.
func (t *Tx) EndWant(ctx context.Context, w Want) error {
	_, err := t.exec(ctx, "ending a missing blob", `DELETE FROM blob_want WHERE org_id = $1 AND agent_id = $2 AND sha = $3`, w.Org, w.Agent, w.SHA[:])
	return err
}

// PresentBlobs lists blobs of an organisation that have content.
func (r Reader) PresentBlobs(ctx context.Context, org string, limit int) ([]evidence.Digest, error) {
	return all(ctx, r, "listing blobs", `SELECT sha FROM blob WHERE org_id = $1 AND data IS NOT NULL LIMIT $2`, []any{org, int64(limit)},
		func(row func(...any) error) (evidence.Digest, error) {
			var sha []byte
			err := row(&sha)
			return digest(sha), err
		})
}
