package server_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

const testPassword = "a long enough Secret 4 tests"

// boardWorld has a provider and a customer with an agent each, and facts of all
// kinds: a listing, a failed backup, a quiet log.
func boardWorld(t *testing.T) (*world, *httptest.Server) {
	t.Helper()
	w := newWorld(t, storetest.SQLite(t))
	var err error
	ctx := t.Context()
	if w.customer, err = w.srv.AddOrg(ctx, store.Org{Kind: store.Customer, Name: "Bottega Rossi S.r.l.", Services: []string{"sc", "wh", "pe", "bk"}}); err != nil {
		t.Fatal(err)
	}
	for _, u := range []server.UserRequest{
		{Email: "op@provider.example", Name: "Olga Operator", Org: w.provider.ID, Role: store.RoleAdmin, Password: testPassword},
		{Email: "admin@customer.example", Name: "Anna Rossi", Org: w.customer.ID, Role: store.RoleAdmin, Password: testPassword},
	} {
		if _, err := w.srv.AddUser(ctx, u); err != nil {
			t.Fatal(err)
		}
	}
	for _, org := range []store.Org{w.provider, w.customer} {
		h := w.enrolled(org)
		h.pushes(h.sealFacts(sampleFacts(w.now, org.Kind == store.Provider)...))
	}
	w.judged()
	ts := httptest.NewServer(w.handler)
	t.Cleanup(ts.Close)
	return w, ts
}

// judged judges what was pushed, and what time alone asks for.
func (w *world) judged() {
	w.t.Helper()
	if err := w.srv.Judge().Flush(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if err := w.srv.Judge().Sweep(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func sampleFacts(now time.Time, provider bool) []evidence.Facts {
	at := func(ago time.Duration) evidence.Time { return evidence.At(now.Add(-ago)) }
	ptr := func(ago time.Duration) *evidence.Time { t := at(ago); return &t }
	result := evidence.NotListed
	var codes []string
	if provider {
		result, codes = evidence.Listed, []string{"127.0.0.2"}
	}
	return []evidence.Facts{
		evidence.DNSBL{Resolvers: []string{"127.0.0.1:53"}, Targets: []evidence.DNSBLTarget{{Target: "192.0.2.25", Found: "interface"}},
			Lists: []evidence.DNSBLList{{Zone: "zen.spamhaus.org", Tier: "a", Family: "ip4", Controls: evidence.ControlsPassed},
				{Zone: "psbl.surriel.com", Tier: "b", Family: "ip4", Controls: evidence.ControlsPassed}},
			Answers: []evidence.DNSBLAnswer{{Target: "192.0.2.25", Zone: "zen.spamhaus.org", Result: result, Codes: codes, Why: "SBL: source of spam", Millis: 12},
				{Target: "192.0.2.25", Zone: "psbl.surriel.com", Result: evidence.NotListed, Millis: 31}}},
		evidence.Backup{Jobs: []evidence.BackupJob{
			{Job: "nightly", Tool: "restic", Result: evidence.BackupOK, NewestRestorable: ptr(6 * time.Hour), OldestRestorable: ptr(40 * 24 * time.Hour), Points: 40,
				LastEnd: ptr(6 * time.Hour), Bytes: 81 << 30, Files: 412345, Encryption: "aes256", Integrity: evidence.Integrity{Result: evidence.BackupOK, At: ptr(48 * time.Hour), Depth: "structure"}, Source: "repository", RunFrom: "repository", Paths: 3},
			{Job: "database", Tool: "borg", Result: evidence.BackupFailed, Reasons: []string{"corrupt"}, NewestRestorable: ptr(70 * time.Hour), OldestRestorable: ptr(90 * time.Hour),
				Points: 2, Bytes: -1, Files: -1, Errors: -1, Encryption: "none", Integrity: evidence.Integrity{Result: evidence.BackupFailed, At: ptr(70 * time.Hour), Depth: "data"}, Source: "repository", RunFrom: "repository", Paths: 1}}},
		evidence.EventLog{RuleSet: "builtin", Rules: 23, Sources: []evidence.LogSource{{Source: "journald", Lines: 48211, Bytes: 9 << 20, From: ptr(24 * time.Hour), To: ptr(0), Whole: true}},
			Hits: []evidence.RuleHit{{Rule: "ssh_login_failed", Severity: evidence.SeverityLow, Count: 812, First: at(23 * time.Hour), Last: at(time.Minute), Limit: 100, Over: true, Networks: 47}}},
		evidence.Software{OS: evidence.OSRelease{ID: "debian", Version: "12", Name: "Debian GNU/Linux 12 (bookworm)", EOL: "2028-06-30"},
			Kernel: evidence.Kernel{Running: "6.1.0-40-amd64", Installed: "6.1.0-40-amd64"}, Managers: []evidence.Manager{{Name: "dpkg", Packages: 1, Refreshed: ptr(3 * time.Hour), Security: true}},
			Packages: []evidence.Package{{Manager: "dpkg", Name: "postfix", Version: "3.7.11-0+deb12u1"}}, Pending: []evidence.Update{}, Products: []evidence.Product{}, Reboot: evidence.Reboot{Needed: evidence.No}},
		evidence.Health{Samples: []evidence.Sample{{At: at(5 * time.Minute), CPU: 12, Load1: 0.4, MemUsed: 41, UptimeS: 86400}, {At: at(0), CPU: 14, Load1: 0.5, MemUsed: 42, UptimeS: 86700}},
			Disks: []evidence.Disk{{Mount: "/", FS: "ext4", Size: 100 << 30, UsedPct: 61, InodesPct: 9}}, Units: evidence.Units{Manager: "systemd"}, CPUs: 4, Memory: 8 << 30},
	}
}

// sealFacts makes the host's next record of facts of several kinds.
func (h *host) sealFacts(list ...evidence.Facts) sealed {
	h.w.t.Helper()
	blobs := map[evidence.Digest][]byte{}
	var items []evidence.Item
	for _, f := range list {
		b, err := evidence.FactsBlob(f, nil)
		if err != nil {
			h.w.t.Fatal(err)
		}
		blobs[evidence.Sum(b)] = b
		to := evidence.At(h.w.now)
		items = append(items, evidence.Item{Kind: f.Kind(), Schema: evidence.SchemaOf(f.Kind()), From: evidence.At(h.w.now.Add(-24 * time.Hour)), To: to,
			Outcome: evidence.Complete, Facts: evidence.Sum(b)})
	}
	s := h.seal(func(r *evidence.Record) { r.Items = items })
	s.blobs = blobs
	return s
}

// browser starts a real Chromium.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("chromium is not installed; run make deps")
		}
		t.Skip("chromium is not installed; run make deps")
	}
	opts := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.Flag("headless", true)}
	for _, name := range []string{"disable-gpu", "disable-quic", "no-first-run", "disable-background-networking", "disable-component-update", "disable-sync", "disable-dev-shm-usage", "hide-scrollbars"} {
		opts = append(opts, chromedp.Flag(name, true))
	}
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func do(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

func signIn(t *testing.T, ctx context.Context, url, email string) {
	t.Helper()
	do(t, ctx, chromedp.Navigate(url+"/signin"), chromedp.SendKeys("#email", email), chromedp.SendKeys("#password", testPassword),
		chromedp.Click("form.card button"), chromedp.WaitVisible(".tools .who"))
}

// Each page in light and dark, wide and narrow, both languages: nothing on the
// console (so nothing against the content security policy), no page wider than
// the screen. The pictures stand in ATTESTO_ARTIFACTS, if that names a folder.
func TestPagesInABrowser(t *testing.T) {
	w, ts := boardWorld(t)
	ctx := browser(t)
	messages := chromedp.Console(ctx)
	var console []string
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			console = append(console, m.String())
		}
	}()
	artifacts := os.Getenv("ATTESTO_ARTIFACTS")
	if artifacts == "" {
		artifacts = t.TempDir()
	}
	if err := os.MkdirAll(artifacts, 0o755); err != nil {
		t.Fatal(err)
	}
	do(t, ctx, chromedp.Navigate(ts.URL+"/signin"))
	shoot(t, ctx, artifacts, "signin")
	signIn(t, ctx, ts.URL, "op@provider.example")
	if where, err := chromedp.Run(ctx, chromedp.Location()); err != nil || where != ts.URL+"/" {
		t.Fatalf("signed in and at %q (%v)", where, err)
	}
	pages := []struct{ name, path, want string }{
		{"home", "/", "Bottega Rossi"},
		{"board", "/orgs/" + w.customer.ID + "/board", "PE-P3"},
		{"duty", "/orgs/" + w.customer.ID + "/duties/PE-P3", "192.0.2.25"},
		{"record", "/orgs/" + w.provider.ID + "/records/1", "zen.spamhaus.org"},
		{"agents", "/orgs/" + w.customer.ID + "/agents", "host.example"},
		{"alerts", "/orgs/" + w.provider.ID + "/alerts", "PE-P3"},
		{"error", "/orgs/" + w.customer.ID + "/duties/XX-P9", ""},
	}
	for _, p := range pages {
		do(t, ctx, chromedp.Navigate(ts.URL+p.path), chromedp.WaitVisible("main h1"))
		text, err := chromedp.Run(ctx, chromedp.Text("main"))
		if err != nil || !strings.Contains(text, p.want) {
			t.Errorf("%s: no %q in:\n%s (%v)", p.name, p.want, text, err)
		}
		shoot(t, ctx, artifacts, p.name)
		if p.name == "board" {
			do(t, ctx, chromedp.EmulateViewport(1280, 860))
			png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
			if err != nil || os.WriteFile(filepath.Join(artifacts, "readme.png"), png, 0o644) != nil {
				t.Fatal(err)
			}
		}
	}
	// In Italian, by the switch on the page.
	do(t, ctx, chromedp.Navigate(ts.URL+pages[1].path), chromedp.Click("button[lang=it]"), chromedp.WaitVisible("html[lang=it] main h1"))
	if text, err := chromedp.Run(ctx, chromedp.Text("main")); err != nil || !strings.Contains(text, "Black list pubbliche") {
		t.Errorf("board in Italian: %s (%v)", text, err)
	}
	shoot(t, ctx, artifacts, "board-it")

	for _, line := range console {
		if !strings.Contains(line, "404") { // the page that is not there is asked for on purpose
			t.Errorf("console: %s", line)
		}
	}
	t.Logf("pictures in %s", artifacts)
}

func shoot(t *testing.T, ctx context.Context, dir, name string) {
	t.Helper()
	for _, width := range []int64{1440, 390} {
		for _, theme := range []string{"light", "dark"} {
			if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900)); err != nil {
				t.Fatal(err)
			}
			media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}}
			if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
				t.Fatal(err)
			}
			wide, err := chromedp.Run(ctx, chromedp.Evaluate[int64]("document.documentElement.scrollWidth"))
			if err != nil || wide > width {
				t.Errorf("%s: %d pixels wide on a screen of %d (%v)", name, wide, width, err)
			}
			png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, width, theme)), png, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
