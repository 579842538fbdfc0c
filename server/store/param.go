package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/attesto/attesto/server/duties"
)

// ParamLate is the parameter of an organisation as a whole by which evidence that came
// late counts as if it had come in time: 0 (the default) or 1.
const ParamLate = "late_counts"

// ParamSecond is the parameter of an organisation as a whole by which its people must
// have a second factor: 0 (the default) or 1.
const ParamSecond = "second_factor"

// Param is a figure that an organisation has set.
type Param struct {
	Org  string
	Duty string // empty, with Part, for what holds for the organisation as a whole
	Part string
	Name string
	At   time.Time
	// Value is nil for the default again.
	Value *float64
	User  string // who set it; empty for the operator
}

// AddParam notes that a parameter was set.
func (t *Tx) AddParam(ctx context.Context, p Param) error {
	value := ""
	if p.Value != nil {
		value = strconv.FormatFloat(*p.Value, 'g', -1, 64)
	}
	_, err := t.exec(ctx, "setting a parameter", `INSERT INTO param (org_id, duty, part, name, at, value, user_id) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		p.Org, p.Duty, p.Part, p.Name, Micros(p.At), value, p.User)
	return err
}

// ParamsSet lists all that an organisation has ever set, oldest first: who set what, and
// when. The newest of a name counts.
func (r Reader) ParamsSet(ctx context.Context, org string) ([]Param, error) {
	return all(ctx, r, "reading parameters", `SELECT org_id, duty, part, name, at, value, user_id FROM param WHERE org_id = $1 ORDER BY at, duty, part, name`,
		[]any{org}, func(row func(...any) error) (Param, error) {
			var p Param
			var at int64
			var value string
			if err := row(&p.Org, &p.Duty, &p.Part, &p.Name, &at, &value, &p.User); err != nil || value == "" {
				p.At = Time(at)
				return p, err
			}
			p.At = Time(at)
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return p, fmt.Errorf("parameter %s: %w", p.Name, err)
			}
			p.Value = &n
			return p, nil
		})
}

// Params are the figures in force of an organisation, by duty and part.
func (r Reader) Params(ctx context.Context, org string) (map[string]map[string]duties.Params, error) {
	list, err := r.ParamsSet(ctx, org)
	out := map[string]map[string]duties.Params{}
	for _, p := range list {
		if out[p.Duty] == nil {
			out[p.Duty] = map[string]duties.Params{}
		}
		if out[p.Duty][p.Part] == nil {
			out[p.Duty][p.Part] = duties.Params{}
		}
		if p.Value == nil {
			delete(out[p.Duty][p.Part], p.Name)
			continue
		}
		out[p.Duty][p.Part][p.Name] = *p.Value
	}
	return out, err
}

// LateCounts reports whether evidence that came late counts for an organisation as if
// it had come in time.
func (r Reader) LateCounts(ctx context.Context, org string) (bool, error) {
	set, err := r.Params(ctx, org)
	return set[""][""][ParamLate] == 1, err
}

// AsksSecond reports whether an organisation's people must have a second factor.
func (r Reader) AsksSecond(ctx context.Context, org string) (bool, error) {
	set, err := r.Params(ctx, org)
	return set[""][""][ParamSecond] == 1, err
}

// SecondAskers lists those of a user's organisations whose people must have a second
// factor, over or not.
func (r Reader) SecondAskers(ctx context.Context, user string) ([]string, error) {
	return all(ctx, r, "asking for second factors", `SELECT m.org_id FROM member m JOIN param p ON p.org_id = m.org_id AND p.duty = '' AND p.part = '' AND p.name = $2
		WHERE m.user_id = $1 AND p.value = '1' AND NOT EXISTS (
			SELECT 1 FROM param q WHERE q.org_id = p.org_id AND q.duty = '' AND q.part = '' AND q.name = p.name AND q.at > p.at)
		ORDER BY m.org_id`, []any{user, ParamSecond}, scanText)
}

// Ruleset is a version of the catalogue.
type Ruleset struct {
	Number  int64
	Digest  string // hex SHA-256 of all that verdicts depend on
	Version string // of the program that brought it
	At      time.Time
}

// Rulesets lists the versions of the catalogue that were in force, oldest first.
func (r Reader) Rulesets(ctx context.Context) ([]Ruleset, error) {
	return all(ctx, r, "reading rule sets", `SELECT number, digest, version, at FROM ruleset ORDER BY number`, nil, func(row func(...any) error) (Ruleset, error) {
		var s Ruleset
		var at int64
		err := row(&s.Number, &s.Digest, &s.Version, &at)
		s.At = Time(at)
		return s, err
	})
}

// AddRuleset notes a version of the catalogue; it reports false when another server has
// just given out its number.
func (t *Tx) AddRuleset(ctx context.Context, s Ruleset) (bool, error) {
	n, err := t.exec(ctx, "noting rule set "+s.Digest, `INSERT INTO ruleset (number, digest, version, at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
		s.Number, s.Digest, s.Version, Micros(s.At))
	return n == 1, err
}
