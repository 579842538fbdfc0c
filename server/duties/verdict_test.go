package duties_test

import (
	"slices"
	"testing"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
)

func TestVerdictWords(t *testing.T) {
	words := []string{"unproven", "breached", "fulfilled", "no_occasion", "not_applicable"}
	list := duties.Verdicts()
	if len(list) != len(words) {
		t.Fatalf("%d verdicts", len(list))
	}
	for i, v := range list {
		b, err := v.MarshalText()
		if err != nil || string(b) != words[i] || v.String() != words[i] {
			t.Errorf("%d is written %q (%v)", i, b, err)
		}
		var back duties.Verdict = 99
		if err := back.UnmarshalText(b); err != nil || back != v {
			t.Errorf("%q is read as %d (%v)", b, back, err)
		}
	}
	if v, err := duties.ParseVerdict("fine"); err == nil || v != duties.Unproven {
		t.Errorf("an unknown word is %s (%v)", v, err)
	}
	var v duties.Verdict
	if v != duties.Unproven {
		t.Errorf("the zero verdict is %s", v)
	}
	unknown := duties.Verdict(len(words))
	if _, err := unknown.MarshalText(); err == nil || unknown.String() == "" {
		t.Errorf("verdict %d was written", unknown)
	}
	if err := v.UnmarshalText([]byte("fine")); err == nil {
		t.Error("an unknown word was read")
	}
}

func TestNeeds(t *testing.T) {
	c := builtin(t)
	for id, want := range map[string][]evidence.Kind{"PE-P3": {evidence.KindDNSBL}, "WH-P1": {evidence.KindBackup}, "SC-P2": {evidence.KindHypervisor, evidence.KindStorage, evidence.KindHealth}, "SC-P5": nil} {
		d, _ := c.Duty(id)
		var got []evidence.Kind
		for _, n := range c.Needs(d) {
			got = append(got, n.Kind)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s needs %v, want %v", id, got, want)
		}
	}
}

func TestTouched(t *testing.T) {
	c := builtin(t)
	for _, tt := range []struct {
		party string
		kind  evidence.Kind
		want  []string
	}{
		{duties.Provider, evidence.KindDNSBL, []string{"SC-P4", "PE-P3"}},
		{duties.Customer, evidence.KindDNSBL, []string{"PE-C6"}},
		{duties.Provider, evidence.KindAntivirus, []string{"WH-P3", "PE-P2"}},
		{duties.Provider, evidence.KindMail, []string{"PE-P7", "PE-P9"}},
		{duties.Customer, evidence.KindBackup, []string{"SC-C4", "SC-C5", "WH-C5", "PE-C5", "BK-C1", "BK-C2"}},
		{duties.Provider, evidence.KindSoftware, []string{"SC-P1", "WH-P2", "PE-P4", "BK-P2"}},
		{duties.Customer, evidence.KindSoftware, []string{"WH-C4"}}, // its sites alone: patches of a customer's host prove no duty
	} {
		var got []string
		for _, d := range c.Touched(tt.party, tt.kind) {
			got = append(got, d.ID)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s of the %s touches %v, want %v", tt.kind, tt.party, got, tt.want)
		}
	}
}

// TestAlternatives judges a duty of which one part is enough.
func TestAlternatives(t *testing.T) {
	c := builtin(t)
	d, _ := c.Duty("SC-C5")
	d.Any = true
	q := duties.Question{At: now, Reviews: []duties.Review{{At: now}}}
	whole, parts := c.Judge(d, q)
	if whole.Verdict != duties.Fulfilled || whole.Why.Key != "review_done" || parts[0].Verdict != duties.Unproven {
		t.Errorf("whole %v, parts %v", whole, parts)
	}
	q.Reviews = nil
	if whole, _ := c.Judge(d, q); whole.Verdict != duties.Unproven || whole.Why.Key != "no_agent" {
		t.Errorf("whole %v", whole)
	}
}
