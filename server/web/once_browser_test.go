package web_test

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// sentTimes sends a form twice, as a double click does over a slow line, and returns how
// often the browser would have: the first answer is on its way then, and what it is about
// was done.
const sentTimes = `(() => {
	let n = 0;
	addEventListener("submit", e => { n += e.defaultPrevented ? 0 : 1; e.preventDefault(); });
	const form = document.querySelector('form[action$="/workflows/incident"]');
	form.querySelector("[name=title]").value = "Logins at night";
	form.requestSubmit();
	form.requestSubmit();
	return n;
})()`

// Who clicks twice opens one case, and sends one notice.
func TestClickedTwiceInChromium(t *testing.T) {
	needTool(t, "chromium", "chromium-browser", "google-chrome")
	s := newSite(t, storetest.SQLite(t))
	b := newTab(t)
	b.as(view{1280, 860, "light", "en"})
	b.signIn(s.http.URL, s.add(s.customer, store.RoleAdmin))
	b.open(s.http.URL+"/orgs/"+s.customer.ID+"/cases", 200)
	n, err := chromedp.Run(b.ctx, chromedp.Evaluate[int](sentTimes))
	b.must(err)
	if n != 1 {
		t.Errorf("two clicks send a form %d times", n)
	}
	b.calm("two clicks")
}
