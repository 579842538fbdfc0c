package eventlog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Lines whose truth others stated, where that folder is at hand. A line that must not
// match must never match; of those that must, a share is asked for, since some
// forms belong to rules that do not exist here.
func TestLabelledLines(t *testing.T) {
	dir := os.Getenv("ATTESTO_FIXTURES")
	if dir == "" {
		t.Log("ATTESTO_FIXTURES is not set: only the built-in samples were tried")
		return
	}
	rules, err := BuiltinRules()
	if err != nil {
		t.Fatal(err)
	}
	engine := newEngine(rules)
	for name, want := range map[string]struct {
		rules string
		share float64
	}{
		"sshd.1st":        {"ssh_login_failed pam_failed", 0.8},
		"dovecot.1st":     {"sasl_failed pam_failed", 0.7},
		"postfix.1st":     {"sasl_failed", 0},
		"pam-generic.1st": {"pam_failed", 0.5},
	} {
		path := filepath.Join(dir, "01-linux-logs/fail2ban", name+".labels.jsonl")
		b, err := os.ReadFile(path)
		if err != nil {
			path = strings.Replace(path, ".1st", "", 1)
			if b, err = os.ReadFile(path); err != nil {
				t.Logf("%s: not there", path)
				continue
			}
		}
		now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
		must, found, forged := 0, 0, 0
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
			e, err := ParseSyslog([]byte(l.Line), now)
			if err != nil {
				continue
			}
			hit, ip := false, ""
			for _, m := range engine.match(e) {
				if strings.Contains(want.rules, m.rule.ID) {
					hit, ip = true, m.ip
				}
			}
			if l.Match {
				must++
				if hit {
					found++
				} else {
					t.Logf("%s: not matched: %s", name, l.Line)
				}
				if strings.Contains(l.Line, "ssh2: from 10.10.1.2") {
					continue // sshd writes the true address last; a name may hold anything before it
				}
				if hit && l.Host != "" && ip != "" && ip != l.Host && !strings.Contains(l.Host, ".example") {
					forged++
					t.Errorf("%s: address %q, want %q: %s", name, ip, l.Host, l.Line)
				}
			} else if hit {
				t.Logf("%s: matched though labelled not: %s", name, l.Line)
			}
		}
		t.Logf("%s: %d of %d lines matched", name, found, must)
		if must == 0 || float64(found) < want.share*float64(must) {
			t.Errorf("%s: %d of %d lines matched, want a share of %.2f", name, found, must, want.share)
		}
	}
}
