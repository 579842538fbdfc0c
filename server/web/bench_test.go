package web_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// BenchmarkPages measures pages from request to last byte, sessions and all, with
// 300 customers of 57 duties. Beside them stands a static file of 50 KiB, which
// is what asking costs in itself.
func BenchmarkPages(b *testing.B) {
	s := newSite(b, storetest.SQLite(b))
	for i := range 300 {
		s.addOrg(store.Org{Kind: store.Customer, Name: fmt.Sprintf("Customer %03d", i), Services: []string{"sc", "wh", "pe", "bk"}})
	}
	w := seeded(s)
	c := w.signedIn(w.add(w.provider, store.RoleOperator))
	board := "/orgs/" + w.customer.ID
	for _, p := range []struct{ name, path string }{{"home", "/"}, {"board", board + "/board"}, {"duty", board + "/duties/PE-P3"},
		{"record", path("%s/records/%d", board, w.erpIndex)}, {"agents", board + "/agents"}, {"alerts", board + "/alerts"}, {"static", "/static/vendor/htmx.min.js"}} {
		b.Run(p.name, func(b *testing.B) {
			for b.Loop() {
				res, body := w.get(c, p.path)
				if res.StatusCode != http.StatusOK {
					b.Fatalf("status %d", res.StatusCode)
				}
				b.ReportMetric(float64(len(body)), "bytes")
			}
		})
	}
}
