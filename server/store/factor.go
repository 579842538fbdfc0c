package store

import (
	"context"
	"fmt"
	"time"

	"github.com/attesto/attesto/evidence"
)

// The kinds of factors.
const (
	FactorTOTP     = "totp"     // a secret for clock codes (RFC 6238)
	FactorTOTPNew  = "totp-new" // one that was shown and not yet confirmed
	FactorRecovery = "recovery" // the digest of a code that works once
	FactorPasskey  = "passkey"  // a WebAuthn credential
	FactorOIDC     = "oidc"     // an account at the identity provider
)

// Factor is something that a person proves themself with besides a password.
type Factor struct {
	ID    string
	User  string
	Kind  string
	Name  string
	Data  []byte
	Added time.Time
	Used  int64 // of a clock code: the last step that was taken; else a moment in microseconds
}

// accountKey names the data key under which secrets of people are sealed.
const accountKey = "accounts"

const factorColumns = `id, user_id, kind, name, data, added, used`

func (r Reader) scanFactor(row func(...any) error) (Factor, error) {
	var f Factor
	var added int64
	if err := row(&f.ID, &f.User, &f.Kind, &f.Name, &f.Data, &added, &f.Used); err != nil {
		return f, err
	}
	f.Added = Time(added)
	if r.ring == nil {
		return f, nil
	}
	var err error
	f.Data, err = r.ring.keys.open(accountKey, evidence.Sum([]byte(f.ID)), f.Data)
	return f, err
}

// AddFactor inserts a factor, or replaces the one of the same id. Its data is sealed
// with a key that is not in the database.
func (t *Tx) AddFactor(ctx context.Context, f Factor) error {
	if keys := t.ring.keys; keys != nil {
		err := keys.Make(accountKey)
		if err == nil {
			f.Data, err = keys.seal(accountKey, evidence.Sum([]byte(f.ID)), f.Data)
		}
		if err != nil {
			return fmt.Errorf("sealing a secret: %w", err)
		}
	}
	_, err := t.exec(ctx, "adding a factor", `INSERT INTO factor (`+factorColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id, kind = excluded.kind, name = excluded.name, data = excluded.data, added = excluded.added, used = excluded.used`,
		f.ID, f.User, f.Kind, f.Name, f.Data, Micros(f.Added), f.Used)
	return err
}

// Factors lists a user's factors of a kind, oldest first.
func (r Reader) Factors(ctx context.Context, user, kind string) ([]Factor, error) {
	return all(ctx, r, "reading factors", `SELECT `+factorColumns+` FROM factor WHERE user_id = $1 AND kind = $2 ORDER BY added, id`, []any{user, kind}, r.scanFactor)
}

// FactorByID reads a factor; ErrNotFound when there is none.
func (r Reader) FactorByID(ctx context.Context, kind, id string) (Factor, error) {
	list, err := all(ctx, r, "reading a factor", `SELECT `+factorColumns+` FROM factor WHERE kind = $1 AND id = $2`, []any{kind, id}, r.scanFactor)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("factor: %w", ErrNotFound)
	}
	if err != nil {
		return Factor{}, err
	}
	return list[0], nil
}

// StepFactor notes that a clock code's step was taken; it reports false when that or
// a later one was taken before, by whomever was faster.
func (t *Tx) StepFactor(ctx context.Context, id string, step int64) (bool, error) {
	n, err := t.exec(ctx, "taking a code", `UPDATE factor SET used = $1 WHERE id = $2 AND used < $1`, step, id)
	return n == 1, err
}

// DropFactor removes a user's factor; it reports false when there was none, such as
// a recovery code that was used before.
func (t *Tx) DropFactor(ctx context.Context, user, kind, id string) (bool, error) {
	n, err := t.exec(ctx, "removing a factor", `DELETE FROM factor WHERE user_id = $1 AND kind = $2 AND id = $3`, user, kind, id)
	return n == 1, err
}

// DropFactors removes a user's factors of a kind.
func (t *Tx) DropFactors(ctx context.Context, user, kind string) error {
	_, err := t.exec(ctx, "removing factors", `DELETE FROM factor WHERE user_id = $1 AND kind = $2`, user, kind)
	return err
}

// DropSeconds removes all that a user must prove besides the password.
func (t *Tx) DropSeconds(ctx context.Context, user string) error {
	_, err := t.exec(ctx, "removing factors", `DELETE FROM factor WHERE user_id = $1 AND kind <> 'oidc'`, user)
	return err
}

// Guarded tells which of an organisation's members have a second factor.
func (r Reader) Guarded(ctx context.Context, org string) (map[string]bool, error) {
	have := map[string]bool{}
	err := each(ctx, r, "reading factors", `SELECT DISTINCT f.user_id FROM factor f JOIN member m ON m.user_id = f.user_id
		WHERE m.org_id = $1 AND f.kind IN ('totp', 'passkey')`, []any{org}, func(row func(...any) error) error {
		var user string
		err := row(&user)
		have[user] = true
		return err
	})
	return have, err
}
