package eventlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

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
// is not text, or an array of those when it stands more than once.
func ParseJournal(line []byte) (e Event, cursor string, err error) {
	var j journalLine
	if err := json.Unmarshal(line, &j); err != nil {
		return Event{}, "", fmt.Errorf("journal entry: %w", err)
	}
	micros, err := strconv.ParseInt(j.Realtime, 10, 64)
	if err != nil || micros < 0 || micros > 1<<55 {
		return Event{}, j.Cursor, fmt.Errorf("journal entry: time %q, want microseconds since 1970", j.Realtime)
	}
	e = Event{Time: time.UnixMicro(micros), Repeat: 1}
	if e.Message, err = journalField(j.Message); err != nil {
		return Event{}, j.Cursor, fmt.Errorf("journal entry: MESSAGE: %w", err)
	}
	for _, raw := range []json.RawMessage{j.Ident, j.Comm} {
		name, err := journalField(raw)
		if err == nil && len(name) > 0 {
			e.Program = string(name)
			break
		}
	}
	if transport, err := journalField(j.Transport); err == nil && e.Program == "" && string(transport) == "kernel" {
		e.Program = "kernel"
	}
	e.unrepeat()
	return e, j.Cursor, nil
}

var errField = errors.New("want a text, null, an array of bytes, or an array of those")

func journalField(raw json.RawMessage) ([]byte, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	switch raw[0] {
	case '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, err
		}
		return []byte(s), nil
	case '[':
		var many []json.RawMessage
		if err := json.Unmarshal(raw, &many); err != nil {
			return nil, err
		}
		if len(many) == 0 || many[0][0] == '"' || many[0][0] == 'n' {
			return firstText(many)
		}
		if many[0][0] == '[' {
			return byteArray(many[0])
		}
		return byteArray(raw)
	}
	return nil, errField
}

func firstText(many []json.RawMessage) ([]byte, error) {
	if len(many) == 0 || many[0][0] == 'n' {
		return nil, nil
	}
	var s string
	err := json.Unmarshal(many[0], &s)
	return []byte(s), err
}

func byteArray(raw json.RawMessage) ([]byte, error) {
	var numbers []uint16
	if err := json.Unmarshal(raw, &numbers); err != nil {
		return nil, errField
	}
	b := make([]byte, len(numbers))
	for i, n := range numbers {
		if n > 255 {
			return nil, errField
		}
		b[i] = byte(n)
	}
	return b, nil
}
