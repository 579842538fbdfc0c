package store

import (
	"context"
	"fmt"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
)

// Statement is what a person has signed for about a duty.
type Statement struct {
	ID   string
	Org  string // whose duty it is
	Duty string
	User string
	Data evidence.Digest // of the blob with its words
	duties.Statement
}

const statementColumns = `id, org_id, duty, kind, at, until, good, user_id, log_id, idx, data, party, about`

func scanStatement(row func(...any) error) (Statement, error) {
	var s Statement
	var at, until, good int64
	var data string
	err := row(&s.ID, &s.Org, &s.Duty, &s.Kind, &at, &until, &good, &s.User, &s.Log, &s.Index, &data, &s.Party, &s.About)
	if err != nil {
		return s, err
	}
	s.At, s.Until, s.Good = Time(at), Time(until), good == 1
	s.Statement.ID = s.ID
	s.Data, err = evidence.ParseDigest(data)
	return s, err
}

// AddStatement inserts a statement.
func (t *Tx) AddStatement(ctx context.Context, s Statement) error {
	_, err := t.exec(ctx, "adding a statement", `INSERT INTO statement (`+statementColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		s.ID, s.Org, s.Duty, s.Kind, Micros(s.At), Micros(s.Until), flag(s.Good), s.User, s.Log, s.Index, s.Data.String(), s.Party, s.About)
	return err
}

// Statements lists the newest statements about a duty, oldest first.
func (r Reader) Statements(ctx context.Context, org, duty string, limit int) ([]Statement, error) {
	return all(ctx, r, "reading statements", `SELECT `+statementColumns+` FROM (
		SELECT `+statementColumns+` FROM statement WHERE org_id = $1 AND duty = $2 ORDER BY at DESC LIMIT $3) newest ORDER BY at, id`,
		[]any{org, duty, int64(limit)}, scanStatement)
}

// lastOfKind is how many of a kind and party are read even if they hold no longer: what
// has lapsed is told apart from what never was.
const lastOfKind = 20

// StatementsAt lists those about a duty that a moment is judged by, oldest first: all that
// hold then, and the newest of each kind and party.
func (r Reader) StatementsAt(ctx context.Context, org, duty string, at time.Time) ([]Statement, error) {
	return all(ctx, r, "reading what was stated", `SELECT `+statementColumns+` FROM (
		SELECT `+statementColumns+`, ROW_NUMBER() OVER (PARTITION BY kind, party ORDER BY at DESC, id DESC) AS nth FROM statement WHERE org_id = $1 AND duty = $2) numbered
		WHERE until > $3 OR nth <= $4 ORDER BY at, id`, []any{org, duty, Micros(at), int64(lastOfKind)}, scanStatement)
}

// AllStatements lists those about a duty, oldest first.
func (r Reader) AllStatements(ctx context.Context, org, duty string) ([]Statement, error) {
	return all(ctx, r, "reading all that was stated", `SELECT `+statementColumns+` FROM statement WHERE org_id = $1 AND duty = $2 ORDER BY at, id`, []any{org, duty}, scanStatement)
}

// Statement reads one; ErrNotFound when the organisation has no such.
func (r Reader) Statement(ctx context.Context, org, id string) (Statement, error) {
	list, err := all(ctx, r, "reading statement "+id, `SELECT `+statementColumns+` FROM statement WHERE id = $1 AND org_id = $2`, []any{id, org}, scanStatement)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("statement %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Statement{}, err
	}
	return list[0], nil
}

// Stating reports whether an organisation stated this: of a kind, about a duty, in these
// words to the checks.
func (r Reader) Stating(ctx context.Context, org, duty, kind, about string) (bool, error) {
	list, err := all(ctx, r, "looking for a statement", `SELECT 1 FROM statement WHERE org_id = $1 AND duty = $2 AND kind = $3 AND about = $4 LIMIT 1`, []any{org, duty, kind, about},
		func(row func(...any) error) (n int64, err error) { return n, row(&n) })
	return len(list) > 0, err
}

// EndingStatements lists those that hold until a moment between two, of which nobody
// was told yet, and that no later one of their kind has replaced.
func (r Reader) EndingStatements(ctx context.Context, from, to time.Time, limit int) ([]Statement, error) {
	return all(ctx, r, "reading statements that end", `SELECT `+statementColumns+` FROM statement s WHERE until > $1 AND until <= $2 AND reminded = 0
		AND NOT EXISTS (SELECT 1 FROM statement n WHERE n.org_id = s.org_id AND n.duty = s.duty AND n.kind = s.kind AND n.party = s.party AND n.at > s.at)
		ORDER BY until, id LIMIT $3`, []any{Micros(from), Micros(to), int64(limit)}, scanStatement)
}

// Waivers lists those of a duty that end after a moment, and with them those that the same
// party has signed there, too, oldest first: each stands on the board of its organisation.
func (r Reader) Waivers(ctx context.Context, duty string, at time.Time) ([]Statement, error) {
	return all(ctx, r, "reading waivers", `SELECT `+statementColumns+` FROM statement s WHERE duty = $1 AND kind = 'waiver'
		AND EXISTS (SELECT 1 FROM statement o WHERE o.duty = $1 AND o.org_id = s.org_id AND o.kind = 'waiver' AND o.party = s.party AND o.until > $2) ORDER BY at, id`,
		[]any{duty, Micros(at)}, scanStatement)
}

// Reminded notes that a statement's party was told that it ends; it reports false when
// that was noted before.
func (t *Tx) Reminded(ctx context.Context, id string, at time.Time) (bool, error) {
	n, err := t.exec(ctx, "noting a reminder", `UPDATE statement SET reminded = $2 WHERE id = $1 AND reminded = 0`, id, Micros(at))
	return n == 1, err
}

// Reachable reports whether somebody of an organisation can be told something: it has
// a channel, or a user who is no auditor.
func (r Reader) Reachable(ctx context.Context, org string) (bool, error) {
	list, err := all(ctx, r, "looking for whom to reach", `SELECT 1 WHERE EXISTS (SELECT 1 FROM channel WHERE org_id = $1)
		OR EXISTS (SELECT 1 FROM member m JOIN app_user u ON u.id = m.user_id WHERE m.org_id = $1 AND m.role <> '`+RoleAuditor+`' AND u.disabled = 0)`,
		[]any{org}, func(row func(...any) error) (n int64, err error) { return n, row(&n) })
	return len(list) > 0, err
}
