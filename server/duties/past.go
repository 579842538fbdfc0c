package duties

import (
	"slices"
	"time"
)

// Stretch is a stretch of the past that was judged again.
type Stretch struct {
	From, To time.Time
	Was      Verdict // before
	Verdict  Verdict
	Why      Message
}

func (s Stretch) cause() Cause { return Turn{Verdict: s.Verdict, Why: s.Why}.Cause() }

// Past is how a duty has turned: as it was judged at the time, what of that was judged
// again by other rules, and what evidence that came late says.
type Past struct {
	Turns []Turn
	Rules []Stretch
	Late  []Stretch
}

// GivenUp is why a duty that has left a board does not apply there.
func GivenUp() Message { return say("service_given_up") }

// Overlay lays stretches, in their order, over turns.
func Overlay(turns []Turn, list []Stretch) []Turn {
	if len(list) == 0 {
		return turns
	}
	var out []Turn
	i := 0
	var under *Turn // the turn in force below
	upto := func(at time.Time) {
		for ; i < len(turns) && turns[i].At.Before(at); i++ {
			under = &turns[i]
			out = append(out, turns[i])
		}
	}
	for n, s := range list {
		upto(s.From)
		out = append(out, Turn{s.From, s.Verdict, s.Why})
		for ; i < len(turns) && !turns[i].At.After(s.To); i++ {
			under = &turns[i]
		}
		if n+1 < len(list) && list[n+1].From.Equal(s.To) {
			continue
		}
		if under != nil {
			out = append(out, Turn{s.To, under.Verdict, under.Why})
		}
	}
	return append(out, turns[i:]...)
}

// Since gives turns from a moment on: the one in force then begins at it.
func Since(turns []Turn, at time.Time) []Turn {
	n := begun(turns, at)
	if n == 0 {
		return turns
	}
	out := slices.Clone(turns[n-1:])
	out[0].At = at
	return out
}

// begun counts the turns up to a moment.
func begun(turns []Turn, at time.Time) int {
	return until(turns, at, func(t Turn) time.Time { return t.At })
}

// Now gives the turns as they count: those of the time, with what was judged again.
func (p Past) Now() []Turn { return Overlay(p.Turns, p.Rules) }

// At is how the duty stood at a moment: as it was known then, and by all evidence that
// has come since; ok is false before it was judged.
func (p Past) At(at time.Time) (known, facts Turn, ok bool) {
	in := func(turns []Turn) (Turn, bool) {
		n := begun(turns, at)
		if n == 0 {
			return Turn{}, false
		}
		return turns[n-1], true
	}
	now := p.Now()
	known, ok = in(now)
	facts, _ = in(Overlay(now, p.Late))
	return known, facts, ok
}

// Roll rolls a duty's past up into windows, as Windows does. A window whose evidence
// came late keeps its verdict, unless that evidence shows a breach, or the party's
// parameter has late evidence count.
func (d Duty) Roll(p Past, from, to, now time.Time, days int, zone *time.Location, lateCounts bool) []Window {
	turns := p.Now()
	list := d.Windows(turns, from, to, now, days, zone)
	if len(p.Rules) > 0 {
		for i, first := range d.Windows(p.Turns, from, to, now, days, zone) {
			list[i].Rules, list[i].First = first.Verdict != list[i].Verdict, first.Verdict
		}
	}
	if len(p.Late) == 0 {
		return list
	}
	for i, facts := range d.Windows(Overlay(turns, p.Late), from, to, now, days, zone) {
		if w := &list[i]; facts.Judged && facts.Verdict != w.Verdict {
			w.Late, w.Facts, w.FactsWhy = true, facts.Verdict, facts.Why
			if facts.Verdict == Breached || lateCounts && w.Verdict == Unproven {
				w.Verdict, w.Why = facts.Verdict, facts.Why
			}
		}
	}
	return list
}

// Differ lists the stretches up to a moment in which the second turns have another
// verdict than the first, with that of the second. Both begin at one moment.
func Differ(was, is []Turn, upto time.Time) []Stretch {
	var out []Stretch
	for i, j := 0, 0; i < len(was) && j < len(is); {
		at, end := is[j].At, upto
		if was[i].At.After(at) {
			at = was[i].At
		}
		moveWas, moveIs := i+1 < len(was), j+1 < len(is)
		if moveWas && was[i+1].At.Before(end) {
			end = was[i+1].At
		}
		if moveIs && is[j+1].At.Before(end) {
			end = is[j+1].At
		}
		if was[i].Verdict != is[j].Verdict && at.Before(end) {
			out = add(out, Stretch{at, end, was[i].Verdict, is[j].Verdict, is[j].Why})
		}
		if !end.Before(upto) {
			break
		}
		if moveWas && was[i+1].At.Equal(end) {
			i++
		}
		if moveIs && is[j+1].At.Equal(end) {
			j++
		}
	}
	return out
}

// add appends a stretch, or makes the last one longer.
func add(list []Stretch, s Stretch) []Stretch {
	if n := len(list); n > 0 && list[n-1].To.Equal(s.From) && list[n-1].Was == s.Was && list[n-1].Verdict == s.Verdict && list[n-1].Why.Key == s.Why.Key && list[n-1].cause() == s.cause() {
		list[n-1].To = s.To
		return list
	}
	return append(list, s)
}
