package mail

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/attesto/attesto/collectors/eventlog"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Formats lists what this kind can read. What is explained is the reader's own: its names
// are shown.
func Formats() []host.Format {
	return []host.Format{
		{Name: "postqueue-json", Title: "postqueue -j", Parse: explainPostfix},
		{Name: "exim-queue", Title: "exim -bp", Parse: explainExim},
		{Name: "mail-log", Title: "a log of Postfix, Dovecot or Exim: accounts, rates and signs; its last day is looked at, what comes before is history", Parse: explainLog},
	}
}

func explainPostfix(data []byte, at time.Time) (host.Look, error) {
	q := newQueue("postfix", func(_, from string) string { return from })
	return explainQueue(data, at, q, q.postfixLine, func() int { return 0 })
}

func explainExim(data []byte, at time.Time) (host.Look, error) {
	q := newQueue("exim", func(_, from string) string { return from })
	r := &eximReader{q: q, now: at}
	return explainQueue(data, at, q, r.line, func() int { r.flush(); return r.strange })
}

func explainQueue(data []byte, at time.Time, q *queue, line func([]byte) error, end func() int) (host.Look, error) {
	s := &splitter{line: line}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		data = append(data[:len(data):len(data)], '\n')
	}
	if _, err := s.Write(data); err != nil {
		return host.Look{}, err
	}
	strange := end()
	if q.Messages == 0 && (s.bad > 0 || strange > 0) {
		if s.err != nil {
			return host.Look{}, s.err
		}
		return host.Look{}, errors.New("no line is of a form that is known")
	}
	gaps := []evidence.Gap{{What: "mail log", Why: "only the queue was read"}}
	if s.bad+strange > 0 {
		gaps = append(gaps, evidence.Gap{What: "queue of " + q.System, Why: fmt.Sprintf("%d lines could not be read", s.bad+strange)})
	}
	f := evidence.Mail{Queue: q.facts(func(name string) string { return name }), Sources: []evidence.LogSource{}, Accounts: []evidence.MailAccount{}}
	return host.Look{Facts: f, Gaps: gaps, To: at}, f.Validate()
}

// explainLog reads a log twice: the end of it first, to know which part is its last day.
func explainLog(data []byte, at time.Time) (host.Look, error) {
	var last time.Time
	lines, foreign := eachEvent(data, at, func(e eventlog.Event) {
		if e.Time.After(last) {
			last = e.Time
		}
	})
	if lines == 0 {
		return host.Look{}, errors.New("no line in it")
	}
	if foreign == lines {
		return host.Look{}, fmt.Errorf("none of its %d lines has a time that is known at its start", lines)
	}
	t := newTally(newState(), []byte("captured"), last.Add(-24*time.Hour))
	source := evidence.LogSource{Source: "mail-log", Lines: lines, Bytes: int64(len(data)), Whole: foreign == 0}
	told := 0
	eachEvent(data, at, func(e eventlog.Event) {
		if line, ok := parse(e.Program, string(e.Message)); ok {
			told++
			t.add(line, e.Time)
		}
	})
	gaps := []evidence.Gap{{What: "queue", Why: "only the log was read"}}
	if foreign > 0 {
		gaps = append(gaps, evidence.Gap{What: "mail-log", Why: fmt.Sprintf("%d of %d lines have no time that is known at their start", foreign, lines)})
	}
	t.facts.Sources = append(t.facts.Sources, source)
	f := t.done(last, nil, 0, func(id string) string {
		if name, ok := t.names[id]; ok {
			return name
		}
		return id
	})
	from := t.from
	if t.Began.After(from) {
		from = t.Began
	}
	return host.Look{Facts: f, Gaps: gaps, From: from, To: last}, f.Validate()
}

// eachEvent hands on the lines that have a time, and counts.
func eachEvent(data []byte, at time.Time, take func(eventlog.Event)) (lines, foreign int64) {
	read := eventlog.Lines(at, "exim")
	for line := range bytes.Lines(data) {
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			continue
		}
		lines++
		e, err := read(line)
		if err != nil {
			foreign++
			continue
		}
		take(e)
	}
	return lines, foreign
}
