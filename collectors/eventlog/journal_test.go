package eventlog_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/host/hosttest"
)

// journal writes real journal files with systemd-journal-remote.
type journal struct {
	*machine
	dir    string
	remote string
	serial int
}

func newJournal(t *testing.T, config string) *journal {
	t.Helper()
	remote := hosttest.NeedTool(t, "systemd-journal-remote")
	hosttest.NeedTool(t, "journalctl")
	m := newMachine(t, config)
	dir := filepath.Join(m.host.Root, "var/log/journal/0123456789abcdef0123456789abcdef")
	m.do(os.MkdirAll(dir, 0o755))
	return &journal{machine: m, dir: dir, remote: remote}
}

const bad = "Failed password for root from 192.0.2.1 port 1 ssh2"

// add writes a new file with sshd's messages, one a second on the machine's clock.
func (j *journal) add(messages ...string) {
	var b bytes.Buffer
	for _, msg := range messages {
		j.entry(&b, "SYSLOG_IDENTIFIER=sshd\nMESSAGE="+msg+"\n")
	}
	j.export(&b)
}

func (j *journal) entry(b *bytes.Buffer, fields string) {
	j.serial++
	at := j.now.Add(-time.Minute).Add(time.Duration(j.serial) * time.Millisecond).UnixMicro()
	fmt.Fprintf(b, "__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=0123456789abcdef0123456789abcdef\n%s\n", at, j.serial*1000, fields)
}

func (j *journal) export(b *bytes.Buffer) {
	j.t.Helper()
	cmd := exec.CommandContext(j.t.Context(), j.remote, "-o", filepath.Join(j.dir, fmt.Sprintf("part%04d.journal", j.serial)), "-")
	cmd.Stdin = b
	if out, err := cmd.CombinedOutput(); err != nil {
		j.t.Fatalf("%v: %s", err, out)
	}
}

func (j *journal) vacuum() {
	j.t.Helper()
	old, err := filepath.Glob(filepath.Join(j.dir, "*.journal"))
	j.do(err)
	for _, path := range old {
		j.do(os.Remove(path))
	}
}

func TestRealJournal(t *testing.T) {
	j := newJournal(t, "journal: on")
	j.add(bad, "Accepted publickey for root from 192.0.2.2 port 1 ssh2: RSA SHA256:x", bad, "hello")
	f, l := j.look()
	if hits(f, "ssh_login_failed") != 2 || hits(f, "ssh_login_ok") != 1 || len(l.Gaps) != 0 || f.Sources[0].Lines != 4 || !f.Sources[0].Whole {
		t.Fatalf("%+v, gaps %v", f, l.Gaps)
	}
	if f, l = j.look(); len(f.Hits) != 0 || len(l.Gaps) != 0 || f.Sources[0].Lines != 0 {
		t.Fatalf("read again: %+v, gaps %v", f, l.Gaps)
	}
	j.add("hello", bad, "hello")
	j.want(1, 0)
	j.add(bad, bad)
	j.want(2, 0)
}

// Fields that are no text, very long, or there twice.
func TestRealJournalOddEntries(t *testing.T) {
	j := newJournal(t, "journal: on")
	var b bytes.Buffer
	binary := "Failed password for \xff\xfe from 192.0.2.1 port 1 ssh2"
	length := make([]byte, 8)
	length[0] = byte(len(binary))
	j.entry(&b, "SYSLOG_IDENTIFIER=sshd\nMESSAGE\n"+string(length)+binary+"\n")
	j.entry(&b, "SYSLOG_IDENTIFIER=sshd\nMESSAGE=Failed password for "+strings.Repeat("x", 100_000)+" from 192.0.2.1 port 1 ssh2\n")
	j.entry(&b, "SYSLOG_IDENTIFIER=sshd\n")
	j.entry(&b, "_TRANSPORT=kernel\nMESSAGE=Out of memory: Killed process 1 (x)\n")
	j.export(&b)
	f, l := j.look()
	if hits(f, "ssh_login_failed") != 2 || hits(f, "oom_kill") != 1 || len(l.Gaps) != 0 {
		t.Fatalf("%+v, gaps %v", f, l.Gaps)
	}
}

// An entry that was changed in the file shows only where hashes are compared.
func TestChangedJournalIsAGap(t *testing.T) {
	for _, verify := range []bool{false, true} {
		j := newJournal(t, fmt.Sprintf("verify: %v", verify))
		j.add(bad, bad+" ")
		files, err := filepath.Glob(filepath.Join(j.dir, "*.journal"))
		j.do(err)
		data, err := os.ReadFile(files[0])
		j.do(err)
		j.do(os.WriteFile(files[0], bytes.Replace(data, []byte("for root from"), []byte("for toor from"), 1), 0o600))
		_, l := j.look()
		if said := fmt.Sprint(l.Gaps); strings.Contains(said, "does not agree with its own hashes") != verify {
			t.Errorf("verify %v: gaps %s", verify, said)
		}
		if _, l = j.look(); len(l.Gaps) > 0 && verify {
			t.Errorf("compared again within a day: %v", l.Gaps)
		}
	}
}

func TestVacuumedJournalIsAGap(t *testing.T) {
	j := newJournal(t, "journal: on")
	j.add(bad)
	j.want(1, 0)
	j.add(bad) // nobody reads it
	j.vacuum()
	j.add(bad, bad)
	f, l := j.look()
	if hits(f, "ssh_login_failed") != 2 || len(l.Gaps) != 1 || f.Sources[0].Whole || !strings.Contains(l.Gaps[0].Why, "SystemMaxUse") {
		t.Fatalf("%+v, gaps %v", f, l.Gaps)
	}
	j.add(bad)
	j.want(1, 0)
	j.cursor = bytes.Replace(j.cursor, []byte(`"journal":"s=`), []byte(`"journal":"nonsense`), 1)
	j.add(bad)
	j.want(1, 1)
}

// A journal that holds nothing is not a journal without findings.
func TestSilentJournal(t *testing.T) {
	j := newJournal(t, "journal: on")
	end := j.now
	j.now = end.Add(-72 * time.Hour)
	j.add("hello")
	j.now = end
	if f, l := j.look(); len(l.Gaps) != 1 || f.Sources[0].Whole {
		t.Fatalf("%+v, gaps %v", f, l.Gaps)
	}
}

// Where the journal cannot be used, syslog's files stand in; nothing counts twice.
func TestFilesStandInForTheJournal(t *testing.T) {
	j := newJournal(t, "journal: auto")
	j.add(bad)
	j.write(j.failed(1))
	j.want(1, 0) // the journal's
	run := j.host.Run
	j.host.Run = func(context.Context, host.Command) (host.Result, error) { return host.Result{}, host.ErrNoProgram }
	j.add(bad)
	j.write(j.failed(2))
	j.want(1, 1) // the file's
	j.host.Run = run
	j.add(bad)
	j.write(j.failed(3))
	j.want(1, 0)
}

func TestBrokenJournal(t *testing.T) {
	j := newJournal(t, "journal: on")
	j.add(bad)
	j.do(os.WriteFile(filepath.Join(j.dir, "cut.journal"), []byte("LPKSHHRH"), 0o644))
	f, l := j.look()
	if hits(f, "ssh_login_failed") != 1 || len(l.Gaps) != 1 || f.Sources[0].Whole {
		t.Fatalf("%+v, gaps %v", f, l.Gaps)
	}
}

func TestNoJournalIsAGap(t *testing.T) {
	m := newMachine(t, "journal: on\njournal_dir: /nowhere")
	hosttest.NeedTool(t, "journalctl")
	if l, err := m.c.Collect(t.Context(), nil); err == nil {
		t.Fatalf("facts %+v of a journal that is not there", l.Facts)
	}
}

// journalctl as a user who may not read the journal.
func TestJournalWithoutPermission(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	setpriv := hosttest.NeedTool(t, "setpriv")
	j := newJournal(t, "journal: on")
	j.add(bad)
	files, err := filepath.Glob(filepath.Join(j.dir, "*"))
	j.do(err)
	j.do(os.Chmod(files[0], 0o600))
	for dir := j.dir; dir != "/" && strings.HasPrefix(dir, os.TempDir()) && dir != os.TempDir(); dir = filepath.Dir(dir) {
		j.do(os.Chmod(dir, 0o755))
	}
	j.host.Run = func(ctx context.Context, c host.Command) (host.Result, error) {
		c.Args = append([]string{"--reuid=65534", "--regid=65534", "--clear-groups", c.Name}, c.Args...)
		c.Name = setpriv
		return host.Exec(ctx, c)
	}
	if l, err := j.c.Collect(t.Context(), nil); err == nil || len(l.Gaps) == 0 || !strings.Contains(l.Gaps[0].Why, "systemd-journal") {
		t.Fatalf("%+v, %v", l, err)
	}
}

// A backlog is read in turns, and a journalctl that hangs is left.
func TestJournalInTurns(t *testing.T) {
	j := newJournal(t, "journal: on\nmax_bytes: 1048576")
	var b bytes.Buffer
	for range 5000 {
		j.entry(&b, "SYSLOG_IDENTIFIER=sshd\nMESSAGE="+bad+"\n")
	}
	j.export(&b)
	total := int64(0)
	for turn := 0; total < 5000; turn++ {
		f, l := j.look()
		if total += hits(f, "ssh_login_failed"); len(l.Gaps) != 0 || turn > 10 {
			t.Fatalf("turn %d: %d read, gaps %v", turn, total, l.Gaps)
		}
	}
	if total != 5000 {
		t.Fatalf("%d of 5000", total)
	}
	j.host.Run = func(ctx context.Context, _ host.Command) (host.Result, error) {
		<-ctx.Done()
		return host.Result{}, fmt.Errorf("running journalctl: %w", ctx.Err())
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if l, err := j.c.Collect(ctx, j.cursor); err == nil || ctx.Err() != nil || len(l.Gaps) != 1 {
			t.Fatalf("%+v, %v, %v", l, err, ctx.Err())
		}
	})
}
