package web_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// Every case can be reached, however many there are: by pages, by state, by kind and by
// title. An auditor is shown those of their time, and counts of no others.
func TestEveryCaseIsReached(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		s, ctx := newSite(t, dsn), context.Background()
		now := s.now
		s.now = now.Add(-30 * time.Hour)
		id, err := s.srv.OpenCase(ctx, server.CaseRequest{Org: s.customer.ID, Workflow: "notice", Service: "sc", Title: "Case 000", User: "u_1"})
		if err != nil {
			t.Fatal(err)
		}
		first, err := s.store.Case(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		s.tx(func(ctx context.Context, tx *store.Tx) error {
			for i := 1; i < 230; i++ { // of these 80 have ended, and every tenth is an incident
				c := first
				c.ID, c.Title, c.Opened = evidence.NewID("k_"), fmt.Sprintf("Case %03d", i), s.now.Add(time.Duration(i)*time.Minute)
				if i%10 == 0 {
					c.Workflow = "incident"
				}
				if err := tx.AddCase(ctx, c); err != nil {
					return err
				}
				if i >= 150 {
					if err := tx.CloseCase(ctx, c.ID, s.now.Add(time.Duration(1000+i)*time.Minute), false); err != nil {
						return err
					}
				}
			}
			return nil
		})
		began := s.now
		s.now = now
		admin := s.signedIn(s.add(s.customer, store.RoleAdmin))
		auditor := s.signedIn(s.auditor("june@bianchi.example", store.Member{From: began.Add(100 * time.Minute), Until: now.Add(time.Hour), Ends: s.now.Add(48 * time.Hour)}))
		title := regexp.MustCompile(`>Case (\d{3})<`)
		for _, v := range []struct {
			who         *http.Client
			ask         string
			n           int
			first, last string
		}{
			{admin, "", 100, "000", "099"},
			{admin, "?page=2", 100, "100", "180"}, // 150 open ones, then those that ended last
			{admin, "?page=3", 30, "179", "150"},
			{admin, "?page=99", 30, "179", "150"},
			{admin, "?show=open&page=2", 50, "100", "149"},
			{admin, "?show=ended", 80, "229", "150"},
			{admin, "?workflow=incident", 22, "010", "150"},
			{admin, "?q=CASE+22", 10, "229", "220"},
			{admin, "?q=%25", 0, "", ""}, // no wildcard
			{auditor, "", 100, "100", "180"},
			{auditor, "?page=2", 30, "179", "150"},
		} {
			_, body := s.get(v.who, "/orgs/"+s.customer.ID+"/cases"+v.ask)
			got := title.FindAllStringSubmatch(body, -1)
			if len(got) != v.n || v.n > 0 && (got[0][1] != v.first || got[v.n-1][1] != v.last) {
				t.Errorf("%q: %d cases, want %d from %s to %s: %v", v.ask, len(got), v.n, v.first, v.last, got)
			}
		}
		seen, more := map[string]bool{}, true
		for page := 1; more; page++ {
			var out struct {
				Cases []struct{ ID string }
				More  bool
			}
			if status := s.api(s.apiToken(s.customer, false), "GET", fmt.Sprintf("/orgs/%s/cases?page=%d", s.customer.ID, page), &out); status != http.StatusOK {
				t.Fatalf("status %d", status)
			}
			for _, c := range out.Cases {
				seen[c.ID] = true
			}
			more = out.More
		}
		if len(seen) != 230 {
			t.Errorf("the API's pages have %d of 230 cases", len(seen))
		}
	})
}

// A page says whether a person or a token did something: not every token has a name, and
// one can be called as a person is. What the server did by itself is another thing.
func TestTokensAreNoPersons(t *testing.T) {
	s, ctx := newSite(t, storetest.SQLite(t)), context.Background()
	admin := s.signedIn(s.add(s.customer, store.RoleAdmin))
	for _, name := range []string{"", names[store.RoleOperator]} {
		token, err := s.srv.AddAPIToken(ctx, s.customer.ID, name, time.Hour, store.Scopes()...)
		if err != nil {
			t.Fatal(err)
		}
		_, answer := s.posted(s.browser(), token, "/api/v1/orgs/"+s.customer.ID+"/workflows/incident", "application/json", []byte(`{"service":"sc","title":"Logins"}`))
		var made struct{ ID string }
		if err := json.Unmarshal([]byte(answer), &made); err != nil {
			t.Fatal(err)
		}
		c, err := s.store.Case(ctx, made.ID)
		if err != nil {
			t.Fatal(err)
		}
		_, page := s.get(admin, "/orgs/"+s.customer.ID+"/cases/"+made.ID)
		if want := cmp.Or(name, c.OpenedBy) + " (by an API token)"; !strings.Contains(page, want) || strings.Contains(page, "the server itself") {
			t.Errorf("token %q: no %q in %s", name, want, page)
		}
	}
}

// A title is found as it is written, and in small letters, those with marks, too.
func TestTitlesAreFoundInItalian(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		s, ctx := newSite(t, dsn), context.Background()
		if _, err := s.srv.OpenCase(ctx, server.CaseRequest{Org: s.customer.ID, Workflow: "incident", Service: "sc", Title: "È giù la POSTA di Città", User: "u_1"}); err != nil {
			t.Fatal(err)
		}
		for text, want := range map[string]int64{"È giù": 1, "è giù": 1, "posta": 1, "CITTÀ": 1, "Città": 1, "e giu": 0, "%": 0, "_": 0} {
			if n, err := s.store.CountCases(ctx, store.CaseAsk{Text: text, Open: true}); err != nil || n.Open != want {
				t.Errorf("%q finds %d, want %d (%v)", text, n.Open, want, err)
			}
		}
	})
}

// What the provider did for its customers stands in their logs: on its own board, too, the
// verdict leads to it, for who sees them.
func TestProvidersCasesAreCited(t *testing.T) {
	w := seeded(newSite(t, storetest.SQLite(t)))
	type page struct {
		Verdict  string
		Evidence []struct{ Org string }
	}
	var own, theirs page
	w.api(w.apiToken(w.provider, false), "GET", "/orgs/"+w.provider.ID+"/duties/SC-P5", &own)
	w.api(w.apiToken(w.customer, false), "GET", "/orgs/"+w.customer.ID+"/duties/SC-P5", &theirs)
	if len(theirs.Evidence) == 0 || len(own.Evidence) < len(theirs.Evidence) || own.Evidence[0].Org != w.customer.ID {
		t.Errorf("the customer's board cites %v, the provider's %v", theirs, own)
	}
	res, body := w.get(w.signedIn(w.add(w.provider, store.RoleViewer)), "/orgs/"+w.provider.ID+"/duties/SC-P5")
	if res.StatusCode != http.StatusOK || strings.Contains(body, w.customer.ID) {
		t.Errorf("who sees no customer is shown one: status %d", res.StatusCode)
	}
}
