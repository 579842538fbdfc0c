package eventlog_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/eventlog"
)

func rome(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestForms(t *testing.T) {
	zone := rome(t)
	newYear := time.Date(2026, 1, 1, 0, 30, 0, 0, zone)
	for line, want := range map[string]eventlog.Event{
		"Dec 31 23:59:59 h p: m":                                                  {Time: time.Date(2025, 12, 31, 23, 59, 59, 0, zone), Program: "p", Message: []byte("m")},
		"Jan  1 00:10:00 h p: m":                                                  {Time: time.Date(2026, 1, 1, 0, 10, 0, 0, zone), Program: "p", Message: []byte("m")},
		"Jan 1 00:10:00 h p: m":                                                   {Time: time.Date(2026, 1, 1, 0, 10, 0, 0, zone), Program: "p", Message: []byte("m")},
		"Feb 29 00:10:00 h p: m":                                                  {Time: time.Date(2024, 2, 29, 0, 10, 0, 0, zone), Program: "p", Message: []byte("m")},
		"2025-12-31T22:59:59.5+00:00 h p[1]: m":                                   {Time: time.Date(2025, 12, 31, 22, 59, 59, 5e8, time.UTC), Program: "p", Message: []byte("m")},
		"2025-12-31T22:59:59+0000 h p[1]: m":                                      {Time: time.Date(2025, 12, 31, 22, 59, 59, 0, time.UTC), Program: "p", Message: []byte("m")},
		"2025-12-31 22:59:59,5 h p[1]: m":                                         {Time: time.Date(2025, 12, 31, 22, 59, 59, 5e8, zone), Program: "p", Message: []byte("m")},
		"2025-12-31 22:59:59 [123] H=x y: z":                                      {Time: time.Date(2025, 12, 31, 22, 59, 59, 0, zone), Message: []byte("H=x y: z")},
		"2025-12-31 22:59:59 +0200 text only":                                     {Time: time.Date(2025, 12, 31, 20, 59, 59, 0, time.UTC), Message: []byte("text only")},
		"<38>Jan  1 00:10:00 h su(pam_unix)[7]: m: n":                             {Time: time.Date(2026, 1, 1, 0, 10, 0, 0, zone), Program: "su", Message: []byte("m: n")},
		`<165>1 2025-12-31T22:59:59.003Z h app 7 ID [a b="c\"]"][d] ` + "\ufeffm": {Time: time.Date(2025, 12, 31, 22, 59, 59, 3e6, time.UTC), Program: "app", Message: []byte("m")},
		"<165>1 2025-12-31T22:59:59Z h app - - - m n":                             {Time: time.Date(2025, 12, 31, 22, 59, 59, 0, time.UTC), Program: "app", Message: []byte("m n")},
		"Jan  1 00:10:00 h kernel: [ 12.345678] oops":                             {Time: time.Date(2026, 1, 1, 0, 10, 0, 0, zone), Program: "kernel", Message: []byte("oops")},
		"Jan  1 00:10:00 imap-login: Info: x":                                     {Time: time.Date(2026, 1, 1, 0, 10, 0, 0, zone), Program: "dovecot", Message: []byte("imap-login: Info: x")},
		"Jan  1 00:10:00 h p: message repeated 3 times: [ m]":                     {Time: time.Date(2026, 1, 1, 0, 10, 0, 0, zone), Program: "p", Message: []byte("m"), Repeat: 3},
		"\x00\x00Jan  1 00:10:00 h p: m":                                          {Time: time.Date(2026, 1, 1, 0, 10, 0, 0, zone), Program: "p", Message: []byte("m")},
	} {
		e, err := eventlog.ParseSyslog([]byte(line), newYear)
		if want.Repeat == 0 {
			want.Repeat = 1
		}
		if err != nil || !e.Time.Equal(want.Time) || e.Program != want.Program || string(e.Message) != string(want.Message) || e.Repeat != want.Repeat {
			t.Errorf("%q: %v %q %q x%d (%v)", line, e.Time, e.Program, e.Message, e.Repeat, err)
		}
	}
	for _, bad := range []string{"", "x", "Foo 31 23:59:59 h p: m", "Dec 32 23:59:59 h p: m", "Dec 31 24:00:00 h p: m", "Feb 30 00:00:00 h p: m",
		"2025-13-31T22:59:59Z h p: m", "    ", strings.Repeat("9", 100), "<38>", "<999999>1 "} {
		if e, err := eventlog.ParseSyslog([]byte(bad), newYear); err == nil {
			t.Errorf("%q read as %+v", bad, e)
		}
	}
}

// Clocks in Italy showed two o'clock twice on 25 October 2026, and never on 29 March.
func TestDaylightSaving(t *testing.T) {
	zone := rome(t)
	m := newMachine(t, "journal: off")
	m.now = time.Date(2026, 10, 25, 2, 30, 0, 0, zone).Add(time.Hour) // the second time
	line := func(clock string) string {
		return "Oct 25 " + clock + " mail sshd[1]: Failed password for root from 192.0.2.1 port 4000 ssh2\n"
	}
	noise := func(clock string) string { return "Oct 25 " + clock + " mail cron[1]: hello\n" }
	m.write(noise("01:30:00"), line("02:10:00"), noise("02:55:00"), noise("02:05:00"), line("02:20:00"))
	f, _ := m.look()
	h := hit(f, "ssh_login_failed")
	if first, last := time.Date(2026, 10, 25, 0, 10, 0, 0, time.UTC), time.Date(2026, 10, 25, 1, 20, 0, 0, time.UTC); h.Count != 2 || !h.First.Equal(first) || !h.Last.Equal(last) {
		t.Fatalf("%+v, want %v and %v", h, first, last)
	}
	e, err := eventlog.ParseSyslog([]byte("Mar 29 02:30:00 h p: m"), time.Date(2026, 3, 29, 4, 0, 0, 0, zone))
	if err != nil || e.Time.Before(time.Date(2026, 3, 29, 0, 30, 0, 0, time.UTC)) || e.Time.After(time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC)) {
		t.Fatalf("%v, %v", e.Time, err)
	}
}

// A file that was last written in 2024 holds no line of 2026.
func TestYearOfTheFile(t *testing.T) {
	m := newMachine(t, "journal: off")
	m.write(m.failed(1))
	m.want(1, 0)
	m.now = time.Date(2026, 12, 31, 23, 59, 0, 0, time.UTC)
	m.write(m.failed(2))
	m.now = time.Date(2027, 1, 1, 0, 1, 0, 0, time.UTC)
	m.write(m.failed(3))
	f, l := m.look()
	h := hit(f, "ssh_login_failed")
	if h.Count != 2 || h.First.Year() != 2026 || h.Last.Year() != 2027 || len(l.Gaps) != 0 {
		t.Fatalf("%+v, gaps %v", h, l.Gaps)
	}
	old := newMachine(t, "journal: off")
	old.write("Nov 23 11:59:00 mail sshd[1]: Failed password for root from 192.0.2.7 port 4 ssh2\n")
	written := time.Date(2024, 11, 23, 12, 0, 0, 0, time.UTC)
	m.do(os.Chtimes(old.log, written, written))
	old.want(0, 0)
}

func TestJournalEntries(t *testing.T) {
	for line, want := range map[string]string{
		`{"__CURSOR":"c","__REALTIME_TIMESTAMP":"1","MESSAGE":"a","SYSLOG_IDENTIFIER":"p"}`:             "p a",
		`{"__CURSOR":"c","__REALTIME_TIMESTAMP":"1","MESSAGE":[104,105,255],"SYSLOG_IDENTIFIER":"p"}`:   "p hi\xff",
		`{"__CURSOR":"c","__REALTIME_TIMESTAMP":"1","MESSAGE":["a","b"],"SYSLOG_IDENTIFIER":["p","q"]}`: "p a",
		`{"__CURSOR":"c","__REALTIME_TIMESTAMP":"1","MESSAGE":[[104,105],"b"],"_COMM":"p"}`:             "p hi",
		`{"__CURSOR":"c","__REALTIME_TIMESTAMP":"1","MESSAGE":null,"_TRANSPORT":"kernel"}`:              "kernel ",
		`{"__CURSOR":"c","__REALTIME_TIMESTAMP":"1","_COMM":"p"}`:                                       "p ",
	} {
		e, cursor, err := eventlog.ParseJournal([]byte(line))
		if err != nil || cursor != "c" || e.Program+" "+string(e.Message) != want || !e.Time.Equal(time.UnixMicro(1)) {
			t.Errorf("%s: %+v, %q, %v", line, e, cursor, err)
		}
	}
	for _, bad := range []string{``, `{}`, `[]`, `{"__REALTIME_TIMESTAMP":"x"}`, `{"__REALTIME_TIMESTAMP":"-1"}`, `{"__REALTIME_TIMESTAMP":"1","MESSAGE":[300]}`,
		`{"__REALTIME_TIMESTAMP":"1","MESSAGE":7}`, `{"__REALTIME_TIMESTAMP":"1","MESSAGE":[[["x"]]]}`, `{"__REALTIME_TIMESTAMP":"1","MESSAGE":{}}`} {
		if e, _, err := eventlog.ParseJournal([]byte(bad)); err == nil {
			t.Errorf("%s read as %+v", bad, e)
		}
	}
}

// journalctl names months in the language of who runs it, and has forms of its own.
func TestMonthNames(t *testing.T) {
	ref := time.Date(2026, 12, 31, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"gen  5 03:00:00 h x: y": "2026-01-05T03:00:00Z", "Set  5 03:00:00 h x: y": "2026-09-05T03:00:00Z", "dic  5 03:00:00.250000 h x: y": "2026-12-05T03:00:00.25Z", "dic  5 03:00:00.2500000001 h x: y": "2026-12-05T03:00:00Z",
		"Okt  5 03:00:00 h x: y": "2026-10-05T03:00:00Z", "mag  5 03:00:00 h x: y": "2026-05-05T03:00:00Z", "Sat 2026-12-05 03:00:00 UTC h x: y": "2026-12-05T03:00:00Z",
		"1795402800.500000 h x: y": "2026-11-23T03:00:00.5Z",
		"foo  5 03:00:00 h x: y":   "none", "an g 5 03:00:00 h x: y": "none",
	} {
		e, err := eventlog.ParseSyslog([]byte(text), ref)
		got := "none"
		if err == nil {
			got = e.Time.UTC().Format(time.RFC3339Nano)
		}
		if got != want || err == nil && (e.Program != "x" || string(e.Message) != "y") {
			t.Errorf("%q: %s %q %q, want %s", text, got, e.Program, e.Message, want)
		}
	}
}
