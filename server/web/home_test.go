package web_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// maxWeight is what a page with all that it names may weigh on the wire, in bytes.
const maxWeight = 150_000

// A first visit fetches the page, its style sheets, scripts and picture: all of them
// together stay light, on every page.
func TestPagesAreLight(t *testing.T) {
	w := seeded(newSite(t, storetest.SQLite(t)))
	w.crowd(200)
	c, board := w.signedIn(w.add(w.provider, store.RoleOperator)), "/orgs/"+w.customer.ID
	named := regexp.MustCompile(`(?:src|href)="(/static/[^"]+)"`)
	for _, p := range []string{"/", board + "/board", board + "/duties/PE-P3", path("%s/records/%d", board, w.erpIndex), board + "/agents", board + "/alerts", board + "/cases", "/orgs/" + w.provider.ID + "/board"} {
		weight := func(path string) int {
			t.Helper()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.http.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept-Encoding", "gzip")
			res, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			b, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != http.StatusOK {
				t.Fatalf("%s: status %d (%v)", path, res.StatusCode, err)
			}
			return len(b)
		}
		_, body := w.get(c, p)
		sum, seen := weight(p), map[string]bool{}
		for _, m := range named.FindAllStringSubmatch(body, -1) {
			if !seen[m[1]] {
				seen[m[1]] = true
				sum += weight(m[1])
			}
		}
		if len(seen) < 4 {
			t.Errorf("%s names %d files only: the test proves little", p, len(seen))
		}
		t.Logf("%s: %d bytes", strings.TrimPrefix(p, board), sum)
		if sum > maxWeight {
			t.Errorf("%s weighs %d bytes, want at most %d", p, sum, maxWeight)
		}
	}
}

// The provider's list of customers is worked by keyboard alone: typing narrows it, the
// arrows go through it, Enter opens a board. Without a script the same form and links do.
func TestHomeInChromium(t *testing.T) {
	w := seeded(newSite(t, storetest.SQLite(t)))
	w.crowd(300)
	b := newTab(t)
	for name, v := range map[string]view{"1440": {1440, 900, "light", "en"}, "390": {390, 844, "dark", "it"}} {
		b.as(v)
		if name == "1440" {
			b.signIn(w.http.URL, w.add(w.provider, store.RoleOperator))
		}
		b.open(w.http.URL+"/", 200)
		b.fits("home")
		b.accessible("home")
		b.shoot("home-crowd-" + name)
	}
	b.as(view{1440, 900, "light", "en"})
	b.open(w.http.URL+"/?page=3", 200)
	see := func(what, script string) {
		t.Helper()
		if _, err := chromedp.Run(b.ctx, chromedp.Poll[bool](script)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	see("the third page", `document.querySelector(".pager").textContent.includes("101–150 of 302")`)
	b.must(chromedp.Do(b.ctx, chromedp.SendKeys(chromedp.ID("q"), "cliente 012")))
	see("ten customers", `document.querySelectorAll(".customers tbody tr").length === 10`)
	b.must(chromedp.Do(b.ctx, chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowUp)))
	see("the first row", `document.activeElement === document.querySelector(".customers a.name")`)
	b.open(w.http.URL+"/?q=officine", 200)
	b.must(chromedp.Do(b.ctx, chromedp.SendKeys(chromedp.ID("q"), kb.ArrowDown)))
	_, err := chromedp.RunResponse(b.ctx, chromedp.KeyEvent(kb.Enter))
	b.must(err)
	see("a board", `location.pathname.endsWith("/board")`)
	b.calm("home")

	c := w.signedIn(w.add(w.provider, store.RoleOperator))
	for query, want := range map[string]int{"": 50, "?page=7": 2, "?page=99": 2, "?page=-1": 50, "?q=CLIENTE+0123": 1, "?service=bk&page=7": 1, "?show=nonsense": 50, "?q=%25": 0} {
		_, body := w.get(c, "/"+query)
		if got := strings.Count(body, `<td><a class="name"`); got != want {
			t.Errorf("%q shows %d customers, want %d", query, got, want)
		}
	}
}
