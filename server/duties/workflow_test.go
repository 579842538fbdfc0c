package duties_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server/duties"
)

// TestWorkflows names what the server takes by itself, and what may be left out.
func TestWorkflows(t *testing.T) {
	var skip, delivered, inProviders, inCustomers []string
	for _, w := range builtin(t).Workflows() {
		if w.With(true) {
			inProviders = append(inProviders, w.ID)
		}
		if w.With(false) {
			inCustomers = append(inCustomers, w.ID)
		}
		for _, s := range w.Steps {
			if s.MaySkip {
				skip = append(skip, w.ID+"."+s.ID)
			}
			if s.Delivery {
				delivered = append(delivered, w.ID+"."+s.ID)
			}
		}
	}
	if got, want := strings.Join(skip, " "), "abuse.suspended abuse.informed vendor.answered export.accepted"; got != want {
		t.Errorf("left out may be %s, want %s", got, want)
	}
	if got, want := strings.Join(delivered, " "), "notice.told"; got != want {
		t.Errorf("by delivery are taken %s, want %s", got, want)
	}
	if got, want := strings.Join(inProviders, " "), "abuse account vendor"; got != want {
		t.Errorf("opened in the provider's log are %s, want %s", got, want)
	}
	if got, want := strings.Join(inCustomers, " "), "notice incident abuse account export"; got != want {
		t.Errorf("opened in a customer's log are %s, want %s", got, want)
	}
	notice, _ := builtin(t).Workflow("notice")
	if got := notice.Services(); !slices.Equal(got, []string{"sc", "pe", "wh", "bk"}) {
		t.Errorf("a notice is of services %v", got)
	}
	if !notice.Proves("SC-C3") || notice.Proves("SC-C9") {
		t.Error("a notice proves other duties")
	}
	if _, ok := notice.Step("answered"); ok {
		t.Error("a notice has a step of another workflow")
	}
	if _, ok := builtin(t).Workflow("no"); ok {
		t.Error("there is a workflow of any name")
	}
}

// TestAgreed has the times that were agreed upon for a service's duties hold in its cases,
// and in no other's.
func TestAgreed(t *testing.T) {
	c := builtin(t)
	set := func(duty string) map[string]duties.Params {
		return map[string]map[string]duties.Params{
			"SC-P5": {"workflow": {"notice_told": 48}},
			"PE-P7": {"workflow": {"notice_told": 2}},
			"PE-C4": {"workflow": {"notice_acknowledged": 3, "notice_acted": 169}}, // over a week: as if it were not set
			"WH-C3": {"workflow": {"notice_acted": 5}},
			"PE-P9": {"workflow": {"notice_told": 7, "account_informed": 0.5, "account_purged": 0.75, "account_password": 3}}, // the notice does not prove it
		}[duty]
	}
	for _, tt := range []struct{ workflow, service, want string }{
		{"notice", "pe", "told 2h0m0s, acknowledged 3h0m0s, acted 72h0m0s"},
		{"notice", "wh", "told 24h0m0s, acknowledged 24h0m0s, acted 5h0m0s"},
		{"notice", "sc", "told 48h0m0s, acknowledged 24h0m0s, acted 72h0m0s"},
		{"notice", "bk", "told 24h0m0s, acknowledged 24h0m0s, acted 72h0m0s"},
		{"incident", "sc", "reported 24h0m0s, received 24h0m0s, answered 72h0m0s"},
		{"account", "pe", "password 1h0m0s, purged 45m0s, informed 30m0s"},
	} {
		w, _ := c.Workflow(tt.workflow)
		var steps []string
		for _, s := range c.Agreed(w, tt.service, set).Steps {
			steps = append(steps, fmt.Sprint(s.ID, " ", s.Within))
		}
		if got := strings.Join(steps, ", "); got != tt.want {
			t.Errorf("%s of %s: %s, want %s", tt.workflow, tt.service, got, tt.want)
		}
		if w, _ := c.Workflow("notice"); w.Steps[0].Within.Hours() != 24 {
			t.Fatal("the workflow itself was changed")
		}
	}
}

// A step that proves two duties is late for each by that one's own time.
func TestTwoDutiesOfAStep(t *testing.T) {
	c := builtin(t)
	var done []duties.Done
	for i, id := range []string{"password", "purged", "informed"} {
		done = append(done, duties.Done{Step: id, At: now.Add(time.Duration(i-180) * time.Minute)})
	}
	done[2].At = now.Add(-2 * time.Hour) // 59 minutes after what came before, and an hour after the opening
	k := duties.Case{ID: "k_1", Workflow: "account", Service: "pe", Opened: now.Add(-180 * time.Minute), Steps: done}
	for _, tt := range []struct {
		duty string
		set  float64
		want duties.Verdict
	}{{"PE-P9", 1, duties.Fulfilled}, {"PE-P9", 0.5, duties.Breached}, {"PE-P7", 0.5, duties.Breached}, {"PE-P7", 8, duties.Fulfilled}} {
		d, _ := c.Duty(tt.duty)
		_, parts := c.Judge(d, duties.Question{At: now, Watched: true, Cases: []duties.Case{k}, Params: map[string]duties.Params{"workflow": {"account_informed": tt.set}}})
		for _, p := range parts {
			if p.Part.Proof == duties.ProofWorkflow && p.Verdict != tt.want {
				t.Errorf("%s within %g h: %v, want %v", tt.duty, tt.set, p.Verdict, tt.want)
			}
		}
	}
}
