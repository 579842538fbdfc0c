package eventlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Event is one message of a log.
type Event struct {
	Time    time.Time
	Program string // syslog identifier without its process id
	Message []byte
}

var errForm = errors.New("not a syslog line")

// ParseSyslog reads a line of a syslog file: the traditional form of RFC 3164
// ("Nov 23 03:00:00 host program[pid]: message", local time without a year) or
// rsyslog's RFC 3339 form. The year is the one that puts the line at most a day
// after now and closest to it.
func ParseSyslog(line []byte, now time.Time) (Event, error) {
	at, rest, err := stamp(line, now)
	if err != nil {
		return Event{}, err
	}
	_, rest, ok := bytes.Cut(rest, []byte(" ")) // host
	if !ok {
		return Event{}, errForm
	}
	tag, msg, ok := bytes.Cut(rest, []byte(": "))
	if !ok {
		if tag, ok = bytes.CutSuffix(rest, []byte(":")); !ok {
			return Event{}, errForm
		}
	}
	if bytes.IndexByte(tag, ' ') >= 0 {
		return Event{}, errForm
	}
	program, _, _ := bytes.Cut(tag, []byte("["))
	if string(program) == "kernel" {
		msg = withoutUptime(msg)
	}
	return Event{at, string(program), msg}, nil
}

// withoutUptime drops the kernel's own "[12345.678901] " before a message.
func withoutUptime(msg []byte) []byte {
	if len(msg) > 0 && msg[0] == '[' {
		if end := bytes.Index(msg, []byte("] ")); end > 0 && end < 20 {
			return msg[end+2:]
		}
	}
	return msg
}

func stamp(line []byte, now time.Time) (time.Time, []byte, error) {
	if len(line) > 16 && line[3] == ' ' && line[6] == ' ' && line[15] == ' ' {
		t, err := time.ParseInLocation("Jan _2 15:04:05", string(line[:15]), now.Location())
		if err == nil {
			return withYear(t, now), line[16:], nil
		}
	}
	word, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok || len(word) < 19 {
		return time.Time{}, nil, errForm
	}
	t, err := time.Parse(time.RFC3339Nano, string(word))
	if err != nil {
		return time.Time{}, nil, errForm
	}
	return t, rest, nil
}

func withYear(t, now time.Time) time.Time {
	at := func(year int) time.Time {
		return time.Date(year, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, now.Location())
	}
	this := at(now.Year())
	if this.After(now.Add(24 * time.Hour)) {
		return at(now.Year() - 1)
	}
	if next := at(now.Year() + 1); !next.After(now.Add(24 * time.Hour)) {
		return next
	}
	return this
}

// journalLine is what we ask journalctl -o json for.
type journalLine struct {
	Cursor    string          `json:"__CURSOR"`
	Realtime  string          `json:"__REALTIME_TIMESTAMP"` // microseconds since 1970
	Ident     json.RawMessage `json:"SYSLOG_IDENTIFIER"`
	Comm      json.RawMessage `json:"_COMM"`
	Transport json.RawMessage `json:"_TRANSPORT"`
	Message   json.RawMessage `json:"MESSAGE"`
}

// ParseJournal reads one line of journalctl -o json (systemd's Journal JSON
// Format): a field is a string, null when it was too long, an array of bytes when it
// is not UTF-8, or an array of those when it stands more than once.
func ParseJournal(line []byte) (e Event, cursor string, err error) {
	var j journalLine
	if err := json.Unmarshal(line, &j); err != nil {
		return Event{}, "", fmt.Errorf("journal line: %w", err)
	}
	micros, err := strconv.ParseInt(j.Realtime, 10, 64)
	if err != nil {
		return Event{}, j.Cursor, fmt.Errorf("journal line: time %q", j.Realtime)
	}
	program := string(field(j.Ident))
	if program == "" {
		program = string(field(j.Comm))
	}
	if program == "" && string(field(j.Transport)) == "kernel" {
		program = "kernel"
	}
	return Event{time.UnixMicro(micros), program, field(j.Message)}, j.Cursor, nil
}

func field(raw json.RawMessage) []byte {
	if len(raw) == 0 || raw[0] == 'n' {
		return nil
	}
	if raw[0] == '"' {
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return nil
		}
		return []byte(s)
	}
	var numbers []int
	if json.Unmarshal(raw, &numbers) == nil {
		b := make([]byte, len(numbers))
		for i, n := range numbers {
			b[i] = byte(n)
		}
		return b
	}
	var many []json.RawMessage
	if json.Unmarshal(raw, &many) != nil || len(many) == 0 || bytes.Equal(many[0], raw) {
		return nil
	}
	return field(many[0])
}
