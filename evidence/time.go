package evidence

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Existence is when a record came to be, by what is signed and logged alone: not
// before the log's head that it names, which nobody could know earlier, and not after
// its own entry.
type Existence struct {
	NotBefore time.Time // zero: it names an empty log, so there is no such bound
	NotAfter  time.Time
}

// ExistenceOf finds the interval of a record from its entry's time and the time of
// the newest entry (number named.Size-1) of the head that it names. index is its own.
func ExistenceOf(named Head, newest Time, index int64, entry Time) (Existence, error) {
	switch {
	case named.Size < 0 || index < 0:
		return Existence{}, fmt.Errorf("existence: entry %d names a log of %d entries", index, named.Size)
	case named.Size > index:
		return Existence{}, fmt.Errorf("existence: entry %d names a log of %d entries: it cannot have seen itself", index, named.Size)
	case named.Size == 0:
		return Existence{NotAfter: entry.Time}, nil
	case newest.After(entry.Time):
		return Existence{}, fmt.Errorf("existence: entry %d is of %s, the log that it names ended later, at %s", index, entry.Format(timeLayout), newest.Format(timeLayout))
	}
	return Existence{NotBefore: newest.Time, NotAfter: entry.Time}, nil
}

// Place is an agent's own time as far as it can be believed: inside the interval. It
// reports how far outside the agent's clock stood, below zero for too early.
func (x Existence) Place(clock time.Time) (believed time.Time, off time.Duration) {
	switch {
	case clock.Before(x.NotBefore):
		return x.NotBefore, clock.Sub(x.NotBefore)
	case clock.After(x.NotAfter):
		return x.NotAfter, clock.Sub(x.NotAfter)
	}
	return clock, 0
}

// StepLimit is from where on ClockStep speaks of a clock that was set, not of one
// that was slewed.
const StepLimit = 10 * time.Second

// ClockStep finds out how far a host's clock was set between two of its records:
// what the wall clock went on beyond what passed since the boot. Above StepLimit,
// either way, the clock stepped. It reports false when that cannot be told, as over
// a restart.
func ClockStep(prev, next Clock) (time.Duration, bool) {
	if prev.BootID == "" || prev.BootID != next.BootID || prev.Now.IsZero() || next.Now.IsZero() {
		return 0, false
	}
	return next.Now.Sub(prev.Now.Time) - time.Duration(next.UptimeMs-prev.UptimeMs)*time.Millisecond, true
}

// Stamp is what one anchor says of a log's times. The head of Size entries was
// there at Stamped, by a clock that is not the server's; that it was the newest one at
// Anchored is the server's own word, given before Stamped. Whoever would date an entry
// back must have had this word waiting for that long.
type Stamp struct {
	Size     int64
	Anchored time.Time // of the anchor entry
	Stamped  time.Time // of the token, or of an outside witness' cosignature
}

// Gap is how long the server's word waited for the outside's.
func (s Stamp) Gap() time.Duration { return s.Stamped.Sub(s.Anchored) }

// Stamps are a log's stamps, put in order by NewStamps.
type Stamps struct{ list []Stamp }

// NewStamps sorts stamps and refuses those that contradict each other. slack is how
// much server and time-stamping authority may differ.
func NewStamps(list []Stamp, slack time.Duration) (Stamps, error) {
	s := Stamps{slices.Clone(list)}
	slices.SortStableFunc(s.list, func(a, b Stamp) int {
		if a.Size != b.Size {
			return int(min(max(a.Size-b.Size, -1), 1))
		}
		return a.Stamped.Compare(b.Stamped)
	})
	for i, t := range s.list {
		if t.Size < 0 || t.Anchored.IsZero() || t.Stamped.IsZero() {
			return s, errors.New("time stamp: no size or no time")
		}
		if t.Gap() < -slack {
			return s, fmt.Errorf("time stamp at %d entries: of %s, but anchored only at %s", t.Size, t.Stamped.UTC().Format(timeLayout), t.Anchored.UTC().Format(timeLayout))
		}
		if i > 0 && t.Size > s.list[i-1].Size && t.Anchored.Before(s.list[i-1].Anchored) {
			return s, fmt.Errorf("time stamps: %d entries were anchored at %s, %d only at %s", t.Size, t.Anchored.UTC().Format(timeLayout),
				s.list[i-1].Size, s.list[i-1].Anchored.UTC().Format(timeLayout))
		}
	}
	return s, nil
}

// Check holds an entry's time against the stamps around it: an entry below a
// stamp's size is not younger than the stamp; one that came after is not older than
// the anchoring.
func (s Stamps) Check(index int64, at time.Time, slack time.Duration) error {
	before, after := s.around(index)
	if after != nil && at.After(after.Stamped.Add(slack)) {
		return fmt.Errorf("entry %d says %s, but was there at %s by an outside clock", index, at.UTC().Format(timeLayout), after.Stamped.UTC().Format(timeLayout))
	}
	if before != nil && at.Before(before.Anchored.Add(-slack)) {
		return fmt.Errorf("entry %d says %s, but was not there at %s, when the log of %d entries was anchored", index, at.UTC().Format(timeLayout),
			before.Anchored.UTC().Format(timeLayout), before.Size)
	}
	return nil
}

// Bounds are the times between which the stamps place an entry; zero for none. The
// later one needs no trust in the server.
func (s Stamps) Bounds(index int64) (notBefore, notAfter time.Time) {
	before, after := s.around(index)
	if before != nil {
		notBefore = before.Anchored
	}
	if after != nil {
		notAfter = after.Stamped
	}
	return notBefore, notAfter
}

// around finds the last stamp that does not cover an entry and, of those that do,
// the one of the earliest time.
func (s Stamps) around(index int64) (before, after *Stamp) {
	n, _ := slices.BinarySearchFunc(s.list, index+1, func(t Stamp, size int64) int { return int(min(max(t.Size-size, -1), 1)) })
	if n > 0 {
		before = &s.list[n-1]
	}
	if n < len(s.list) {
		after = &s.list[n]
	}
	return before, after
}
