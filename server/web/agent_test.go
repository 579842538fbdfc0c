package web_test

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// The page of agents shows what asks for somebody first, no more than fit, and finds
// the others.
func TestManyAgents(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	now := s.now
	s.now = now.Add(-3 * time.Hour)
	quiet := s.enroll(s.customer, "zz-quiet.bianchi.example", "sc")
	quiet.sees(whole(health(s.now, 0.5)))
	s.now = now
	for i := range 62 {
		s.enroll(s.customer, fmt.Sprintf("host-%02d.bianchi.example", i), "sc")
	}
	gone := s.enroll(s.customer, "gone.bianchi.example", "sc")
	if _, err := s.srv.RevokeAgent(context.Background(), gone.id, "retired", "u_test", time.Time{}); err != nil {
		t.Fatal(err)
	}
	c, page := s.signedIn(s.add(s.customer, store.RoleAdmin)), "/orgs/"+s.customer.ID+"/agents"
	for _, v := range []struct {
		ask         string
		cards       int
		first, last string // of the cards
		says        string
	}{
		{"", 60, "host-20", "host-16", "And 4 more"}, // those beyond what may enroll in a day wait,
		{"?show=silent", 1, "zz-quiet", "zz-quiet", ""},
		{"?show=revoked", 1, "gone", "gone", ""},
		{"?show=new&q=HOST-1", 10, "host-10", "host-19", ""},
		{"?q=host-61", 1, "host-61", "host-61", ""},
		{"?q=" + url.QueryEscape(gone.id), 1, "gone", "gone", ""},
		{"?q=nowhere", 0, "", "", "No agent matches that."},
	} {
		_, body := s.get(c, page+v.ask)
		cards := strings.Split(body, `<section class="card agent">`)[1:]
		if len(cards) != v.cards || !strings.Contains(body, v.says) {
			t.Errorf("%q shows %d agents, and says %q: %t", v.ask, len(cards), v.says, strings.Contains(body, v.says))
		} else if v.cards > 0 && (!strings.Contains(cards[0], ">"+v.first) || !strings.Contains(cards[len(cards)-1], ">"+v.last)) {
			t.Errorf("%q: first\n%.300s\nlast\n%.300s", v.ask, cards[0], cards[len(cards)-1])
		}
		for stands, n := range map[string]int{"waiting": 42, "silent": 1, "new": 20, "revoked": 1} { // of all, whatever is asked for
			if !regexp.MustCompile(fmt.Sprintf(`show=%s"[^>]*><span class="figure"><span[^>]*>.</span>%d</span>`, stands, n)).MatchString(body) {
				t.Errorf("%q does not count %d %s", v.ask, n, stands)
			}
		}
	}
}

// The page of an agent says what it sent last and what is open about its host, and of
// no other's.
func TestAgentPage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := seeded(newSite(t, dsn))
		admin, viewer := w.signedIn(w.add(w.customer, store.RoleAdmin)), w.signedIn(w.add(w.customer, store.RoleViewer))
		page := "/orgs/" + w.customer.ID + "/agents/"
		_, erp := w.get(admin, page+w.erp.id)
		_, files := w.get(viewer, page+w.files.id)
		for _, v := range []struct {
			where, body, text string
			has               bool
		}{
			{"erp", erp, "erp.bianchi.example", true},
			{"erp", erp, fmt.Sprintf("/orgs/%s/records/%d", w.customer.ID, w.erpIndex), true},
			{"erp", erp, "something could not be seen", true},
			{"erp", erp, `class="fired"`, true},
			{"erp", erp, "files.bianchi.example", false},
			{"erp", erp, "/revoke", true},
			{"erp", erp, `name="replaces" value="` + w.erp.id, true},
			{"files", files, "it took too long", true},
			{"files", files, "attesto-agent status", true},
			{"files", files, "erp.bianchi.example", false},
			{"files", files, "<form method=\"post\" action=\"/orgs/", false},
		} {
			if strings.Contains(v.body, v.text) != v.has {
				t.Errorf("%s: %q there: %t", v.where, v.text, !v.has)
			}
		}
		var told struct {
			Looks []struct{ Kind, Outcome, Reason string }
		}
		if status := w.api(w.apiToken(w.customer, false), "GET", "/orgs/"+w.customer.ID+"/agents/"+w.files.id, &told); status != 200 || len(told.Looks) != 3 ||
			told.Looks[2].Kind != "software" || told.Looks[2].Outcome != "failed" || told.Looks[2].Reason != "timeout" {
			t.Errorf("the API: %d %+v", status, told)
		}
	})
}
