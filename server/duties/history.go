package duties

import "time"

// Turn is a moment from which a duty has had a verdict.
type Turn struct {
	At      time.Time
	Verdict Verdict
	Why     Message
}

// Cause is why the duty was not proven from then on; empty where it was.
func (t Turn) Cause() Cause { return Finding{Verdict: t.Verdict, Why: t.Why}.Cause() }

// Window is a stretch of time with the verdict that it earned as a whole.
type Window struct {
	From, To time.Time // To excluded; that of the window under way is its end, too
	Verdict  Verdict
	Judged   bool    // false: nobody judged the duty yet, or the window lies in the future
	Why      Message // of the longest stretch with this verdict, the first of equals
	Open     bool    // the window is under way: its verdict may change
	Time     [len(verdictNames)]time.Duration

	// Late says that evidence for the window came too late to be known in it; Facts is
	// what the window is by it, for the reason FactsWhy.
	Late     bool
	Facts    Verdict
	FactsWhy Message
	// Rules says that the window was judged again by other rules; First is what it was
	// at first.
	Rules bool
	First Verdict
}

// Cause is why the window was not proven; empty where it was. A host that looked
// all the same, and delivered late, could not reach the server.
func (w Window) Cause() Cause {
	c := Turn{Verdict: w.Verdict, Why: w.Why}.Cause()
	if c == CauseAgentOff && w.Good() {
		return CauseNetwork
	}
	return c
}

// Good reports whether evidence that came late shows that the duty was met.
func (w Window) Good() bool { return w.Late && (w.Facts == Fulfilled || w.Facts == NoOccasion) }

// continuous duties are watched all the time: each stretch counts for its window.
func (d Duty) continuous() bool { return d.Every > 0 && d.Every < 24*time.Hour }

// Rhythm is the length of a duty's windows in days: those of its cadence, one for
// what is watched continuously or waits for an event.
func (d Duty) Rhythm() int { return max(1, int(d.Every/(24*time.Hour))) }

// Windows rolls the turns of a duty up into windows of some calendar days of a zone,
// from a day (inclusive) to another (exclusive). The last window ends with the period,
// and of several days the one under way ends where today begins, so that a period says
// something of a cadence that is longer. A breach at any moment breaches its window.
// Otherwise a duty that is watched continuously is as good as the weakest moment; any
// other as it stood at the end of the window, when what was due in it had come or not.
// turns are oldest first and begin with the one in force at from.
func (d Duty) Windows(turns []Turn, from, to, now time.Time, days int, zone *time.Location) []Window {
	var list []Window
	start, first := Midnight(from, zone, 0), 0
	for start.Before(to) {
		w := Window{From: start, To: Midnight(start, zone, days)}
		if last := Midnight(to.Add(-1), zone, 1); w.To.After(last) {
			w.To = last
		}
		if today := Midnight(now, zone, 0); w.From.Before(today) && today.Before(w.To) {
			w.To = today
		}
		for first+1 < len(turns) && !turns[first+1].At.After(w.From) {
			first++ // over before this window
		}
		d.fill(&w, turns[first:], now)
		list, start = append(list, w), w.To
	}
	return list
}

func (d Duty) fill(w *Window, turns []Turn, now time.Time) {
	end := w.To
	if w.Open = now.Before(w.To); w.Open {
		end = now
	}
	var stretches []Turn // of the window, at their starts
	for i, t := range turns {
		if !t.At.Before(end) {
			break
		}
		until := end
		if i+1 < len(turns) && turns[i+1].At.Before(end) {
			until = turns[i+1].At
		}
		start := t.At
		if start.Before(w.From) {
			start = w.From
		}
		if !start.Before(until) {
			continue
		}
		w.Time[t.Verdict] += until.Sub(start)
		stretches = append(stretches, Turn{start, t.Verdict, t.Why})
	}
	if len(stretches) == 0 {
		return
	}
	w.Judged, w.Verdict = true, NotApplicable
	for _, s := range stretches {
		switch { // what did not apply for a while takes nothing from what was owed for the rest
		case w.Verdict == Breached || s.Verdict == NotApplicable:
		case s.Verdict == Breached, !d.continuous(), s.Verdict.strength() < w.Verdict.strength():
			w.Verdict = s.Verdict
		}
	}
	var longest time.Duration
	for i, s := range stretches {
		until := end
		if i+1 < len(stretches) {
			until = stretches[i+1].At
		}
		if s.Verdict == w.Verdict && until.Sub(s.At) > longest {
			longest, w.Why = until.Sub(s.At), s.Why
		}
	}
}

// Continuity says how much of a period was proven.
type Continuity struct {
	Windows  int // that have ended and were judged
	Count    [len(verdictNames)]int
	Before   int // windows before the duty was judged for the first time
	Gaps     []Gap
	Covered  int // windows that were fulfilled or had no occasion
	Expected int // windows that had to be covered: those that applied
	Late     int // of the unproven windows those that were met by evidence that came late
}

// Gap is a stretch of windows that were not covered, for one reason.
type Gap struct {
	From, To time.Time
	Windows  int
	Verdict  Verdict
	Cause    Cause
	Late     bool // evidence that came late shows that the duty was met
	Why      Message
}

// Sum counts windows; the one under way does not count yet.
func Sum(list []Window) Continuity {
	var c Continuity
	for _, w := range list {
		switch {
		case w.Open:
			continue
		case !w.Judged:
			c.Before++
			continue
		}
		c.Windows++
		c.Count[w.Verdict]++
		if w.Verdict != NotApplicable {
			c.Expected++
		}
		switch w.Verdict {
		case Fulfilled, NoOccasion:
			c.Covered++
		case Breached, Unproven:
			late := w.Good() && w.Verdict == Unproven
			if late {
				c.Late++
			}
			g := Gap{w.From, w.To, 1, w.Verdict, w.Cause(), late, w.Why}
			if n := len(c.Gaps); n > 0 && c.Gaps[n-1].continues(g) {
				c.Gaps[n-1].To, c.Gaps[n-1].Windows = w.To, c.Gaps[n-1].Windows+1
			} else {
				c.Gaps = append(c.Gaps, g)
			}
		}
	}
	return c
}

// continues reports whether the next window's gap is more of the same: for the same cause,
// and met all the same or not.
func (g Gap) continues(next Gap) bool {
	return g.To.Equal(next.From) && g.Verdict == next.Verdict && g.Late == next.Late && g.Cause == next.Cause && g.Why.Key == next.Why.Key
}
