package evidence_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/attesto/attesto/evidence"
)

func dnsblFacts() evidence.DNSBL {
	return evidence.DNSBL{
		Resolvers: []string{"127.0.0.1:53"},
		Targets: []evidence.DNSBLTarget{{Target: "192.0.2.1", Found: "config"}, {Target: "2001:db8::1", Found: "interface"},
			{Target: "mail.example", Found: "config"}},
		Lists: []evidence.DNSBLList{
			{Zone: "bl.example", Tier: "a", Family: "ip4", Controls: evidence.ControlsPassed},
			{Zone: "bl.example", Tier: "a", Family: "ip6", Controls: evidence.ControlsNoAnswer, Why: "no reply"},
			{Zone: "names.example", Tier: "b", Family: "domain", Controls: evidence.ControlsPassed},
		},
		Answers: []evidence.DNSBLAnswer{
			{Target: "192.0.2.1", Zone: "bl.example", Result: evidence.Listed, Codes: []string{"127.0.0.2"}},
			{Target: "2001:db8::1", Zone: "bl.example", Result: evidence.NoAnswer, Why: "no reply"},
			{Target: "mail.example", Zone: "names.example", Result: evidence.NotListed},
		},
	}
}

func TestDNSBLRules(t *testing.T) {
	blob, err := evidence.FactsBlob(dnsblFacts(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := evidence.DecodeFacts[evidence.DNSBL](blob); err != nil || len(got.Answers) != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := (evidence.DNSBL{}).Validate(); err != nil {
		t.Errorf("a host without targets: %v", err)
	}
	for want, spoil := range map[string]func(*evidence.DNSBL){
		`not listed on "bl.example"`:       func(d *evidence.DNSBL) { d.Answers[1].Result = evidence.NotListed },
		"listed on \"bl.example\" without": func(d *evidence.DNSBL) { d.Answers[0].Codes = nil },
		`code "yes"`:                       func(d *evidence.DNSBL) { d.Answers[0].Codes = []string{"yes"} },
		"without a reason":                 func(d *evidence.DNSBL) { d.Answers[1].Why = "" },
		`result "clean"`:                   func(d *evidence.DNSBL) { d.Answers[2].Result = "clean" },
		`controls "fine"`:                  func(d *evidence.DNSBL) { d.Lists[0].Controls = "fine" },
		"stated twice for ip4":             func(d *evidence.DNSBL) { d.Lists = append(d.Lists, d.Lists[0]) },
		`answer for "192.0.2.1"`:           func(d *evidence.DNSBL) { d.Answers = append(d.Answers, d.Answers[0]) },
		`no answer stated for "mail.exam`:  func(d *evidence.DNSBL) { d.Answers = d.Answers[:2] },
		`answer for "192.0.2.9"`:           func(d *evidence.DNSBL) { d.Answers[0].Target = "192.0.2.9" },
		`answer for "mail.example"`:        func(d *evidence.DNSBL) { d.Lists = slices.Delete(d.Lists, 2, 3) },
		`target "192.0.2.1" stated twice`:  func(d *evidence.DNSBL) { d.Targets = append(d.Targets, d.Targets[0]) },
		`tier "z"`:                         func(d *evidence.DNSBL) { d.Lists[0].Tier = "z" },
		`family "ip5"`:                     func(d *evidence.DNSBL) { d.Lists[0].Family = "ip5" },
	} {
		d := dnsblFacts()
		spoil(&d)
		if err := d.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
