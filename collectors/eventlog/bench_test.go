package eventlog

import (
	"bufio"
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cloudflare/ahocorasick"

	"github.com/attesto/attesto/collectors/host"
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
			l := &look{collector: &collector{cfg: Config{MaxBytes: 1 << 30}, host: host.Real()}, now: now, stop: time.Now().Add(time.Hour), left: 1 << 30,
				engine: NewEngine(rules), tally: newTally(rules, 3, nil, bursts{})}
			f := newFile(l, "auth.log")
			f.lines = newLines(now, "")
			f.scan(b.Context(), bytes.NewReader(data), 0, false)
			if len(l.tally.hits()) == 0 {
				b.Fatal("nothing matched")
			}
		}
	})
	// What the table of literals was taken instead of: as fast, and 20 times the memory.
	b.Run("literals", func(b *testing.B) {
		engine := NewEngine(rules)
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			for line := range bytes.Lines(data) {
				engine.MayMatch(line)
			}
		}
	})
	b.Run("literals_cloudflare", func(b *testing.B) {
		var words []string
		for _, r := range rules {
			words = append(words, r.Literals...)
		}
		other := ahocorasick.NewStringMatcher(words)
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			for line := range bytes.Lines(data) {
				other.Contains(line)
			}
		}
	})
	b.Run("one_joined_regexp", func(b *testing.B) {
		var all []string
		for _, r := range rules {
			for _, p := range r.Patterns {
				all = append(all, shorthands.Replace(p))
			}
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

// A line that no rule can match costs no allocation.
func TestNoAllocationPerLine(t *testing.T) {
	rules, err := BuiltinRules()
	if err != nil {
		t.Fatal(err)
	}
	l := &look{collector: &collector{cfg: Config{MaxBytes: 1 << 30}, host: host.Real()}, now: time.Now(), stop: time.Now().Add(time.Hour), left: 1 << 40,
		engine: NewEngine(rules), tally: newTally(rules, 3, nil, bursts{})}
	f := newFile(l, "auth.log")
	f.lines = newLines(l.now, "")
	data := bytes.Repeat([]byte("Nov 23 11:00:00 mail systemd[1]: Started session-1.scope - Session 1 of User www-data.\n"), 10_000)
	f.scan(t.Context(), bytes.NewReader(data), 0, false)
	if n := testing.AllocsPerRun(5, func() { f.scan(t.Context(), bytes.NewReader(data), 0, false) }); n > 10 {
		t.Fatalf("%v allocations for 10000 lines", n)
	}
}
