package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// APIToken lets a script read one organisation's board, or all of them for the provider's.
type APIToken struct {
	ID      string
	Org     string
	Name    string
	Hash    evidence.Digest // of the token's text
	Scopes  string          // "read" or "read,write"
	Created time.Time
	Expires time.Time // zero for never
}

// Writes reports whether the token may change things.
func (a APIToken) Writes() bool { return slices.Contains(strings.Split(a.Scopes, ","), "write") }

// AddAPIToken inserts a token.
func (t *Tx) AddAPIToken(ctx context.Context, a APIToken) error {
	_, err := t.exec(ctx, "adding an API token", `INSERT INTO api_token (id, org_id, name, hash, scopes, created, expires)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`, a.ID, a.Org, a.Name, a.Hash[:], a.Scopes, Micros(a.Created), Micros(a.Expires))
	return err
}

// APITokenByHash reads a token by the digest of its text; ErrNotFound when there is none.
func (r Reader) APITokenByHash(ctx context.Context, hash evidence.Digest) (APIToken, error) {
	list, err := all(ctx, r, "reading an API token", `SELECT id, org_id, name, scopes, created, expires FROM api_token WHERE hash = $1`,
		[]any{hash[:]}, func(row func(...any) error) (APIToken, error) {
			a := APIToken{Hash: hash}
			var created, expires int64
			err := row(&a.ID, &a.Org, &a.Name, &a.Scopes, &created, &expires)
			a.Created, a.Expires = Time(created), Time(expires)
			return a, err
		})
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("API token: %w", ErrNotFound)
	}
	if err != nil {
		return APIToken{}, err
	}
	return list[0], nil
}
