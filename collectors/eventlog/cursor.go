package eventlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/attesto/attesto/evidence"
)

const (
	cursorVersion = 2
	maxCursor     = 512 << 10
)

// cursor is where the next look goes on.
type cursor struct {
	V       int                 `json:"v"`
	Until   time.Time           `json:"until"`             // all before was read
	Journal string              `json:"journal,omitempty"` // journald's own cursor
	Written time.Time           `json:"written,omitzero"`  // time of the journal's last entry
	Kernel  time.Time           `json:"kernel,omitzero"`   // time of the ring buffer's last message
	Checked time.Time           `json:"checked,omitzero"`  // when the journal's hashes were compared last
	Files   map[string]fileMark `json:"files"`
	Bursts  []burstMark         `json:"bursts,omitempty"`
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
	// Mid says that Offset lies within a line that was too long to wait for its end.
	Mid bool `json:"mid,omitempty"`
	// Old is the file's predecessor, read to its end right after rotation: its
	// writer may have added to it until told of the rotation.
	Old *fileMark `json:"old,omitempty"`
}

func (m fileMark) check() error {
	if m.Offset < 0 || m.HeadN < 0 || m.HeadN > headBytes || m.HeadN > m.Offset {
		return fmt.Errorf("offset %d, head %d", m.Offset, m.HeadN)
	}
	if m.Old == nil {
		return nil
	}
	if m.Old.Old != nil {
		return errors.New("a predecessor of a predecessor")
	}
	return m.Old.check()
}

func readCursor(b []byte) (cursor, error) {
	if len(b) == 0 {
		return cursor{}, nil
	}
	if len(b) > maxCursor {
		return cursor{}, fmt.Errorf("%d bytes, over the limit of %d", len(b), maxCursor)
	}
	if err := evidence.CheckJSON(b); err != nil {
		return cursor{}, err
	}
	var v struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return cursor{}, err
	}
	if v.V != cursorVersion {
		return cursor{}, fmt.Errorf("version %d, want %d", v.V, cursorVersion)
	}
	var c cursor
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return cursor{}, err
	}
	for path, m := range c.Files {
		if err := m.check(); err != nil {
			return cursor{}, fmt.Errorf("%s: %w", path, err)
		}
	}
	for _, m := range c.Bursts {
		if err := m.check(); err != nil {
			return cursor{}, err
		}
	}
	return c, nil
}

func (c cursor) encode() ([]byte, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encoding the event log collector's cursor: %w", err)
	}
	return b, nil
}
