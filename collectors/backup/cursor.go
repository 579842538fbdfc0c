package backup

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/attesto/attesto/evidence"
)

// cursor is what one look leaves to the next: sizes that are costly to ask for,
// and the last integrity check.
type cursor struct {
	V    int                  `json:"v"`
	Jobs map[string]*remember `json:"jobs"`
}

// remember is what is kept of one repository.
type remember struct {
	Sizes map[string]Size `json:"sizes,omitempty"` // by point
	// Tried is when a check was last started; Check is its result, or that of
	// the last one that came to an end.
	Tried  time.Time          `json:"tried,omitzero"`
	Result evidence.Integrity `json:"result"`
	Late   bool               `json:"late,omitempty"` // the last one tried did not come to an end
}

const cursorVersion = 1

// readCursor takes any cursor that it does not understand for none: all that is
// lost is work.
func readCursor(b []byte) cursor {
	var c cursor
	if len(b) == 0 || json.Unmarshal(b, &c) != nil || c.V != cursorVersion || c.Jobs == nil {
		return cursor{V: cursorVersion, Jobs: map[string]*remember{}}
	}
	return c
}

func (c cursor) of(name string) *remember {
	r := c.Jobs[name]
	if r == nil {
		r = &remember{}
		c.Jobs[name] = r
	}
	if r.Sizes == nil {
		r.Sizes = map[string]Size{}
	}
	if r.Result.Result == "" {
		r.Result.Result = evidence.BackupUnknown
	}
	return r
}

// encode writes the cursor, without jobs that are gone.
func (c cursor) encode(names []string) ([]byte, error) {
	for name := range c.Jobs {
		if !slices.Contains(names, name) {
			delete(c.Jobs, name)
		}
	}
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encoding the backup collector's cursor: %w", err)
	}
	return b, nil
}

// fill gives points the sizes that were asked for before, and forgets those of
// points that are gone.
func (r *remember) fill(points []Point) {
	kept := map[string]Size{}
	for i := range points {
		if s, ok := r.Sizes[points[i].ID]; ok {
			kept[points[i].ID] = s
			if points[i].Size.By == "" {
				points[i].Size = s
			}
		}
	}
	r.Sizes = kept
}

// due tells whether an integrity check is to be made: on the first look, at the
// configured interval, and daily while the last one found damage.
func (r *remember) due(now time.Time, every time.Duration) bool {
	if r.Result.Result == evidence.BackupFailed {
		every = min(every, 24*time.Hour)
	}
	return r.Tried.IsZero() || r.Tried.After(now) || now.Sub(r.Tried) >= every
}
