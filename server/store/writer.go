package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// writer is SQLite's one writing connection. It keeps its statements prepared:
// parsing SQL costs SQLite more than running it. One transaction holds it at a
// time.
type writer struct {
	turn  chan struct{} // holds one token while nobody writes
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	ring  *ring
}

func newWriter(ctx context.Context, db *sql.DB, r *ring) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening the writing connection: %w", err)
	}
	w := &writer{turn: make(chan struct{}, 1), conn: conn, stmts: map[string]*sql.Stmt{}, ring: r}
	w.turn <- struct{}{}
	return w, nil
}

func (w *writer) close() error {
	<-w.turn
	errs := make([]error, 0, len(w.stmts)+1)
	for _, stmt := range w.stmts {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, w.conn.Close())...)
}

// tx runs fn between BEGIN IMMEDIATE and COMMIT.
func (w *writer) tx(ctx context.Context, fn func(context.Context, *Tx) error) (err error) {
	select {
	case <-w.turn:
		defer func() { w.turn <- struct{}{} }()
	case <-ctx.Done():
		return fmt.Errorf("waiting to write: %w", ctx.Err())
	}
	if _, err := w.ExecContext(ctx, `BEGIN IMMEDIATE`); err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	done := false
	defer func() {
		if done {
			return
		}
		if _, rb := w.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`); rb != nil && err == nil {
			err = fmt.Errorf("rolling back: %w", rb)
		}
	}()
	if err := fn(ctx, &Tx{Reader{w, w.ring}}); err != nil {
		return err
	}
	// A commit that was begun is not broken off: its outcome would be unknown.
	if _, err := w.ExecContext(context.WithoutCancel(ctx), `COMMIT`); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	done = true
	return nil
}

// maxStatements bounds the statements that are kept; all that the store has are
// fewer.
const maxStatements = 500

func (w *writer) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	if stmt, ok := w.stmts[query]; ok {
		return stmt, nil
	}
	if len(w.stmts) >= maxStatements {
		for text, stmt := range w.stmts {
			delete(w.stmts, text)
			if err := stmt.Close(); err != nil {
				return nil, err
			}
		}
	}
	stmt, err := w.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	w.stmts[query] = stmt
	return stmt, nil
}

// ExecContext makes writer a querier.
func (w *writer) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	stmt, err := w.prepared(ctx, query) //nolint:sqlclosecheck // kept for the next time
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(ctx, args...)
}

// QueryContext makes writer a querier.
func (w *writer) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := w.prepared(ctx, query) //nolint:sqlclosecheck // kept for the next time
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, args...)
}

// QueryRowContext makes writer a querier. A statement that cannot be prepared is
// asked for unprepared, so that its row carries the error.
func (w *writer) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	stmt, err := w.prepared(ctx, query) //nolint:sqlclosecheck // kept for the next time
	if err != nil {
		return w.conn.QueryRowContext(ctx, query, args...)
	}
	return stmt.QueryRowContext(ctx, args...)
}
