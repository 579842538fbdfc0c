package web_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

var (
	shownSecret = regexp.MustCompile(`id="secret">([A-Z2-7 ]+)<`)
	shownCode   = regexp.MustCompile(`<li>([a-z2-7]{4}(?:-[a-z2-7]{4}){3})</li>`)
)

// code is what an app shows now for a secret.
func (s *site) code(secret string) string {
	s.t.Helper()
	code, err := totp.GenerateCode(secret, s.now)
	if err != nil {
		s.t.Fatal(err)
	}
	return code
}

// withClock turns clock codes on in a browser, and returns secret and recovery codes.
func (s *site) withClock(c *http.Client, p person) (secret string, recovery []string) {
	t := s.t
	t.Helper()
	res, body := s.send(c, "POST", "/settings/totp/new", url.Values{"current": {p.password}}, nil)
	m := shownSecret.FindStringSubmatch(body)
	if res.StatusCode != http.StatusOK || m == nil || !strings.Contains(body, `src="data:image/png;base64,`) {
		t.Fatalf("no secret is shown: status %d", res.StatusCode)
	}
	secret = strings.ReplaceAll(m[1], " ", "")
	res, body = s.send(c, "POST", "/settings/totp", url.Values{"code": {s.code(secret)}}, nil)
	for _, code := range shownCode.FindAllStringSubmatch(body, -1) {
		recovery = append(recovery, code[1])
	}
	if res.StatusCode != http.StatusOK || len(recovery) != 10 {
		t.Fatalf("confirming: status %d, %d recovery codes", res.StatusCode, len(recovery))
	}
	return secret, recovery
}

// half is a browser in which somebody said the password and owes the code.
func (s *site) half(p person) *http.Client {
	s.t.Helper()
	c := s.browser()
	res, _ := s.send(c, "POST", "/signin", url.Values{"email": {p.email}, "password": {p.password}, "next": {"/settings"}}, nil)
	if where := res.Header.Get("Location"); where != "/signin/second" {
		s.t.Fatalf("sent to %q (status %d)", where, res.StatusCode)
	}
	return c
}

func TestClockCodes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		s := newSite(t, dsn)
		p := s.add(s.customer, store.RoleAdmin)
		here, elsewhere := s.signedIn(p), s.signedIn(p)
		if res, body := s.send(here, "POST", "/settings/totp/new", url.Values{"current": {"a guess"}}, nil); res.StatusCode != http.StatusBadRequest || shownSecret.MatchString(body) {
			t.Errorf("without the password: status %d", res.StatusCode)
		}
		before := s.cookie(here)
		secret, recovery := s.withClock(here, p)
		if s.cookie(here) == before || !s.in(here) || s.in(elsewhere) {
			t.Errorf("token kept: %v; in here: %v, in elsewhere: %v", s.cookie(here) == before, s.in(here), s.in(elsewhere))
		}
		enter := func(c *http.Client, code string) int {
			res, _ := s.send(c, "POST", "/signin/second", url.Values{"code": {code}}, nil)
			return res.StatusCode
		}
		first := s.code(secret)
		c := s.half(p)
		if s.in(c) {
			t.Fatal("the password alone lets in")
		}
		if got := enter(c, first); got != http.StatusUnauthorized || s.in(c) {
			t.Errorf("the code that confirmed it is taken again: status %d", got)
		}
		s.now = s.now.Add(30 * time.Second)
		code, old := s.code(secret), s.cookie(c)
		if got := enter(c, code); got != http.StatusSeeOther || !s.in(c) {
			t.Errorf("the right code: status %d", got)
		}
		if s.cookie(c) == old {
			t.Error("the session kept its token with the second factor")
		}
		again := s.half(p)
		for name, code := range map[string]string{"replayed": code, "older": first, "none": "", "wrong": "000000", "letters": "abcdef", "long": strings.Repeat("1", 5000)} {
			if got := enter(again, code); got == http.StatusSeeOther || s.in(again) {
				t.Errorf("a code that is %s: status %d", name, got)
			}
		}
		s.now = s.now.Add(11 * time.Minute) // a new window of tries
		again = s.half(p)
		if got := enter(again, " "+strings.ToUpper(recovery[3])+" "); got != http.StatusSeeOther || !s.in(again) {
			t.Errorf("a recovery code: status %d", got)
		}
		if got := enter(s.half(p), recovery[3]); got != http.StatusUnauthorized {
			t.Errorf("a recovery code again: status %d", got)
		}
		late := s.half(p)
		s.now = s.now.Add(6 * time.Minute)
		if res, _ := s.send(late, "POST", "/signin/second", url.Values{"code": {s.code(secret)}}, nil); res.Header.Get("Location") != "/signin" || s.in(late) {
			t.Errorf("six minutes after the password: sent to %q", res.Header.Get("Location"))
		}
		if res, _ := s.send(again, "POST", "/settings/totp/off", url.Values{"current": {p.password}}, nil); res.StatusCode != http.StatusSeeOther {
			t.Errorf("turning it off: status %d", res.StatusCode)
		}
		s.signedIn(p)
		if left, err := s.store.Factors(context.Background(), s.user(p.email).ID, store.FactorRecovery); err != nil || len(left) > 0 {
			t.Errorf("%d recovery codes are left without a second factor (%v)", len(left), err)
		}
	})
}

// The secret is not in the database: it is sealed with a key beside it.
func TestSecretsAreSealed(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	p := s.add(s.customer, store.RoleViewer)
	secret, _ := s.withClock(s.signedIn(p), p)
	bare, err := store.Open(context.Background(), s.dsn, s.quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	if list, err := bare.Factors(context.Background(), s.user(p.email).ID, store.FactorTOTP); err == nil {
		t.Errorf("a copy of the database alone opens %q", list[0].Data)
	}
	list, err := s.store.Factors(context.Background(), s.user(p.email).ID, store.FactorTOTP)
	if err != nil || len(list) != 1 || string(list[0].Data) != secret {
		t.Errorf("with its keys: %v (%v)", list, err)
	}
}

// Trying codes is slowed, also from many addresses, and an address that the owner has
// used stays open to them.
func TestGuessingCodesIsSlowed(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	p := s.add(s.customer, store.RoleViewer)
	secret, _ := s.withClock(s.signedIn(p), p)
	s.now = s.now.Add(30 * time.Second)
	from := func(addr string) map[string]string { return map[string]string{"X-Forwarded-For": addr} }
	status := 0
	for i := range 12 {
		addr := from("198.51.100." + string(rune('0'+i%10)))
		c := s.browser()
		s.send(c, "POST", "/signin", url.Values{"email": {p.email}, "password": {p.password}}, addr)
		res, _ := s.send(c, "POST", "/signin/second", url.Values{"code": {"000000"}}, addr)
		status = res.StatusCode
	}
	if status != http.StatusTooManyRequests {
		t.Errorf("the twelfth guess: status %d", status)
	}
	c := s.half(p) // from where the codes were turned on
	if res, _ := s.send(c, "POST", "/signin/second", url.Values{"code": {s.code(secret)}}, nil); res.StatusCode != http.StatusSeeOther {
		t.Errorf("the owner is locked out: status %d", res.StatusCode)
	}
}

// A reset by mail does not get around the second factor; an administrator can take it
// away.
func TestLosingTheSecondFactor(t *testing.T) {
	m := newMailbox(t)
	s := newSiteWith(t, storetest.SQLite(t), m.config())
	p := s.add(s.customer, store.RoleViewer)
	s.withClock(s.signedIn(p), p)
	s.send(s.browser(), "POST", "/reset", url.Values{"email": {p.email}}, nil)
	s.send(s.browser(), "POST", m.next().link(t), url.Values{"password": {goodPassword}, "again": {goodPassword}}, nil)
	p.password = goodPassword
	s.half(p)
	admin := s.signedIn(s.add(s.customer, store.RoleAdmin))
	if res, _ := s.send(admin, "POST", "/orgs/"+s.customer.ID+"/users/"+s.user(p.email).ID+"/factors/remove", nil, nil); res.StatusCode != http.StatusSeeOther {
		t.Errorf("removing: status %d", res.StatusCode)
	}
	s.signedIn(p)
}
