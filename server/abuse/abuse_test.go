package abuse_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/attesto/attesto/server/abuse"
)

const arf = `From: feedback@reports.example
To: abuse@host.example
Subject: FW: Earn money
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b1"

--b1
Content-Type: text/plain

This is an abuse report.

--b1
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: SomeGenerator/1.0
Version: 1
Arrival-Date: Thu, 8 Mar 2026 14:00:00 -0500 (EST)
Source-IP: 192.0.2.1
Reported-Domain: shop.example
Incidents: 3

--b1
Content-Type: message/rfc822

From: somespammer@shop.example

Spam
--b1--
`

const v3 = `{"Version":"3","ReporterInfo":{"ReporterOrg":"Watch","ReporterOrgEmail":"r@watch.example"},"Report":{"ReportClass":"Activity","ReportType":"Phishing","Date":"2026-02-05T14:17:10Z","SourceIp":"192.0.2.55","SourcePort":443,"Url":"https://shop.example/login"}}`

const v4 = `{"xarf_version":"4.2.0","report_id":"1a5ec293-0849-40a4-9eba-d5926262ff05","timestamp":"2026-01-11T15:15:24Z","reporter":{"org":"Watch","contact":"r@watch.example","domain":"watch.example"},"sender":{"org":"Watch","contact":"r@watch.example","domain":"watch.example"},"source_identifier":"203.0.113.45","category":"content","type":"phishing","url":"http://bank.example/auth"}`

func TestParse(t *testing.T) {
	for name, tt := range map[string]struct{ text, title, reporter, at string }{
		"arf":          {arf, "abuse: 192.0.2.1, shop.example", "reports.example", "2026-03-08T19:00:00Z"},
		"old line end": {strings.ReplaceAll(arf, "\n", "\r"), "abuse: 192.0.2.1, shop.example", "reports.example", "2026-03-08T19:00:00Z"},
		"xarf 3":       {v3, "phishing: 192.0.2.55, https://shop.example/login", "Watch", "2026-02-05T14:17:10Z"},
		"xarf 4":       {v4, "phishing: 203.0.113.45, http://bank.example/auth", "Watch", "2026-01-11T15:15:24Z"},
		"xarf by mail": {"From: r@watch.example\nContent-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: application/json\n\n" + v4 + "\n--x--\n", "phishing: 203.0.113.45, http://bank.example/auth", "Watch", "2026-01-11T15:15:24Z"},
	} {
		r, err := abuse.Parse([]byte(tt.text))
		if err != nil || r.Title() != tt.title || r.Reporter != tt.reporter || r.At.Format("2006-01-02T15:04:05Z07:00") != tt.at {
			t.Errorf("%s: %+v (%v)", name, r, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"a plain mail":     {"From: a@b.example\n\nStop it!\n", "no part message/feedback-report"},
		"no type":          {strings.Replace(arf, "Feedback-Type: abuse\n", "", 1), "no Feedback-Type"},
		"no source":        {strings.Replace(strings.Replace(strings.Replace(arf, "Source-IP: 192.0.2.1\n", "", 1), "Reported-Domain: shop.example\n", "", 1), "From: somespammer@shop.example\n", "Subject: Spam\n", 1), "names no source"},
		"another version":  {strings.Replace(v4, "4.2.0", "5.0.0", 1), "version"},
		"no reporter":      {strings.Replace(v4, `"reporter"`, `"reported"`, 1), "who reports?"},
		"no such category": {strings.Replace(v4, `"content"`, `"contents"`, 1), "category"},
		"source is none":   {strings.Replace(v4, "203.0.113.45", "here", 1), "no address"},
		"no such port":     {strings.Replace(v3, "443", "443000", 1), "want 1 to 65535"},
		"no such address":  {strings.Replace(v3, "192.0.2.55", "192.0.2", 1), "is none"},
		"no date":          {strings.Replace(v3, "2026-02-05T14:17:10Z", "yesterday", 1), "want one as"},
		"too long":         {strings.Repeat(" ", abuse.Max+1), "at most"},
		"nothing":          {"", "reading a mail"},
	} {
		if r, err := abuse.Parse([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %+v, error %v, want %q", name, r, err, tt.want)
		}
	}
}

// tolerated are faults against the schema of X-ARF in fields that nobody needs to act
// on a report: a person decides on it all the same.
const tolerated = ` harassment_sample_no_description invalid_additional_fields invalid_email_as_identifier_potentially_compromised_account
	invalid_exploit_wrong_cve invalid_exploit_wrong_version invalid_file_info invalid_internal_processing_wrong_data_type invalid_missing_reporter_props2
	invalid_on_behalf_of invalid_openservice2 invalid_openservice4 invalid_reporter_info invalid_reporter_metadata2
	invalid_sample_2 invalid_used_ip_in_potentially_compromised_account invalid_missing_reporter_props4 `

// TestFixturesOfAbuse holds captured reports to their stated verdicts.
func TestFixturesOfAbuse(t *testing.T) {
	root := os.Getenv("ATTESTO_FIXTURES")
	if root == "" {
		t.Skip("ATTESTO_FIXTURES names no folder")
	}
	for pattern, good := range map[string]bool{"arf/*.eml": true, "xarf/v*.json": true, "xarf-abusix/positive/*.json": true, "xarf-abusix/negative/*.json": false} {
		files, err := filepath.Glob(filepath.Join(root, "09-abuse", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files %s (%v)", pattern, err)
		}
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".json")
			t.Run(name, func(t *testing.T) {
				b, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				r, err := abuse.Parse(b)
				switch may := strings.Contains(strings.Join(strings.Fields(tolerated), " ")+" ", name+" "); {
				case name == "bsd_arf-26.eml": // a reader's mail program unsubscribes: no abuse, and no source
				case good && err != nil:
					t.Errorf("refused: %v", err)
				case good && (r.Kind == "" || len(r.Sources) == 0):
					t.Errorf("%+v", r)
				case !good && err == nil && !may:
					t.Errorf("taken: %+v", r)
				}
			})
		}
	}
}

// FuzzParse gives the reader reports of unknown make: it must answer, within its bounds,
// and what it takes must name a source on one line.
func FuzzParse(f *testing.F) {
	for _, s := range []string{arf, v3, v4, "{}", "From: a@b\n\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := abuse.Parse([]byte(text))
		if err == nil && (len(r.Sources) == 0 || r.Kind == "" || strings.ContainsAny(r.Title(), "\r\n") || len([]rune(r.Title())) > 120) {
			t.Errorf("%+v", r)
		}
	})
}
