package dnsbl

import (
	"fmt"

	"github.com/miekg/dns"
)

// Answer is what the collector makes of one DNS answer by itself. NotListed here is
// no proof: that takes the list's controls too.
type Answer struct {
	Name   string   `json:"name"`   // that was asked for, without a key that it held
	Result string   `json:"result"` // listed, not_listed, no_answer
	Codes  []string `json:"codes,omitempty"`
	Text   string   `json:"text,omitempty"`
	Why    string   `json:"why,omitempty"`
	Policy bool     `json:"policy,omitempty"`
}

// ParseAnswer reads a DNS answer in wire form (RFC 1035) by the codes that the
// catalogue holds for its zone.
func ParseAnswer(msg []byte) (Answer, error) {
	var m dns.Msg
	if err := m.Unpack(msg); err != nil {
		return Answer{}, fmt.Errorf("malformed answer: %w", err)
	}
	if len(m.Question) != 1 {
		return Answer{}, fmt.Errorf("answer to %d questions, want one", len(m.Question))
	}
	q := question{m.Question[0].Name, m.Question[0].Qtype}
	r, err := readReply(&m, q)
	if err != nil {
		return Answer{}, err
	}
	_, zone := splitName(q.name)
	list := listOf(zone)
	v := list.judge(r)
	return Answer{list.withoutKey(q.name), v.result, v.codes, cleanText(list.withoutKey(r.text), maxText), v.why, v.policy}, nil
}
