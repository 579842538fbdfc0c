package server

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/alert"
)

// toldCheck compares who was told of alerts, and who took them on, with the entries of the
// log that say so: acting promptly is judged by it.
type toldCheck struct {
	acked, delivered map[string][]toldEntry // by alert, by delivery; "" for those whose words are erased
}

// toldEntry is an entry that says that somebody was told, or took an alert on.
type toldEntry struct {
	where string
	at    time.Time
	by    string
	alert string // that was delivered
	event string
}

func newToldCheck() *toldCheck {
	return &toldCheck{map[string][]toldEntry{}, map[string][]toldEntry{}}
}

// add notes what an entry says; false for one that says neither.
func (t *toldCheck) add(where string, w evidence.Workflow, words saidWords) bool {
	e := toldEntry{where, w.At.Time, w.By, words.Alert, words.Event}
	switch w.Event {
	case eventAcked:
		t.acked[words.Alert] = append(t.acked[words.Alert], e)
	case alert.EventDelivered:
		t.delivered[words.Delivery] = append(t.delivered[words.Delivery], e)
	default:
		return false
	}
	return true
}

// told compares the rows of an organisation with what its log said.
func (c *checking) told(ctx context.Context, org string) error {
	acked, delivered, err := c.r.ToldRows(ctx, org)
	if err != nil {
		return err
	}
	where := "organisation " + org
	for _, r := range acked {
		if !take(c.toldBy.acked, r.ID, func(e toldEntry) bool { return evidence.At(r.At).Equal(e.at) && r.By == e.by }) {
			c.fault(where, "alert %s was taken on at %s by %s, and no entry of the log says so", r.ID, r.At.Format(time.RFC3339), r.By)
		}
	}
	for _, r := range delivered {
		if r.Unlogged && len(c.epochs) > 1 {
			continue // the log could not be continued then
		}
		if !take(c.toldBy.delivered, r.ID, func(e toldEntry) bool {
			return evidence.At(r.At).Equal(e.at) && (e.alert == "" || e.alert == r.Alert && e.event == r.Event)
		}) {
			c.fault(where, "delivery %s of alert %s was made at %s, and no entry of the log says so", r.ID, r.Alert, r.At.Format(time.RFC3339))
		}
	}
	for what, left := range map[string]map[string][]toldEntry{"alert": c.toldBy.acked, "delivery": c.toldBy.delivered} {
		for _, id := range slices.Sorted(maps.Keys(left)) {
			for _, e := range left[id] {
				c.fault(e.where, "%s %s: this was at %s, and its row does not have it", what, id, e.at.Format(time.RFC3339))
			}
		}
	}
	return nil
}

// take takes away what was said of an id where one of it fits, else one whose words are
// erased and that fits.
func take(said map[string][]toldEntry, id string, fits func(toldEntry) bool) bool {
	if slices.ContainsFunc(said[id], fits) {
		delete(said, id) // it may have been made again, by a server that thought the first had failed
		return true
	}
	i := slices.IndexFunc(said[""], fits)
	if i >= 0 {
		if said[""] = slices.Delete(said[""], i, i+1); len(said[""]) == 0 {
			delete(said, "")
		}
	}
	return i >= 0
}

// reviewed notes the reviews that an entry states: each is to have its row, which is one
// for two of one moment.
func (l *logCheck) reviewed(where string, w evidence.Workflow, words saidWords) {
	switch w.Event {
	case eventReview:
		l.wantReview(where, w.Duty, w.At.Time)
	case eventDigest:
		for _, d := range words.Digest.Duties {
			l.wantReview(where, d.Duty, evidence.At(words.Digest.At).Time)
		}
	}
}

func (l *logCheck) wantReview(where, duty string, at time.Time) {
	if !l.reviews[reviewKey{duty, at.UnixMilli()}] {
		l.fault(where, "the review of %s is missing: duties are judged without it", duty)
	}
}

// reviewKey is the moment of a review, in milliseconds as the log has it.
type reviewKey struct {
	duty string
	at   int64
}
