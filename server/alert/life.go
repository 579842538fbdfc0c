package alert

import "time"

const (
	// Remind is how long after the last message an alert that nobody has taken on is
	// told again.
	Remind = 24 * time.Hour
	// RemindTaken is Remind of an alert that somebody has taken on.
	RemindTaken = 7 * 24 * time.Hour
	// recheck is when to look again after a message that has not been delivered yet.
	recheck = time.Hour
)

// Afters are the hours that are offered for a channel to wait for somebody to act; 0 for
// none.
func Afters() []int { return []int{0, 1, 4, 8, 24} }

// Hours is After in hours.
func (c Channel) Hours() int { return int(c.After / time.Hour) }

// Hearer is a channel that hears of an alert, and what it was told of it so far.
type Hearer struct {
	Channel     Channel
	First, Last time.Time // when it was first and last told something; zero for never
	Rounds      int       // how often it was reminded
	Waits       bool      // a message to it is not delivered yet
}

// Post is a message that is due to a channel.
type Post struct {
	Channel Channel
	Event   string
	Round   int // of a reminder, counted from 1
}

// Tend says what a firing alert has to tell at a moment, and when to ask again; never
// when next is zero. loud is from when on the channels of the alert's own organisation
// may be told: the end of the last silence that covered it.
//
// It goes by what was told so far, so that whoever asks late, after an outage, has it
// told once.
func (a Alert) Tend(list []Hearer, loud, at time.Time) (posts []Post, next time.Time) {
	for _, h := range list {
		from := a.Opened
		if h.Channel.Org == a.Org {
			from = later(from, loud)
		}
		event, due := a.turn(h, from)
		if event != "" && !due.After(at) {
			if h.Waits {
				due = at.Add(recheck)
			} else {
				p := Post{Channel: h.Channel, Event: event}
				if event == Reminder {
					p.Round = h.Rounds + 1
				}
				posts = append(posts, p)
				h.First, h.Last = later(h.First, at), at
				event, due = a.turn(h, from)
			}
		}
		if event != "" && (next.IsZero() || due.Before(next)) {
			next = due
		}
	}
	return posts, next
}

// turn is what a channel is to be told next, and when; "" for nothing. from is since
// when it may be told.
func (a Alert) turn(h Hearer, from time.Time) (event string, due time.Time) {
	switch {
	case h.First.IsZero() && h.Channel.Created.After(a.Opened): // who came later reads it on the board
		return "", due
	case h.First.IsZero() && h.Channel.After == 0:
		return Firing, from
	case h.First.IsZero() && a.Acked.IsZero():
		return Escalated, from.Add(h.Channel.After)
	case h.First.IsZero():
		return "", due
	case !a.Acked.IsZero():
		return Reminder, later(later(h.Last, a.Acked).Add(RemindTaken), from)
	}
	return Reminder, later(h.Last.Add(Remind), from)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
