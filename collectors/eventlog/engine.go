package eventlog

import (
	"encoding/json"
	"net/netip"
	"strings"
)

// Engine finds the rules that a message matches: all literals at once, then only
// the patterns of rules whose literal was there. One goroutine at a time.
type Engine struct {
	rules    []Rule
	literals *literals
	rulesOf  [][]int // by literal
	repeats  int     // the literal of "message repeated", -1 if taken by a rule's
	hits     []Match
	marked   []bool // by rule: its literal was found in this message
	order    []int  // the rules that are marked
}

// Match is one rule that a message matched. It is valid until the next call.
type Match struct {
	Rule    *Rule
	Address string // the group ip: an address, or a host name where the log has only that
	User    string // the group user

	index int   // of the rule
	sub   []int // the pattern's groups, for redaction
	names []string
}

// repeated stands in lines that say how often the line before came again.
const repeated = "message repeated "

// NewEngine makes an engine of rules that ParseRules or BuiltinRules gave.
func NewEngine(rules []Rule) *Engine {
	e := &Engine{rules: rules, marked: make([]bool, len(rules))}
	index := map[string]int{}
	words := []string{}
	add := func(word string) int {
		at, known := index[word]
		if !known {
			at = len(words)
			index[word] = at
			words = append(words, word)
			e.rulesOf = append(e.rulesOf, nil)
		}
		return at
	}
	for i, r := range rules {
		for _, l := range r.Literals {
			e.rulesOf[add(l)] = append(e.rulesOf[add(l)], i)
			if in := inJSON(l); in != l {
				e.rulesOf[add(in)] = append(e.rulesOf[add(in)], i)
			}
		}
	}
	e.repeats = add(repeated)
	e.literals = newLiterals(words)
	return e
}

// inJSON is how a literal stands inside a JSON string as journalctl writes it.
func inJSON(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return s // a string always encodes
	}
	return strings.Trim(strings.TrimSuffix(b.String(), "\n"), `"`)
}

// MayMatch reports whether a line, raw or as JSON, contains any rule's literal: if
// not, no rule matches it. It allocates nothing.
func (e *Engine) MayMatch(line []byte) bool { return e.literals.contains(line) }

// mayMatch appends to at, in their order, where in whole lines any rule's literal ends.
func (e *Engine) mayMatch(lines []byte, at []int) []int { return e.literals.find(lines, at) }

// Match returns the rules that an event matches, in the rules' order of discovery.
func (e *Engine) Match(ev Event) []Match {
	e.order, e.hits = e.order[:0], e.hits[:0]
	e.literals.each(ev.Message, func(id int) {
		for _, i := range e.rulesOf[id] {
			if !e.marked[i] {
				e.marked[i] = true
				e.order = append(e.order, i)
			}
		}
	})
	for _, i := range e.order {
		e.marked[i] = false
		if r := &e.rules[i]; r.from(ev.Program) {
			e.confirm(i, r, ev.Message)
		}
	}
	return e.hits
}

func (e *Engine) confirm(i int, r *Rule, msg []byte) {
	if r.compile() != nil {
		return // never: ParseRules compiled it, or a test of the built-in ones did
	}
	for _, re := range r.except {
		if re.Match(msg) {
			return
		}
	}
	for _, re := range r.patterns {
		if sub := re.FindSubmatchIndex(msg); sub != nil {
			m := Match{Rule: r, index: i, sub: sub, names: re.SubexpNames()}
			m.Address, m.User = plainAddress(m.group(msg, "ip")), m.group(msg, "user")
			e.hits = append(e.hits, m)
			return
		}
	}
}

func (m Match) group(msg []byte, name string) string {
	for i, n := range m.names {
		if n == name && m.sub[2*i] >= 0 {
			return string(msg[m.sub[2*i]:m.sub[2*i+1]])
		}
	}
	return ""
}

// plainAddress writes an IPv4 address that came in IPv6 form as IPv4, and drops a port where it can be told from an address (five digits behind IPv6).
func plainAddress(s string) string {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Unmap().String()
	}
	if cut := strings.LastIndexByte(s, ':'); cut > 0 {
		if addr, err := netip.ParseAddr(s[:cut]); err == nil && (addr.Is4() || cut == len(s)-1 || len(s)-cut == 6) {
			return addr.Unmap().String()
		}
	}
	return s
}
