package store

import (
	"context"
	"time"

	"github.com/attesto/attesto/evidence"
)

// The classes of blob, each with a term of its own.
const (
	ClassFacts  = "facts"
	ClassDetail = "detail"
)

// Series is what one agent says of one kind; Agent is "" for what the server
// states.
type Series struct {
	Org, Agent string
	Kind       evidence.Kind
}

// Series lists an organisation's series. It reads one row for each.
func (r Reader) Series(ctx context.Context, org string) ([]Series, error) {
	agents, err := r.Agents(ctx, org)
	if err != nil {
		return nil, err
	}
	list := []Series{}
	for _, agent := range append([]Agent{{}}, agents...) {
		for kind := ""; ; {
			next, err := all(ctx, r, "listing kinds", `SELECT kind FROM item WHERE org_id = $1 AND agent_id = $2 AND kind > $3 ORDER BY kind LIMIT 1`,
				[]any{org, agent.ID, kind}, func(row func(...any) error) (string, error) {
					var k string
					err := row(&k)
					return k, err
				})
			if err != nil {
				return nil, err
			}
			if len(next) == 0 {
				break
			}
			kind = next[0]
			list = append(list, Series{org, agent.ID, evidence.Kind(kind)})
		}
	}
	return list, nil
}

// DueBlobs lists blobs of a class that were received from a moment (inclusive) to
// another (exclusive), of at most limit items, oldest first. upto is where to go
// on; more says that there is.
func (r Reader) DueBlobs(ctx context.Context, s Series, class string, from, before time.Time, limit int) (blobs []Place, upto time.Time, more bool, err error) {
	column := "facts"
	if class == ClassDetail {
		column = "detail"
	}
	upto = from
	n := 0
	err = each(ctx, r, "listing what is due", `SELECT log_id, idx, `+column+`, received FROM item
		WHERE org_id = $1 AND agent_id = $2 AND kind = $3 AND received >= $4 AND received < $5 ORDER BY received LIMIT $6`,
		[]any{s.Org, s.Agent, string(s.Kind), Micros(from), Micros(before), int64(limit)}, func(row func(...any) error) error {
			p := Place{Org: s.Org}
			var sha []byte
			var received int64
			if err := row(&p.Log, &p.Index, &sha, &received); err != nil {
				return err
			}
			n++
			upto = Time(received)
			if p.SHA = digest(sha); !p.SHA.IsZero() {
				blobs = append(blobs, p)
			}
			return nil
		})
	if more = n == limit; !more {
		return blobs, before, false, err
	}
	if upto.Equal(from) { // so many at one moment that the limit cuts through it
		return r.DueBlobs(ctx, s, class, from, before, 2*limit)
	}
	return blobs, upto, true, err
}

// Retained is until when a series' blobs of a class were erased.
func (r Reader) Retained(ctx context.Context, s Series, class string) (time.Time, error) {
	list, err := all(ctx, r, "reading how far terms were kept", `SELECT upto FROM retention WHERE org_id = $1 AND agent_id = $2 AND kind = $3 AND class = $4`,
		[]any{s.Org, s.Agent, string(s.Kind), class}, func(row func(...any) error) (time.Time, error) {
			var upto int64
			err := row(&upto)
			return Time(upto), err
		})
	if err != nil || len(list) == 0 {
		return time.Time{}, err
	}
	return list[0], nil
}

// SetRetained notes until when a series' blobs of a class were erased.
func (t *Tx) SetRetained(ctx context.Context, s Series, class string, upto time.Time) error {
	_, err := t.exec(ctx, "noting how far terms were kept", `INSERT INTO retention (org_id, agent_id, kind, class, upto) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (org_id, agent_id, kind, class) DO UPDATE SET upto = excluded.upto`, s.Org, s.Agent, string(s.Kind), class, Micros(upto))
	return err
}
