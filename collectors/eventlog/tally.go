package eventlog

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"net/netip"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// maxSamples bounds all samples of a look together, in bytes, well below evidence.MaxBlob.
const maxSamples = 128 << 10

// tally counts what rules matched in a window.
type tally struct {
	rules   []Rule
	then    map[string][]int // sequences by the rule that ends them
	after   map[string][]int // sequences by the rule that they wait for
	counts  map[int]*count   // by rule
	bursts  bursts
	keep    int // samples per rule
	sampled int // bytes of samples so far
	redact  redactor
	mac     hash.Hash
}

type count struct {
	n           int64
	first, last time.Time
	over        bool
	sources     map[uint64]struct{}
	samples     []string
}

func newTally(rules []Rule, samples int, key []byte, b bursts) *tally {
	t := &tally{rules: rules, then: map[string][]int{}, after: map[string][]int{}, counts: map[int]*count{},
		bursts: b, keep: samples, redact: redactor{key}, mac: hmac.New(sha256.New, key)}
	for i, r := range rules {
		if r.Then != "" {
			t.then[r.Then] = append(t.then[r.Then], i)
			t.after[r.After] = append(t.after[r.After], i)
		}
	}
	return t
}

// add counts a match and what follows from it.
func (t *tally) add(m Match, e Event) {
	source := t.source(m.Address)
	t.count(m.index, m, e, source)
	for _, i := range t.after[m.Rule.ID] {
		if source != 0 {
			t.bursts.add(burstKey{t.rules[i].ID, source}, e.Time, e.Repeat, t.rules[i].Within)
		}
	}
	for _, i := range t.then[m.Rule.ID] {
		key := burstKey{t.rules[i].ID, source}
		if source == 0 || t.bursts.within(key, e.Time, t.rules[i].Within) < t.rules[i].Times {
			continue
		}
		delete(t.bursts, key) // the next success is one after no failure
		t.count(i, m, e, source)
	}
}

func (t *tally) count(i int, m Match, e Event, source uint64) {
	r, c := &t.rules[i], t.counts[i]
	if c == nil {
		c = &count{first: e.Time, last: e.Time, sources: map[uint64]struct{}{}}
		t.counts[i] = c
	}
	c.n += e.Repeat
	if e.Time.Before(c.first) {
		c.first = e.Time
	}
	if e.Time.After(c.last) {
		c.last = e.Time
	}
	_, known := c.sources[source]
	if source != 0 && len(c.sources) < evidence.MaxNetworks {
		c.sources[source] = struct{}{}
	}
	t.judge(r, c, e, source)
	if len(c.samples) < t.keep && t.sampled < maxSamples && !known { // of each source one tells enough
		s := t.redact.sample(m, e)
		t.sampled += len(s)
		c.samples = append(c.samples, s)
	}
}

// judge marks a rule whose limit is reached. A sequence counts by its own name
// while it waits, so its limit needs no burst: one is enough.
func (t *tally) judge(r *Rule, c *count, e Event, source uint64) {
	switch {
	case r.Limit == 0 || c.over:
	case r.Limit == 1 || r.Then != "":
		c.over = c.n >= r.Limit
	default:
		key := burstKey{rule: r.ID}
		if r.Per == "address" {
			key.source = source
		}
		c.over = t.bursts.add(key, e.Time, e.Repeat, r.Within) >= r.Limit
	}
}

// source is a keyed hash of where something came from; of an IPv6 address its /64,
// which is what one subscriber has (RFC 6177). 0: unknown.
func (t *tally) source(address string) uint64 {
	if address == "" {
		return 0
	}
	if addr, err := netip.ParseAddr(address); err == nil && addr.Is6() {
		if p, err := addr.WithZone("").Prefix(64); err == nil {
			address = p.String()
		}
	}
	t.mac.Reset()
	t.mac.Write([]byte(strings.ToLower(address)))
	var sum [sha256.Size]byte
	return binary.BigEndian.Uint64(t.mac.Sum(sum[:0])) | 1
}

func (t *tally) hits() []evidence.RuleHit {
	hits := []evidence.RuleHit{}
	for i, c := range t.counts {
		r := t.rules[i]
		hits = append(hits, evidence.RuleHit{Rule: r.ID, Severity: r.Severity, Families: r.Families, Count: c.n,
			First: evidence.At(c.first), Last: evidence.At(c.last), Limit: r.Limit, Over: c.over, Networks: len(c.sources)})
	}
	host.SortFunc(hits, func(a, b evidence.RuleHit) int { return strings.Compare(a.Rule, b.Rule) })
	return hits
}

func (t *tally) samples() map[string][]string {
	out := map[string][]string{}
	for i, c := range t.counts {
		if len(c.samples) > 0 {
			out[t.rules[i].ID] = c.samples
		}
	}
	return out
}
