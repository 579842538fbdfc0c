package web_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// raw are codes that the log has and no reader should see.
var raw = map[string]bool{"admin": true, "operator": true, "viewer": true, "auditor": true, "read,write": true, "password": true, "link": true, "totp": true,
	"recovery": true, "passkey": true, "oidc": true, "email": true, "webhook": true, "retired": true, "sc": true}

// said are the small words of a page's table.
func said(body string) (list []string) {
	for _, m := range regexp.MustCompile(`<span class="said">([^<]*)</span>`).FindAllStringSubmatch(body, -1) {
		list = append(list, strings.Split(m[1], " · ")...)
	}
	return list
}

// What people do stands in the trail, each line with a signed record that holds.
func TestActivity(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		s := newSite(t, dsn)
		p := s.add(s.customer, store.RoleAdmin)
		viewer := s.extra(s.customer, "ugo@bianchi.example")
		c := s.signedIn(p)
		org := "/orgs/" + s.customer.ID
		post := func(path string, form url.Values) {
			t.Helper()
			if res, body := s.send(c, "POST", path, form, nil); res.StatusCode >= 400 {
				t.Fatalf("%s: status %d: %s", path, res.StatusCode, body)
			}
		}
		id := s.user(viewer.email).ID
		post(org+"/users", url.Values{"email": {"nuovo@bianchi.example"}, "role": {"viewer"}})
		post(org+"/users/"+id+"/role", url.Values{"role": {"admin"}})
		post(org+"/users/"+id+"/logins/end", nil)
		post(org+"/users/"+id+"/disable", nil)
		post(org+"/users/"+id+"/disable", url.Values{"undo": {"1"}})
		post(org+"/users/"+id+"/remove", nil)
		post(org+"/tokens", url.Values{"name": {"ci"}, "life": {"month"}})
		tokens, err := s.store.APITokens(context.Background(), s.customer.ID)
		if err != nil || len(tokens) != 1 {
			t.Fatal(tokens, err)
		}
		post(org+"/tokens/"+tokens[0].ID+"/revoke", nil)
		post("/settings/password", url.Values{"current": {p.password}, "password": {goodPassword}, "again": {goodPassword}})
		p.password = goodPassword
		s.withClock(c, p)
		agent := s.enroll(s.customer, "erp.bianchi.example", "sc")
		post(org+"/agents/"+agent.id+"/revoke", url.Values{"reason": {"retired"}})
		res, body := s.get(c, org+"/activity")
		want(t, "activity", res, body, http.StatusOK, "Somebody signed in", "Somebody was invited", "nuovo@bianchi.example", "A role was changed", "Logins were ended",
			"An account was disabled", "An account was enabled", "Somebody was removed", "An API token was made", "An API token was revoked", "A password was changed",
			"A second factor was turned on", "An agent&#39;s key was revoked", "Somebody joined", "Anna Bianchi")
		records := regexp.MustCompile(org+`/records/\d+`).FindAllString(body, -1)
		if len(records) < 13 {
			t.Fatalf("%d records are cited", len(records))
		}
		for _, r := range records {
			if res, body := s.get(c, "/api/v1"+r); res.StatusCode != http.StatusOK || !strings.Contains(body, `"sound":true`) {
				t.Errorf("%s: status %d: %s", r, res.StatusCode, body)
			}
		}
		plain := said(body)
		res, body = s.send(c, "GET", org+"/activity", nil, map[string]string{"Accept-Language": "it"})
		want(t, "activity in Italian", res, body, http.StatusOK, "nuovo@bianchi.example · Lettore", "ugo@bianchi.example · Amministratore", "ci · leggere", "con la password",
			"L&#39;host non è più in servizio", "erp.bianchi.example")
		for _, list := range [][]string{plain, said(body)} {
			for _, word := range list {
				if raw[word] || regexp.MustCompile(`^[a-z]{1,2}_[0-9a-z]{8,}$`).MatchString(word) {
					t.Errorf("the trail shows %q", word)
				}
			}
		}
		if _, body := s.get(c, "/orgs/"+s.customer.ID+"/activity?before=x"); !strings.Contains(body, "no sense") {
			t.Error("a place that is none is taken")
		}
		if found, err := s.srv.Check(context.Background(), nil); err != nil || len(found.Faults) > 0 {
			t.Errorf("the store is not sound: %+v (%v)", found.Faults, err)
		}
		// Page by page every line comes once.
		for range 60 {
			post("/settings/logins/end", nil)
		}
		seen, next := map[string]int{}, org+"/activity"
		for pages := 0; next != "" && pages < 9; pages++ {
			_, body := s.get(c, next)
			for _, r := range regexp.MustCompile(`/records/\d+`).FindAllString(body, -1) {
				seen[r]++
			}
			next = ""
			if m := regexp.MustCompile(`class="btn" href="([^"]+/activity\?before=[^"]+)"`).FindStringSubmatch(body); m != nil {
				next = m[1]
			}
		}
		if len(seen) < 70 {
			t.Errorf("%d records in all pages", len(seen))
		}
		for r, n := range seen {
			if n != 1 {
				t.Errorf("%s comes %d times", r, n)
			}
		}
	})
}

// The trail by the API: the same lines, page by page, in the log's own words.
func TestActivityByAPI(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	p := s.add(s.customer, store.RoleAdmin)
	c, org := s.signedIn(p), "/orgs/"+s.customer.ID
	s.send(c, "POST", org+"/users", url.Values{"email": {"nuovo@bianchi.example"}, "role": {"viewer"}}, nil)
	for range 55 {
		s.send(c, "POST", "/settings/logins/end", nil, nil)
	}
	type deed struct {
		Event, By, Name, Email string
		Detail                 map[string]string
		Epoch, Index           int64
	}
	var pages [][]deed
	token, seen := s.apiToken(s.customer, false), map[int64]bool{}
	for more := ""; len(pages) == 0 || more != ""; {
		var out struct {
			Activity []deed
			More     string
		}
		if status := s.api(token, "GET", org+"/activity?before="+more, &out); status != http.StatusOK || len(pages) > 5 {
			t.Fatalf("status %d, %d pages", status, len(pages))
		}
		for _, d := range out.Activity {
			if seen[d.Index] || d.Epoch != 1 {
				t.Errorf("%+v comes twice, or of no epoch", d)
			}
			seen[d.Index] = true
		}
		pages, more = append(pages, out.Activity), out.More
	}
	if len(pages) != 2 || len(pages[0]) != 50 {
		t.Fatalf("%d pages, %d lines in the first", len(pages), len(pages[0]))
	}
	last := pages[1]
	invited := last[slices.IndexFunc(last, func(d deed) bool { return d.Event == "user.invited" })]
	if invited.Name != "Anna Bianchi" || invited.Email != p.email || invited.By != s.user(p.email).ID || invited.Detail["email"] != "nuovo@bianchi.example" || invited.Detail["role"] != "viewer" {
		t.Errorf("the invitation %+v", invited)
	}
	if status := s.api(token, "GET", org+"/activity?before=x", nil); status != http.StatusBadRequest {
		t.Errorf("a place that is none: status %d", status)
	}
}
