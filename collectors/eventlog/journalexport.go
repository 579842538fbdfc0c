package eventlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"github.com/attesto/attesto/collectors/host"
)

func (c captured) explainExport(data []byte, _ time.Time) (host.Look, error) {
	return c.explain(data, journalName, func(data []byte, each func(Event), foreign func()) (entries int64) {
		for len(data) > 0 {
			e, rest, err := ParseExport(data)
			data = rest
			if errors.Is(err, errNoEntry) {
				continue
			}
			entries++
			if err != nil {
				foreign()
				continue
			}
			each(e)
		}
		return entries
	})
}

var (
	errNoEntry  = errors.New("an empty line")
	errCutEntry = errors.New("journal entry: cut off in the middle of a field")
)

// ParseExport reads the first entry of systemd's Journal Export Format: lines
// KEY=text, or KEY, a length of 64 bits (little endian) and so many bytes; an empty
// line ends an entry. What looks like a field inside a field's bytes is none. It
// returns what follows the entry, always less than data.
func ParseExport(data []byte) (e Event, rest []byte, err error) {
	if len(data) == 0 {
		return Event{}, nil, errCutEntry
	}
	if data[0] == '\n' {
		return Event{}, data[1:], errNoEntry
	}
	fields := map[string][]byte{}
	for len(data) > 0 && data[0] != '\n' {
		line, after, whole := bytes.Cut(data, []byte("\n"))
		if key, value, plain := bytes.Cut(line, []byte("=")); plain && whole {
			keep(fields, key, value)
			data = after
			continue
		}
		if !whole || len(after) < 8 {
			return Event{}, nil, errCutEntry
		}
		size := binary.LittleEndian.Uint64(after)
		if after = after[8:]; size >= uint64(len(after)) || after[size] != '\n' {
			return Event{}, nil, errCutEntry
		}
		keep(fields, line, after[:size])
		data = after[size+1:]
	}
	if len(data) > 0 {
		data = data[1:]
	}
	micros, err := strconv.ParseInt(string(fields["__REALTIME_TIMESTAMP"]), 10, 64)
	if err != nil || micros < 0 || micros > 1<<55 {
		return Event{}, data, errors.New("journal entry: no time in it")
	}
	e = Event{Time: time.UnixMicro(micros), Repeat: 1, Message: fields["MESSAGE"]}
	for _, name := range []string{"SYSLOG_IDENTIFIER", "_COMM"} {
		if e.Program == "" {
			e.Program = string(fields[name])
		}
	}
	if e.Program == "" && string(fields["_TRANSPORT"]) == kernelName {
		e.Program = kernelName
	}
	e.unrepeat()
	return e, data, nil
}

// keep takes the first of each field that rules need.
func keep(fields map[string][]byte, key, value []byte) {
	switch k := string(key); k {
	case "__REALTIME_TIMESTAMP", "MESSAGE", "SYSLOG_IDENTIFIER", "_COMM", "_TRANSPORT":
		if _, twice := fields[k]; !twice {
			fields[k] = value
		}
	}
}
