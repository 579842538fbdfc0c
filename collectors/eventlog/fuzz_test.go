package eventlog

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/host/hosttest"
)

var fuzzNow = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func FuzzSyslog(f *testing.F) {
	for _, seed := range []string{
		"Nov 23 11:00:00 mail sshd[1]: Failed password for root from 192.0.2.1 port 1 ssh2",
		"2025-12-31T22:59:59.5+00:00 h p[1]: m", "2025-12-31 22:59:59 +0100 [7] login authenticator failed for (x) [192.0.2.1]: 535 x (set_id=y)",
		`<165>1 2025-12-31T22:59:59.003Z h app 7 ID [a b="c\"]"] m`, "Nov 23 11:00:00 h p: message repeated 3 times: [ m]",
		`192.0.2.7 - - [23/Nov/2026:03:00:00 +0100] "GET /a/../../../etc/passwd HTTP/1.1" 400 150 "-" "-"`,
		`[Mon Nov 23 03:00:00.123456 2026] [auth_basic:error] [pid 7:tid 8] [client 192.0.2.7:40080] AH01617: user mario: authentication failure for "/admin": Password Mismatch`,
		`2026/11/23 03:00:00 [error] 7#7: *1 user "mario": password mismatch, client: 192.0.2.7, server: example.org, request: "GET / HTTP/1.1", host: "example.org"`,
		"type=USER_AUTH msg=audit(1795402800.123:456): pid=7 msg='op=PAM:authentication acct=\"mario\" hostname=x addr=192.0.2.7 res=failed'",
		`Mon Nov 23 03:00:00 2026 [pid 7] [mario] FAIL LOGIN: Client "192.0.2.7"`, "[23-Nov-2026 03:00:00 +0100]: <x> Failed login for mario from 192.0.2.7 in session x",
		"23-Nov-2026 03:00:00.123 client 192.0.2.7#4: query 'x' denied", "261123  3:00:00 [Warning] Access denied for user 'x'@'y' (using password: NO)",
		"Nov 23 11:00:00 h sudo: mario : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls --password=x",
	} {
		f.Add([]byte(seed))
	}
	rules, err := BuiltinRules()
	if err != nil {
		f.Fatal(err)
	}
	e, t := NewEngine(rules), newTally(rules, 3, []byte("k"), bursts{})
	bound := hosttest.NewBound("line", func(b []byte) {
		if ev, err := ParseSyslog(b, fuzzNow); err == nil {
			for _, m := range e.Match(ev) {
				t.add(m, ev)
			}
		}
	})
	f.Fuzz(func(test *testing.T, line []byte) {
		bound.Check(test, line)
		ev, err := ParseSyslog(line, fuzzNow)
		if err != nil {
			return
		}
		if plain := header(line); stampLen(plain) > 0 && plain[3] == ' ' && ev.Time.After(fuzzNow.Add(24*time.Hour)) { // it has no year of its own
			test.Errorf("%q is of %v", line, ev.Time)
		}
		matches := e.Match(ev)
		if len(matches) > 0 && !e.MayMatch(line) {
			test.Errorf("%q matches and may not", line)
		}
		for _, m := range matches {
			t.add(m, ev)
			if s := t.redact.sample(m, ev); len(s) > maxSample || !utf8.ValidString(s) || strings.ContainsAny(s, "\x1b\n\r\x00") {
				test.Errorf("sample %q", s)
			}
		}
	})
}

func FuzzExport(f *testing.F) {
	f.Add([]byte("__REALTIME_TIMESTAMP=1\nSYSLOG_IDENTIFIER=sshd\nMESSAGE\n\x03\x00\x00\x00\x00\x00\x00\x00a\nb\n\n"))
	bound := hosttest.NewBound("export", func(b []byte) { _, _, _ = ParseExport(b) })
	f.Fuzz(func(t *testing.T, data []byte) {
		bound.Check(t, data)
		for len(data) > 0 {
			_, rest, err := ParseExport(data)
			if len(rest) >= len(data) {
				t.Fatalf("%d bytes follow %d (%v)", len(rest), len(data), err)
			}
			data = rest
		}
	})
}

func FuzzModSecurity(f *testing.F) {
	f.Add([]byte("--abc-A--\n[23/Nov/2026:03:00:00 +0100] id 192.0.2.7 40000 198.51.100.1 443\n--abc-H--\nMessage: Access denied with code 403 (phase 2).\n--abc-Z--\n"))
	f.Add([]byte(`{"transaction":{"client_ip":"192.0.2.7","time_stamp":"Mon Nov 23 03:00:00 2026","messages":[{"message":"x"}]}}`))
	c := captured(sync.OnceValues(newRuleSet))
	bound := hosttest.NewBound("modsecurity", func(b []byte) { _, _ = c.explainModSecurity(b, fuzzNow) })
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 || bytes.HasPrefix(data, []byte("BZh")) {
			return
		}
		bound.Check(t, data)
		l, err := c.explainModSecurity(data, fuzzNow)
		if err == nil && l.Facts.Validate() != nil {
			t.Error(l.Facts.Validate())
		}
	})
}

func FuzzJournal(f *testing.F) {
	f.Add([]byte(`{"__CURSOR":"c","__REALTIME_TIMESTAMP":"1","MESSAGE":[104,105],"SYSLOG_IDENTIFIER":"sshd"}`))
	f.Add([]byte(`{"__CURSOR":"c","__REALTIME_TIMESTAMP":"1","MESSAGE":["a","b"]}`))
	f.Add([]byte(`{"__CURSOR":"c","__REALTIME_TIMESTAMP":"1","MESSAGE":[[1],null],"_TRANSPORT":"kernel"}`))
	bound := hosttest.NewBound("journal", func(b []byte) { _, _, _ = ParseJournal(b) })
	f.Fuzz(func(t *testing.T, line []byte) {
		bound.Check(t, line)
		e, _, err := ParseJournal(line)
		if err == nil && len(e.Message) > 3*len(line) {
			t.Errorf("%d bytes from %d", len(e.Message), len(line))
		}
	})
}

func FuzzKernel(f *testing.F) {
	f.Add([]byte("2026-11-23T16:30:19,000000+00:00 message"))
	bound := hosttest.NewBound("kernel", func(b []byte) { _, _, _ = parseKernel(b) })
	f.Fuzz(func(t *testing.T, line []byte) { bound.Check(t, line) })
}

func FuzzCursor(f *testing.F) {
	f.Add([]byte(`{"v":2,"until":"2026-11-23T12:00:00Z","files":{"/a":{"dev":1,"ino":2,"off":3,"head":"","headN":1,"tail":"","old":{"dev":1,"ino":2,"off":3,"head":"","headN":1,"tail":""}}},"bursts":[{"r":"ssh_login_failed","s":1,"a":1,"z":2,"n":3}]}`))
	bound := hosttest.NewBound("cursor", func(b []byte) { _, _ = readCursor(b) })
	f.Fuzz(func(t *testing.T, b []byte) {
		bound.Check(t, b)
		c, err := readCursor(b)
		if err != nil || len(b) == 0 {
			return
		}
		again, err := c.encode()
		if err != nil {
			t.Fatalf("%s cannot be written: %v", b, err)
		}
		if _, err := readCursor(again); err != nil && len(again) <= maxCursor {
			t.Fatalf("%s became %s: %v", b, again, err)
		}
	})
}

func FuzzFormats(f *testing.F) {
	f.Add([]byte("Nov 23 11:00:00 mail sshd[1]: Failed password for root from 192.0.2.1 port 1 ssh2\n"))
	f.Add([]byte(`{"__CURSOR":"c","__REALTIME_TIMESTAMP":"1795402800000000","MESSAGE":"x","_COMM":"sshd"}` + "\n"))
	f.Add([]byte("--a1b2c3d4-A--\n[23/Nov/2026:03:00:00.123456 +0100] aSyw 192.0.2.7 40080 198.51.100.1 443\n--a1b2c3d4-Z--\n"))
	f.Add([]byte("\x1f\x8b\x08\x00"))
	hosttest.FuzzFormats(f, formats(), fuzzNow)
}

func FuzzRules(f *testing.F) {
	f.Add([]byte("rules:\n  - {id: my_rule, severity: low, title: {en: a, it: b}, literals: [abcd], patterns: ['.*abcd.*{IP}{USER}']}\n"))
	f.Add([]byte("rules:\n  - {id: my_rule, severity: low, title: {en: a, it: b}, after: x, then: y, times: 3, within: 5m}\n"))
	bound := hosttest.NewBound("rules", func(b []byte) { _, _ = ParseRules(b) })
	f.Fuzz(func(t *testing.T, b []byte) {
		bound.Check(t, b)
		rules, err := ParseRules(b)
		if err != nil || checkTogether(rules) != nil {
			return
		}
		if _, err := ruleSetDigest(rules); err != nil {
			t.Fatal(err)
		}
		NewEngine(rules).Match(Event{Time: fuzzNow, Message: []byte("abcd 192.0.2.1"), Repeat: 1})
	})
}

// FuzzScan reads any file in pieces, and must count each of its lines once.
func FuzzScan(f *testing.F) {
	f.Add([]byte("a\nb\n\nc"), uint16(3), false)
	f.Add(bytes.Repeat([]byte("x"), 70_000), uint16(60_000), true)
	rules, err := BuiltinRules()
	if err != nil {
		f.Fatal(err)
	}
	engine := NewEngine(rules)
	f.Fuzz(func(t *testing.T, b []byte, cut uint16, final bool) {
		l := &look{collector: &collector{cfg: Config{MaxBytes: 1 << 40}, host: &host.Host{Now: func() time.Time { return fuzzNow }}}, now: fuzzNow,
			stop: fuzzNow.Add(time.Hour), left: 1 << 40, engine: engine, tally: newTally(rules, 3, nil, bursts{})}
		file := newFile(l, "/log")
		file.lines = newLines(fuzzNow, "")
		first := b[:min(int(cut), len(b))]
		end := file.scan(t.Context(), bytes.NewReader(first), 0, false)
		end = file.scan(t.Context(), bytes.NewReader(b[end:]), end, final)
		if whole := int64(bytes.LastIndexByte(b, '\n') + 1); end < whole || end > int64(len(b)) || final && end != int64(len(b)) {
			t.Fatalf("read to %d of %d, whole lines end at %d", end, len(b), whole)
		}
		if file.read.Bytes != end {
			t.Fatalf("%d bytes counted, read to %d", file.read.Bytes, end)
		}
	})
}
