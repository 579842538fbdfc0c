package duties_test

import (
	"slices"
	"testing"
	"time"

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
	for id, want := range map[string][]evidence.Kind{"PE-P3": {evidence.KindDNSBL}, "WH-P1": {evidence.KindBackup}, "SC-C2": {evidence.KindAccounts}, "SC-P2": {evidence.KindHypervisor, evidence.KindStorage, evidence.KindHealth}, "SC-P5": nil} {
		d, _ := c.Duty(id)
		var got []evidence.Kind
		for _, n := range c.Needs(d, nil) {
			got = append(got, n.Kind)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s needs %v, want %v", id, got, want)
		}
	}
	for _, d := range c.Duties() {
		for _, n := range c.Needs(d, nil) {
			if n.Facts > duties.Lookback {
				t.Errorf("%s needs facts of %s, and looks are named for %s", d.ID, n.Facts, duties.Lookback)
			}
		}
	}
}

// TestNeedsWindows has a check that looks at a window asked with all facts of the one that
// ended with a look as old as one may be, by whatever an organisation has set.
func TestNeedsWindows(t *testing.T) {
	c := builtin(t)
	for id, part := range map[string]string{"SC-C8": "eventlog", "PE-P7": "mail"} {
		d, _ := c.Duty(id)
		p := d.Parts[slices.IndexFunc(d.Parts, func(p duties.Part) bool { return p.Name == part })]
		most := duties.Params{"window": p.Params["window"].Max, "fresh": p.Params["fresh"].Max}
		for _, tt := range []struct {
			set  map[string]duties.Params
			want time.Duration
		}{{nil, map[string]time.Duration{"eventlog": 50 * time.Hour, "mail": 25 * time.Hour}[part]}, {map[string]duties.Params{part: most}, map[string]time.Duration{"eventlog": 120 * time.Hour, "mail": 49 * time.Hour}[part]}} {
			if needs := c.Needs(d, tt.set); len(needs) != 1 || needs[0].Facts != tt.want || needs[0].Thin {
				t.Errorf("%s with %v needs %v, want facts of %s", id, tt.set, needs, tt.want)
			}
		}
	}
}

// TestNeedsOfTwo has a duty of two parts that read one kind asked with enough for both.
func TestNeedsOfTwo(t *testing.T) {
	c := builtin(t)
	part := func(id, name string) duties.Part {
		d, _ := c.Duty(id)
		return d.Parts[slices.IndexFunc(d.Parts, func(p duties.Part) bool { return p.Name == name })]
	}
	dnsbl := part("PE-P3", "dnsbl")
	health, trend, backup, need := part("BK-P3", "health"), part("WH-C7", "trend"), part("SC-C5", "backup"), part("SC-C4", "need")
	eventlog := part("SC-C8", "eventlog")
	c, err := duties.With(map[string][]byte{"own.yaml": []byte(`
checks:
  ruled:
    title: {en: Rules loaded, it: Regole presenti}
    kind: eventlog
    rule: facts.rules > 9
    good: {en: Ruled., it: Con regole.}
    bad: {en: Not ruled., it: Senza regole.}
    cure: {en: Load rules., it: Installare le regole.}
duties:
  - {id: SC-C100, title: {en: Rules, it: Regole}, cadence: daily, parts: [check ruled], family: F10}
`)}, now)
	if err != nil {
		t.Fatal(err)
	}
	ruled := part("SC-C100", "ruled")
	for _, tt := range []struct {
		parts []duties.Part
		want  duties.Need
	}{
		{[]duties.Part{eventlog, ruled}, duties.Need{Kind: evidence.KindEventLog, Facts: 50 * time.Hour}},
		{[]duties.Part{ruled, eventlog}, duties.Need{Kind: evidence.KindEventLog, Facts: 50 * time.Hour}},
		{[]duties.Part{dnsbl, dnsbl}, duties.Need{Kind: evidence.KindDNSBL, Thin: true}}, // the newest alone
		{[]duties.Part{health, trend}, duties.Need{Kind: evidence.KindHealth, Facts: 50 * time.Hour}},
		{[]duties.Part{trend, health}, duties.Need{Kind: evidence.KindHealth, Facts: 50 * time.Hour}},
		{[]duties.Part{backup, need}, duties.Need{Kind: evidence.KindBackup, Facts: 192 * time.Hour, Thin: true}},
	} {
		if needs := c.Needs(duties.Duty{Parts: tt.parts}, nil); len(needs) != 1 || needs[0] != tt.want {
			t.Errorf("%s and %s need %v, want %v", tt.parts[0].Name, tt.parts[1].Name, needs, tt.want)
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
		{duties.Customer, duties.KindCases, []string{"SC-C3", "SC-C9", "WH-C3", "WH-C8", "PE-C4", "PE-C7", "BK-C7", "BK-C8"}},
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
