package duties

import (
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// eventlogCheck judges whether the logs of the last day were read whole. What
// the rules found is no breach: the duty is to look, and the review part asks for
// a person. Logs that were cleared are one: nobody can look any more.
var eventlogCheck = check{
	kind:   evidence.KindEventLog,
	params: []string{"fresh", "window", "slack"},
	judge:  judgeEventLog,
}

func judgeEventLog(h host) []AssetFinding {
	if _, _, err := decode[evidence.EventLog](h); err != nil {
		return h.unreadable(err)
	}
	start := h.watchedSince(h.local(h.newest().To).Add(-h.duration("window")), h.looks[0].local(h.looks[0].From))
	w := readWindow{host: h, upTo: start}
	var found []AssetFinding
	for _, s := range h.looks {
		found = append(found, w.add(s)...)
	}
	if len(found) > 0 {
		return found
	}
	if w.rules == 0 {
		return []AssetFinding{h.find(Unproven, "", say("eventlog_no_rules", "host", h.agent.Name))}
	}
	ok := h.find(Fulfilled, "", say("eventlog_read", "host", h.agent.Name, "lines", w.lines, "sources", len(w.sources),
		"rules", w.rules, "findings", w.findings, "from", h.clock(start), "to", h.clock(w.upTo)))
	ok.Cites = w.cites
	return []AssetFinding{ok}
}

// readWindow walks over looks in order and finds holes.
type readWindow struct {
	host
	upTo     time.Time // read without a hole up to here
	lines    int64
	rules    int
	findings int
	sources  []string
	cites    []Cite
}

func (w *readWindow) add(s Seen) []AssetFinding {
	from, to := s.local(s.From), s.local(s.To)
	if to.Before(w.upTo) {
		return nil
	}
	say1 := func(v Verdict, key string, pairs ...any) []AssetFinding {
		f := w.find(v, "", say(key, append([]any{"host", w.agent.Name}, pairs...)...))
		f.Cites = []Cite{{s.Log, s.Index}}
		return []AssetFinding{f}
	}
	if s.Outcome == evidence.Failed {
		return nil // what it did not read, the next look reads, or it is a hole
	}
	if s.Blob == nil {
		return say1(Unproven, "facts_missing", "kind_codes", string(s.Kind), "at", w.clock(w.moment(s)))
	}
	facts, gaps, err := evidence.DecodeFacts[evidence.EventLog](s.Blob)
	if err != nil {
		return say1(Unproven, "facts_unreadable", "error", err)
	}
	var found []AssetFinding
	if hole := from.Sub(w.upTo); hole > w.duration("slack") {
		found = append(found, say1(Unproven, "eventlog_hole", "from", w.clock(w.upTo), "to", w.clock(from))...)
	}
	w.upTo, w.rules = to, facts.Rules
	w.cites = append(w.cites, Cite{s.Log, s.Index})
	if len(facts.Sources) == 0 {
		found = append(found, say1(Unproven, "eventlog_no_sources", "gaps", gapText(gaps))...)
	}
	for _, src := range facts.Sources {
		w.lines += src.Lines
		if !slices.Contains(w.sources, src.Source) {
			w.sources = append(w.sources, src.Source)
		}
		if !src.Whole {
			found = append(found, say1(Unproven, "eventlog_not_whole", "source", src.Source, "to", w.clock(to), "gaps", gapText(gaps))...)
		}
	}
	if len(gaps) > 0 && len(found) == 0 {
		found = append(found, say1(Unproven, "gaps", "gaps", gapText(gaps))...)
	}
	for _, hit := range facts.Hits {
		if cleared(hit.Rule) {
			found = append(found, say1(Breached, "eventlog_cleared", "rule", hit.Rule, "at", w.clock(s.local(hit.Last.Time)))...)
		}
		if hit.Over {
			w.findings++
		}
	}
	return found
}

// cleared reports whether a rule says that somebody emptied a log.
func cleared(rule string) bool {
	return strings.Contains(rule, "log-cleared") || strings.Contains(rule, "log_cleared")
}

// severities orders the severities of rules.
var severities = map[string]float64{
	evidence.SeverityInfo: 0, evidence.SeverityLow: 1, evidence.SeverityMedium: 2,
	evidence.SeverityHigh: 3, evidence.SeverityCritical: 4,
}

// logFinding is a rule of a host's logs that matched more than it may.
type logFinding struct {
	agent Agent
	rule  string
}

func (f logFinding) String() string { return f.agent.Name + " " + f.rule }

// untriaged lists the findings of at least a severity that were received after a
// moment, each once.
func untriaged(q Question, after time.Time, severity float64) []logFinding {
	var list []logFinding
	for _, a := range q.Agents {
		for _, hit := range q.hits(a) {
			f := logFinding{a, hit.rule}
			if hit.received.After(after) && hit.severity >= severity && !slices.Contains(list, f) {
				list = append(list, f)
			}
		}
	}
	return list
}

func findingNames(list []logFinding) []string {
	names := make([]string, len(list))
	for i, f := range list {
		names[i] = f.String()
	}
	return names
}

// logHit is a finding of a log rule.
type logHit struct {
	received, visible time.Time
	rule              string
	severity          float64
}

// hits lists what the log rules of a host found, oldest first.
func (q Question) hits(a Agent) []logHit {
	if q.past != nil {
		return q.past.hitsUntil(a.ID, q.At)
	}
	var list []logHit
	for _, s := range newHost(a, q, values{}, evidence.KindEventLog).looks {
		list = append(list, hitsOf(s)...)
	}
	return list
}

// hitsOf lists the findings of one look.
func hitsOf(s Seen) (list []logHit) {
	facts, _, err := evidence.DecodeFacts[evidence.EventLog](s.Blob)
	if err != nil {
		return nil
	}
	for _, hit := range facts.Hits {
		if hit.Over {
			list = append(list, logHit{received: s.Received, rule: hit.Rule, severity: severities[hit.Severity]})
		}
	}
	return list
}
