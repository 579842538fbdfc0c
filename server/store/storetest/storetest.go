// Package storetest gives tests a database of their own on each engine.
package storetest

import (
	"bufio"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/attesto/attesto/server/store"
)

// Each runs fn as a subtest on SQLite and on PostgreSQL, each time with the DSN of
// a database that has the schema and no rows. PostgreSQL is the server of
// ATTESTO_TEST_POSTGRES (a DSN whose user may create databases) or, without it, a
// private one that is started once per test binary from the installed programs and
// ends with it. Where there is none, the subtest is skipped, under CI=true it fails.
func Each(t *testing.T, fn func(t *testing.T, dsn string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { fn(t, Postgres(t)) })
}

// EachEmpty is Each with databases that have nothing in them yet.
func EachEmpty(t *testing.T, fn func(t *testing.T, dsn string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, "sqlite:"+filepath.Join(t.TempDir(), "attesto.db")) })
	t.Run("postgres", func(t *testing.T) { fn(t, create(t, postgres(t), "")) })
}

// SQLite is the DSN of a database file in a temporary folder.
func SQLite(t testing.TB) string {
	t.Helper()
	file, err := migrated()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "attesto.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return "sqlite:" + path
}

// Postgres is the DSN of a fresh database, dropped when the test ends.
func Postgres(t testing.TB) string {
	t.Helper()
	server := postgres(t)
	if os.Getenv("ATTESTO_TEST_POSTGRES") != "" { // nothing of ours may stay on it
		return create(t, server, "")
	}
	if err := template(); err != nil {
		t.Fatal(err)
	}
	return create(t, server, " TEMPLATE attesto STRATEGY FILE_COPY") // the quicker one on a server that syncs nothing
}

// migrated is a database file that the store has migrated: the migrations are run
// once per test binary, not for every test.
var migrated = sync.OnceValues(func() (file []byte, err error) {
	dir, err := os.MkdirTemp("", "attesto")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "attesto.db")
	if err := migrate("sqlite:" + path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// template makes the database attesto on the private PostgreSQL, migrated.
var template = sync.OnceValue(func() error {
	server, err := cluster()
	if err != nil {
		return err
	}
	u, err := url.Parse(server)
	if err != nil {
		return err
	}
	if err := admin(server, "CREATE DATABASE attesto"); err != nil {
		return err
	}
	u.Path = "/attesto"
	return migrate(u.String())
})

func migrate(dsn string) error {
	s, err := store.Open(context.Background(), dsn, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return s.Close()
}

func postgres(t testing.TB) string {
	t.Helper()
	if server := os.Getenv("ATTESTO_TEST_POSTGRES"); server != "" {
		return server
	}
	server, err := cluster()
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatal(err)
	case err != nil:
		t.Skip(err)
	}
	return server
}

func create(t testing.TB, server, how string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatalf("ATTESTO_TEST_POSTGRES: %v", err)
	}
	name := "attesto_" + strings.ToLower(rand.Text())
	if err := admin(server, "CREATE DATABASE "+name+how); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := admin(server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	u.Path = "/" + name
	return u.String()
}

func admin(server, statement string) (err error) {
	db, err := sql.Open("pgx", server)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(context.Background(), statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

var cluster = sync.OnceValues(startCluster)

// keeper makes and starts a cluster in $1 with the programs of $2, tells so, and
// removes it once standard input ends, which it does when the test binary is gone
// in whatever way.
const keeper = `
set -e
"$2/initdb" -D "$1/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$1/log" 2>&1
"$2/pg_ctl" -D "$1/data" -w -l "$1/log" -o "-c listen_addresses='' -c unix_socket_directories='$1' -c fsync=off -c full_page_writes=off -c max_connections=200" start >>"$1/log" 2>&1
echo ready
cat >/dev/null || true
"$2/pg_ctl" -D "$1/data" -m immediate stop >/dev/null 2>&1 || true
rm -rf "$1"
`

func startCluster() (string, error) {
	bins, err := filepath.Glob("/usr/lib/postgresql/*/bin/pg_ctl")
	if err != nil || len(bins) == 0 {
		return "", fmt.Errorf("no PostgreSQL in /usr/lib/postgresql: install the package postgresql, or set ATTESTO_TEST_POSTGRES")
	}
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		return "", err
	}
	args := []string{"sh", "-c", keeper, "keeper", dir, filepath.Dir(bins[len(bins)-1])}
	if os.Geteuid() == 0 { // PostgreSQL refuses to run as root
		if out, err := exec.CommandContext(context.Background(), "chown", "postgres:", dir).CombinedOutput(); err != nil {
			return "", fmt.Errorf("giving %s to the user postgres: %w: %s", dir, err, out)
		}
		args = append([]string{"setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"}, args...)
	}
	cmd := exec.CommandContext(context.Background(), args[0], args[1:]...)
	cmd.Dir = "/"
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("starting PostgreSQL: %w", err)
	}
	held.Store(&stdin)
	if line, err := bufio.NewReader(stdout).ReadString('\n'); strings.TrimSpace(line) != "ready" {
		text, _ := os.ReadFile(filepath.Join(dir, "log"))
		return "", fmt.Errorf("starting PostgreSQL: %w: %s", err, text)
	}
	return "postgres://postgres@/postgres?host=" + url.QueryEscape(dir), nil
}

// held keeps the keeper's standard input open for as long as the process lives.
var held atomic.Pointer[io.WriteCloser]
