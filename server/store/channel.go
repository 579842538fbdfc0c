package store

import (
	"context"
	"fmt"

	"github.com/attesto/attesto/server/alert"
)

const channelColumns = `id, org_id, kind, target, secret, party, created`

func scanChannel(row func(...any) error) (alert.Channel, error) {
	var c alert.Channel
	var created int64
	err := row(&c.ID, &c.Org, &c.Kind, &c.Target, &c.Secret, &c.Party, &created)
	c.Created = Time(created)
	return c, err
}

// AddChannel inserts a channel.
func (t *Tx) AddChannel(ctx context.Context, c alert.Channel) error {
	_, err := t.exec(ctx, "adding a channel", `INSERT INTO channel (`+channelColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		c.ID, c.Org, c.Kind, c.Target, c.Secret, c.Party, Micros(c.Created))
	return err
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
	n, err := t.exec(ctx, "removing channel "+id, `DELETE FROM channel WHERE id = $1`, id)
	if err == nil && n == 0 {
		err = fmt.Errorf("channel %s: %w", id, ErrNotFound)
	}
	return err
}

// hearers lists the channels that hear of an alert: the organisation's own whose
// duty it is, and those of the other party that hear of both. service is the
// alert's: a customer hears only of services that it has.
func (t *Tx) hearers(ctx context.Context, a alert.Alert, service string) ([]alert.Channel, error) {
	return all(ctx, t.Reader, "finding channels", `SELECT c.id, c.org_id, c.kind, c.target, c.secret, c.party, c.created FROM channel c
		JOIN org o ON o.id = c.org_id WHERE c.org_id = $1 OR c.party = 'both' AND (
			$2 = 'customer' AND o.kind = 'provider' OR
			$2 = 'provider' AND o.kind = 'customer' AND ',' || o.services || ',' LIKE $3)
		ORDER BY c.created, c.id`, []any{a.Org, a.Party, "%," + service + ",%"}, scanChannel)
}
