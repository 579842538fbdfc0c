package web_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"strconv"
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
			for _, page := range []struct{ name, path string }{
				{"page of all customers", "/"}, {"board of one customer", org + "/board"}, {"its duties by API", "/api/v1" + org + "/duties"},
				{"its state half a year ago", "/api/v1" + org + "/state?at=" + s.now.AddDate(0, -6, 0).UTC().Format(time.RFC3339)},
				{"a duty's page with its year", org + "/duties/PE-P3"}, {"its continuity", "/api/v1" + org + "/duties/PE-P3/continuity"},
				{"its hosts", org + "/agents"},
			} {
				b.Run(fmt.Sprintf("%s, records=%d", page.name, records), func(b *testing.B) {
					for b.Loop() {
						if res, body := s.get(admin, page.path); res.StatusCode != http.StatusOK {
							b.Fatalf("%s: %d: %s", page.path, res.StatusCode, body)
						}
					}
					b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/page")
					b.ReportMetric(0, "ns/op")
				})
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

// ballast puts records and their looks beside, of four hosts of the customer.
func (s *site) ballast(n int) {
	s.t.Helper()
	ctx := context.Background()
	st, err := s.store.Log(ctx, s.customer.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	var hosts []*host
	for i := range 4 {
		hosts = append(hosts, s.enroll(s.customer, fmt.Sprintf("h%d.example", i), "pe"))
	}
	random := func() evidence.Digest {
		var d evidence.Digest
		_, _ = rand.Read(d[:])
		return d
	}
	kinds := evidence.FactsKinds()
	for from := 0; from < n; from += 8192 {
		err := s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
			records, items := make([]store.Record, 0, 8192), make([]store.Item, 0, 8192)
			for i := from; i < min(from+8192, n); i++ {
				at := s.now.Add(-time.Duration(n-i) * 365 * 24 * time.Hour / time.Duration(n))
				agent, facts := hosts[i%4].id, random()
				records = append(records, store.Record{Org: s.customer.ID, Agent: agent, Seq: int64(i + 10), Type: evidence.EntryEvidence, Stmt: facts,
					Envelope: facts[:], Log: st.ID, Index: int64(i + 1000), Received: at})
				items = append(items, store.Item{Org: s.customer.ID, Agent: agent, Kind: kinds[i/4%len(kinds)], Log: st.ID, Index: int64(i + 1000), Schema: 1,
					From: at, To: at, Received: at, Outcome: evidence.Failed, Reason: "timeout", Facts: facts})
			}
			if err := tx.AddRecords(ctx, records); err != nil {
				return err
			}
			return tx.AddItems(ctx, items)
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
}
