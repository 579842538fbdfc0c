package store

import (
	"context"
	"time"
)

// Problem is an alert about a breach of the provider's own, and when each other
// organisation first heard of it.
type Problem struct {
	ID, Duty, Name, Asset string
	Opened, Ended         time.Time
	Told                  map[string]time.Time
}

// Problems lists the alerts of the provider about breaches of duties whose ids begin so,
// open or ended since a moment, oldest first. Alerts about cases are left out.
func (r Reader) Problems(ctx context.Context, provider, duties string, since time.Time) ([]Problem, error) {
	those := standing(` AND org_id = $3 AND duty LIKE $4`) + ` AND a.part <> 'workflow' AND a.verdict = 'breached'`
	args := []any{Provider, max(Micros(since), 1), provider, duties + "%"}
	list, err := all(ctx, r, "reading problems", `SELECT a.id, a.duty, a.name, a.asset, a.opened, a.resolved FROM alert a WHERE `+those+` ORDER BY a.opened, a.id`, args,
		func(row func(...any) error) (p Problem, err error) {
			var opened, ended int64
			err = row(&p.ID, &p.Duty, &p.Name, &p.Asset, &opened, &ended)
			p.Opened, p.Ended, p.Told = Time(opened), Time(ended), map[string]time.Time{}
			return p, err
		})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	at := map[string]int{}
	for i, p := range list {
		at[p.ID] = i
	}
	return list, each(ctx, r, "reading who was told of problems", `SELECT o.alert_id, o.org_id, COALESCE(MIN(o.done) FILTER (WHERE o.state = 'delivered'), 0) FROM alert a JOIN outbox o ON o.alert_id = a.id
		WHERE `+those+` AND o.event IN ('firing', 'escalated') AND o.org_id <> a.org_id GROUP BY o.alert_id, o.org_id`, args,
		func(row func(...any) error) error {
			var id, org string
			var done int64
			err := row(&id, &org, &done)
			if i, ok := at[id]; ok {
				list[i].Told[org] = Time(done)
			}
			return err
		})
}
