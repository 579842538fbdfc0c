package evidence

import "fmt"

// EventLog says which rules matched how often in a window of the host's logs,
// how much was read, and whether the window is whole. Samples stand in detail.
type EventLog struct {
	RuleSet string      `json:"ruleSet"` // digest of the rules in force
	Sources []LogSource `json:"sources"`
	Hits    []RuleHit   `json:"hits"`  // rules that matched at least once
	Rules   int         `json:"rules"` // rules that were applied
}

// LogSource is one log that was read. Whole is false when the window cannot be
// proven complete; a gap says why.
type LogSource struct {
	Source string `json:"source"` // "journald" or a path
	Lines  int64  `json:"lines"`
	Bytes  int64  `json:"bytes"`
	From   *Time  `json:"from,omitempty"` // time of the first and last line read, where lines carry one
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

// RuleHit is one rule's matches in the window. Over is true when the count
// reached the rule's own threshold, which makes it a finding to triage.
type RuleHit struct {
	Rule     string `json:"rule"`
	Severity string `json:"severity"`
	Count    int64  `json:"count"`
	First    Time   `json:"first"`
	Last     Time   `json:"last"`
	Over     bool   `json:"over"`
	Limit    int64  `json:"limit"`              // the threshold, 0 for none
	Networks int    `json:"networks,omitempty"` // distinct source addresses, counted up to 10000
}

// Kind returns KindEventLog.
func (EventLog) Kind() Kind { return KindEventLog }

// Validate checks words, counts and the order of times.
func (e EventLog) Validate() error {
	if e.RuleSet == "" {
		return fmt.Errorf("no rule set named")
	}
	for _, s := range e.Sources {
		if s.Source == "" || s.Lines < 0 || s.Bytes < 0 {
			return fmt.Errorf("source %q: lines %d, bytes %d", s.Source, s.Lines, s.Bytes)
		}
	}
	for _, h := range e.Hits {
		switch h.Severity {
		case SeverityInfo, SeverityLow, SeverityMedium, SeverityHigh, SeverityCritical:
		default:
			return fmt.Errorf("rule %q: severity %q", h.Rule, h.Severity)
		}
		if h.Rule == "" || h.Count < 1 {
			return fmt.Errorf("rule %q: count %d", h.Rule, h.Count)
		}
		if h.Last.Before(h.First.Time) {
			return fmt.Errorf("rule %q: last hit before the first", h.Rule)
		}
	}
	return nil
}
