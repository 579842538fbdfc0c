package abuse_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/attesto/attesto/server/abuse"
)

// feedback is a report with these fields.
func feedback(fields ...string) string {
	return strings.Replace(arf, "Source-IP: 192.0.2.1\nReported-Domain: shop.example\n", strings.Join(fields, "\n")+"\n", 1)
}

// Reports about the same are known by all that they say of whose it is, however it is
// spelled; what cannot be compared is like no other.
func TestAbout(t *testing.T) {
	var many []string
	for i := range 25 {
		many = append(many, fmt.Sprintf("Reported-URI: http://a.example/%02d", i))
	}
	with := func(more ...string) string { return feedback(append(append([]string{}, many...), more...)...) }
	long := "Reported-URI: http://a.example/" + strings.Repeat("p", 300)
	from := func(s string) string { return strings.Replace(arf, "somespammer@shop.example", s, 1) }
	relay := func(s string) string {
		return strings.Replace(feedback("Source-IP: 192.0.2.1"), "somespammer@shop.example", s, 1)
	}
	for name, tt := range map[string]struct {
		one, other  string
		same, whose bool
	}{
		"again":                 {arf, arf, true, true},
		"another kind":          {arf, strings.Replace(arf, "Feedback-Type: abuse", "Feedback-Type: fraud", 1), false, true},
		"two of one relay":      {relay("a@shop.example"), relay("b@bakery.example"), false, true},
		"one of its mailboxes":  {relay("a@shop.example"), relay("b@Shop.example"), true, true},
		"two envelope senders":  {feedback("Source-IP: 192.0.2.1", "Original-Mail-From: <x+1@shop.example>"), feedback("Source-IP: 192.0.2.1", "Original-Mail-From: <x@bakery.example>"), false, true},
		"one envelope sender":   {feedback("Source-IP: 192.0.2.1", "Original-Mail-From: <x+1@shop.example>"), feedback("Source-IP: 192.0.2.1", "Original-Mail-From: y@shop.example"), true, true},
		"other recipients":      {feedback("Source-IP: 192.0.2.1", "Original-Rcpt-To: a@one.example"), feedback("Source-IP: 192.0.2.1", "Original-Rcpt-To: b@two.example"), true, true},
		"an address alone":      {relay("root"), relay("root"), true, false},
		"a URL of an address":   {strings.Replace(feedback("Reported-URI: http://192.0.2.1"), "From: somespammer@shop.example\n", "", 1), strings.Replace(feedback("Reported-URI: http://192.0.2.1/"), "From: somespammer@shop.example\n", "", 1), true, false},
		"after what is shown":   {with("Reported-URI: http://b.example/"), with("Reported-URI: http://c.example/"), false, true},
		"after what is cut":     {feedback(long + "1"), feedback(long + "2"), false, true},
		"case of a path":        {feedback("Reported-URI: http://a.example/Ab"), feedback("Reported-URI: http://a.example/aB"), false, true},
		"case of a host":        {feedback("Reported-URI: HTTP://A.example/Ab"), feedback("Reported-URI: http://a.example./Ab"), true, true},
		"order and case":        {feedback("Reported-Domain: A.example", "Reported-Domain: b.example"), feedback("Reported-Domain: B.example", "Reported-Domain: a.example"), true, true},
		"twice":                 {feedback("Reported-Domain: A.example", "Reported-Domain: a.example."), feedback("Reported-Domain: a.example"), true, true},
		"an IPv6 address":       {feedback("Source-IP: 2001:db8::1"), feedback("Source-IP: 2001:DB8:0:0:0:0:0:1"), true, true},
		"an address in another": {feedback("Source-IP: ::ffff:192.0.2.1"), feedback("Source-IP: 192.0.2.1"), true, true},
		"an IPv6 address's URL": {feedback("Reported-URI: http://[2001:db8::1]:8080/x"), feedback("Reported-URI: http://[2001:DB8:0::1]:8080/x"), true, true},
		"another alphabet":      {feedback("Reported-Domain: bücher.example"), feedback("Reported-Domain: xn--bcher-kva.example"), true, true},
		"a source that is none": {feedback("Reported-URI: see attachment"), feedback("Reported-URI: see attachment"), false, false},
		"an account":            {strings.Replace(v3, `"SourcePort":443`, `"Account":{"AccountIdentifier":"x"}`, 1), strings.Replace(v3, `"SourcePort":443`, `"Account":{"AccountIdentifier":"y"}`, 1), false, false},
		"senders of version 3":  {strings.Replace(v3, `"SourcePort":443`, `"SmtpMailFromAddress":"a@one.example"`, 1), strings.Replace(v3, `"SourcePort":443`, `"SmtpMailFromAddress":"a@two.example"`, 1), false, true},
		"senders of version 4":  {strings.TrimSuffix(v4, "}") + `,"smtp_from":"a@one.example"}`, strings.TrimSuffix(v4, "}") + `,"smtp_from":"a@two.example"}`, false, true},
		"copies at two places":  {strings.TrimSuffix(v4, "}") + `,"infringing_url":"http://a.example/1"}`, strings.TrimSuffix(v4, "}") + `,"infringing_url":"http://a.example/2"}`, false, true},
		"senders, unreadable":   {from("a@[192.0.2.5]"), from("b@[192.0.2.5]"), true, true}, // Reported-Domain tells
	} {
		var about []string
		whose := true
		for _, text := range []string{tt.one, tt.other} {
			r, err := abuse.Parse([]byte(text))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			s, w := r.About()
			about, whose = append(about, s), whose && w
		}
		if same := about[0] != "" && about[0] == about[1]; same != tt.same || whose != tt.whose {
			t.Errorf("%s: the same %v, whose %v: %q", name, same, whose, about)
		}
	}
}

// What people are shown says how much of it they are not shown.
func TestShown(t *testing.T) {
	r := abuse.Report{Sources: []string{"http://a.example/" + strings.Repeat("p", 300)}}
	for i := range 24 {
		r.Sources = append(r.Sources, fmt.Sprintf("192.0.2.%d", i))
	}
	if got := r.Shown(); len(got) != 21 || len([]rune(got[0])) != 201 || !strings.HasSuffix(got[0], "p…") || got[20] != "… (+5)" {
		t.Errorf("%q", got)
	}
	r.Sources = r.Sources[5:]
	if got := r.Shown(); len(got) != 20 || got[19] != "192.0.2.23" {
		t.Errorf("%q", got)
	}
}
