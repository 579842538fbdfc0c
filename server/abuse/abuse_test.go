package abuse_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/attesto/attesto/collectors/host/hosttest"
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
		"xarf 0.2":     {"From: r@watch.example\nX-XARF: PLAIN\nContent-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain\n\nDear abuse team: see below.\n--x\nContent-Type: text/plain; name=report.txt\n\n---\nReported-From: reports@watch.example\nCategory: abuse\nReport-ID: 77@watch.example\nReport-Type: login-attack\nService: ssh\nDate: Thu, 05 Feb 2026 15:17:10 +0100\nSource-Type: ip-address\nSource: 192.0.2.55\nPort: 22\n--x--\n", "login-attack: 192.0.2.55", "watch.example", "2026-02-05T14:17:10Z"},
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
		"a plain mail":       {"From: a@b.example\n\nStop it!\n", "no part message/feedback-report"},
		"0.2 without source": {"From: r@watch.example\nContent-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain\n\nReported-From: r@watch.example\nCategory: abuse\nDate: 2026-02-05T14:17:10Z\n--x--\n", "is no address"},
		"no type":            {strings.Replace(arf, "Feedback-Type: abuse\n", "", 1), "no Feedback-Type"},
		"no source":          {strings.Replace(strings.Replace(strings.Replace(arf, "Source-IP: 192.0.2.1\n", "", 1), "Reported-Domain: shop.example\n", "", 1), "From: somespammer@shop.example\n", "Subject: Spam\n", 1), "names no source"},
		"another version":    {strings.Replace(v4, "4.2.0", "5.0.0", 1), "version"},
		"no reporter":        {strings.Replace(v4, `"reporter"`, `"reported"`, 1), "who reports?"},
		"no such category":   {strings.Replace(v4, `"content"`, `"contents"`, 1), "category"},
		"source is none":     {strings.Replace(v4, "203.0.113.45", "here", 1), "no address"},
		"no such port":       {strings.Replace(v3, "443", "443000", 1), "SourcePort is no whole number"},
		"no such address":    {strings.Replace(v3, "192.0.2.55", "192.0.2", 1), "is none"},
		"no date":            {strings.Replace(v3, "2026-02-05T14:17:10Z", "yesterday", 1), "want one as"},
		"too long":           {strings.Repeat(" ", abuse.Max+1), "at most"},
		"nothing":            {"", "reading a mail"},
	} {
		if r, err := abuse.Parse([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %+v, error %v, want %q", name, r, err, tt.want)
		}
	}
}

// A report of version 3 or 4 whose fields contradict their form is refused, and says which.
func TestParseHoldsToForms(t *testing.T) {
	set3 := func(fields string) string { return strings.Replace(v3, `"SourcePort":443`, fields, 1) }
	set4 := func(fields string) string { return strings.TrimSuffix(v4, "}") + "," + fields + "}" }
	for name, tt := range map[string]struct{ text, want string }{
		"many ports":             {set3(`"DestinationPort":[80,443],"SourcePort":0`), ""},
		"fields of their own":    {set3(`"Malice":{"x":1}`), ""},
		"a person":               {strings.Replace(v3, `"ReporterOrg":"Watch","ReporterOrgEmail":"r@watch.example"`, `"ReporterType":"Person","ReporterContactName":"Anna B"`, 1), ""},
		"version 2":              {strings.Replace(v3, `"3"`, `"2"`, 1), ""},
		"a sample":               {set3(`"Samples":[{"ContentType":"text/plain","Payload":"eA==","Base64Encoded":true}]`), ""},
		"samples are no list":    {set3(`"Samples":{}`), "Samples is no list"},
		"sample without content": {set3(`"Samples":[{"Description":"x"}]`), "ContentType is missing"},
		"no flag":                {set3(`"Ongoing":"yes"`), "Ongoing is neither"},
		"no class":               {strings.Replace(v3, "Activity", "Meh", 1), "ReportClass is none of"},
		"half a number":          {set3(`"ByteCount":1.5`), "ByteCount is no whole number"},
		"no mail address":        {set3(`"SmtpMailFromAddress":"0012345678"`), "is no mail address"},
		"no time":                {set3(`"FirstSeen":"yesterday"`), "FirstSeen is no time"},
		"no flaw's number":       {set3(`"CVE":"2024-1"`), "CVE has not its form"},
		"other vector":           {set3(`"CVSS":{"Version":"2","Vector":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"}`), "Vector has not its form"},
		"no hash":                {set3(`"FileHash":{"HashValue":"00","HashAlgorithm":"crc"}`), "HashAlgorithm is none of"},
		"no protocol":            {set3(`"TransportProtocol":"bird"`), "TransportProtocol is none of"},
		"no service":             {strings.Replace(v3, "Phishing", "OpenService", 1), "ServiceName is missing"},
		"on nobody's behalf":     {strings.Replace(v3, `"Report":`, `"OnBehalfOf":"me","Report":`, 1), "OnBehalfOf: is no object"},
		"who reports":            {strings.Replace(v3, `,"ReporterOrgEmail":"r@watch.example"`, "", 1), "ReporterOrgEmail is missing"},
		"4: evidence":            {set4(`"evidence":[{"content_type":"text/plain","payload":"eA==","hash":"sha256:00"}],"tags":["campaign:x"],"confidence":0.9`), ""},
		"4: evidence is empty":   {set4(`"evidence":[{}]`), "content_type is missing"},
		"4: confidence":          {set4(`"confidence":90`), "confidence is no number"},
		"4: no id":               {strings.Replace(v4, "1a5ec293", "1", 1), "report_id has not its form"},
		"4: sender":              {strings.Replace(v4, `"sender":{"org":"Watch","contact":"r@watch.example",`, `"sender":{"org":"Watch",`, 1), "sender contact is missing"},
		"4: no url":              {strings.Replace(v4, `,"url":"http://bank.example/auth"`, "", 1), "url is missing"},
		"4: a type's own fields": {strings.Replace(v4, `"category":"content","type":"phishing"`, `"category":"connection","type":"login_attack"`, 1), "protocol is missing"},
	} {
		r, err := abuse.Parse([]byte(tt.text))
		if tt.want == "" && (err != nil || len(r.Sources) == 0) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %+v (%v), want %q", name, r, err, tt.want)
		}
	}
}

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
				switch {
				case name == "bsd_arf-26.eml": // a reader's mail program unsubscribes: no abuse, and no source
				case good && err != nil:
					t.Errorf("refused: %v", err)
				case good && (r.Kind == "" || len(r.Sources) == 0):
					t.Errorf("%+v", r)
				case !good && err == nil:
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
	var r abuse.Report
	var err error
	bound := hosttest.NewBound("report", func(b []byte) { r, err = abuse.Parse(b) }) // the measure that collectors are held to
	f.Fuzz(func(t *testing.T, text string) {
		bound.Check(t, []byte(text))
		if err == nil && (len(r.Sources) == 0 || r.Kind == "" || strings.ContainsAny(r.Title(), "\r\n") || len([]rune(r.Title())) > 120) {
			t.Errorf("%+v", r)
		}
	})
}
