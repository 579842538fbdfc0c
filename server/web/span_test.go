package web_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// An auditor with a span sees each record of it and none outside, the board as it was
// in it, and days that lie in it whole.
func TestAuditorsSpan(t *testing.T) {
	w := seeded(newSite(t, storetest.SQLite(t)))
	ctx := context.Background()
	m := store.Member{From: w.now.Add(-60 * time.Hour), Until: w.now.Add(-6 * time.Hour), Ends: w.now.Add(time.Hour)}
	c := w.signedIn(w.auditor("aldo@bianchi.example", m))
	c0 := "/orgs/" + w.customer.ID
	inside, outside := 0, 0
	for _, org := range []store.Org{w.customer, w.provider} {
		st, err := w.store.Log(ctx, org.ID)
		if err != nil {
			t.Fatal(err)
		}
		records, err := w.store.Records(ctx, org.ID, st.ID, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if r.Agent == "" || r.Seq == 0 {
				continue
			}
			want := http.StatusNotFound
			if m.Shows(r.Received) {
				want = http.StatusOK
				inside++
			} else {
				outside++
			}
			for _, what := range []string{"", "/envelope"} {
				if res, _ := w.get(c, path("/orgs/%s/records/%d%s", org.ID, r.Index, what)); res.StatusCode != want {
					t.Errorf("record %d of %s%s, of %s: status %d, want %d", r.Index, org.Name, what, r.Received, res.StatusCode, want)
				}
			}
		}
	}
	if inside < 20 || outside < 20 {
		t.Fatalf("%d records inside, %d outside: that proves little", inside, outside)
	}
	at := func(t time.Time) string { return "?at=" + url.QueryEscape(t.UTC().Format(time.RFC3339)) }
	for query, want := range map[string]int{"": 200, at(w.now.Add(-10 * time.Hour)): 200, at(w.now): 403, at(w.now.Add(-61 * time.Hour)): 403} {
		for _, p := range []string{c0 + "/board", "/api/v1" + c0 + "/state"} {
			if res, _ := w.get(c, p+query); res.StatusCode != want {
				t.Errorf("%s%s: status %d, want %d", p, query, res.StatusCode, want)
			}
		}
	}
	_, body := w.get(c, "/api/v1"+c0+"/state")
	var state struct {
		At     time.Time
		Duties []struct{ ID, Verdict string }
	}
	if err := json.Unmarshal([]byte(body), &state); err != nil {
		t.Fatal(err)
	}
	if !m.Shows(state.At) {
		t.Errorf("the state shown by itself is of %s", state.At)
	}
	for _, d := range state.Duties {
		if d.ID == "PE-P3" && d.Verdict == "breached" {
			t.Error("the listing of the last six hours shows")
		}
	}
	_, body = w.get(c, "/api/v1"+c0+"/duties/PE-P3/days?from="+w.now.AddDate(0, 0, -20).Format(time.DateOnly))
	var list struct {
		Days []struct {
			From, To time.Time
			Verdict  string
		}
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Days) == 0 {
		t.Fatalf("%s (%v)", body, err)
	}
	judged := 0
	for _, d := range list.Days {
		if d.Verdict != "" {
			judged++
		}
		if d.Verdict != "" && (!m.Shows(d.From) || d.To.After(m.Until)) {
			t.Errorf("the day from %s shows %s", d.From, d.Verdict)
		}
	}
	if judged == 0 {
		t.Error("no day of the span shows")
	}
	if res, _ := w.get(c, "/api/v1"+c0+"/duties/PE-P3/continuity?to="+w.now.AddDate(0, 0, -10).Format(time.DateOnly)); res.StatusCode != http.StatusForbidden {
		t.Errorf("a period outside: status %d", res.StatusCode)
	}
	for _, p := range []string{"/duties/PE-P3", "/cases", "/alerts", "/agents", "/cases/" + w.notice} {
		if res, _ := w.get(c, c0+p); res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: status %d", p, res.StatusCode)
		}
	}
	// Inside its span an auditor sees of lists what lies in it.
	late := w.signedIn(w.auditor("late@bianchi.example", store.Member{From: w.now.Add(time.Second), Ends: w.now.Add(time.Hour)}))
	w.now = w.now.Add(time.Minute)
	if res, body := w.get(late, c0+"/cases"); res.StatusCode != http.StatusOK || strings.Contains(body, "Disk of erp") {
		t.Errorf("a case from before: status %d", res.StatusCode)
	}
	if res, _ := w.get(late, c0+"/cases/"+w.notice); res.StatusCode != http.StatusNotFound {
		t.Errorf("a case from before by its address: status %d", res.StatusCode)
	}
}

func TestTokensOnTheirPage(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	admin := s.signedIn(s.add(s.customer, store.RoleAdmin))
	page := "/orgs/" + s.customer.ID + "/tokens"
	make := func(form url.Values) string {
		t.Helper()
		res, body := s.send(admin, "POST", page, form, nil)
		want(t, "making a token", res, body, http.StatusOK, "shown this once")
		_, text, _ := strings.Cut(body, `id="token">`)
		text, _, _ = strings.Cut(text, "<")
		return text
	}
	status := func(token, method, path string) int {
		res, _ := s.send(s.browser(), method, path, nil, map[string]string{"Authorization": "Bearer " + token})
		return res.StatusCode
	}
	read, write := make(url.Values{"name": {"ci"}, "life": {"month"}}), make(url.Values{"name": {"bot"}, "life": {"year"}, "scope": {"review"}})
	duties, review := "/api/v1/orgs/"+s.customer.ID+"/duties", "/api/v1/orgs/"+s.customer.ID+"/duties/SC-C5/review"
	for _, c := range []struct {
		token, method, path string
		want                int
	}{{read, "GET", duties, 200}, {write, "GET", duties, 200}, {read, "POST", review, 403}, {read, "GET", "/api/v1/orgs/" + s.other.ID + "/duties", 404}, {write, "GET", page, 303}} {
		if got := status(c.token, c.method, c.path); got != c.want {
			t.Errorf("%s %s: status %d, want %d", c.method, c.path, got, c.want)
		}
	}
	if got := status(write, "POST", review); got == 403 || got == 401 {
		t.Errorf("a token that may write: status %d", got)
	}
	list, err := s.store.APITokens(context.Background(), s.customer.ID)
	if err != nil || len(list) != 2 || list[0].Used.IsZero() || list[1].Used.IsZero() {
		t.Fatalf("%+v (%v)", list, err)
	}
	for _, tok := range list {
		if tok.Name != "ci" {
			continue
		}
		if res, _ := s.send(s.signedIn(s.add(s.other, store.RoleAdmin)), "POST", "/orgs/"+s.other.ID+"/tokens/"+tok.ID+"/revoke", nil, nil); res.StatusCode != http.StatusNotFound {
			t.Errorf("revoking another organisation's token: status %d", res.StatusCode)
		}
		if res, _ := s.send(admin, "POST", page+"/"+tok.ID+"/revoke", nil, nil); res.StatusCode != http.StatusSeeOther {
			t.Errorf("revoking: status %d", res.StatusCode)
		}
	}
	if got := status(read, "GET", duties); got != http.StatusUnauthorized {
		t.Errorf("a revoked token: status %d", got)
	}
	s.now = s.now.AddDate(1, 0, 1)
	if got := status(write, "GET", duties); got != http.StatusUnauthorized {
		t.Errorf("an expired token: status %d", got)
	}
	admin = s.signedIn(s.add(s.customer, store.RoleAdmin))
	if _, body := s.get(admin, page); !strings.Contains(body, "expired") {
		t.Error("the page does not say that a token has expired")
	}
	for _, form := range []url.Values{{"name": {"x"}, "life": {"forever"}}, {"life": {"month"}}} {
		res, body := s.send(admin, "POST", page, form, nil)
		want(t, "a form that says too little", res, body, http.StatusBadRequest, "Say what the token is for")
	}
}
