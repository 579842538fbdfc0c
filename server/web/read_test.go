package web_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// That a case was read is on record once: when somebody of the party that did not open it
// sees its page, not when its own people do, an auditor, a script, or another customer.
func TestCaseIsReadOnce(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	ctx := context.Background()
	open := func(org store.Org, workflow, service string) store.Case {
		id, err := s.srv.OpenCase(ctx, server.CaseRequest{Org: org.ID, Workflow: workflow, Service: service, Title: "Disk is full", User: "u_1"})
		if err != nil {
			t.Fatal(err)
		}
		return store.Case{ID: id, Org: org.ID}
	}
	notice, incident, early := open(s.customer, "notice", "sc"), open(s.customer, "incident", "sc"), open(s.provider, "abuse", "wh")
	people := map[string]*http.Client{"operator": s.signedIn(s.add(s.provider, store.RoleOperator)), "admin": s.signedIn(s.add(s.customer, store.RoleAdmin)),
		"auditor": s.signedIn(s.add(s.customer, store.RoleAuditor)), "stranger": s.signedIn(s.add(s.other, store.RoleAdmin))}
	for _, tt := range []struct {
		of   store.Case
		who  string
		read bool
	}{
		{notice, "operator", false}, {notice, "auditor", false}, {notice, "stranger", false}, {notice, "script", false}, {notice, "admin", true}, {notice, "operator", true}, {notice, "admin", true},
		{incident, "admin", false}, {incident, "operator", true}, {early, "operator", false},
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
	if n != 2 {
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
