package web_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// The board can be seen as it was, days and continuity agree with it, and a period
// that makes no sense is refused by name.
func TestHistoryOfTheBoard(t *testing.T) {
	w := seeded(newSite(t, storetest.SQLite(t)))
	admin := w.signedIn(w.add(w.customer, store.RoleAdmin))
	api := "/api/v1/orgs/" + w.customer.ID
	read := func(path string, to any) {
		t.Helper()
		res, body := w.get(admin, path)
		if res.StatusCode != http.StatusOK || json.Unmarshal([]byte(body), to) != nil {
			t.Fatalf("%s: status %d: %s", path, res.StatusCode, body)
		}
	}
	var state struct {
		Duties []struct{ ID, Verdict string } `json:"duties"`
	}
	verdict := func(at time.Time) string {
		t.Helper()
		read(api+"/state?at="+at.UTC().Format(time.RFC3339), &state)
		for _, d := range state.Duties {
			if d.ID == "PE-P3" {
				return d.Verdict
			}
		}
		return ""
	}
	if got := verdict(w.now.Add(time.Second)); got != "breached" {
		t.Errorf("now: %s", got)
	}
	if got := verdict(w.now.Add(-24 * time.Hour)); got != "fulfilled" {
		t.Errorf("a day ago: %s", got)
	}
	if got := verdict(w.now.Add(-2400 * time.Hour)); got != "unproven" {
		t.Errorf("before there was anything: %s", got)
	}
	res, body := w.get(admin, api+"/state?at="+w.now.Add(-2400*time.Hour).UTC().Format(time.RFC3339))
	if res.StatusCode != http.StatusOK || strings.Contains(body, "1970") || strings.Contains(body, `"since"`) || !strings.Contains(body, `"cause":"not_installed"`) {
		t.Errorf("before there was anything: status %d: %s", res.StatusCode, body)
	}
	res, body = w.get(admin, api+"/state?at="+w.now.AddDate(1, 0, 0).UTC().Format(time.RFC3339))
	if res.StatusCode != http.StatusBadRequest || !strings.Contains(body, `"future_moment"`) {
		t.Errorf("in a year: status %d: %s", res.StatusCode, body)
	}
	today := w.now.In(w.customer.Location())
	if res, body = w.get(admin, api+"/state?at="+today.Format(time.DateOnly)); res.StatusCode != http.StatusOK {
		t.Errorf("today: status %d: %s", res.StatusCode, body)
	}
	if res, body = w.get(admin, api+"/state?at="+today.AddDate(0, 0, 1).Format(time.DateOnly)); res.StatusCode != http.StatusBadRequest {
		t.Errorf("tomorrow: status %d: %s", res.StatusCode, body)
	}
	var days struct {
		Days []struct {
			From, Verdict string
			Open          bool
			Seconds       map[string]int64
		} `json:"days"`
	}
	read(api+"/duties/PE-P3/days", &days)
	last := days.Days[len(days.Days)-1]
	if last.Verdict != "breached" || !last.Open || days.Days[0].Verdict != "" {
		t.Errorf("first %+v, last %+v", days.Days[0], last)
	}
	var sum struct{ Expected, Covered, Before int }
	read(api+"/duties/PE-P3/continuity", &sum)
	if sum.Expected == 0 || sum.Expected != sum.Covered || sum.Before == 0 {
		t.Errorf("continuity %+v", sum)
	}
	_, page := w.get(admin, "/orgs/"+w.customer.ID+"/board?at="+w.now.Add(-24 * time.Hour).Format(time.RFC3339)[:16])
	if !strings.Contains(page, "as it was on") {
		t.Error("the page does not say that it shows the past")
	}
	for _, bad := range []string{"?from=yesterday", "?from=2026-02-01&to=2026-01-01", "?from=1999-01-01&to=2026-01-01"} {
		if res, body := w.get(admin, api+"/duties/PE-P3/days"+bad); res.StatusCode != http.StatusBadRequest || !strings.Contains(body, `"bad_period"`) {
			t.Errorf("%s: status %d: %s", bad, res.StatusCode, body)
		}
	}
}

// A board says something of each duty from the first moment, and of a time before it.
func TestANewBoardSaysWhy(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	c := s.signedIn(s.add(s.provider, store.RoleAdmin))
	if res, body := s.send(c, "POST", "/customers", url.Values{"org": {"Fonderia Neri"}, "service": {"sc", "wh", "pe", "bk"}, "lang": {"en"}, "zone": {"Europe/Rome"}}, nil); res.StatusCode >= http.StatusBadRequest {
		t.Fatalf("status %d: %s", res.StatusCode, body)
	}
	orgs, err := s.store.Orgs(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	id := orgs[slices.IndexFunc(orgs, func(o store.Org) bool { return o.Name == "Fonderia Neri" })].ID
	for path, cured := range map[string]bool{"/duties": true, "/state?at=2020-01-01": false} {
		var board struct {
			Duties []struct{ ID, Why, Cure string }
		}
		if status := s.api(s.apiToken(s.provider, false), "GET", "/orgs/"+id+path, &board); status != http.StatusOK || len(board.Duties) != 57 {
			t.Fatalf("%s: status %d, %d duties", path, status, len(board.Duties))
		}
		for _, d := range board.Duties {
			if d.Why == "" || cured && d.Why == "Nothing has been judged yet." {
				t.Errorf("%s: %s says %q", path, d.ID, d.Why)
			}
		}
	}
}

// A day ends as it is rolled up, also where what held until its end lapsed with it.
func TestDaysEndAsTheyAreRolledUp(t *testing.T) {
	w := seeded(newSite(t, storetest.SQLite(t)))
	day, end := w.now.In(w.customer.Location()).Format(time.DateOnly), duties.Midnight(w.now, w.customer.Location(), 1)
	for _, v := range []store.Verdict{{At: w.now.Add(time.Second), Verdict: duties.Fulfilled}, {At: end.Add(-time.Millisecond), Verdict: duties.Unproven}} {
		v.Org, v.Duty = w.customer.ID, "BK-C6"
		if err := w.store.Tx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			return tx.PutVerdict(ctx, v)
		}); err != nil {
			t.Fatal(err)
		}
	}
	w.now = end.Add(time.Hour)
	admin := w.signedIn(w.add(w.customer, store.RoleAdmin))
	var state struct {
		Duties []struct{ ID, Verdict string } `json:"duties"`
	}
	var days struct {
		Days []struct{ Verdict string } `json:"days"`
	}
	for path, to := range map[string]any{"/state?at=" + day: &state, "/duties/BK-C6/days?from=" + day + "&to=" + day: &days} {
		if res, body := w.get(admin, "/api/v1/orgs/"+w.customer.ID+path); res.StatusCode != http.StatusOK || json.Unmarshal([]byte(body), to) != nil {
			t.Fatalf("%s: status %d: %s", path, res.StatusCode, body)
		}
	}
	if len(days.Days) != 1 || days.Days[0].Verdict != "unproven" {
		t.Fatalf("days %+v", days)
	}
	for _, d := range state.Duties {
		if d.ID == "BK-C6" && d.Verdict != "unproven" {
			t.Errorf("the day was unproven, and at its end it was %s", d.Verdict)
		}
	}
}

// What was owed of a service stays on the board of the time, in its days and in exports,
// when the service is given up.
func TestBoardOfAServiceThatWasGivenUp(t *testing.T) {
	w := seeded(newSite(t, storetest.SQLite(t)))
	before := w.now
	w.now = w.now.Add(time.Hour)
	o := w.customer
	o.Services = slices.DeleteFunc(slices.Clone(o.Services), func(s string) bool { return s == "sc" })
	if err := w.srv.SetOrg(t.Context(), o, ""); err != nil {
		t.Fatal(err)
	}
	admin := w.signedIn(w.add(w.customer, store.RoleAdmin))
	shows := func(ask, want string) {
		t.Helper()
		res, body := w.get(admin, "/api/v1/orgs/"+o.ID+ask)
		if has := strings.Contains(body, `"SC-C5"`); res.StatusCode != http.StatusOK || has != (want != "") || !strings.Contains(body, want) {
			t.Errorf("%s: status %d, SC-C5 is there: %t: %s", ask, res.StatusCode, has, body)
		}
	}
	shows("/duties", "")
	shows("/state", "")
	shows("/state?at="+before.UTC().Format(time.RFC3339), `"service":"sc"`)
	for path, want := range map[string]int{"/duties/SC-C5/days": http.StatusOK, "/duties/SC-C5/continuity": http.StatusOK, "/duties/SC-C5": http.StatusNotFound, "/duties/SC-X5/days": http.StatusNotFound} {
		if res, body := w.get(admin, "/api/v1/orgs/"+o.ID+path); res.StatusCode != want {
			t.Errorf("%s: status %d, want %d: %s", path, res.StatusCode, want, body)
		}
	}
	other := w.signedIn(w.add(w.other, store.RoleAdmin))
	if res, _ := w.get(other, "/api/v1/orgs/"+w.other.ID+"/duties/SC-C5/days"); slices.Contains(w.other.Services, "sc") == (res.StatusCode != http.StatusOK) {
		t.Errorf("who never had the service: status %d", res.StatusCode)
	}
}
