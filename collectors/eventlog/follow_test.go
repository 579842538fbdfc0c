package eventlog_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/host/hosttest"
)

func pack(t *testing.T, path string) {
	t.Helper()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write(whole); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".gz", z.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path+".gz", info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func TestLineInTheMiddle(t *testing.T) {
	m := newMachine(t, "journal: off")
	m.write(m.failed(1), m.failed(2))
	m.want(2, 0)
	m.want(0, 0)
	line := m.failed(3)
	m.write(line[:40])
	m.want(0, 0)
	m.write(line[40:90])
	m.want(0, 0)
	m.write(line[90:], m.failed(4))
	m.want(2, 0)
}

func TestRenamed(t *testing.T) {
	m := newMachine(t, "journal: off")
	m.write(m.failed(1))
	m.want(1, 0)
	m.write(m.failed(2))
	m.do(os.Rename(m.log, m.log+".1"))
	m.want(1, 0) // there is no new file yet
	m.writeTo(m.log+".1", m.failed(3))
	m.want(1, 0)
	m.write(m.failed(4))
	m.want(1, 0)
	m.writeTo(m.log+".1", m.failed(5)) // the writer was told late
	m.write(m.failed(6))
	m.want(2, 0)
	m.want(0, 0)
}

func TestRotatedTwiceBetweenLooks(t *testing.T) {
	m := newMachine(t, "journal: off")
	m.write(m.failed(1))
	m.want(1, 0)
	m.write(m.failed(2))
	m.do(os.Rename(m.log, m.log+".1"))
	m.write(m.failed(3), m.failed(4))
	pack(t, m.log+".1")
	m.do(os.Rename(m.log+".1.gz", m.log+".3.gz"))
	m.do(os.Rename(m.log, m.log+".2"))
	pack(t, m.log+".2")
	m.write(m.failed(5))
	m.do(os.Rename(m.log, m.log+".1"))
	m.write(m.failed(6))
	m.want(5, 0)
	m.want(0, 0)
}

func TestDatedNames(t *testing.T) {
	m := newMachine(t, "journal: off")
	m.write(m.failed(1))
	m.want(1, 0)
	m.write(m.failed(2))
	m.do(os.Rename(m.log, strings.TrimSuffix(m.log, ".log")+"-20261123.log"))
	m.writeTo(strings.TrimSuffix(m.log, ".log")+"-other.log", m.failed(9)) // somebody else's
	m.write(m.failed(3))
	m.want(2, 0)
}

func TestCopiedAndTruncated(t *testing.T) {
	for _, longer := range []bool{false, true} {
		t.Run(fmt.Sprintf("longer than before=%v", longer), func(t *testing.T) {
			m := newMachine(t, "journal: off")
			m.write(m.failed(1))
			m.want(1, 0)
			m.write(m.failed(2))
			whole, err := os.ReadFile(m.log)
			m.do(err)
			m.writeTo(m.log+".1", string(whole))
			m.do(os.Truncate(m.log, 0))
			m.write(m.failed(3))
			n := int64(2)
			if longer {
				m.write(m.failed(4), m.failed(5), m.failed(6))
				n += 3
			}
			m.want(n, 0)
			m.want(0, 0)
		})
	}
}

func TestCompressedAtOnce(t *testing.T) {
	m := newMachine(t, "journal: off")
	for i := range 500 {
		m.write(m.failed(i))
	}
	m.want(500, 0)
	m.write(m.failed(2), m.failed(3))
	m.do(os.Rename(m.log, m.log+".1"))
	pack(t, m.log+".1")
	m.write(m.failed(4))
	m.want(3, 0)
}

func TestUnknownCompressionIsNamed(t *testing.T) {
	m := newMachine(t, "journal: off")
	m.write(m.failed(1))
	m.want(1, 0)
	m.do(os.Rename(m.log, m.log+".1.xz"))
	m.write(m.failed(2))
	if l := m.want(1, 2); !strings.Contains(fmt.Sprint(l.Gaps), "auth.log.1.xz") {
		t.Fatal(l.Gaps)
	}
}

func TestRewrittenTruncatedDeleted(t *testing.T) {
	m := newMachine(t, "journal: off")
	m.write(m.failed(1), m.failed(2))
	m.want(2, 0)
	m.write(m.failed(3))
	whole, err := os.ReadFile(m.log)
	m.do(err)
	m.do(os.WriteFile(m.log+".new", bytes.Replace(whole, []byte("192.0.2.2 "), []byte("192.0.2.99 "), 1), 0o644))
	m.do(os.Rename(m.log+".new", m.log)) // somebody edited a line: the others must not count again
	m.write(m.failed(4))
	m.want(2, 1)
	m.write(m.failed(5))
	m.do(os.Truncate(m.log, 0)) // emptied, with a line that nobody read
	m.write(m.failed(6))
	m.want(1, 1)
	m.do(os.Remove(m.log))
	if l, err := m.c.Collect(t.Context(), m.cursor); err == nil {
		t.Fatalf("the only log is gone, and that is not said: %+v", l)
	}
}

// A new file may get the number of one that was deleted.
func TestNumberUsedAgain(t *testing.T) {
	m := newMachine(t, "journal: off")
	m.write(m.failed(1), m.failed(2))
	m.want(2, 0)
	old, err := os.ReadFile(m.log)
	m.do(err)
	m.writeTo(m.log+".1", string(old)) // the rotated one, elsewhere on the disk
	m.do(os.WriteFile(m.log, nil, 0o644))
	m.write(m.failed(3), m.failed(4), m.failed(5)) // longer than before, same inode
	m.want(3, 0)
}

func TestLongAndBrokenLines(t *testing.T) {
	m := newMachine(t, "journal: off")
	m.write("Nov 23 11:59:00 mail app: "+strings.Repeat("x", 1<<20)+"\n", m.failed(1), "Nov 23 11:59:01 mail app: \xff\xfe\x00 junk\n",
		"\x00\x00\x00\x00"+m.failed(2))
	m.want(2, 1) // the long line is a gap
	m.write(strings.Repeat("not a syslog line\n", 10))
	m.want(0, 1)
	m.write(strings.TrimSuffix(m.failed(3), "\n") + strings.Repeat(" ", 2<<20)) // no end in sight
	m.want(0, 1)
	m.write(strings.Repeat("y", 1<<20))
	m.want(0, 0)
	m.write("\n", m.failed(4))
	m.want(1, 0)
	m.write(strings.Repeat("z", 100<<10)) // long, but it may still end
	m.want(0, 0)
	m.write("\n")
	m.want(0, 2)
}

func TestRepeatedMessages(t *testing.T) {
	m := newMachine(t, "journal: off")
	m.write(m.failed(1), "Nov 23 11:59:00 mail sshd[1]: message repeated 3 times: [ Failed password for root from 192.0.2.7 port 4 ssh2]\n",
		m.failed(2), "Nov 23 11:59:00 mail last message repeated 4 times\n",
		"Nov 23 11:59:00 mail cron[1]: hello\n", "Nov 23 11:59:00 mail last message repeated 5 times\n")
	m.want(1+3+1+4, 0)
}

// The first look covers a day, across what was rotated in it.
func TestFirstLookGoesBackOneDay(t *testing.T) {
	m := newMachine(t, "journal: off")
	end := m.now
	m.now = end.Add(-48 * time.Hour)
	m.write(m.failed(1))
	m.now = end.Add(-20 * time.Hour)
	m.write(m.failed(2))
	m.do(os.Rename(m.log, m.log+".1"))
	m.now = end
	m.write(m.failed(3))
	if l := m.want(2, 0); !l.From.Equal(end.Add(-24*time.Hour)) || !l.To.Equal(end) {
		t.Fatalf("window from %v to %v", l.From, l.To)
	}
}

// Of a big old log the first look reads the last day only.
func TestFirstLookOfABigLog(t *testing.T) {
	m := newMachine(t, "journal: off\nmax_bytes: 1048576")
	end := m.now
	var b strings.Builder
	for i := range 60_000 { // 41 days
		m.now = end.Add(-time.Duration(60_000-i) * time.Minute)
		b.WriteString(m.failed(i))
	}
	m.now = end
	m.write(b.String())
	l := m.want(24*60-1, 0)
	if !l.To.Equal(end) {
		t.Fatalf("window to %v", l.To)
	}
}

// Lines in the catch-all file that stand in a file of their own too count once, and
// programs' own files are read too.
func TestNothingCountsTwice(t *testing.T) {
	m := newMachine(t, "journal: off")
	dir := filepath.Dir(m.log)
	m.do(os.Mkdir(dir+"/exim4", 0o755))
	const sasl = "Nov 23 11:59:00 mail postfix/smtpd[9]: warning: unknown[192.0.2.9]: SASL LOGIN authentication failed: UGFzc3dvcmQ6\n"
	const exim = "2026-11-23 11:59:00 dovecot_login authenticator failed for (User) [192.0.2.37]:21298: 535 Incorrect authentication data (set_id=test@example.org)\n"
	m.write(m.failed(1))
	m.writeTo(dir+"/syslog", m.failed(1), sasl, "Nov 23 11:59:00 mail systemd[1]: x.service: Failed with result 'exit-code'.\n")
	m.writeTo(dir+"/mail.log", sasl)
	m.writeTo(dir+"/exim4/mainlog", exim)
	f, l := m.look()
	if hits(f, "ssh_login_failed") != 1 || hits(f, "sasl_failed") != 2 || hits(f, "service_failed") != 1 || len(l.Gaps) != 0 || len(f.Sources) != 4 {
		t.Fatalf("%+v, gaps %v", f, l.Gaps)
	}
}

// Patterns of files leave rotated ones to the log that they come from.
func TestNamedFiles(t *testing.T) {
	m := newMachine(t, "journal: off\nfiles: ['/srv/*/app.log*', /srv/none.log]")
	dir := filepath.Join(m.host.Root, "srv/one")
	m.do(os.MkdirAll(dir, 0o755))
	m.writeTo(dir+"/app.log", m.failed(1))
	m.writeTo(dir+"/app.log.1", m.failed(2))
	m.writeTo(dir+"/app.log.2.gz", "x")
	f, l := m.look()
	if hits(f, "ssh_login_failed") != 2 || len(f.Sources) != 1 || len(l.Gaps) != 2 {
		t.Fatalf("%+v, gaps %v", f, l.Gaps)
	}
}

// A log that says itself that messages were dropped is not whole.
func TestLossIsSaid(t *testing.T) {
	m := newMachine(t, "journal: off")
	m.write("Nov 23 11:59:00 mail rsyslogd[1]: imuxsock[pid 7]: 120 messages lost due to rate-limiting (200 allowed within 5 seconds)\n")
	f, l := m.look()
	if len(l.Gaps) != 1 || f.Sources[0].Whole || hits(f, "log_messages_lost") != 1 {
		t.Fatalf("%+v, gaps %v", f, l.Gaps)
	}
}

// Real logrotate in its ways; every line is counted once.
func TestRealLogrotate(t *testing.T) {
	rotate := hosttest.NeedTool(t, "logrotate")
	for _, mode := range []string{"create", "nocreate", "copytruncate", "compress", "compress\ncopytruncate", "compress\ndelaycompress", "dateext\ndateformat -%Y%m%d-%s"} {
		for _, between := range []int{1, 2} { // rotations between two looks
			t.Run(fmt.Sprintf("%s, %d", strings.ReplaceAll(mode, "\n", "+"), between), func(t *testing.T) {
				m := newMachine(t, "journal: off")
				m.now = time.Now() // logrotate stamps copies with the real time
				dir := t.TempDir()
				conf := filepath.Join(dir, "conf")
				m.do(os.WriteFile(conf, fmt.Appendf(nil, "%s {\nrotate 9\n%s\n}\n", m.log, mode), 0o644))
				m.do(os.Chmod(filepath.Dir(m.log), 0o755))
				total, written := int64(0), int64(0)
				write := func() {
					m.now = time.Now()
					m.write(m.failed(int(written)))
					written++
				}
				for i := range 4 {
					write()
					l, err := m.c.Collect(t.Context(), m.cursor)
					m.do(err)
					m.cursor = l.Next
					if total += count(l, "ssh_login_failed"); len(l.Gaps) != 0 {
						t.Fatalf("look %d: gaps %v", i, l.Gaps)
					}
					for r := range between {
						write()
						if strings.HasPrefix(mode, "dateext") { // names are as fine as a second
							conf = filepath.Join(dir, fmt.Sprintf("conf%d-%d", i, r))
							m.do(os.WriteFile(conf, fmt.Appendf(nil, "%s {\nrotate 9\ndateext\ndateformat -%%Y%%m%%d%02d%02d\n}\n", m.log, i, r), 0o644))
						}
						if out, err := exec.CommandContext(t.Context(), rotate, "-f", "-s", filepath.Join(dir, "state"), conf).CombinedOutput(); err != nil {
							t.Fatalf("%v: %s", err, out)
						}
						write()
					}
				}
				l, err := m.c.Collect(t.Context(), m.cursor)
				m.do(err)
				if total += count(l, "ssh_login_failed"); total != written || len(l.Gaps) != 0 {
					t.Fatalf("%d lines counted of %d, gaps %v", total, written, l.Gaps)
				}
			})
		}
	}
}
