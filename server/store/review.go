package store

import (
	"context"
	"time"
)

// Review is a person's word that they looked at a duty's results.
type Review struct {
	Org   string // whose duty it is
	Duty  string
	At    time.Time
	User  string
	Log   string
	Index int64 // of the log entry
}

// AddReview inserts a review.
func (t *Tx) AddReview(ctx context.Context, v Review) error {
	_, err := t.exec(ctx, "adding a review", `INSERT INTO review (org_id, duty, at, user_id, log_id, idx) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
		v.Org, v.Duty, Micros(v.At), v.User, v.Log, v.Index)
	return err
}

// Reviewed reports whether what there was to see of a duty at a moment was confirmed.
func (r Reader) Reviewed(ctx context.Context, org, duty string, at time.Time) (bool, error) {
	list, err := all(ctx, r, "looking for a review", `SELECT user_id FROM review WHERE org_id = $1 AND duty = $2 AND at = $3`, []any{org, duty, Micros(at)}, scanText)
	return len(list) > 0, err
}

// Reviews lists the newest reviews of a duty, oldest first.
func (r Reader) Reviews(ctx context.Context, org, duty string, limit int) ([]Review, error) {
	return all(ctx, r, "reading reviews", `SELECT org_id, duty, at, user_id, log_id, idx FROM (
		SELECT org_id, duty, at, user_id, log_id, idx FROM review WHERE org_id = $1 AND duty = $2 ORDER BY at DESC LIMIT $3) newest ORDER BY at`,
		[]any{org, duty, int64(limit)}, func(row func(...any) error) (Review, error) {
			var v Review
			var at int64
			err := row(&v.Org, &v.Duty, &at, &v.User, &v.Log, &v.Index)
			v.At = Time(at)
			return v, err
		})
}
