package eventlog_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
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
	if _, err = format(t, "syslog")(b.Bytes()[:len(b.Bytes())-9], now); err == nil {
		t.Error("a cut archive is taken for whole")
	}
}
