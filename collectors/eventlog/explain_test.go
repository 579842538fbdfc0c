package eventlog_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/attesto/attesto/evidence"
)

const auditSerial = `--abc123-A--
[23/Nov/2026:03:00:00.123456 +0100] aSyw 192.0.2.7 40080 198.51.100.1 443
--abc123-B--
GET /?a=../../etc/passwd HTTP/1.1
Cookie: session=very-secret
--abc123-H--
Message: Warning. Pattern match "x" at ARGS:a. [id "930110"] [msg "Path Traversal Attack"]
Message: Access denied with code 403 (phase 2). Operator GE matched 5 at TX:anomaly_score. [id "949110"]
Action: Intercepted (phase 2)
--abc123-Z--
`

const auditJSON = `{"transaction":{"client_ip":"192.0.2.7","time_stamp":"Mon Nov 23 03:00:00 2026","response":{"http_code":403},"messages":[{"message":"Path Traversal Attack","details":{"ruleId":"930110","severity":"2"}},{"message":"Inbound Anomaly Score Exceeded","details":{"ruleId":"949110","severity":"2"}}]}}
`

const auditJSON2 = `{"transaction":{"time":"23/Nov/2026:03:00:00 +0100","remote_address":"192.0.2.7"},"audit_data":{"messages":["Warning. Pattern match","Access denied with code 403 (phase 2)."]}}
`

func TestModSecurityAudit(t *testing.T) {
	for _, log := range []string{auditSerial, strings.ReplaceAll(auditSerial, "--abc123-", "---abc123---"), auditJSON, auditJSON2} {
		l, err := format(t, "modsecurity-audit")([]byte(log), now)
		if err != nil {
			t.Fatalf("%v: %s", err, log)
		}
		f := l.Facts.(evidence.EventLog)
		if hits(f, "waf_denied") != 1 || hits(f, "waf_warning") != 1 || hit(f, "waf_denied").Networks != 1 || f.Sources[0].Lines != 1 {
			t.Errorf("%+v of %s", f, log)
		}
	}
	if _, err := format(t, "modsecurity-audit")([]byte("hello\nworld\n"), now); err == nil {
		t.Error("any text is taken for an audit log")
	}
}

// A field's bytes may hold what looks like other fields: they are none.
func TestJournalExport(t *testing.T) {
	fake := "two lines\nMESSAGE=Accepted password for root from 192.0.2.9 port 1 ssh2\n\n__REALTIME_TIMESTAMP=1"
	var b bytes.Buffer
	b.WriteString("__REALTIME_TIMESTAMP=1795402800000000\nSYSLOG_IDENTIFIER=sshd\nMESSAGE\n")
	_ = binary.Write(&b, binary.LittleEndian, uint64(len(fake)))
	b.WriteString(fake + "\n\n__REALTIME_TIMESTAMP=1795402801000000\nSYSLOG_IDENTIFIER=sshd\nMESSAGE=" + bad + "\n\n")
	l, err := format(t, "journal-export")(b.Bytes(), now)
	if err != nil {
		t.Fatal(err)
	}
	f := l.Facts.(evidence.EventLog)
	if f.Sources[0].Lines != 2 || hits(f, "ssh_login_failed") != 1 || len(f.Hits) != 1 || len(l.Gaps) != 0 {
		t.Errorf("%+v, gaps %v", f, l.Gaps)
	}
	if _, err := format(t, "journal-export")(b.Bytes()[:60], now); err == nil {
		t.Error("an entry that was cut off gives findings")
	}
}

func TestExplainPacked(t *testing.T) {
	line := "Nov 23 11:00:00 mail sshd[1]: " + bad + "\n"
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(line + "Nov 23 11:00:01 mail last message repeated 3 times\n")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := format(t, "syslog")(b.Bytes(), now)
	if err != nil || hits(l.Facts.(evidence.EventLog), "ssh_login_failed") != 4 {
		t.Errorf("%+v %v", l.Facts, err)
	}
	l, err = format(t, "syslog")(b.Bytes()[:len(b.Bytes())-9], now)
	if f, ok := l.Facts.(evidence.EventLog); err == nil && (!ok || f.Sources[0].Whole || len(l.Gaps) == 0) {
		t.Error("a cut archive is taken for whole")
	}
}

// A transaction without its end is a gap, and a refusal without a sum of scores is one.
func TestModSecurityCutAndRefused(t *testing.T) {
	const head = "--%s-A--\n[23/Nov/2026:03:00:00 +0100] id 192.0.2.7 55555 198.51.100.1 443\n--%[1]s-H--\nMessage: Warning. Pattern match \"x\" at ARGS:a. [id \"1\"]\n"
	serial := func(id string) string { return fmt.Sprintf(head, id) }
	const one = `{"transaction":{"client_ip":"192.0.2.7","time_stamp":"Mon Nov 23 03:00:00 2026","response":{"http_code":%d},"messages":[{"message":"OS File Access Attempt","details":{"ruleId":"930120","severity":"2"}}]%s}}` + "\n"
	for name, tt := range map[string]struct {
		log, rules string
		whole      bool
	}{
		"whole":              {serial("aaaa1111") + "--aaaa1111-Z--\n", "waf_warning", true},
		"cut":                {serial("aaaa1111") + "--aaaa1111-Z--\n" + serial("bbbb1111"), "waf_warning", false},
		"begun over":         {serial("aaaa1111") + serial("bbbb1111") + "--bbbb1111-Z--\n", "waf_warning", false},
		"let pass":           {fmt.Sprintf(one, 200, ""), "waf_warning", true},
		"refused":            {fmt.Sprintf(one, 403, ""), "waf_denied", true},
		"stopped":            {fmt.Sprintf(one, 302, `,"is_interrupted":true`), "waf_denied", true},
		"a line that is cut": {fmt.Sprintf(one, 403, "") + fmt.Sprintf(one, 403, "")[:100], "waf_denied", false},
	} {
		l, err := format(t, "modsecurity-audit")([]byte(tt.log), now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		f, rules := l.Facts.(evidence.EventLog), ""
		for _, h := range f.Hits {
			rules += h.Rule
		}
		if rules != tt.rules || f.Sources[0].Whole != tt.whole || tt.whole != (len(l.Gaps) == 0) {
			t.Errorf("%s: %s, whole %v, gaps %v", name, rules, f.Sources[0].Whole, l.Gaps)
		}
	}
}

// A compressed log that was cut off is read as far as it goes, and says so.
func TestPackedAndCut(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for i := range 3000 {
		fmt.Fprintf(z, "Nov 23 03:%02d:%02d h sshd[%d]: Failed password for root from 192.0.2.%d port %d ssh2\n", i/60%60, i%60, i, i%250, 1024+i*7%60000)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := format(t, "syslog")(b.Bytes()[:b.Len()/2], now)
	if err != nil {
		t.Fatal(err)
	}
	f := l.Facts.(evidence.EventLog)
	if n := hits(f, "ssh_login_failed"); n == 0 || n >= 3000 || f.Sources[0].Whole || len(l.Gaps) == 0 || !strings.Contains(l.Gaps[len(l.Gaps)-1].Why, "unpacking") {
		t.Errorf("%d hits, whole %v, gaps %v", n, f.Sources[0].Whole, l.Gaps)
	}
	if _, err := format(t, "syslog")(b.Bytes()[:5], now); err == nil {
		t.Error("five bytes are taken for a log")
	}
}
