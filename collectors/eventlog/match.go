package eventlog

import (
	"net/netip"

	"github.com/cloudflare/ahocorasick"
)

// engine finds the rules that a message matches: all literals at once by
// Aho-Corasick, then only the patterns of rules whose literal was there.
type engine struct {
	rules    []Rule
	literals *ahocorasick.Matcher
	rulesOf  [][]int // by literal
	hits     []match
	seen     []bool
}

// match is one rule that a message matched.
type match struct {
	rule     *Rule
	ip, user string
	sub      []int // the pattern's submatches, for redaction
	names    []string
}

func newEngine(rules []Rule) *engine {
	e := &engine{rules: rules, seen: make([]bool, len(rules))}
	index := map[string]int{}
	var words []string
	for i, r := range rules {
		for _, l := range r.Literals {
			at, known := index[l]
			if !known {
				at = len(words)
				index[l] = at
				words = append(words, l)
				e.rulesOf = append(e.rulesOf, nil)
			}
			e.rulesOf[at] = append(e.rulesOf[at], i)
		}
	}
	e.literals = ahocorasick.NewStringMatcher(words)
	return e
}

// match returns the rules that an event matches; the slice is valid until the next call.
func (e *engine) match(ev Event) []match {
	found := e.literals.Match(ev.Message)
	if len(found) == 0 {
		return nil
	}
	e.hits = e.hits[:0]
	clear(e.seen)
	for _, literal := range found {
		for _, i := range e.rulesOf[literal] {
			r := &e.rules[i]
			if e.seen[i] || !r.from(ev.Program) {
				continue
			}
			for _, re := range r.compiled {
				sub := re.FindSubmatchIndex(ev.Message)
				if sub == nil {
					continue
				}
				e.seen[i] = true
				m := match{rule: r, sub: sub, names: re.SubexpNames()}
				m.ip, m.user = plainAddress(m.group(ev.Message, "ip")), m.group(ev.Message, "user")
				e.hits = append(e.hits, m)
				break
			}
		}
	}
	return e.hits
}

func (m match) group(msg []byte, name string) string {
	for i, n := range m.names {
		if n == name && m.sub[2*i] >= 0 {
			return string(msg[m.sub[2*i]:m.sub[2*i+1]])
		}
	}
	return ""
}

// plainAddress writes an IPv4 address that came in IPv6 form as IPv4.
func plainAddress(s string) string {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Unmap().String()
	}
	return s
}
