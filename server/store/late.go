package store

import (
	"context"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
)

// Late is evidence of a kind that came late, by which an organisation's past is to be
// judged again.
type Late struct {
	Org   string
	Kind  evidence.Kind
	Since time.Time // when the oldest look was made
	Due   time.Time // not before then, so that a backlog is judged once
}

// AddLate notes that the past is to be judged again.
func (t *Tx) AddLate(ctx context.Context, l Late) error {
	_, err := t.exec(ctx, "noting late evidence", `INSERT INTO late_evidence (org_id, kind, since, due) VALUES ($1, $2, $3, $4)
		ON CONFLICT (org_id, kind) DO UPDATE SET since = CASE WHEN excluded.since < late_evidence.since THEN excluded.since ELSE late_evidence.since END, due = excluded.due`,
		l.Org, string(l.Kind), Micros(l.Since), Micros(l.Due))
	return err
}

// LateEvidence lists what is due.
func (r Reader) LateEvidence(ctx context.Context, now time.Time) ([]Late, error) {
	return all(ctx, r, "reading late evidence", `SELECT org_id, kind, since, due FROM late_evidence WHERE due <= $1 ORDER BY org_id, kind`, []any{Micros(now)},
		func(row func(...any) error) (Late, error) {
			var l Late
			var since, due int64
			err := row(&l.Org, &l.Kind, &since, &due)
			l.Since, l.Due = Time(since), Time(due)
			return l, err
		})
}

// EndLate forgets late evidence that was judged, unless more has come since.
func (t *Tx) EndLate(ctx context.Context, l Late) error {
	_, err := t.exec(ctx, "ending late evidence", `DELETE FROM late_evidence WHERE org_id = $1 AND kind = $2 AND since = $3 AND due = $4`,
		l.Org, string(l.Kind), Micros(l.Since), Micros(l.Due))
	return err
}

// The bases on which the past is judged again.
const (
	BasisLate  = "late"  // evidence that came late
	BasisRules = "rules" // other rules
)

// Again is how a stretch of a duty's past was judged again.
type Again struct {
	Org, Duty, Basis string
	Judged           time.Time
	Ruleset          int64 // the number of the rules that it was judged by
	duties.Stretch
}

const againColumns = `org_id, duty, basis, from_at, to_at, verdict, why, judged, ruleset`

func scanAgain(row func(...any) error) (Again, error) {
	var a Again
	var from, to, judged int64
	var verdict, why string
	if err := row(&a.Org, &a.Duty, &a.Basis, &from, &to, &verdict, &why, &judged, &a.Ruleset); err != nil {
		return a, err
	}
	a.From, a.To, a.Judged = Time(from), Time(to), Time(judged)
	var err error
	if a.Verdict, err = duties.ParseVerdict(verdict); err != nil {
		return a, err
	}
	return a, unpack(map[string]any{why: &a.Why})
}

// PutAgain writes how a duty's past from a moment to another was judged again, in place
// of what was judged again there before on the same basis. list holds the stretches
// with another verdict only.
func (t *Tx) PutAgain(ctx context.Context, of Again, from, to time.Time, list []duties.Stretch) error {
	old, err := all(ctx, t.Reader, "reading what was judged again", `SELECT `+againColumns+` FROM verdict_again
		WHERE org_id = $1 AND duty = $2 AND basis = $3 AND from_at < $4 AND to_at > $5`, []any{of.Org, of.Duty, of.Basis, Micros(to), Micros(from)}, scanAgain)
	if err != nil {
		return err
	}
	if _, err := t.exec(ctx, "replacing what was judged again", `DELETE FROM verdict_again
		WHERE org_id = $1 AND duty = $2 AND basis = $3 AND from_at < $4 AND to_at > $5`, of.Org, of.Duty, of.Basis, Micros(to), Micros(from)); err != nil {
		return err
	}
	var keep []Again
	for _, a := range old { // what reaches beyond is kept there
		if a.From.Before(from) {
			part := a
			part.To = from
			keep = append(keep, part)
		}
		if a.To.After(to) {
			a.From = to
			keep = append(keep, a)
		}
	}
	for _, s := range list {
		of.Stretch = s
		keep = append(keep, of)
	}
	rows := make([][]any, len(keep))
	for i, a := range keep {
		why, err := pack(a.Why)
		if err != nil {
			return err
		}
		rows[i] = []any{a.Org, a.Duty, a.Basis, Micros(a.From), Micros(a.To), a.Verdict.String(), why, Micros(a.Judged), a.Ruleset}
	}
	return t.insertMany(ctx, `INSERT INTO verdict_again (`+againColumns+`) VALUES `, rows)
}

// JudgedAgain lists what of a duty's past was judged again and reaches beyond a moment,
// oldest first; of all duties of the organisation where duty is empty.
func (r Reader) JudgedAgain(ctx context.Context, org, duty string, since time.Time) ([]Again, error) {
	return all(ctx, r, "reading what was judged again", `SELECT `+againColumns+` FROM verdict_again
		WHERE org_id = $1 AND (duty = $2 OR $2 = '') AND to_at > $3 ORDER BY duty, from_at`, []any{org, duty, Micros(since)}, scanAgain)
}
