package restore

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/attesto/attesto/collectors/backup"
	"github.com/attesto/attesto/evidence"
)

// cursor is what one look leaves to the next: the last test of each repository, so that
// a look between two tests can repeat it.
type cursor struct {
	V    int                 `json:"v"`
	Jobs map[string]*outcome `json:"jobs"`
}

// outcome is how a test went.
type outcome struct {
	Test   evidence.RestoreTest `json:"test"`
	Detail TestDetail           `json:"detail"`
	Tried  time.Time            `json:"tried,omitzero"`
}

const (
	cursorVersion = 1
	again         = 23 * time.Hour // after a test that did not go well
)

// readCursor takes any cursor that it does not understand for none: then each repository
// is tested anew.
func readCursor(b []byte) cursor {
	var c cursor
	if len(b) == 0 || json.Unmarshal(b, &c) != nil || c.V != cursorVersion || c.Jobs == nil {
		return cursor{V: cursorVersion, Jobs: map[string]*outcome{}}
	}
	return c
}

func (c cursor) of(r backup.Repository) *outcome {
	o := c.Jobs[r.Name]
	if o == nil || o.Test.Tool != r.Tool || (evidence.Restore{Tests: []evidence.RestoreTest{o.Test}}).Validate() != nil {
		o = &outcome{Test: blank(r), Detail: TestDetail{Job: r.Name}}
		c.Jobs[r.Name] = o
	}
	return o
}

func blank(r backup.Repository) evidence.RestoreTest {
	return evidence.RestoreTest{Job: r.Name, Tool: r.Tool, Result: evidence.BackupUnknown, Reasons: []string{evidence.ReasonTimeout}, Encryption: "unknown"}
}

// keep takes the outcome of a test in, with what is known of the last good one.
func (c cursor) keep(r backup.Repository, o outcome, now time.Time) {
	last := c.of(r).Test.LastGood
	o.Tried = now
	at := evidence.At(now)
	o.Test.At, o.Test.LastGood = &at, last
	if last != nil && last.After(now) {
		o.Test.LastGood = nil // the clock was set back: that one proves nothing
	}
	if o.Test.Result == evidence.BackupOK {
		o.Test.LastGood = &at
	}
	if err := (evidence.Restore{Tests: []evidence.RestoreTest{o.Test}}).Validate(); err != nil {
		b := blank(r)
		b.At, b.LastGood, b.Reasons = o.Test.At, o.Test.LastGood, []string{evidence.ReasonBadOutput}
		o.Test, o.Detail.Message = b, err.Error()
	}
	c.Jobs[r.Name] = &o
}

func (o *outcome) due(now time.Time, interval time.Duration) bool {
	if o.Test.Result != evidence.BackupOK {
		interval = min(interval, again)
	}
	return o.Tried.IsZero() || o.Tried.After(now) || now.Sub(o.Tried) >= interval
}

func (c cursor) anyDue(repositories []backup.Repository, now time.Time, interval time.Duration) bool {
	return slices.ContainsFunc(repositories, func(r backup.Repository) bool { return c.of(r).due(now, interval) })
}

// encode writes the cursor, without jobs that are gone.
func (c cursor) encode(repositories []backup.Repository) ([]byte, error) {
	for name := range c.Jobs {
		if !slices.ContainsFunc(repositories, func(r backup.Repository) bool { return r.Name == name }) {
			delete(c.Jobs, name)
		}
	}
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encoding the cursor of restore tests: %w", err)
	}
	return b, nil
}
