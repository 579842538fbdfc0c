package store

import (
	"context"
	"errors"
	"time"

	"github.com/attesto/attesto/evidence"
)

// Place is where a blob lies: beside the record that names it, so that blobs are
// stored in the order of the log and storing one costs the same however many there
// are. What two records name lies there twice.
type Place struct {
	Org   string
	Log   string
	Index int64 // of the record
	SHA   evidence.Digest
}

// Blob is the content that a record names by digest. Data is nil once it was
// erased.
type Blob struct {
	Place  Place
	Data   []byte
	Erased time.Time
	Log    string // of the entry that says that it was erased
	Index  int64  // likewise
	Broken string // why it is there and cannot be read; Data is nil then
}

// AddBlobs stores blobs; those that are there stay as they are.
func (t *Tx) AddBlobs(ctx context.Context, list []Blob) error {
	rows := make([][]any, len(list))
	for i, b := range list {
		sealed, err := t.sealed(ctx, b.Place.Org, b.Place.SHA, b.Data)
		if err != nil {
			return err
		}
		rows[i] = []any{b.Place.Org, b.Place.Log, b.Place.Index, b.Place.SHA[:], sealed}
	}
	return t.insertMany(ctx, `INSERT INTO blob (org_id, log_id, idx, sha, data) VALUES `, rows, ` ON CONFLICT DO NOTHING`)
}

// Blob reads a blob; ErrNotFound when it never came.
func (r Reader) Blob(ctx context.Context, p Place) (Blob, error) {
	b := Blob{Place: p}
	var erased int64
	err := r.one(ctx, "reading blob "+p.SHA.String(), `SELECT data, erased, erased_log, erased_idx FROM blob
		WHERE org_id = $1 AND log_id = $2 AND idx = $3 AND sha = $4`, []any{p.Org, p.Log, p.Index, p.SHA[:]}, &b.Data, &erased, &b.Log, &b.Index)
	b.Erased = Time(erased)
	if err != nil {
		return b, err
	}
	return r.opened(b), nil
}

// EraseBlob removes a blob's content, with the entry that says so. A blob that
// never came is noted as erased, so that it is not taken any more.
func (t *Tx) EraseBlob(ctx context.Context, b Blob) error {
	p := b.Place
	_, err := t.exec(ctx, "erasing blob "+p.SHA.String(), `INSERT INTO blob (org_id, log_id, idx, sha, data, erased, erased_log, erased_idx)
		VALUES ($1, $2, $3, $4, NULL, $5, $6, $7) ON CONFLICT (org_id, log_id, idx, sha) DO UPDATE
		SET data = NULL, erased = excluded.erased, erased_log = excluded.erased_log, erased_idx = excluded.erased_idx`,
		p.Org, p.Log, p.Index, p.SHA[:], Micros(b.Erased), b.Log, b.Index)
	if err == nil {
		_, err = t.exec(ctx, "ending what is owed", `DELETE FROM blob_want WHERE org_id = $1 AND log_id = $2 AND idx = $3 AND sha = $4`,
			p.Org, p.Log, p.Index, p.SHA[:])
	}
	if err == nil {
		err = t.forgetCase(ctx, p)
	}
	return err
}

// EraseAllBlobs removes the content of every blob of an organisation, with the
// entry that says so.
func (t *Tx) EraseAllBlobs(ctx context.Context, by Record) error {
	_, err := t.exec(ctx, "erasing all blobs of "+by.Org, `UPDATE blob SET data = NULL, erased = $2, erased_log = $3, erased_idx = $4 WHERE org_id = $1 AND erased = 0`,
		by.Org, Micros(by.Received), by.Log, by.Index)
	if err == nil {
		_, err = t.exec(ctx, "ending what is owed", `DELETE FROM blob_want WHERE org_id = $1`, by.Org)
	}
	return err
}

// Places calls fn for every blob of an organisation, in the order of its logs;
// there tells whether it has content. It is how blobs are found of which nothing is
// known but the digest.
func (r Reader) Places(ctx context.Context, org string, fn func(p Place, there bool)) error {
	return each(ctx, r, "going through all blobs", `SELECT log_id, idx, sha, CASE WHEN data IS NULL THEN 0 ELSE 1 END FROM blob
		WHERE org_id = $1 ORDER BY log_id, idx`, []any{org}, func(row func(...any) error) error {
		p := Place{Org: org}
		var sha []byte
		var there int64
		if err := row(&p.Log, &p.Index, &sha, &there); err != nil {
			return err
		}
		p.SHA = digest(sha)
		fn(p, there == 1)
		return nil
	})
}

func (r Reader) addBlob(ctx context.Context, to map[evidence.Digest]Blob, it Item, d evidence.Digest) error {
	if d.IsZero() {
		return nil
	}
	b, err := r.Blob(ctx, it.Place(d))
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
	Place
	Agent string
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

// WantsOf lists the records for which an agent still owes a blob.
func (r Reader) WantsOf(ctx context.Context, org, agent string, d evidence.Digest) ([]Want, error) {
	return all(ctx, r, "reading a missing blob", `SELECT log_id, idx FROM blob_want WHERE org_id = $1 AND agent_id = $2 AND sha = $3`,
		[]any{org, agent, d[:]}, func(row func(...any) error) (Want, error) {
			w := Want{Place{Org: org, SHA: d}, agent}
			err := row(&w.Log, &w.Index)
			return w, err
		})
}

// Wants lists the blobs that an organisation's agents owe.
func (r Reader) Wants(ctx context.Context, org string) ([]Want, error) {
	return all(ctx, r, "listing missing blobs", `SELECT agent_id, sha, log_id, idx FROM blob_want WHERE org_id = $1 ORDER BY idx`, []any{org},
		func(row func(...any) error) (Want, error) {
			w := Want{Place: Place{Org: org}}
			var sha []byte
			err := row(&w.Agent, &sha, &w.Log, &w.Index)
			w.SHA = digest(sha)
			return w, err
		})
}

// EndWant removes a want once its blob is stored.
func (t *Tx) EndWant(ctx context.Context, w Want) error {
	_, err := t.exec(ctx, "ending a missing blob", `DELETE FROM blob_want WHERE org_id = $1 AND agent_id = $2 AND sha = $3 AND log_id = $4 AND idx = $5`,
		w.Org, w.Agent, w.SHA[:], w.Log, w.Index)
	return err
}
