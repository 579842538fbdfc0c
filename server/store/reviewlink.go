package store

import (
	"context"
	"fmt"
	"time"
)

// ReviewLink lets the holder of a mail channel confirm a day's review once.
type ReviewLink struct {
	ID      string
	Org     string
	Service string
	Channel string
	Day     string // of the organisation, 2006-01-02
	Expires time.Time
	Used    time.Time // zero: not yet
}

// AddReviewLink inserts a link; it reports false when the day's is there already.
func (t *Tx) AddReviewLink(ctx context.Context, l ReviewLink) (bool, error) {
	n, err := t.exec(ctx, "adding a review link", `INSERT INTO review_link (org_id, service, channel_id, day, id, expires, used)
		VALUES ($1, $2, $3, $4, $5, $6, 0) ON CONFLICT DO NOTHING`, l.Org, l.Service, l.Channel, l.Day, l.ID, Micros(l.Expires))
	return n == 1, err
}

// UseReviewLink notes that a link was used; it reports false when it was before.
func (t *Tx) UseReviewLink(ctx context.Context, id string, at time.Time) (bool, error) {
	n, err := t.exec(ctx, "using a review link", `UPDATE review_link SET used = $2 WHERE id = $1 AND used = 0 AND expires > $2`, id, Micros(at))
	return n == 1, err
}

// ReviewLinkByID reads a link; ErrNotFound when there is none, or its channel is gone.
func (r Reader) ReviewLinkByID(ctx context.Context, id string) (ReviewLink, error) {
	list, err := all(ctx, r, "reading a review link", `SELECT l.id, l.org_id, l.service, l.channel_id, l.day, l.expires, l.used
		FROM review_link l JOIN channel c ON c.id = l.channel_id WHERE l.id = $1`, []any{id}, func(row func(...any) error) (l ReviewLink, err error) {
		var expires, used int64
		err = row(&l.ID, &l.Org, &l.Service, &l.Channel, &l.Day, &expires, &used)
		l.Expires, l.Used = Time(expires), Time(used)
		return l, err
	})
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("review link: %w", ErrNotFound)
	}
	if err != nil {
		return ReviewLink{}, err
	}
	return list[0], nil
}
