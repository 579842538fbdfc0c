package web

import (
	"context"
	"time"

	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// An auditor may be given a span of time: what was logged in it is theirs to see, and
// nothing else, not even through a page about another moment.

// spanOf is the viewer's span in the organisation of the path; bounded is false for who
// sees all times.
func spanOf(ctx context.Context) (m store.Member, bounded bool) {
	v := viewerOf(ctx)
	if v.all != "" {
		return m, false
	}
	m, bounded = v.spans[orgOf(ctx).ID]
	return m, bounded && (!m.From.IsZero() || !m.Until.IsZero())
}

// within is the moment that a page is about: the one that was asked for or, zero, now.
// An auditor whose span is over gets its end without asking.
func (w *Web) within(ctx context.Context, at time.Time) (time.Time, error) {
	m, bounded := spanOf(ctx)
	switch {
	case !bounded:
		return at, nil
	case at.IsZero() && m.Shows(w.Now()):
		return at, nil
	case at.IsZero() && !m.Until.IsZero() && m.Until.Before(w.Now()):
		return m.Until.Add(-time.Second), nil
	case at.IsZero() || !m.Shows(at):
		return at, outside()
	}
	return at, nil
}

// clamp is the part of a period that the viewer may see.
func clamp(ctx context.Context, from, to time.Time) (time.Time, time.Time, error) {
	m, bounded := spanOf(ctx)
	if !bounded {
		return from, to, nil
	}
	if from.Before(m.From) {
		from = m.From
	}
	if !m.Until.IsZero() && to.After(m.Until) {
		to = m.Until
	}
	if !from.Before(to) {
		return from, to, outside()
	}
	return from, to, nil
}

// hide leaves nothing of windows that do not lie whole in the viewer's span.
func hide(ctx context.Context, list []duties.Window) []duties.Window {
	m, bounded := spanOf(ctx)
	if !bounded {
		return list
	}
	for i, x := range list {
		if !m.Shows(x.From) || !m.Until.IsZero() && x.To.After(m.Until) {
			list[i] = duties.Window{From: x.From, To: x.To}
		}
	}
	return list
}

// reaches reports whether a record of an organisation lies in a time that the viewer
// may see: one of the provider's in that of any organisation that it serves.
func (v viewer) reaches(org string, at time.Time) bool {
	if v.sees(org) {
		return v.shows(org, at)
	}
	for own := range v.roles {
		if v.shows(own, at) {
			return true
		}
	}
	return false
}
