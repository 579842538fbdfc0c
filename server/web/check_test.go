package web_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// checked has the browser check the record of the open page and says how it went.
func (b *tab) checked(address string) (result, steps string) {
	b.t.Helper()
	b.open(address, 200)
	b.must(chromedp.Do(b.ctx, chromedp.Click(chromedp.ID("check-run"))))
	_, err := chromedp.Run(b.ctx, chromedp.Poll[bool](`["ok", "bad", "cannot"].includes(document.getElementById("check").dataset.result)`))
	b.must(err)
	result, err = chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.getElementById("check").dataset.result`))
	b.must(err)
	steps, err = chromedp.Run(b.ctx, chromedp.Text(chromedp.ID("check-steps")))
	b.must(err)
	return result, steps
}

// A record is checked in the reader's own browser, from the raw bytes. What the
// database was made to say, an exchanged root key and a log that has become shorter
// are found there, whatever the server says.
func TestRecordIsCheckedInChromium(t *testing.T) {
	w := seeded(newSite(t, storetest.SQLite(t)))
	b := newTab(t)
	b.as(view{1280, 900, "light", "en"})
	b.signIn(w.http.URL, w.add(w.customer, store.RoleAdmin))
	own := w.http.URL + path("/orgs/%s/records/%d", w.customer.ID, w.erpIndex)
	theirs := w.http.URL + path("/orgs/%s/records/%d", w.provider.ID, w.mailIndex)
	run := func(name, address, want, say string) {
		t.Helper()
		result, steps := b.checked(address)
		if result != want || !strings.Contains(steps, say) {
			t.Errorf("%s: %s, want %s and %q in:\n%s", name, result, want, say, steps)
		}
	}
	script := func(text string) {
		t.Helper()
		b.must(chromedp.Do(b.ctx, chromedp.Evaluate[chromedp.Void](text)))
	}
	run("own record", own, "ok", "for the first time")
	b.accessible("a checked record")
	b.shoot("record-checked")
	run("statement of the server", w.http.URL+path("/orgs/%s/records/%d", w.customer.ID, w.fileIndex), "ok", "the same as this browser saw")
	run("record of the provider", theirs, "ok", "the server's word here")
	w.now = w.now.Add(1)
	w.erp.sees(whole(health(w.now, 0.5)))
	run("a log that has grown", own, "ok", "the same as this browser saw")
	b.calm("checking")

	script(`Object.keys(localStorage).filter(k => k.startsWith("head:")).forEach(k => localStorage.setItem(k, JSON.stringify({ size: 5000, root: "AAAA", at: 0 })))`)
	run("a log that has become shorter", own, "bad", "become shorter")
	script(`Object.keys(localStorage).filter(k => k.startsWith("head:")).forEach(k => { const h = JSON.parse(localStorage[k]); h.size = 9; h.root = btoa("x".repeat(32)); localStorage.setItem(k, JSON.stringify(h)); })`)
	run("a log that was rewritten", own, "bad", "does not continue")
	script(`localStorage.clear(); localStorage.setItem("root:proof.example", JSON.stringify({ value: "SHA256:other", at: 0 }))`)
	run("another root key", own, "bad", "another one than")
	script(`localStorage.clear()`)
	w.spoil(`UPDATE record SET env = CAST(replace(CAST(env AS TEXT), '"sig":"', '"sig":"A') AS BLOB) WHERE org_id = ? AND idx = ?`, w.customer.ID, w.erpIndex)
	run("a signature that was changed", own, "bad", "does not hold")
	w.spoil(`UPDATE entry SET body = CAST(replace(CAST(body AS TEXT), '"seq":14', '"seq":15') AS BLOB) WHERE idx = ? AND log_id = (SELECT id FROM log WHERE org_id = ?)`, w.erpIndex, w.customer.ID)
	run("an entry that was changed", own, "bad", "not in the log")
}
