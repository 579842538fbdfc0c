package web_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// asksSecond has an organisation ask its people for a second factor, or no longer.
func (s *site) asksSecond(o store.Org, ask float64) {
	s.t.Helper()
	s.now = s.now.Add(time.Second)
	if err := s.srv.SetParam(context.Background(), store.Param{Org: o.ID, Name: store.ParamSecond, Value: &ask}); err != nil {
		s.t.Fatal(err)
	}
}

// Who belongs to an organisation that asks for a second factor sets one up before all
// else, and nobody else is asked.
func TestSecondFactorForEverybody(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		s := newSite(t, dsn)
		p, viewer := s.add(s.customer, store.RoleAdmin), s.add(s.customer, store.RoleViewer)
		c, org := s.signedIn(p), "/orgs/"+s.customer.ID
		italian := map[string]string{"Accept-Language": "it"}
		seen := s.signedIn(viewer) // before anything was asked
		ask := func(value string) (*http.Response, string) {
			t.Helper()
			s.now = s.now.Add(time.Second)
			return s.send(c, "POST", org+"/second", url.Values{"ask": {value}}, nil)
		}
		res, body := ask("1")
		want(t, "without one of one's own", res, body, http.StatusConflict, "so that you do not lock yourself out")
		res, body = ask("")
		want(t, "without an answer", res, body, http.StatusBadRequest)
		s.withClock(c, p)
		if res, _ := ask("1"); res.StatusCode != http.StatusSeeOther {
			t.Fatalf("asking: status %d", res.StatusCode)
		}
		res, body = s.get(c, org+"/users")
		want(t, "who asks", res, body, http.StatusOK, "asked for", "1 person has none yet", "the identity provider is not asked")
		res, body = s.send(c, "GET", org+"/users", nil, italian)
		want(t, "in Italian", res, body, http.StatusOK, "richiesto", "ne risponde quest")
		res, body = s.get(c, org+"/activity")
		want(t, "the trail", res, body, http.StatusOK, "A parameter was set", "People must have a second factor: yes")

		for what, b := range map[string]*http.Client{"who was in": seen, "who comes": s.signedIn(viewer)} {
			for _, path := range []string{"/", org + "/board", org + "/activity", "/orgs/" + s.other.ID + "/board", "/orgs/o_none/board"} {
				if res, _ := s.get(b, path); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/settings" {
					t.Errorf("%s gets %s: status %d, sent to %q", what, path, res.StatusCode, res.Header.Get("Location"))
				}
			}
			if res, _ := s.send(b, "POST", "/settings/password", url.Values{"current": {viewer.password}}, nil); res.Header.Get("Location") != "/settings" {
				t.Errorf("%s changes the password: status %d", what, res.StatusCode)
			}
			if res, body := s.get(b, "/api/v1"+org+"/duties"); res.StatusCode != http.StatusForbidden || !strings.Contains(body, `"second_owed"`) {
				t.Errorf("%s asks the API: status %d", what, res.StatusCode)
			}
			if res, _ := s.send(b, "GET", org+"/board", nil, map[string]string{"HX-Request": "true"}); res.Header.Get("HX-Redirect") != "/settings" {
				t.Errorf("%s renews a page: status %d", what, res.StatusCode)
			}
			res, body := s.get(b, "/settings")
			want(t, what, res, body, http.StatusOK, "Officine Bianchi asks its people for a second factor", "Add an authenticator app")
			if strings.Contains(body, "/board") || strings.Contains(body, `action="/settings/password"`) {
				t.Errorf("%s is offered more than a second factor", what)
			}
			res, body = s.send(b, "GET", "/settings", nil, italian)
			want(t, what+", in Italian", res, body, http.StatusOK, "Officine Bianchi chiede un secondo fattore")
		}
		if status := s.api(s.apiToken(s.customer, false), "GET", org+"/duties", nil); status != http.StatusOK {
			t.Errorf("a token: status %d", status)
		}
		for _, free := range []person{s.add(s.other, store.RoleAdmin), s.add(s.provider, store.RoleOperator)} {
			if res, _ := s.get(s.signedIn(free), "/orgs/"+free.org+"/board"); res.StatusCode != http.StatusOK {
				t.Errorf("%s is asked, too: status %d", free.email, res.StatusCode)
			}
		}

		s.withClock(seen, viewer)
		if res, _ := s.get(seen, org+"/board"); res.StatusCode != http.StatusOK {
			t.Errorf("with a second factor: status %d", res.StatusCode)
		}
		id := s.user(viewer.email).ID
		if res, _ := s.send(c, "POST", org+"/users/"+id+"/factors/remove", nil, nil); res.StatusCode != http.StatusSeeOther {
			t.Fatalf("removing factors: status %d", res.StatusCode)
		}
		again := s.signedIn(viewer)
		if res, _ := s.get(again, org+"/board"); res.Header.Get("Location") != "/settings" {
			t.Errorf("after the factors were removed: status %d", res.StatusCode)
		}
		if res, _ := ask("0"); res.StatusCode != http.StatusSeeOther {
			t.Fatalf("asking no longer: status %d", res.StatusCode)
		}
		if res, _ := s.get(again, org+"/board"); res.StatusCode != http.StatusOK {
			t.Errorf("when nobody asks: status %d", res.StatusCode)
		}
		if n := s.events(s.customer)["parameter.set"]; n != 2 {
			t.Errorf("the log states %d settings", n)
		}
	})
}

// owed is what is open to who has yet to set up a second factor, besides what is open
// to anyone.
var owed = []string{"POST /signout", "GET /settings", "POST /settings/passkeys/new", "POST /settings/passkeys", "POST /settings/totp/new", "POST /settings/totp"}
