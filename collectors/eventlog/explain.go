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
		{Name: "syslog", Title: "a syslog file, RFC 3164 or RFC 3339 stamps", Parse: explainSyslog},
		{Name: "journal-json", Title: "journalctl -o json", Parse: explainJournal},
	}
}

func explainSyslog(data []byte, at time.Time) (host.Look, error) {
	return explain(data, "syslog", func(line []byte) (Event, error) { return ParseSyslog(line, at) })
}

func explainJournal(data []byte, _ time.Time) (host.Look, error) {
	return explain(data, "journald", func(line []byte) (Event, error) {
		e, _, err := ParseJournal(line)
		return e, err
	})
}

// explain applies the built-in rules to a captured log, whatever its age.
func explain(data []byte, source string, parse func([]byte) (Event, error)) (host.Look, error) {
	rules, err := BuiltinRules()
	if err != nil {
		return host.Look{}, err
	}
	engine, t := newEngine(rules), newTally(rules, 3, []byte("captured"))
	src := evidence.LogSource{Source: source, Whole: true}
	var gaps []evidence.Gap
	foreign := int64(0)
	first, last := time.Time{}, time.Time{}
	for line := range bytes.Lines(data) {
		line = trimEnd(line)
		if len(line) == 0 {
			continue
		}
		src.Lines++
		src.Bytes += int64(len(line)) + 1
		e, err := parse(line)
		if err != nil {
			foreign++
			continue
		}
		if first.IsZero() {
			first = e.Time
		}
		last = e.Time
		for _, m := range engine.match(e) {
			t.add(m, e)
		}
	}
	if src.Lines == 0 {
		return host.Look{}, errors.New("no line in it")
	}
	if foreign == src.Lines {
		return host.Look{}, fmt.Errorf("none of its %d lines is of the form %s", foreign, source)
	}
	if foreign > 0 {
		src.Whole = false
		gaps = append(gaps, evidence.Gap{What: source, Why: fmt.Sprintf("%d of %d lines are not of a form that is known", foreign, src.Lines)})
	}
	f, l := evidence.At(first), evidence.At(last)
	src.From, src.To = &f, &l
	facts := evidence.EventLog{RuleSet: ruleSetDigest(rules), Rules: len(rules), Sources: []evidence.LogSource{src}, Hits: t.hits()}
	return host.Look{Facts: facts, Detail: Detail{t.samples()}, Gaps: gaps, From: first, To: last}, nil
}
