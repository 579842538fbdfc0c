package alert

import (
	"slices"
	"strconv"
	"time"
)

const (
	// Flapping is within which time firings of one key are counted.
	Flapping = 24 * time.Hour
	// calmFor is how long an unsteady alert's asset must be in order until it ends.
	calmFor = time.Hour
	// unsteady is how often an alert fires within Flapping until it is unsteady.
	unsteady = 3
)

// Unsteady reports whether an alert has come and gone so often that it stays until its
// asset was in order for a while.
func (a Alert) Unsteady() bool { return a.Fired >= unsteady }

// often is how often an unsteady alert has fired; empty for others.
func (a Alert) often() string {
	if !a.Unsteady() {
		return ""
	}
	return strconv.Itoa(a.Fired)
}

// Damp divides what a plan has to resolve: ended are those that end now, turned are
// unsteady ones whose Calm is another now, and due is when an unsteady one may end by time
// alone, zero for never. open are all open alerts of the duty.
//
// Calm is without a break: what is out of order, and what nobody can tell, begins it anew.
func Damp(open, resolve []Alert, at time.Time) (ended, turned []Alert, due time.Time) {
	for _, a := range open {
		i := slices.IndexFunc(resolve, func(r Alert) bool { return r.ID == a.ID })
		switch {
		case i >= 0 && (!a.Unsteady() || !a.Calm.IsZero() && at.Sub(a.Calm) >= calmFor):
			ended = append(ended, resolve[i])
			continue
		case i >= 0 && a.Calm.IsZero():
			a.Calm = at
			turned = append(turned, a)
		case i < 0 && !a.Calm.IsZero():
			a.Calm = time.Time{}
			turned = append(turned, a)
		}
		if end := a.Calm.Add(calmFor); !a.Calm.IsZero() && (due.IsZero() || end.Before(due)) {
			due = end
		}
	}
	return ended, turned, due
}
