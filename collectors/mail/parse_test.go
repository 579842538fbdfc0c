package mail_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/host/hosttest"
	"github.com/attesto/attesto/collectors/mail"
	"github.com/attesto/attesto/evidence"
)

var now = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func explain(t testing.TB, name, text string) (evidence.Mail, host.Look) {
	t.Helper()
	i := slices.IndexFunc(mail.Formats(), func(f host.Format) bool { return f.Name == name })
	l, err := mail.Formats()[i].Parse([]byte(text), now)
	if err != nil {
		t.Fatalf("%s: %v of %.300q", name, err, text)
	}
	return l.Facts.(evidence.Mail), l
}

func account(t testing.TB, f evidence.Mail, name string) evidence.MailAccount {
	t.Helper()
	i := slices.IndexFunc(f.Accounts, func(a evidence.MailAccount) bool { return a.Name == name })
	if i < 0 {
		t.Fatalf("no account %s in %+v", name, f.Accounts)
	}
	return f.Accounts[i]
}

func signs(a evidence.MailAccount) string {
	var out []string
	for _, s := range a.Signs {
		out = append(out, fmt.Sprintf("%s:%d", s.Sign, s.Strength))
	}
	return strings.Join(out, " ")
}

// a message of Postfix, from its arrival to its end.
func postfix(at, id, user, ip string, recipients int, status string) string {
	s := fmt.Sprintf("%[1]s mx postfix/submission/smtpd[7]: %[2]s: client=host.example[%[4]s], sasl_method=PLAIN, sasl_username=%[3]s\n%[1]s mx postfix/qmgr[8]: %[2]s: from=<%[3]s>, size=900, nrcpt=%[5]d (queue active)\n", at, id, user, ip, recipients)
	for range recipients {
		s += fmt.Sprintf("%s mx postfix/smtp[9]: %s: to=<x@example.net>, relay=mx.example.net[192.0.2.9]:25, delay=1, delays=0/0/1/0, dsn=2.0.0, status=%s (250 ok)\n", at, id, status)
	}
	return s + fmt.Sprintf("%s mx postfix/qmgr[8]: %s: removed\n", at, id)
}

func TestPostfixLog(t *testing.T) {
	text := postfix("Nov 23 08:00:01", "4ABCDEF", "Anna@Example.org", "203.0.113.7", 3, "sent")
	// A message that waits is activated again and again: its recipients count once.
	text += "Nov 23 08:10:00 mx postfix/smtps/smtpd[7]: 4Yxzw12QzZz1: client=unknown[2001:db8::1], sasl_method=LOGIN, sasl_username=bruno\n" +
		strings.Repeat("Nov 23 08:10:01 mx postfix/qmgr[8]: 4Yxzw12QzZz1: from=<b@example.org>, size=900, nrcpt=5 (queue active)\n"+
			"Nov 23 08:10:01 mx postfix/smtp[9]: 4Yxzw12QzZz1: to=<x@example.net>, relay=none, delay=1, dsn=4.4.1, status=deferred (connect to mx: Connection timed out)\n", 3)
	// A filter gives it back under another id.
	text += "Nov 23 08:20:00 mx postfix/smtpd[7]: AAAAA1: client=unknown[203.0.113.9], sasl_method=LOGIN, sasl_username=clara, sasl_sender=c@example.org\n" +
		"Nov 23 08:20:00 mx postfix/qmgr[8]: AAAAA1: from=<c@example.org>, size=900, nrcpt=1 (queue active)\n" +
		"Nov 23 08:20:01 mx postfix/smtp[9]: AAAAA1: to=<x@example.net>, relay=127.0.0.1[127.0.0.1]:10024, delay=1, dsn=2.0.0, status=sent (250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as BBBBB2)\n" +
		"Nov 23 08:20:01 mx postfix/qmgr[8]: AAAAA1: removed\n" +
		"Nov 23 08:20:01 mx postfix/qmgr[8]: BBBBB2: from=<c@example.org>, size=999, nrcpt=1 (queue active)\n" +
		"Nov 23 08:20:02 mx postfix/smtp[9]: BBBBB2: to=<x@example.net>, relay=mx[192.0.2.1]:25, delay=1, dsn=5.1.1, status=bounced (host said: 550 5.1.1)\n"
	text += "Nov 23 08:30:00 mx postfix/smtpd[7]: CCCCC3: client=mta.example[198.51.100.1]\nNov 23 08:30:00 mx postfix/qmgr[8]: CCCCC3: from=<stranger@example.com>, size=1, nrcpt=50 (queue active)\n"
	f, _ := explain(t, "mail-log", text)
	anna, bruno, clara := account(t, f, "anna@example.org"), account(t, f, "bruno"), account(t, f, "clara")
	if anna.Recipients != 3 || anna.Messages != 1 || anna.Peak != 3 || anna.Done != 3 || anna.Usual != -1 || bruno.Recipients != 5 || bruno.Done != 0 || clara.Recipients != 1 || clara.Done != 1 || clara.Bounced != 1 {
		t.Errorf("anna %+v\nbruno %+v\nclara %+v", anna, bruno, clara)
	}
	if f.Messages != 3 || f.Recipients != 9 || f.Deferred != 3 || f.Bounced != 1 || f.Seen != 3 || len(f.Accounts) != 3 {
		t.Errorf("%+v", f)
	}
}

func TestSigns(t *testing.T) {
	var guessed, networks, rate, bounces strings.Builder
	for i := range 12 {
		fmt.Fprintf(&guessed, "Nov 23 08:00:%02d mx postfix/smtpd[7]: warning: unknown[198.51.100.7]: SASL LOGIN authentication failed: (reason unavailable), sasl_username=dora\n", i)
	}
	guessed.WriteString(postfix("Nov 23 08:01:00", "DDDDD1", "dora", "198.51.100.7", 1, "sent"))
	for i := range 9 {
		fmt.Fprintf(&networks, "Nov 23 08:%02d:00 mx dovecot: imap-login: Login: user=<emil>, method=PLAIN, rip=%d.1.0.1, lip=192.0.2.1, mpid=7, TLS, session=<x>\n", i, 20+i)
		fmt.Fprintf(&networks, "Nov 23 08:%02d:30 mx dovecot: imap-login: Logged in: user=<fritz>, method=PLAIN, rip=20.1.%d.1, lip=192.0.2.1, TLS, session=<x>\n", i, i)
	}
	for day := 1; day <= 21; day++ {
		rate.WriteString(postfix(fmt.Sprintf("Nov %2d 09:00:00", day), fmt.Sprintf("A%07d", day), "gina", "203.0.113.7", 20, "sent"))
	}
	for i := range 30 {
		rate.WriteString(postfix("Nov 23 08:00:00", fmt.Sprintf("B%07d", i), "gina", "203.0.113.7", 10, "sent"))
		bounces.WriteString(postfix("Nov 23 08:00:00", fmt.Sprintf("C%07d", i), "hugo", "203.0.113.7", 1, map[bool]string{true: "bounced", false: "sent"}[i%2 == 0]))
	}
	f, _ := explain(t, "mail-log", guessed.String()+networks.String())
	if got := signs(account(t, f, "dora")); got != "guessed:2" {
		t.Errorf("dora: %s", got)
	}
	emil := account(t, f, "emil")
	if got := signs(emil); got != "networks:3" || emil.Networks != 9 || emil.Signs[0].Count != 9 {
		t.Errorf("emil: %s %+v", got, emil)
	}
	if slices.ContainsFunc(f.Accounts, func(a evidence.MailAccount) bool { return a.Name == "fritz" }) {
		t.Errorf("one network is a sign: %+v", f.Accounts)
	}
	f, l := explain(t, "mail-log", rate.String()+bounces.String())
	gina := account(t, f, "gina")
	if got := signs(gina); got != "rate:3" || gina.Peak != 300 || gina.Usual != 20 || f.Days < 20 {
		t.Errorf("gina: %s %+v, %d days", got, gina, f.Days)
	}
	if got := signs(account(t, f, "hugo")); got != "bounces:3" {
		t.Errorf("hugo: %s", got)
	}
	if l.To.Sub(l.From) != 24*time.Hour {
		t.Errorf("window %s to %s", l.From, l.To)
	}
	// The same hours spread over a month are its usual.
	if f, _ := explain(t, "mail-log", rate.String()[:strings.Index(rate.String(), "B0000000")-60]); len(account(t, f, "gina").Signs) != 0 {
		t.Errorf("a usual day is a sign: %+v", f.Accounts)
	}
}

func TestDovecotAndEximLog(t *testing.T) {
	f, _ := explain(t, "mail-log", `Jun 12 19:07:29 hostname dovecot[241]: imap-login: Login aborted: Connection closed (auth failed, 3 attempts in 16 secs) (auth_failed): user=<Test>, method=PLAIN, rip=192.0.2.241, lip=203.0.113.104, TLS, session=<x>
Jun 12 19:07:30 hostname dovecot: auth-worker(304): pam(test,192.0.2.241): pam_authenticate() failed: Authentication failure (password mismatch?)
Jun 12 19:07:31 hostname dovecot: auth-worker(304): sql(nobody,192.0.2.241): unknown user
Jun 12 19:08:29 hostname dovecot: pop3-login: Info: Login: user=<test>, method=PLAIN, rip=20.0.0.1, lip=172.17.0.2, mpid=18, TLS, session=<x>
2026-06-12 19:09:00 1o6abc-0001Ab-2C <= hans@example.org H=(evil A=x:victim) [203.0.113.5]:4444 P=esmtpsa X=TLS1.3 A=dovecot_login:hans@example.org S=900 T="hi A=plain:victim for a b c" id=1@x
2026-06-12 19:09:01 1o6abc-0001Ab-2C => a@example.net R=dnslookup T=remote_smtp H=mx.example.net [192.0.2.1] C="250 OK"
2026-06-12 19:09:01 1o6abc-0001Ab-2C ** b@example.net R=dnslookup T=remote_smtp: SMTP error 550
2026-06-12 19:09:02 1o6abc-0001Ab-2C Completed
2026-06-12 19:10:00 [77] 1pXyZ0-000000000Ab-1a2B <= ida H=h [203.0.113.6] P=esmtpsa A=plain_server:ida S=1 for a@x.org b@x.org c@x.org
2026-06-12 19:11:00 dovecot_login authenticator failed for ([1.2.3.5]) [1.2.3.4]:55379: 535 Incorrect authentication data (set_id=ida)
`)
	if a := account(t, f, "hans@example.org"); a.Recipients != 2 || a.Messages != 1 || a.Bounced != 1 || a.Done != 2 {
		t.Errorf("hans %+v", a)
	}
	if a := account(t, f, "ida"); a.Recipients != 3 || a.Failures != 1 || a.Logins != 1 {
		t.Errorf("ida %+v", a)
	}
	if f.Seen != 3 || slices.ContainsFunc(f.Accounts, func(a evidence.MailAccount) bool { return a.Name == "victim" }) {
		t.Errorf("%+v", f)
	}
}

const postqueue = `{"queue_name": "deferred", "queue_id": "4A1", "arrival_time": 1795000000, "message_size": 1000, "forced_expire": false, "sender": "Spam@Example.org", "recipients": [{"address": "a@example.net", "delay_reason": "connect to mx.example.net[192.0.2.1]:25: Connection timed out"}, {"address": "b@example.net", "delay_reason": "host mx.example.net[192.0.2.1] said: 451 4.7.1 Greylisting in action, please come back later (in reply to RCPT TO command)"}]}
{"queue_name": "hold", "queue_id": "4A2", "arrival_time": 1795000100, "message_size": 500, "sender": "spam@example.org", "recipients": [{"address": "c@example.net"}]}
{"queue_name": "active", "queue_id": "4A3", "arrival_time": 1795000200, "message_size": 10, "sender": "MAILER-DAEMON", "recipients": [{"address": "d@example.net"}]}
`

const eximqueue = `25m  2.9K 0t5C6f-0000c8-00 <alice@wonderland.fict.example>
          red.king@looking-glass.fict.example
        D white.rabbit@looking-glass.fict.example

 3d  1M 1pXyZ0-000000000Ab-1a2B <> *** frozen ***
          <hatter@looking-glass.fict.example>

`

func TestQueues(t *testing.T) {
	f, _ := explain(t, "postqueue-json", postqueue)
	q := f.Queue
	if q.Messages != 3 || q.Deferred != 1 || q.Held != 1 || q.Bytes != 1510 || q.Oldest.Unix() != 1_795_000_000 || fmt.Sprint(q.Reasons) != "[{unreachable 1} {greylisted 1}]" ||
		fmt.Sprint(q.Senders) != "[{spam@example.org 2 3}]" {
		t.Errorf("%+v", q)
	}
	if f, _ := explain(t, "postqueue-json", ""); f.Queue.Messages != 0 {
		t.Errorf("an empty queue: %+v", f.Queue)
	}
	f, _ = explain(t, "exim-queue", eximqueue)
	q = f.Queue
	if q.Messages != 2 || q.Held != 1 || q.Bytes != 2969+1<<20 || !q.Oldest.Equal(now.Add(-72*time.Hour)) || fmt.Sprint(q.Senders) != "[{alice@wonderland.fict.example 1 1}]" {
		t.Errorf("%+v", q)
	}
}

func TestReasons(t *testing.T) {
	for text, want := range map[string]string{
		"Host or domain name not found. Name service error for name=x.example type=MX: Host not found, try again":                evidence.MailDNS,
		"lost connection with mx[192.0.2.1] while receiving the initial server greeting":                                         evidence.MailUnreachable,
		"delivery temporarily suspended: connect to mx[192.0.2.1]:25: Connection refused":                                        evidence.MailUnreachable,
		"TLS is required, but was not offered by host mx[192.0.2.1]":                                                             evidence.MailTLS,
		"host mx[192.0.2.1] said: 452 4.2.2 Mailbox full (in reply to RCPT TO command)":                                          evidence.MailFull,
		"host mx[192.0.2.1] said: 421 4.7.28 Our system has detected an unusual rate of unsolicited mail":                        evidence.MailLimited,
		"host mx[192.0.2.1] refused to talk to me: 554 5.7.1 Service unavailable; Client host [192.0.2.2] blocked using zen":     evidence.MailBlocked,
		"host mx[192.0.2.1] said: 450 4.1.1 <a@b>: Recipient address rejected: unverified address (in reply to RCPT TO command)": evidence.MailUnknown,
		"mail transport unavailable": evidence.MailLocal,
		"per aspera ad astra":        evidence.MailOther,
	} {
		line, err := json.Marshal(map[string]any{"queue_name": "deferred", "queue_id": "1", "arrival_time": 1, "recipients": []map[string]string{{"address": "a", "delay_reason": text}}})
		if err != nil {
			t.Fatal(err)
		}
		if f, _ := explain(t, "postqueue-json", string(line)); f.Queue.Reasons[0].Reason != want {
			t.Errorf("%s: %s, want %s", text, f.Queue.Reasons[0].Reason, want)
		}
	}
}

func TestFormatsRefuseRubbish(t *testing.T) {
	for name, bad := range map[string][]string{
		"postqueue-json": {"Mail queue is empty\n", "[]", "{}", `{"queue_name":"deferred"`},
		"exim-queue":     {"La coda è vuota\n", "25m 2.9K nothing <a>\n"},
		"mail-log":       {"", "kein Datum\n"},
	} {
		for _, text := range bad {
			i := slices.IndexFunc(mail.Formats(), func(f host.Format) bool { return f.Name == name })
			if l, err := mail.Formats()[i].Parse([]byte(text), now); err == nil {
				t.Errorf("%s took %q: %+v", name, text, l.Facts)
			}
		}
	}
	// What was cut in the middle counts as far as it goes, with a gap.
	if f, l := explain(t, "postqueue-json", postqueue[:len(postqueue)-40]); f.Queue.Messages != 2 || len(l.Gaps) != 2 {
		t.Errorf("%+v, gaps %v", f.Queue, l.Gaps)
	}
}

// Attacks in captured logs are no signs of a stolen account as long as nobody was let in;
// each line that the maintainers of fail2ban call a failure with a name in it is counted.
func TestFixtures(t *testing.T) {
	root := os.Getenv("ATTESTO_FIXTURES")
	if root == "" {
		t.Skip("ATTESTO_FIXTURES names no folder")
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(root, "01-linux-logs", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for name, want := range map[string]int{
		"crowdsec/postfix-honeypot-users/postfix-honeypot-users.log": 9,
		"crowdsec/exim-bf/exim-bf.log":                               5,
		"crowdsec/dovecot-spam/dovecot-spam.log":                     6, // of its last day
		"crowdsec/dovecot-logs/dovecot-logs.log":                     4,
		"crowdsec/postfix-sasl-bf/postfix-sasl-bf.log":               0, // without names
	} {
		f, _ := explain(t, "mail-log", read(name))
		if f.Seen != want {
			t.Errorf("%s: %d accounts were seen, want %d", name, f.Seen, want)
		}
		for _, a := range f.Accounts {
			if len(a.Signs) > 0 {
				t.Errorf("%s: %s has signs %s", name, a.Name, signs(a))
			}
		}
	}
	named, lost := 0, 0
	for _, name := range []string{"exim", "dovecot", "postfix"} {
		for line := range strings.Lines(read("fail2ban/" + name + ".1st.log")) {
			if !withName.MatchString(line) {
				continue
			}
			if named++; !strings.HasPrefix(line, "mail.example.com ") && !strings.HasPrefix(line, "@4000") {
				if f, _ := explain(t, "mail-log", line); f.Seen != 1 {
					t.Errorf("not counted: %s", line)
				}
				continue
			}
			lost++ // a stamp that no log on disk has
		}
	}
	if named < 15 || lost > 3 {
		t.Errorf("%d lines with a name, %d of them with a stamp that is not read", named, lost)
	}
}

// withName are refused sign-ins with the account's name in them.
var withName = regexp.MustCompile(`auth failed, .*user=<[^>]+>|authenticator failed .*set_id=[^)]+\)|SASL \S+ authentication failed.*sasl_username=|assword mismatch|failed: Authentication failure`)

func FuzzFormats(f *testing.F) {
	f.Add([]byte(postqueue))
	f.Add([]byte(eximqueue))
	f.Add([]byte(postfix("Nov 23 08:00:01", "4ABCDEF", "anna", "203.0.113.7", 3, "bounced")))
	f.Add([]byte("Nov 23 08:00:01 mx dovecot: imap-login: Login: user=<a>, method=PLAIN, rip=20.0.0.1, lip=1.1.1.1\n"))
	f.Add([]byte("2026-06-12 19:09:00 1o6abc-0001Ab-2C <= a H=h [203.0.113.5] A=l:a S=9 for b c\n2026-06-12 19:09:00 1o6abc-0001Ab-2C ** b\n"))
	hosttest.FuzzFormats(f, mail.Formats(), now)
}
