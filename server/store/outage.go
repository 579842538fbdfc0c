package store

import (
	"context"
	"time"

	"github.com/attesto/attesto/server/duties"
)

// AddOutage notes that no server judged for a while.
func (t *Tx) AddOutage(ctx context.Context, o duties.Outage) error {
	_, err := t.exec(ctx, "noting an outage of the server", `INSERT INTO outage (from_at, to_at) VALUES ($1, $2) ON CONFLICT DO NOTHING`, Micros(o.From), Micros(o.To))
	return err
}

// Outages lists those that reach into a stretch of time, oldest first.
func (r Reader) Outages(ctx context.Context, from, to time.Time) ([]duties.Outage, error) {
	return all(ctx, r, "reading outages of the server", `SELECT from_at, to_at FROM outage WHERE from_at < $1 AND to_at > $2 ORDER BY from_at`,
		[]any{Micros(to), Micros(from)}, func(row func(...any) error) (duties.Outage, error) {
			var first, last int64
			err := row(&first, &last)
			return duties.Outage{From: Time(first), To: Time(last)}, err
		})
}
