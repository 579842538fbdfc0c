package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// A party silences its own alert: both see by whom, why and until when, on the alert, in
// the list and on the duty; the other party can neither set nor end it.
func TestSilencedByItsParty(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		s := newSite(t, dsn)
		a := raised(t, s)
		page := func(o store.Org) string { return "/orgs/" + o.ID + "/alerts/" + a.ID }
		ops, customer := s.signedIn(s.add(s.provider, store.RoleOperator)), s.signedIn(s.add(s.customer, store.RoleAdmin))
		from := func(o store.Org) map[string]string { return map[string]string{"Referer": s.http.URL + page(o)} }
		fields := url.Values{"hours": {"8"}, "reason": {"Removal was asked for."}}
		if res, _ := s.send(customer, "POST", page(s.customer)+"/silence", fields, from(s.customer)); res.StatusCode != http.StatusNotFound {
			t.Errorf("the customer silences the provider's: status %d", res.StatusCode)
		}
		res, body := s.send(ops, "POST", page(s.provider)+"/silence", url.Values{"hours": {"9000"}, "reason": {"x"}}, from(s.provider))
		want(t, "too long", res, body, http.StatusConflict, "1 to 720 hours")
		res, body = s.send(ops, "POST", page(s.provider)+"/silence", url.Values{"hours": {"1"}, "reason": {" "}}, from(s.provider))
		want(t, "no reason", res, body, http.StatusConflict, "The reason is missing")
		if res, _ := s.send(ops, "POST", page(s.provider)+"/silence", fields, from(s.provider)); res.StatusCode >= 400 {
			t.Fatalf("silencing: status %d", res.StatusCode)
		}
		for what, path := range map[string]string{"alert": page(s.customer), "list": "/orgs/" + s.customer.ID + "/alerts", "duty": "/orgs/" + s.customer.ID + "/duties/PE-P3"} {
			res, body := s.get(customer, path)
			want(t, "the customer's "+what, res, body, http.StatusOK, "Removal was asked for.", "Olga Ferri", "until")
			if strings.Contains(body, "/silences/") {
				t.Errorf("%s offers the customer to end it", what)
			}
		}
		var api struct {
			State    string
			Silences []struct{ ID, Reason string }
		}
		if status := s.api(s.apiToken(s.customer, false), "GET", page(s.customer), &api); status != http.StatusOK || len(api.Silences) != 1 || api.State != alert.Firing || api.Silences[0].Reason == "" {
			t.Fatalf("API: status %d, %+v", status, api)
		}
		end := "/silences/" + api.Silences[0].ID + "/end"
		for _, o := range []store.Org{s.customer, s.provider} {
			if res, _ := s.send(customer, "POST", "/orgs/"+o.ID+end, nil, from(s.customer)); res.StatusCode != http.StatusNotFound {
				t.Errorf("the customer ends it: status %d", res.StatusCode)
			}
		}
		if res, _ := s.send(ops, "POST", "/orgs/"+s.provider.ID+end, nil, from(s.provider)); res.StatusCode >= 400 {
			t.Errorf("ending it: status %d", res.StatusCode)
		}
		if _, body := s.get(ops, page(s.provider)); strings.Contains(body, "Removal was asked for.") {
			t.Error("it still shows")
		}
		res, body = s.get(ops, "/orgs/"+s.provider.ID+"/activity")
		want(t, "the trail", res, body, http.StatusOK, "Messages about alerts were silenced", "A silence of messages was ended", "mx1.nordest.example", "Public blacklists checked daily")
	})
}

// silenced silences an alert of the provider's and a host of its.
func (s *site) silenced(a alert.Alert, host string) {
	s.t.Helper()
	by := s.user(s.add(s.provider, store.RoleOperator).email).ID
	for _, q := range []server.SilenceRequest{{Alert: a.ID, Hours: 168, Reason: "The list was asked to remove it; an answer takes up to a week."}, {Agent: host, Hours: 8, Reason: "Moved to another rack."}} {
		q.Org, q.User = s.provider.ID, by
		if _, err := s.srv.Silence(context.Background(), q); err != nil {
			s.t.Fatal(err)
		}
	}
}

// A host is silenced by the API, and heard again when its reader's time is over.
func TestHostIsSilencedByTheAPI(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	h := s.enroll(s.provider, "mx1.nordest.example", "pe")
	path := "/orgs/" + s.provider.ID
	call := func(token, path string, body any) (int, string) {
		t.Helper()
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.http.URL+"/api/v1"+path, bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var out struct{ ID string }
		_ = json.NewDecoder(res.Body).Decode(&out)
		return res.StatusCode, out.ID
	}
	ask := map[string]any{"hours": 2, "reason": "New disks."}
	if status, _ := call(s.apiToken(s.provider, false), path+"/agents/"+h.id+"/silence", ask); status != http.StatusForbidden {
		t.Errorf("a token that reads: status %d", status)
	}
	token := s.apiToken(s.provider, true)
	status, id := call(token, path+"/agents/"+h.id+"/silence", ask)
	if status != http.StatusCreated || id == "" {
		t.Fatalf("status %d, %q", status, id)
	}
	if status, _ := call(token, "/orgs/"+s.customer.ID+"/agents/"+h.id+"/silence", ask); status < 400 {
		t.Errorf("by another organisation: status %d", status)
	}
	var held struct {
		Silences []struct{ ID, Duty, Asset, Reason string }
	}
	if status := s.api(token, "GET", path+"/silences", &held); status != http.StatusOK || len(held.Silences) != 1 || held.Silences[0].Asset != "mx1.nordest.example" || held.Silences[0].Duty != "" {
		t.Errorf("status %d, %+v", status, held)
	}
	res, body := s.get(s.signedIn(s.add(s.provider, store.RoleOperator)), path+"/agents/"+h.id)
	want(t, "the host", res, body, http.StatusOK, "All that this host raises", "New disks.", "End now")
	s.now = s.now.Add(3 * time.Hour)
	token = s.apiToken(s.provider, true)
	held.Silences = nil
	if s.api(token, "GET", path+"/silences", &held); len(held.Silences) != 0 {
		t.Errorf("still %+v", held)
	}
	if status, _ := call(token, path+"/silences/"+id+"/end", nil); status != http.StatusNotFound {
		t.Errorf("ended after its end: status %d", status)
	}
}
