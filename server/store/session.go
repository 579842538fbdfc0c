package store

import (
	"context"
	"time"
)

// Sessions keeps people's sessions in the database; it is the store that
// alexedwards/scs asks for (scs.CtxStore).
type Sessions struct{ *Store }

// FindCtx reads a session that has not expired.
func (s Sessions) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	list, err := all(ctx, s.Reader, "reading a session", `SELECT data FROM session WHERE token = $1 AND expiry > $2`,
		[]any{token, Micros(time.Now())}, func(row func(...any) error) ([]byte, error) {
			var b []byte
			err := row(&b)
			return b, err
		})
	if err != nil || len(list) == 0 {
		return nil, false, err
	}
	return list[0], true, nil
}

// CommitCtx writes a session.
func (s Sessions) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	return s.Tx(ctx, func(ctx context.Context, tx *Tx) error {
		if _, err := tx.exec(ctx, "dropping old sessions", `DELETE FROM session WHERE expiry <= $1`, Micros(time.Now())); err != nil {
			return err
		}
		_, err := tx.exec(ctx, "writing a session", `INSERT INTO session (token, data, expiry) VALUES ($1, $2, $3)
			ON CONFLICT (token) DO UPDATE SET data = excluded.data, expiry = excluded.expiry`, token, data, Micros(expiry))
		return err
	})
}

// DeleteCtx ends a session.
func (s Sessions) DeleteCtx(ctx context.Context, token string) error {
	return s.Tx(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, "ending a session", `DELETE FROM session WHERE token = $1`, token)
		return err
	})
}

// Find is FindCtx without a context, as scs.Store asks for.
func (s Sessions) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx without a context.
func (s Sessions) Commit(token string, b []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, b, expiry)
}

// Delete is DeleteCtx without a context.
func (s Sessions) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }
