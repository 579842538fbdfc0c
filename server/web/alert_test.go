package web_test

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// raised is an alert of the provider's that everybody who may hears of: the provider by
// mail and by a webhook that is refused, both customers by mail.
func raised(t *testing.T, s *site) alert.Alert {
	t.Helper()
	a := alert.Alert{ID: "al_told", Org: s.provider.ID, Duty: "PE-P3", Part: "dnsbl", Asset: "a_gone", Name: "mx1.nordest.example", Party: duties.Provider,
		Verdict: duties.Breached, Why: duties.Message{Key: "never_seen", Args: map[string]string{"host": "mx1.nordest.example", "kind_codes": "dnsbl"}}, Opened: s.now}
	s.tx(func(ctx context.Context, tx *store.Tx) error {
		for _, c := range []alert.Channel{
			{ID: "c_ops", Org: s.provider.ID, Kind: alert.Email, Target: "ops@nordest.example"},
			{ID: "c_hook", Org: s.provider.ID, Kind: alert.Webhook, Target: "https://127.0.0.1/secret-path"},
			{ID: "c_ced", Org: s.customer.ID, Kind: alert.Email, Target: "ced@bianchi.example", Party: alert.HearsBoth},
			{ID: "c_verdi", Org: s.other.ID, Kind: alert.Email, Target: "it@verdi.example", Party: alert.HearsBoth},
		} {
			c.Created = s.now
			if err := tx.AddChannel(ctx, c); err != nil {
				return err
			}
		}
		fired, err := tx.FireAlert(ctx, a, store.Reach{Service: "pe"})
		if err == nil && !fired {
			t.Error("no alert was raised")
		}
		return err
	})
	return a
}

func (s *site) tx(fn func(context.Context, *store.Tx) error) {
	s.t.Helper()
	if err := s.store.Tx(context.Background(), fn); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) deliver() {
	s.t.Helper()
	if _, err := s.srv.Alerts().Once(context.Background()); err != nil {
		s.t.Fatal(err)
	}
}

// An alert's page says who was told when and how, each try with its record, and nothing
// of it crosses from one organisation to another.
func TestWhoWasTold(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		box, busy := newMailbox(t), "ced@bianchi.example"
		box.busy.Store(&busy)
		s := newSiteWith(t, dsn, box.config())
		a := raised(t, s)
		s.deliver()
		page := func(o store.Org) string { return "/orgs/" + o.ID + "/alerts/" + a.ID }
		ops := s.signedIn(s.add(s.provider, store.RoleOperator))
		res, body := s.get(ops, page(s.provider))
		want(t, "the provider", res, body, http.StatusOK, "mx1.nordest.example", "ops@nordest.example", "delivered", "https://127.0.0.1/…", "address is not a public one",
			"refused", "tried again", "mailbox busy", "it@verdi.example", "by nobody", "that it was raised")
		if strings.Contains(body, "secret-path") {
			t.Error("the page shows the path of a webhook")
		}
		res, body = s.get(ops, "/orgs/"+s.provider.ID+"/alerts")
		want(t, "the list", res, body, http.StatusOK, "2 messages not delivered", page(s.provider))
		box.busy.Store(nil)
		s.now = s.now.Add(time.Hour)
		s.tx(func(ctx context.Context, tx *store.Tx) error {
			return tx.AckAlert(ctx, a.Org, a.ID, s.user(s.add(s.provider, store.RoleOperator).email).ID, s.now)
		})
		s.deliver()
		s.now = s.now.Add(time.Hour)
		a.Ended = a.Why
		s.tx(func(ctx context.Context, tx *store.Tx) error { _, err := tx.ResolveAlert(ctx, a, s.now); return err })
		s.deliver()
		customer := s.signedIn(s.add(s.customer, store.RoleAdmin))
		res, body = s.get(customer, page(s.customer))
		want(t, "the customer", res, body, http.StatusOK, "ced@bianchi.example", "mailbox busy", "mx1.nordest.example has never sent facts", "that it is over", "Nordest Hosting", "their own channel", "Olga Ferri")
		if n := strings.Count(body, "<li value="); n != 3 {
			t.Errorf("%d tries, want two of the firing and one of the end", n)
		}
		records := regexp.MustCompile(`/orgs/\w+/records/\d+`).FindAllString(body, -1)
		if len(records) != 3 {
			t.Errorf("records %v", records)
		}
		for _, r := range records {
			if res, body := s.get(customer, r); res.StatusCode != http.StatusOK || !strings.Contains(body, "Proven") {
				t.Errorf("%s: status %d", r, res.StatusCode)
			}
		}
		var api struct {
			Told []struct{ Org, Target, State, Event string }
		}
		if status := s.api(s.apiToken(s.customer, false), "GET", page(s.customer), &api); status != http.StatusOK || len(api.Told) != 6 {
			t.Errorf("API: status %d, %+v", status, api)
		}
		_, text := s.send(customer, "GET", "/api/v1"+page(s.customer), nil, nil)
		for what, seen := range map[string]string{"the page": body, "the API": text} {
			for _, secret := range []string{"ops@nordest.example", "https://127", "secret-path", "verdi.example", "Verdi", s.other.ID} {
				if strings.Contains(seen, secret) {
					t.Errorf("%s shows a customer %q: %s", what, secret, seen)
				}
			}
		}
		res, body = s.send(customer, "GET", page(s.customer), nil, map[string]string{"Accept-Language": "it"})
		want(t, "in Italian", res, body, http.StatusOK, "Chi è stato avvisato", "consegnato", "che è terminato", "un suo canale")
		viewer := s.signedIn(s.add(s.customer, store.RoleViewer))
		if _, body := s.get(viewer, page(s.customer)); strings.Contains(body, "ced@bianchi.example") || !strings.Contains(body, "c…@bianchi.example") {
			t.Error("a viewer sees an address whole")
		}
		if res, _ := s.get(customer, page(s.other)); res.StatusCode != http.StatusNotFound {
			t.Errorf("another customer's: status %d", res.StatusCode)
		}
		if res, _ := s.get(customer, page(s.provider)); res.StatusCode != http.StatusNotFound {
			t.Errorf("the provider's: status %d", res.StatusCode)
		}
	})
}

// What concerns one customer alone is no other's to see, also not by its id.
func TestAlertOfAnother(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	a := alert.Alert{ID: "al_own", Org: s.other.ID, Duty: "PE-C1", Part: "accounts", Asset: "a_1", Name: "pc1", Party: duties.Customer, Verdict: duties.Breached,
		Why: duties.Message{Key: "never_seen"}, Opened: s.now}
	case1 := a
	case1.ID, case1.Org, case1.Duty, case1.Part, case1.Party = "al_case", s.provider.ID, "PE-P10", "workflow", duties.Provider
	s.tx(func(ctx context.Context, tx *store.Tx) error {
		for _, a := range []alert.Alert{a, case1} {
			if _, err := tx.FireAlert(ctx, a, store.Reach{Service: "pe"}); err != nil {
				return err
			}
		}
		return nil
	})
	c := s.signedIn(s.add(s.customer, store.RoleAdmin))
	for _, id := range []string{a.ID, case1.ID, "al_none"} {
		if res, _ := s.get(c, "/orgs/"+s.customer.ID+"/alerts/"+id); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d", id, res.StatusCode)
		}
	}
	ops := s.signedIn(s.add(s.provider, store.RoleOperator))
	for _, id := range []string{a.ID, case1.ID} {
		res, body := s.get(ops, "/orgs/"+s.provider.ID+"/alerts/"+id)
		want(t, id, res, body, http.StatusOK, "Nobody was told")
	}
}
