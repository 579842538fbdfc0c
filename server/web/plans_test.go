package web_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// evidenceTables grow with evidence. Each is to be entered by an index with one of these sets of
// columns, by which the rows are few however many there are.
var evidenceTables = map[string][][]string{
	"item":   {{"org_id", "agent_id", "kind"}, {"org_id", "log_id", "idx"}},
	"record": {{"org_id", "log_id", "idx"}, {"org_id", "agent_id", "seq"}, {"org_id", "received"}}, // the last: what the server itself stated
	"blob":   {{"org_id", "log_id", "idx"}},
	"entry":  {{"log_id", "idx"}},
	"tile":   {{"log_id", "level"}},
}

// No page and no answer of the API reads a table that grows with evidence but by an
// index that leads to few rows. What they ask is noted as they are fetched, and the
// database is asked how it would answer.
func TestNoPageScansEvidence(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := seeded(newSite(t, dsn))
		provider, customer := w.signedIn(w.add(w.provider, store.RoleAdmin)), w.signedIn(w.add(w.customer, store.RoleAdmin))
		more := []string{"/?show=breached", "/orgs/" + w.customer.ID + "/board?at=2026-01-01T00:00", "/api/v1/orgs/" + w.customer.ID + "/state?at=2026-01-01T00:00:00Z",
			"/api/v1/orgs/" + w.customer.ID + "/duties/SC-C5/days", "/api/v1/orgs/" + w.customer.ID + "/duties/SC-C5/continuity"}
		for _, v := range visits(w) {
			if method, _, _ := strings.Cut(v.pattern, " "); method == "GET" {
				more = append(more, v.path)
			}
		}
		seen := w.asked(func() {
			for _, path := range more {
				w.get(provider, path)
				w.get(customer, path)
			}
		})
		if len(seen) < 30 {
			t.Fatalf("only %d queries were seen", len(seen))
		}
		db, postgres := w.rawDB()
		if postgres { // it would read the small tables of a test whole
			if _, err := db.ExecContext(context.Background(), "SET enable_seqscan = off; SET enable_bitmapscan = off"); err != nil {
				t.Fatal(err)
			}
		}
		for _, query := range slices.Sorted(maps.Keys(seen)) {
			for _, line := range plan(t, db, postgres, query, seen[query]) {
				if why := scans(query, line, evidenceTables); why != "" {
					t.Errorf("%s:\n%s\n%s", why, query, line)
				}
			}
		}
		t.Logf("%d queries", len(seen))
	})
}

// openTables grow with what happened, and judging reads what is open, or ended not long ago.
var openTables = map[string][][]string{
	"alert":     {{"party", "resolved"}, {"id"}},
	"outbox":    {{"alert_id"}},
	"case_file": {{"closed"}, {"subject"}, {"org_id", "opened"}},
	"statement": {{"org_id", "duty"}},
}

// Judging does not read all that was ever told and done.
func TestJudgingReadsWhatIsOpen(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		s, ctx := newSite(t, dsn), context.Background()
		if err := s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.FireAlert(ctx, alert.Alert{ID: "al_1", Org: s.provider.ID, Duty: "SC-P2", Part: "storage", Party: duties.Provider, Verdict: duties.Breached, Opened: s.now}, store.Reach{})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		seen := s.asked(func() {
			for _, org := range []string{"", s.customer.ID} {
				_, told := s.store.ToldAlerts(ctx, org, "customer", s.now)
				_, cases := s.store.Cases(ctx, org, s.now)
				_, page := s.store.CasePage(ctx, store.CaseAsk{Org: org, Open: true, Ended: true, Limit: 10}, 1)
				if err := errors.Join(told, cases, page); err != nil {
					t.Fatal(err)
				}
			}
			_, raised := s.store.RaisedAlerts(ctx, s.customer.ID, "customer", "SC-C5", s.now)
			_, stated := s.store.StatementsAt(ctx, s.customer.ID, "SC-C5", s.now)
			list, problems := s.store.Problems(ctx, s.provider.ID, "SC-", s.now)
			_, about := s.store.CaseAbout(ctx, "mail a_1/account-7", s.now)
			_, found := s.store.CountFound(ctx, s.customer.ID, "account", s.now)
			if err := errors.Join(raised, stated, problems, about, found); err != nil || len(list) != 1 {
				t.Fatal(list, err)
			}
		})
		db, postgres := s.rawDB()
		if postgres {
			if _, err := db.ExecContext(ctx, "SET enable_seqscan = off"); err != nil {
				t.Fatal(err)
			}
		}
		tried := 0
		for query, args := range seen {
			for _, line := range plan(t, db, postgres, query, args) {
				if why := scans(query, line, openTables); why != "" {
					t.Errorf("%s:\n%s\n%s", why, query, line)
				}
				if reads.MatchString(line) {
					tried++
				}
			}
		}
		if tried < 10 {
			t.Errorf("only %d tables are read", tried)
		}
	})
}

// asked are the queries that the server makes of its database while fn runs, each with
// what it was first asked with.
func (s *site) asked(fn func()) map[string][]any {
	var mu sync.Mutex // the server asks on its own, too
	seen := map[string][]any{}
	s.store.Watch(func(query string, args []any) {
		mu.Lock()
		defer mu.Unlock()
		if _, ok := seen[query]; !ok {
			seen[query] = args
		}
	})
	fn()
	mu.Lock()
	defer mu.Unlock()
	return maps.Clone(seen)
}

// plan is how the database would answer, a line for each table that is read.
func plan(t testing.TB, db *sql.DB, postgres bool, query string, args []any) []string {
	t.Helper()
	ctx := context.Background()
	ask := "EXPLAIN QUERY PLAN " + query
	if postgres {
		ask = "EXPLAIN (COSTS OFF) " + query
	}
	rows, err := db.QueryContext(ctx, ask, args...)
	if err != nil {
		t.Fatalf("%s: %v", ask, err)
	}
	defer func() { _ = rows.Close() }()
	var lines []string
	for rows.Next() {
		var line string
		var id, parent, unused int64
		into := []any{&id, &parent, &unused, &line}
		if postgres {
			into = into[3:]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		// PostgreSQL writes a scan's conditions on lines of their own.
		if text := strings.TrimSpace(line); len(lines) > 0 && (strings.HasPrefix(text, "Index Cond:") || strings.HasPrefix(text, "Recheck Cond:")) {
			lines[len(lines)-1] += " " + text
			continue
		}
		lines = append(lines, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

var reads = regexp.MustCompile(`(?:SCAN|SEARCH) (\w+)|(?:Seq Scan|Index(?: Only)? Scan(?: Backward)? using \w+|Bitmap Heap Scan) on (\w+)`)

// scans says what is wrong with a line of a query's plan, "" for nothing.
func scans(query, line string, tables map[string][][]string) string {
	found := reads.FindStringSubmatch(line)
	if found == nil {
		return ""
	}
	table := found[1] + found[2]
	for grows := range tables { // SQLite names tables as the query does
		if regexp.MustCompile(`\b` + grows + ` ` + table + `\b`).MatchString(query) {
			table = grows
		}
	}
	ways, grows := tables[table]
	if !grows {
		return ""
	}
	if strings.Contains(line, "record_custody") || strings.Contains(line, "record_stated") {
		return "" // partial indexes: of what the server states, a page at a time
	}
	for _, columns := range ways {
		if !slices.ContainsFunc(columns, func(c string) bool { return !regexp.MustCompile(`\b` + c + `\b ?[=<>]`).MatchString(line) }) {
			return ""
		}
	}
	return fmt.Sprintf("table %s is read without one of %v", table, ways)
}
