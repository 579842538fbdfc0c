package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/attesto/attesto/server/duties"
)

// Verdict is how a duty, or a part of it, stands on an organisation's board.
type Verdict struct {
	Org     string
	Duty    string
	Part    string // empty for the duty itself
	Verdict duties.Verdict
	Since   time.Time // it has had this verdict
	At      time.Time // it was last judged
	Why     duties.Message
	Assets  []AssetVerdict // of a part that is a check, weakest first
	Cites   []duties.Cite
	Due     time.Time // of the duty itself: when it must be judged again for time alone
}

// AssetVerdict is what a check found of one asset.
type AssetVerdict struct {
	duties.Asset
	Verdict duties.Verdict `json:"verdict"`
	Why     duties.Message `json:"why"`
}

// VerdictChange is one turn of a verdict.
type VerdictChange struct {
	Org, Duty, Part string
	At              time.Time
	Was             *duties.Verdict // nil for the first one
	Verdict         duties.Verdict
	Why             duties.Message
	Cites           []duties.Cite
}

const verdictColumns = `org_id, duty, part, verdict, since, at, why, assets, cites, due, cause`

func scanVerdict(row func(...any) error) (Verdict, error) {
	var v Verdict
	var verdict, why, assets, cites, cause string
	var since, at, due int64
	err := row(&v.Org, &v.Duty, &v.Part, &verdict, &since, &at, &why, &assets, &cites, &due, &cause)
	if err != nil {
		return v, err
	}
	v.Since, v.At, v.Due = Time(since), Time(at), Time(due)
	if v.Verdict, err = duties.ParseVerdict(verdict); err != nil {
		return v, err
	}
	return v, unpack(map[string]any{why: &v.Why, assets: &v.Assets, cites: &v.Cites})
}

// unpack reads columns of JSON; an empty one leaves its value alone.
func unpack(columns map[string]any) error {
	for text, to := range columns {
		if text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(text), to); err != nil {
			return fmt.Errorf("reading a column of JSON: %w", err)
		}
	}
	return nil
}

func pack(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("writing a column of JSON: %w", err)
	}
	return string(b), nil
}

// packed is a verdict's row without its organisation.
func (v Verdict) packed() ([]any, error) {
	why, err := pack(v.Why)
	if err != nil {
		return nil, err
	}
	assets := ""
	if len(v.Assets) > 0 {
		if assets, err = pack(v.Assets); err != nil {
			return nil, err
		}
	}
	cites, err := pack(v.Cites)
	if err != nil {
		return nil, err
	}
	return []any{v.Duty, v.Part, v.Verdict.String(), Micros(v.At), Micros(v.At), why, assets, cites, Micros(v.Due), string(v.Cause())}, nil
}

// Cause is why the verdict is no proof, in one word.
func (v Verdict) Cause() duties.Cause { return duties.Finding{Verdict: v.Verdict, Why: v.Why}.Cause() }

// onConflict keeps since as long as the verdict stays, and a judgement of a later
// moment over one of an earlier.
const onConflict = ` ON CONFLICT (org_id, duty, part) DO UPDATE SET verdict = excluded.verdict,
	since = CASE WHEN verdict.verdict = excluded.verdict THEN verdict.since ELSE excluded.since END,
	at = excluded.at, why = excluded.why, assets = excluded.assets, cites = excluded.cites, due = excluded.due, cause = excluded.cause, soon = 0
	WHERE verdict.at <= excluded.at`

// sameMoment has the last of several turns of one moment count.
const sameMoment = ` ON CONFLICT (org_id, duty, part, at) DO UPDATE SET verdict = excluded.verdict, why = excluded.why, cites = excluded.cites, cause = excluded.cause`

// LockVerdict keeps other servers from judging the same duty until the
// transaction ends, and returns when it was last judged, zero for never.
func (t *Tx) LockVerdict(ctx context.Context, org, duty string) (time.Time, error) {
	list, err := all(ctx, t.Reader, "locking verdict "+duty, `UPDATE verdict SET due = due WHERE org_id = $1 AND duty = $2 AND part = '' RETURNING at`,
		[]any{org, duty}, func(row func(...any) error) (int64, error) {
			var at int64
			err := row(&at)
			return at, err
		})
	if err != nil || len(list) == 0 {
		return time.Time{}, err
	}
	return Time(list[0]), nil
}

// TakeBack takes back what was judged of a duty, on all boards where it stands, by a clock
// that was ahead: turns that lie after a moment were none.
func (t *Tx) TakeBack(ctx context.Context, org string, d duties.Duty, at time.Time) error {
	where, args := `duty = $1 AND at > $2`, []any{d.ID, Micros(at)}
	if d.Party != duties.Provider {
		where, args = where+` AND org_id = $3`, append(args, org)
	}
	_, err := t.exec(ctx, "taking turns back", `DELETE FROM verdict_change WHERE `+where, args...)
	_, bad := t.exec(ctx, "taking verdicts back", `UPDATE verdict SET at = $2, since = CASE WHEN since > $2 THEN $2 ELSE since END WHERE `+where, args...)
	return errors.Join(err, bad)
}

// PutVerdict writes a verdict on its organisation's own board, and notes the
// change of verdict or cause if there is one.
func (t *Tx) PutVerdict(ctx context.Context, v Verdict) error {
	row, err := v.packed()
	if err != nil {
		return err
	}
	args := append([]any{v.Org}, row...)
	if _, err := t.exec(ctx, "noting a verdict's change", `INSERT INTO verdict_change (org_id, duty, part, at, was, verdict, why, cites, cause)
		SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($5 AS BIGINT), COALESCE(MAX(v.verdict), ''), CAST($4 AS TEXT), CAST($6 AS TEXT), CAST($7 AS TEXT), CAST($8 AS TEXT)
		FROM verdict v WHERE v.org_id = $1 AND v.duty = $2 AND v.part = $3 HAVING COALESCE(MAX(v.verdict), '') <> $4 OR COALESCE(MAX(v.cause), '') <> $8`+sameMoment, v.Org, v.Duty, v.Part, row[2], row[3], row[5], row[7], row[9]); err != nil {
		return err
	}
	_, err = t.exec(ctx, "writing a verdict", `INSERT INTO verdict (`+verdictColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`+onConflict, args...)
	return err
}

// OnBoard is where a verdict of a duty stands.
type OnBoard struct{ Org, Part string }

// Standing is what a verdict says, for telling whether another says the same.
type Standing struct{ Verdict, Why, Assets, Cites string }

// Standing is what the verdict says.
func (v Verdict) Standing() Standing {
	row, err := v.packed()
	if err != nil {
		return Standing{}
	}
	text := func(i int) string {
		s, _ := row[i].(string)
		return s
	}
	return Standing{text(2), text(5), text(6), text(7)}
}

// StandingVerdicts reads what stands of a duty on all boards.
func (r Reader) StandingVerdicts(ctx context.Context, duty string) (map[OnBoard]Standing, error) {
	out := map[OnBoard]Standing{}
	_, err := all(ctx, r, "reading the verdicts of "+duty, `SELECT org_id, part, verdict, why, assets, cites FROM verdict WHERE duty = $1`, []any{duty},
		func(row func(...any) error) (struct{}, error) {
			var at OnBoard
			var s Standing
			err := row(&at.Org, &at.Part, &s.Verdict, &s.Why, &s.Assets, &s.Cites)
			out[at] = s
			return struct{}{}, err
		})
	return out, err
}

// ShareVerdict writes a verdict of the provider on the boards of all customers
// that have the service, and notes the changes. It is not due there: the
// provider's own row is.
func (t *Tx) ShareVerdict(ctx context.Context, v Verdict, service string) error {
	v.Due = time.Time{}
	row, err := v.packed()
	if err != nil {
		return err
	}
	having := "%," + service + ",%"
	if _, err := t.exec(ctx, "noting a shared verdict's change", `INSERT INTO verdict_change (org_id, duty, part, at, was, verdict, why, cites, cause)
		SELECT o.id, CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($4 AS BIGINT), COALESCE(v.verdict, ''), CAST($3 AS TEXT), CAST($5 AS TEXT), CAST($6 AS TEXT), CAST($8 AS TEXT)
		FROM org o LEFT JOIN verdict v ON v.org_id = o.id AND v.duty = $1 AND v.part = $2
		WHERE o.kind = 'customer' AND o.erased = 0 AND ',' || o.services || ',' LIKE $7
			AND (COALESCE(v.verdict, '') <> $3 OR COALESCE(v.cause, '') <> $8)`+sameMoment, row[0], row[1], row[2], row[3], row[5], row[7], having, row[9]); err != nil {
		return err
	}
	_, err = t.exec(ctx, "sharing a verdict", `INSERT INTO verdict (`+verdictColumns+`)
		SELECT o.id, CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS BIGINT), CAST($5 AS BIGINT), CAST($6 AS TEXT), CAST($7 AS TEXT), CAST($8 AS TEXT), CAST($9 AS BIGINT), CAST($10 AS TEXT)
		FROM org o WHERE o.kind = 'customer' AND o.erased = 0 AND ',' || o.services || ',' LIKE $11`+onConflict, append(row, having)...)
	return err
}

// DueSoon has one duty judged again with the next sweep.
func (t *Tx) DueSoon(ctx context.Context, org, duty string) error {
	_, err := t.exec(ctx, "having a duty judged again", `UPDATE verdict SET soon = 1 WHERE org_id = $1 AND duty = $2 AND part = ''`, org, duty)
	return err
}

// DueNow has all duties that are an organisation's own judged again with the next sweep,
// as when an agent, or somebody who can be told something, comes or goes. What stands of
// the provider's on a customer's board is judged with the provider's row.
func (t *Tx) DueNow(ctx context.Context, org string) error {
	return t.dueWhere(ctx, `org_id = $1`, org)
}

// dueWhere is DueNow of the organisations that a condition names. Ids of duties say in
// their fourth letter whose they are.
func (t *Tx) dueWhere(ctx context.Context, orgs string, args ...any) error {
	_, err := t.exec(ctx, "having duties judged again", `UPDATE verdict SET soon = 1 WHERE part = '' AND `+orgs+`
		AND (SUBSTR(duty, 4, 1) = 'C' OR org_id IN (SELECT id FROM org WHERE kind = 'provider'))`, args...)
	return err
}

// RestVerdicts leaves an organisation's board as it is for good.
func (t *Tx) RestVerdicts(ctx context.Context, org string) error {
	_, err := t.exec(ctx, "leaving a board as it is", `UPDATE verdict SET due = 0, soon = 0 WHERE org_id = $1`, org)
	return err
}

// GiveUpDuty takes a duty from a board that no longer has it. What was judged of it
// stays, and ends with a turn that says why it does not apply from a moment on.
func (t *Tx) GiveUpDuty(ctx context.Context, org, duty string, at time.Time, why duties.Message) error {
	words, err := pack(why)
	if err != nil {
		return err
	}
	if _, err := t.exec(ctx, "noting that a duty was given up", `INSERT INTO verdict_change (org_id, duty, part, at, was, verdict, why)
		SELECT org_id, duty, part, CAST($3 AS BIGINT), verdict, CAST($4 AS TEXT), CAST($5 AS TEXT) FROM verdict WHERE org_id = $1 AND duty = $2`+sameMoment,
		org, duty, Micros(at), duties.NotApplicable.String(), words); err != nil {
		return err
	}
	_, err = t.exec(ctx, "removing verdicts", `DELETE FROM verdict WHERE org_id = $1 AND duty = $2`, org, duty)
	return err
}

// Verdicts lists an organisation's board: duties and parts, by id.
func (r Reader) Verdicts(ctx context.Context, org string) ([]Verdict, error) {
	return all(ctx, r, "reading a board", `SELECT `+verdictColumns+` FROM verdict WHERE org_id = $1 ORDER BY duty, part`, []any{org}, scanVerdict)
}

// VerdictsOf lists one duty of a board and its parts, the duty itself first.
func (r Reader) VerdictsOf(ctx context.Context, org, duty string) ([]Verdict, error) {
	return all(ctx, r, "reading verdict "+duty, `SELECT `+verdictColumns+` FROM verdict WHERE org_id = $1 AND duty = $2 ORDER BY part`, []any{org, duty}, scanVerdict)
}

// Board names a duty of an organisation.
type Board struct{ Org, Duty string }

// DueVerdicts lists the duties that must be judged again, for time alone or because
// something happened.
func (r Reader) DueVerdicts(ctx context.Context, now time.Time) ([]Board, error) {
	return all(ctx, r, "reading due verdicts", `SELECT org_id, duty FROM verdict WHERE due > 0 AND due <= $1
		UNION SELECT org_id, duty FROM verdict WHERE soon > 0`,
		[]any{Micros(now)}, func(row func(...any) error) (Board, error) {
			var b Board
			err := row(&b.Org, &b.Duty)
			return b, err
		})
}

// Lapsed is when what a duty's verdict rests on has lapsed without anybody judging it
// since; zero where nothing has.
func (r Reader) Lapsed(ctx context.Context, org, duty string, now time.Time) (time.Time, error) {
	var due int64
	err := r.one(ctx, "reading when a verdict lapsed", `SELECT COALESCE(MAX(due), 0) FROM verdict WHERE org_id = $1 AND duty = $2 AND part = '' AND due > at AND due < $3`,
		[]any{org, duty, Micros(now)}, &due)
	return Time(due), err
}

// JudgedDuties counts the duties that have a verdict, by organisation and group:
// service and party, as ids begin.
func (r Reader) JudgedDuties(ctx context.Context) (map[string]map[string]int, error) {
	counts := map[string]map[string]int{}
	err := each(ctx, r, "counting verdicts", `SELECT org_id, SUBSTR(duty, 1, 4), COUNT(*) FROM verdict WHERE part = '' GROUP BY 1, 2`, nil,
		func(row func(...any) error) error {
			var org, group string
			var n int
			if err := row(&org, &group, &n); err != nil {
				return err
			}
			if counts[org] == nil {
				counts[org] = map[string]int{}
			}
			counts[org][group] = n
			return nil
		})
	return counts, err
}

// OnBoards is since when a duty has stood on the boards of organisations, by their ids: its
// service was taken then, or taken again.
func (r Reader) OnBoards(ctx context.Context, duty string) (map[string]time.Time, error) {
	out := map[string]time.Time{}
	return out, each(ctx, r, "reading who has a duty", `SELECT o.id, COALESCE((SELECT MAX(c.at) FROM verdict_change c WHERE c.org_id = o.id AND c.duty = $1 AND c.part = '' AND c.was = ''), 0) FROM org o`,
		[]any{duty}, func(row func(...any) error) error {
			var org string
			var at int64
			err := row(&org, &at)
			out[org] = Time(at)
			return err
		})
}

// VerdictChanges lists the turns of a duty and its parts since a moment, newest
// first.
func (r Reader) VerdictChanges(ctx context.Context, org, duty string, since time.Time, limit int) ([]VerdictChange, error) {
	return all(ctx, r, "reading changes of verdict "+duty, `SELECT org_id, duty, part, at, was, verdict, why, cites FROM verdict_change
		WHERE org_id = $1 AND duty = $2 AND at >= $3 ORDER BY at DESC, part LIMIT $4`, []any{org, duty, Micros(since), int64(limit)},
		func(row func(...any) error) (VerdictChange, error) {
			var c VerdictChange
			var was, verdict, why, cites string
			var at int64
			if err := row(&c.Org, &c.Duty, &c.Part, &at, &was, &verdict, &why, &cites); err != nil {
				return c, err
			}
			c.At = Time(at)
			var err error
			if was != "" {
				before, err := duties.ParseVerdict(was)
				if err != nil {
					return c, err
				}
				c.Was = &before
			}
			if c.Verdict, err = duties.ParseVerdict(verdict); err != nil {
				return c, err
			}
			return c, unpack(map[string]any{why: &c.Why, cites: &c.Cites})
		})
}
