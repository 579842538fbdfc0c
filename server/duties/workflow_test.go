package duties_test

import (
	"slices"
	"strings"
	"testing"
)

// TestWorkflows names what the server takes by itself, and what may be left out.
func TestWorkflows(t *testing.T) {
	var skip, delivered []string
	for _, w := range builtin(t).Workflows() {
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
