package store

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var embedded embed.FS

// ErrNewerSchema says that a newer version of the server has used the database.
var ErrNewerSchema = errors.New("the database was made by a newer version of attesto-server")

// migrate brings the schema up to date. Each migration and its version row are
// one transaction. On PostgreSQL a lock table keeps two servers from migrating at
// once; on SQLite the second one fails and then finds the work done.
func (s *Store) migrate(ctx context.Context) error {
	files, err := fs.Sub(embedded, "migrations")
	if err != nil {
		return fmt.Errorf("reading migrations: %w", err)
	}
	p, err := provider(s.w, s.postgres, files)
	if err != nil {
		return fmt.Errorf("preparing migrations: %w", err)
	}
	for attempt := 1; ; attempt++ {
		err := up(ctx, p)
		if err == nil || s.postgres || attempt == 5 || errors.Is(err, ErrNewerSchema) {
			return err
		}
		s.log.DebugContext(ctx, "migrating again", "err", err)
	}
}

func up(ctx context.Context, p *goose.Provider) error {
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("reading the schema's version: %w", err)
	}
	if have > want {
		return fmt.Errorf("%w: its schema is %d, this program knows %d; install the newer version or restore a copy of its time", ErrNewerSchema, have, want)
	}
	if have == want {
		return nil
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrating the schema from %d to %d: %w", have, want, err)
	}
	return nil
}

func provider(db *sql.DB, postgres bool, files fs.FS) (*goose.Provider, error) {
	quiet := goose.WithDisableGlobalRegistry(true)
	if !postgres {
		return goose.NewProvider(goose.DialectSQLite3, db, sqliteFS{files}, quiet)
	}
	locker, err := lock.NewPostgresTableLocker(lock.WithTableLockTimeout(200*time.Millisecond, 1500))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, files, quiet, goose.WithLocker(locker))
}

// sqliteFS shows migrations in SQLite's words.
type sqliteFS struct{ fs.FS }

var sqliteWords = strings.NewReplacer("BIGINT", "INTEGER", "BYTEA", "BLOB", "\n);", "\n) STRICT;")

func (f sqliteFS) Open(name string) (fs.File, error) {
	file, err := f.FS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".sql") {
		return file, err
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &rewritten{file, bytes.NewReader([]byte(sqliteWords.Replace(string(text))))}, nil
}

// ReadDir lists the migrations; embed files are small, so their listed size is
// not corrected.
func (f sqliteFS) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(f.FS, name) }

type rewritten struct {
	fs.File
	text *bytes.Reader
}

func (r *rewritten) Read(b []byte) (int, error) { return r.text.Read(b) }
