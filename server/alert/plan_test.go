package alert_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
)

// found writes findings shortly: "mx1/192.0.2.1 breached", "mx1 stopped",
// "mx1/files building".
func found(t *testing.T, lines ...string) []duties.PartFinding {
	t.Helper()
	p := duties.PartFinding{Part: duties.Part{Name: "check", Proof: duties.ProofCheck}}
	for _, line := range lines {
		asset, state, _ := strings.Cut(line, " ")
		agent, thing, _ := strings.Cut(asset, "/")
		f := duties.AssetFinding{Asset: duties.Asset{Agent: agent, Host: agent, Thing: thing}}
		f.Why = duties.Message{Key: state}
		switch state {
		case "stopped":
			f.Stopped = true
		case "building":
			f.Building = true
		default:
			v, err := duties.ParseVerdict(state)
			if err != nil {
				t.Fatal(err)
			}
			f.Verdict = v
		}
		p.Assets = append(p.Assets, f)
	}
	return []duties.PartFinding{p, {Part: duties.Part{Name: "review", Proof: duties.ProofReview}}}
}

func TestPlan(t *testing.T) {
	tests := []struct {
		name          string
		open, found   []string
		fire, resolve []string
	}{
		{name: "all well", found: []string{"mx1/a fulfilled"}},
		{name: "a breach fires", found: []string{"mx1/a breached", "mx1/b fulfilled"}, fire: []string{"mx1/a"}},
		{name: "once", open: []string{"mx1/a"}, found: []string{"mx1/a breached"}},
		{name: "two reasons are one alert", found: []string{"mx1 breached", "mx1 breached"}, fire: []string{"mx1"}},
		{name: "each asset by itself", open: []string{"mx1/a"}, found: []string{"mx1/a breached", "mx1/b breached"}, fire: []string{"mx1/b"}},
		{name: "unproven is no alert", found: []string{"mx1 unproven"}},
		{name: "evidence that stopped is one", found: []string{"mx1 stopped"}, fire: []string{"mx1"}},
		{name: "in order again", open: []string{"mx1/a"}, found: []string{"mx1/a fulfilled"}, resolve: []string{"mx1/a"}},
		{name: "one of two in order again", open: []string{"mx1/a", "mx1/b"}, found: []string{"mx1/a fulfilled", "mx1/b breached"}, resolve: []string{"mx1/a"}},
		{name: "nobody can tell", open: []string{"mx1/a"}, found: []string{"mx1/a unproven"}},
		{name: "the breach is over and only time is missing", open: []string{"mx1/a"}, found: []string{"mx1/a building"}, resolve: []string{"mx1/a"}},
		{name: "the host fell silent after a breach", open: []string{"mx1/a"}, found: []string{"mx1 stopped"}, fire: []string{"mx1"}},
		{name: "it is heard again, still in breach", open: []string{"mx1", "mx1/a"}, found: []string{"mx1/a breached"}, resolve: []string{"mx1"}},
		{name: "it is heard again, and cannot tell", open: []string{"mx1"}, found: []string{"mx1/a unproven"}},
		{name: "the asset is gone", open: []string{"mx1/a"}, found: []string{"mx1/b fulfilled"}, resolve: []string{"mx1/a"}},
		{name: "the asset is gone, or hidden by a gap", open: []string{"mx1/a"}, found: []string{"mx1/b fulfilled", "mx1 unproven"}},
		{name: "a clean asset beside a gap of its host", open: []string{"mx1/a"}, found: []string{"mx1/a fulfilled", "mx1 unproven"}, resolve: []string{"mx1/a"}},
		{name: "the host no longer has to prove it", open: []string{"mx1/a"}, found: []string{"mx2/a fulfilled"}, resolve: []string{"mx1/a"}},
		{name: "no host at all any more", open: []string{"mx1"}, resolve: []string{"mx1"}},
		{name: "a host whose name begins alike", open: []string{"mx1"}, found: []string{"mx1 breached", "mx11 fulfilled"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var open []alert.Alert
			for _, key := range tt.open {
				open = append(open, alert.Alert{ID: "al_" + key, Part: "check", Asset: key, State: alert.Firing})
			}
			open = append(open, alert.Alert{ID: "other", Part: "another part", Asset: "mx1"})
			fire, resolve := alert.Plan(open, found(t, tt.found...))
			if got := keys(fire); !slices.Equal(got, tt.fire) {
				t.Errorf("fires %q, want %q", got, tt.fire)
			}
			if got := keys(resolve); !slices.Equal(got, tt.resolve) {
				t.Errorf("resolves %q, want %q", got, tt.resolve)
			}
			for _, a := range resolve {
				if a.ID != "al_"+a.Asset {
					t.Errorf("resolved %+v", a)
				}
			}
			for _, a := range fire {
				if fmt.Sprint(a.Why.Key) == "" || a.Part != "check" || a.State != alert.Firing {
					t.Errorf("fired %+v", a)
				}
			}
		})
	}
}

func keys(list []alert.Alert) []string {
	var out []string
	for _, a := range list {
		out = append(out, a.Asset)
	}
	return out
}
