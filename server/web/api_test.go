package web_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// ask reads the API with a token.
func (s *site) api(token, method, path string, out any) int {
	s.t.Helper()
	res, body := s.send(s.browser(), method, "/api/v1"+path, nil, map[string]string{"Authorization": "Bearer " + token})
	if out != nil {
		if kind := res.Header.Get("Content-Type"); kind != "application/json" {
			s.t.Errorf("%s %s: content type %q", method, path, kind)
		}
		if err := json.Unmarshal([]byte(body), out); err != nil {
			s.t.Fatalf("%s %s: %v in %s", method, path, err, body)
		}
	}
	return res.StatusCode
}

func TestAPI(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := seeded(newSite(t, dsn))
		token, org := w.apiToken(w.customer, true), "/orgs/"+w.customer.ID
		var orgs struct {
			Orgs []struct{ ID, Kind, Name string }
		}
		if w.api(token, "GET", "/orgs", &orgs); len(orgs.Orgs) != 1 || orgs.Orgs[0].ID != w.customer.ID {
			t.Errorf("organisations: %+v", orgs)
		}
		type duty struct {
			ID, Service, Party, Title, Verdict, Why string
			Since                                   *time.Time
			Parts                                   []struct{ Name, Proof, Verdict string }
			Evidence                                []struct {
				Org   string
				Index int64
			}
		}
		var board struct{ Duties []duty }
		if w.api(token, "GET", org+"/duties", &board); len(board.Duties) != 57 {
			t.Fatalf("%d duties, want 57", len(board.Duties))
		}
		for _, d := range board.Duties {
			if _, err := duties.ParseVerdict(d.Verdict); err != nil || d.Title == "" || d.Why == "" || d.Since == nil {
				t.Errorf("%+v (%v)", d, err)
			}
		}
		var one duty
		w.api(token, "GET", org+"/duties/PE-P3", &one)
		if one.Verdict != "breached" || len(one.Parts) != 1 || len(one.Evidence) == 0 || one.Evidence[0].Org != w.provider.ID || one.Evidence[0].Index != w.mailIndex {
			t.Errorf("PE-P3: %+v, newest record %d", one, w.mailIndex)
		}
		var record struct {
			Sound  bool
			Proofs []struct {
				Name string
				OK   bool `json:"ok"`
			}
			Items []struct {
				Kind  string
				Facts json.RawMessage
			}
		}
		w.api(token, "GET", path("%s/records/%d", org, w.erpIndex), &record)
		if !record.Sound || len(record.Proofs) != 6 || len(record.Items) != 4 || len(record.Items[0].Facts) < 100 {
			t.Errorf("record: %+v", record)
		}
		record.Items = nil
		w.api(token, "GET", path("/orgs/%s/records/%d", w.provider.ID, w.mailIndex), &record)
		if len(record.Items) == 0 || string(record.Items[0].Facts) != "null" {
			t.Errorf("the provider's record: %+v", record.Items)
		}
		var agents struct {
			Agents []struct {
				Name, State, KeyID string
				Silent             bool
			}
		}
		if w.api(token, "GET", org+"/agents", &agents); len(agents.Agents) != 2 || agents.Agents[0].Silent || !agents.Agents[1].Silent || !strings.HasPrefix(agents.Agents[0].KeyID, "SHA256:") {
			t.Errorf("agents: %+v", agents)
		}
		var alerts struct {
			Alerts []struct{ Org, Duty, State string }
		}
		w.api(token, "GET", org+"/alerts", &alerts)
		for _, want := range []string{"SC-C5", "PE-P3"} { // an own one and one of the provider's
			if !slices.ContainsFunc(alerts.Alerts, func(a struct{ Org, Duty, State string }) bool { return a.Duty == want && a.State == "firing" }) {
				t.Errorf("no alert on %s in %+v", want, alerts)
			}
		}
		var failure struct {
			Error struct{ Code, Message, Cure string }
		}
		for p, code := range map[string]string{org + "/duties/XX-P1": "not_found", "/nothing": "not_found"} {
			if status := w.api(token, "GET", p, &failure); status != http.StatusNotFound || failure.Error.Code != code || failure.Error.Message == "" || failure.Error.Cure == "" {
				t.Errorf("%s: status %d, %+v", p, status, failure)
			}
		}
		if status := w.api(token, "POST", org+"/duties/SC-C1/review", &failure); status != http.StatusConflict || failure.Error.Code != "no_review" {
			t.Errorf("a review that nothing asks for: status %d, %+v", status, failure)
		}
		if status := w.api(token, "POST", org+"/duties/SC-C5/review", nil); status != http.StatusNoContent {
			t.Errorf("review: status %d", status)
		}
		w.api(token, "GET", org+"/duties/SC-C5", &one)
		if !slices.ContainsFunc(one.Parts, func(p struct{ Name, Proof, Verdict string }) bool {
			return p.Proof == "review" && p.Verdict == "fulfilled"
		}) {
			t.Errorf("after the review: %+v", one.Parts)
		}
	})
}

func TestExpiredTokenIsRefused(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	token := s.apiToken(s.customer, false)
	if status := s.api(token, "GET", "/orgs", nil); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	s.now = s.now.Add(2 * time.Hour)
	if status := s.api(token, "GET", "/orgs", nil); status != http.StatusUnauthorized {
		t.Errorf("an expired token: status %d", status)
	}
}

// A review by click is an entry of the log, and proves the part that asks for it.
func TestReviewByClick(t *testing.T) {
	w := seeded(newSite(t, storetest.SQLite(t)))
	c := w.signedIn(w.add(w.customer, store.RoleAdmin))
	duty := "/orgs/" + w.customer.ID + "/duties/SC-C5"
	_, before := w.get(c, duty)
	if !strings.Contains(before, "/review") {
		t.Fatal("no button")
	}
	shown := w.now
	w.now = shown.Add(time.Minute)
	seal := regexp.MustCompile(`name="seal" value="([^"]+)"`).FindStringSubmatch(before)[1]
	for _, wrong := range []string{seal[:len(seal)-2] + "AA", "x", "x.y"} {
		if res, _ := w.send(c, "POST", duty+"/review", url.Values{"seal": {wrong}}, nil); res.StatusCode != http.StatusConflict {
			t.Errorf("seal %q: status %d", wrong, res.StatusCode)
		}
	}
	if res, _ := w.send(c, "POST", "/orgs/"+w.customer.ID+"/duties/SC-C3/review", url.Values{"seal": {seal}}, nil); res.StatusCode != http.StatusConflict {
		t.Errorf("the seal of another duty: status %d", res.StatusCode)
	}
	if res, _ := w.send(c, "POST", duty+"/review", url.Values{"seal": {seal}}, nil); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != duty {
		t.Fatalf("status %d, sent to %q", res.StatusCode, res.Header.Get("Location"))
	}
	reviews, err := w.store.Reviews(t.Context(), w.customer.ID, "SC-C5", 1)
	if err != nil || len(reviews) != 1 || reviews[0].At.Sub(shown).Abs() > time.Millisecond {
		t.Fatalf("it counts from when it was shown, at %s: %+v (%v)", shown, reviews, err)
	}
	st, err := w.store.Log(t.Context(), w.customer.ID)
	if err != nil {
		t.Fatal(err)
	}
	res, body := w.get(c, path("/orgs/%s/records/%d", w.customer.ID, st.Size-1))
	if res.StatusCode != http.StatusOK || !strings.Contains(body, "confirmed") || !strings.Contains(body, "Proven") {
		t.Errorf("record of the review: status %d", res.StatusCode)
	}
	if _, body := w.get(w.signedIn(w.add(w.customer, store.RoleViewer)), duty); strings.Contains(body, "/review\"") {
		t.Error("a viewer is offered the button")
	}
}

// What was changed in the database shows on the record's page.
func TestChangedRecordShows(t *testing.T) {
	w := seeded(newSite(t, storetest.SQLite(t)))
	c := w.signedIn(w.add(w.customer, store.RoleAdmin))
	page := path("/orgs/%s/records/%d", w.customer.ID, w.erpIndex)
	if _, body := w.get(c, page); strings.Contains(body, "Not proven<") {
		t.Fatal("it is not proven to begin with")
	}
	rec, err := w.store.Record(t.Context(), w.customer.ID, 1, w.erpIndex)
	if err != nil {
		t.Fatal(err)
	}
	var changed evidence.Digest
	for d, b := range rec.Blobs {
		if len(b.Data) > 0 {
			changed = d
		}
	}
	w.spoil(`UPDATE blob SET data = zeroblob(length(data)) WHERE sha = $1`, changed[:])
	res, body := w.get(c, page)
	if res.StatusCode != http.StatusOK || !strings.Contains(body, "Not proven<") || !strings.Contains(body, "does not hold") {
		t.Errorf("status %d, and the page does not say that the record was changed", res.StatusCode)
	}
}
