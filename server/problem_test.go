package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/store"
)

// failing seals a look at a pool that has failed.
func (h *host) failing() sealed {
	t := h.w.t
	t.Helper()
	facts, err := evidence.FactsBlob(evidence.Storage{Devices: []evidence.StorageDevice{{Name: "tank", Kind: evidence.StoragePool, Form: "zfs",
		State: evidence.StorageFailed, Reasons: []string{evidence.StorageFaulted}}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := h.seal(func(r *evidence.Record) {
		r.Items[0].Kind, r.Items[0].Schema = evidence.KindStorage, evidence.SchemaOf(evidence.KindStorage)
		r.Items[0].Facts, r.Items[0].Detail = evidence.Sum(facts), evidence.Digest{}
	})
	s.blobs = map[evidence.Digest][]byte{evidence.Sum(facts): facts}
	return s
}

// The provider's storage fails. Who of its customers was told, by the alert itself or by a
// notice, is known; who was not, cannot be shown to have been.
func TestCustomersAreToldOfTheProvidersProblems(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		j.shop()
		told, err := j.srv.AddOrg(ctx, store.Org{Kind: store.Customer, Name: "Told", Services: []string{"sc"}, Lang: "en"})
		if err != nil {
			t.Fatal(err)
		}
		other, err := j.srv.AddOrg(ctx, store.Org{Kind: store.Customer, Name: "Other", Services: []string{"bk"}, Lang: "en"})
		if err != nil {
			t.Fatal(err)
		}
		j.channel(j.customer.ID, alert.Email, "admin@shop.example", "")
		j.channel(told.ID, alert.Email, "admin@told.example", alert.HearsBoth)
		h := j.enrolled(j.provider)
		j.serves(h, "sc")
		start := j.now
		h.pushes(h.failing())
		for range 3 { // raised, told, judged by that
			j.settle()
			j.advance(time.Minute)
		}
		j.wants(j.customer.ID, "SC-P5", "no_occasion problem_telling")
		j.wants(told.ID, "SC-P5", "fulfilled problem_told")
		j.wants(j.provider.ID, "SC-P5", "no_occasion problem_telling")
		j.advance(24 * time.Hour)
		h.pushes(h.failing())
		j.settle()
		j.wants(j.customer.ID, "SC-P5", "unproven problem_untold")
		j.wants(told.ID, "SC-P5", "fulfilled problem_told")
		j.wants(j.provider.ID, "SC-P5", "unproven problem_untold")
		if got := j.state(other.ID, "SC-P5"); got != "none" {
			t.Errorf("who has not the service is shown %q", got)
		}
		j.opens(server.CaseRequest{Org: j.customer.ID, Workflow: "notice", Service: "sc", Title: "Storage has failed", User: "u_ops"})
		for range 2 {
			j.settle()
		}
		j.wants(j.customer.ID, "SC-P5", "unproven problem_told_late")
		j.wants(j.provider.ID, "SC-P5", "unproven problem_told_late")
		j.sound()
		again, err := j.srv.Rejudge(ctx, server.RejudgeRequest{From: start, Org: j.provider.ID, Duty: "SC-P5", DryRun: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range again.Changed {
			t.Errorf("judged again without another rule: %s from %s to %s: %s, was %s", c.Board, c.From, c.To, c.Verdict, c.Was)
		}
	})
}
