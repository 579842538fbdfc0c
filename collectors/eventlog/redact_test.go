package eventlog_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/attesto/attesto/collectors/eventlog"
)

// Nothing of what was planted may leave the host, in facts, detail or gaps.
func TestRedaction(t *testing.T) {
	planted := []string{"mario.rossi", "Mario Rossi", "anna@example.org", "anna", "hunter2", "s3cr3t", "Confidential", "AKIAABCDEFGHIJKLMNOP", "ann@müller.example",
		"eyJhbGciOiJIUzI1NiJ9", "dXNlcjpwYXNz", "bob", "tr0ub4dor", "0123456789abcdef0123456789abcdef", "\x1b", "\u202e"}
	m := newMachine(t, "journal: off\nsamples: 10\nrules: [/var/log/all.yaml]")
	m.writeTo(strings.Replace(m.log, "auth.log", "all.yaml", 1),
		"rules: [{id: everything, severity: low, title: {en: a, it: b}, literals: ['note '], patterns: ['note .*']}]")
	const at = "Nov 23 11:59:00 mail "
	m.write(
		at+"sshd[1]: Failed password for invalid user mario.rossi from 192.0.2.7 port 1 ssh2\n",
		at+"sshd[1]: Failed password for invalid user Mario Rossi from 192.0.2.8 port 1 ssh2\n",
		at+"sshd[1]: Failed password for invalid user \x1b[31mbob\u202e from 192.0.2.9 port 1 ssh2\n",
		at+"sudo: mario.rossi : TTY=pts/0 ; PWD=/home/bob ; USER=anna ; COMMAND=/usr/bin/mysql --password=hunter2 -u s3cr3t AKIAABCDEFGHIJKLMNOP\n",
		at+"postfix/smtpd[9]: warning: unknown[192.0.2.9]: SASL LOGIN authentication failed: UGFzc3dvcmQ6, sasl_username=anna@example.org\n",
		at+"useradd[3]: new user: name=bob, UID=1001, GID=1001, home=/home/bob, shell=/bin/bash, from=/dev/pts/0\n",
		at+"kernel: [1.0] Out of memory: Killed process 1 (php) subject: Confidential offer\n",
		at+"su: FAILED SU (to anna) bob on pts/0\n",
		at+"app: note 1 password is hunter2\n",
		at+"app: note 2 {\"password\": \"s3cr3t\", \"user\":\"bob\"}\n",
		at+"app: note 3 Authorization: Basic dXNlcjpwYXNz\n",
		at+"app: note 4 https://anna:hunter2@example.org/?token=s3cr3t&x=1\n",
		at+"app: note 5 Subject: Re: Confidential things for bob\n",
		at+"app: note 6 login for user bob with session=0123456789abcdef0123456789abcdef and eyJhbGciOiJIUzI1NiJ9.e30.x\n",
		at+"app: note 7 mail from ann@müller.example, /home/anna/x, ruser=bob, acct=\"anna\"\n",
		at+"app: note 8 --db-password tr0ub4dor --api_key 'tr0ub4dor'\n",
		at+"app: note 9 AUTH PLAIN dXNlcjpwYXNz\n",
		at+"app: note 10 "+strings.Repeat("long ", 1000)+"\n",
	)
	f, l := m.look()
	for rule, n := range map[string]int64{"ssh_login_failed": 3, "sudo_used": 1, "sasl_failed": 1, "user_added": 1, "oom_kill": 1, "su_failed": 1, "everything": 10} {
		if hits(f, rule) != n {
			t.Errorf("%s: %d hits, want %d", rule, hits(f, rule), n)
		}
	}
	samples := l.Detail.(eventlog.Detail).Samples
	b, err := json.Marshal([]any{f, samples, l.Gaps})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range planted {
		if strings.Contains(string(b), p) {
			t.Errorf("%q shows in %s", p, b)
		}
	}
	all := ""
	for rule, texts := range samples {
		for _, s := range texts {
			if len(s) > 512 || !utf8.ValidString(s) {
				t.Errorf("%s: sample of %d bytes: %q", rule, len(s), s)
			}
			all += s + "\n"
		}
	}
	for _, want := range []string{"192.0.2.7", "192.0.2.9", "user-", "[removed]", "Out of memory", "COMMAND=/usr/bin/mysql", "…"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in the samples:\n%s", want, all)
		}
	}
}

// A pseudonym is the same for the same name on a host, and another on another host.
func TestPseudonyms(t *testing.T) {
	sample := func(key string) string {
		m := newMachine(t, "journal: off")
		m.host.MachineKey = []byte(key)
		m.write(m.failed(1), "Nov 23 11:59:00 mail sudo: mario : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls\n")
		_, l := m.look()
		s := l.Detail.(eventlog.Detail).Samples
		a, b := s["ssh_login_failed"][0], s["sudo_failed"][0]
		i := strings.Index(a, "user-")
		if i < 0 || !strings.Contains(b, a[i:i+13]) {
			t.Fatalf("%q and %q", a, b)
		}
		if !strings.Contains(b, "USER=root") {
			t.Errorf("root is nobody's name: %q", b)
		}
		return a[i : i+13]
	}
	if a := sample("one"); a != sample("one") || a == sample("two") {
		t.Error("the key does not decide")
	}
}
