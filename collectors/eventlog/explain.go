package eventlog

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// A log may hold lines of several forms, so every form of lines is read by the same
// parser; the name says whose log it is where its lines do not.
func formats() []host.Format {
	c := captured(sync.OnceValues(newRuleSet))
	return []host.Format{
		{Name: "syslog", Title: "a log file of any form that the agent follows: syslog, ISO 8601, web servers, auditd, panels; also .gz and .bz2", Parse: c.explainLines("syslog", "")},
		{Name: "exim-mainlog", Title: "Exim's own mainlog", Parse: c.explainLines("exim-mainlog", "exim")},
		{Name: "apache-access", Title: "an access log of Apache (common, combined, with or without virtual host)", Parse: c.explainLines("apache-access", "access")},
		{Name: "nginx-access", Title: "an access log of nginx (combined)", Parse: c.explainLines("nginx-access", "access")},
		{Name: "apache-error", Title: "Apache's ErrorLog, 2.2 and 2.4, with ModSecurity", Parse: c.explainLines("apache-error", "apache-error")},
		{Name: "nginx-error", Title: "nginx's error_log", Parse: c.explainLines("nginx-error", "nginx-error")},
		{Name: "modsecurity-audit", Title: "ModSecurity's audit log, serial or JSON (SecAuditLog)", Parse: c.explainModSecurity},
		{Name: "auditd", Title: "/var/log/audit/audit.log", Parse: c.explainLines("auditd", "audit")},
		{Name: "fail2ban-log", Title: "/var/log/fail2ban.log", Parse: c.explainLines("fail2ban-log", "fail2ban")},
		{Name: "plesk-panel-log", Title: "/var/log/plesk/panel.log", Parse: c.explainLines("plesk-panel-log", "plesk")},
		{Name: "kerio-log", Title: "Kerio Connect's security.log", Parse: c.explainLines("kerio-log", "")},
		{Name: "mysql-error", Title: "the error log of MySQL or MariaDB", Parse: c.explainLines("mysql-error", "mysqld")},
		{Name: "postgresql-log", Title: "PostgreSQL's log", Parse: c.explainLines("postgresql-log", "")},
		{Name: "journal-json", Title: "journalctl -o json --all", Parse: c.explainJournal},
		{Name: "journal-export", Title: "journalctl -o export", Parse: c.explainExport},
		{Name: "eventlog-rules", Title: "a file with rules of one's own", Parse: explainRules},
	}
}

// captured gives the built-in rules for logs that were captured elsewhere; they are
// made once, which costs more than reading most.
type captured func() (*ruleSet, error)

type ruleSet struct {
	rules  []Rule
	digest string
	busy   sync.Mutex // the engine reads one log at a time
	engine *Engine
}

func newRuleSet() (*ruleSet, error) {
	rules, err := BuiltinRules()
	if err != nil {
		return nil, err
	}
	digest, err := ruleSetDigest(rules)
	if err != nil {
		return nil, err
	}
	return &ruleSet{rules: rules, digest: digest, engine: NewEngine(rules)}, nil
}

func (c captured) explainLines(name, program string) func([]byte, time.Time) (host.Look, error) {
	return func(data []byte, at time.Time) (host.Look, error) {
		return explainPacked(data, func(data []byte) (host.Look, error) {
			return c.explain(data, name, byLine(newLines(at, program).parse))
		})
	}
}

// explainPacked unpacks a log first, where it is compressed. What is left of one that was
// cut off is read, with a gap.
func explainPacked(data []byte, explain func([]byte) (host.Look, error)) (host.Look, error) {
	data, cut := unpacked(data)
	if cut != nil && len(data) == 0 {
		return host.Look{}, cut
	}
	l, err := explain(data)
	if f, ok := l.Facts.(evidence.EventLog); err == nil && cut != nil && ok {
		for i := range f.Sources {
			f.Sources[i].Whole = false
			l.Gaps = append(l.Gaps, evidence.Gap{What: f.Sources[i].Source, Why: "unpacking: " + cut.Error()})
		}
	}
	return l, err
}

// maxUnpacked bounds what a compressed log may unpack to, in bytes.
const maxUnpacked = 512 << 20

// unpacked is a log that rotation may have compressed; with an error, what could be
// unpacked.
func unpacked(data []byte) ([]byte, error) {
	var in io.Reader
	switch {
	case bytes.HasPrefix(data, []byte("\x1f\x8b")):
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		in = z
	case bytes.HasPrefix(data, []byte("BZh")):
		in = bzip2.NewReader(bytes.NewReader(data))
	case bytes.HasPrefix(data, []byte("\xfd7zXZ")), bytes.HasPrefix(data, []byte("\x28\xb5\x2f\xfd")):
		return nil, errPacked
	default:
		return data, nil
	}
	out, err := io.ReadAll(io.LimitReader(in, maxUnpacked+1))
	if err == nil && len(out) > maxUnpacked {
		err = fmt.Errorf("it unpacks to over %d bytes", maxUnpacked)
	}
	return out, err
}

func (c captured) explainJournal(data []byte, _ time.Time) (host.Look, error) {
	return c.explain(data, journalName, byLine(func(line []byte) (Event, error) {
		e, _, err := ParseJournal(line)
		return e, err
	}))
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

// reading takes a captured log apart: each gets its events, foreign what is of no
// known form. It returns how many lines or entries there were.
type reading func(data []byte, each func(Event), foreign func()) (lines int64)

// byLine reads a log whose events are lines.
func byLine(parse func([]byte) (Event, error)) reading {
	return func(data []byte, each func(Event), foreign func()) (lines int64) {
		var last Event // in case it is said to have come again
		for line := range bytes.Lines(data) {
			if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 || bytes.HasPrefix(line, []byte("-- Boot ")) || bytes.HasPrefix(line, []byte("-- Logs begin at ")) || bytes.HasPrefix(line, []byte("-- Journal begins at ")) {
				continue // the last three are journalctl's own
			}
			lines++
			e, err := parse(line)
			if err != nil {
				foreign()
				continue
			}
			if n, again := lastRepeated(e.Message); again && e.Program == "" && last.Message != nil {
				e.Program, e.Message, e.Repeat = last.Program, last.Message, n
			}
			last = e
			each(e)
		}
		return lines
	}
}

// explain applies the built-in rules to a captured log, whatever its age.
func (c captured) explain(data []byte, name string, read reading) (host.Look, error) {
	set, err := c()
	if err != nil {
		return host.Look{}, err
	}
	set.busy.Lock()
	defer set.busy.Unlock()
	l := &look{collector: &collector{}, engine: set.engine, tally: newTally(set.rules, 3, []byte("captured"), bursts{}),
		facts: evidence.EventLog{RuleSet: set.digest, Rules: len(set.rules)}}
	s, foreign := l.newSource(name), int64(0)
	s.followed = true
	s.read.Bytes = int64(len(data))
	s.read.Lines = read(data, func(e Event) {
		s.saw(e.Time)
		l.now = e.Time
		s.take(e)
	}, func() { foreign++ })
	switch {
	case s.read.Lines == 0:
		return host.Look{}, errors.New("no line in it")
	case foreign >= s.read.Lines:
		return host.Look{}, fmt.Errorf("none of its %d lines is of the form %s", foreign, name)
	case foreign > 0:
		s.unwhole(fmt.Sprintf("%d of %d lines are not of a form that is known", foreign, s.read.Lines))
	}
	s.done()
	l.facts.Hits = l.tally.hits()
	return host.Look{Facts: l.facts, Detail: Detail{l.tally.samples()}, Gaps: l.gaps, From: s.early, To: s.late}, nil
}
