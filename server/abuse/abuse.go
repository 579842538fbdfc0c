// Package abuse reads reports of abuse: ARF (RFC 5965) and X-ARF (xarf.org, versions 0.1
// to 4). It is pure and bounded: a report comes from anybody.
package abuse

import (
	"bytes"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// Max bounds a report, in bytes.
const Max = 700 * 1024

// The formats of reports.
const (
	ARF      = "arf"   // RFC 5965, also with the fields of RFC 6591
	XARF3    = "xarf3" // X-ARF version 3, and 1 and 2, which have its form
	XARFMail = "xarf"  // X-ARF versions 0.1 and 0.2: mails with lines of fields
	XARF4    = "xarf4" // X-ARF version 4
)

// Report is what a report says that is needed to act on it.
type Report struct {
	Format   string    `json:"format"`
	Kind     string    `json:"kind"`           // the reporter's word: "abuse", "spam", "phishing", "ddos" …
	Sources  []string  `json:"sources"`        // addresses, host names and URLs that it speaks of, at least one; the domain that a mail said to be from, too
	At       time.Time `json:"at"`             // when it happened; zero if it does not say
	Reporter string    `json:"reporter"`       // who reports: an organisation, or a program
	ID       string    `json:"id,omitempty"`   // the reporter's number for it
	Note     string    `json:"note,omitempty"` // in the reporter's words

	have map[string]bool // of Sources
}

// Parse reads a report: a mail, or the JSON of an X-ARF report. Its error says what is
// missing.
func Parse(b []byte) (Report, error) {
	if len(b) > Max {
		return Report{}, fmt.Errorf("report of %d bytes: at most %d are read", len(b), Max)
	}
	if text := bytes.TrimSpace(b); len(text) > 0 && text[0] == '{' {
		return parseXARF(text)
	}
	return parseMail(b)
}

// Title is what a report is about, in a line.
func (r Report) Title() string {
	title := r.Kind + ": " + strings.Join(r.Sources, ", ")
	if cut := []rune(title); len(cut) > 120 {
		return string(cut[:119]) + "…"
	}
	return title
}

// maxShown bounds how many sources people are shown.
const maxShown = 20

// Shown are the sources as people read them, each on a line: a mark says how many more
// there are.
func (r Report) Shown() []string {
	var list []string
	for _, s := range r.Sources[:min(len(r.Sources), maxShown)] {
		if cut := plain(s, 200); cut != s {
			s = cut + "…"
		}
		list = append(list, s)
	}
	if more := len(r.Sources) - maxShown; more > 0 {
		list = append(list, fmt.Sprintf("… (+%d)", more))
	}
	return list
}

// source notes a place that a report speaks of, once.
func (r *Report) source(s string) {
	if s = plain(s, len(s)); s == "" || r.have[s] {
		return
	}
	if r.have == nil {
		r.have = map[string]bool{}
	}
	r.have[s], r.Sources = true, append(r.Sources, s)
}

// sender notes whose mail is complained about: the domain of an address, if it has one.
func (r *Report) sender(address string) {
	domain := strings.Trim(address[strings.LastIndexByte(address, '@')+1:], "<> ")
	if located(domain) == nil {
		r.source(domain)
	}
}

// plain is a text on one line, without control characters, of at most so many runes.
func plain(s string, most int) string {
	s = strings.Join(strings.FieldsFunc(s, func(c rune) bool { return unicode.IsControl(c) || unicode.IsSpace(c) }), " ")
	if cut := []rune(strings.ToValidUTF8(s, "?")); len(cut) > most {
		return string(cut[:most])
	}
	return strings.ToValidUTF8(s, "?")
}

// located says why a text names no place on the internet, or nil: an address, a host's
// name, a mail address or a URL.
func located(s string) error {
	if _, err := netip.ParseAddr(s); err == nil {
		return nil
	}
	if u, err := url.Parse(s); err == nil && u.Scheme != "" && u.Host != "" {
		return nil
	}
	name := Place(s[strings.LastIndexByte(s, '@')+1:])
	if strings.Contains(name, ".") && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-_") == "" {
		return nil
	}
	return fmt.Errorf("source %q is no address, host name or URL", plain(s, 60))
}
