package mail

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

const (
	maxLine    = 4 << 20
	maxSenders = 50_000 // that are told apart
)

// queue adds up what waits.
type queue struct {
	evidence.MailQueue
	oldest  time.Time
	reasons map[string]int64
	senders map[string]*sender // by account or address
	more    int64              // messages of senders that were too many to be told apart
	who     func(id, from string) string
}

type sender struct{ messages, recipients int64 }

func newQueue(system string, who func(id, from string) string) *queue {
	return &queue{MailQueue: evidence.MailQueue{System: system}, reasons: map[string]int64{}, senders: map[string]*sender{}, who: who}
}

func (q *queue) add(id, from string, recipients int64, came time.Time, size int64) {
	q.Messages++
	q.Bytes += max(0, size)
	if !came.IsZero() && came.Unix() > 0 && (q.oldest.IsZero() || came.Before(q.oldest)) {
		q.oldest = came
	}
	name := q.who(id, account(from))
	if name == "" || name == "mailer-daemon" {
		return // bounces of this host's own
	}
	s := q.senders[name]
	if s == nil {
		if len(q.senders) == maxSenders {
			q.more++
			return
		}
		s = &sender{}
		q.senders[name] = s
	}
	s.messages++
	s.recipients += recipients
}

// facts gives the sums, with the senders that have most named by name.
func (q *queue) facts(name func(string) string) *evidence.MailQueue {
	out := q.MailQueue
	if !q.oldest.IsZero() {
		at := evidence.At(q.oldest)
		out.Oldest = &at
	}
	for _, r := range evidence.MailReasons() {
		if n := q.reasons[r]; n > 0 {
			out.Reasons = append(out.Reasons, evidence.MailReason{Reason: r, Count: n})
		}
	}
	for who, s := range q.senders {
		out.Senders = append(out.Senders, evidence.MailSender{Name: who, Messages: s.messages, Recipients: s.recipients})
	}
	host.SortFunc(out.Senders, func(a, b evidence.MailSender) int {
		if a.Messages != b.Messages {
			return int(b.Messages - a.Messages)
		}
		return strings.Compare(a.Name, b.Name)
	})
	out.Senders = out.Senders[:min(len(out.Senders), evidence.MaxMailSenders)]
	for i := range out.Senders {
		out.Senders[i].Name = name(out.Senders[i].Name)
	}
	return &out
}

// postfixMessage is one object of postqueue -j (postqueue(1), JSON object format).
type postfixMessage struct {
	Queue      string `json:"queue_name"` // maildrop, incoming, active, deferred, hold, corrupt
	ID         string `json:"queue_id"`
	Arrival    int64  `json:"arrival_time"` // seconds since 1970
	Size       int64  `json:"message_size"` // bytes
	Sender     string `json:"sender"`
	Recipients []struct {
		Reason string `json:"delay_reason"`
	} `json:"recipients"`
}

// postfixLine takes one line of postqueue -j.
func (q *queue) postfixLine(line []byte) error {
	var m postfixMessage
	if err := json.Unmarshal(line, &m); err != nil {
		return fmt.Errorf("postqueue -j: %w", err)
	}
	if m.ID == "" || m.Queue == "" {
		return errors.New("postqueue -j: an object without queue_name or queue_id")
	}
	q.add(m.ID, m.Sender, int64(len(m.Recipients)), time.Unix(m.Arrival, 0), m.Size)
	switch m.Queue {
	case "deferred":
		q.Deferred++
	case "hold":
		q.Held++
	}
	for _, r := range m.Recipients {
		if r.Reason != "" {
			q.reasons[reason(r.Reason)]++
		}
	}
	return nil
}

var (
	eximMessage   = regexp.MustCompile(`^ *(\d{1,6})([mhd]) +(\d{1,9}(?:\.\d)?)([KMG]?) (` + eximID + `) <(.*?)>(?: \(.*\))?( \*\*\* frozen \*\*\*)?$`)
	eximRecipient = regexp.MustCompile(`^ {7,}(D? )?\S`)
)

// eximLine takes one line of exim -bp (The Exim Specification, 5.1, -bp): a message with
// its age, size, id and sender, then a line for each recipient, with D for those that have it.
type eximReader struct {
	q          *queue
	now        time.Time
	id, from   string
	came       time.Time
	size       int64
	recipients int64
	strange    int
}

func (r *eximReader) line(line []byte) error {
	text := string(line)
	if m := eximMessage.FindStringSubmatch(text); m != nil {
		r.flush()
		n, _ := strconv.Atoi(m[1]) // digits
		unit := map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[m[2]]
		size, _ := strconv.ParseFloat(m[3], 64) // digits
		r.id, r.from, r.came = m[5], m[6], r.now.Add(-time.Duration(n)*unit)
		r.size = int64(size * map[string]float64{"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}[m[4]])
		if m[7] != "" {
			r.q.Held++
		}
		return nil
	}
	switch m := eximRecipient.FindStringSubmatch(text); {
	case strings.TrimSpace(text) == "":
	case r.id != "" && m != nil:
		if strings.TrimSpace(m[1]) == "" {
			r.recipients++
		}
	default:
		r.strange++
	}
	return nil
}

func (r *eximReader) flush() {
	if r.id != "" {
		r.q.add(r.id, r.from, r.recipients, r.came, r.size)
	}
	r.id, r.recipients = "", 0
}

// splitter hands on whole lines of what is written to it; one without its end was cut off.
type splitter struct {
	line func([]byte) error
	rest []byte
	skip bool
	bad  int   // lines that could not be read, or are too long
	err  error // of the first of them
}

// Write takes a piece of output.
func (s *splitter) Write(p []byte) (int, error) {
	n := len(p)
	for i := bytes.IndexByte(p, '\n'); i >= 0; i = bytes.IndexByte(p, '\n') {
		if !s.skip {
			s.rest = append(s.rest, p[:i]...)
			s.take()
		}
		s.skip, s.rest, p = false, s.rest[:0], p[i+1:]
	}
	if !s.skip && len(s.rest)+len(p) > maxLine {
		s.skip, s.rest = true, s.rest[:0]
		s.failed(fmt.Errorf("a line of over %d bytes", maxLine))
	}
	if !s.skip {
		s.rest = append(s.rest, p...)
	}
	return n, nil
}

func (s *splitter) take() {
	if line := bytes.TrimRight(s.rest, "\r"); len(line) > 0 {
		if err := s.line(line); err != nil {
			s.failed(err)
		}
	}
}

func (s *splitter) failed(err error) {
	if s.bad++; s.err == nil {
		s.err = err
	}
}

// trouble says what could not be read.
func (s *splitter) trouble() string {
	if s.bad == 0 {
		return "its last line has no end"
	}
	return fmt.Sprintf("%d lines could not be read: %s", s.bad, s.err)
}

var (
	enhanced = regexp.MustCompile(`\b[45]\.(\d{1,3}\.\d{1,3})\b`)
	basic    = regexp.MustCompile(`(?:said|me): ([45]\d\d)\b`)
)

// reason puts why a message waits into a class: by the code of the other side's reply
// (RFC 3463, RFC 5321), or, where this host says it, by Postfix's own words.
func reason(s string) string {
	text := strings.ToLower(s)
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	}
	if m := basic.FindStringSubmatch(s); m != nil {
		code := ""
		if e := enhanced.FindStringSubmatch(s); e != nil {
			code = e[1]
		}
		return replied(m[1], code, has)
	}
	switch {
	case has("name service error", "host or domain name not found", "domain name not found"):
		return evidence.MailDNS
	case has("tls"):
		return evidence.MailTLS
	case has("connect", "timed out", "no route", "unreachable"):
		return evidence.MailUnreachable
	case has("loops back", "transport unavailable", "lookup", "local", "queue file", "disk", "too large", "permission", "alias", "temporary"):
		return evidence.MailLocal
	}
	return evidence.MailOther
}

func replied(code, detail string, has func(...string) bool) string {
	switch {
	case has("greylist", "graylist", "grey-list", "gray-list", "greylisted"):
		return evidence.MailGreylisted
	case detail == "2.2", detail == "3.1", code == "452" && detail == "", code == "552":
		return evidence.MailFull
	case detail == "1.1", detail == "1.0", detail == "1.10", code == "550" && detail == "":
		return evidence.MailUnknown
	case detail == "7.28", detail == "4.5", detail == "3.2", detail == "5.3", code == "421" && (detail == "" || detail == "7.0"), has("rate limit", "too many", "throttl"):
		return evidence.MailLimited
	case detail == "7.10", detail == "7.11", has("starttls"):
		return evidence.MailTLS
	case strings.HasPrefix(detail, "7."), code == "554", code == "571":
		return evidence.MailBlocked
	case detail == "4.1", detail == "4.2":
		return evidence.MailUnreachable
	case strings.HasPrefix(detail, "4.3"), strings.HasPrefix(detail, "1.8"):
		return evidence.MailDNS
	}
	return evidence.MailOther
}
