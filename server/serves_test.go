package server_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// One measurement of the provider counts for all customers that its host serves, and
// for nobody else; a listing is none of the others' business.
func TestAgentServesSomeCustomers(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		other, err := j.srv.AddOrg(ctx, store.Org{Kind: store.Customer, Name: "Other", Services: []string{"pe"}, Lang: "en"})
		if err != nil {
			t.Fatal(err)
		}
		j.channel(other.ID, alert.Webhook, j.hooks.url, alert.HearsBoth)
		h := j.enrolled(j.provider)
		h.pushes(h.dnsbl(evidence.NotListed))
		j.settle()
		for _, org := range []string{j.provider.ID, j.customer.ID, other.ID} {
			j.wants(org, "PE-P3", "fulfilled dnsbl_clean")
		}
		if err := j.srv.SetServes(ctx, h.id, []string{"pe"}, []string{j.customer.ID}, "u_ops"); err != nil {
			t.Fatal(err)
		}
		j.wants(j.provider.ID, "PE-P3", "fulfilled dnsbl_clean")
		j.wants(j.customer.ID, "PE-P3", "fulfilled dnsbl_clean")
		j.wants(other.ID, "PE-P3", "unproven no_agent")
		h.pushes(h.dnsbl(evidence.Listed))
		j.settle()
		j.wants(j.customer.ID, "PE-P3", "breached dnsbl_listed")
		j.wants(other.ID, "PE-P3", "unproven no_agent")
		for _, m := range j.hooks.bodies {
			if strings.Contains(m, other.ID) {
				t.Errorf("another customer was told: %s", m)
			}
		}
		if err := j.srv.SetServes(ctx, h.id, nil, nil, "u_ops"); err != nil {
			t.Fatal(err)
		}
		j.wants(j.customer.ID, "PE-P3", "unproven no_agent")
		if got := j.stated(j.provider.ID); got["agent.serves"] != 2 {
			t.Errorf("the provider's log states %v", got)
		}
		refused(t, j.srv.SetServes(ctx, h.id, []string{"xx"}, nil, ""), "serves")
		refused(t, j.srv.SetServes(ctx, h.id, []string{"pe"}, []string{"o_none"}, ""), "serves")
		j.sound()
	})
}

// What a customer has decides what stands on its board, and its log says when that
// changed.
func TestServicesOfACustomer(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		j.shop()
		o := j.customer
		o.Services, o.Name = []string{"bk"}, "Shop & Sons"
		if err := j.srv.SetOrg(context.Background(), o, "u_ops"); err != nil {
			t.Fatal(err)
		}
		for duty, want := range map[string]string{"BK-C1": "unproven no_agent", "SC-C5": "none", "SC-P1": "none", "BK-P2": "unproven no_agent"} {
			j.wants(o.ID, duty, want)
		}
		if got := j.stated(o.ID); got["org.services"] != 1 {
			t.Errorf("the log states %v", got)
		}
		o.Services = []string{"zz"}
		if err := j.srv.SetOrg(context.Background(), o, ""); err == nil {
			t.Error("an unknown service was taken")
		}
		j.sound()
	})
}

// What changes at a customer has its own duties judged again, and leaves on its board what
// the provider's hosts prove.
func TestProvidersDutiesStandWhatACustomerChanges(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		h := j.enrolled(j.provider)
		own := j.enrolled(j.customer)
		h.pushes(h.dnsbl(evidence.NotListed))
		j.settle()
		hours := 30.0
		for what, change := range map[string]func() error{
			"a figure": func() error {
				return j.srv.SetParam(ctx, store.Param{Org: j.customer.ID, Duty: "PE-C1", Part: "accounts", Name: "fresh", Value: &hours})
			},
			"a channel": func() error { j.channel(j.customer.ID, alert.Email, "admin@shop.example", ""); return nil },
			"a host":    func() error { _, err := j.srv.RevokeAgent(ctx, own.id, "retired", "", time.Time{}); return err },
		} {
			if err := change(); err != nil {
				t.Fatal(err)
			}
			j.advance(time.Second)
			j.settle()
			if got := j.state(j.customer.ID, "PE-P3"); got != "fulfilled dnsbl_clean" {
				t.Errorf("%s of the customer was changed, and on its board PE-P3 is %s", what, got)
			}
		}
	})
}

// A zone decides when a day is over, so that what holds until then is judged by the new one
// at once, and the log says when that changed.
func TestZoneOfACustomer(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		j.now = time.Date(2026, 6, 10, 9, 0, 0, 0, time.UTC)
		j.backedUp()
		due := func() time.Time {
			list, err := j.store.VerdictsOf(ctx, j.customer.ID, "BK-C1")
			if err != nil {
				t.Fatal(err)
			}
			return list[0].Due
		}
		j.now = time.Date(2026, 6, 10, 9, 30, 0, 0, time.UTC)
		if err := j.srv.ConfirmReview(ctx, j.customer.ID, "BK-C1", "u_1"); err != nil {
			t.Fatal(err)
		}
		holds := map[string]string{"Pacific/Kiritimati": "2026-06-11T10:00:00Z", "Europe/Rome": "2026-06-11T11:00:00Z"} // the review; the look of a host
		for _, zone := range []string{"Pacific/Kiritimati", "Europe/Rome"} {
			o := j.customer
			o.Zone = zone
			if err := j.srv.SetOrg(ctx, o, "u_ops"); err != nil {
				t.Fatal(err)
			}
			if got := due().Add(time.Millisecond).Format(time.RFC3339); got != holds[zone] {
				t.Errorf("in %s it holds until %s, want %s", zone, got, holds[zone])
			}
		}
		if got := j.stated(j.customer.ID); got["org.zone"] != 2 {
			t.Errorf("the log states %v", got)
		}
		j.sound()
	})
}

// A host that runs a mail server looks like one.
func TestSuggestedServices(t *testing.T) {
	c, err := duties.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	soft, err := evidence.FactsBlob(evidence.Software{OS: evidence.OSRelease{ID: "debian", Version: "13", Name: "Debian"}, Reboot: evidence.Reboot{Needed: "no"},
		Products: []evidence.Product{{Name: "postfix", Version: "3.10"}, {Name: "openssl", Version: "3.5"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ids, because := c.Suggest(soft, nil)
	if strings.Join(ids, ",") != "pe" || strings.Join(because, ",") != "postfix" {
		t.Errorf("suggested %v because of %v", ids, because)
	}
	if ids, _ := c.Suggest(nil, []byte("{")); len(ids) > 0 {
		t.Errorf("suggested %v of nothing", ids)
	}
}
