package web_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// needTool is the path of a program; without it the test is skipped, under
// CI=true it fails.
func needTool(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if p, err := exec.LookPath(name); err == nil {
			return p
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", names[0])
	}
	t.Skipf("%s is not installed", names[0])
	return ""
}

// tab is a tab of a real browser.
type tab struct {
	t      *testing.T
	ctx    context.Context
	faults chan string // what the console, the network or the policy complained of
}

// newTab starts Chromium. Debian's runs as root only without its sandbox.
func newTab(t *testing.T) *tab {
	t.Helper()
	program := needTool(t, "chromium", "chromium-browser", "google-chrome")
	alloc, stop := chromedp.NewExecAllocator(context.Background(), chromedp.ExecPath(program), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("hide-scrollbars", true))
	t.Cleanup(stop)
	return watched(alloc, t)
}

// stranger is a tab of the same browser that shares nothing with this one, as that of
// somebody else's computer.
func (b *tab) stranger() *tab { return watched(b.ctx, b.t, chromedp.WithNewBrowserContext()) }

// watched opens a tab and listens to what its browser complains of.
func watched(parent context.Context, t *testing.T, opts ...chromedp.ContextOption) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent, opts...)
	t.Cleanup(cancel)
	ctx, expire := context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(expire)
	b := &tab{t: t, ctx: ctx, faults: make(chan string, 1000)}
	entries, calls := chromedp.Events(ctx, cdplog.EntryAdded), chromedp.Events(ctx, runtime.ConsoleAPICalled)
	thrown := chromedp.Events(ctx, runtime.ExceptionThrown)
	go func() {
		for e, err := range entries {
			if err != nil {
				return
			}
			b.faults <- fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	}()
	go func() {
		for e, err := range calls {
			if err != nil {
				return
			}
			b.faults <- fmt.Sprintf("console.%s", e.Type)
		}
	}()
	go func() {
		for e, err := range thrown {
			if err != nil {
				return
			}
			b.faults <- "exception: " + e.ExceptionDetails.Text
		}
	}()
	_, err := chromedp.Call(ctx, cdplog.Enable, cdp.Empty{})
	b.must(err)
	_, err = chromedp.Call(ctx, network.Enable, network.EnableParams{})
	b.must(err)
	return b
}

func (b *tab) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// view is how the reader sees a page.
type view struct {
	width, height int64
	theme         string // light or dark
	lang          string
}

func (b *tab) as(v view) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: v.width, Height: v.height, DeviceScaleFactor: 1, Mobile: v.width < 600})
	b.must(err)
	_, err = chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: v.theme},
		{Name: "prefers-reduced-motion", Value: "reduce"}}}) // a page that still scrolls is clicked beside the button
	b.must(err)
	_, err = chromedp.Call(b.ctx, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": v.lang}})
	b.must(err)
}

// open goes to a page, which must answer with this status.
func (b *tab) open(address string, status int64) {
	b.t.Helper()
	res, err := chromedp.Run(b.ctx, chromedp.NavigateResponse(address))
	b.must(err)
	if res.Status != status {
		b.t.Errorf("%s: status %d, want %d", address, res.Status, status)
	}
}

func (b *tab) signIn(base string, p person) {
	b.t.Helper()
	b.open(base+"/signin", 200)
	b.must(chromedp.Do(b.ctx, chromedp.SendKeys(chromedp.ID("email"), p.email), chromedp.SendKeys(chromedp.ID("password"), p.password)))
	_, err := chromedp.RunResponse(b.ctx, chromedp.Submit(chromedp.ID("password")))
	b.must(err)
}

// calm fails on anything that the browser complained of, but for the statuses of
// pages that are meant to be errors.
func (b *tab) calm(where string, allowed ...string) {
	b.t.Helper()
	for {
		select {
		case f := <-b.faults:
			ok := strings.Contains(f, "Autofocus processing was blocked") // the test was faster than the page's own focus
			for _, a := range allowed {
				ok = ok || strings.Contains(f, a)
			}
			if !ok {
				b.t.Errorf("%s: %s", where, f)
			}
		default:
			return
		}
	}
}

// fits fails if the page is wider than the window.
func (b *tab) fits(where string) {
	b.t.Helper()
	over, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`(() => {
		const w = document.documentElement.clientWidth;
		if (document.documentElement.scrollWidth <= w) return "";
		const wide = [...document.body.querySelectorAll("*")].filter(e => e.getBoundingClientRect().right > w + 1 && !e.closest(".scroll"));
		return document.documentElement.scrollWidth + " > " + w + ": " + wide.slice(0, 5).map(e => e.tagName + "." + e.className + " " + e.textContent.slice(0, 30)).join(", ");
	})()`))
	b.must(err)
	if over != "" {
		b.t.Errorf("%s: page is wider than the window: %s", where, over)
	}
}

func (b *tab) shoot(name string) {
	b.t.Helper()
	image, err := chromedp.Call(b.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{CaptureBeyondViewport: new(true), OptimizeForSpeed: new(true)})
	b.must(err)
	b.keep(name+".png", image.Data)
}

// keep writes a file into the folder of ATTESTO_ARTIFACTS, else of the test.
func (b *tab) keep(name string, content []byte) (file string) {
	b.t.Helper()
	dir := os.Getenv("ATTESTO_ARTIFACTS")
	if dir == "" {
		dir = b.t.ArtifactDir()
	}
	b.must(os.MkdirAll(dir, 0o755))
	file = filepath.Join(dir, name)
	b.must(os.WriteFile(file, content, 0o644))
	return file
}

// TestPagesInChromium opens every page as its readers do: wide and narrow, light
// and dark, in both languages. The browser must not complain, nothing may be cut
// off, and a picture of each is kept.
func TestPagesInChromium(t *testing.T) {
	needTool(t, "chromium", "chromium-browser", "google-chrome")
	w := seeded(newSite(t, storetest.SQLite(t)))
	admin, operator := w.add(w.customer, store.RoleAdmin), w.add(w.provider, store.RoleOperator)
	told := raised(t, w.site)
	w.deliver()
	w.silenced(told, w.mail.id)
	c, digest := w.signedIn(admin), "/orgs/"+w.customer.ID+"/digest/bk"
	_, shown := w.get(c, digest)
	w.send(c, "POST", digest, seal(t, shown), nil)
	base, org := w.http.URL, "/orgs/"+w.customer.ID
	views := map[string]view{"1440-light": {1440, 900, "light", "en"}, "1440-dark": {1440, 900, "dark", "it"},
		"390-light": {390, 844, "light", "it"}, "390-dark": {390, 844, "dark", "en"}, "2560-light": {2560, 1440, "light", "en"}}
	for name, v := range views {
		t.Run(name, func(t *testing.T) {
			b := newTab(t)
			b.as(v)
			look := func(page string) {
				t.Helper()
				b.fits(page)
				if name != "2560-light" && name != "390-light" { // the same pages again: the rules take their time
					b.accessible(page)
				}
				b.shoot(page + "-" + name)
			}
			// Pages of the same parts as others are opened where the rules are asked, and no more often.
			seen := func(page string) bool {
				return (name == "2560-light" || name == "390-light") && slices.Contains([]string{"digest-confirmed", "alert-hidden", "alert-nobody", "record-storage", "record-accounts"}, page)
			}
			b.open(base+"/signin", 200)
			look("signin")
			b.signIn(base, admin)
			for _, p := range []struct {
				name, path string
				status     int64
			}{
				{"board", org + "/board", 200}, {"duty-check", org + "/duties/PE-P3", 200}, {"duty-review", org + "/duties/SC-C5", 200},
				{"record-backup", path("%s/records/%d", org, w.erpIndex), 200},
				{"record-of-provider", path("/orgs/%s/records/%d", w.provider.ID, w.mailIndex), 200},
				{"duty-statement", org + "/duties/SC-C7", 200}, {"duty-stated", org + "/duties/WH-C2", 200}, {"duty-case", org + "/duties/SC-C3", 200},
				{"cases", org + "/cases", 200}, {"case", org + "/cases/" + w.notice, 200},
				{"agents", org + "/agents", 200}, {"agent", org + "/agents/" + w.erp.id, 200}, {"services", org + "/services", 200}, {"alerts", org + "/alerts", 200}, {"settings", org + "/settings", 200}, {"missing", org + "/nothing", 404},
				{"digest", org + "/digest/sc", 200}, {"digest-confirmed", digest + "?confirmed=1", 200}, {"alert-hidden", org + "/alerts/" + told.ID, 200}, {"need", org + "/need", 200}, {"restores", org + "/restores", 200},
			} {
				if seen(p.name) {
					continue
				}
				b.open(base+p.path, p.status)
				look(p.name)
			}
			b.must(dropCookies(b))
			b.signIn(base, operator)
			for _, p := range []struct{ name, path string }{
				{"home", "/"}, {"record-dnsbl", path("/orgs/%s/records/%d", w.provider.ID, w.mailIndex)}, {"alerts-all", "/orgs/" + w.provider.ID + "/alerts"},
				{"record-storage", path("/orgs/%s/records/%d", w.provider.ID, w.nodeIndex)}, {"record-accounts", path("/orgs/%s/records/%d", w.provider.ID, w.webIndex)},
				{"alert", "/orgs/" + w.provider.ID + "/alerts/" + told.ID}, {"alert-nobody", "/orgs/" + w.provider.ID + "/alerts/" + w.theirsAlert},
				{"cases-all", "/orgs/" + w.provider.ID + "/cases"}, {"case-provider", org + "/cases/" + w.notice},
				{"board-operator", org + "/board"}, {"board-provider", "/orgs/" + w.provider.ID + "/board"},
				{"board-breached", org + "/board?show=breached"}, {"agents-none", "/orgs/" + w.other.ID + "/agents"},
				{"services-set", "/orgs/" + w.other.ID + "/services"}, {"agent-customers", "/orgs/" + w.provider.ID + "/agents/" + w.mail.id},
			} {
				if seen(p.name) {
					continue
				}
				b.open(base+p.path, 200)
				look(p.name)
			}
			b.open(base+"/orgs/"+w.provider.ID+"/agents", 200)
			_, err := chromedp.RunResponse(b.ctx, chromedp.Click(chromedp.CSS("form[action$='/agents/token'] button")))
			b.must(err)
			look("token")
			if v.width == 1440 {
				b.onPaper(v, base+org+"/board", "board-paper", w.customer.Name)
				b.onPaper(v, base+org+"/duties/PE-P3", "duty-paper", w.customer.Name)
			}
			b.calm(name, "404 (Not Found)")
		})
	}
}

// onPaper prints a page, from a dark screen, too: it must be readable, headed by whose it
// is and of when, without what only a screen needs, and whole as another program reads it
// (poppler's pdftotext).
func (b *tab) onPaper(v view, address, name, org string) {
	b.t.Helper()
	b.open(address, 200)
	media := emulation.SetEmulatedMediaParams{Media: "print", Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: v.theme}}}
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, media)
	b.must(err)
	_, err = chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 700, Height: 1010, DeviceScaleFactor: 1}) // A4 less its margins
	b.must(err)
	b.fits(name)
	b.accessible(name)
	faults, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](onPaper))
	b.must(err)
	if faults != "" {
		b.t.Errorf("%s: %s", name, faults)
	}
	words, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](`[...document.querySelectorAll(".paper, h1, h2, h3, .duty .name, .duty .why, .reason, td")].filter(e => e.checkVisibility()).flatMap(e => e.innerText.split(/\s+/)).filter(s => s)`))
	b.must(err)
	a4 := page.PrintToPDFParams{PaperWidth: 8.27, PaperHeight: 11.69, PreferCSSPageSize: new(true), PrintBackground: new(true)}
	pdf, err := chromedp.Call(b.ctx, page.PrintToPDF, a4)
	b.must(err)
	file := b.keep(name+"-"+v.lang+".pdf", pdf.Data)
	text, err := exec.Command(needTool(b.t, "pdftotext"), file, "-").Output()
	b.must(err)
	whole := strings.NewReplacer("-", "", " ", "", "\n", "", "\f", "") // a hyphen at the end of a line is taken for the typesetter's
	printed := whole.Replace(string(text))
	for _, word := range append(words, strings.Fields(org)...) {
		if !strings.Contains(printed, whole.Replace(word)) {
			b.t.Errorf("%s: %q is not on paper", name, word)
		}
	}
	_, err = chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{})
	b.must(err)
	b.as(v)
}

// onPaper tells what a printed page shows that only a screen needs, and what it lacks.
const onPaper = `(() => {
	const seen = css => [...document.querySelectorAll(css)].filter(e => e.checkVisibility());
	const faults = seen("header.top, footer, form, button, input, select, .skip").map(e => "shows " + e.tagName + "." + e.className);
	const head = document.querySelector(".paper").innerText;
	if (!/[0-9]{4}.* [0-9]{2}:[0-9]{2} [A-Z]+/.test(head)) { faults.push("the head says no moment: " + head); }
	seen(".state").filter(e => !e.innerText.trim() || !e.querySelector(".sym")).forEach(e => faults.push("a state by its colour alone: " + e.outerHTML));
	seen(".why, .name, td, h1, h2").filter(e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflow !== "visible").forEach(e => faults.push("cut: " + e.innerText.slice(0, 40)));
	return faults.slice(0, 5).join("; ");
})()`

func dropCookies(b *tab) error {
	_, err := chromedp.Call(b.ctx, network.ClearBrowserCookies, cdp.Empty{})
	return err
}

// What moves on a page moves by itself, and what needs a script works: the board
// shows a new verdict without a click, the theme can be chosen, and a reader whose
// session has ended is sent to sign in.
func TestLiveBoardInChromium(t *testing.T) {
	needTool(t, "chromium", "chromium-browser", "google-chrome")
	w := seeded(newSite(t, storetest.SQLite(t)))
	b := newTab(t)
	b.as(view{1280, 860, "light", "en"})
	b.signIn(w.http.URL, w.add(w.customer, store.RoleAdmin))
	b.open(w.http.URL+"/orgs/"+w.customer.ID+"/board", 200)
	picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	b.must(err)
	b.keep("readme.png", picture)
	b.open(w.http.URL+"/orgs/"+w.customer.ID+"/board?show=breached", 200)
	before, err := chromedp.Run(b.ctx, chromedp.Text(chromedp.ID("live")))
	b.must(err)
	if !strings.Contains(before, "PE-P3") {
		t.Fatalf("no PE-P3 among the breached:\n%s", before)
	}
	w.now = w.now.Add(time.Minute)
	w.mail.sees(whole(lists(false)))
	w.judge()
	b.must(chromedp.Do(b.ctx, chromedp.Evaluate[chromedp.Void](`htmx.ajax("GET", location.pathname + location.search, {source: "#live", target: "#live", select: "#live", swap: "outerHTML"})`)))
	if _, err := chromedp.Run(b.ctx, chromedp.Poll[bool](`!document.getElementById("live").textContent.includes("PE-P3")`)); err != nil {
		t.Errorf("the board still shows PE-P3 as breached: %v", err)
	}
	b.must(chromedp.Do(b.ctx, chromedp.Click(chromedp.ID("theme"))))
	theme, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.documentElement.dataset.bsTheme`))
	b.must(err)
	if theme != "dark" {
		t.Errorf("theme %q after the switch", theme)
	}
	b.must(dropCookies(b))
	b.must(chromedp.Do(b.ctx, chromedp.Evaluate[chromedp.Void](`htmx.ajax("GET", location.pathname, {source: "#live", target: "#live", select: "#live", swap: "outerHTML"})`)))
	if err := chromedp.Do(b.ctx, chromedp.WaitVisible(chromedp.ID("email"))); err != nil {
		t.Errorf("a reader without a session stays: %v", err)
	}
	b.calm("live board", "401 (Unauthorized)", "Response Status Error Code 401", "console.error")
}
