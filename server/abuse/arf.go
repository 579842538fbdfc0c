package abuse

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"regexp"
	"strings"
	"time"
)

// The bounds of a mail's parts.
const (
	maxParts = 50
	maxDepth = 4
)

var errNoReport = errors.New("this mail has no part message/feedback-report (RFC 5965) and no X-ARF report")

// parseMail looks for the part of a mail that a machine can read.
func parseMail(b []byte) (Report, error) {
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	b = bytes.ReplaceAll(b, []byte("\r"), []byte("\n")) // some keep the line ends of old systems
	msg, err := mail.ReadMessage(bytes.NewReader(b))
	if err != nil {
		return Report{}, fmt.Errorf("reading a mail: %w", err)
	}
	w := walker{}
	w.part(textproto.MIMEHeader(msg.Header), msg.Body, 0)
	switch {
	case w.found == nil && w.err != nil:
		return Report{}, w.err
	case w.found == nil:
		return Report{}, errNoReport
	}
	r := *w.found
	if len(r.Sources) == 0 {
		r.source(w.relay)
	}
	r.sender(w.from) // several customers can send from one address
	if r.Reporter == "" {
		if from, err := mail.ParseAddress(msg.Header.Get("From")); err == nil {
			_, r.Reporter, _ = strings.Cut(from.Address, "@")
		}
	}
	if len(r.Sources) == 0 {
		return Report{}, errors.New("the report names no source: Source-IP, Reported-Domain and Reported-URI are all missing")
	}
	return r, nil
}

// walker goes through the parts of a mail until one is a report.
type walker struct {
	parts int
	found *Report
	err   error  // of a part that looked like one
	relay string // which handed over the mail that is complained about, as it says itself
	from  string // its sender
}

func (w *walker) part(head textproto.MIMEHeader, body io.Reader, depth int) {
	if w.parts++; w.parts > maxParts || depth > maxDepth {
		return
	}
	kind, params, err := mime.ParseMediaType(head.Get("Content-Type"))
	if err != nil && kind == "" {
		return
	}
	switch strings.ToLower(head.Get("Content-Transfer-Encoding")) {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	switch {
	case strings.HasPrefix(kind, "multipart/") && params["boundary"] != "":
		for list := multipart.NewReader(body, params["boundary"]); ; {
			p, err := list.NextRawPart()
			if err != nil {
				return
			}
			w.part(p.Header, p, depth+1)
		}
	case kind == "message/rfc822" || kind == "text/rfc822-headers" || kind == "text/rfc822-header": // the last in old drafts
		if msg, err := mail.ReadMessage(io.LimitReader(body, Max)); err == nil {
			w.complained(msg.Header)
		}
	case w.found != nil:
	case kind == "message/feedback-report":
		b, _ := io.ReadAll(io.LimitReader(body, Max)) // cut off is read as far as it goes
		w.take(parseFeedback(b))
	case kind == "text/plain" && depth > 0:
		if b, _ := io.ReadAll(io.LimitReader(body, Max)); reportedFrom.Match(b) {
			w.take(parsePlain(b))
		}
	case kind == "application/json" || strings.HasSuffix(params["name"], ".json"):
		b, _ := io.ReadAll(io.LimitReader(body, Max))
		w.take(parseXARF(bytes.TrimSpace(b)))
	}
}

// reportedFrom is the field that every report of X-ARF 0.1 and 0.2 has.
var reportedFrom = regexp.MustCompile(`(?m)^Reported-From:\s*\S`)

var address = regexp.MustCompile(`\[(?:IPv6:)?([0-9A-Fa-f.:]+)\]`)

// complained notes where the mail came from that a report is about: the host that handed
// it over, and the sender's domain. Some providers of mailboxes send it with a mark of
// theirs and no report (Microsoft's Junk Mail Reporting Program).
func (w *walker) complained(h mail.Header) {
	if m := address.FindStringSubmatch(h.Get("Received")); m != nil && w.relay == "" {
		w.relay = m[1]
	}
	if from, err := mail.ParseAddress(h.Get("From")); err == nil && w.from == "" {
		w.from = from.Address
	}
	if h.Get("X-HmXmrOriginalRecipient") != "" && w.found == nil {
		w.found = &Report{Format: ARF, Kind: "abuse"}
	}
}

func (w *walker) take(r Report, err error) {
	if err != nil {
		w.err = err
		return
	}
	w.found = &r
}

// parseFeedback reads the fields of message/feedback-report (RFC 5965 section 3).
func parseFeedback(b []byte) (Report, error) {
	msg, err := mail.ReadMessage(bytes.NewReader(append(bytes.TrimSpace(b), "\n\n"...)))
	if err != nil {
		return Report{}, fmt.Errorf("reading the feedback report: %w", err)
	}
	h := msg.Header
	r := Report{Format: ARF, Kind: strings.ToLower(plain(h.Get("Feedback-Type"), 40)), Reporter: plain(h.Get("Reporting-MTA"), 200), ID: plain(h.Get("Original-Envelope-Id"), 100)}
	if r.Kind == "" {
		return r, errors.New("the feedback report has no Feedback-Type")
	}
	if _, name, ok := strings.Cut(r.Reporter, ";"); ok { // "dns; mx.example.com"
		r.Reporter = strings.TrimSpace(name)
	}
	for _, field := range []string{"Source-Ip", "Source", "Reported-Uri", "Reported-Domain"} {
		for _, v := range h[field] {
			if field == "Source" && located(v) != nil {
				continue // some name themselves there
			}
			r.source(v)
		}
	}
	r.sender(h.Get("Original-Mail-From")) // whom it was sent to, Original-Rcpt-To, is the reporter's own
	for _, field := range []string{"Arrival-Date", "Received-Date"} {
		if at, err := mail.ParseDate(strings.TrimSpace(stripZoneName(h.Get(field)))); err == nil && r.At.IsZero() {
			r.At = at.UTC()
		}
	}
	if n := plain(h.Get("Incidents"), 20); n != "" {
		r.Note = n + " incidents"
	}
	return r, nil
}

// parsePlain reads a report of X-ARF 0.1 or 0.2 (x-arf.org, Specification): the second
// part of a mail, of lines "Key: value".
func parsePlain(b []byte) (Report, error) {
	fields := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && len(fields) < 100 {
			fields[strings.ToLower(strings.TrimSpace(key))] = strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	r := Report{Format: XARFMail, Kind: strings.ToLower(plain(cmp.Or(fields["report-type"], fields["category"]), 40)), ID: plain(fields["report-id"], 100)}
	_, r.Reporter, _ = strings.Cut(plain(fields["reported-from"], 200), "@")
	if r.Kind == "" {
		return r, errors.New("the X-ARF report has neither Report-Type nor Category")
	}
	if err := located(fields["source"]); err != nil {
		return r, err
	}
	r.source(fields["source"])
	at, err := mail.ParseDate(stripZoneName(fields["date"]))
	if err != nil {
		if at, err = moment(fields["date"]); err != nil {
			return r, err
		}
	}
	r.At = at.UTC()
	return r, nil
}

// stripZoneName takes off a comment such as "(EST)".
func stripZoneName(s string) string {
	if i := strings.IndexByte(s, '('); i > 0 {
		return s[:i]
	}
	return s
}

// moment reads the times of X-ARF (ISO 8601).
func moment(s string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return at, fmt.Errorf("time %q: want one as 2026-06-01T12:00:00Z", plain(s, 40))
	}
	return at.UTC(), nil
}
