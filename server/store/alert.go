package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
)

const alertColumns = `id, org_id, duty, part, asset, name, state, party, verdict, why, ended, opened, acked, acked_by, resolved, fired, calm, silence`

// alertRow takes the columns of an alert from a row.
type alertRow struct {
	alert.Alert
	verdict, why, ended     string
	opened, acked, resolved int64
	fired, calm             int64
}

func (v *alertRow) columns() []any {
	return []any{&v.ID, &v.Org, &v.Duty, &v.Part, &v.Asset, &v.Name, &v.State, &v.Party, &v.verdict, &v.why, &v.ended, &v.opened, &v.acked, &v.AckedBy, &v.resolved,
		&v.fired, &v.calm, &v.Silence}
}

func (v *alertRow) read() (a alert.Alert, err error) {
	a = v.Alert
	a.Opened, a.Acked, a.Resolved, a.Fired, a.Calm = Time(v.opened), Time(v.acked), Time(v.resolved), int(v.fired), Time(v.calm)
	if a.Verdict, err = duties.ParseVerdict(v.verdict); err != nil {
		return a, err
	}
	return a, errors.Join(unpack(map[string]any{v.why: &a.Why}), unpack(map[string]any{v.ended: &a.Ended})) // they may say the same
}

func scanAlert(row func(...any) error) (alert.Alert, error) {
	var v alertRow
	if err := row(v.columns()...); err != nil {
		return v.Alert, err
	}
	return v.read()
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

func scanCount(row func(...any) error) (n int64, err error) {
	err = row(&n)
	return n, err
}

// FireAlert opens an alert and puts what its channels hear at once into the outbox. It
// reports false when such an alert is open already.
func (t *Tx) FireAlert(ctx context.Context, a alert.Alert, reach Reach) (bool, error) {
	why, err := pack(a.Why)
	if err != nil {
		return false, err
	}
	before, err := all(ctx, t.Reader, "counting firings", `SELECT COUNT(*) FROM alert WHERE org_id = $1 AND duty = $2 AND part = $3 AND asset = $4 AND opened > $5`,
		[]any{a.Org, a.Duty, a.Part, a.Asset, Micros(a.Opened.Add(-alert.Flapping))}, scanCount)
	if err != nil {
		return false, err
	}
	loud, by, err := t.loud(ctx, a)
	if err != nil {
		return false, err
	}
	if loud.After(a.Opened) {
		a.Silence = by
	}
	n, err := t.exec(ctx, "opening an alert", `INSERT INTO alert (`+alertColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, 'firing', $7, $8, $9, '', $10, 0, '', 0, $11, 0, $12) ON CONFLICT DO NOTHING`,
		a.ID, a.Org, a.Duty, a.Part, a.Asset, a.Name, a.Party, a.Verdict.String(), why, Micros(a.Opened), before[0]+1, a.Silence)
	if err != nil || n == 0 {
		return false, err
	}
	_, err = t.tend(ctx, a, reach, a.Opened)
	return true, err
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

// Noticed reports whether an organisation was sent a notice about something since a moment.
func (r Reader) Noticed(ctx context.Context, org, about string, since time.Time) (bool, error) {
	list, err := all(ctx, r, "reading notices", `SELECT id FROM alert WHERE org_id = $1 AND opened > $2 AND duty = '' AND asset = $3 LIMIT 1`,
		[]any{org, Micros(since), about}, func(row func(...any) error) (id string, err error) { return id, row(&id) })
	return len(list) > 0, err
}

// NotifyOn is Notify on some channels.
func (t *Tx) NotifyOn(ctx context.Context, a alert.Alert, channels []alert.Channel) error {
	why, err := pack(a.Why)
	if err != nil {
		return err
	}
	if _, err := t.exec(ctx, "adding a notice", `INSERT INTO alert (`+alertColumns+`)
		VALUES ($1, $2, '', '', $3, $4, 'resolved', '', $5, $6, '', $7, 0, '', $7, 1, 0, '')`,
		a.ID, a.Org, a.Asset, a.Name, a.Verdict.String(), why, Micros(a.Opened)); err != nil {
		return err
	}
	posts := make([]alert.Post, len(channels))
	for i, c := range channels {
		posts[i] = alert.Post{Channel: c, Event: alert.Firing}
	}
	return t.post(ctx, a, posts, a.Opened)
}

// CalmAlert notes since when the asset of an open alert is in order.
func (t *Tx) CalmAlert(ctx context.Context, a alert.Alert) error {
	_, err := t.exec(ctx, "noting that alert "+a.ID+" is calm", `UPDATE alert SET calm = $2 WHERE id = $1 AND state = 'firing'`, a.ID, Micros(a.Calm))
	return err
}

// ResolveAlert ends an alert, for the reason in Ended, and has those told who
// were told that it fired. It reports false when it had ended already.
func (t *Tx) ResolveAlert(ctx context.Context, a alert.Alert, at time.Time) (bool, error) {
	ended, err := pack(a.Ended)
	if err != nil {
		return false, err
	}
	n, err := t.exec(ctx, "resolving alert "+a.ID, `UPDATE alert SET state = 'resolved', ended = $2, resolved = $3, next = 0 WHERE id = $1 AND state = 'firing'`,
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

// AckAlert notes that a person has taken an alert on; the first one counts. What waits to
// say that nobody has is withdrawn.
func (t *Tx) AckAlert(ctx context.Context, org, id, user string, at time.Time) error {
	n, err := t.exec(ctx, "acknowledging alert "+id, `UPDATE alert SET acked = $3, acked_by = $4 WHERE id = $1 AND org_id = $2 AND acked = 0`,
		id, org, Micros(at), user)
	if err == nil && n == 0 {
		err = fmt.Errorf("open alert %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return err
	}
	return t.withdraw(ctx, id, alert.Reminder, alert.Escalated)
}
