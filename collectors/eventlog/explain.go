package eventlog

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// A log may hold lines of several forms, so every form of lines is read by the same
// parser; the name says whose log it is where its lines do not.
func formats() []host.Format {
	return []host.Format{
		{Name: "syslog", Title: "a log file of any form that the agent follows: syslog, ISO 8601, web servers, auditd, panels; also .gz and .bz2", Parse: explainLines("syslog", "")},
		{Name: "exim-mainlog", Title: "Exim's own mainlog", Parse: explainLines("exim-mainlog", "exim")},
		{Name: "apache-access", Title: "an access log of Apache (common, combined, with or without virtual host)", Parse: explainLines("apache-access", "access")},
		{Name: "nginx-access", Title: "an access log of nginx (combined)", Parse: explainLines("nginx-access", "access")},
		{Name: "apache-error", Title: "Apache's ErrorLog, 2.2 and 2.4, with ModSecurity", Parse: explainLines("apache-error", "apache-error")},
		{Name: "nginx-error", Title: "nginx's error_log", Parse: explainLines("nginx-error", "nginx-error")},
		{Name: "modsecurity-audit", Title: "ModSecurity's audit log, serial or JSON (SecAuditLog)", Parse: explainModSecurity},
		{Name: "auditd", Title: "/var/log/audit/audit.log", Parse: explainLines("auditd", "audit")},
		{Name: "fail2ban-log", Title: "/var/log/fail2ban.log", Parse: explainLines("fail2ban-log", "fail2ban")},
		{Name: "plesk-panel-log", Title: "/var/log/plesk/panel.log", Parse: explainLines("plesk-panel-log", "plesk")},
		{Name: "kerio-log", Title: "Kerio Connect's security.log", Parse: explainLines("kerio-log", "")},
		{Name: "mysql-error", Title: "the error log of MySQL or MariaDB", Parse: explainLines("mysql-error", "mysqld")},
		{Name: "postgresql-log", Title: "PostgreSQL's log", Parse: explainLines("postgresql-log", "")},
		{Name: "journal-json", Title: "journalctl -o json --all", Parse: explainJournal},
		{Name: "journal-export", Title: "journalctl -o export", Parse: explainExport},
		{Name: "eventlog-rules", Title: "a file with rules of one's own", Parse: explainRules},
	}
}

func explainLines(name, program string) func([]byte, time.Time) (host.Look, error) {
	return func(data []byte, at time.Time) (host.Look, error) {
		return explainPacked(data, func(data []byte) (host.Look, error) {
			return explain(data, name, byLine(newLines(at, program).parse))
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

func explainJournal(data []byte, _ time.Time) (host.Look, error) {
	return explain(data, journalName, byLine(func(line []byte) (Event, error) {
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
func explain(data []byte, name string, read reading) (host.Look, error) {
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
