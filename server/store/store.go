// Package store is all SQL of the server: one concrete Store over SQLite and
// PostgreSQL with one set of statements, one file per noun. Statements use $1
// placeholders, moments are microseconds since 1970 UTC, ids are made by
// evidence.NewID.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrNotFound says that no row fits.
var ErrNotFound = errors.New("not found")

// Store is the database. Its embedded Reader reads what is committed.
type Store struct {
	Reader
	w        *sql.DB
	r        *sql.DB
	lite     *writer // nil on PostgreSQL
	postgres bool
	ring     *ring
	log      *slog.Logger
}

// Reader holds every query that changes nothing; it works on the pool of
// readers and within a transaction alike.
type Reader struct {
	q    querier
	ring *ring
}

// Tx is one transaction.
type Tx struct{ Reader }

// querier is what *sql.DB and *sql.Tx have in common.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Open connects to "sqlite:PATH" or "postgres://…" and migrates the schema; it
// refuses a schema newer than this program.
func Open(ctx context.Context, dsn string, log *slog.Logger) (*Store, error) {
	s := &Store{log: log.With("component", "store"), ring: &ring{}}
	var err error
	switch path, ok := strings.CutPrefix(dsn, "sqlite:"); {
	case ok && path != "":
		err = s.openSQLite(ctx, path)
	case strings.HasPrefix(dsn, "postgres://"), strings.HasPrefix(dsn, "postgresql://"):
		err = s.openPostgres(dsn)
	default:
		return nil, fmt.Errorf("store %q: want sqlite:PATH or postgres://USER@HOST/DATABASE", redact(dsn))
	}
	if err != nil {
		return nil, fmt.Errorf("opening store %s: %w", redact(dsn), err)
	}
	s.Reader = Reader{s.r, s.ring}
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening store %s: %w", redact(dsn), err), s.Close())
	}
	if !s.postgres {
		if s.lite, err = newWriter(ctx, s.w, s.ring); err != nil {
			return nil, errors.Join(fmt.Errorf("opening store %s: %w", redact(dsn), err), s.Close())
		}
	}
	return s, nil
}

// redact hides the password of a DSN.
func redact(dsn string) string {
	if u, err := url.Parse(dsn); err == nil && u.User != nil {
		return u.Redacted()
	}
	return dsn
}

// openSQLite opens one writer and a pool of readers. PRAGMAs stand in the DSN
// so that every connection of a pool has them (sqlite.org/pragma.html).
func (s *Store) openSQLite(ctx context.Context, path string) error {
	dsn := func(extra ...string) string {
		q := url.Values{"_pragma": append([]string{
			"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)", "secure_delete(ON)",
			"cache_size(-16384)",
		}, extra...)}
		return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
	}
	var err error
	if s.w, err = sql.Open("sqlite", dsn()+"&_txlock=immediate"); err != nil { // for migrations; writer says it itself
		return err
	}
	s.w.SetMaxOpenConns(1)
	if s.r, err = sql.Open("sqlite", dsn("query_only(ON)")); err != nil {
		return errors.Join(err, s.w.Close())
	}
	s.r.SetMaxOpenConns(8)
	s.r.SetMaxIdleConns(8)
	// The first connection turns the file to WAL, for which SQLite does not wait
	// its turn when another process does the same.
	for attempt := 1; ; attempt++ {
		err := s.w.PingContext(ctx)
		if err == nil || attempt == maxAttempts || !retryable(err) {
			return err
		}
		time.Sleep(time.Duration(attempt) * 10 * time.Millisecond)
	}
}

func (s *Store) openPostgres(dsn string) error {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(24)
	db.SetMaxIdleConns(8)
	db.SetConnMaxIdleTime(5 * time.Minute)
	s.w, s.r, s.postgres = db, db, true
	return nil
}

// Close closes all connections.
func (s *Store) Close() error {
	if s.postgres {
		return s.w.Close()
	}
	var err error
	if s.lite != nil {
		err = s.lite.close()
	}
	return errors.Join(err, s.r.Close(), s.w.Close())
}

// Ping says whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	var one int64
	if err := s.r.QueryRowContext(ctx, `SELECT 1`).Scan(&one); err != nil {
		return fmt.Errorf("asking the database: %w", err)
	}
	return nil
}

// maxAttempts bounds how often a transaction that lost against another is run.
const maxAttempts = 10

// Tx runs fn in a transaction and commits it, again from the start when the
// database asks for that (serialization failure, deadlock, busy). So fn must
// have no effect outside the transaction. An error of fn rolls back and is
// returned as it is. When the commit's outcome is unknown (connection lost), the
// error is returned: nothing may then be told to the outside as done.
func (s *Store) Tx(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := s.once(ctx, fn)
		if err == nil || attempt == maxAttempts || !retryable(err) {
			return err
		}
		s.log.DebugContext(ctx, "transaction lost against another, trying again", "attempt", attempt, "err", err)
		pause := time.Duration(attempt) * time.Duration(5+rand.IntN(10)) * time.Millisecond
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(pause):
		}
	}
}

func (s *Store) once(ctx context.Context, fn func(context.Context, *Tx) error) (err error) {
	if s.lite != nil {
		return s.lite.tx(ctx, fn)
	}
	tx, err := s.w.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	done := false
	defer func() {
		if done {
			return
		}
		if rb := tx.Rollback(); rb != nil && !errors.Is(rb, sql.ErrTxDone) {
			err = errors.Join(err, fmt.Errorf("rolling back: %w", rb))
		}
	}()
	if err := fn(ctx, &Tx{Reader{tx, s.ring}}); err != nil {
		return err
	}
	done = true
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

// Snapshot has fn read one moment of the database, however long it takes and
// whatever is written meanwhile.
func (s *Store) Snapshot(ctx context.Context, fn func(ctx context.Context, r Reader) error) (err error) {
	var opts *sql.TxOptions // SQLite's are always so
	if s.postgres {
		opts = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	tx, err := s.r.BeginTx(ctx, opts)
	if err != nil {
		return fmt.Errorf("beginning to read: %w", err)
	}
	defer func() {
		if rb := tx.Rollback(); rb != nil && !errors.Is(rb, sql.ErrTxDone) {
			err = errors.Join(err, fmt.Errorf("ending to read: %w", rb))
		}
	}()
	return fn(ctx, Reader{tx, s.ring})
}

// retryable reports whether the database asks to run the transaction again:
// SQLSTATE 40001 and 40P01 (postgresql.org/docs/current/errcodes-appendix.html),
// SQLITE_BUSY and SQLITE_LOCKED (sqlite.org/rescode.html).
func retryable(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "40001" || pg.Code == "40P01"
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		primary := lite.Code() & 0xff
		return primary == sqlite3.SQLITE_BUSY || primary == sqlite3.SQLITE_LOCKED
	}
	return false
}

// Micros is a moment as the tables hold it; 0 for the zero time.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Time is the moment of a column; the zero time for 0.
func Time(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// exec runs a statement and returns how many rows it changed.
func (r Reader) exec(ctx context.Context, what, query string, args ...any) (int64, error) {
	res, err := r.q.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	return n, nil
}

// one scans the single row of a query; ErrNotFound when there is none.
func (r Reader) one(ctx context.Context, what, query string, args []any, dest ...any) error {
	err := r.q.QueryRowContext(ctx, query, args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// all collects the rows of a query; scan reads one.
func all[T any](ctx context.Context, r Reader, what, query string, args []any, scan func(func(dest ...any) error) (T, error)) (list []T, err error) {
	err = each(ctx, r, what, query, args, func(row func(dest ...any) error) error {
		v, err := scan(row)
		list = append(list, v)
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// each calls fn with the scanner of each row.
func each(ctx context.Context, r Reader, what, query string, args []any, fn func(row func(dest ...any) error) error) (err error) {
	rows, err := r.q.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer func() {
		if cerr := rows.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("%s: %w", what, cerr)
		}
	}()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Watch has fn see every query that reads outside a transaction, before it runs: for
// tests of how the database answers. Call it while nothing else uses the store.
func (s *Store) Watch(fn func(query string, args []any)) { s.q = watched{s.q, fn} }

type watched struct {
	querier
	fn func(query string, args []any)
}

// QueryContext makes watched a querier.
func (w watched) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	w.fn(query, args)
	return w.querier.QueryContext(ctx, query, args...)
}

// QueryRowContext makes watched a querier.
func (w watched) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	w.fn(query, args)
	return w.querier.QueryRowContext(ctx, query, args...)
}
