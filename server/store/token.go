package store

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// EnrollToken lets hosts enroll; of its secret only the key of its MAC is kept.
type EnrollToken struct {
	ID       string
	Org      string
	MACKey   []byte
	Services []string // of the agents that enroll with it
	Uses     int64
	MaxUses  int64
	Created  time.Time
	Expires  time.Time
	Note     string
	From     []string // networks that hosts may enroll from; anywhere when empty
	Hold     bool     // agents that enroll with it wait for approval
	Replaces string   // the agent whose host is set up anew; "" for none
}

const enrollTokenColumns = `id, org_id, mac_key, services, uses, max_uses, created, expires, note, cidrs, hold, replaces`

func scanEnrollToken(row func(...any) error) (EnrollToken, error) {
	var t EnrollToken
	var services, from string
	var created, expires, hold int64
	err := row(&t.ID, &t.Org, &t.MACKey, &services, &t.Uses, &t.MaxUses, &created, &expires, &t.Note, &from, &hold, &t.Replaces)
	t.Services, t.Created, t.Expires, t.From, t.Hold = splitList(services), Time(created), Time(expires), splitList(from), hold == 1
	return t, err
}

// AddEnrollToken inserts an enrollment token.
func (t *Tx) AddEnrollToken(ctx context.Context, e EnrollToken) error {
	_, err := t.exec(ctx, "adding an enrollment token",
		`INSERT INTO enroll_token (`+enrollTokenColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		e.ID, e.Org, e.MACKey, strings.Join(e.Services, ","), e.Uses, e.MaxUses, Micros(e.Created), Micros(e.Expires), e.Note,
		strings.Join(e.From, ","), flag(e.Hold), e.Replaces)
	return err
}

// EnrollToken reads a token, live or not; ErrNotFound when there is none.
func (r Reader) EnrollToken(ctx context.Context, id string) (EnrollToken, error) {
	list, err := all(ctx, r, "reading an enrollment token",
		`SELECT `+enrollTokenColumns+` FROM enroll_token WHERE id = $1`, []any{id}, scanEnrollToken)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("enrollment token %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return EnrollToken{}, err
	}
	return list[0], nil
}

// EnrollTokens lists an organisation's tokens, newest first.
func (r Reader) EnrollTokens(ctx context.Context, org string) ([]EnrollToken, error) {
	return all(ctx, r, "listing enrollment tokens",
		`SELECT `+enrollTokenColumns+` FROM enroll_token WHERE org_id = $1 ORDER BY created DESC, id`, []any{org}, scanEnrollToken)
}

// UseEnrollToken counts one use of a token that is live at now, in one statement,
// so that two hosts cannot share the last use. It reports false when the token is
// used up or expired.
func (t *Tx) UseEnrollToken(ctx context.Context, id string, now time.Time) (bool, error) {
	n, err := t.exec(ctx, "using an enrollment token",
		`UPDATE enroll_token SET uses = uses + 1 WHERE id = $1 AND uses < max_uses AND expires > $2`, id, Micros(now))
	return n == 1, err
}

// Nonce is what a host must sign to enroll.
type Nonce struct {
	Nonce   string
	Token   string
	Size    int64 // of the log's head that was offered with it
	Expires time.Time
}

// AddNonce stores a nonce, unless its token has perToken of them already or the
// table holds ten thousand; then it reports false. Nonces that expired before now
// are removed first.
func (t *Tx) AddNonce(ctx context.Context, n Nonce, now time.Time, perToken int64) (bool, error) {
	if _, err := t.exec(ctx, "removing expired nonces", `DELETE FROM enroll_nonce WHERE expires <= $1`, Micros(now)); err != nil {
		return false, err
	}
	rows, err := t.exec(ctx, "adding a nonce", `INSERT INTO enroll_nonce (nonce, token_id, size, expires)
		SELECT $1, $2, $3, $4
		WHERE (SELECT count(*) FROM enroll_nonce WHERE token_id = $2) < $5 AND (SELECT count(*) FROM enroll_nonce) < 10000`,
		n.Nonce, n.Token, n.Size, Micros(n.Expires), perToken)
	return rows == 1, err
}

// DropNonces takes back what was offered to hosts that have not enrolled yet.
func (t *Tx) DropNonces(ctx context.Context, org string) error {
	_, err := t.exec(ctx, "taking back nonces", `DELETE FROM enroll_nonce WHERE used = 0 AND token_id IN (SELECT id FROM enroll_token WHERE org_id = $1)`, org)
	return err
}

// UseNonce marks a token's nonce as used and keeps it until then; it reports false
// when the nonce is unknown, used or expired.
func (t *Tx) UseNonce(ctx context.Context, nonce, token string, now, until time.Time) (bool, error) {
	n, err := t.exec(ctx, "using a nonce",
		`UPDATE enroll_nonce SET used = 1, expires = $4 WHERE nonce = $1 AND token_id = $2 AND used = 0 AND expires > $3`,
		nonce, token, Micros(now), Micros(until))
	return n == 1, err
}

// Nonce reads a token's nonce, used or not; ErrNotFound when there is none.
func (r Reader) Nonce(ctx context.Context, nonce, token string) (Nonce, error) {
	n := Nonce{Nonce: nonce, Token: token}
	var expires int64
	err := r.one(ctx, "reading a nonce", `SELECT size, expires FROM enroll_nonce WHERE nonce = $1 AND token_id = $2`,
		[]any{nonce, token}, &n.Size, &expires)
	n.Expires = Time(expires)
	return n, err
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
