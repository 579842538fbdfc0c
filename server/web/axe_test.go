package web_test

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// axeScript is axe-core, which knows the rules of WCAG; see testdata/axe.
var axeScript = sync.OnceValues(func() (string, error) {
	b, err := os.ReadFile("testdata/axe/axe.min.js")
	return string(b), err
})

// accessible fails on whatever of a page breaks a rule of WCAG 2.2 A or AA, and
// names rule and element.
func (b *tab) accessible(where string) {
	b.t.Helper()
	if faults := b.axe(); faults != "" {
		b.t.Errorf("%s: not accessible:\n%s", where, faults)
	}
}

func (b *tab) axe() string {
	b.t.Helper()
	script, err := axeScript()
	b.must(err)
	b.must(chromedp.Do(b.ctx, chromedp.Evaluate[chromedp.Void](script+";0")))
	faults, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`axe.run(document, {
		resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
	}).then(r => r.violations.flatMap(v => v.nodes.slice(0, 3).map(n => v.id + ": " + n.html.slice(0, 160) + " " +
		n.any.concat(n.all, n.none).map(c => c.message).join("; ").slice(0, 200))).join("\n"))`, chromedp.EvalAwaitPromise))
	b.must(err)
	return faults
}

// The rules find a fault that is planted, so that silence means something.
func TestAxeFindsAFault(t *testing.T) {
	b := newTab(t)
	b.open("data:text/html,<html lang=en><title>x</title><main><h1>x</h1><img src=x><p style='color:%23ccc;background:white'>pale</p></main>", 200)
	for _, rule := range []string{"image-alt", "color-contrast"} {
		if faults := b.axe(); !strings.Contains(faults, rule) {
			t.Errorf("no %s among %q", rule, faults)
		}
	}
}
