package store

import (
	"context"
	"fmt"
	"time"

	"github.com/attesto/attesto/evidence"
)

// Login is a browser in which somebody is signed in.
type Login struct {
	ID      string
	Token   evidence.Digest // of what the session holds
	User    string
	Created time.Time
	Seen    time.Time
	Via     string // how the user proved who they are
	Address string
	Browser string // as it calls itself
	Renew   bool   // what the user may do has changed: the session takes a new token
}

const loginColumns = `id, token, user_id, created, seen, via, address, browser, renew`

func scanLogin(row func(...any) error) (Login, error) {
	var l Login
	var token []byte
	var created, seen, renew int64
	err := row(&l.ID, &token, &l.User, &created, &seen, &l.Via, &l.Address, &l.Browser, &renew)
	l.Token, l.Created, l.Seen, l.Renew = digest(token), Time(created), Time(seen), renew == 1
	return l, err
}

// AddLogin inserts a login, notes that its user signed in, and removes logins that
// began before oldest.
func (t *Tx) AddLogin(ctx context.Context, l Login, oldest time.Time) error {
	if _, err := t.exec(ctx, "removing old logins", `DELETE FROM login WHERE created < $1`, Micros(oldest)); err != nil {
		return err
	}
	if _, err := t.exec(ctx, "signing in", `INSERT INTO login (`+loginColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		l.ID, l.Token[:], l.User, Micros(l.Created), Micros(l.Seen), l.Via, l.Address, l.Browser, flag(l.Renew)); err != nil {
		return err
	}
	_, err := t.exec(ctx, "signing in", `UPDATE app_user SET signed_in = $1 WHERE id = $2`, Micros(l.Created), l.User)
	return err
}

// LoginByToken reads the login that a session names; ErrNotFound once it has ended.
func (r Reader) LoginByToken(ctx context.Context, token evidence.Digest) (Login, error) {
	list, err := all(ctx, r, "reading a login", `SELECT `+loginColumns+` FROM login WHERE token = $1`, []any{token[:]}, scanLogin)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("login: %w", ErrNotFound)
	}
	if err != nil {
		return Login{}, err
	}
	return list[0], nil
}

// Logins lists where a user has signed in since a moment, newest first.
func (r Reader) Logins(ctx context.Context, user string, since time.Time) ([]Login, error) {
	return all(ctx, r, "listing logins", `SELECT `+loginColumns+` FROM login WHERE user_id = $1 AND created >= $2 ORDER BY created DESC, id`,
		[]any{user, Micros(since)}, scanLogin)
}

// SeeLogin notes that a login is in use, and that its session has a new token if it
// was to take one.
func (t *Tx) SeeLogin(ctx context.Context, id string, at time.Time) error {
	_, err := t.exec(ctx, "noting a login", `UPDATE login SET seen = $1, renew = 0 WHERE id = $2`, Micros(at), id)
	return err
}

// EndLogin ends a user's login; it reports false when there was none.
func (t *Tx) EndLogin(ctx context.Context, user, id string) (bool, error) {
	n, err := t.exec(ctx, "ending a login", `DELETE FROM login WHERE user_id = $1 AND id = $2`, user, id)
	return n == 1, err
}

// EndLogins ends all logins of a user but the one that is kept; "" keeps none.
func (t *Tx) EndLogins(ctx context.Context, user, keep string) error {
	_, err := t.exec(ctx, "ending logins", `DELETE FROM login WHERE user_id = $1 AND id <> $2`, user, keep)
	return err
}

// RenewLogins has all sessions of a user take new tokens.
func (t *Tx) RenewLogins(ctx context.Context, user string) error {
	_, err := t.exec(ctx, "renewing logins", `UPDATE login SET renew = 1 WHERE user_id = $1`, user)
	return err
}
