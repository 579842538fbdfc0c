package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

const goodPassword = "ruscello tappeto 41 lanterna"

// want fails unless an answer has a status and its page the words.
func want(t *testing.T, what string, res *http.Response, body string, status int, words ...string) {
	t.Helper()
	if res.StatusCode != status {
		t.Errorf("%s: status %d, want %d", what, res.StatusCode, status)
	}
	for _, w := range words {
		if !strings.Contains(body, w) {
			t.Errorf("%s: the page does not say %q", what, w)
		}
	}
}

// in reports whether somebody is signed in in a browser.
func (s *site) in(c *http.Client) bool {
	s.t.Helper()
	res, _ := s.get(c, "/settings")
	return res.StatusCode == http.StatusOK
}

func (s *site) user(email string) store.User {
	s.t.Helper()
	u, err := s.store.UserByEmail(context.Background(), email)
	if err != nil {
		s.t.Fatal(err)
	}
	return u
}

// cookie is the session's token in a browser.
func (s *site) cookie(c *http.Client) string {
	u, err := url.Parse(s.http.URL)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, k := range c.Jar.Cookies(u) {
		if k.Name == "attesto" {
			return k.Value
		}
	}
	return ""
}

func TestChangingThePassword(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	p := s.add(s.customer, store.RoleViewer)
	here, elsewhere := s.signedIn(p), s.signedIn(p)
	for name, form := range map[string]url.Values{
		"not your password":    {"current": {"a guess"}, "password": {goodPassword}, "again": {goodPassword}},
		"shorter than 12":      {"current": {p.password}, "password": {"short"}, "again": {"short"}},
		"easy to guess":        {"current": {p.password}, "password": {"Password2026!"}, "again": {"Password2026!"}},
		"two passwords differ": {"current": {p.password}, "password": {goodPassword}, "again": {goodPassword + "x"}},
	} {
		res, body := s.send(here, "POST", "/settings/password", form, nil)
		want(t, name, res, body, http.StatusBadRequest, name)
	}
	before := s.cookie(here)
	res, body := s.send(here, "POST", "/settings/password", url.Values{"current": {p.password}, "password": {goodPassword}, "again": {goodPassword}}, nil)
	want(t, "change", res, body, http.StatusOK, "password has been changed")
	if s.cookie(here) == before {
		t.Error("the session kept its token")
	}
	if !s.in(here) || s.in(elsewhere) {
		t.Errorf("here in: %v, elsewhere in: %v", s.in(here), s.in(elsewhere))
	}
	if res, _ := s.send(s.browser(), "POST", "/signin", url.Values{"email": {p.email}, "password": {p.password}}, nil); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("the old password still works (status %d)", res.StatusCode)
	}
	p.password = goodPassword
	s.signedIn(p)
}

func TestForgottenPassword(t *testing.T) {
	m := newMailbox(t)
	s := newSiteWith(t, storetest.SQLite(t), m.config())
	p := s.add(s.customer, store.RoleViewer)
	in := s.signedIn(p)
	c := s.browser()
	var said []string
	for _, email := range []string{p.email, "nobody@example.com"} {
		res, body := s.send(c, "POST", "/reset", url.Values{"email": {email}}, nil)
		want(t, email, res, body, http.StatusOK, "a mail is on its way")
		said = append(said, strings.ReplaceAll(body, email, ""))
	}
	if said[0] != said[1] {
		t.Error("the answer tells who has an account")
	}
	first := m.next()
	if first.to != p.email || !strings.Contains(first.subject, "new password") {
		t.Errorf("mail to %s: %s", first.to, first.subject)
	}
	s.send(c, "POST", "/reset", url.Values{"email": {strings.ToUpper(p.email)}}, nil)
	link := m.next().link(t)
	m.none()
	form := url.Values{"password": {goodPassword}, "again": {goodPassword}}
	if res, body := s.send(c, "POST", first.link(t), form, nil); res.StatusCode != http.StatusNotFound {
		t.Errorf("an older link: status %d: %s", res.StatusCode, body)
	}
	s.now = s.now.Add(61 * time.Minute)
	if res, body := s.get(c, link); res.StatusCode != http.StatusNotFound || !strings.Contains(body, "no longer works") {
		t.Errorf("after an hour: status %d", res.StatusCode)
	}
	s.now = s.now.Add(-10 * time.Minute)
	res, body := s.send(c, "POST", link, url.Values{"password": {"qwertyuiop123"}, "again": {"qwertyuiop123"}}, nil)
	want(t, "weak", res, body, http.StatusBadRequest, "easy to guess")
	res, body = s.send(c, "POST", link, form, nil)
	want(t, "new password", res, body, http.StatusOK, "password has been changed")
	if s.in(in) || s.in(c) {
		t.Error("a login outlived the reset, or the link signed somebody in")
	}
	if res, _ := s.send(c, "POST", link, form, nil); res.StatusCode != http.StatusNotFound {
		t.Errorf("a second use: status %d", res.StatusCode)
	}
	p.password = goodPassword
	s.signedIn(p)
	for range 6 {
		res, _ = s.send(c, "POST", "/reset", url.Values{"email": {p.email}}, nil)
	}
	if res.StatusCode != http.StatusTooManyRequests {
		t.Errorf("asking again and again: status %d", res.StatusCode)
	}
}

func TestInvitations(t *testing.T) {
	m := newMailbox(t)
	s := newSiteWith(t, storetest.SQLite(t), m.config())
	admin := s.signedIn(s.add(s.customer, store.RoleAdmin))
	users := "/orgs/" + s.customer.ID + "/users"
	invite := func(email, role string) string {
		t.Helper()
		res, body := s.send(admin, "POST", users, url.Values{"email": {email}, "role": {role}, "ends": {s.now.AddDate(0, 0, 10).Format(time.DateOnly)}}, nil)
		want(t, email, res, body, http.StatusOK, "invitation to "+email)
		l := m.next()
		if l.to != email || !strings.Contains(l.body, "Officine Bianchi") {
			t.Errorf("mail to %s: %q", l.to, l.body)
		}
		return l.link(t)
	}
	link := invite("nuovo@bianchi.example", store.RoleViewer)
	c := s.browser()
	res, body := s.get(c, link)
	want(t, "invitation", res, body, http.StatusOK, "Officine Bianchi", "Viewer")
	res, body = s.send(c, "POST", link, url.Values{"name": {"Nuovo Rossi"}, "password": {"nuovonuovonuovo"}, "again": {"nuovonuovonuovo"}}, nil)
	want(t, "weak", res, body, http.StatusBadRequest, "contains your name")
	form := url.Values{"name": {"Nuovo Rossi"}, "password": {goodPassword}, "again": {goodPassword}}
	if res, _ = s.send(c, "POST", link, form, nil); res.StatusCode != http.StatusSeeOther || !s.in(c) {
		t.Errorf("accepting: status %d", res.StatusCode)
	}
	if res, _ := s.send(s.browser(), "POST", link, form, nil); res.StatusCode != http.StatusNotFound {
		t.Errorf("a second use: status %d", res.StatusCode)
	}
	// Somebody who has an account accepts signed in, and not by the link alone.
	known := s.add(s.other, store.RoleViewer)
	link = invite(known.email, store.RoleAuditor)
	res, body = s.send(s.browser(), "POST", link, form, nil)
	want(t, "by the link alone", res, body, http.StatusForbidden, "Sign in with it")
	res, _ = s.send(c, "POST", link, form, nil)
	want(t, "as somebody else", res, "", http.StatusForbidden)
	theirs := s.signedIn(known)
	if res, _ := s.get(theirs, "/orgs/"+s.customer.ID+"/board"); res.StatusCode != http.StatusNotFound {
		t.Errorf("before accepting: status %d", res.StatusCode)
	}
	if res, _ = s.send(theirs, "POST", link, nil, nil); res.StatusCode != http.StatusSeeOther {
		t.Errorf("accepting: status %d", res.StatusCode)
	}
	if res, _ := s.get(theirs, "/orgs/"+s.customer.ID+"/board"); res.StatusCode != http.StatusOK {
		t.Errorf("after accepting: status %d", res.StatusCode)
	}
	s.now = s.now.AddDate(0, 0, 12)
	if res, _ := s.get(s.signedIn(known), "/orgs/"+s.customer.ID+"/board"); res.StatusCode != http.StatusNotFound {
		t.Errorf("after an auditor's access ended: status %d", res.StatusCode)
	}
	admin = s.signedIn(s.add(s.customer, store.RoleAdmin))
	link = invite("tardi@bianchi.example", store.RoleAdmin)
	_, body = s.get(admin, users)
	res, _ = s.send(admin, "POST", regexp.MustCompile(`/orgs/[^"]+/withdraw`).FindString(body), nil, nil)
	want(t, "withdrawing", res, "", http.StatusSeeOther)
	if res, _ := s.get(s.browser(), link); res.StatusCode != http.StatusNotFound {
		t.Errorf("a link that was withdrawn: status %d", res.StatusCode)
	}
	for name, form := range map[string]url.Values{"not an e-mail address": {"email": {"x\r\nBcc: y@z"}, "role": {"viewer"}}, "no such role": {"email": {"a@b.example"}, "role": {"operator"}},
		"needs an end": {"email": {"a@b.example"}, "role": {"auditor"}}, "belong to this organisation already": {"email": {known.email}, "role": {"viewer"}}} {
		res, body := s.send(admin, "POST", users, form, nil)
		want(t, name, res, body, http.StatusBadRequest, name)
	}
	m.none()
}

// Without a mail relay the link is handed over by the administrator.
func TestInvitationByHand(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	admin := s.signedIn(s.add(s.customer, store.RoleAdmin))
	res, body := s.send(admin, "POST", "/orgs/"+s.customer.ID+"/users", url.Values{"email": {"nuovo@bianchi.example"}, "role": {"admin"}}, nil)
	want(t, "invite", res, body, http.StatusOK, "Give this link to them")
	if _, body := s.get(s.browser(), (letterGot{body: body}).link(t)); !strings.Contains(body, "Officine Bianchi") {
		t.Error("the link does not lead to the invitation")
	}
	res, body = s.get(s.browser(), "/reset")
	want(t, "reset", res, body, http.StatusOK, "sends no mail")
}

func TestLogins(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	p := s.add(s.customer, store.RoleViewer)
	here, there, third := s.signedIn(p), s.signedIn(p), s.signedIn(p)
	_, body := s.get(here, "/settings")
	ends := regexp.MustCompile(`/settings/logins/(s_[^/]+)/end`).FindAllString(body, -1)
	if len(ends) != 2 || !strings.Contains(body, "this one") {
		t.Fatalf("%d others are listed", len(ends))
	}
	foreign := s.signedIn(s.add(s.other, store.RoleAdmin))
	if res, _ := s.send(foreign, "POST", ends[0], nil, nil); res.StatusCode != http.StatusNotFound {
		t.Errorf("ending somebody else's login: status %d", res.StatusCode)
	}
	if !s.in(there) || !s.in(third) {
		t.Fatal("somebody else ended a login")
	}
	s.send(here, "POST", ends[0], nil, nil)
	if s.in(there) == s.in(third) {
		t.Error("not one of two logins was ended")
	}
	s.send(here, "POST", "/settings/logins/end", nil, nil)
	if s.in(there) || s.in(third) || !s.in(here) {
		t.Error("ending all others did something else")
	}
	s.now = s.now.Add(119 * time.Minute)
	if !s.in(here) {
		t.Error("a login in use ended")
	}
	s.now = s.now.Add(121 * time.Minute)
	if s.in(here) {
		t.Error("a login that was not used for two hours goes on")
	}
	here = s.signedIn(p)
	for range 8 {
		s.now = s.now.Add(90 * time.Minute)
		if got, want := s.in(here), s.now.Before(s.user(p.email).SignedIn.Add(12*time.Hour)); got != want {
			t.Errorf("%s after signing in: in %v, want %v", s.now.Sub(s.user(p.email).SignedIn), got, want)
		}
	}
}

func TestAdministeringPeople(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	ctx := context.Background()
	admin := s.signedIn(s.add(s.customer, store.RoleAdmin))
	p := s.add(s.customer, store.RoleViewer)
	theirs := s.signedIn(p)
	users := "/orgs/" + s.customer.ID + "/users/"
	id := s.user(p.email).ID
	before := s.cookie(theirs)
	if res, _ := s.send(admin, "POST", users+id+"/role", url.Values{"role": {"admin"}}, nil); res.StatusCode != http.StatusSeeOther {
		t.Errorf("changing a role: status %d", res.StatusCode)
	}
	if res, _ := s.get(theirs, strings.TrimSuffix(users, "/")); res.StatusCode != http.StatusOK {
		t.Errorf("the new role does not hold: status %d", res.StatusCode)
	}
	if s.cookie(theirs) == before {
		t.Error("the session kept its token when the role changed")
	}
	old := s.browser()
	u, _ := url.Parse(s.http.URL)
	old.Jar.SetCookies(u, []*http.Cookie{{Name: "attesto", Value: before}})
	if s.in(old) {
		t.Error("the token from before goes on")
	}
	self := s.user(s.add(s.customer, store.RoleAdmin).email).ID
	for _, what := range []string{"role", "remove", "disable", "logins/end"} {
		if res, _ := s.send(admin, "POST", users+self+"/"+what, url.Values{"role": {"viewer"}}, nil); res.StatusCode != http.StatusConflict {
			t.Errorf("%s on oneself: status %d", what, res.StatusCode)
		}
	}
	if res, _ := s.send(admin, "POST", users+id+"/logins/end", nil, nil); res.StatusCode != http.StatusSeeOther || s.in(theirs) {
		t.Errorf("signing out everywhere: status %d", res.StatusCode)
	}
	for _, step := range []struct {
		form url.Values
		ok   bool
	}{{nil, false}, {url.Values{"undo": {"1"}}, true}} {
		s.send(admin, "POST", users+id+"/disable", step.form, nil)
		res, _ := s.send(s.browser(), "POST", "/signin", url.Values{"email": {p.email}, "password": {p.password}}, nil)
		if (res.StatusCode == http.StatusSeeOther) != step.ok {
			t.Errorf("disabled %v: signing in gives status %d", !step.ok, res.StatusCode)
		}
	}
	// An account that belongs elsewhere too is not this organisation's to disable.
	if err := s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.SetMember(ctx, store.Member{Org: s.other.ID, User: id, Role: store.RoleViewer})
	}); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"disable", "logins/end"} {
		if res, _ := s.send(admin, "POST", users+id+"/"+what, nil, nil); res.StatusCode != http.StatusConflict {
			t.Errorf("%s of a shared account: status %d", what, res.StatusCode)
		}
	}
	if res, _ := s.send(admin, "POST", users+id+"/remove", nil, nil); res.StatusCode != http.StatusSeeOther {
		t.Errorf("removing: status %d", res.StatusCode)
	}
	if m, err := s.store.MembersOf(ctx, id); err != nil || len(m) != 1 || m[0].Org != s.other.ID {
		t.Errorf("roles left: %v (%v)", m, err)
	}
	theirs = s.signedIn(p)
	if res, _ := s.get(theirs, fmt.Sprintf("/orgs/%s/board", s.customer.ID)); res.StatusCode != http.StatusNotFound {
		t.Errorf("a member who was removed: status %d", res.StatusCode)
	}
}
