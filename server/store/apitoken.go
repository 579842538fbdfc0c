package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// What a token may do. Every one may read.
const (
	ScopeRead   = "read"
	ScopeReview = "review" // confirm reviews and digests, take alerts on
	ScopeState  = "state"  // record statements, needs, restore tests and cases
	ScopeManage = "manage" // say what hosts and services count for
	scopeWrite  = "write"  // all of them; of tokens that were made before there were several
)

// Scopes lists what a token may do besides reading.
func Scopes() []string { return []string{ScopeReview, ScopeState, ScopeManage} }

// APIToken lets a script read one organisation's board, or all of them for the provider's.
type APIToken struct {
	ID      string
	Org     string
	Name    string
	Hash    evidence.Digest // of the token's text
	Scopes  string          // "read", or "read,review" and so on
	Created time.Time
	Expires time.Time // zero for never
	Used    time.Time // the last time, to a few minutes; zero for never
	User    string    // who made it; "" at the command line
}

// May lists what the token may do besides reading.
func (a APIToken) May() []string {
	has := strings.Split(a.Scopes, ",")
	return slices.DeleteFunc(Scopes(), func(s string) bool { return !slices.Contains(has, s) && !slices.Contains(has, scopeWrite) })
}

const apiTokenColumns = `id, org_id, name, hash, scopes, created, expires, used, user_id`

func scanAPIToken(row func(...any) error) (APIToken, error) {
	var a APIToken
	var hash []byte
	var created, expires, used int64
	err := row(&a.ID, &a.Org, &a.Name, &hash, &a.Scopes, &created, &expires, &used, &a.User)
	a.Hash, a.Created, a.Expires, a.Used = digest(hash), Time(created), Time(expires), Time(used)
	return a, err
}

// AddAPIToken inserts a token.
func (t *Tx) AddAPIToken(ctx context.Context, a APIToken) error {
	_, err := t.exec(ctx, "adding an API token", `INSERT INTO api_token (`+apiTokenColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		a.ID, a.Org, a.Name, a.Hash[:], a.Scopes, Micros(a.Created), Micros(a.Expires), Micros(a.Used), a.User)
	return err
}

// APITokens lists an organisation's tokens, newest first.
func (r Reader) APITokens(ctx context.Context, org string) ([]APIToken, error) {
	return all(ctx, r, "listing API tokens", `SELECT `+apiTokenColumns+` FROM api_token WHERE org_id = $1 ORDER BY created DESC, id`, []any{org}, scanAPIToken)
}

// UseAPIToken notes that a token was used.
func (t *Tx) UseAPIToken(ctx context.Context, id string, at time.Time) error {
	_, err := t.exec(ctx, "noting an API token", `UPDATE api_token SET used = $1 WHERE id = $2`, Micros(at), id)
	return err
}

// DropAPIToken takes an organisation's token out of use; it reports false when there
// is none.
func (t *Tx) DropAPIToken(ctx context.Context, org, id string) (bool, error) {
	n, err := t.exec(ctx, "revoking an API token", `DELETE FROM api_token WHERE org_id = $1 AND id = $2`, org, id)
	return n == 1, err
}

// APITokenByHash reads a token by the digest of its text; ErrNotFound when there is none.
func (r Reader) APITokenByHash(ctx context.Context, hash evidence.Digest) (APIToken, error) {
	return r.oneAPIToken(ctx, `hash = $1`, hash[:])
}

// APIToken reads a token by id; ErrNotFound when there is none.
func (r Reader) APIToken(ctx context.Context, id string) (APIToken, error) {
	return r.oneAPIToken(ctx, `id = $1`, id)
}

func (r Reader) oneAPIToken(ctx context.Context, where string, arg any) (APIToken, error) {
	list, err := all(ctx, r, "reading an API token", `SELECT `+apiTokenColumns+` FROM api_token WHERE `+where, []any{arg}, scanAPIToken)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("API token: %w", ErrNotFound)
	}
	if err != nil {
		return APIToken{}, err
	}
	return list[0], nil
}
