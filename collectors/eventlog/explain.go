package eventlog

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

func formats() []host.Format {
	return []host.Format{
		{Name: "syslog", Title: "a log file with RFC 3164, RFC 5424, RFC 3339 or ISO 8601 stamps", Parse: explainSyslog},
		{Name: "exim-mainlog", Title: "Exim's own mainlog", Parse: explainExim},
		{Name: "journal-json", Title: "journalctl -o json --all", Parse: explainJournal},
		{Name: "eventlog-rules", Title: "a file with rules of one's own", Parse: explainRules},
	}
}

func explainSyslog(data []byte, at time.Time) (host.Look, error) {
	return explain(data, "syslog", newLines(at, "").parse)
}

func explainExim(data []byte, at time.Time) (host.Look, error) {
	return explain(data, "exim-mainlog", newLines(at, "exim").parse)
}

func explainJournal(data []byte, _ time.Time) (host.Look, error) {
	return explain(data, journalName, func(line []byte) (Event, error) {
		e, _, err := ParseJournal(line)
		return e, err
	})
}

// explainRules checks rules by themselves and beside the built-in ones.
func explainRules(data []byte, at time.Time) (host.Look, error) {
	rules, err := BuiltinRules()
	if err != nil {
		return host.Look{}, err
	}
	more, err := ParseRules(data)
	if err != nil {
		return host.Look{}, err
	}
	rules = append(rules, more...)
	if err := checkTogether(rules); err != nil {
		return host.Look{}, err
	}
	digest, err := ruleSetDigest(rules)
	if err != nil {
		return host.Look{}, err
	}
	return host.Look{Facts: evidence.EventLog{RuleSet: digest, Rules: len(rules), Sources: []evidence.LogSource{}, Hits: []evidence.RuleHit{}}, To: at}, nil
}

// explain applies the built-in rules to a captured log, whatever its age.
func explain(data []byte, name string, parse func([]byte) (Event, error)) (host.Look, error) {
	rules, err := BuiltinRules()
	if err != nil {
		return host.Look{}, err
	}
	digest, err := ruleSetDigest(rules)
	if err != nil {
		return host.Look{}, err
	}
	l := &look{collector: &collector{}, engine: NewEngine(rules), tally: newTally(rules, 3, []byte("captured"), bursts{}),
		facts: evidence.EventLog{RuleSet: digest, Rules: len(rules)}}
	s, foreign := l.newSource(name), int64(0)
	s.followed = true
	for line := range bytes.Lines(data) {
		s.read.Bytes += int64(len(line))
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			continue
		}
		s.read.Lines++
		e, err := parse(line)
		if err != nil {
			foreign++
			continue
		}
		s.saw(e.Time)
		l.now = e.Time
		s.take(e)
	}
	switch {
	case s.read.Lines == 0:
		return host.Look{}, errors.New("no line in it")
	case foreign == s.read.Lines:
		return host.Look{}, fmt.Errorf("none of its %d lines is of the form %s", foreign, name)
	case foreign > 0:
		s.unwhole(fmt.Sprintf("%d of %d lines are not of a form that is known", foreign, s.read.Lines))
	}
	s.done()
	l.facts.Hits = l.tally.hits()
	return host.Look{Facts: l.facts, Detail: Detail{l.tally.samples()}, Gaps: l.gaps, From: s.early, To: s.late}, nil
}
