package store

import (
	"context"
	"fmt"
	"time"

	"github.com/attesto/attesto/evidence"
)

// undecided are the cases of which no step was taken yet.
const undecided = `closed = 0 AND NOT EXISTS (SELECT 1 FROM case_step WHERE case_id = case_file.id)`

// Undecided reports whether a case waits for its first step.
func (c Case) Undecided() bool { return c.Closed.IsZero() && len(c.Steps) == 0 }

// ReportedCase reads the undecided case about a subject, with an organisation or, when
// org is empty, with whomever it stands; ErrNotFound when there is none, and of what is
// like no other.
func (r Reader) ReportedCase(ctx context.Context, org, subject string) (Case, error) {
	if subject == "" {
		return Case{}, fmt.Errorf("case about nothing: %w", ErrNotFound)
	}
	list, err := r.cases(ctx, `subject = $1 AND (org_id = $2 OR $2 = '') AND `+undecided+` ORDER BY opened DESC, id LIMIT 1`, subject, org)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("case about %s: %w", subject, ErrNotFound)
	}
	if err != nil {
		return Case{}, err
	}
	return list[0], nil
}

// PassedOn lists the cases of customers that a case of the provider's was passed on as.
func (r Reader) PassedOn(ctx context.Context, id string) ([]Case, error) {
	return r.cases(ctx, `origin = $1 AND origin <> '' ORDER BY opened, id`, id)
}

// PassedLast lists the provider's cases that were passed on to an organisation, and to
// none that is not erased.
func (r Reader) PassedLast(ctx context.Context, org string) ([]Case, error) {
	return r.cases(ctx, `id IN (SELECT origin FROM case_file WHERE org_id = $1 AND origin <> '') AND NOT EXISTS
		(SELECT 1 FROM case_file p JOIN org o ON o.id = p.org_id WHERE p.origin = case_file.id AND p.origin <> '' AND o.erased = 0) ORDER BY id`, org)
}

// Unnamed lists the undecided cases of a workflow of which it is not known what they are
// about.
func (r Reader) Unnamed(ctx context.Context, workflow string) ([]Case, error) {
	return r.cases(ctx, `subject = '' AND workflow = $1 AND `+undecided+` ORDER BY id`, workflow)
}

// NameCase notes what a case is about of which that was not known.
func (t *Tx) NameCase(ctx context.Context, id, subject string) error {
	_, err := t.exec(ctx, "naming case "+id, `UPDATE case_file SET subject = $2 WHERE id = $1 AND subject = ''`, id, subject)
	return err
}

// ReportedAgain is a report of what a case was about already.
type ReportedAgain struct {
	Place // of its words
	Case  string
	At    time.Time
}

// AddAgain notes that what a case is about was reported once more.
func (t *Tx) AddAgain(ctx context.Context, a ReportedAgain) error {
	_, err := t.exec(ctx, "keeping a report", `INSERT INTO case_again (org_id, case_id, at, log_id, idx, data) VALUES ($1, $2, $3, $4, $5, $6)`,
		a.Org, a.Case, Micros(a.At), a.Log, a.Index, a.SHA.String())
	if err == nil {
		_, err = t.exec(ctx, "noting a report", `UPDATE case_file SET again = again + 1, again_at = $2 WHERE id = $1`, a.Case, Micros(a.At))
	}
	return err
}

// Again lists the reports of what a case was about already, oldest first.
func (r Reader) Again(ctx context.Context, id string) ([]ReportedAgain, error) {
	return all(ctx, r, "reading reports", `SELECT org_id, case_id, at, log_id, idx, data FROM case_again WHERE case_id = $1 ORDER BY at, idx`, []any{id},
		func(row func(...any) error) (a ReportedAgain, err error) {
			var at int64
			var data string
			if err = row(&a.Org, &a.Case, &at, &a.Log, &a.Index, &data); err != nil {
				return a, err
			}
			a.At = Time(at)
			a.SHA, err = evidence.ParseDigest(data)
			return a, err
		})
}

// Reports counts those that an organisation takes by itself.
type Reports struct {
	Waiting int64 // undecided
	New     int64 // that opened a case since a moment
	Again   int64 // of what a case was open about, since then
}

// CountReports counts the reports that an organisation took by itself.
func (r Reader) CountReports(ctx context.Context, org string, since time.Time) (Reports, error) {
	list, err := all(ctx, r, "counting reports", `SELECT
		(SELECT count(*) FROM case_file WHERE org_id = $1 AND opened_by = '' AND workflow = 'abuse' AND `+undecided+`),
		(SELECT count(*) FROM case_file WHERE org_id = $1 AND workflow = 'abuse' AND opened > $2 AND opened_by = ''),
		(SELECT count(*) FROM case_again WHERE org_id = $1 AND at > $2)`, []any{org, Micros(since)},
		func(row func(...any) error) (n Reports, err error) { return n, row(&n.Waiting, &n.New, &n.Again) })
	if err != nil || len(list) == 0 {
		return Reports{}, err
	}
	return list[0], nil
}
