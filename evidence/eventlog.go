package evidence

import (
	"fmt"
	"slices"
	"time"
)

// EventLog says which rules matched how often in a window of the host's logs,
// how much was read, and whether the window is whole. Samples stand in detail.
type EventLog struct {
	RuleSet string      `json:"ruleSet"` // digest of the rules in force
	Sources []LogSource `json:"sources"`
	Hits    []RuleHit   `json:"hits"`  // rules that matched at least once
	Rules   int         `json:"rules"` // rules that were applied
}

// MaxNetworks is where the count of distinct sources of a rule's matches ends.
const MaxNetworks = 10_000

// LogSource is one log that was read. Whole is false when the window cannot be
// proven complete; a gap says why.
type LogSource struct {
	Source string `json:"source"` // "journald" or a path
	Lines  int64  `json:"lines"`
	Bytes  int64  `json:"bytes"`
	From   *Time  `json:"from,omitempty"` // earliest and latest time that was seen, where lines carry one
	To     *Time  `json:"to,omitempty"`
	Whole  bool   `json:"whole"`
}

// The severities of a rule, from information to what needs a person at once.
const (
	SeverityInfo     = "info"
	SeverityLow      = "low"
	SeverityMedium   = "medium"
	SeverityHigh     = "high"
	SeverityCritical = "critical"
)

// RuleHit is one rule's matches in the window. Over is true when the rule's own
// threshold was reached (within the rule's time, and for one source where the rule
// counts by source), which makes it a finding to triage.
type RuleHit struct {
	Rule     string `json:"rule"`
	Severity string `json:"severity"`
	// Families are the services whose duties the rule speaks to (SC, WH, PE, BK, or
	// an operator's own); none means all.
	Families []string `json:"families,omitempty"`
	Count    int64    `json:"count"`
	First    Time     `json:"first"`
	Last     Time     `json:"last"`
	Over     bool     `json:"over"`
	Limit    int64    `json:"limit"`              // the threshold, 0 for none
	Networks int      `json:"networks,omitempty"` // distinct sources: IPv4 addresses, IPv6 /64, names; counted up to MaxNetworks
}

// Kind returns KindEventLog.
func (EventLog) Kind() Kind { return KindEventLog }

// Validate checks words, counts and the order of times.
func (e EventLog) Validate() error {
	if e.RuleSet == "" {
		return fmt.Errorf("no rule set named")
	}
	if e.Rules < 0 || len(e.Hits) > e.Rules {
		return fmt.Errorf("%d rules matched of %d", len(e.Hits), e.Rules)
	}
	for i, s := range e.Sources {
		if err := s.validate(); err != nil {
			return fmt.Errorf("source %q: %w", s.Source, err)
		}
		if slices.ContainsFunc(e.Sources[:i], func(o LogSource) bool { return o.Source == s.Source }) {
			return fmt.Errorf("source %q stands twice", s.Source)
		}
	}
	seen := map[string]bool{}
	for _, h := range e.Hits {
		if err := h.validate(); err != nil {
			return fmt.Errorf("rule %q: %w", h.Rule, err)
		}
		if seen[h.Rule] {
			return fmt.Errorf("rule %q stands twice", h.Rule)
		}
		seen[h.Rule] = true
	}
	return nil
}

func (s LogSource) validate() error {
	if s.Source == "" || s.Lines < 0 || s.Bytes < 0 {
		return fmt.Errorf("lines %d, bytes %d, or no name", s.Lines, s.Bytes)
	}
	if (s.From == nil) != (s.To == nil) {
		return fmt.Errorf("only one of from and to")
	}
	if s.From != nil && s.To.Before(s.From.Time) {
		return fmt.Errorf("from %s to %s", s.From.Format(time.RFC3339), s.To.Format(time.RFC3339))
	}
	return nil
}

func (h RuleHit) validate() error {
	switch h.Severity {
	case SeverityInfo, SeverityLow, SeverityMedium, SeverityHigh, SeverityCritical:
	default:
		return fmt.Errorf("severity %q", h.Severity)
	}
	if h.Rule == "" || h.Count < 1 || h.Limit < 0 || h.Networks < 0 || h.Networks > MaxNetworks {
		return fmt.Errorf("count %d, limit %d, networks %d, or no name", h.Count, h.Limit, h.Networks)
	}
	if h.Over && h.Limit == 0 {
		return fmt.Errorf("over a limit that it does not have")
	}
	if h.Last.Before(h.First.Time) {
		return fmt.Errorf("last hit before the first")
	}
	for _, f := range h.Families {
		if f == "" {
			return fmt.Errorf("a family without a name")
		}
	}
	return nil
}
