package web_test

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"

	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// sso is a real OpenID provider (of github.com/zitadel/oidc) with people of its own.
type sso struct {
	*site
	issuer string
}

// newSSO has a site trust it; set may change how, knowing the site's organisations.
func newSSO(t *testing.T, set func(*server.OIDC, *site)) *sso {
	t.Helper()
	dir := t.TempDir()
	people := map[string]storage.User{}
	for name, verified := range map[string]bool{"nuovo": true, "anna": true, "mallory": false, "nobody": true} {
		people["id-"+name] = storage.User{ID: "id-" + name, Username: name, Password: "their password", FirstName: strings.ToUpper(name), Email: name + "@bianchi.example", EmailVerified: verified}
	}
	b, err := json.Marshal(people)
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "secret")
	for file, text := range map[string][]byte{filepath.Join(dir, "people.json"): b, secret: []byte("s3cret\n")} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	known, err := storage.StoreFromFile(filepath.Join(dir, "people.json"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	own, err := net.Listen("tcp", "127.0.0.1:0") // where the server itself is reached
	if err != nil {
		t.Fatal(err)
	}
	issuer, public := "http://"+l.Addr().String(), "http://"+own.Addr().String()
	st := storage.NewStorageWithClients(known, map[string]*storage.Client{"attesto": storage.WebClient("attesto", "s3cret", public+"/signin/oidc/callback")})
	op := &httptest.Server{Listener: l, Config: &http.Server{Handler: exampleop.SetupServer(issuer, st, nil, false)}}
	op.Start()
	t.Cleanup(op.Close)
	cfg := server.DefaultConfig()
	cfg.Name, cfg.PublicURL = "proof.example", public
	cfg.OIDC = &server.OIDC{Name: "Example SSO", Issuer: issuer, ClientID: "attesto", SecretFile: secret}
	s := newSiteWith(t, storetest.SQLite(t), cfg)
	s.http.Close()
	if set != nil {
		set(cfg.OIDC, s)
	}
	if err := cfg.Complete(); err != nil {
		t.Fatal(err)
	}
	s.start(cfg)
	s.http = &httptest.Server{Listener: own, Config: &http.Server{Handler: s.srv.Handler()}}
	s.http.Start()
	return &sso{s, issuer}
}

// through signs in at the provider as somebody, and returns where the browser ends.
func (s *sso) through(c *http.Client, name string) (status int, where, body string) {
	s.t.Helper()
	c.CheckRedirect = nil
	res, page := s.get(c, "/signin/oidc?next=/settings")
	m := regexp.MustCompile(`name="id" value="([^"]+)"`).FindStringSubmatch(page)
	if m == nil {
		s.t.Fatalf("no form of the provider at %s: %s", res.Request.URL, page)
	}
	res, err := c.PostForm(s.issuer+"/login/username", url.Values{"id": {m[1]}, "username": {name}, "password": {"their password"}})
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, res.Request.URL.Path, string(b)
}

func fresh(t *testing.T) *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

func TestSignInByAnIdentityProvider(t *testing.T) {
	s := newSSO(t, nil)
	if _, body := s.get(s.browser(), "/signin"); !strings.Contains(body, "Sign in with Example SSO") {
		t.Error("the page does not offer it")
	}
	status, _, body := s.through(fresh(t), "nobody")
	if status != http.StatusForbidden || !strings.Contains(body, "invited") {
		t.Errorf("whom nobody invited: status %d", status)
	}
	admin := s.signedIn(s.add(s.customer, store.RoleAdmin))
	for _, name := range []string{"nuovo", "mallory"} {
		s.send(admin, "POST", "/orgs/"+s.customer.ID+"/users", url.Values{"email": {name + "@bianchi.example"}, "role": {"viewer"}}, nil)
	}
	if status, _, body := s.through(fresh(t), "mallory"); status != http.StatusForbidden || !strings.Contains(body, "not confirmed your address") {
		t.Errorf("whose address is not verified: status %d", status)
	}
	c := fresh(t)
	status, where, body := s.through(c, "nuovo")
	if status != http.StatusOK || where != "/settings" || !strings.Contains(body, "by the identity provider") {
		t.Errorf("who was invited: status %d at %s", status, where)
	}
	if res, _ := s.get(c, "/orgs/"+s.customer.ID+"/board"); res.StatusCode != http.StatusOK {
		t.Errorf("the board: status %d", res.StatusCode)
	}
	s.asksSecond(s.customer, 1) // the identity provider answers for them
	if res, _ := s.get(c, "/orgs/"+s.customer.ID+"/board"); res.StatusCode != http.StatusOK || !strings.HasSuffix(res.Request.URL.Path, "/board") {
		t.Errorf("the board where a second factor is asked for: status %d", res.StatusCode)
	}
	s.asksSecond(s.customer, 0)
	if res, _ := s.send(s.browser(), "POST", "/signin", url.Values{"email": {"nuovo@bianchi.example"}, "password": {""}}, nil); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("an account without a password takes one: status %d", res.StatusCode)
	}
	// Whose account it is, is known by the provider's own name for them from then on; a
	// second factor is asked for here, too.
	known := s.extra(s.customer, "anna@bianchi.example")
	own := s.signedIn(known)
	s.withClock(own, known)
	if status, where, _ := s.through(fresh(t), "anna"); status != http.StatusOK || where != "/signin/second" {
		t.Errorf("with a second factor: status %d at %s", status, where)
	}
	s.send(admin, "POST", "/orgs/"+s.customer.ID+"/users/"+s.user("nuovo@bianchi.example").ID+"/disable", nil, nil)
	if status, _, _ := s.through(fresh(t), "nuovo"); status != http.StatusForbidden {
		t.Errorf("a disabled account: status %d", status)
	}
}

// Where the configuration names an organisation, people come into it whom nobody
// invited, with the role that it names and no other. An account that is there already
// stays where it is, and who was taken out stays out.
func TestNewPeopleOfAnIdentityProvider(t *testing.T) {
	role := store.RoleViewer
	s := newSSO(t, func(o *server.OIDC, s *site) { o.NewOrg, o.NewRole = s.customer.ID, role })
	board := func(org store.Org) string { return "/orgs/" + org.ID + "/board" }
	c := fresh(t)
	if status, where, _ := s.through(c, "nobody"); status != http.StatusOK || where != "/settings" {
		t.Fatalf("whom nobody invited: status %d at %s", status, where)
	}
	for path, want := range map[string]int{board(s.customer): 200, board(s.other): 404, board(s.provider): 404, "/orgs/" + s.customer.ID + "/users": 403} {
		if res, _ := s.get(c, path); res.StatusCode != want {
			t.Errorf("%s: status %d, want %d", path, res.StatusCode, want)
		}
	}
	if res, _ := s.send(c, "POST", "/orgs/"+s.customer.ID+"/settings", url.Values{"lang": {"it"}, "zone": {"Europe/Rome"}}, nil); res.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer who came so changes settings: status %d", res.StatusCode)
	}
	s.roles("nobody@bianchi.example", store.Member{Org: s.customer.ID, Role: role})
	if status, _, body := s.through(fresh(t), "mallory"); status != http.StatusForbidden || !strings.Contains(body, "not confirmed your address") {
		t.Errorf("whose address is not verified: status %d", status)
	}
	if _, err := s.store.UserByEmail(t.Context(), "mallory@bianchi.example"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("who was refused has an account (%v)", err)
	}
	known := s.extra(s.other, "anna@bianchi.example")
	c = fresh(t)
	if status, _, _ := s.through(c, "anna"); status != http.StatusOK {
		t.Errorf("whose account is another organisation's: status %d", status)
	}
	for path, want := range map[string]int{board(s.other): 200, board(s.customer): 404} {
		if res, _ := s.get(c, path); res.StatusCode != want {
			t.Errorf("of an account of another organisation, %s: status %d, want %d", path, res.StatusCode, want)
		}
	}
	s.roles("anna@bianchi.example", store.Member{Org: s.other.ID, Role: known.role})
	admin := s.signedIn(s.add(s.customer, store.RoleAdmin))
	s.send(admin, "POST", "/orgs/"+s.customer.ID+"/users/"+s.user("nobody@bianchi.example").ID+"/remove", nil, nil)
	c = fresh(t)
	s.through(c, "nobody")
	if res, _ := s.get(c, board(s.customer)); res.StatusCode != http.StatusNotFound {
		t.Errorf("who was taken out is back: status %d", res.StatusCode)
	}
	s.send(admin, "POST", "/orgs/"+s.customer.ID+"/users", url.Values{"email": {"nuovo@bianchi.example"}, "role": {store.RoleAdmin}}, nil)
	s.through(fresh(t), "nuovo")
	s.roles("nuovo@bianchi.example", store.Member{Org: s.customer.ID, Role: store.RoleAdmin}) // as invited, and nothing beside
	found, err := s.srv.Check(t.Context(), nil)
	if err != nil || len(found.Faults) > 0 {
		t.Errorf("the store is not sound: %+v (%v)", found.Faults, err)
	}
}

// An auditor who comes in so stays for a time, as every auditor.
func TestNewAuditorsOfAnIdentityProviderLeave(t *testing.T) {
	s := newSSO(t, func(o *server.OIDC, s *site) { o.NewOrg, o.NewRole = s.customer.ID, store.RoleAuditor })
	c := fresh(t)
	s.through(c, "nobody")
	board := "/orgs/" + s.customer.ID + "/board"
	if res, _ := s.get(c, board); res.StatusCode != http.StatusOK {
		t.Errorf("the board: status %d", res.StatusCode)
	}
	s.roles("nobody@bianchi.example", store.Member{Org: s.customer.ID, Role: store.RoleAuditor, Ends: s.now.Add(30 * 24 * time.Hour).Truncate(time.Microsecond)})
}

// roles fails unless an account has one role, this one.
func (s *sso) roles(email string, want store.Member) {
	s.t.Helper()
	want.User = s.user(email).ID
	got, err := s.store.MembersOf(s.t.Context(), want.User)
	if err != nil || len(got) != 1 || !got[0].Ends.Equal(want.Ends) || got[0].Org != want.Org || got[0].Role != want.Role {
		s.t.Errorf("%s has the roles %+v (%v), want %+v", email, got, err, want)
	}
}

// An answer of the provider counts in the browser that asked, and once.
func TestStolenAnswersOfTheProvider(t *testing.T) {
	s := newSSO(t, nil)
	s.extra(s.customer, "anna@bianchi.example")
	thief, victim := fresh(t), s.browser()
	var answer string
	thief.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasSuffix(r.URL.Path, "/callback") && answer == "" && r.URL.Query().Get("code") != "" {
			answer = r.URL.RequestURI()
			return http.ErrUseLastResponse
		}
		return nil
	}
	_, page := s.get(thief, "/signin/oidc")
	m := regexp.MustCompile(`name="id" value="([^"]+)"`).FindStringSubmatch(page)
	if m == nil {
		t.Fatal("no form of the provider")
	}
	res, err := thief.PostForm(s.issuer+"/login/username", url.Values{"id": {m[1]}, "username": {"anna"}, "password": {"their password"}})
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if !strings.HasPrefix(answer, "/signin/oidc/callback?") {
		t.Fatalf("no answer came: %q", answer)
	}
	if res, _ := s.get(victim, answer); res.StatusCode != http.StatusBadRequest || s.in(victim) {
		t.Errorf("in a browser that never asked: status %d", res.StatusCode)
	}
	s.get(victim, "/signin/oidc")
	if res, _ := s.get(victim, answer); res.StatusCode != http.StatusBadRequest || s.in(victim) {
		t.Errorf("in a browser that asked something else: status %d", res.StatusCode)
	}
	thief.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if res, _ := s.get(thief, strings.Replace(answer, "code=", "code=x", 1)); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("with another code: status %d", res.StatusCode)
	}
	if res, _ := s.get(thief, answer); res.StatusCode != http.StatusBadRequest {
		t.Errorf("a second time: status %d", res.StatusCode)
	}
}
