package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
	"github.com/attesto/attesto/server/web"
)

func TestSignInAndOut(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		s := newSite(t, dsn)
		p := s.add(s.customer, store.RoleAdmin)
		c := s.browser()
		board := "/orgs/" + s.customer.ID + "/board"
		res, _ := s.get(c, board)
		if where := res.Header.Get("Location"); res.StatusCode != http.StatusSeeOther || where != "/signin?next="+url.QueryEscape(board) {
			t.Fatalf("a stranger is sent to %q (status %d)", where, res.StatusCode)
		}
		res, body := s.send(c, "POST", "/signin", url.Values{"email": {p.email}, "password": {"not the password"}}, nil)
		if res.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "password is wrong") || len(c.Jar.Cookies(res.Request.URL)) != 0 {
			t.Errorf("wrong password: status %d, cookies %v", res.StatusCode, c.Jar.Cookies(res.Request.URL))
		}
		res, _ = s.send(c, "POST", "/signin", url.Values{"email": {strings.ToUpper(p.email)}, "password": {p.password}, "next": {board}}, nil)
		if where := res.Header.Get("Location"); res.StatusCode != http.StatusSeeOther || where != board {
			t.Fatalf("signed in: status %d, sent to %q", res.StatusCode, where)
		}
		cookie := res.Header.Get("Set-Cookie")
		for _, want := range []string{"attesto=", "HttpOnly", "SameSite=Lax", "Path=/"} {
			if !strings.Contains(cookie, want) {
				t.Errorf("cookie %q lacks %s", cookie, want)
			}
		}
		if res, body = s.get(c, board); res.StatusCode != http.StatusOK || !strings.Contains(body, "PE-P3") {
			t.Errorf("board: status %d", res.StatusCode)
		}
		old := c.Jar.Cookies(res.Request.URL)
		if res, _ = s.send(c, "POST", "/signout", nil, nil); res.StatusCode != http.StatusSeeOther {
			t.Errorf("signing out: status %d", res.StatusCode)
		}
		c.Jar.SetCookies(res.Request.URL, old)
		if res, _ = s.get(c, board); res.StatusCode != http.StatusSeeOther {
			t.Errorf("the old session still opens the board (status %d)", res.StatusCode)
		}
	})
}

// The session that a browser had before signing in, perhaps planted by someone
// else, is not the one that is signed in.
func TestPlantedSessionIsNotSignedIn(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	p := s.add(s.customer, store.RoleAdmin)
	attacker := s.signedIn(s.add(s.other, store.RoleAdmin))
	u, err := url.Parse(s.http.URL)
	if err != nil {
		t.Fatal(err)
	}
	for name, planted := range map[string][]*http.Cookie{"made up": {{Name: "attesto", Value: "chosen-by-me"}}, "the attacker's own": attacker.Jar.Cookies(u)} {
		victim := s.browser()
		victim.Jar.SetCookies(u, planted)
		if res, _ := s.send(victim, "POST", "/signin", url.Values{"email": {p.email}, "password": {p.password}}, nil); res.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s: status %d", name, res.StatusCode)
		}
		if slices.ContainsFunc(victim.Jar.Cookies(u), func(c *http.Cookie) bool { return c.Value == planted[0].Value }) {
			t.Errorf("%s: the session kept its token", name)
		}
		thief := s.browser()
		thief.Jar.SetCookies(u, planted)
		if res, _ := s.get(thief, "/orgs/"+s.customer.ID+"/board"); res.StatusCode == http.StatusOK {
			t.Errorf("%s: the planted token opens the victim's board", name)
		}
	}
}

func TestForeignSitesCannotPost(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	c := s.signedIn(s.add(s.customer, store.RoleAdmin))
	paths := []string{"/signout", "/language", "/orgs/" + s.customer.ID + "/agents/token", "/orgs/" + s.customer.ID + "/duties/SC-C5/review",
		"/api/v1/orgs/" + s.customer.ID + "/duties/SC-C5/review"}
	for _, p := range paths {
		for name, header := range map[string]map[string]string{"cross-site": {"Sec-Fetch-Site": "cross-site"}, "same-site": {"Sec-Fetch-Site": "same-site"},
			"old browser": {"Sec-Fetch-Site": "", "Origin": "https://evil.example"}} {
			res, body := s.send(c, "POST", p, url.Values{"lang": {"it"}}, header)
			if res.StatusCode != http.StatusForbidden || !strings.Contains(body, "another site") {
				t.Errorf("%s %s: status %d", name, p, res.StatusCode)
			}
		}
	}
	if res, _ := s.get(c, "/orgs/"+s.customer.ID+"/agents"); res.StatusCode != http.StatusOK {
		t.Errorf("the session did not survive (status %d)", res.StatusCode)
	}
}

func TestDisabledUserIsOut(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	ctx := context.Background()
	p := s.add(s.customer, store.RoleAdmin)
	c := s.signedIn(p)
	u, err := s.store.UserByEmail(ctx, p.email)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.DisableUser(ctx, u.ID, s.now) }); err != nil {
		t.Fatal(err)
	}
	if res, _ := s.get(c, "/orgs/"+s.customer.ID+"/board"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("an open session goes on (status %d)", res.StatusCode)
	}
	if res, _ := s.send(s.browser(), "POST", "/signin", url.Values{"email": {p.email}, "password": {p.password}}, nil); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("signing in: status %d", res.StatusCode)
	}
}

// Guessing is slowed, and an attacker elsewhere does not lock out the owner.
func TestGuessingIsSlowed(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	l := web.NewLimits(func() time.Time { return now })
	for i := range 5 {
		if !l.Allow("192.0.2.1", "a@x") {
			t.Fatalf("try %d is refused", i)
		}
	}
	if l.Allow("192.0.2.1", "a@x") {
		t.Error("the sixth try for one account from one address goes on")
	}
	if !l.Allow("192.0.2.1", "b@x") {
		t.Error("another account is refused")
	}
	for i := range 40 {
		l.Allow("192.0.2.2", fmt.Sprintf("u%d@x", i))
	}
	if l.Allow("192.0.2.2", "new@x") {
		t.Error("an address that tries many accounts goes on")
	}
	l.Passed("198.51.100.1", "owner@x")
	for i := range 60 {
		l.Allow(fmt.Sprintf("203.0.113.%d", i), "owner@x")
	}
	if l.Allow("203.0.113.99", "owner@x") {
		t.Error("an account that is tried from many addresses is not slowed")
	}
	if !l.Allow("198.51.100.1", "owner@x") {
		t.Error("the owner is locked out")
	}
	now = now.Add(11 * time.Minute)
	if !l.Allow("192.0.2.1", "a@x") || !l.Allow("203.0.113.99", "owner@x") {
		t.Error("a limit holds on after its window")
	}
	for i := range 300_000 {
		l.Allow(fmt.Sprint(i), fmt.Sprint(i))
	}
	if n := l.Remembered(); n > 160_000 {
		t.Errorf("%d tries are remembered", n)
	}
}

func TestSignInIsLimited(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	p := s.add(s.customer, store.RoleAdmin)
	c := s.browser()
	for range 5 {
		s.send(c, "POST", "/signin", url.Values{"email": {p.email}, "password": {"guess"}}, nil)
	}
	res, body := s.send(c, "POST", "/signin", url.Values{"email": {p.email}, "password": {p.password}}, nil)
	if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") == "" || !strings.Contains(body, "Too many tries") {
		t.Errorf("status %d", res.StatusCode)
	}
	// Behind a proxy on this host the address is the one that the proxy names, and
	// what the client itself wrote before it does not count.
	res, _ = s.send(c, "POST", "/signin", url.Values{"email": {p.email}, "password": {p.password}}, map[string]string{"X-Forwarded-For": "127.0.0.1, 198.51.100.7"})
	if res.StatusCode != http.StatusSeeOther {
		t.Errorf("from another address: status %d", res.StatusCode)
	}
}

// Unknown users take as long as known ones: the medians lie close together, far
// from what no hashing at all takes.
func TestUnknownUsersTakeAsLong(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	p := s.add(s.customer, store.RoleAdmin)
	took := map[string][]time.Duration{}
	for i := range 9 {
		for name, email := range map[string]string{"known": p.email, "unknown": "nobody@example.com"} {
			start := time.Now()
			res, _ := s.send(s.browser(), "POST", "/signin", url.Values{"email": {email}, "password": {"a wrong password"}},
				map[string]string{"X-Forwarded-For": fmt.Sprintf("198.51.100.%d", i)})
			took[name] = append(took[name], time.Since(start))
			if res.StatusCode != http.StatusUnauthorized {
				t.Fatalf("status %d", res.StatusCode)
			}
		}
	}
	median := func(name string) time.Duration {
		slices.Sort(took[name])
		return took[name][len(took[name])/2]
	}
	known, unknown := median("known"), median("unknown")
	if ratio := float64(unknown) / float64(known); ratio < 0.4 || ratio > 2.5 {
		t.Errorf("a known user takes %s, an unknown one %s", known, unknown)
	}
}

func TestPasswords(t *testing.T) {
	for password, ok := range map[string]bool{"correct horse battery": true, "short": false, "aaaaaaaaaaaaaaaaaa": false, "xx anna.rossi 2026 xx": false,
		strings.Repeat("long", 100): false, "pass wörter sind länger": true} {
		if err := web.CheckNewPassword(password, "Anna.Rossi@example.com"); (err == nil) != ok {
			t.Errorf("%q: %v", password, err)
		}
	}
	hash, err := web.HashPassword("correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	again, err := web.HashPassword("correct horse battery")
	if err != nil || hash == again {
		t.Errorf("two hashes of one password are the same (%v)", err)
	}
	for _, c := range []struct {
		password, hash string
		holds          bool
	}{
		{"correct horse battery", hash, true}, {"Correct horse battery", hash, false}, {"", hash, false}, {"correct horse battery", "", false},
		{"x", "$argon2id$v=19$m=99999999,t=2,p=1$c2FsdA$a2V5", false}, {"x", "$argon2id$v=19$m=19456,t=2,p=0$c2FsdA$a2V5", false},
		{"x", "$argon2i$v=19$m=19456,t=2,p=1$c2FsdA$a2V5", false}, {"x", "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$", false},
	} {
		if web.PasswordHolds(c.password, c.hash) != c.holds {
			t.Errorf("%q with %q: want %v", c.password, c.hash, c.holds)
		}
	}
}

// A redirect after signing in stays on this server.
func TestRedirectsStayHere(t *testing.T) {
	for next, want := range map[string]string{"/orgs/x/board?show=breached": "/orgs/x/board?show=breached", "": "/", "//evil.example": "/", "https://evil.example/": "/",
		`/\evil.example`: "/", "javascript:alert(1)": "/", "evil": "/", "/a\r\nSet-Cookie: x": "/", "/%2f%2fevil": "/%2f%2fevil", "/\t/evil.example": "/"} {
		if got := web.Local(next); got != want {
			t.Errorf("%q becomes %q, want %q", next, got, want)
		}
	}
}

func TestLanguageFollowsTheBrowserAndTheChoice(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	c := s.browser()
	for accept, lang := range map[string]string{"": "en", "it-IT,it;q=0.9,en;q=0.5": "it", "de,it;q=0.3": "it", "de": "en", "en-GB": "en", "*": "en", strings.Repeat("x", 9000): "en"} {
		_, body := s.send(c, "GET", "/signin", nil, map[string]string{"Accept-Language": accept})
		if !strings.Contains(body, `<html lang="`+lang+`">`) {
			t.Errorf("Accept-Language %.20q is not answered in %s", accept, lang)
		}
	}
	if res, _ := s.send(c, "POST", "/language", url.Values{"lang": {"it"}, "next": {"/signin"}}, nil); res.Header.Get("Location") != "/signin" {
		t.Errorf("sent to %q", res.Header.Get("Location"))
	}
	if _, body := s.send(c, "GET", "/signin", nil, map[string]string{"Accept-Language": "en"}); !strings.Contains(body, `<html lang="it">`) {
		t.Error("the choice is forgotten")
	}
	if res, _ := s.send(c, "POST", "/language", url.Values{"lang": {"xx"}}, nil); res.StatusCode != http.StatusBadRequest {
		t.Errorf("an unknown language: status %d", res.StatusCode)
	}
}

// With a public address on https, cookies go over TLS only.
func TestCookiesOfAnHTTPSSite(t *testing.T) {
	cfg := server.DefaultConfig()
	cfg.Name, cfg.PublicURL = "proof.example", "https://proof.example"
	s := newSiteWith(t, storetest.SQLite(t), cfg)
	p := s.add(s.customer, store.RoleAdmin)
	for path, form := range map[string]url.Values{"/signin": {"email": {p.email}, "password": {p.password}}, "/language": {"lang": {"it"}}} {
		res, _ := s.send(s.browser(), "POST", path, form, map[string]string{"Origin": "https://proof.example", "Sec-Fetch-Site": ""})
		cookie := res.Header.Get("Set-Cookie")
		if res.StatusCode != http.StatusSeeOther || !strings.Contains(cookie, "Secure") || !strings.Contains(cookie, "HttpOnly") {
			t.Errorf("%s: status %d, cookie %q", path, res.StatusCode, cookie)
		}
	}
}
