package eventlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

const (
	cursorVersion = 1
	maxCursor     = 256 << 10
)

// cursor is where the next look goes on.
type cursor struct {
	V           int                 `json:"v"`
	Until       time.Time           `json:"until"`
	Journal     string              `json:"journal,omitempty"` // journald's own cursor
	JournalTime time.Time           `json:"journalTime,omitzero"`
	Kernel      time.Time           `json:"kernel,omitzero"` // last message of the ring buffer
	Files       map[string]fileMark `json:"files"`
}

// fileMark is how far a file was read, and how to know it again: by its inode,
// its first bytes, and the bytes before the offset.
type fileMark struct {
	Dev    uint64 `json:"dev"`
	Inode  uint64 `json:"ino"`
	Offset int64  `json:"off"`
	Head   string `json:"head"` // digest of the first HeadN bytes
	HeadN  int64  `json:"headN"`
	Tail   string `json:"tail"` // digest of the up to 256 bytes before Offset
}

func readCursor(b []byte) (cursor, error) {
	var c cursor
	if len(b) == 0 {
		return c, nil
	}
	if len(b) > maxCursor {
		return c, fmt.Errorf("%d bytes are too many", len(b))
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return cursor{}, err
	}
	if c.V != cursorVersion {
		return cursor{}, fmt.Errorf("version %d, this agent knows %d", c.V, cursorVersion)
	}
	for path, m := range c.Files {
		if m.Offset < 0 || m.HeadN < 0 || m.HeadN > headBytes {
			return cursor{}, fmt.Errorf("%s: offset %d, head %d", path, m.Offset, m.HeadN)
		}
	}
	return c, nil
}

func (c cursor) encode() []byte {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings, numbers and times only
	}
	return b
}
