package eventlog_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
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

// machine is a host with a root folder and a clock of its own.
type machine struct {
	t      *testing.T
	host   *host.Host
	now    time.Time
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
	m := &machine{t: t, now: now, log: filepath.Join(root, "var/log/auth.log")}
	m.host = &host.Host{Root: root, Now: func() time.Time { return m.now }, Run: host.Exec, MachineKey: []byte("key")}
	var err error
	if m.c, err = eventlog.Spec().New(decoder(config), m.host); err != nil {
		t.Fatal(err)
	}
	return m
}

// write adds to the log, as of the machine's time.
func (m *machine) write(lines ...string) { m.writeTo(m.log, lines...) }

func (m *machine) writeTo(path string, lines ...string) {
	m.t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
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
	if err := os.Chtimes(path, m.now, m.now); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) do(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// failed is one failed login a second ago on the machine's clock.
func (m *machine) failed(n int) string {
	at := m.now.Add(-time.Second).Format("Jan _2 15:04:05")
	return fmt.Sprintf("%s mail sshd[1]: Failed password for invalid user mario from 192.0.2.%d port 4000 ssh2\n", at, n%250+1)
}

// look looks once, keeps the cursor, and lets ten minutes pass.
func (m *machine) look() (evidence.EventLog, host.Look) {
	m.t.Helper()
	l, err := m.c.Collect(m.t.Context(), m.cursor)
	if err != nil {
		m.t.Fatal(err)
	}
	m.cursor = l.Next
	m.now = m.now.Add(10 * time.Minute)
	f, _ := l.Facts.(evidence.EventLog)
	if l.Facts != nil {
		if err := f.Validate(); err != nil {
			m.t.Fatal(err)
		}
	}
	return f, l
}

func hit(f evidence.EventLog, rule string) evidence.RuleHit {
	for _, h := range f.Hits {
		if h.Rule == rule {
			return h
		}
	}
	return evidence.RuleHit{}
}

func hits(f evidence.EventLog, rule string) int64 { return hit(f, rule).Count }

// want looks and expects so many failed logins and gaps.
func (m *machine) want(n int64, gaps int) host.Look {
	m.t.Helper()
	f, l := m.look()
	if got := hits(f, "ssh_login_failed"); got != n || len(l.Gaps) != gaps {
		m.t.Fatalf("%d failed logins and gaps %v, want %d and %d", got, l.Gaps, n, gaps)
	}
	return l
}

func TestNothingReadableIsNotNothingFound(t *testing.T) {
	m := newMachine(t, "journal: off")
	_, l := m.look()
	if !l.Unsupported || l.Facts != nil || len(l.Gaps) == 0 {
		t.Fatalf("%+v", l)
	}
	m = newMachine(t, "journal: off\nfiles: [/var/log/app.log]")
	if l, err := m.c.Collect(t.Context(), nil); err == nil {
		t.Fatalf("facts %+v of a named file that is not there", l.Facts)
	}
	if os.Geteuid() != 0 { // root reads everything
		m.write(m.failed(1))
		m.do(os.Chmod(m.log, 0))
		if _, err := m.c.Collect(t.Context(), nil); err == nil {
			t.Fatal("an unreadable log gave facts")
		}
	}
}

func TestWrongConfigIsNamed(t *testing.T) {
	for config, want := range map[string]string{
		"journal: maybe":        `journal "maybe"`,
		"kernel: maybe":         `kernel "maybe"`,
		"max_bytes: 10":         "max_bytes 10",
		"samples: 11":           "samples 11",
		"files: [auth.log]":     `file "auth.log"`,
		"rules: [rules.yaml]":   `file "rules.yaml"`,
		"file: [/var/log/auth]": "file",
	} {
		if _, err := eventlog.Spec().New(decoder(config), host.Real()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", config, err, want)
		}
	}
}

func TestDamagedCursorIsSaid(t *testing.T) {
	for _, bad := range []string{`{"v":2,"files":{"x":{"off":-1}}}`, `{"v":1}`, `{`, `{"v":2,"v":2}`,
		`{"v":2,"bursts":[{"r":"x y","a":1,"z":0,"n":1}]}`, strings.Repeat(" ", 600<<10)} {
		m := newMachine(t, "journal: off")
		m.write(m.failed(1))
		m.cursor = []byte(bad)
		m.want(1, 1)
	}
}

func TestClockThatWentBackIsAGap(t *testing.T) {
	m := newMachine(t, "journal: off")
	m.write(m.failed(1))
	m.want(1, 0)
	m.now = m.now.Add(-48 * time.Hour)
	m.write(m.failed(2))
	if l := m.want(1, 1); l.From.After(l.To) {
		t.Fatalf("window from %v to %v", l.From, l.To)
	}
	m.now = m.now.Add(49 * time.Hour)
	m.write(m.failed(3))
	m.want(1, 0)
}

// More than a look may read: the window ends earlier, and nothing is lost or counted twice.
func TestBacklogIsReadInTurns(t *testing.T) {
	m := newMachine(t, "journal: off\nmax_bytes: 1048576")
	total, want := int64(0), int64(0)
	m.write(m.failed(0))
	f, _ := m.look()
	if hits(f, "ssh_login_failed") != 1 {
		t.Fatal(f)
	}
	var b strings.Builder
	start := m.now
	for i := range 40_000 {
		m.now = start.Add(time.Duration(i) * 10 * time.Millisecond)
		b.WriteString(m.failed(i))
		want++
	}
	m.write(b.String())
	from := start.Add(-10 * time.Minute)
	for turn := range 10 {
		f, l := m.look()
		total += hits(f, "ssh_login_failed")
		if len(l.Gaps) != 0 || !f.Sources[0].Whole {
			t.Fatalf("turn %d: gaps %v", turn, l.Gaps)
		}
		if !l.From.Equal(from) || l.To.Before(l.From) {
			t.Fatalf("turn %d: window from %v to %v, want it to begin at %v", turn, l.From, l.To, from)
		}
		if from = l.To; total == want {
			break
		}
		if !l.To.Before(m.now.Add(-10 * time.Minute)) {
			t.Fatalf("turn %d: the window claims all up to now", turn)
		}
	}
	if total != want {
		t.Fatalf("%d of %d lines", total, want)
	}
}

func TestStopsWithItsContext(t *testing.T) {
	m := newMachine(t, "journal: off")
	m.write(m.failed(1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if l, err := m.c.Collect(ctx, nil); err == nil {
		t.Fatalf("%+v", l)
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

// Facts carry counts only: no name, no address, no line.
func TestFactsHoldNoPersonalData(t *testing.T) {
	m := newMachine(t, "journal: off")
	m.write(m.failed(6))
	f, _ := m.look()
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"192.0.2", "mario"} {
		if strings.Contains(string(b), p) {
			t.Errorf("%q stands in %s", p, b)
		}
	}
	if h := hit(f, "ssh_login_failed"); h.Networks != 1 || len(h.Families) == 0 {
		t.Errorf("%+v", h)
	}
}

func count(l host.Look, rule string) int64 {
	f, _ := l.Facts.(evidence.EventLog)
	return hits(f, rule)
}
