package eventlog

import (
	"fmt"
	"time"

	"github.com/attesto/attesto/evidence"
)

// source is the reading of one log in one look.
type source struct {
	*look
	what     string // its name in gaps and facts
	read     evidence.LogSource
	followed bool  // read on from where the last look ended
	lost     int64 // messages that say that the log itself is incomplete
	lossy    string
	early    time.Time // of all times seen
	late     time.Time
}

func (l *look) newSource(name string) source {
	return source{look: l, what: name, read: evidence.LogSource{Source: name, Whole: true}}
}

func (s *source) unwhole(why string) {
	s.read.Whole = false
	s.gap(s.what, why)
}

func (s *source) saw(at time.Time) {
	if s.early.IsZero() || at.Before(s.early) {
		s.early = at
	}
	if at.After(s.late) {
		s.late = at
	}
}

// take counts an event. Of a log that is followed from where it was read last, all
// that comes is new, however old its stamp; of one that is read for the first
// time, only what lies within the window counts. It reports whether a rule matched.
func (s *source) take(e Event) bool {
	if !s.followed && e.Time.Before(s.from) {
		return false
	}
	if e.Time.After(s.now.Add(time.Minute)) {
		e.Time = s.now // a stamp from the future: the event is here, its time is not to be believed
	}
	if s.following != nil {
		s.following.Take(e)
		return false
	}
	matches := s.engine.Match(e)
	for _, m := range matches {
		s.tally.add(m, e)
		if m.Rule.Loss {
			s.lost += e.Repeat
			s.lossy = m.Rule.ID
		}
	}
	return len(matches) > 0
}

// cutShort notes that the rest waits for the next look.
func (s *source) cutShort() {
	if s.late.IsZero() || s.late.Before(s.from) {
		s.unwhole(fmt.Sprintf("over %d bytes, or more than time allowed, came since the last look; the rest follows with the next one", s.cfg.MaxBytes))
		return
	}
	s.until(s.late)
}

// done adds the source to the facts.
func (s *source) done() {
	if s.lost > 0 {
		s.unwhole(fmt.Sprintf("it says itself, %d times (rule %s), that messages were dropped; raise its rate limit", s.lost, s.lossy))
	}
	if !s.early.IsZero() {
		from, to := evidence.At(s.early), evidence.At(s.late)
		s.read.From, s.read.To = &from, &to
	}
	s.facts.Sources = append(s.facts.Sources, s.read)
}
