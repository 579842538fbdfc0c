package store

import (
	"context"
	"time"

	"github.com/attesto/attesto/server/duties"
)

// History reads how an organisation's duties, or the one that duty names, have turned
// since a moment, oldest first, by duty, and what of that was judged again; the turn in
// force at that moment comes first. It reads the notes of verdicts only, whatever
// evidence there is, also of duties that have left the board since.
func (r Reader) History(ctx context.Context, org, duty string, since time.Time) (map[string]duties.Past, error) {
	past := map[string]duties.Past{}
	err := each(ctx, r, "reading the history of duties", `SELECT c.duty, c.at, c.verdict, c.why FROM verdict_change c
		LEFT JOIN (SELECT duty, MAX(at) AS at FROM verdict_change WHERE org_id = $1 AND part = '' AND (duty = $2 OR $2 = '') AND at <= $3 GROUP BY duty) b ON b.duty = c.duty
		WHERE c.org_id = $1 AND c.part = '' AND (c.duty = $2 OR $2 = '') AND c.at >= COALESCE(b.at, 0) ORDER BY c.duty, c.at`,
		[]any{org, duty, Micros(since)}, func(row func(...any) error) error {
			var id, verdict, why string
			var at int64
			if err := row(&id, &at, &verdict, &why); err != nil {
				return err
			}
			t := duties.Turn{At: Time(at)}
			var err error
			if t.Verdict, err = duties.ParseVerdict(verdict); err == nil {
				err = unpack(map[string]any{why: &t.Why})
			}
			p := past[id]
			p.Turns = append(p.Turns, t)
			past[id] = p
			return err
		})
	if err != nil {
		return nil, err
	}
	again, err := r.JudgedAgain(ctx, org, duty, since)
	for _, a := range again {
		p, ok := past[a.Duty]
		switch {
		case !ok: // nobody judged it at the time
			continue
		case a.Basis == BasisLate:
			p.Late = append(p.Late, a.Stretch)
		default:
			p.Rules = append(p.Rules, a.Stretch)
		}
		past[a.Duty] = p
	}
	return past, err
}
