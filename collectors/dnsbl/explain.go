package dnsbl

import (
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// formats is what the kind reads when it was captured elsewhere.
func formats() []host.Format {
	return []host.Format{{Name: "dnsbl-answer", Title: "a DNS answer in wire form (RFC 1035)", Parse: explainAnswer}}
}

// explainAnswer makes facts of one answer. Its list's controls were not captured
// with it, so "not listed" cannot be claimed: it is no answer, with that reason.
func explainAnswer(data []byte, _ time.Time) (host.Look, error) {
	e, err := Explain(data)
	if err != nil {
		return host.Look{}, err
	}
	zone := strings.TrimSuffix(e.Name, ".")
	const target = "captured"
	f := evidence.DNSBL{Resolvers: []string{}, Targets: []evidence.DNSBLTarget{{Target: target, Found: "file"}},
		Lists: []evidence.DNSBLList{{Zone: zone, Tier: "c", Family: "domain", Controls: evidence.ControlsNoAnswer, Why: "not captured"}}}
	ans := evidence.DNSBLAnswer{Target: target, Zone: zone, Result: e.Result, Codes: e.Codes, Text: e.Text, Why: e.Why, Policy: e.Policy}
	if ans.Result == evidence.NotListed {
		ans.Result, ans.Why = evidence.NoAnswer, "says not listed, but the list's controls were not captured with it"
	}
	f.Answers = []evidence.DNSBLAnswer{ans}
	return host.Look{Facts: f}, nil
}

// Explained is what the collector makes of one captured answer.
type Explained struct {
	Name   string   `json:"name"`
	Result string   `json:"result"` // listed, not_listed, no_answer
	Codes  []string `json:"codes,omitempty"`
	Text   string   `json:"text,omitempty"`
	Why    string   `json:"why,omitempty"`
	Policy bool     `json:"policy,omitempty"`
}

// Explain reads a DNS answer in wire form (RFC 1035) as the collector does, by
// the codes of the built-in list that serves its zone.
func Explain(msg []byte) (Explained, error) {
	var m dns.Msg
	if err := m.Unpack(msg); err != nil {
		return Explained{}, fmt.Errorf("malformed answer: %w", err)
	}
	if len(m.Question) != 1 {
		return Explained{}, fmt.Errorf("answer to %d questions, want one", len(m.Question))
	}
	q := question{m.Question[0].Name, m.Question[0].Qtype}
	r, err := parseReply(msg, q)
	if err != nil {
		return Explained{}, err
	}
	var list List
	for _, l := range defaultLists() {
		if strings.HasSuffix(strings.TrimSuffix(q.name, "."), "."+l.Zone) {
			list = l
		}
	}
	v := list.judge(r)
	return Explained{q.name, v.result, v.codes, r.text, v.why, v.policy}, nil
}
