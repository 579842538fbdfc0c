package store

import (
	"bytes"
	"context"
	"time"
)

// Sessions keeps people's sessions in the database; it is the store that
// alexedwards/scs asks for (scs.CtxStore).
type Sessions struct{ *Store }

type session struct {
	data   []byte
	expiry time.Time
}

func scanSession(row func(...any) error) (session, error) {
	var v session
	var expiry int64
	err := row(&v.data, &expiry)
	v.expiry = Time(expiry)
	return v, err
}

// FindCtx reads a session that has not expired.
func (s Sessions) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	list, err := all(ctx, s.Reader, "reading a session", `SELECT data, expiry FROM session WHERE token = $1 AND expiry > $2`,
		[]any{token, Micros(time.Now())}, scanSession)
	if err != nil || len(list) == 0 {
		return nil, false, err
	}
	return list[0].data, true, nil
}

// sessionStep is how far an expiry may lag behind: reading pages does not write
// the session anew each time.
const sessionStep = 5 * time.Minute

// CommitCtx writes a session. Where only its expiry moves on, and by less than
// five minutes, nothing is written.
func (s Sessions) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	list, err := all(ctx, s.Reader, "reading a session", `SELECT data, expiry FROM session WHERE token = $1`, []any{token}, scanSession)
	if err != nil {
		return err
	}
	if len(list) == 1 && bytes.Equal(list[0].data, data) && expiry.Sub(list[0].expiry) < sessionStep && !expiry.Before(list[0].expiry) {
		return nil
	}
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
