// Package hosttest holds what the tests of all collectors share: what fuzzing demands of a
// parser, and that real tools are there.
package hosttest

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// A parser may allocate, in all while it runs, slack bytes and factor times as many as
// its input has, beside twice what it allocates for no input (rules that it compiles).
// The factor is of the costliest form: a list of JSON objects of three bytes that each
// become a structure.
const (
	slack  = 512 << 10
	factor = 500
)

// Bound holds a parser of outside bytes to what it may allocate.
type Bound struct {
	name  string
	parse func([]byte)
	none  uint64 // what it allocates for no input
}

// NewBound measures what parse allocates for no input, once what it sets up only the
// first time is there.
func NewBound(name string, parse func([]byte)) Bound {
	parse(nil)
	return Bound{name, parse, allocated(parse, nil)}
}

// Check parses b and fails t when that allocated too much. The race detector has what
// is pooled thrown away at random, so that nothing is measured under it.
func (p Bound) Check(t testing.TB, b []byte) {
	t.Helper()
	if raced {
		p.parse(b)
		return
	}
	most, n := 2*p.none+slack+factor*uint64(len(b)), uint64(0)
	for range 3 { // what was set up for the first such input does not count
		if n = allocated(p.parse, b); n <= most {
			break
		}
	}
	if n > most {
		t.Fatalf("%s: %d bytes were allocated to read %d, at most %d may be", p.name, n, len(b), most)
	}
}

// allocated counts bytes, those that were freed meanwhile too.
func allocated(parse func([]byte), b []byte) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	parse(b)
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// FuzzFormats feeds each format what comes: what it makes of it must be sound facts,
// and cost no more than Bound allows.
func FuzzFormats(f *testing.F, formats []host.Format, at time.Time) {
	var failed error
	bounds := make([]Bound, len(formats))
	for i, format := range formats {
		bounds[i] = NewBound(format.Name, func(b []byte) { failed = sound(format, b, at) })
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, bound := range bounds {
			if bound.Check(t, b); failed != nil {
				t.Fatalf("%s: %v", bound.name, failed)
			}
		}
	})
}

// sound reads b, and says what is wrong with what came of it.
func sound(format host.Format, b []byte, at time.Time) error {
	look, unread := format.Parse(b, at)
	if unread != nil || look.Facts == nil {
		return nil //nolint:nilerr // foreign bytes may be refused
	}
	if _, err := evidence.FactsBlob(look.Facts, look.Gaps); err != nil {
		return err
	}
	if _, err := evidence.DetailBlob(look.Detail); err != nil && len(b) < wholeDetail {
		return fmt.Errorf("detail: %w", err)
	}
	return nil
}

// wholeDetail is how long an input may be whose whole detail must fit into a blob; a look
// of a collector cuts a longer one.
const wholeDetail = 1 << 16
