package web_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// watchFocus notes where the focus goes, and what is wrong with how it shows there. It
// returns how many times Tab must be pressed to be back at the beginning: fields of days
// have stops of their own, which nobody is told of.
const watchFocus = `(() => {
	const groups = e => [...document.getElementsByName(e.name)].filter(r => r.form === e.form);
	const stops = e => e.tabIndex >= 0 && !e.disabled && e.type !== "hidden" && e.checkVisibility({visibilityProperty: true}) &&
		(e.type !== "radio" || e.checked || !groups(e).some(r => r.checked) && groups(e)[0] === e);
	const pen = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
	const rgba = c => { pen.clearRect(0, 0, 1, 1); pen.fillStyle = c; pen.fillRect(0, 0, 1, 1); return pen.getImageData(0, 0, 1, 1).data; };
	const light = c => { const [r, g, b] = [...c].slice(0, 3).map(v => v / 255 <= .04045 ? v / 255 / 12.92 : ((v / 255 + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
	const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
	const ground = e => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] > 250) return c; } return [255, 255, 255]; };
	const name = e => e.tagName + (e.id ? "#" + e.id : "") + "." + e.className + " " + (e.textContent || e.name || "").trim().slice(0, 30);
	const want = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")].filter(stops);
	const seen = [], faults = new Set();
	if (document.activeElement !== document.body) { document.activeElement.blur(); }
	window.walked = () => {
		const at = seen.map(e => want.indexOf(e)).filter(i => i >= 0);
		if (!want.length || want[0].className !== "skip") { faults.add("the skip link does not come first"); }
		want.filter(e => !seen.includes(e)).forEach(e => faults.add("no stop at " + name(e)));
		at.forEach((i, n) => { if (n && i !== (at[n - 1] + 1) % want.length) { faults.add("out of order: " + name(want[at[n - 1]]) + " → " + name(want[i])); } });
		return [...faults].slice(0, 20).join("\n");
	};
	document.addEventListener("focusin", event => {
		const e = event.target, s = getComputedStyle(e), box = e.getBoundingClientRect();
		if (seen.includes(e)) { return; }
		seen.push(e);
		const width = s.outlineStyle === "none" ? 0 : parseFloat(s.outlineWidth), offset = parseFloat(s.outlineOffset), out = width + offset;
		if (width < 2) { faults.add("no outline: " + name(e) + " " + s.outline); return; }
		if (contrast(rgba(s.outlineColor), ground(offset < 0 ? e : e.parentElement)) < 3 || rgba(s.outlineColor)[3] < 250) { faults.add("pale outline: " + name(e) + " " + s.outlineColor); }
		if (box.width < 1 || box.height < 1 || box.right < 1 || box.left > innerWidth) { faults.add("out of sight: " + name(e)); }
		for (let p = e.parentElement; p; p = p.parentElement) {
			const r = p.getBoundingClientRect();
			if (getComputedStyle(p).overflowX !== "visible" && (box.left - out < r.left - .5 || box.right + out > r.right + .5 || box.top - out < r.top - .5 || box.bottom + out > r.bottom + .5)) { faults.add("outline cut off: " + name(e) + " by " + name(p)); }
		}
	});
	return want.length + want.filter(e => e.type === "date").length * 3 + want.filter(e => e.type === "datetime-local").length * 6 + 2;
})()`

// walks goes around a page with Tab alone: the skip link comes first, nothing is left out,
// the order is the page's, each stop shows that it has the focus, and none holds it.
func (b *tab) walks(where string) {
	b.t.Helper()
	times, err := chromedp.Run(b.ctx, chromedp.Evaluate[int](watchFocus))
	b.must(err)
	b.must(chromedp.Do(b.ctx, chromedp.KeyEvent(strings.Repeat(kb.Tab, times))))
	faults, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("walked()"))
	b.must(err)
	if faults != "" {
		b.t.Errorf("%s by keyboard:\n%s", where, faults)
	}
}

// holds waits until something is true of the page.
func (b *tab) holds(what, script string) {
	b.t.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.Poll[bool](script)); err != nil {
		b.t.Errorf("%s: %v", what, err)
	}
}

func (b *tab) keys(keys ...string) {
	b.t.Helper()
	for _, k := range keys {
		b.must(chromedp.Do(b.ctx, chromedp.KeyEvent(k)))
	}
}

// Every page can be used without a mouse, and shows where one is.
func TestKeyboardInChromium(t *testing.T) {
	needTool(t, "chromium", "chromium-browser", "google-chrome")
	w := seeded(newSite(t, storetest.SQLite(t)))
	b, base, org := newTab(t), w.http.URL, "/orgs/"+w.customer.ID
	b.as(view{1440, 900, "light", "en"})
	b.open(base+"/signin", 200)
	b.walks("signin")
	b.signIn(base, w.add(w.customer, store.RoleAdmin))
	for _, p := range []struct{ name, path string }{
		{"board", org + "/board"}, {"board then", org + "/board?at=" + w.now.Format("2006-01-02")}, {"duty", org + "/duties/SC-C5"}, {"duty with statement", org + "/duties/SC-C7"},
		{"record", path("%s/records/%d", org, w.erpIndex)}, {"settings", "/settings"}, {"organisation's settings", org + "/settings"}, {"users", org + "/users"},
		{"agents", org + "/agents"}, {"alerts", org + "/alerts"}, {"cases", org + "/cases"}, {"case", org + "/cases/" + w.notice}, {"need", org + "/need"},
	} {
		b.open(base+p.path, 200)
		b.walks(p.name)
	}
	b.stays(base + org + "/board")
	b.must(dropCookies(b))
	b.as(view{390, 844, "dark", "it"})
	b.signIn(base, w.add(w.provider, store.RoleOperator))
	for _, path := range []string{"/", org + "/board", org + "/duties/PE-P3"} {
		b.open(base+path, 200)
		b.walks("narrow " + path)
	}
	b.calm("keyboard")
}

// stays tries what moves on a page: the skip link leads past the head, Escape folds what
// was unfolded, and a board that renews itself leaves the focus and what is open.
func (b *tab) stays(board string) {
	b.t.Helper()
	b.open(board, 200)
	b.keys(kb.Tab, kb.Enter)
	b.holds("the skip link", `document.activeElement.id === "main"`)
	b.keys(kb.Tab)
	b.holds("the first stop of the page", `document.activeElement === document.querySelector("#main a, #main button, #main summary")`)
	b.must(chromedp.Do(b.ctx, chromedp.Focus(chromedp.CSS(".look-back summary"))))
	b.keys(kb.Enter)
	b.holds("unfolded", `document.querySelector(".look-back").open`)
	b.keys(kb.Tab)
	const renew = `document.querySelector("#live").old = true; htmx.ajax("GET", location.pathname, {source: "#live", target: "#live", select: "#live", swap: "outerHTML"})`
	b.must(chromedp.Do(b.ctx, chromedp.Evaluate[chromedp.Void](renew)))
	b.holds("renewed, and still there", `!document.querySelector("#live").old && document.querySelector(".look-back").open && document.activeElement === document.querySelector(".look-back a")`)
	b.keys(kb.Escape)
	b.holds("folded", `!document.querySelector(".look-back").open && document.activeElement === document.querySelector(".look-back summary")`)
	b.must(chromedp.Do(b.ctx, chromedp.Focus(chromedp.CSS(".duties a[href$='/duties/SC-C5']"))))
	b.must(chromedp.Do(b.ctx, chromedp.Evaluate[chromedp.Void](renew)))
	b.holds("the same duty", `!document.querySelector("#live").old && document.activeElement === document.querySelector(".duties a[href$='/duties/SC-C5']")`)
	_, err := chromedp.RunResponse(b.ctx, chromedp.KeyEvent(kb.Enter))
	b.must(err)
	b.holds("the duty's page", `location.pathname.endsWith("/duties/SC-C5")`)
}
