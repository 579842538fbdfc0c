package web_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// That a case was read is on record once: when somebody of the party that did not open it
// sees its page, not when its own people do, an auditor, a script, or another customer.
func TestCaseIsReadOnce(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	ctx := context.Background()
	operator, admin := s.add(s.provider, store.RoleOperator), s.add(s.customer, store.RoleAdmin)
	opens := func(org store.Org, workflow, service, user string) store.Case {
		id, err := s.srv.OpenCase(ctx, server.CaseRequest{Org: org.ID, Workflow: workflow, Service: service, Title: "Disk is full", User: user})
		if err != nil {
			t.Fatal(err)
		}
		return store.Case{ID: id, Org: org.ID}
	}
	open := func(org store.Org, workflow, service string) store.Case { return opens(org, workflow, service, "u_1") }
	notice, incident, early := open(s.customer, "notice", "sc"), open(s.customer, "incident", "sc"), open(s.provider, "abuse", "wh")
	asked, offered, nobodys := opens(s.customer, "export", "pe", s.user(admin.email).ID), opens(s.customer, "export", "pe", s.user(operator.email).ID), open(s.customer, "export", "pe")
	people := map[string]*http.Client{"operator": s.signedIn(operator), "admin": s.signedIn(admin),
		"auditor": s.signedIn(s.add(s.customer, store.RoleAuditor)), "stranger": s.signedIn(s.add(s.other, store.RoleAdmin))}
	both := s.add(s.provider, store.RoleViewer) // works for both parties
	for org, role := range map[string]string{s.provider.ID: store.RoleOperator, s.customer.ID: store.RoleViewer} {
		if _, err := s.srv.AddUser(ctx, server.UserRequest{Email: both.email, Name: "Both", Org: org, Role: role}); err != nil {
			t.Fatal(err)
		}
	}
	people["both"] = s.signedIn(both)
	page := "/orgs/" + notice.Org + "/cases/" + notice.ID
	for _, probe := range []struct {
		method string
		header map[string]string
	}{{"HEAD", nil}, {"GET", map[string]string{"Sec-Purpose": "prefetch"}}, {"GET", map[string]string{"Purpose": "prefetch"}}, {"GET", map[string]string{"Sec-Fetch-Dest": "image"}}} {
		if res, _ := s.send(people["admin"], probe.method, page, nil, probe.header); res.StatusCode != http.StatusOK {
			t.Errorf("%v: status %d", probe, res.StatusCode)
		}
		if c, err := s.store.Case(ctx, notice.ID); err != nil || !c.Read.At.IsZero() {
			t.Errorf("%v counts as read: %+v (%v)", probe, c.Read, err)
		}
	}
	for _, tt := range []struct {
		of   store.Case
		who  string
		read bool
	}{{notice, "both", false}, {incident, "both", false},

		{notice, "operator", false}, {notice, "auditor", false}, {notice, "stranger", false}, {notice, "script", false}, {notice, "admin", true}, {notice, "operator", true}, {notice, "admin", true},
		{incident, "admin", false}, {incident, "operator", true}, {early, "operator", false},
		{asked, "admin", false}, {asked, "operator", true}, {offered, "operator", false}, {offered, "admin", true}, {nobodys, "operator", false}, {nobodys, "admin", false},
	} {
		page := "/orgs/" + tt.of.Org + "/cases/" + tt.of.ID
		if tt.who == "script" {
			s.api(s.apiToken(s.customer, true), "GET", page, nil)
		} else {
			s.get(people[tt.who], page)
		}
		c, err := s.store.Case(ctx, tt.of.ID)
		if err != nil || c.Read.At.IsZero() == tt.read {
			t.Errorf("%s after %s: read %+v (%v)", page, tt.who, c.Read, err)
		}
	}
	items, err := s.store.ItemsOf(ctx, s.customer.ID, "", "workflow", store.Time(0), 100)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, it := range items {
		if it.Reason == "case.read" {
			n++
		}
	}
	if n != 4 {
		t.Errorf("the log says %d times that a case was read", n)
	}
	if _, body := s.get(people["operator"], "/orgs/"+notice.Org+"/cases/"+notice.ID); !strings.Contains(body, "Read by the other party for the first time") {
		t.Error("the page does not say that the notice was read")
	}
	var answer struct{ Read string }
	if s.api(s.apiToken(s.provider, false), "GET", "/orgs/"+notice.Org+"/cases/"+notice.ID, &answer); answer.Read == "" {
		t.Error("the API does not say that the notice was read")
	}
	found, err := s.srv.Check(ctx, nil)
	if err != nil || len(found.Faults) > 0 {
		t.Errorf("%+v (%v)", found.Faults, err)
	}
}

// A step is due when the parties agreed: the provider's steps by its own figures, the
// customer's by the customer's.
func TestStepsAreDueAsAgreed(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	ctx := context.Background()
	hours := func(h float64) *float64 { return &h }
	for _, p := range []store.Param{{Org: s.provider.ID, Duty: "SC-P5", Part: "workflow", Name: "notice_told", Value: hours(4)},
		{Org: s.customer.ID, Duty: "SC-C3", Part: "workflow", Name: "notice_acknowledged", Value: hours(8)}} {
		p.At = s.now
		if err := s.srv.SetParam(ctx, p); err != nil {
			t.Fatal(err)
		}
	}
	id, err := s.srv.OpenCase(ctx, server.CaseRequest{Org: s.customer.ID, Workflow: "notice", Service: "sc", Title: "Disk is full", User: "u_1"})
	if err != nil {
		t.Fatal(err)
	}
	due := func(want time.Duration) {
		t.Helper()
		var answer struct{ Opened, Due string }
		s.api(s.apiToken(s.customer, false), "GET", "/orgs/"+s.customer.ID+"/cases/"+id, &answer)
		from, err := time.Parse(time.RFC3339, answer.Opened)
		if err != nil {
			t.Fatal(err)
		}
		if until, err := time.Parse(time.RFC3339, answer.Due); err != nil || until.Sub(from).Round(time.Minute) != want {
			t.Errorf("opened %s, due %s (%v), want %s later", answer.Opened, answer.Due, err, want)
		}
	}
	due(4 * time.Hour)
	if err := s.srv.StepCase(ctx, server.StepRequest{Org: s.customer.ID, Case: id, Step: "told", User: "u_1"}); err != nil {
		t.Fatal(err)
	}
	due(8 * time.Hour)
}
