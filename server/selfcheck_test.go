package server_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/store/storetest"
)

// Each night one of the servers checks the database, once; what it finds is kept and
// told.
func TestNightlyCheck(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		ctx := context.Background()
		w := newWorld(t, dsn)
		h := w.enrolled(w.customer)
		h.pushes(h.seals(3)...)
		zone, err := time.LoadLocation(w.provider.Zone)
		if err != nil {
			t.Fatal(err)
		}
		night := time.Date(2026, 11, 24, 3, 0, 0, 0, zone)
		second, err := server.New(ctx, testConfig(), server.Deps{Store: w.store, Keys: w.keys, Log: discard, Now: func() time.Time { return w.now }})
		if err != nil {
			t.Fatal(err)
		}
		check := func(s *server.Server, at time.Time, want bool) {
			t.Helper()
			w.now = at
			if ran, err := s.CheckNightly(ctx); err != nil || ran != want {
				t.Errorf("at %s: ran %v (%v)", at, ran, err)
			}
		}
		check(w.srv, night.Add(-6*time.Hour), false)
		check(w.srv, night, true)
		check(second, night.Add(10*time.Minute), false)
		check(w.srv, night.Add(20*time.Minute), false)
		if last, err := w.srv.LastSelfCheck(ctx); err != nil || last.Ended == nil || last.Faults != 0 || last.Entries != 4 || last.Logs != 2 {
			t.Errorf("last %+v (%v)", last, err)
		}
		if got := w.get("/readyz").Body.String(); got != "ready\n" {
			t.Errorf("readyz: %q", got)
		}
		attack(t, dsn, `UPDATE record SET env = `+flipped(dsn, "env", 900)+` WHERE idx = 2`)
		check(second, night.AddDate(0, 0, 1), true)
		check(w.srv, night.AddDate(0, 0, 1), false)
		if last, err := second.LastSelfCheck(ctx); err != nil || last.Faults == 0 || !strings.Contains(last.First[0].Where, "record 2") {
			t.Errorf("last %+v (%v)", last, err)
		}
		if res := w.get("/readyz"); res.Code != 200 || !strings.Contains(res.Body.String(), "faults") {
			t.Errorf("readyz: %d, %q", res.Code, res.Body)
		}
	})
}
