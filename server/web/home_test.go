package web_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// maxWeight is what a page with all that it names may weigh on the wire, in bytes.
const maxWeight = 150_000

// A first visit fetches the page, its style sheets, scripts and picture: all of them
// together stay light, on every page, with hundreds of customers, a year behind each duty
// and a host of thousands of packages.
func TestPagesAreLight(t *testing.T) {
	w := seeded(newSite(t, storetest.SQLite(t)))
	w.year()
	w.crowd(300)
	w.now = w.now.Add(time.Minute)
	heavy := w.erp.sees(whole(packages(w.now, 3000)), whole(backups(w.now, "gestionale", 400, 0)), whole(events(w.now, 240)))
	board, own := "/orgs/"+w.customer.ID, "/orgs/"+w.provider.ID
	pages := []string{"/", "/?page=7", "/settings", "/customers/new", board + "/board?at=" + w.now.AddDate(0, 0, -1).Format(time.DateOnly), path("%s/records/%d", board, heavy),
		board + "/digest/sc", board + "/cases/" + w.notice, own + "/cases/" + w.vendor, board + "/agents/" + w.erp.id, own + "/agents/" + w.mail.id, board + "/need", board + "/restores"}
	for _, i := range []int64{0, w.mailIndex, w.webIndex, w.nodeIndex, w.vaultIndex} {
		pages = append(pages, path("%s/records/%d", own, i))
	}
	for _, d := range w.srv.Catalogue().Duties() {
		pages = append(pages, board+"/duties/"+d.ID)
	}
	for _, page := range []string{"board", "agents", "alerts", "cases", "services", "settings", "users", "tokens", "activity"} {
		pages = append(pages, board+"/"+page, own+"/"+page)
	}
	c, most, named := w.signedIn(w.add(w.provider, store.RoleAdmin)), map[string]int{}, regexp.MustCompile(`(?:src|href)="(/static/[^"]+)"`)
	beside := map[string]int{}
	for _, p := range pages {
		sum, body := w.weight(c, p)
		seen := map[string]bool{}
		for _, m := range named.FindAllStringSubmatch(body, -1) {
			if beside[m[1]] == 0 {
				beside[m[1]], _ = w.weight(c, m[1])
			}
			if !seen[m[1]] {
				seen[m[1]] = true
				sum += beside[m[1]]
			}
		}
		if len(seen) < 4 {
			t.Errorf("%s names %d files only: the test proves little", p, len(seen))
		}
		if sum > maxWeight {
			t.Errorf("%s weighs %d bytes, want at most %d", p, sum, maxWeight)
		}
		most[p] = sum
	}
	slices.SortFunc(pages, func(x, y string) int { return most[y] - most[x] })
	for _, p := range pages[:10] {
		t.Logf("%s: %d bytes", p, most[p])
	}
	t.Logf("%d pages; what they name weighs %v bytes", len(pages), beside)
}

// weight is what an answer weighs on the wire, and what it says.
func (s *site) weight(c *http.Client, path string) (bytes int, body string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.http.URL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "gzip")
	res, err := c.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	wire := &counter{r: res.Body}
	var plain io.Reader = wire
	if res.Header.Get("Content-Encoding") == "gzip" {
		if plain, err = gzip.NewReader(wire); err != nil {
			s.t.Fatal(err)
		}
	}
	b, err := io.ReadAll(plain)
	if err != nil || res.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: status %d (%v)", path, res.StatusCode, err)
	}
	return wire.n, string(b)
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += n
	return n, err
}

// packages are those of a host that has many.
func packages(at time.Time, n int) evidence.Software {
	f := software(at, "nginx", 40)
	for i := range n {
		f.Packages = append(f.Packages, evidence.Package{Manager: "dpkg", Name: path("lib%x%d", evidence.Sum([]byte{byte(i), byte(i >> 8)}).String()[7:13], i), Version: path("%d.%d.%d-1+deb12u%d", i%9, i%31, i%7, i%5)})
	}
	slices.SortFunc(f.Packages, func(x, y evidence.Package) int { return strings.Compare(x.Name, y.Name) })
	return f
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
