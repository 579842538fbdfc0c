package dnsbl

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

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
