package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attesto/attesto/evidence"
)

// Guard remembers the newest head of each log that this server has let out of its
// hands, in a file of its own beside the database: whoever restores an older copy of
// the database does not restore the guard with it, so the loss shows.
//
// A raised head survives a crash of the program at once, and one of the machine
// once SQLite has synced its journal. After a crash of the machine the guard may
// therefore lag: it never names a head that was not committed, it can only miss
// that the very last ones were lost.
type Guard struct{ db *sql.DB }

// Guarded is a head with its signed checkpoint, as a guard holds it.
type Guarded struct {
	evidence.Head
	Note []byte
}

// OpenGuard opens the guard's file, and makes it when it is missing.
func OpenGuard(ctx context.Context, path string) (*Guard, error) {
	q := url.Values{"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(NORMAL)"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, fmt.Errorf("opening the guard %s: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS guard (
		origin TEXT NOT NULL PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note BLOB NOT NULL) STRICT`); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the guard %s: %w; put it on a disk that can be written, see guard: in the configuration", path, err), db.Close())
	}
	return &Guard{db}, nil
}

// Close closes the file.
func (g *Guard) Close() error { return g.db.Close() }

// Heads lists all that the guard holds, by origin.
func (g *Guard) Heads(ctx context.Context) ([]Guarded, error) {
	return all(ctx, Reader{q: g.db}, "reading the guard", `SELECT origin, size, root, note FROM guard ORDER BY origin`, nil, scanGuarded)
}

// Raise puts a head in the place of a smaller one and returns what the guard holds
// then: the same head, or a larger one that another process has put there.
func (g *Guard) Raise(ctx context.Context, h Guarded) (Guarded, error) {
	list, err := all(ctx, Reader{q: g.db}, "raising the guard", `INSERT INTO guard (origin, size, root, note) VALUES ($1, $2, $3, $4)
		ON CONFLICT (origin) DO UPDATE SET
			root = CASE WHEN excluded.size > guard.size THEN excluded.root ELSE guard.root END,
			note = CASE WHEN excluded.size > guard.size THEN excluded.note ELSE guard.note END,
			size = max(excluded.size, guard.size)
		RETURNING origin, size, root, note`, []any{h.Origin, h.Size, h.Root[:], h.Note}, scanGuarded)
	if err == nil && len(list) != 1 {
		err = fmt.Errorf("raising the guard: %d rows", len(list))
	}
	if err != nil {
		return Guarded{}, err
	}
	return list[0], nil
}

func scanGuarded(row func(...any) error) (Guarded, error) {
	var g Guarded
	var root []byte
	err := row(&g.Origin, &g.Size, &root, &g.Note)
	g.Root = tlog.Hash(digest(root))
	return g, err
}
