package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/alert"
)

// Reach is who beyond its organisation can hear of an alert.
type Reach struct {
	Service string   // of the duty: a customer hears only of services that it has
	Only    []string // the organisations to which it is bound; all when empty
}

// DueAlerts lists firing alerts of which something is to be told at a moment, the longest
// due first.
func (r Reader) DueAlerts(ctx context.Context, at time.Time, limit int) ([]alert.Alert, error) {
	return all(ctx, r, "finding what is to be told", `SELECT `+alertColumns+` FROM alert WHERE state = 'firing' AND next > 0 AND next <= $1
		ORDER BY next, id LIMIT $2`, []any{Micros(at), int64(limit)}, scanAlert)
}

// TendAlert puts into the outbox what is to be told of an alert at a moment, if it is due
// and nobody else has. It returns how many messages that were.
func (t *Tx) TendAlert(ctx context.Context, id string, reach Reach, at time.Time) (int, error) {
	due, err := all(ctx, t.Reader, "tending alert "+id, `UPDATE alert SET next = 0 WHERE id = $1 AND state = 'firing' AND next > 0 AND next <= $2
		RETURNING `+alertColumns, []any{id, Micros(at)}, scanAlert)
	if err != nil || len(due) == 0 {
		return 0, err
	}
	return t.tend(ctx, due[0], reach, at)
}

// tend is TendAlert of an alert that this transaction holds.
func (t *Tx) tend(ctx context.Context, a alert.Alert, reach Reach, at time.Time) (int, error) {
	list, err := t.hearers(ctx, a, reach)
	if err != nil {
		return 0, err
	}
	loud, _, err := t.loud(ctx, a)
	if err != nil {
		return 0, err
	}
	posts, next := a.Tend(list, loud, at)
	if err := t.post(ctx, a, posts, at); err != nil {
		return 0, err
	}
	if next.IsZero() { // nobody to tell now
		next = at.Add(alert.Remind)
	}
	_, err = t.exec(ctx, "tending alert "+a.ID, `UPDATE alert SET next = $2 WHERE id = $1`, a.ID, Micros(next))
	return len(posts), err
}

// post puts messages into the outbox.
func (t *Tx) post(ctx context.Context, a alert.Alert, posts []alert.Post, at time.Time) error {
	rows := make([][]any, len(posts))
	for i, p := range posts {
		rows[i] = []any{evidence.NewID("d_"), p.Channel.Org, a.ID, p.Event, p.Channel.ID, int64(p.Round), Micros(at), Micros(at)}
	}
	return t.insertMany(ctx, `INSERT INTO outbox (id, org_id, alert_id, event, channel_id, round, due, created) VALUES `, rows, ` ON CONFLICT DO NOTHING`)
}

// hearers lists the channels that hear of an alert, with what they were told of it: the
// organisation's own whose duty it is, and those of the other party that hear of both.
func (t *Tx) hearers(ctx context.Context, a alert.Alert, reach Reach) ([]alert.Hearer, error) {
	channels, err := all(ctx, t.Reader, "finding channels", `SELECT `+channelColumns+` FROM channel WHERE org_id = $1 OR party = 'both' AND org_id IN (
			SELECT id FROM org WHERE $2 = 'customer' AND kind = 'provider' OR
			$2 = 'provider' AND kind = 'customer' AND ',' || services || ',' LIKE $3)
		ORDER BY created, id`, []any{a.Org, a.Party, "%," + reach.Service + ",%"}, scanChannel)
	if err != nil {
		return nil, err
	}
	told := map[string]alert.Hearer{}
	err = each(ctx, t.Reader, "finding who was told", `SELECT channel_id, MIN(created), MAX(created), MAX(round), SUM(CASE WHEN state = 'waiting' THEN 1 ELSE 0 END)
		FROM outbox WHERE alert_id = $1 AND event <> 'resolved' AND state <> 'withdrawn' GROUP BY channel_id`, []any{a.ID}, func(row func(...any) error) error {
		var id string
		var first, last, rounds, waits int64
		err := row(&id, &first, &last, &rounds, &waits)
		told[id] = alert.Hearer{First: Time(first), Last: Time(last), Rounds: int(rounds), Waits: waits > 0}
		return err
	})
	var list []alert.Hearer
	for _, c := range channels {
		if len(reach.Only) == 0 || c.Org == a.Org || slices.Contains(reach.Only, c.Org) {
			h := told[c.ID]
			h.Channel = c
			list = append(list, h)
		}
	}
	return list, err
}

// withdraw takes back messages of an alert that wait and that are no longer true.
func (t *Tx) withdraw(ctx context.Context, alertID string, events ...string) error {
	_, err := t.exec(ctx, "withdrawing messages of alert "+alertID,
		`UPDATE outbox SET state = 'withdrawn' WHERE alert_id = $1 AND state = 'waiting' AND event IN ('`+strings.Join(events, `', '`)+`')`, alertID)
	return err
}

// postEnd tells the channels that were told of an alert that it is over. What waits to
// say that it still fires is withdrawn.
func (t *Tx) postEnd(ctx context.Context, a alert.Alert, at time.Time) error {
	if err := t.withdraw(ctx, a.ID, alert.Reminder); err != nil {
		return err
	}
	posts, err := all(ctx, t.Reader, "finding who was told", `SELECT DISTINCT org_id, channel_id FROM outbox
		WHERE alert_id = $1 AND event IN ('firing', 'escalated') AND state <> 'withdrawn' ORDER BY channel_id`, []any{a.ID},
		func(row func(...any) error) (p alert.Post, err error) {
			p.Event = alert.Resolved
			return p, row(&p.Channel.Org, &p.Channel.ID)
		})
	if err != nil {
		return err
	}
	return t.post(ctx, a, posts, at)
}
