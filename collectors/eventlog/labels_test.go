package eventlog_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/eventlog"
	"github.com/attesto/attesto/collectors/host"
)

// labelled is one set of lines whose truth others stated.
type labelled struct {
	file   string
	prefix string // put before each line, where the set leaves the stamp out
	rules  string // ours that speak of the same
	only   string // lines that these rules are for; empty for all
	// except are parts of lines on which we differ, each with its reason.
	except map[string]string
}

var labelledSets = []labelled{
	{file: "fail2ban/sshd.1st.labels.jsonl", rules: "ssh_login_failed ssh_invalid_user ssh_refused ssh_too_many_tries pam_failed", except: sshdExcept},
	{file: "fail2ban/sshd-journal.1st.labels.jsonl", prefix: "Jan  1 00:00:00 ", rules: "ssh_login_failed ssh_invalid_user ssh_refused ssh_too_many_tries pam_failed", except: sshdExcept},
	{file: "fail2ban/selinux-ssh.1st.labels.jsonl", rules: "ssh_login_failed", except: map[string]string{"type=": "auditd's own log is not read"}},
	{file: "fail2ban/dovecot.1st.labels.jsonl", rules: "sasl_failed mail_password_wrong pam_failed", except: map[string]string{
		"@400000004c91b044": "multilog's stamps (TAI64N) are not read",
	}},
	{file: "fail2ban/exim.1st.labels.jsonl", rules: "sasl_failed", only: "authenticator failed", except: map[string]string{"mail.example.com exim": "the stamp is left out here"}},
	{file: "fail2ban/pam-generic.1st.labels.jsonl", rules: "pam_failed", except: map[string]string{
		"pop(pam_unix)[4920]": "it is a failed authentication; that filter does not know its form",
	}},
}

var sshdExcept = map[string]string{
	"Bye Bye":              "a client that leaves has not tried a password by that alone",
	"Auth fail":            "what a client says when it leaves is its own text",
	"Connection closed by": "counted by that filter as the end of an earlier line",
	"account is locked":    "a refusal by the configuration, without an address",
	"Disconnecting: Too many authentication failures for root": "counted here by itself, without an address; there with the line that follows",
	"ssh2: from 10.10.1.2": "protocol 2 writes nothing after a password's line: all before the last address is the user's name",
	"[sshd] User root":     "no syslog tag",
	"kernel:":              "sshd does not write the kernel's stamp",
}

// TestLabelledLines reads lines that other projects labelled, where that folder is at
// hand: ours must match what they match, with the same address, and nothing else.
func TestLabelledLines(t *testing.T) {
	dir := os.Getenv("ATTESTO_FIXTURES")
	if dir == "" {
		t.Skip("ATTESTO_FIXTURES is not set; the samples in testdata are tried by TestSamples")
	}
	for _, set := range labelledSets {
		t.Run(filepath.Base(set.file), func(t *testing.T) { set.run(t, filepath.Join(dir, "01-linux-logs", set.file)) })
	}
}

func (set labelled) run(t *testing.T, path string) {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := eventlog.BuiltinRules()
	if err != nil {
		t.Fatal(err)
	}
	engine := eventlog.NewEngine(rules)
	tried, found, quiet, excepted := 0, 0, 0, 0
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l struct {
			Line  string `json:"log"`
			Match bool   `json:"match"`
			Host  string `json:"host"`
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		if set.only != "" && !strings.Contains(l.Line, set.only) {
			continue
		}
		tried++
		hit, address := set.match(engine, l.Line)
		right := hit == l.Match && (!hit || address == "" || l.Host == "" || address == l.Host)
		reason := ""
		for part, why := range set.except {
			if strings.Contains(l.Line, part) {
				reason = why
			}
		}
		switch {
		case right && l.Match:
			found++
		case right:
			quiet++
		case reason != "":
			excepted++
		default:
			t.Errorf("matched %v with address %q, labelled %v with %q: %s", hit, address, l.Match, l.Host, l.Line)
		}
	}
	t.Logf("%d lines: %d matched and %d left alone as labelled, %d differ for a stated reason", tried, found, quiet, excepted)
	if tried == 0 {
		t.Errorf("%s: no line was tried", path)
	}
}

func (set labelled) match(engine *eventlog.Engine, line string) (hit bool, address string) {
	e, err := eventlog.ParseSyslog([]byte(set.prefix+line), time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	if err != nil {
		return false, ""
	}
	if strings.Contains(set.file, "exim") && e.Program == "" {
		e.Program = "exim"
	}
	for _, m := range engine.Match(e) {
		for _, rule := range strings.Fields(set.rules) {
			if m.Rule.ID == rule {
				hit, address = true, m.Address
			}
		}
	}
	return hit, address
}

// TestAttacksOfOthers reads logs of attacks that CrowdSec recorded: every address that
// it asserts must be found.
func TestAttacksOfOthers(t *testing.T) {
	dir := os.Getenv("ATTESTO_FIXTURES")
	if dir == "" {
		t.Skip("ATTESTO_FIXTURES is not set")
	}
	asserted := regexp.MustCompile(`GetValue\(\) == "([^"]+)"`)
	for _, c := range []struct{ test, format, rule string }{
		{"postfix-sasl-bf", "syslog", "sasl_failed"},
		{"exim-bf", "exim-mainlog", "sasl_failed"},
		{"ssh-generic-test", "syslog", "ssh_invalid_user"},
		{"sshd-refused-conn", "syslog", "ssh_refused"},
	} {
		t.Run(c.test, func(t *testing.T) {
			folder := filepath.Join(dir, "01-linux-logs/crowdsec", c.test)
			logs, err := filepath.Glob(folder + "/*.log")
			if err != nil || len(logs) != 1 {
				t.Fatalf("logs %v in %s (%v)", logs, folder, err)
			}
			data, err := os.ReadFile(logs[0])
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(filepath.Join(folder, "scenario.assert"))
			if err != nil {
				t.Fatal(err)
			}
			l, err := format(t, c.format)(data, now)
			if err != nil {
				t.Fatal(err)
			}
			samples, found := l.Detail.(eventlog.Detail).Samples, 0
			for _, m := range asserted.FindAllStringSubmatch(string(want), -1) {
				found++
				all := ""
				for _, rule := range strings.Fields(c.rule) {
					all += strings.Join(samples[rule], "\n")
				}
				if !strings.Contains(all, m[1]) {
					t.Errorf("%s is not in %q", m[1], all)
				}
			}
			if found == 0 {
				t.Fatal("nothing is asserted")
			}
		})
	}
}

func format(t *testing.T, name string) func([]byte, time.Time) (host.Look, error) {
	t.Helper()
	for _, f := range eventlog.Spec().Formats {
		if f.Name == name {
			return f.Parse
		}
	}
	t.Fatalf("no format %s", name)
	return nil
}
