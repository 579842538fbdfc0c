package server_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

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
		"en": {"Evidence of data protection", "customer: unproven", "Mailbox access data kept safe"},
		"it": {"Prove della protezione dei dati", "cliente: non provato", "Credenziali delle caselle custodite"},
	} {
		t.Run(lang, func(t *testing.T) {
			w.rename(lang)
			dir := w.export(func(q *bundle.Request) {})
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
