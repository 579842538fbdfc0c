package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
)

const alertColumns = `id, org_id, duty, part, asset, name, state, party, verdict, why, ended, opened, acked, acked_by, resolved`

func scanAlert(row func(...any) error) (alert.Alert, error) {
	var a alert.Alert
	var verdict, why, ended string
	var opened, acked, resolved int64
	err := row(&a.ID, &a.Org, &a.Duty, &a.Part, &a.Asset, &a.Name, &a.State, &a.Party, &verdict, &why, &ended, &opened, &acked, &a.AckedBy, &resolved)
	if err != nil {
		return a, err
	}
	return a, fillAlert(&a, verdict, why, ended, opened, acked, resolved)
}

func fillAlert(a *alert.Alert, verdict, why, ended string, opened, acked, resolved int64) (err error) {
	a.Opened, a.Acked, a.Resolved = Time(opened), Time(acked), Time(resolved)
	if a.Verdict, err = duties.ParseVerdict(verdict); err != nil {
		return err
	}
	return errors.Join(unpack(map[string]any{why: &a.Why}), unpack(map[string]any{ended: &a.Ended})) // they may say the same
}

// OpenAlerts lists the open alerts of a duty.
func (r Reader) OpenAlerts(ctx context.Context, org, duty string) ([]alert.Alert, error) {
	return all(ctx, r, "reading open alerts", `SELECT `+alertColumns+` FROM alert WHERE org_id = $1 AND duty = $2 AND state = 'firing' ORDER BY opened, id`,
		[]any{org, duty}, scanAlert)
}

// Alerts lists the newest alerts of an organisation, newest first, open ones only
// when asked.
func (r Reader) Alerts(ctx context.Context, org string, open bool, limit int) ([]alert.Alert, error) {
	state := `state = 'firing'`
	if !open {
		state = `state IN ('firing', 'resolved')`
	}
	return all(ctx, r, "reading alerts", `SELECT `+alertColumns+` FROM alert WHERE org_id = $1 AND duty <> '' AND `+state+` ORDER BY opened DESC, id LIMIT $2`,
		[]any{org, int64(limit)}, scanAlert)
}

// FireAlert opens an alert and puts a delivery for each channel that hears of it
// into the outbox; the other party hears of it only where it is named, or nobody is.
// It reports false when such an alert is open already.
func (t *Tx) FireAlert(ctx context.Context, a alert.Alert, service string, only []string) (bool, error) {
	why, err := pack(a.Why)
	if err != nil {
		return false, err
	}
	n, err := t.exec(ctx, "opening an alert", `INSERT INTO alert (`+alertColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, 'firing', $7, $8, $9, '', $10, 0, '', 0) ON CONFLICT DO NOTHING`,
		a.ID, a.Org, a.Duty, a.Part, a.Asset, a.Name, a.Party, a.Verdict.String(), why, Micros(a.Opened))
	if err != nil || n == 0 {
		return false, err
	}
	channels, err := t.hearers(ctx, a, service)
	if err != nil {
		return true, err
	}
	channels = slices.DeleteFunc(channels, func(c alert.Channel) bool {
		return len(only) > 0 && c.Org != a.Org && !slices.Contains(only, c.Org)
	})
	return true, t.postTo(ctx, a, alert.Firing, channels, a.Opened)
}

// Notify tells an organisation's mail channels something that is no duty's: an
// alert without a duty, which is not open. Lists of alerts leave it out.
func (t *Tx) Notify(ctx context.Context, a alert.Alert) error {
	channels, err := t.Channels(ctx, a.Org)
	if err != nil {
		return err
	}
	return t.NotifyOn(ctx, a, slices.DeleteFunc(channels, func(c alert.Channel) bool { return c.Kind != alert.Email }))
}

// NotifyOn is Notify on some channels.
func (t *Tx) NotifyOn(ctx context.Context, a alert.Alert, channels []alert.Channel) error {
	why, err := pack(a.Why)
	if err != nil {
		return err
	}
	if _, err := t.exec(ctx, "adding a notice", `INSERT INTO alert (`+alertColumns+`)
		VALUES ($1, $2, '', '', $3, $4, 'resolved', '', $5, $6, '', $7, 0, '', $7)`,
		a.ID, a.Org, a.Asset, a.Name, a.Verdict.String(), why, Micros(a.Opened)); err != nil {
		return err
	}
	return t.postTo(ctx, a, alert.Firing, channels, a.Opened)
}

// ResolveAlert ends an alert, for the reason in Ended, and has those told who
// were told that it fired. It reports false when it had ended already.
func (t *Tx) ResolveAlert(ctx context.Context, a alert.Alert, at time.Time) (bool, error) {
	ended, err := pack(a.Ended)
	if err != nil {
		return false, err
	}
	n, err := t.exec(ctx, "resolving alert "+a.ID, `UPDATE alert SET state = 'resolved', ended = $2, resolved = $3 WHERE id = $1 AND state = 'firing'`,
		a.ID, ended, Micros(at))
	if err != nil || n == 0 {
		return false, err
	}
	return true, t.postEnd(ctx, a, at)
}

// AlertParty is whose duty an alert of an organisation is about.
func (r Reader) AlertParty(ctx context.Context, org, id string) (string, error) {
	list, err := all(ctx, r, "reading alert "+id, `SELECT party FROM alert WHERE id = $1 AND org_id = $2 AND duty <> ''`, []any{id, org}, scanText)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("alert %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return "", err
	}
	return list[0], nil
}

// Alert reads an alert; ErrNotFound when there is none.
func (r Reader) Alert(ctx context.Context, id string) (alert.Alert, error) {
	list, err := all(ctx, r, "reading alert "+id, `SELECT `+alertColumns+` FROM alert WHERE id = $1`, []any{id}, scanAlert)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("alert %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return alert.Alert{}, err
	}
	return list[0], nil
}

// AckAlert notes that a person has taken an alert on; the first one counts.
func (t *Tx) AckAlert(ctx context.Context, org, id, user string, at time.Time) error {
	n, err := t.exec(ctx, "acknowledging alert "+id, `UPDATE alert SET acked = $3, acked_by = $4 WHERE id = $1 AND org_id = $2 AND acked = 0`,
		id, org, Micros(at), user)
	if err == nil && n == 0 {
		err = fmt.Errorf("open alert %s: %w", id, ErrNotFound)
	}
	return err
}

// postTo puts one delivery per channel into the outbox.
func (t *Tx) postTo(ctx context.Context, a alert.Alert, event string, channels []alert.Channel, at time.Time) error {
	rows := make([][]any, len(channels))
	for i, c := range channels {
		rows[i] = []any{evidence.NewID("d_"), c.Org, a.ID, event, c.ID, Micros(at), Micros(at)}
	}
	return t.insertMany(ctx, `INSERT INTO outbox (id, org_id, alert_id, event, channel_id, due, created) VALUES `, rows, ` ON CONFLICT DO NOTHING`)
}

// postEnd tells the channels of an alert's firing that it is over.
func (t *Tx) postEnd(ctx context.Context, a alert.Alert, at time.Time) error {
	type told struct{ org, channel string }
	list, err := all(ctx, t.Reader, "finding who was told", `SELECT org_id, channel_id FROM outbox WHERE alert_id = $1 AND event = 'firing' ORDER BY id`,
		[]any{a.ID}, func(row func(...any) error) (told, error) {
			var v told
			err := row(&v.org, &v.channel)
			return v, err
		})
	if err != nil {
		return err
	}
	rows := make([][]any, len(list))
	for i, v := range list {
		rows[i] = []any{evidence.NewID("d_"), v.org, a.ID, alert.Resolved, v.channel, Micros(at), Micros(at)}
	}
	return t.insertMany(ctx, `INSERT INTO outbox (id, org_id, alert_id, event, channel_id, due, created) VALUES `, rows, ` ON CONFLICT DO NOTHING`)
}
