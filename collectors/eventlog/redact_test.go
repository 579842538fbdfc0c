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

// TestRedactionOfWebLogs: nothing of what visitors sent, or who they said they are.
func TestRedactionOfWebLogs(t *testing.T) {
	for line, rule := range map[string]string{
		`192.0.2.7 - mario [23/Nov/2026:03:00:00 +0100] "GET /?a=hunter2&q=%27%20or%201 HTTP/1.1" 200 1 "https://example.org/x?t=s3cr3t" "sqlmap"`:                                                                                                          "web_attack",
		`192.0.2.7 - - [23/Nov/2026:03:00:00 +0100] "POST /wp-login.php?user=mario&pwd=hunter2 HTTP/1.1" 200 1 "-" "-"`:                                                                                                                                     "web_login_tried",
		`[Mon Nov 23 03:00:00 2026] [:error] [pid 7] [client 192.0.2.7] ModSecurity: Access denied with code 403 (phase 2). [data "Matched Data: x found within ARGS:pw: hunter2"] [uri "/mario"] [id "1"]`:                                                 "waf_denied",
		"2026/11/23 03:00:00 [error] 7#7: *1 ModSecurity: Access denied with code 403 (phase 2). Matched \"x\" against variable `ARGS:pw' (Value: `hunter2' ) [id \"1\"], client: 192.0.2.7, server: x, request: \"GET /?pw=s3cr3t HTTP/1.1\", host: \"x\"": "waf_denied",
		`[Mon Nov 23 03:00:00 2026] [auth_basic:error] [pid 7] [client 192.0.2.7:4] AH01617: user mario: authentication failure for "/x": Password Mismatch`:                                                                                                "web_auth_failed",
		`Nov 23 03:00:00 h courieresmtpd: error,relay=::ffff:192.0.2.7,msg="535 Authentication failed.",cmd: AUTH PLAIN aHVudGVyMg==`:                                                                                                                       "mail_login_failed",
		`Nov 23 03:00:00 h courieresmtpd: error,relay=::ffff:192.0.2.7,msg="535 Authentication failed.",cmd: aHVudGVyMg==`:                                                                                                                                  "mail_login_failed",
		`Nov 23 03:00:00 h dovecot: auth-worker(7): conn unix:auth-worker (pid=9,uid=1): auth-worker<1>: sql(mario,192.0.2.7): unknown user (given password: hunter2)`:                                                                                      "mail_password_wrong",
		`[2026-11-23 03:00:00.123] 7:6922 ERR [panel] [Action Log] Failed login attempt with login 'mario' from IP 192.0.2.7`:                                                                                                                               "panel_login_failed",
		`2026-11-23 03:00:00 plain_login authenticator failed for (pc) [192.0.2.7]: 535 Incorrect authentication data (set_id=mario)`:                                                                                                                       "sasl_failed",
	} {
		l, err := format(t, "syslog")([]byte(line+"\n"), now)
		if err != nil {
			t.Fatal(err)
		}
		samples := l.Detail.(eventlog.Detail).Samples
		if len(samples[rule]) != 1 {
			t.Errorf("no sample of %s in %v for %s", rule, samples, line)
		}
		b, err := json.Marshal([]any{l.Facts, samples, l.Gaps})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{"hunter2", "s3cr3t", "mario", "aHVudGVyMg"} {
			if strings.Contains(string(b), p) {
				t.Errorf("%q shows in %s", p, b)
			}
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
