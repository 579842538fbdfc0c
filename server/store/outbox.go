package store

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/server/alert"
)

// ClaimDeliveries takes deliveries that are due until the lease ends, oldest
// first. An alert's resolution waits until what was told before is settled on the same
// channel.
func (t *Tx) ClaimDeliveries(ctx context.Context, now time.Time, lease time.Duration, n int) ([]alert.Delivery, error) {
	ids, err := all(ctx, t.Reader, "claiming deliveries", `UPDATE outbox SET lease = $2, attempts = attempts + 1
		WHERE state = 'waiting' AND due <= $1 AND lease <= $1 AND id IN (
			SELECT o.id FROM outbox o JOIN channel c ON c.id = o.channel_id
			WHERE o.state = 'waiting' AND o.due <= $1 AND o.lease <= $1 AND NOT (o.event = 'resolved' AND EXISTS (
				SELECT 1 FROM outbox f WHERE f.alert_id = o.alert_id AND f.channel_id = o.channel_id AND f.event <> 'resolved' AND f.state = 'waiting'))
			ORDER BY o.due, o.id LIMIT $3)
		RETURNING id`, []any{Micros(now), Micros(now.Add(lease)), int64(n)}, scanText)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	return all(ctx, t.Reader, "reading deliveries", `SELECT o.id, o.event, o.round, o.attempts, o.created,
		c.`+strings.ReplaceAll(channelColumns, ", ", ", c.")+`, r.name, r.lang, r.zone, w.name, a.`+strings.ReplaceAll(alertColumns, ", ", ", a.")+`
		FROM outbox o JOIN channel c ON c.id = o.channel_id JOIN org r ON r.id = c.org_id JOIN alert a ON a.id = o.alert_id JOIN org w ON w.id = a.org_id
		WHERE o.id IN `+values(1, len(ids))+` ORDER BY o.due, o.id`, args, scanDelivery)
}

func scanText(row func(...any) error) (string, error) {
	var s string
	err := row(&s)
	return s, err
}

func scanDelivery(row func(...any) error) (d alert.Delivery, err error) {
	var created int64
	var zone string
	var a alertRow
	var c channelRow
	if err = row(slices.Concat([]any{&d.ID, &d.Event, &d.Round, &d.Attempts, &created}, c.columns(), []any{&d.To.Name, &d.To.Lang, &zone, &d.Owner}, a.columns())...); err != nil {
		return d, err
	}
	d.Created, d.Channel = Time(created), c.read()
	d.To.ID, d.To.Zone = d.Channel.Org, location(zone)
	d.Alert, err = a.read()
	return d, err
}

// location finds a zone; UTC for one that this host does not know.
func location(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC
	}
	return zone
}

// Location is the organisation's zone.
func (o Org) Location() *time.Location { return location(o.Zone) }

// SettleDelivery records how an attempt went. It reports false when somebody
// else has settled it.
func (t *Tx) SettleDelivery(ctx context.Context, a alert.Attempt) (bool, error) {
	state, text, done := "waiting", "", int64(0)
	if a.Err != nil {
		text = a.Err.Error()
	}
	switch {
	case a.Err == nil:
		state, done = "delivered", Micros(a.At)
	case a.Refused:
		state, done = "refused", Micros(a.At)
	}
	n, err := t.exec(ctx, "settling delivery "+a.Delivery.ID, `UPDATE outbox SET state = $2, error = $3, done = $4, due = CASE WHEN CAST($5 AS BIGINT) > 0 THEN CAST($5 AS BIGINT) ELSE due END, lease = 0
		WHERE id = $1 AND state = 'waiting'`, a.Delivery.ID, state, text, done, Micros(a.Next))
	return n == 1, err
}

// DeliveryState is one delivery of an alert, as people see it.
type DeliveryState struct {
	ID       string
	Org      string // who is told
	Alert    string
	Event    string
	Kind     string // of the channel; empty when it was removed
	Target   string
	State    string // waiting, delivered, refused or withdrawn
	Attempts int
	Error    string
	Created  time.Time
	Due      time.Time // when it is tried next, while it waits
	Done     time.Time
}

// ChannelGone is the error of deliveries whose channel was removed before they were made.
const ChannelGone = "the channel was removed"

// TryState is how one attempt at a delivery went.
type TryState struct {
	Org, Delivery string
	N             int // counts from 1
	At            time.Time
	State         string // delivered, failed or refused
	Error         string
	Log           string // of the entry that proves it; empty when it could not be logged
	Index         int64
}

// AddTry records how an attempt went, and the entry of who is told's log that says so.
func (t *Tx) AddTry(ctx context.Context, a alert.Attempt, log string, index int64) error {
	d, text := a.Delivery, ""
	if a.Err != nil {
		text = a.Err.Error()
	}
	_, err := t.exec(ctx, "noting an attempt of delivery "+d.ID, `INSERT INTO delivery_attempt (org_id, alert_id, delivery_id, n, at, state, error, log_id, idx)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
		d.To.ID, d.Alert.ID, d.ID, int64(d.Attempts), Micros(a.At), strings.TrimPrefix(a.Event(), "alert."), text, log, index)
	return err
}

// Tries lists the attempts at all deliveries of an alert, oldest first. Those of before
// they were kept are not among them.
func (r Reader) Tries(ctx context.Context, alertID string) ([]TryState, error) {
	return all(ctx, r, "reading attempts", `SELECT t.org_id, t.delivery_id, t.n, t.at, t.state, t.error, t.log_id, t.idx
		FROM outbox o JOIN delivery_attempt t ON t.org_id = o.org_id AND t.alert_id = o.alert_id AND t.delivery_id = o.id
		WHERE o.alert_id = $1 ORDER BY t.at, t.delivery_id, t.n`, []any{alertID},
		func(row func(...any) error) (TryState, error) {
			var v TryState
			var at int64
			err := row(&v.Org, &v.Delivery, &v.N, &at, &v.State, &v.Error, &v.Log, &v.Index)
			v.At = Time(at)
			return v, err
		})
}

// Undelivered counts, of some alerts, the deliveries to an organisation (to all when it
// is empty) that were refused, or failed and are still tried.
func (r Reader) Undelivered(ctx context.Context, org string, alerts []string) (map[string]int, error) {
	out := map[string]int{}
	if len(alerts) == 0 {
		return out, nil
	}
	args := make([]any, len(alerts), len(alerts)+1)
	for i, id := range alerts {
		args[i] = id
	}
	who := "$" + strconv.Itoa(len(alerts)+1)
	err := each(ctx, r, "counting what was not delivered", `SELECT alert_id, COUNT(*) FROM outbox WHERE alert_id IN `+values(1, len(alerts))+` AND (org_id = `+who+` OR `+who+` = '')
		AND (state = 'refused' OR state = 'waiting' AND attempts > 0 AND error <> '') GROUP BY alert_id`, append(args, org), func(row func(...any) error) error {
		var id string
		var n int64
		err := row(&id, &n)
		out[id] = int(n)
		return err
	})
	return out, err
}

// Deliveries lists the deliveries of an alert, oldest first.
func (r Reader) Deliveries(ctx context.Context, alertID string) ([]DeliveryState, error) {
	return all(ctx, r, "reading deliveries", `SELECT o.id, o.org_id, o.alert_id, o.event, COALESCE(c.kind, ''), COALESCE(c.target, ''), o.state, o.attempts, o.error, o.created, o.due, o.done
		FROM outbox o LEFT JOIN channel c ON c.id = o.channel_id WHERE o.alert_id = $1 ORDER BY o.created, o.org_id, o.id`, []any{alertID},
		func(row func(...any) error) (DeliveryState, error) {
			var d DeliveryState
			var created, due, done int64
			err := row(&d.ID, &d.Org, &d.Alert, &d.Event, &d.Kind, &d.Target, &d.State, &d.Attempts, &d.Error, &created, &due, &done)
			d.Created, d.Due, d.Done = Time(created), Time(due), Time(done)
			return d, err
		})
}
