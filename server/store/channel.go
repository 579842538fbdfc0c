package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/attesto/attesto/server/alert"
)

const channelColumns = `id, org_id, kind, target, secret, party, created, after_hours`

// channelRow takes the columns of a channel from a row.
type channelRow struct {
	alert.Channel
	created, after int64
}

func (v *channelRow) columns() []any {
	return []any{&v.ID, &v.Org, &v.Kind, &v.Target, &v.Secret, &v.Party, &v.created, &v.after}
}

func (v *channelRow) read() alert.Channel {
	c := v.Channel
	c.Created, c.After = Time(v.created), time.Duration(v.after)*time.Hour
	return c
}

func scanChannel(row func(...any) error) (alert.Channel, error) {
	var v channelRow
	err := row(v.columns()...)
	return v.read(), err
}

// AddChannel inserts a channel.
func (t *Tx) AddChannel(ctx context.Context, c alert.Channel) error {
	_, err := t.exec(ctx, "adding a channel", `INSERT INTO channel (`+channelColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		c.ID, c.Org, c.Kind, c.Target, c.Secret, c.Party, Micros(c.Created), int64(c.After/time.Hour))
	return errors.Join(err, t.DueNow(ctx, c.Org))
}

// Channels lists an organisation's channels, oldest first; of all organisations
// when org is empty.
func (r Reader) Channels(ctx context.Context, org string) ([]alert.Channel, error) {
	return all(ctx, r, "listing channels", `SELECT `+channelColumns+` FROM channel WHERE org_id = $1 OR $1 = '' ORDER BY created, id`, []any{org}, scanChannel)
}

// Channel reads a channel; ErrNotFound when there is none.
func (r Reader) Channel(ctx context.Context, id string) (alert.Channel, error) {
	list, err := all(ctx, r, "reading channel "+id, `SELECT `+channelColumns+` FROM channel WHERE id = $1`, []any{id}, scanChannel)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("channel %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return alert.Channel{}, err
	}
	return list[0], nil
}

// RemoveChannel removes a channel; what waits for it counts as refused.
func (t *Tx) RemoveChannel(ctx context.Context, id string) error {
	if _, err := t.exec(ctx, "ending deliveries of channel "+id,
		`UPDATE outbox SET state = 'refused', error = '`+ChannelGone+`' WHERE channel_id = $1 AND state = 'waiting'`, id); err != nil {
		return err
	}
	if err := t.dueWhere(ctx, `org_id IN (SELECT org_id FROM channel WHERE id = $1)`, id); err != nil {
		return err
	}
	n, err := t.exec(ctx, "removing channel "+id, `DELETE FROM channel WHERE id = $1`, id)
	if err == nil && n == 0 {
		err = fmt.Errorf("channel %s: %w", id, ErrNotFound)
	}
	return err
}
