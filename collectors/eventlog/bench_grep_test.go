//go:build unix

package eventlog

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/host"
)

// thirty are 30 rules as a person would write them for grep -E: a literal and what must
// follow it.
var thirty = []string{
	"Failed password for .* from [0-9.]+ port [0-9]+ ssh2$", "Failed keyboard-interactive.* from [0-9.]+ port [0-9]+", "Accepted publickey for root from [0-9.]+",
	"Invalid user .* from [0-9.]+ port [0-9]+", "maximum authentication attempts exceeded for .*", "authentication failure; logname=.*rhost=[0-9.]+",
	"incorrect password attempts? ; TTY=.*", "user NOT in sudoers ; .*", "COMMAND=/bin/rm .*/var/log", "new user: name=[a-z]+", "to group 'sudo'$", "password changed for [a-z]+",
	"SASL LOGIN authentication failed: .*", "SASL PLAIN authentication failed: .*", "sasl_username=[a-z]+@", "auth failed, [0-9]+ attempts", "authenticator failed for .*535 ",
	"Out of memory: Killed process [0-9]+", "I/O error, dev [a-z]+, sector [0-9]+", "EXT4-fs error \\(device [a-z0-9]+\\)", "Medium Error", "Disk failure on [a-z0-9]+, disabling", "entered failed state",
	"segfault at [0-9a-f]+ ip", "Kernel panic - not syncing", "audit daemon is exiting", "Suppressed [0-9]+ messages from", "Time has been changed", "NOTICE  \\[[a-z]+\\] Ban [0-9.]+", "Access denied with code 403 \\(phase 2\\)",
}

// thirtyRules are the same as rules of this package.
func thirtyRules(t testing.TB) []Rule {
	var b strings.Builder
	b.WriteString("rules:\n")
	for i, p := range thirty {
		literal := strings.NewReplacer(`\(`, "(", `\)`, ")", `\[`, "[").Replace(p)
		if cut := strings.IndexAny(strings.NewReplacer("(device", "\x00device", "(phase 2)", "\x00phase 2\x00").Replace(literal), "[.?*$|+"); cut > 0 {
			literal = strings.NewReplacer("\x00", "").Replace(literal[:cut])
		}
		literal = strings.TrimSuffix(literal, "incorrect password attempts")
		if strings.HasPrefix(p, "incorrect") {
			literal = "incorrect password attempt"
		}
		if strings.HasPrefix(p, "NOTICE") {
			literal = "NOTICE  ["
		}
		fmt.Fprintf(&b, "  - {id: rule_%02d, severity: low, title: {en: a, it: b}, literals: [%q], patterns: [%q]}\n", i, literal, ".*(?:"+strings.TrimSuffix(p, "$")+")"+map[bool]string{true: "", false: ".*"}[strings.HasSuffix(p, "$")])
	}
	rules, err := ParseRules([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// busyLog writes a mail and web server's day: one line in a hundred matches a rule.
func busyLog(t testing.TB, path string, size int64) {
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	written := int64(0)
	for i := 0; written < size; i++ {
		at := time.Date(2026, 11, 23, 0, 0, i/50, 0, time.UTC).Format("Jan _2 15:04:05")
		var n int
		switch {
		case i%200 == 0:
			n, err = fmt.Fprintf(w, "%s mail sshd[%d]: Failed password for invalid user admin from 192.0.2.%d port %d ssh2\n", at, i%32768, i%250, 1024+i%60000)
		case i%200 == 100:
			n, err = fmt.Fprintf(w, "%s mail postfix/smtps/smtpd[%d]: warning: unknown[192.0.2.%d]: SASL LOGIN authentication failed: UGFzc3dvcmQ6\n", at, i%32768, i%250)
		case i%5 == 0:
			n, err = fmt.Fprintf(w, "%s mail postfix/smtpd[%d]: connect from mx%d.example.net[198.51.100.%d]\n", at, i%32768, i%97, i%250)
		case i%5 == 1:
			n, err = fmt.Fprintf(w, "%s mail postfix/qmgr[%d]: %X: from=<user%d@example.org>, size=%d, nrcpt=1 (queue active)\n", at, i%32768, i*7919, i%1000, i%100000)
		case i%5 == 2:
			n, err = fmt.Fprintf(w, "%s mail dovecot: imap(user%d)<%d><abcdef>: Disconnected: Logged out in=%d out=%d deleted=0 expunged=0\n", at, i%1000, i%32768, i%5000, i%90000)
		case i%5 == 3:
			n, err = fmt.Fprintf(w, "%s mail systemd[1]: Started session-%d.scope - Session %d of User www-data.\n", at, i, i)
		default:
			n, err = fmt.Fprintf(w, "%s mail postfix/smtp[%d]: %X: to=<user%d@example.com>, relay=mx.example.com[203.0.113.%d]:25, delay=%d.%d, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as %X)\n", at, i%32768, i*7919, i%1000, i%250, i%9, i%99, i*104729)
		}
		if err != nil {
			t.Fatal(err)
		}
		written += int64(n)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkScanBesideGrep measures 30 rules over a log beside grep and ripgrep with the
// same 30 patterns, on one core, from the page cache. ATTESTO_BENCH_MIB sets the size.
// Compare MB/cpu-s: it holds on a machine that is busy with other things too.
func BenchmarkScanBesideGrep(b *testing.B) {
	size := int64(128)
	if s := os.Getenv("ATTESTO_BENCH_MIB"); s != "" {
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			b.Fatal(err)
		}
		size = n
	}
	dir := b.TempDir()
	log, patterns := filepath.Join(dir, "busy.log"), filepath.Join(dir, "patterns")
	busyLog(b, log, size<<20)
	if err := os.WriteFile(patterns, []byte(strings.Join(thirty, "\n")+"\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	found := map[string]int64{}
	b.Run("agent", func(b *testing.B) {
		b.SetBytes(size << 20)
		rules := thirtyRules(b)
		before := cpuTime(b)
		for b.Loop() {
			found["agent"] = scanFile(b, log, rules)
		}
		perCPU(b, size, cpuTime(b)-before)
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.Sys)/(1<<20), "MiB-from-system")
	})
	rules, err := BuiltinRules()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("agent_builtin_rules", func(b *testing.B) {
		b.SetBytes(size << 20)
		before := cpuTime(b)
		for b.Loop() {
			scanFile(b, log, rules)
		}
		perCPU(b, size, cpuTime(b)-before)
	})
	for name, args := range map[string][]string{
		"grep": {"grep", "-c", "-E", "-f", patterns, log}, "ripgrep": {"rg", "--no-config", "-j1", "-c", "-f", patterns, log},
	} {
		path, err := exec.LookPath(args[0])
		if err != nil {
			b.Logf("%s is not installed; run make deps", args[0])
			continue
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size << 20)
			spent := time.Duration(0)
			for b.Loop() {
				cmd := exec.CommandContext(b.Context(), path, args[1:]...)
				cmd.Env = append(os.Environ(), "LC_ALL=C")
				out, err := cmd.Output()
				if err != nil {
					b.Fatal(err)
				}
				if found[name], err = strconv.ParseInt(string(bytes.TrimSpace(out)), 10, 64); err != nil {
					b.Fatal(err)
				}
				spent += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
			}
			perCPU(b, size, spent)
		})
	}
	for name, n := range found {
		if n != found["agent"] || n == 0 {
			b.Errorf("%s found %d lines, the agent %d", name, n, found["agent"])
		}
	}
}

func cpuTime(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func perCPU(b *testing.B, mib int64, spent time.Duration) {
	b.ReportMetric(float64(mib<<20)*float64(b.N)/1e6/spent.Seconds(), "MB/cpu-s")
}

func scanFile(b *testing.B, path string, rules []Rule) (hits int64) {
	in, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer in.Close()
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	l := &look{collector: &collector{cfg: Config{MaxBytes: 1 << 40}, host: host.Real()}, now: now, stop: time.Now().Add(time.Hour), left: 1 << 40,
		engine: NewEngine(rules), tally: newTally(rules, 3, nil, bursts{})}
	f := newFile(l, path)
	f.followed = true
	f.lines = newLines(now, "")
	f.scan(b.Context(), in, 0, false)
	for _, h := range l.tally.hits() {
		hits += h.Count
	}
	return hits
}
