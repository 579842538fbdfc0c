package web_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// BenchmarkBoard measures what people open most, through the whole handler, on a
// provider with 300 customers: the board of one (aim: 20 ms) and the list of all (aim:
// 100 ms), their parts by API, and a duty's year. Beside them stand ATTESTO_BENCH_BOARD
// records with their looks, 100000 without it: the figures must not depend on them.
func BenchmarkBoard(b *testing.B) {
	records := 100_000
	if text := os.Getenv("ATTESTO_BENCH_BOARD"); text != "" {
		var err error
		if records, err = strconv.Atoi(text); err != nil {
			b.Fatal("ATTESTO_BENCH_BOARD: ", err)
		}
	}
	for _, engine := range []struct {
		name string
		dsn  func(testing.TB) string
	}{{"sqlite", storetest.SQLite}, {"postgres", storetest.Postgres}} {
		b.Run(engine.name, func(b *testing.B) {
			s := newSite(b, engine.dsn(b))
			s.many(300)
			s.ballast(records)
			admin := s.signedIn(s.add(s.provider, store.RoleAdmin))
			org := "/orgs/" + s.customer.ID
			pages := []struct{ name, path string }{
				{"page of all customers", "/"}, {"board of one customer", org + "/board"}, {"its duties by API", "/api/v1" + org + "/duties"},
				{"its state half a year ago", "/api/v1" + org + "/state?at=" + s.now.AddDate(0, -6, 0).UTC().Format(time.RFC3339)},
				{"a duty's page with its year", org + "/duties/PE-P3"}, {"its continuity", "/api/v1" + org + "/duties/PE-P3/continuity"},
				{"its hosts", org + "/agents"}, {"its alerts", org + "/alerts"},
			}
			var paths []string
			for _, page := range pages {
				paths = append(paths, page.path)
			}
			s.noScans(admin, paths...)
			for _, page := range pages {
				b.Run(fmt.Sprintf("%s, records=%d", page.name, records), func(b *testing.B) { measure(b, s, admin, page.path) })
			}
		})
	}
}

// many adds customers until there are n, with a year of turns on each board.
func (s *site) many(n int) {
	s.t.Helper()
	ctx := context.Background()
	catalogue := s.srv.Catalogue()
	orgs := []store.Org{s.customer}
	for len(orgs) < n-1 {
		orgs = append(orgs, s.addOrg(store.Org{Kind: store.Customer, Name: fmt.Sprintf("Customer %03d", len(orgs)), Services: catalogue.Services()}))
	}
	for _, o := range orgs {
		err := s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
			for i, d := range catalogue.Duties() {
				for turn := range 12 {
					v := store.Verdict{Org: o.ID, Duty: d.ID, Verdict: duties.Verdicts()[(i+turn)%3], At: s.now.AddDate(0, turn-11, 0).Add(-time.Hour),
						Why: duties.Message{Key: "stale", Args: map[string]string{"host": "h1", "kind_codes": "backup", "at": "2026-01-01 10:00 CET", "limit": "26 h"}}}
					if err := tx.PutVerdict(ctx, v); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// ballast puts records and their looks beside, of four hosts of the customer, in the width
// that they have in life. The database makes them itself, a part at a time so that the
// server can write between, and learns what it holds.
func (s *site) ballast(n int) {
	s.t.Helper()
	ctx := context.Background()
	st, err := s.store.Log(ctx, s.customer.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	var hosts []any
	for i := range 4 {
		hosts = append(hosts, s.enroll(s.customer, fmt.Sprintf("h%d.example", i), "pe").id)
	}
	db, postgres := s.rawDB()
	numbers, bytes, word := "WITH RECURSIVE n(i) AS (SELECT $1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $2) ", "randomblob(%d)", "CASE i %% %d "
	if postgres {
		numbers, bytes = "WITH n(i) AS (SELECT generate_series($1::bigint, $2::bigint - 1)) ", "decode(left(repeat(md5(i::text), 1 + 2 * %[1]d / 32), 2 * %[1]d), 'hex')"
	}
	digest, kinds := fmt.Sprintf(bytes, 32), evidence.FactsKinds()
	agent, kind := fmt.Sprintf(word, len(hosts)), fmt.Sprintf(strings.Replace(word, "i", "(i / 4)", 1), len(kinds))
	for i, h := range hosts {
		agent += fmt.Sprintf("WHEN %d THEN '%s' ", i, h)
	}
	for i, k := range kinds {
		kind += fmt.Sprintf("WHEN %d THEN '%s' ", i, k)
	}
	received := fmt.Sprintf("%d - (%d - i) * %d", store.Micros(s.now), n, (365*24*time.Hour).Microseconds()/int64(n))
	fills := []string{
		fmt.Sprintf(`INSERT INTO record (org_id, agent_id, seq, type, stmt, env, log_id, idx, received) %sSELECT '%s', %sEND, i + 10, '%s', %s, %s, '%s', i + 1000, %s FROM n`,
			numbers, s.customer.ID, agent, evidence.EntryEvidence, digest, fmt.Sprintf(bytes, envelopeSize), st.ID, received),
		fmt.Sprintf(`INSERT INTO item (org_id, agent_id, kind, log_id, idx, schema, from_at, to_at, received, outcome, reason, facts)
			%sSELECT '%s', %sEND, %sEND, '%s', i + 1000, 1, %[6]s, %[6]s, %[6]s, 'failed', 'timeout', %[7]s FROM n`,
			numbers, s.customer.ID, agent, kind, st.ID, received, digest),
	}
	const part = 100_000
	for from := 0; from < n; from += part {
		for _, fill := range fills {
			if _, err := db.ExecContext(ctx, fill, from, min(from+part, n)); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	if _, err := db.ExecContext(ctx, "ANALYZE"); err != nil {
		s.t.Fatal(err)
	}
	for _, table := range []string{"record", "item"} {
		var rows int
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM "+table).Scan(&rows); err != nil || rows < n {
			s.t.Fatalf("%d rows of %s, want at least %d (%v)", rows, table, n, err)
		}
		s.t.Logf("table %s: %d rows", table, rows)
	}
}

// envelopeSize is about what a look of one kind makes.
const envelopeSize = 700

// rawDB opens the site's database beside the server, by one connection.
func (s *site) rawDB() (db *sql.DB, postgres bool) {
	s.t.Helper()
	driver, source := "pgx", s.dsn
	if file, ok := strings.CutPrefix(s.dsn, "sqlite:"); ok {
		driver, source = "sqlite", file+"?_pragma=busy_timeout(60000)&_pragma=synchronous(OFF)&_pragma=cache_size(-200000)"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		s.t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	s.t.Cleanup(func() { _ = db.Close() })
	return db, driver == "pgx"
}

// noScans fails on a query of these pages that the database, by what it knows of its
// tables, would answer by reading what grows with evidence.
func (s *site) noScans(c *http.Client, paths ...string) {
	s.t.Helper()
	asked := s.asked(func() {
		for _, p := range paths {
			s.get(c, p)
		}
	})
	db, postgres := s.rawDB()
	for query, args := range asked {
		for _, line := range plan(s.t, db, postgres, query, args) {
			if why := scans(query, line, evidenceTables); why != "" {
				s.t.Errorf("%s:\n%s\n%s", why, query, line)
			}
		}
	}
	s.t.Logf("%d queries, none reads what grows with evidence by a scan", len(asked))
}
