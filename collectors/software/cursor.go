package software

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// cursor keeps since when things wait: each look carries over what still waits
// and forgets the rest.
type cursor struct {
	last map[string]int64 // by key, Unix milliseconds
	next map[string]int64
}

type cursorForm struct {
	V     int              `json:"v"`
	Since map[string]int64 `json:"since"`
}

const cursorVersion = 1

// readCursor reads what the last look left. One that cannot be read is an error,
// with a new cursor: the ages of what waits are then lost.
func readCursor(b []byte) (*cursor, error) {
	c := &cursor{last: map[string]int64{}, next: map[string]int64{}}
	if len(b) == 0 {
		return c, nil
	}
	var form cursorForm
	if err := json.Unmarshal(b, &form); err != nil || form.V != cursorVersion || form.Since == nil {
		return c, errors.New("what the last look remembered cannot be read: the ages of what waits begin anew")
	}
	c.last = form.Since
	return c, nil
}

// first is since when key holds, and remembers it. A moment in the future, as
// after a clock was set back, is taken for now.
func (c *cursor) first(key string, now time.Time) time.Time {
	since := now
	if ms, ok := c.last[key]; ok && ms > 0 && ms < now.UnixMilli() {
		since = time.UnixMilli(ms)
	}
	c.next[key] = since.UnixMilli()
	return since
}

// keep carries over all keys that begin with prefix: what could not be seen this time.
func (c *cursor) keep(prefix string) {
	for key, ms := range c.last {
		if strings.HasPrefix(key, prefix) && len(c.next) < maxPackages {
			c.next[key] = ms
		}
	}
}

func (c *cursor) encode() ([]byte, error) {
	return json.Marshal(cursorForm{V: cursorVersion, Since: maps.Clone(c.next)})
}

// keepAges carries over the ages of a manager's updates when they could not be seen.
func (l *look) keepAges(manager string) { l.cursor.keep("update " + manager + " ") }

// age dates each update by when this host first saw one wait for the installed
// version. A newer candidate does not begin the wait anew; a security update
// begins one of its own where another had waited before.
func (l *look) age() {
	for i := range l.pending {
		u := &l.pending[i]
		key := "update " + u.Manager + " " + u.Name + " " + u.Installed
		if u.Security {
			key += " security"
		}
		// Metadata that dates an update tells of a longer wait than this host's own memory.
		if at := evidence.At(l.cursor.first(key, l.now)); u.Since == nil || at.Before(u.Since.Time) {
			u.Since = &at
		}
	}
}
