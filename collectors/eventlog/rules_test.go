package eventlog_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/eventlog"
)

func builtin(t *testing.T) []eventlog.Rule {
	t.Helper()
	rules, err := eventlog.BuiltinRules()
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// The built-in rules are held to what ParseRules holds an operator's to.
func TestBuiltinRulesCompile(t *testing.T) {
	files, err := filepath.Glob("rules/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files (%v)", len(files), err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := eventlog.ParseRules(b); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestSamples reads own lines: of samples.txt the message alone, of lines.txt the
// whole line as it stands in a log.
func TestSamples(t *testing.T) {
	rules := builtin(t)
	engine, seen := eventlog.NewEngine(rules), map[string]bool{}
	for _, file := range []string{"samples.txt", "lines.txt"} {
		b, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(b))
		for n := 1; lines.Scan(); n++ {
			if lines.Text() == "" || strings.HasPrefix(lines.Text(), "#") {
				continue
			}
			parts := strings.SplitN(lines.Text(), " | ", 3)
			if len(parts) != 3 {
				t.Fatalf("%s, line %d: %q", file, n, lines.Text())
			}
			trySample(t, engine, seen, fmt.Sprintf("%s, line %d", file, n), parts, file == "lines.txt")
		}
	}
	for _, r := range rules {
		if !seen[r.ID] && r.Then == "" {
			t.Errorf("rule %s has no sample", r.ID)
		}
		if len(r.Families) == 0 {
			t.Errorf("rule %s speaks to no service", r.ID)
		}
	}
}

func trySample(t *testing.T, engine *eventlog.Engine, seen map[string]bool, where string, parts []string, whole bool) {
	t.Helper()
	program, msg, _ := strings.Cut(parts[2], ": ")
	e := eventlog.Event{Time: now, Program: program, Message: []byte(msg), Repeat: 1}
	if whole {
		var err error
		if e, err = eventlog.ParseSyslog([]byte(parts[2]), now.AddDate(0, 1, 0)); err != nil || e.Time.Year() != 2026 || e.Time.Month() != time.November || e.Time.Day() != 23 {
			t.Errorf("%s: %v at %v: %s", where, err, e.Time, parts[2])
			return
		}
	}
	want := strings.Fields(strings.TrimSuffix(parts[0], "-"))
	var got []string
	address := "-"
	for _, m := range engine.Match(e) {
		got = append(got, m.Rule.ID)
		seen[m.Rule.ID] = true
		if m.Address != "" {
			address = m.Address
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || address != parts[1] {
		t.Errorf("%s: %v from %s (program %q), want %v from %s: %s", where, got, address, e.Program, want, parts[1], parts[2])
	}
}

func TestBadRulesAreNamed(t *testing.T) {
	const good = "rules:\n  - {id: my_rule, severity: low, title: {en: a, it: b}, literals: [abcd], patterns: ['.*abcd.*']}\n"
	if _, err := eventlog.ParseRules([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for change, want := range map[string]string{
		"severity: low/severity: lo":             "line 2: rule \"my_rule\": severity",
		"id: my_rule/id: My":                     "id",
		"literals: [abcd]/literals: [ab]":        "shorter one",
		"literals: [abcd]/literals: []":          "at least one literal",
		"patterns: ['.*abcd.*']/patterns: ['(']": "missing closing",
		"literals/literal":                       "literal",
		"it: b/xx: b":                            "xx",
		"severity/limit: -1, severity":           "limit",
		"severity/within: 48h, severity":         "within",
		"severity/per: user, severity":           "per",
		"severity/families: [pe], severity":      "family",
		"severity/after: other_rule, severity":   "sequence",
		"rules:/rule:":                           "rule",
	} {
		from, to, _ := strings.Cut(change, "/")
		_, err := eventlog.ParseRules([]byte(strings.Replace(good, from, to, 1)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", change, err, want)
		}
	}
}

// An operator's rules count too; a file of theirs that cannot be used is a gap, and
// the other rules still hold.
func TestOwnRules(t *testing.T) {
	m := newMachine(t, "journal: off\nrules: [/etc/good.yaml, /etc/bad.yaml, /etc/none.yaml, /etc/twice.yaml]")
	dir := filepath.Join(m.host.Root, "etc")
	m.do(os.Mkdir(dir, 0o755))
	const rule = "rules: [{id: %s, severity: low, title: {en: a, it: b}, literals: ['say \"hi\"'], patterns: ['.*say \"hi\" to {HOST}'], limit: 2, per: address}]"
	m.writeTo(dir+"/good.yaml", fmt.Sprintf(rule, "said_hi"))
	m.writeTo(dir+"/bad.yaml", "rules: [{id: x}]")
	m.writeTo(dir+"/twice.yaml", fmt.Sprintf(rule, "sudo_used"))
	m.write(m.failed(1), `Nov 23 11:59:00 mail app: say "hi" to 192.0.2.1`+"\n", `Nov 23 11:59:00 mail app: say "hi" to 192.0.2.2`+"\n")
	f, l := m.look()
	if h := hit(f, "said_hi"); h.Count != 2 || h.Over || h.Networks != 2 || hits(f, "ssh_login_failed") != 1 || len(l.Gaps) != 3 {
		t.Fatalf("%+v, gaps %v", f, l.Gaps)
	}
	before := f.RuleSet
	m.write(`Nov 23 12:09:00 mail app: say "hi" to 192.0.2.2` + "\n")
	if f, _ = m.look(); !hit(f, "said_hi").Over { // with the one before the last look
		t.Fatalf("%+v", f)
	}
	m.writeTo(dir+"/none.yaml", fmt.Sprintf(rule, "one_more"))
	if f, _ = m.look(); f.RuleSet == before {
		t.Fatal("other rules have the same name")
	}
}

// The literal of a rule stands escaped in journalctl's JSON.
func TestLiteralInJSON(t *testing.T) {
	rules, err := eventlog.ParseRules([]byte("rules: [{id: my_rule, severity: low, title: {en: a, it: b}, literals: ['say \"hi\"\t'], patterns: ['.*']}]"))
	if err != nil {
		t.Fatal(err)
	}
	e := eventlog.NewEngine(rules)
	for line, want := range map[string]bool{`{"MESSAGE":"I say \"hi\"\t"}`: true, "I say \"hi\"\t": true, `I say "hi"`: false, "": false} {
		if e.MayMatch([]byte(line)) != want {
			t.Errorf("%s: %v", line, !want)
		}
	}
}

// Failures, then a success from the same address, within an hour: also when a look
// ends between them.
func TestSequence(t *testing.T) {
	const fail, ok = "mail sshd[1]: Failed password for root from 192.0.2.7 port 1 ssh2\n", "mail sshd[1]: Accepted password for mario from 192.0.2.%d port 1 ssh2\n"
	at := func(m *machine) string { return m.now.Format("Jan _2 15:04:05 ") }
	fails := func(m *machine, n int) {
		for range n {
			m.write(at(m) + fail)
		}
	}
	for name, c := range map[string]struct {
		before, after int
		pause         time.Duration
		from          int
		want          int64
	}{
		"many":            {12, 0, 0, 7, 1},
		"too few":         {9, 0, 0, 7, 0},
		"another address": {12, 0, 0, 8, 0},
		"over two looks":  {6, 6, time.Minute, 7, 1},
		"too long ago":    {12, 0, 2 * time.Hour, 7, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, "journal: off")
			fails(m, c.before)
			m.look()
			m.now = m.now.Add(c.pause)
			fails(m, c.after)
			m.write(at(m) + fmt.Sprintf(ok, c.from))
			f, _ := m.look()
			h := hit(f, "ssh_login_after_failures")
			if h.Count != c.want || h.Over != (c.want > 0) {
				t.Fatalf("%+v", f.Hits)
			}
			m.write(at(m) + fmt.Sprintf(ok, c.from)) // the next success follows no failure
			if f, _ = m.look(); hits(f, "ssh_login_after_failures") != 0 {
				t.Fatalf("again: %+v", f.Hits)
			}
		})
	}
}

// A flood of single tries from all over must not hide the one who tries often, nor
// grow without end.
func TestFloodOfAddresses(t *testing.T) {
	m := newMachine(t, "journal: off")
	var b strings.Builder
	line := func(ip string) {
		fmt.Fprintf(&b, "%s mail sshd[1]: Failed password for root from %s port 1 ssh2\n", m.now.Format("Jan _2 15:04:05"), ip)
	}
	for range 12 {
		line("192.0.2.7")
	}
	for i := range 40_000 {
		line(fmt.Sprintf("2001:db8:%x::1", i))
	}
	fmt.Fprintf(&b, "%s mail sshd[1]: Accepted password for root from 192.0.2.7 port 1 ssh2\n", m.now.Format("Jan _2 15:04:05"))
	m.write(b.String())
	f, l := m.look()
	if h := hit(f, "ssh_login_failed"); h.Networks != 10_000 || h.Count != 40_012 || hits(f, "ssh_login_after_failures") != 1 {
		t.Fatalf("%+v", f.Hits)
	}
	if len(l.Next) > 128<<10 {
		t.Fatalf("the cursor has %d bytes", len(l.Next))
	}
}
