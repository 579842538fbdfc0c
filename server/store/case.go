package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
)

// Case is a workflow that takes place, with its steps.
type Case struct {
	ID        string
	Org       string // the customer concerned; the provider for its own affairs
	Workflow  string
	Service   string
	Title     string
	Opened    time.Time
	Since     time.Time // when its first term began: where it stood before it was passed on, or here
	Origin    string    // of one that was passed on: the provider's case
	OpenedBy  string
	Closed    time.Time // zero while it is open
	Withdrawn bool
	Log       string
	Index     int64
	Data      evidence.Digest // of the blob with its words
	Read      CaseStep        // by the party that did not open it, for the first time; zero until then
	Subject   string          // of a report of abuse: what it is about, as a digest
	Again     int64           // so often was it reported again
	AgainAt   time.Time       // the last time
	Steps     []CaseStep
}

// CaseStep is a step that was taken, or left out.
type CaseStep struct {
	Step    string
	At      time.Time
	User    string // empty for the server itself
	Skipped bool
	Log     string
	Index   int64
	Data    evidence.Digest
}

const caseColumns = `id, org_id, workflow, service, title, opened, opened_by, closed, withdrawn, log_id, idx, data, read_at, read_by, read_log, read_idx, read_data, subject, again, again_at, since, origin`

func scanCase(row func(...any) error) (Case, error) {
	var c Case
	var opened, closed, withdrawn, read, again, since int64
	var data, readData string
	err := row(&c.ID, &c.Org, &c.Workflow, &c.Service, &c.Title, &opened, &c.OpenedBy, &closed, &withdrawn, &c.Log, &c.Index, &data,
		&read, &c.Read.User, &c.Read.Log, &c.Read.Index, &readData, &c.Subject, &c.Again, &again, &since, &c.Origin)
	if err != nil {
		return c, err
	}
	c.Opened, c.Closed, c.Withdrawn, c.Read.At, c.AgainAt, c.Since = Time(opened), Time(closed), withdrawn == 1, Time(read), Time(again), Time(since)
	if since == 0 {
		c.Since = c.Opened
	}
	c.Data, err = evidence.ParseDigest(data)
	if err == nil && readData != "" {
		c.Read.Data, err = evidence.ParseDigest(readData)
	}
	return c, err
}

// AddCase inserts a case without steps.
func (t *Tx) AddCase(ctx context.Context, c Case) error {
	_, err := t.exec(ctx, "opening a case", `INSERT INTO case_file (`+caseColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, $8, $9, $10, 0, '', '', 0, '', $11, 0, 0, $12, $13)`,
		c.ID, c.Org, c.Workflow, c.Service, c.Title, Micros(c.Opened), c.OpenedBy, c.Log, c.Index, c.Data.String(), c.Subject, Micros(c.Since), c.Origin)
	return err
}

// AddCaseStep records the n-th step of a case. It reports false when that was
// recorded already.
func (t *Tx) AddCaseStep(ctx context.Context, id string, n int, s CaseStep) (bool, error) {
	count, err := t.exec(ctx, "recording a step", `INSERT INTO case_step (case_id, n, step, at, user_id, skipped, log_id, idx, data)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
		id, int64(n), s.Step, Micros(s.At), s.User, flag(s.Skipped), s.Log, s.Index, s.Data.String())
	return count == 1, err
}

// ReadCase notes that a case was read for the first time. It reports false when that was
// noted before.
func (t *Tx) ReadCase(ctx context.Context, id string, s CaseStep) (bool, error) {
	n, err := t.exec(ctx, "noting that a case was read", `UPDATE case_file SET read_at = $2, read_by = $3, read_log = $4, read_idx = $5, read_data = $6 WHERE id = $1 AND read_at = 0`,
		id, Micros(s.At), s.User, s.Log, s.Index, s.Data.String())
	return n == 1, err
}

// CloseCase ends a case.
func (t *Tx) CloseCase(ctx context.Context, id string, at time.Time, withdrawn bool) error {
	_, err := t.exec(ctx, "closing a case", `UPDATE case_file SET closed = $2, withdrawn = $3 WHERE id = $1 AND closed = 0`, id, Micros(at), flag(withdrawn))
	return err
}

// forgetCase removes what lists say of a case whose opening words are erased: its title,
// what it is about, and what was sent of it.
func (t *Tx) forgetCase(ctx context.Context, p Place) error {
	list, err := t.cases(ctx, `log_id = $1 AND idx = $2 AND data = $3`, p.Log, p.Index, p.SHA.String())
	for _, c := range list {
		_, bad := t.exec(ctx, "forgetting case "+c.ID, `UPDATE case_file SET title = '', subject = '' WHERE id = $1`, c.ID)
		err = errors.Join(err, bad, t.forgetSent(ctx, c))
	}
	return err
}

// forgetSent removes what both parties were sent of a case.
func (t *Tx) forgetSent(ctx context.Context, c Case) error {
	_, err := t.exec(ctx, "forgetting what was sent of case "+c.ID, `UPDATE alert SET asset = $1, name = '', why = '', ended = ''
		WHERE org_id IN ($2, (SELECT id FROM org WHERE kind = 'provider')) AND opened >= $3 AND (asset = $1 OR asset LIKE $4)`, c.ID, c.Org, Micros(c.Opened), c.ID+"/%")
	return err
}

// LockCase reads a case and keeps others from changing it until the transaction ends.
func (t *Tx) LockCase(ctx context.Context, id string) (Case, error) {
	if _, err := t.exec(ctx, "locking case "+id, `UPDATE case_file SET closed = closed WHERE id = $1`, id); err != nil {
		return Case{}, err
	}
	return t.Case(ctx, id)
}

// Case reads a case; ErrNotFound when there is none.
func (r Reader) Case(ctx context.Context, id string) (Case, error) {
	list, err := r.cases(ctx, `id = $1`, id)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("case %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Case{}, err
	}
	return list[0], nil
}

// CaseAbout reports whether a case about a subject is open, or ended since a moment.
func (r Reader) CaseAbout(ctx context.Context, subject string, since time.Time) (bool, error) {
	list, err := all(ctx, r, "looking for a case", `SELECT 1 FROM case_file WHERE subject = $1 AND (closed = 0 OR closed >= $2) LIMIT 1`, []any{subject, Micros(since)},
		func(row func(...any) error) (n int64, err error) { return n, row(&n) })
	return len(list) > 0, err
}

// CountFound counts the cases of a workflow that the server itself opened with an
// organisation since a moment.
func (r Reader) CountFound(ctx context.Context, org, workflow string, since time.Time) (int64, error) {
	list, err := all(ctx, r, "counting cases", `SELECT COUNT(*) FROM case_file WHERE org_id = $1 AND workflow = $2 AND opened >= $3 AND opened_by = ''`, []any{org, workflow, Micros(since)},
		func(row func(...any) error) (n int64, err error) { return n, row(&n) })
	if err != nil || len(list) == 0 {
		return 0, err
	}
	return list[0], nil
}

// Cases lists the cases of an organisation, or of all when org is empty, that are open,
// oldest first, and then those that ended since a moment.
func (r Reader) Cases(ctx context.Context, org string, since time.Time) ([]Case, error) {
	of, args := ``, []any{}
	if org != "" {
		of, args = `org_id = $1 AND `, append(args, org)
	}
	open, err := r.cases(ctx, of+`closed = 0 ORDER BY opened, id`, args...)
	if err != nil {
		return nil, err
	}
	ended, err := r.cases(ctx, of+`closed >= $`+strconv.Itoa(len(args)+1)+` ORDER BY closed, id`, append(args, max(Micros(since), 1))...)
	return append(open, ended...), err
}

// OpenCases lists the open cases of an organisation, oldest first.
func (r Reader) OpenCases(ctx context.Context, org string) ([]Case, error) {
	return r.cases(ctx, `org_id = $1 AND closed = 0 ORDER BY opened, id`, org)
}

// atOnce is how many cases' steps one query asks for: databases bound its parameters.
const atOnce = 1000

func (r Reader) cases(ctx context.Context, where string, args ...any) ([]Case, error) {
	list, err := all(ctx, r, "reading cases", `SELECT `+caseColumns+` FROM case_file WHERE `+where, args, scanCase)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	ids := make([]any, len(list))
	at := map[string]int{}
	for i, c := range list {
		ids[i], at[c.ID] = c.ID, i
	}
	for part := range slices.Chunk(ids, atOnce) {
		steps, err := all(ctx, r, "reading steps", `SELECT case_id, step, at, user_id, skipped, log_id, idx, data FROM case_step
			WHERE case_id IN `+values(1, len(part))+` ORDER BY case_id, n`, part, scanStep)
		if err != nil {
			return nil, err
		}
		for _, s := range steps {
			c := &list[at[s.id]]
			c.Steps = append(c.Steps, s.CaseStep)
		}
	}
	return list, nil
}

// stepOf is a step with its case.
type stepOf struct {
	id string
	CaseStep
}

func scanStep(row func(...any) error) (v stepOf, err error) {
	var moment, skipped int64
	var data string
	if err = row(&v.id, &v.Step, &moment, &v.User, &skipped, &v.Log, &v.Index, &data); err != nil {
		return v, err
	}
	v.At, v.Skipped = Time(moment), skipped == 1
	v.Data, err = evidence.ParseDigest(data)
	return v, err
}

// Told is when an alert was opened, and when its organisation first heard of it.
type Told struct {
	ID, Org, Duty, Name     string
	Opened, Acked, Resolved time.Time
	Delivered               time.Time // zero: to nobody yet
	Silenced                bool      // it was raised under a silence of its organisation
}

// heard is when an alert's organisation first heard of it.
const heard = `COALESCE((SELECT MIN(o.done) FROM outbox o WHERE o.alert_id = a.id AND o.event IN ('firing', 'escalated') AND o.state = 'delivered' AND o.org_id = a.org_id), 0)`

// standing are the alerts about a party's duties, $1, that are open or ended since a moment,
// $2, of those that fit: asked for apart, since neither database would enter by the index
// for both.
func standing(fit string) string {
	return `a.id IN (SELECT id FROM alert WHERE party = $1` + fit + ` AND resolved = 0 UNION ALL SELECT id FROM alert WHERE party = $1` + fit + ` AND resolved >= $2)`
}

// RaisedAlerts lists the alerts about a duty of a party that are open or ended since a
// moment, oldest first, with when their organisation first heard of each.
func (r Reader) RaisedAlerts(ctx context.Context, org, party, duty string, since time.Time) ([]duties.Raised, error) {
	return all(ctx, r, "reading what was raised", `SELECT a.name, a.opened, a.acked, a.resolved, `+heard+` FROM alert a
		WHERE `+standing(` AND org_id = $3 AND duty = $4`)+` ORDER BY a.opened, a.id`, []any{party, max(Micros(since), 1), org, duty}, func(row func(...any) error) (v duties.Raised, err error) {
		var opened, acked, ended, delivered int64
		err = row(&v.Name, &opened, &acked, &ended, &delivered)
		v.Opened, v.Acked, v.Ended, v.Delivered = Time(opened), Time(acked), Time(ended), Time(delivered)
		return v, err
	})
}

// ToldAlerts lists a party's alerts about what was measured, open or ended since a
// moment, of one organisation or of all when org is empty, the newest first. Alerts about
// cases are left out: they speak of telling itself.
func (r Reader) ToldAlerts(ctx context.Context, org, party string, since time.Time) ([]Told, error) {
	fit, args := ``, []any{party, max(Micros(since), 1)}
	if org != "" {
		fit, args = ` AND org_id = $3`, append(args, org)
	}
	return all(ctx, r, "reading who was told", `SELECT a.id, a.org_id, a.duty, a.name, a.opened, a.acked, a.resolved, a.silence <> '', `+heard+` FROM alert a
		WHERE `+standing(fit)+` AND a.part <> 'workflow' ORDER BY a.opened DESC, a.id`, args, func(row func(...any) error) (v Told, err error) {
		var opened, acked, resolved, delivered int64
		err = row(&v.ID, &v.Org, &v.Duty, &v.Name, &opened, &acked, &resolved, &v.Silenced, &delivered)
		v.Opened, v.Acked, v.Resolved, v.Delivered = Time(opened), Time(acked), Time(resolved), Time(delivered)
		return v, err
	})
}
