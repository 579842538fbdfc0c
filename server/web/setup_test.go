package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// An admin adds a mail address and a webhook, tries both and sees what came of it,
// removes one, and changes language and zone; a viewer sees neither addresses nor forms.
func TestSettingsOfAnOrganisation(t *testing.T) {
	box := newMailbox(t)
	cfg := box.config()
	cfg.Webhooks.AllowPrivate = true
	s := newSiteWith(t, storetest.SQLite(t), cfg)
	receiver := httptest.NewTLSServer(http.NotFoundHandler())
	defer receiver.Close()
	c, page := s.signedIn(s.add(s.customer, store.RoleAdmin)), "/orgs/"+s.customer.ID
	post := func(path string, form url.Values, status int, want string) string {
		t.Helper()
		res, body := s.send(c, "POST", page+path, form, nil)
		if res.StatusCode != status || !strings.Contains(body, want) {
			t.Fatalf("%s: status %d, want %d and %q in:\n%s", path, res.StatusCode, status, want, body)
		}
		return body
	}
	channel := func(kind string) string {
		t.Helper()
		list, err := s.store.Channels(t.Context(), s.customer.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, ch := range list {
			if ch.Kind == kind {
				return "/channels/" + ch.ID
			}
		}
		t.Fatalf("no channel of kind %s", kind)
		return ""
	}
	post("/channels", url.Values{"kind": {"email"}, "target": {"no address"}}, 400, "Nothing can be sent there")
	post("/channels", url.Values{"kind": {"webhook"}, "target": {"ftp://x"}}, 400, "Nothing can be sent there")
	post("/channels", url.Values{"kind": {"pigeon"}, "target": {"x@y.example"}}, 400, "form is not complete")
	post("/channels", url.Values{"kind": {"email"}, "target": {"ced@bianchi.example"}, "hears": {"both"}, "after": {"4"}}, 200, "when nobody has acted for 4 hours")
	post("/channels", url.Values{"kind": {"email"}, "target": {"ced@bianchi.example"}, "after": {"5"}}, 400, "form is not complete")
	post(channel(alert.Email)+"/test", nil, 200, "Delivered")
	if got := <-box.got; got.to != "ced@bianchi.example" || !strings.Contains(got.subject, "Officine Bianchi") {
		t.Errorf("mail %+v", got)
	}
	body := post("/channels", url.Values{"kind": {"webhook"}, "target": {receiver.URL + "/secret-path"}}, 200, "whsec_")
	if strings.Contains(body, "secret-path") {
		t.Error("the page shows the path of a webhook")
	}
	if _, body := s.get(c, page+"/settings"); strings.Contains(body, "whsec_") {
		t.Error("the secret is shown again")
	}
	post(channel(alert.Webhook)+"/test", nil, 409, "certificate") // the receiver's is of no authority
	post(channel(alert.Webhook)+"/remove", nil, 200, "Removed")

	post("/settings", url.Values{"lang": {"it"}, "zone": {"Nowhere/Else"}}, 400, "not a time zone")
	post("/settings", url.Values{"lang": {"it"}, "zone": {"Local"}}, 400, "not a time zone")
	post("/settings", url.Values{"lang": {"it"}, "zone": {"Europe/London"}}, 303, "")
	if o, err := s.store.Org(t.Context(), s.customer.ID); err != nil || o.Lang != "it" || o.Zone != "Europe/London" || len(o.Services) != 4 {
		t.Errorf("organisation %+v (%v)", o, err)
	}
	v := s.signedIn(s.add(s.customer, store.RoleViewer))
	if _, body := s.get(v, page+"/settings"); strings.Contains(body, "ced@bianchi") || !strings.Contains(body, "c…@bianchi.example") || strings.Contains(body, "/channels\"") {
		t.Error("a viewer sees addresses or forms")
	}
	for range 6 {
		s.send(c, "POST", page+channel(alert.Email)+"/test", nil, nil)
	}
	post(channel(alert.Email)+"/test", nil, 429, "Too many tests")
	found, err := s.srv.Check(t.Context(), nil)
	if err != nil || len(found.Faults) > 0 {
		t.Errorf("the store is not sound: %+v (%v)", found.Faults, err)
	}
}

// Who owes a duty sets the figures it is judged by on its page, within their range; both
// parties see since when, and by whom.
func TestFiguresOfADuty(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	c, duty := s.signedIn(s.add(s.customer, store.RoleAdmin)), "/orgs/"+s.customer.ID+"/duties/SC-C5"
	_, body := s.get(c, duty)
	form := regexp.MustCompile(`name="part" value="([^"]+)"><input type="hidden" name="name" value="([^"]+)"`).FindStringSubmatch(body)
	if form == nil {
		t.Fatalf("no form for a figure in:\n%s", body)
	}
	set := func(value string, status int) string {
		t.Helper()
		s.now = s.now.Add(time.Minute)
		res, body := s.send(c, "POST", duty+"/figures", url.Values{"part": {form[1]}, "name": {form[2]}, "value": {value}}, nil)
		if res.StatusCode != status {
			t.Fatalf("%q: status %d, want %d:\n%s", value, res.StatusCode, status, body)
		}
		_, body = s.get(c, duty)
		return body
	}
	if body := set("25", 303); !strings.Contains(body, "set by you</span>") || !strings.Contains(body, "Earlier values") || !strings.Contains(body, "Anna Bianchi") {
		t.Errorf("the page does not say what was set:\n%s", body)
	}
	set("1e9", 400)
	set("many", 400)
	if body := set("", 303); strings.Contains(body, "set by you</span>") || !strings.Contains(body, "the catalogue&#39;s") {
		t.Error("the figure is not the catalogue's again")
	}
	viewer := s.signedIn(s.add(s.customer, store.RoleViewer))
	if _, body := s.get(viewer, duty); strings.Contains(body, "/figures\"") || !strings.Contains(body, "Earlier values") {
		t.Error("a viewer sees the form, or not the history")
	}
	if _, body := s.get(c, "/orgs/"+s.customer.ID+"/duties/PE-P3"); strings.Contains(body, "/figures\"") {
		t.Error("the customer may set the provider's figures")
	}
}

// A duty's page names what asks for it, and what asks for evidence of all of them.
func TestClausesOfADuty(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	c := s.signedIn(s.add(s.customer, store.RoleAdmin))
	for duty, want := range map[string]map[string]bool{
		"SC-C5": {"art. 32(1)(c), art. 5(2), art. 28(3)(h), art. 28(5)": true, "A.8.13, A.5.28, A.5.35": true, "Codes of conduct</dt><dd>CISPE": true},
		"PE-C1": {"art. 5(2), art. 28(3)(h)</dd>": true, "A.5.28": true, "CISPE": false},
	} {
		_, body := s.get(c, "/orgs/"+s.customer.ID+"/duties/"+duty)
		for text, there := range want {
			if strings.Contains(body, text) != there {
				t.Errorf("%s: %q on the page: %v, want %v", duty, text, !there, there)
			}
		}
	}
}

// The page of agents says how much still waits on a host.
func TestBacklogIsShown(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	h := s.enroll(s.customer, "slow.bianchi.example", "sc")
	c, page := s.signedIn(s.add(s.customer, store.RoleAdmin)), "/orgs/"+s.customer.ID+"/agents"
	for _, n := range []int{1200, 0} {
		s.now = s.now.Add(time.Minute)
		h.backlog = n
		h.sees(whole(health(s.now, 0.5)))
		if _, body := s.get(c, page); strings.Contains(body, "more waited on the host") != (n > 0) || n > 0 && !strings.Contains(body, "1200 more") {
			t.Errorf("%d records wait, and the page says:\n%s", n, body)
		}
	}
}
