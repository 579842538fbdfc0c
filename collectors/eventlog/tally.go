package eventlog

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

const (
	maxNetworks = 10_000
	maxSample   = 512
)

// tally counts what rules matched in a window.
type tally struct {
	rules  []Rule
	counts map[string]*count
	keep   int
	key    []byte
}

type count struct {
	n           int64
	first, last time.Time
	addresses   map[string]int // matches by source address
	samples     []string
}

func newTally(rules []Rule, samples int, key []byte) *tally {
	return &tally{rules: rules, counts: map[string]*count{}, keep: samples, key: key}
}

func (t *tally) add(m match, e Event) {
	t.count(m.rule, m.ip, e.Time, func() string { return t.redact(m, e) })
	for i := range t.rules {
		r := &t.rules[i]
		if r.Then != m.rule.ID || m.ip == "" {
			continue
		}
		if before := t.counts[r.After]; before != nil && before.addresses[m.ip] >= r.Times {
			t.count(r, m.ip, e.Time, func() string { return t.redact(m, e) })
		}
	}
}

func (t *tally) count(r *Rule, ip string, at time.Time, sample func() string) {
	c := t.counts[r.ID]
	if c == nil {
		c = &count{first: at, last: at, addresses: map[string]int{}}
		t.counts[r.ID] = c
	}
	c.n++
	if at.Before(c.first) {
		c.first = at
	}
	if at.After(c.last) {
		c.last = at
	}
	if _, known := c.addresses[ip]; ip != "" && (known || len(c.addresses) < maxNetworks) {
		c.addresses[ip]++
	}
	if len(c.samples) < t.keep {
		c.samples = append(c.samples, sample())
	}
}

func (t *tally) hits() []evidence.RuleHit {
	hits := []evidence.RuleHit{}
	for _, r := range t.rules {
		c := t.counts[r.ID]
		if c == nil {
			continue
		}
		hits = append(hits, evidence.RuleHit{Rule: r.ID, Severity: r.Severity, Count: c.n, First: evidence.At(c.first), Last: evidence.At(c.last),
			Limit: r.Limit, Over: r.Limit > 0 && c.n >= r.Limit, Networks: len(c.addresses)})
	}
	slices.SortFunc(hits, func(a, b evidence.RuleHit) int { return strings.Compare(a.Rule, b.Rule) })
	return hits
}

func (t *tally) samples() map[string][]string {
	out := map[string][]string{}
	for id, c := range t.counts {
		if len(c.samples) > 0 {
			out[id] = c.samples
		}
	}
	return out
}

var (
	mailbox = regexp.MustCompile(`[A-Za-z0-9._%+=-]+@[A-Za-z0-9.-]+`)
	secret  = regexp.MustCompile(`(?i)\b(pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|authorization|cookie|subject)(\s*[:=]\s*)("[^"]*"|'[^']*'|\S+(?: [^ =]+$)?)`)
	command = regexp.MustCompile(`(COMMAND=\S+).*`)
	longHex = regexp.MustCompile(`\b[A-Za-z0-9+/_-]{32,}={0,2}`)
)

// redact makes a sample of a message: addresses stay, users and mailboxes become
// pseudonyms that only this host can tell, what looks like a secret goes.
func (t *tally) redact(m match, e Event) string {
	msg := m.withoutUser(e.Message, t.pseudonym)
	if len(msg) > 4*maxSample {
		msg = msg[:4*maxSample]
	}
	msg = mailbox.ReplaceAllStringFunc(msg, t.pseudonym)
	msg = secret.ReplaceAllString(msg, "$1$2[removed]")
	msg = command.ReplaceAllString(msg, "$1 [removed]")
	msg = longHex.ReplaceAllStringFunc(msg, func(s string) string {
		if _, err := netip.ParseAddr(s); err == nil {
			return s
		}
		return "[removed]"
	})
	out := make([]rune, 0, len(msg))
	for _, r := range strings.ToValidUTF8(msg, "\ufffd") {
		if r < ' ' || (r >= 0x7f && r < 0xa0) || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) {
			out = append(out, []rune(fmt.Sprintf("\\u%04x", r))...)
			continue
		}
		out = append(out, r)
	}
	s := e.Program + ": " + string(out)
	if len(s) > maxSample {
		s = strings.ToValidUTF8(s[:maxSample], "") + "…"
	}
	return s
}

// withoutUser puts the pseudonym where the pattern found the user, and wherever
// else the same name stands, unless it is so short that it is part of other words.
func (m match) withoutUser(msg []byte, pseudonym func(string) string) string {
	if m.user == "" {
		return string(msg)
	}
	if len(m.user) >= 4 {
		return strings.ReplaceAll(string(msg), m.user, pseudonym(m.user))
	}
	for i, n := range m.names {
		if n == "user" && m.sub[2*i] >= 0 {
			return string(msg[:m.sub[2*i]]) + pseudonym(m.user) + string(msg[m.sub[2*i+1]:])
		}
	}
	return string(msg)
}

// pseudonym is the same for the same name on the same host, and says nothing elsewhere.
func (t *tally) pseudonym(name string) string {
	h := hmac.New(sha256.New, t.key)
	h.Write([]byte(strings.ToLower(name)))
	return "user-" + hex.EncodeToString(h.Sum(nil)[:4])
}
