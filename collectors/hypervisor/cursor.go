package hypervisor

import (
	"encoding/json"
	"fmt"
	"time"
)

// cursor keeps the list of backups between two looks: asking for it takes long.
type cursor struct {
	V       int       `json:"v"`
	Asked   time.Time `json:"asked,omitzero"`
	Backups stored    `json:"backups,omitempty"`
	Whole   bool      `json:"whole"` // every store of backups answered
}

const (
	cursorVersion = 1
	backupsEvery  = time.Hour
)

// readCursor takes any cursor that it does not understand for none: all that is lost is
// work.
func readCursor(b []byte) cursor {
	var c cursor
	if len(b) == 0 || json.Unmarshal(b, &c) != nil || c.V != cursorVersion {
		return cursor{V: cursorVersion}
	}
	return c
}

func (c cursor) encode() ([]byte, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encoding the hypervisor collector's cursor: %w", err)
	}
	return b, nil
}

func (c cursor) due(now time.Time) bool {
	return c.Asked.IsZero() || c.Asked.After(now) || now.Sub(c.Asked) >= backupsEvery
}
