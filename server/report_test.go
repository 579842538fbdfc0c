package server_test

import (
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server/bundle"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// TestReportPDF reads report.pdf as another program does (poppler's pdftotext): each
// duty and the root key stand in it, and a hostile name is text.
func TestReportPDF(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	w.months(2, 3)
	if err := w.srv.Judge().Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.customer.Name = "Caffè & Figli \u202e<b>) Tj"
	for lang, wants := range map[string][]string{
		"en": {"Evidence of data protection", "customer, since", "unproven", "Mailbox access data kept safe"},
		"it": {"Prove della protezione dei dati", "cliente, dal", "non provato", "Credenziali delle caselle custodite"},
	} {
		t.Run(lang, func(t *testing.T) {
			w.rename(lang)
			dir := w.export(func(*bundle.Request) {})
			out, err := exec.Command("pdftotext", "-layout", filepath.Join(dir, "report.pdf"), "-").CombinedOutput()
			if err != nil {
				t.Fatalf("pdftotext: %v: %s", err, out)
			}
			text := string(out)
			for _, want := range append(wants, "Caffè & Figli", "<b>) Tj", string(w.keys.RootPublic.ID()), "PE-P3", "PE-C7", w.customer.ID) {
				if !strings.Contains(text, want) {
					t.Errorf("%q is not in the report:\n%s", want, text)
				}
			}
		})
	}
}

// rename gives the customer its name anew, and a language.
func (w *world) rename(lang string) {
	w.t.Helper()
	w.customer.Lang = lang
	err := w.store.Tx(w.t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.SetOrg(ctx, w.customer) })
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestPeriodOfExport counts the windows of an export's period: a daily duty that nobody
// proved for three whole days, of which one is outside of the period.
func TestPeriodOfExport(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	zone := w.customer.Location()
	y, m, d := w.now.In(zone).Date()
	day := func(n int) time.Time { return time.Date(y, m, d+n, 0, 0, 0, 0, zone) }
	for n := 1; n <= 4; n++ {
		w.now = day(n)
		if err := w.srv.Judge().Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.now = day(4).Add(time.Hour)
	dir := w.export(func(q *bundle.Request) { q.From, q.To = day(2), day(5) })
	var list []bundle.Duty
	if err := json.Unmarshal(w.read(dir, "duties.json"), &list); err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(list, func(d bundle.Duty) bool { return d.ID == "PE-C6" })
	if at < 0 {
		t.Fatalf("no PE-C6 among %d duties", len(list))
	}
	got := list[at].Period
	gaps := got.Gaps
	got.Gaps = nil
	want := bundle.Period{From: day(2).Format(time.DateOnly), To: day(4).Format(time.DateOnly), WindowDays: 1, Expected: 2, Unproven: 2}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("period %+v, want %+v", got, want)
	}
	if len(gaps) != 1 || gaps[0].From != want.From || gaps[0].To != day(3).Format(time.DateOnly) || gaps[0].Windows != 2 || gaps[0].Cause == "" {
		t.Errorf("gaps %+v", gaps)
	}

	given := w.customer
	given.Services = []string{"bk"}
	if err := w.srv.SetOrg(t.Context(), given, ""); err != nil {
		t.Fatal(err)
	}
	w.now = day(6)
	for from, want := range map[int]string{2: "not_applicable", 5: ""} { // what was given up before the period is no part of it
		dir = w.export(func(q *bundle.Request) { q.From, q.To = day(from), day(from+3) })
		list = nil
		if err := json.Unmarshal(w.read(dir, "duties.json"), &list); err != nil {
			t.Fatal(err)
		}
		state := ""
		if at := slices.IndexFunc(list, func(d bundle.Duty) bool { return d.ID == "PE-C6" }); at >= 0 {
			state = list[at].State
			if p := list[at].Period; p.Expected != 3 || p.Unproven != 3 {
				t.Errorf("of a service that was given up: %+v", p)
			}
		}
		if state != want {
			t.Errorf("from day %d: PE-C6 is %q, want %q", from, state, want)
		}
	}
}
