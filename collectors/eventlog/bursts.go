package eventlog

import (
	"cmp"
	"fmt"
	"time"

	"github.com/attesto/attesto/collectors/host"
)

// bursts count how often something came within a time, per rule and source. They
// live on in the cursor, so that a burst over the end of a window is still one.
type bursts map[burstKey]burst

// burstKey is the rule that counts and a keyed hash of the source, 0 for all.
type burstKey struct {
	rule   string
	source uint64
}

type burst struct {
	start, last time.Time
	n           int64
}

const (
	maxBursts  = 20_000 // while looking
	keptBursts = 500    // in the cursor
)

// add counts n more and returns how many came within the time up to now. A burst
// begins with its first event; one that came later than within after it begins a new one.
func (b bursts) add(key burstKey, at time.Time, n int64, within time.Duration) int64 {
	old, known := b[key]
	if !known && len(b) >= maxBursts {
		b.shrink(maxBursts / 2)
	}
	if !known || at.Sub(old.start) > within || old.start.Sub(at) > within {
		old = burst{start: at, last: at}
	}
	if at.After(old.last) {
		old.last = at
	}
	old.n += n
	b[key] = old
	return old.n
}

// within returns how many came not longer than within before at.
func (b bursts) within(key burstKey, at time.Time, within time.Duration) int64 {
	old := b[key]
	if at.Sub(old.last) > within {
		return 0
	}
	return old.n
}

// shrink keeps the biggest: a flood of single tries must not push out who tries often.
func (b bursts) shrink(keep int) {
	for _, m := range b.marks(time.Time{})[min(keep, len(b)):] {
		delete(b, burstKey{m.Rule, m.Source})
	}
}

// burstMark is a burst in the cursor. The source stands there as its hash only.
type burstMark struct {
	Rule   string `json:"r"`
	Source uint64 `json:"s,omitempty"`
	Start  int64  `json:"a"` // seconds since 1970
	Last   int64  `json:"z"`
	N      int64  `json:"n"`
}

// marks lists the bursts whose last event is after old, the biggest first.
func (b bursts) marks(old time.Time) []burstMark {
	var out []burstMark
	for k, v := range b {
		if v.last.After(old) || old.IsZero() {
			out = append(out, burstMark{k.rule, k.source, v.start.Unix(), v.last.Unix(), v.n})
		}
	}
	host.SortFunc(out, func(x, y burstMark) int {
		return cmp.Or(cmp.Compare(y.N, x.N), cmp.Compare(y.Last, x.Last), cmp.Compare(x.Rule, y.Rule), cmp.Compare(x.Source, y.Source))
	})
	return out
}

func (m burstMark) check() error {
	if !ruleID.MatchString(m.Rule) || m.N < 1 || m.Last < m.Start || m.Start < 0 || m.Last > 1<<40 {
		return fmt.Errorf("burst of rule %q: %d from %d to %d", m.Rule, m.N, m.Start, m.Last)
	}
	return nil
}

func readBursts(marks []burstMark) bursts {
	b := bursts{}
	for _, m := range marks {
		b[burstKey{m.Rule, m.Source}] = burst{time.Unix(m.Start, 0), time.Unix(m.Last, 0), m.N}
	}
	return b
}
