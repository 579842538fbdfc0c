package web_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// deed is one thing that a person does with a page: go there, unfold the form, fill it in,
// click the button, and read what the page says then.
type deed struct {
	who    string // provider or customer
	page   string // below the organisation; "" is the page where the last deed led
	form   string // end of the form's action
	fields map[string]string
	ticks  []string // what is clicked in the form beside, by its selector
	file   string   // of testdata/walk, chosen in the form
	button string   // its selector in the form; the main one without
	says   string
}

const hacked = "Mailbox anna@bianchi.example sends spam"

// deeds are all workflows and statements, each by who does it, in the order in which people do.
func deeds(now time.Time, customer string) []deed {
	day := func(days int) string { return now.AddDate(0, 0, days).Format(time.DateOnly) }
	return []deed{
		{"provider", "/cases", "/workflows/notice", map[string]string{"title-notice": "Certificate of shop ends in 3 days", "text-notice": "<b>Renew</b> it."}, nil, "", "", "<b>Renew</b> it."},
		{"provider", "", "/steps/told", map[string]string{"text": "By phone, too."}, nil, "", "", "By phone, too."},
		{"customer", "", "/steps/acknowledged", nil, nil, "", "", "Problem solved"},
		{"customer", "", "/steps/acted", map[string]string{"text": "Renewed."}, nil, "report.txt", "", "closed"},

		{"customer", "/cases", "/workflows/incident", map[string]string{"title-incident": "Logins at night", "text-incident": "From 03:00 on."}, nil, "report.txt", "", "report.txt"},
		{"provider", "", "/steps/received", nil, nil, "", "", "Answer given"},
		{"provider", "", "/steps/answered", map[string]string{"text": "A job of yours."}, nil, "", "", "closed"},

		{"provider", "/cases", "/workflows/abuse", map[string]string{"title-abuse": "Spam from 192.0.2.9"}, nil, "", "", "Spam from 192.0.2.9"},
		{"provider", "", "/steps/decided", map[string]string{"text": "It is so."}, nil, "", "", "It is so."},
		{"provider", "", "/steps/suspended", nil, nil, "", "", "Customer informed"},
		{"provider", "", "/steps/informed", nil, nil, "", "", "closed"},
		{"provider", "/cases", "/workflows/abuse", map[string]string{"service-abuse": "wh"}, nil, "abuse.eml", "", "abuse: 192.0.2.1, shop.example"},
		{"provider", "", "/steps/decided", map[string]string{"text": "No such site."}, nil, "", "", "No such site."},
		{"provider", "", "/steps/suspended", map[string]string{"text": "Nothing to switch off."}, nil, "", "button[name=skip]", "not needed"},
		{"provider", "", "/steps/informed", nil, nil, "", "", "closed"},
		{"provider", "/cases", "/workflows/abuse", map[string]string{"service-abuse": "wh"}, nil, "xarf.json", "", "phishing: 203.0.113.45"},
		{"provider", "", "/steps/decided", nil, nil, "", "", "Server or site switched off"},
		{"provider", "", "/steps/suspended", nil, nil, "", "", "Customer informed"},
		{"provider", "", "/steps/informed", nil, nil, "", "", "closed"},

		{"provider", "/cases", "/workflows/account", map[string]string{"title-account": hacked}, nil, "", "", hacked},
		{"provider", "", "/steps/password", nil, nil, "", "", "done"},
		{"provider", "", "/steps/purged", map[string]string{"text": "212 mails."}, nil, "", "", "212 mails."},
		{"provider", "", "/steps/informed", nil, nil, "", "", "closed"},

		{"provider", "own/cases", "/workflows/vendor", map[string]string{"title-vendor": "Panel shows others' backups", "text-vendor": "Reference VU#4711"}, nil, "", "", "VU#4711"},
		{"provider", "", "/steps/informed", nil, nil, "report.txt", "", "report.txt"},
		{"provider", "", "/steps/answered", map[string]string{"text": "Mended in 18.0.9."}, nil, "", "", "closed"},

		{"provider", "own/cases", "/workflows/abuse", map[string]string{"service-abuse": "wh"}, nil, "abuse.eml", "", "Whom it concerns"},
		{"provider", "", "/steps/pass", map[string]string{"customer": customer}, nil, "", "button", "abuse: 192.0.2.1, shop.example"},
		{"provider", "", "/steps/decided", map[string]string{"text": "It is the shop."}, nil, "", "", "It is the shop."},
		{"provider", "", "/steps/suspended", nil, nil, "", "", "Customer informed"},
		{"provider", "", "/steps/informed", nil, nil, "", "", "closed"},

		{"customer", "/cases", "/workflows/export", map[string]string{"title-export": "Mail of anna"}, nil, "", "", "Mail of anna"},
		{"provider", "", "/steps/handed", nil, nil, "", "", "Receipt confirmed"},
		{"customer", "", "/steps/accepted", nil, nil, "", "", "closed"},

		{"customer", "/restores", "/restores", map[string]string{"title": "VM erp", "point": now.AddDate(0, 0, -2).Format("2006-01-02T15:04"), "minutes": "40", "text": "It starts."},
			[]string{"input[value=good]", "input[name=decrypted]"}, "report.txt", "", "It starts."},
		{"provider", "/restores", "/cosign", nil, nil, "", "", "Signed by the provider, too"},
		{"customer", "/duties/WH-C2", "/statement:attestation", map[string]string{"said": "Kept in the vault.", "until": day(60)}, []string{"input[value=good]"}, "report.txt", "", "Kept in the vault."},
		{"customer", "/duties/SC-C9", "/statement:attestation", map[string]string{"said": "Nothing else was noticed."}, []string{"input[value=good]"}, "", "", "Nothing else was noticed."},
		{"provider", "own/duties/WH-P6", "/statement:attestation", map[string]string{"said": "No other weakness is known."}, []string{"input[value=good]"}, "", "", "No other weakness is known."},
		{"customer", "/duties/SC-C8", "/statement:standing", map[string]string{"rule": "The duty officer reads each alert.", "stands": day(90)}, nil, "", "button", "standing instruction"},
		{"customer", "/duties/BK-C5", "/statement:waiver", map[string]string{"because": "No agents of ours.", "waived": day(90)}, nil, "", "button", "No agents of ours."},
		{"customer", "/need", "/need", map[string]string{"name-0": "gestionale", "service-0": "bk", "job-0": "gestionale", "hours-0": "24", "days-0": "30", "text": "The accounts."}, nil, "", "", "declared"},
		{"customer", "/digest/sc", "/digest/sc", nil, nil, "", "", "Officine Bianchi"},
	}
}

// proven is what the customer's board must show once all was done.
var proven = map[string]string{
	"SC-C3": "fulfilled", "SC-C9": "fulfilled", "WH-P7": "fulfilled", "PE-P10": "fulfilled", "SC-C7": "fulfilled", "WH-C2": "fulfilled", "BK-C5": "not_applicable",
	"SC-P5": "unproven",    // of what its hosts have shown for three days the provider told nobody until now
	"WH-P6": "no_occasion", // one to another vendor still waits
	"SC-P4": "unproven",    // no host of the service was looked up on block lists
	"SC-C8": "unproven",    // a log of the day could not be read whole
	"SC-C5": "breached",    // the backup failed, whoever looked at it
	"BK-C2": "breached",    // copies are removed before the time that is declared
	"PE-P9": "unproven",    // all is done in order, and of another account nobody has said yet whose it is
}

// TestEveryWorkflowInChromium has provider and customer, each in a browser of their own, do
// all that leaves evidence by what people do with the pages. The board shows what is proven
// by it, the store is sound, and a statement that is changed later is found.
func TestEveryWorkflowInChromium(t *testing.T) {
	needTool(t, "chromium", "chromium-browser", "google-chrome")
	w := seeded(newSite(t, storetest.SQLite(t)))
	mine := newTab(t)
	tabs := map[string]*tab{"provider": mine, "customer": mine.stranger()}
	for _, b := range tabs {
		b.as(view{1280, 860, "light", "en"})
	}
	tabs["provider"].signIn(w.http.URL, w.add(w.provider, store.RoleOperator))
	tabs["customer"].signIn(w.http.URL, w.add(w.customer, store.RoleAdmin))
	at := ""
	for _, d := range deeds(w.now, w.customer.ID) {
		b := tabs[d.who]
		w.now = w.now.Add(time.Minute)
		switch page, own := strings.CutPrefix(d.page, "own"); {
		case own:
			at = "/orgs/" + w.provider.ID + page
		case page != "":
			at = "/orgs/" + w.customer.ID + page
		}
		t.Logf("%s: %s of %s", d.who, d.form, at)
		b.open(w.http.URL+at, 200)
		if d.form == "/steps/password" {
			b.outOfOrder(w.http.URL + at)
		}
		b.does(d)
		var err error
		at, err = chromedp.Run(b.ctx, chromedp.Evaluate[string]("location.pathname"))
		b.must(err)
	}
	w.judge()
	b := tabs["customer"]
	b.open(w.http.URL+"/orgs/"+w.customer.ID+"/board", 200)
	for _, id := range slices.Sorted(maps.Keys(proven)) {
		shown, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`[...document.querySelectorAll(".duties a[href$='/duties/`+id+`']")].map(a => a.closest("li").querySelector(".state").className).join()`))
		b.must(err)
		if !strings.Contains(shown+" ", "state-"+proven[id]+" ") {
			t.Errorf("the board shows %s as %q, want %s", id, shown, proven[id])
		}
	}
	mine.calm("provider", "409 (Conflict)")
	b.calm("customer")
	w.soundUntilChanged(hacked)
}

// does fills in a form and sends it.
func (b *tab) does(d deed) {
	b.t.Helper()
	action, kind, ofKind := strings.Cut(d.form, ":")
	form := "form[action$='" + action + "']"
	folds := "details:has(" + form + ")"
	if ofKind { // several forms have this action
		folds = "details:has(input[name=kind][value=" + kind + "])"
		form = folds + " > form"
	}
	folded, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`!!document.querySelector("`+strings.Replace(folds, "details", "details:not([open])", 1)+`")`))
	b.must(err)
	if folded {
		b.must(chromedp.Do(b.ctx, chromedp.Click(chromedp.CSS(folds+" > summary"))))
	}
	for id, text := range d.fields {
		field := chromedp.CSS(form + " #" + id)
		if strings.HasPrefix(id, "text") || strings.HasPrefix(id, "title") || id == "said" || id == "rule" || id == "because" {
			b.must(chromedp.Do(b.ctx, chromedp.SendKeys(field, text)))
			continue
		}
		b.must(chromedp.Do(b.ctx, chromedp.SetValue(field, text))) // a day or a choice: keys for those depend on the browser's language
	}
	for _, box := range d.ticks {
		b.must(chromedp.Do(b.ctx, chromedp.Click(chromedp.CSS(form+" "+box))))
	}
	if d.file != "" {
		file, err := filepath.Abs(filepath.Join("testdata", "walk", d.file))
		b.must(err)
		if _, err := os.Stat(file); err != nil {
			b.t.Fatal(err)
		}
		b.must(chromedp.Do(b.ctx, chromedp.SetUploadFiles(chromedp.CSS(form+" input[type=file]"), []string{file})))
	}
	button := d.button
	if button == "" {
		button = "button.btn-primary"
	}
	_, err = chromedp.RunResponse(b.ctx, chromedp.Click(chromedp.CSS(form+" "+button)))
	b.must(err)
	b.says(d.form, d.says)
}

// says fails unless the page does.
func (b *tab) says(where, text string) {
	b.t.Helper()
	body, err := chromedp.Run(b.ctx, chromedp.Text(chromedp.ID("main")))
	b.must(err)
	if !strings.Contains(body, text) {
		b.t.Errorf("after %s the page does not say %q:\n%s", where, text, body)
	}
}

// outOfOrder sends the step after the next one, as the page itself never would.
func (b *tab) outOfOrder(address string) {
	b.t.Helper()
	b.must(chromedp.Do(b.ctx, chromedp.Evaluate[chromedp.Void](`{ const f = document.querySelector("form[action$='/steps/password']"); f.action = f.action.replace("password", "purged") }`)))
	b.does(deed{form: "/steps/purged", says: "The case waits for another step"})
	b.open(address, 200)
}

// soundUntilChanged checks the store as "attesto-server check" does: there is no fault, and
// there is one once a step of a case says what another says.
func (w *town) soundUntilChanged(title string) {
	w.t.Helper()
	ctx := context.Background()
	found, err := w.srv.Check(ctx, nil)
	if err != nil || len(found.Faults) > 0 {
		w.t.Errorf("the store is not sound: %+v (%v)", found.Faults, err)
	}
	cases, err := w.store.Cases(ctx, w.customer.ID, time.Time{})
	i := slices.IndexFunc(cases, func(c store.Case) bool { return c.Title == title })
	if err != nil || i < 0 || len(cases[i].Steps) < 2 {
		w.t.Fatalf("no case %q with two steps (%v)", title, err)
	}
	from, to := cases[i].Steps[0], cases[i].Steps[1]
	db, _ := w.rawDB()
	done, err := db.ExecContext(ctx, `UPDATE blob SET data = (SELECT data FROM blob WHERE log_id = $1 AND idx = $2) WHERE log_id = $1 AND idx = $3`, to.Log, from.Index, to.Index)
	if err != nil {
		w.t.Fatal(err)
	}
	if n, err := done.RowsAffected(); err != nil || n != 1 {
		w.t.Fatalf("%d blobs were changed (%v)", n, err)
	}
	found, err = w.srv.Check(ctx, nil)
	if err != nil || len(found.Faults) != 1 || !strings.HasSuffix(found.Faults[0].Where, path("record %d", to.Index)) {
		w.t.Errorf("of a changed statement, record %d, this was found: %+v (%v)", to.Index, found.Faults, err)
	}
}
