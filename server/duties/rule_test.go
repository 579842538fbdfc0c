package duties_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
)

// TestRuleFields lists what rules can read, as their JSON has it.
func TestRuleFields(t *testing.T) {
	if _, err := duties.RuleFields("backups"); err == nil || !strings.Contains(err.Error(), `kind "backups": want one of`) {
		t.Errorf("error %v", err)
	}
	got, err := duties.RuleFields(evidence.KindBackup)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"facts.jobs[].job string", "facts.jobs[].points int", "facts.jobs[].newestRestorable google.protobuf.Timestamp", "facts.jobs[].integrity.result string", "facts.jobs[].reasons[] string"} {
		if !slices.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
}

// TestRules applies rules to facts of all forms: digests, moments, lists, what is absent.
func TestRules(t *testing.T) {
	probe := []evidence.Probe{{At: evidence.At(now.Add(-time.Minute)), Result: evidence.ProbeUp, Code: 220, Millis: 4}}
	sum := evidence.Sum([]byte("a certificate"))
	blob, err := evidence.FactsBlob(evidence.Endpoints{Endpoints: []evidence.Endpoint{
		{Name: "smtps:465", Proto: evidence.ProtoSMTPS, Found: evidence.EndpointListening, Probes: probe, TLS: &evidence.TLS{Version: "TLS 1.3",
			Chain: []evidence.Certificate{{Subject: "mx1", Issuer: "CA", From: evidence.At(now.Add(-time.Hour)), Until: evidence.At(now.Add(48 * time.Hour)), SHA256: sum}}}},
		{Name: "smtp:25", Proto: evidence.ProtoSMTP, Found: evidence.EndpointListening, Probes: probe},
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for rule, want := range map[string]string{
		`facts.endpoints.size() == 2`: "fulfilled own_tls_good",
		`facts.endpoints.all(e, e.probes.all(p, p.ms < 5 && p.code == 220 && p.at < now))`: "fulfilled own_tls_good",
		`facts.endpoints.all(e, has(e.tls))`:                                               "breached own_tls_bad",
		`facts.endpoints[0].tls.chain[0].until - now > duration("24h")`:                    "fulfilled own_tls_good",
		`facts.endpoints[0].tls.chain[0].sha256 == "` + sum.String() + `"`:                 "fulfilled own_tls_good",
		`facts.endpoints[1].tls.version == "TLS 1.3"`:                                      "unproven rule_failed: tls is absent here; ask has",
		`facts.endpoints.exists(e, e.name.startsWith("smtp:")) && params.fresh == 26.0`:    "fulfilled own_tls_good",
	} {
		c, err := duties.With(map[string][]byte{"own.yaml": []byte("checks:\n  tls: {title: {en: a, it: a}, kind: endpoints, good: {en: a, it: a}, bad: {en: a, it: a}, cure: {en: a, it: a}, rule: '" + rule + "'}\n" +
			"duties:\n  - {id: PE-P100, title: {en: a, it: a}, cadence: daily, parts: [check tls]}\n")}, now)
		if err != nil {
			t.Errorf("%s: %v", rule, err)
			continue
		}
		d, _ := c.Duty("PE-P100")
		found, _ := c.Judge(d, duties.Question{At: now, Agents: []duties.Agent{{ID: "a_1", Name: "mx1"}},
			Facts: []duties.Seen{{Agent: "a_1", Kind: evidence.KindEndpoints, Schema: 1, Received: now, To: now, Outcome: evidence.Complete, Blob: blob}}})
		if got := fmt.Sprint(found.Verdict, " ", found.Why.Key, ": ", found.Why.Args["error"]); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", rule, got, want)
		}
	}
}
