package web_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// walker acts for a party: by the API with a token, or by the pages' forms.
type partyWalker struct {
	s       *site
	token   string
	browser *http.Client
}

// does sends something to a path below the organisation, and returns where it led, or
// what it answered.
func (p partyWalker) does(path string, fields map[string]string) string {
	p.s.t.Helper()
	if p.token != "" {
		b, err := json.Marshal(fields)
		if err != nil {
			p.s.t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, p.s.http.URL+"/api/v1"+path, strings.NewReader(string(b)))
		if err != nil {
			p.s.t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+p.token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			p.s.t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		var out struct{ ID string }
		if res.StatusCode == http.StatusCreated {
			if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
				p.s.t.Fatal(err)
			}
		} else if res.StatusCode != http.StatusNoContent {
			p.s.t.Fatalf("POST %s: status %d", path, res.StatusCode)
		}
		return out.ID
	}
	form := url.Values{}
	for k, v := range fields {
		form.Set(k, v)
	}
	res, body := p.s.send(p.browser, "POST", path, form, nil)
	if res.StatusCode != http.StatusSeeOther {
		p.s.t.Fatalf("POST %s: status %d: %.300s", path, res.StatusCode, body)
	}
	return res.Header.Get("Location")[strings.LastIndexByte(res.Header.Get("Location"), '/')+1:]
}

// TestEveryWorkflowByAPIAndByPage walks each workflow through to its end, each step by
// the party whose it is: by the API, and by the forms of the pages. The duties that it
// proves are proven by it then, and all that was stated is sound.
func TestEveryWorkflowByAPIAndByPage(t *testing.T) {
	c, err := duties.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range []string{"api", "page"} {
		t.Run(way, func(t *testing.T) {
			s := newSite(t, storetest.SQLite(t))
			parties := map[string]partyWalker{duties.Provider: {s: s, token: s.apiToken(s.provider, true)}, duties.Customer: {s: s, token: s.apiToken(s.customer, true)}}
			if way == "page" {
				parties[duties.Provider] = partyWalker{s: s, browser: s.signedIn(s.add(s.provider, store.RoleOperator))}
				parties[duties.Customer] = partyWalker{s: s, browser: s.signedIn(s.add(s.customer, store.RoleAdmin))}
			}
			for _, f := range c.Workflows() {
				opens, org := f.Opens, s.customer.ID
				if f.Own {
					org = s.provider.ID
				}
				if opens == duties.Either {
					opens = duties.Customer
				}
				id := parties[opens].does("/orgs/"+org+"/workflows/"+f.ID, map[string]string{"service": f.Services()[0], "title": "The " + f.ID, "text": "What happened."})
				for _, step := range f.Steps {
					if step.AtOnce {
						continue
					}
					parties[step.Party].does("/orgs/"+org+"/cases/"+id+"/steps/"+step.ID, map[string]string{"text": "Done."})
				}
				k, err := s.store.Case(context.Background(), id)
				if err != nil || k.Closed.IsZero() || k.Withdrawn || len(k.Steps) != len(f.Steps) {
					t.Errorf("%s: %+v (%v)", f.ID, k, err)
				}
				s.judge()
				for _, d := range c.Duties() {
					if d.Service != f.Services()[0] || !f.Proves(d.ID) {
						continue
					}
					list, err := s.store.VerdictsOf(context.Background(), org, d.ID)
					if err != nil {
						t.Fatal(err)
					}
					for _, v := range list {
						if v.Part == duties.ProofWorkflow && v.Verdict != duties.Fulfilled {
							t.Errorf("%s after %s: %s %s", d.ID, f.ID, v.Verdict, v.Why)
						}
					}
				}
			}
			found, err := s.srv.Check(context.Background(), nil)
			if err != nil || len(found.Faults) > 0 {
				t.Errorf("the store is not sound: %+v (%v)", found.Faults, err)
			}
		})
	}
}
