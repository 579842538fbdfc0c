package eventlog

import (
	"bufio"
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// authLog is 8 MiB like a busy server's: one line in fifty matches a rule.
func authLog() []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < 8<<20; i++ {
		switch {
		case i%50 == 0:
			fmt.Fprintf(&b, "Nov 23 11:00:00 mail sshd[%d]: Failed password for invalid user admin from 192.0.2.%d port %d ssh2\n", i, i%250, 1024+i%60000)
		case i%3 == 0:
			fmt.Fprintf(&b, "Nov 23 11:00:00 mail postfix/smtpd[%d]: connect from unknown[192.0.2.%d]\n", i, i%250)
		default:
			fmt.Fprintf(&b, "Nov 23 11:00:00 mail systemd[1]: Started session-%d.scope - Session %d of User www-data and some more words.\n", i, i)
		}
	}
	return b.Bytes()
}

// BenchmarkScan measures the whole way of a line (read, parsed, matched, counted)
// beside bare reading, and beside one regular expression that joins all rules.
func BenchmarkScan(b *testing.B) {
	data := authLog()
	rules, err := BuiltinRules()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("bare_lines", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			r := bufio.NewReaderSize(bytes.NewReader(data), maxLine)
			for {
				if _, err := r.ReadSlice('\n'); err != nil {
					break
				}
			}
		}
	})
	b.Run("rules", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
			l := &look{collector: &collector{cfg: Config{MaxBytes: 1 << 30}}, now: now, left: 1 << 30, engine: newEngine(rules), tally: newTally(rules, 3, nil)}
			f := file{look: l, path: "auth.log"}
			f.scan(b.Context(), bytes.NewReader(data), 0)
			if len(l.tally.hits()) == 0 {
				b.Fatal("nothing matched")
			}
		}
	})
	b.Run("one_joined_regexp", func(b *testing.B) {
		var all []string
		for _, r := range rules {
			all = append(all, r.Patterns...)
		}
		strip := regexp.MustCompile(`\?P<\w+>`)
		joined := regexp.MustCompile("^(?:" + strip.ReplaceAllString(strings.Join(all, "|"), "?:") + ")$")
		part := data[:256<<10]
		b.SetBytes(int64(len(part)))
		for b.Loop() {
			for line := range bytes.Lines(part) {
				if _, msg, ok := bytes.Cut(line, []byte(": ")); ok {
					joined.Match(bytes.TrimSpace(msg))
				}
			}
		}
	})
}

func FuzzSyslog(f *testing.F) {
	f.Add([]byte("Nov 23 11:00:00 mail sshd[1]: Failed password for root from 192.0.2.1 port 1 ssh2"))
	f.Add([]byte("2025-12-31T22:59:59.5+00:00 h p[1]: m"))
	rules, err := BuiltinRules()
	if err != nil {
		f.Fatal(err)
	}
	e, t := newEngine(rules), newTally(rules, 3, []byte("k"))
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(_ *testing.T, line []byte) {
		ev, err := ParseSyslog(line, now)
		if err != nil {
			return
		}
		for _, m := range e.match(ev) {
			t.add(m, ev)
		}
	})
}

func FuzzJournal(f *testing.F) {
	f.Add([]byte(`{"__CURSOR":"c","__REALTIME_TIMESTAMP":"1","MESSAGE":[104,105],"SYSLOG_IDENTIFIER":"sshd"}`))
	f.Add([]byte(`{"__CURSOR":"c","__REALTIME_TIMESTAMP":"1","MESSAGE":["a","b"]}`))
	f.Fuzz(func(_ *testing.T, line []byte) { _, _, _ = ParseJournal(line) })
}

func FuzzCursor(f *testing.F) {
	f.Add([]byte(`{"v":1,"until":"2026-11-23T12:00:00Z","files":{"/a":{"dev":1,"ino":2,"off":3,"head":"","headN":1,"tail":""}}}`))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = readCursor(b) })
}

func FuzzRules(f *testing.F) {
	f.Add([]byte("rules:\n  - {id: my_rule, severity: low, title: {en: a, it: b}, literals: [abcd], patterns: ['.*abcd.*']}\n"))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = ParseRules(b) })
}
