package web_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// turnsPerYear is how often a duty's verdict turns in the years of the benchmark.
const turnsPerYear = 12

// year gives every duty of every customer a year of turns behind it.
func (s *site) year() {
	s.t.Helper()
	ctx := context.Background()
	db, err := sql.Open("sqlite", strings.TrimPrefix(s.dsn, "sqlite:"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for i := range turnsPerYear {
		at := s.now.AddDate(-1, 0, 0).Add(time.Duration(i) * 365 * 24 * time.Hour / turnsPerYear)
		verdict := []string{"fulfilled", "unproven", "fulfilled", "breached"}[i%4]
		if _, err := db.ExecContext(ctx, `INSERT INTO verdict_change (org_id, duty, part, at, was, verdict, why)
			SELECT org_id, duty, part, ? + abs(random() % 1000000000000), ?, ?, why FROM verdict WHERE part = ''`, store.Micros(at), verdict, verdict); err != nil {
			s.t.Fatal(err)
		}
	}
}

// crowd adds customers, n in all, whose boards are the first one's with the verdicts
// shuffled: one duty in fifty breached, one in twenty unproven.
func (s *site) crowd(n int) {
	s.t.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(s.dsn, "sqlite:"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, statement := range []string{
		`WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?1) INSERT INTO org (id, kind, name, lang, zone, services, created)
			SELECT 'o_crowd' || n, 'customer', printf('Cliente %04d', n), 'it', 'Europe/Rome', substr('sc,wh,pe,bk', 1 + 3 * (n % 4)), 0 FROM c WHERE ?2 <> ''`,
		`INSERT INTO verdict (org_id, duty, part, verdict, since, at, why)
			SELECT o.id, v.duty, '', CASE WHEN abs(random()) % 50 = 0 THEN 'breached' WHEN abs(random()) % 20 = 0 THEN 'unproven' ELSE 'fulfilled' END, v.since, v.at, v.why
			FROM org o JOIN verdict v ON v.org_id = ?2 AND v.part = '' AND o.services LIKE '%' || lower(substr(v.duty, 1, 2)) || '%' WHERE o.id LIKE 'o_crowd%' AND ?1 > 0`,
	} {
		if _, err := db.ExecContext(context.Background(), statement, n, s.customer.ID); err != nil {
			s.t.Fatal(err)
		}
	}
}

// BenchmarkPages measures pages from request to last byte, sessions and all, with
// 300 customers of 57 duties with a year of days behind them. Beside them stands a
// static file of 50 KiB, which is what asking costs in itself.
func BenchmarkPages(b *testing.B) {
	s := newSite(b, storetest.SQLite(b))
	for i := range 300 {
		s.addOrg(store.Org{Kind: store.Customer, Name: fmt.Sprintf("Customer %03d", i), Services: []string{"sc", "wh", "pe", "bk"}})
	}
	w := seeded(s)
	s.year()
	measurePages(b, w)
	b.Run("of-1000-more", func(b *testing.B) {
		s.crowd(1000)
		measure(b, w.site, w.signedIn(w.add(w.provider, store.RoleOperator)), "/", "/?q=cliente+07", "/?show=breached&page=9")
	})
}

func measurePages(b *testing.B, w *town) {
	board, operator := "/orgs/"+w.customer.ID, w.signedIn(w.add(w.provider, store.RoleOperator))
	for _, p := range []struct{ name, path string }{{"home", "/"}, {"board", board + "/board"}, {"then", board + "/board?at=" + w.now.AddDate(0, -5, 0).Format(time.DateOnly)},
		{"duty", board + "/duties/PE-P3"}, {"record", path("%s/records/%d", board, w.erpIndex)},
		{"agents", board + "/agents"}, {"alerts", board + "/alerts"}, {"static", "/static/vendor/htmx.min.js"}} {
		b.Run(p.name, func(b *testing.B) { measure(b, w.site, operator, p.path) })
	}
}

// measure asks for some pages in turn.
func measure(b *testing.B, w *site, c *http.Client, paths ...string) {
	var took []time.Duration
	for b.Loop() {
		path := paths[len(took)%len(paths)]
		start := time.Now()
		res, body := w.get(c, path)
		took = append(took, time.Since(start))
		if res.StatusCode != http.StatusOK {
			b.Fatalf("%s: status %d", path, res.StatusCode)
		}
		b.ReportMetric(float64(len(body)), "bytes")
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "median-ms")
}
