package web_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"

	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// visitor is a person at a tab who looks at what they get.
type visitor struct {
	*tab
	name string // of the view
	base string
}

// look holds a page to what every page is held to, and keeps its picture.
func (v visitor) look(page string) {
	v.t.Helper()
	v.fits(page)
	v.accessible(page)
	v.shoot(page + "-" + v.name)
}

// fill types a text into a field.
func (v visitor) fill(id, text string) {
	v.t.Helper()
	v.must(chromedp.Do(v.ctx, chromedp.SendKeys(chromedp.ID(id), text)))
}

// press clicks what sends a form, and waits for the answer.
func (v visitor) press(css string) {
	v.t.Helper()
	_, err := chromedp.RunResponse(v.ctx, chromedp.Click(chromedp.CSS(css)))
	v.must(err)
}

func (v visitor) text(id string) string {
	v.t.Helper()
	s, err := chromedp.Run(v.ctx, chromedp.Text(chromedp.ID(id)))
	v.must(err)
	return s
}

func (v visitor) at() string {
	v.t.Helper()
	s, err := chromedp.Run(v.ctx, chromedp.Evaluate[string]("location.pathname"))
	v.must(err)
	return s
}

// eachView runs a story as two readers see it.
func eachView(t *testing.T, base string, story func(v visitor)) {
	needTool(t, "chromium", "chromium-browser", "google-chrome")
	for name, how := range map[string]view{"1440-light": {1440, 900, "light", "en"}, "390-dark": {390, 844, "dark", "it"}} {
		t.Run(name, func(t *testing.T) {
			b := newTab(t)
			b.as(how)
			story(visitor{b, name, base})
			b.calm(name, "Autofocus processing was blocked", "409 (Conflict)")
		})
	}
}

// An administrator invites somebody, who makes an account, changes its password and
// forgets it.
func TestAccountsInChromium(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	admin := s.add(s.customer, store.RoleAdmin)
	eachView(t, s.http.URL, func(v visitor) {
		v.signIn(v.base, admin)
		v.open(v.base+"/orgs/"+s.customer.ID+"/users", 200)
		email := v.name + "@bianchi.example"
		v.fill("email", email)
		v.press("section form button.btn-primary")
		v.look("users")
		v.press("form[action$='/second'] button")
		v.look("users-second")
		v.open(v.base+"/orgs/"+s.customer.ID+"/tokens", 200)
		v.fill("name", "ci")
		v.press("section form button.btn-primary")
		v.look("tokens")
		v.open(v.base+"/orgs/"+s.customer.ID+"/activity", 200)
		v.look("activity")
		v.open(v.base+"/orgs/"+s.customer.ID+"/users", 200)
		v.fill("email", email)
		v.press("section form button.btn-primary")
		link := letterGot{body: v.text("link")}.link(v.t)
		v.must(dropCookies(v.tab))
		v.open(v.base+link, 200)
		v.look("invitation")
		v.fill("name", "Ugo Neri")
		v.fill("new", goodPassword)
		v.fill("again", goodPassword)
		v.press("main form button.btn-primary")
		if at := v.at(); at != "/orgs/"+s.customer.ID+"/board" {
			v.t.Errorf("the new account comes to %s", at)
		}
		v.open(v.base+"/settings", 200)
		v.look("settings")
		s.asksSecond(s.customer, 1)
		v.open(v.base+"/settings", 200)
		v.look("settings-owed")
		s.asksSecond(s.customer, 0)
		v.open(v.base+"/settings", 200)
		v.fill("current", goodPassword)
		v.fill("new", goodPassword+" x")
		v.fill("again", goodPassword+" x")
		v.press("form[action='/settings/password'] button")
		v.look("settings-done")
		v.open(v.base+"/settings", 200)
		v.must(chromedp.Do(v.ctx, chromedp.Click(chromedp.CSS("details:has(form[action='/settings/totp/new']) summary"))))
		v.fill("sure-totp-new", goodPassword+" x")
		v.press("form[action='/settings/totp/new'] button")
		v.look("totp")
		secret := strings.ReplaceAll(v.text("secret"), " ", "")
		v.fill("code", s.code(secret))
		s.asksSecond(s.customer, map[string]float64{"390-dark": 1}[v.name]) // then it is the way on
		v.press("form[action='/settings/totp'] button")
		v.look("totp-done")
		s.asksSecond(s.customer, 0)
		v.must(dropCookies(v.tab))
		v.open(v.base+"/reset", 200)
		v.look("reset")
		v.signIn(v.base, person{email: email, password: goodPassword + " x"})
		v.look("second")
		code, err := totp.GenerateCode(secret, s.now.Add(30*time.Second)) // the step of now was taken
		v.must(err)
		v.fill("code", code)
		v.press("main form button.btn-primary")
		v.open(v.base+"/settings", 200)
	})
}

// A server that nobody can sign in to is set up by its own pages: provider and account,
// first customer, first token.
func TestSetUpInChromium(t *testing.T) {
	eachView(t, "", func(v visitor) {
		cfg := server.DefaultConfig()
		cfg.Name = "proof.example"
		s := emptySite(v.t, storetest.SQLite(v.t), cfg)
		link, err := s.srv.SetupLink(context.Background(), s.http.URL)
		v.must(err)
		v.open(link, 200)
		v.look("setup")
		for id, text := range map[string]string{"org": "Nordest Hosting", "name": "Olga Ferri", "email": "olga@nordest.example", "new": goodPassword, "again": goodPassword} {
			v.fill(id, text)
		}
		v.press("main form button.btn-primary")
		v.look("customer-first")
		v.fill("org", "Officine Bianchi")
		v.press("main form button.btn-primary")
		v.look("customer-added")
		if command := v.text("enroll-deb"); !strings.Contains(command, "attesto-agent enroll --server "+s.http.URL+" --token att1.") {
			v.t.Errorf("the command to enroll: %q", command)
		}
		v.open(s.http.URL+"/", 200)
		v.look("home-first")
		v.open(link, 404)
		for len(v.faults) > 0 {
			if f := <-v.faults; !strings.Contains(f, "404 (Not Found)") && !strings.Contains(f, "Autofocus") {
				v.t.Error(f)
			}
		}
	})
}
