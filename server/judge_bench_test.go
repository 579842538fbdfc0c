package server_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// BenchmarkJudgeForManyCustomers judges one look of a provider's host that counts
// for 300 customers: their boards and the turns of their verdicts are written.
func BenchmarkJudgeForManyCustomers(b *testing.B) {
	for name, dsn := range map[string]func(testing.TB) string{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b, dsn(b))
			ctx := context.Background()
			for i := range 300 {
				if _, err := w.srv.AddOrg(ctx, store.Org{Kind: store.Customer, Name: fmt.Sprint("Customer ", i), Services: []string{"pe", "bk"}}); err != nil {
					b.Fatal(err)
				}
			}
			if err := w.srv.Judge().Sweep(ctx); err != nil {
				b.Fatal(err)
			}
			h := w.enrolled(w.provider)
			results := []string{evidence.NotListed, evidence.Listed}
			b.ResetTimer()
			for i := range b.N {
				b.StopTimer()
				w.now = w.now.Add(time.Minute)
				h.pushes(h.dnsbl(results[i%2]))
				b.StartTimer()
				if err := w.srv.Judge().Flush(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
