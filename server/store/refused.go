package store

import (
	"context"
	"strings"
	"time"
)

// Refused are the refused sign-ins of an account in an hour.
type Refused struct {
	User  string
	Hour  time.Time // when it began
	N     int
	First time.Time
	Last  time.Time
	From  []string // addresses, the first few
}

// RefuseSignin counts a refused sign-in.
func (t *Tx) RefuseSignin(ctx context.Context, user, addr string, at time.Time) error {
	_, err := t.exec(ctx, "counting a refused sign-in", `INSERT INTO signin_refused (user_id, hour, n, since, last, addrs) VALUES ($1, $2, 1, $3, $3, $4)
		ON CONFLICT (user_id, hour) DO UPDATE SET n = signin_refused.n + 1, last = excluded.last,
		addrs = CASE WHEN LENGTH(signin_refused.addrs) > 150 OR ' ' || signin_refused.addrs || ' ' LIKE '% ' || excluded.addrs || ' %' THEN signin_refused.addrs
			ELSE signin_refused.addrs || ' ' || excluded.addrs END`, user, Micros(at.Truncate(time.Hour)), Micros(at), addr)
	return err
}

// RefusedBefore lists what was refused in hours that began before a moment, oldest first.
func (r Reader) RefusedBefore(ctx context.Context, before time.Time, limit int) ([]Refused, error) {
	return all(ctx, r, "listing refused sign-ins", `SELECT user_id, hour, n, since, last, addrs FROM signin_refused WHERE hour < $1 ORDER BY hour, user_id LIMIT $2`,
		[]any{Micros(before), int64(limit)}, scanRefused)
}

// TakeRefused takes the refused sign-ins of an account in an hour out; it reports false
// when somebody else has.
func (t *Tx) TakeRefused(ctx context.Context, user string, hour time.Time) (Refused, bool, error) {
	list, err := all(ctx, t.Reader, "taking refused sign-ins", `DELETE FROM signin_refused WHERE user_id = $1 AND hour = $2
		RETURNING user_id, hour, n, since, last, addrs`, []any{user, Micros(hour)}, scanRefused)
	if err != nil || len(list) == 0 {
		return Refused{}, false, err
	}
	return list[0], true, nil
}

func scanRefused(row func(...any) error) (Refused, error) {
	var v Refused
	var hour, n, first, last int64
	var from string
	err := row(&v.User, &hour, &n, &first, &last, &from)
	v.Hour, v.N, v.First, v.Last, v.From = Time(hour), int(n), Time(first), Time(last), strings.Fields(from)
	return v, err
}
