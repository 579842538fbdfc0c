package eventlog_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/attesto/attesto/collectors/eventlog"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func decoder(config string) func(any) error {
	return func(v any) error {
		dec := yaml.NewDecoder(strings.NewReader(config))
		dec.KnownFields(true)
		if err := dec.Decode(v); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		return nil
	}
}

// machine is a host with a root folder of its own.
type machine struct {
	t      *testing.T
	host   *host.Host
	log    string
	cursor []byte
	c      host.Collector
}

func newMachine(t *testing.T, config string) *machine {
	t.Helper()
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "var/log"), 0o755); err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, log: filepath.Join(root, "var/log/auth.log")}
	m.host = &host.Host{Root: root, Now: func() time.Time { return now }, Run: host.Exec, MachineKey: []byte("key")}
	var err error
	if m.c, err = eventlog.Spec().New(decoder(config), m.host); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *machine) write(lines ...string) {
	m.t.Helper()
	f, err := os.OpenFile(m.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, l := range lines {
		if _, err := f.WriteString(l); err != nil {
			m.t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		m.t.Fatal(err)
	}
}

// failed is one failed login as a syslog line.
func failed(n int) string {
	return fmt.Sprintf("Nov 23 11:%02d:%02d mail sshd[1]: Failed password for invalid user mario from 192.0.2.%d port 4000 ssh2\n", n/60%60, n%60, n%250+1)
}

// look looks once and keeps the cursor.
func (m *machine) look() (evidence.EventLog, host.Look) {
	m.t.Helper()
	l, err := m.c.Collect(m.t.Context(), m.cursor)
	if err != nil {
		m.t.Fatal(err)
	}
	m.cursor = l.Next
	f, _ := l.Facts.(evidence.EventLog)
	if l.Facts != nil {
		if err := f.Validate(); err != nil {
			m.t.Fatal(err)
		}
	}
	return f, l
}

func hits(f evidence.EventLog, rule string) int64 {
	for _, h := range f.Hits {
		if h.Rule == rule {
			return h.Count
		}
	}
	return 0
}

func (m *machine) want(n int64, gaps int) {
	m.t.Helper()
	f, l := m.look()
	if got := hits(f, "ssh_login_failed"); got != n || len(l.Gaps) != gaps {
		m.t.Fatalf("%d failed logins and gaps %v, want %d and %d", got, l.Gaps, n, gaps)
	}
}

func TestFileFollowedThroughItsLife(t *testing.T) {
	m := newMachine(t, "journal: off")
	m.write(failed(1), failed(2))
	m.want(2, 0)
	m.want(0, 0)
	m.write(failed(3), "Nov 23 11:00:04 mail sshd[1]: Failed password for root fr") // cut in the middle
	m.want(1, 0)
	m.write("om 192.0.2.9 port 1 ssh2\n")
	m.want(1, 0)

	m.write(failed(4))
	if err := os.Rename(m.log, m.log+".1"); err != nil { // rotated by rename
		t.Fatal(err)
	}
	m.write(failed(5), failed(6))
	m.want(3, 0)

	m.write(failed(7))
	whole, err := os.ReadFile(m.log)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.log+".1", whole, 0o644); err != nil { // copytruncate
		t.Fatal(err)
	}
	if err := os.Truncate(m.log, 0); err != nil {
		t.Fatal(err)
	}
	m.write(failed(8))
	m.want(2, 0)

	m.write(failed(9))
	if whole, err = os.ReadFile(m.log); err != nil {
		t.Fatal(err)
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write(whole)
	_ = w.Close()
	if err := os.WriteFile(m.log+".2.gz", z.Bytes(), 0o644); err != nil { // rotated and compressed at once
		t.Fatal(err)
	}
	if err := os.Remove(m.log); err != nil {
		t.Fatal(err)
	}
	m.write(failed(10))
	m.want(2, 0)

	m.write(failed(11))
	m.want(1, 0)
	m.write(failed(12), failed(13))
	if err := os.WriteFile(m.log, []byte(failed(14)), 0o644); err != nil { // rewritten: what was not read is lost
		t.Fatal(err)
	}
	m.want(1, 1)
	if err := os.Remove(m.log); err != nil {
		t.Fatal(err)
	}
	if _, err := m.c.Collect(t.Context(), m.cursor); err == nil {
		t.Fatal("the only log is gone, and that is not said")
	}
}

func TestLongAndBrokenLines(t *testing.T) {
	m := newMachine(t, "journal: off")
	m.write("Nov 23 11:00:00 mail app: "+strings.Repeat("x", 1<<20)+"\n", failed(1), "Nov 23 11:00:01 mail app: \xff\xfe\x00 junk\n", failed(2))
	m.want(2, 1) // the long line is a gap
	m.write(strings.Repeat("not a syslog line\n", 10))
	m.want(0, 1)
}

func TestFirstLookGoesBackOneDay(t *testing.T) {
	m := newMachine(t, "journal: off")
	m.write("Nov 21 11:00:00 mail sshd[1]: Failed password for root from 192.0.2.1 port 1 ssh2\n", failed(1))
	m.want(1, 0)
}

func TestNothingReadableIsNotNothingFound(t *testing.T) {
	m := newMachine(t, "journal: off")
	_, l := m.look()
	if !l.Unsupported || l.Facts != nil || len(l.Gaps) == 0 {
		t.Fatalf("%+v", l)
	}
	if os.Geteuid() != 0 { // root reads everything
		m.write(failed(1))
		if err := os.Chmod(m.log, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := m.c.Collect(t.Context(), nil); err == nil {
			t.Fatal("an unreadable log gave facts")
		}
	}
}

func TestDamagedCursorIsSaid(t *testing.T) {
	m := newMachine(t, "journal: off")
	m.write(failed(1))
	m.cursor = []byte(`{"v":1,"files":{"x":{"off":-1}}}`)
	m.want(1, 1)
}

func TestSequence(t *testing.T) {
	m := newMachine(t, "journal: off")
	for range 12 {
		m.write("Nov 23 11:00:00 mail sshd[1]: Failed password for root from 192.0.2.7 port 1 ssh2\n")
	}
	m.write("Nov 23 11:00:01 mail sshd[1]: Accepted password for mario from 192.0.2.8 port 1 ssh2\n")
	f, _ := m.look()
	if hits(f, "ssh_login_after_failures") != 0 {
		t.Fatal("another address counted")
	}
	m.cursor = nil
	m.write("Nov 23 11:00:02 mail sshd[1]: Accepted password for root from 192.0.2.7 port 1 ssh2\n")
	f, _ = m.look()
	if hits(f, "ssh_login_after_failures") != 1 {
		t.Fatalf("hits %+v", f.Hits)
	}
	for _, h := range f.Hits {
		if h.Rule == "ssh_login_after_failures" && (!h.Over || h.Severity != evidence.SeverityCritical) {
			t.Fatalf("%+v", h)
		}
	}
}

// Nothing of what was planted may leave the host, in facts or in detail.
func TestRedaction(t *testing.T) {
	planted := []string{"mario.rossi", "anna@example.org", "hunter2", "s3cr3t", "Confidential-Subject", "AKIAABCDEFGHIJKLMNOPQRSTUVWXYZ012345"}
	m := newMachine(t, "journal: off")
	m.write(
		"Nov 23 11:00:00 mail sshd[1]: Failed password for invalid user mario.rossi from 192.0.2.7 port 1 ssh2\n",
		"Nov 23 11:00:00 mail sudo: mario.rossi : TTY=pts/0 ; PWD=/home/x ; USER=root ; COMMAND=/usr/bin/mysql --password=hunter2 -u s3cr3t AKIAABCDEFGHIJKLMNOPQRSTUVWXYZ012345\n",
		"Nov 23 11:00:00 mail postfix/smtpd[9]: warning: unknown[192.0.2.9]: SASL LOGIN authentication failed: UGFzc3dvcmQ6, sasl_username=anna@example.org\n",
		"Nov 23 11:00:00 mail useradd[3]: new user: name=mario.rossi, UID=1001, GID=1001, home=/home/mario.rossi, shell=/bin/bash, from=/dev/pts/0\n",
		"Nov 23 11:00:00 mail systemd[1]: backup.service: Failed with result 'exit-code'.\n",
		"Nov 23 11:00:00 mail kernel: [1.0] Out of memory: Killed process 1 (php) subject: Confidential-Subject\n",
	)
	f, l := m.look()
	for _, rule := range []string{"ssh_login_failed", "sudo_used", "sasl_failed", "user_added", "service_failed", "oom_kill"} {
		if hits(f, rule) != 1 {
			t.Errorf("%s: %d hits", rule, hits(f, rule))
		}
	}
	b, err := json.Marshal([]any{f, l.Detail, l.Gaps})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range planted {
		if strings.Contains(string(b), p) {
			t.Errorf("%q shows in %s", p, b)
		}
	}
	if facts, _ := json.Marshal(f); strings.Contains(string(facts), "192.0.2") {
		t.Errorf("an address stands in facts: %s", facts)
	}
	if !strings.Contains(string(b), "192.0.2.7") {
		t.Error("the address is not in the samples")
	}
}

func TestStampsOverYearAndForm(t *testing.T) {
	rome, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		t.Fatal(err)
	}
	newYear := time.Date(2026, 1, 1, 0, 30, 0, 0, rome)
	for line, want := range map[string]time.Time{
		"Dec 31 23:59:59 h p: m":                time.Date(2025, 12, 31, 23, 59, 59, 0, rome),
		"Jan  1 00:10:00 h p: m":                time.Date(2026, 1, 1, 0, 10, 0, 0, rome),
		"2025-12-31T22:59:59.5+00:00 h p[1]: m": time.Date(2025, 12, 31, 22, 59, 59, 5e8, time.UTC),
	} {
		e, err := eventlog.ParseSyslog([]byte(line), newYear)
		if err != nil || !e.Time.Equal(want) || e.Program != "p" || string(e.Message) != "m" {
			t.Errorf("%s: %+v (%v), want %v", line, e, err, want)
		}
	}
}

func needTool(t *testing.T, paths ...string) string {
	t.Helper()
	for _, p := range paths {
		if found, err := exec.LookPath(p); err == nil {
			return found
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed; run make deps", paths[0])
	}
	t.Skipf("%s is not installed; run make deps", paths[0])
	return ""
}

// Real logrotate in its three ways; every line is counted once.
func TestRealLogrotate(t *testing.T) {
	rotate := needTool(t, "logrotate", "/usr/sbin/logrotate")
	for _, mode := range []string{"create", "copytruncate", "compress", "compress\ncopytruncate"} {
		t.Run(strings.ReplaceAll(mode, "\n", "+"), func(t *testing.T) {
			m := newMachine(t, "journal: off")
			dir := t.TempDir()
			conf := filepath.Join(dir, "conf")
			if err := os.WriteFile(conf, fmt.Appendf(nil, "%s {\nrotate 5\n%s\n}\n", m.log, mode), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(filepath.Dir(m.log), 0o755); err != nil {
				t.Fatal(err)
			}
			total := int64(0)
			for i := range 4 {
				m.write(failed(10*i), failed(10*i+1))
				f, l := m.look()
				total += hits(f, "ssh_login_failed")
				m.write(failed(10*i + 2))
				if out, err := exec.CommandContext(t.Context(), rotate, "-f", "-s", filepath.Join(dir, "state"), conf).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				m.write(failed(10*i + 3))
				if len(l.Gaps) != 0 {
					t.Fatalf("gaps %v", l.Gaps)
				}
			}
			f, l := m.look()
			total += hits(f, "ssh_login_failed")
			if total != 16 || len(l.Gaps) != 0 {
				t.Fatalf("%d lines counted of 16, gaps %v", total, l.Gaps)
			}
		})
	}
}

// A real journal, written by systemd-journal-remote and read by journalctl.
func TestRealJournal(t *testing.T) {
	remote := needTool(t, "/lib/systemd/systemd-journal-remote", "/usr/lib/systemd/systemd-journal-remote")
	needTool(t, "journalctl")
	m := newMachine(t, "journal: on\njournal_dir: /journal")
	dir := filepath.Join(m.host.Root, "journal")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	serial := 0
	write := func(messages ...string) {
		var b bytes.Buffer
		for _, msg := range messages {
			serial++
			at := now.Add(-time.Hour).Add(time.Duration(serial) * time.Second).UnixMicro()
			fmt.Fprintf(&b, "__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=0123456789abcdef0123456789abcdef\nSYSLOG_IDENTIFIER=sshd\nMESSAGE=%s\n\n", at, serial*1000, msg)
		}
		cmd := exec.CommandContext(t.Context(), remote, "-o", filepath.Join(dir, fmt.Sprintf("part%d.journal", serial)), "-")
		cmd.Stdin = &b
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	const bad = "Failed password for root from 192.0.2.1 port 1 ssh2"
	write(bad, "Accepted publickey for root from 192.0.2.2 port 1 ssh2: RSA SHA256:x", bad)
	f, l := m.look()
	if hits(f, "ssh_login_failed") != 2 || hits(f, "ssh_login_ok") != 1 || len(l.Gaps) != 0 || f.Sources[0].Lines != 3 || !f.Sources[0].Whole {
		t.Fatalf("%+v, gaps %v", f, l.Gaps)
	}
	f, l = m.look()
	if len(f.Hits) != 0 || len(l.Gaps) != 0 {
		t.Fatalf("read again: %+v, gaps %v", f, l.Gaps)
	}
	write(bad)
	if f, l = m.look(); hits(f, "ssh_login_failed") != 1 || len(l.Gaps) != 0 {
		t.Fatalf("%+v, gaps %v", f, l.Gaps)
	}
	// The files with what was read are vacuumed, and with them what came after.
	write(bad)
	old, err := filepath.Glob(filepath.Join(dir, "part*.journal"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	write(bad)
	if f, l = m.look(); hits(f, "ssh_login_failed") != 1 || len(l.Gaps) != 1 || f.Sources[0].Whole {
		t.Fatalf("after vacuum: %+v, gaps %v", f, l.Gaps)
	}
}

func TestNoJournalIsAGap(t *testing.T) {
	m := newMachine(t, "journal: on\njournal_dir: /nowhere")
	needTool(t, "journalctl")
	if l, err := m.c.Collect(t.Context(), nil); err == nil {
		t.Fatalf("facts %+v of a journal that is not there", l.Facts)
	}
}

// The ring buffer's text is given here: a real one differs from host to host.
func TestKernelBuffer(t *testing.T) {
	m := newMachine(t, "journal: off\nkernel: on")
	text := "2026-11-23T11:00:00,000001+00:00 Linux version 6.1\n  continued\n2026-11-23T11:00:01,5+00:00 EXT4-fs error (device sda1): bad block\n"
	m.host.Run = func(_ context.Context, c host.Command) (host.Result, error) {
		_, err := c.Stdout.Write([]byte(text))
		return host.Result{}, err
	}
	f, l := m.look()
	if hits(f, "filesystem_error") != 1 || len(l.Gaps) != 1 || !f.Sources[0].Whole || f.Sources[0].Lines != 2 {
		t.Fatalf("%+v, gaps %v", f, l.Gaps)
	}
	text += "2026-11-23T11:30:00,0+00:00 Out of memory: Killed process 7 (php)\n"
	if f, _ = m.look(); hits(f, "oom_kill") != 1 || hits(f, "filesystem_error") != 0 {
		t.Fatalf("%+v", f)
	}
	text = "2026-11-23T11:50:00,0+00:00 hello\n" // what came between was overwritten
	if f, l = m.look(); f.Sources[0].Whole || len(l.Gaps) != 2 {
		t.Fatalf("%+v, gaps %v", f, l.Gaps)
	}
	m.host.Run = func(context.Context, host.Command) (host.Result, error) {
		return host.Result{Exit: 1, Stderr: "dmesg: read kernel buffer failed: Operation not permitted"}, nil
	}
	if _, err := m.c.Collect(t.Context(), nil); err == nil {
		t.Fatal("a buffer that may not be read gave facts")
	}
}

func TestBadRulesAreNamed(t *testing.T) {
	good := "rules:\n  - {id: my_rule, severity: low, title: {en: a, it: b}, literals: [abcd], patterns: ['.*abcd.*']}\n"
	if _, err := eventlog.ParseRules([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for change, want := range map[string]string{
		"severity: low/severity: lo":             "severity",
		"id: my_rule/id: My":                     "id",
		"literals: [abcd]/literals: [ab]":        "shorter than 4",
		"patterns: ['.*abcd.*']/patterns: ['(']": "missing closing",
		"literals/literal":                       "literal",
		"it: b/xx: b":                            "xx",
	} {
		from, to, _ := strings.Cut(change, "/")
		_, err := eventlog.ParseRules([]byte(strings.Replace(good, from, to, 1)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", change, err, want)
		}
	}
}
