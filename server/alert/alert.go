// Package alert turns verdicts into alerts and carries them to people: when one
// fires and when it is resolved, what it says, and by which channel. It knows
// neither the database nor the log; who does gives it a Queue.
package alert

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/attesto/attesto/server/duties"
)

// The states of an alert, and the events of which its channels hear.
const (
	Firing    = "firing"
	Resolved  = "resolved"
	Reminder  = "reminder"  // it still fires
	Escalated = "escalated" // it still fires, and nobody has taken it on
)

// Alert says that something is not as a duty asks. There is at most one open
// alert per organisation, duty, part and asset.
type Alert struct {
	ID       string
	Org      string // whose duty it is: the provider for provider duties
	Duty     string
	Part     string
	Asset    string // key of the asset: an agent's id, or that with a thing of it
	Name     string // of the asset, for people
	State    string
	Party    string
	Verdict  duties.Verdict // breached, or unproven when evidence stopped
	Why      duties.Message // why it was raised
	Ended    duties.Message // what was found when it was resolved
	Opened   time.Time
	Acked    time.Time
	AckedBy  string // id of the user
	Resolved time.Time
	Fired    int       // how often it fired within a day, this time included
	Calm     time.Time // of an unsteady one: since when its asset is in order; zero while it is not
	Silence  string    // id of the silence under which it was raised; empty for none
}

// The kinds of channel.
const (
	Email   = "email"
	Webhook = "webhook"
	Chat    = "chat" // or a paging service
)

// HearsBoth is the Party of a channel that hears of both parties' duties; the
// empty one hears of its organisation's own.
const HearsBoth = "both"

// Channel is a way to tell an organisation.
type Channel struct {
	ID      string
	Org     string
	Kind    string // Email, Webhook or Chat
	Target  string // an address, or a URL; that of a chat holds tokens
	Secret  []byte // of a webhook: what deliveries are signed with
	Party   string // "" or HearsBoth
	Created time.Time
	After   time.Duration // it hears of an alert that nobody has taken on for so long; 0 for at once
}

// Recipient is the organisation of a channel, as far as a message needs it.
type Recipient struct {
	ID, Name, Lang string
	Zone           *time.Location
}

// Delivery is one event of an alert that one channel is to hear of.
type Delivery struct {
	ID       string // stays the same over all attempts
	Alert    Alert
	Owner    string // name of the alert's organisation
	Event    string // Firing, Reminder, Escalated or Resolved
	Round    int    // of a reminder, counted from 1
	Channel  Channel
	To       Recipient
	Attempts int // this one included
	Created  time.Time
}

// Attempt is how one attempt at a delivery went.
type Attempt struct {
	Delivery Delivery
	At       time.Time
	Err      error     // nil when it was delivered
	Refused  bool      // final: it will not be tried again
	Next     time.Time // otherwise, when it will be
}

// The events that an attempt leaves in the log.
const (
	EventDelivered = "alert.delivered"
	EventFailed    = "alert.failed"
	EventRefused   = "alert.refused"
)

// Event is the log's word for how the attempt went.
func (a Attempt) Event() string {
	switch {
	case a.Err == nil:
		return EventDelivered
	case a.Refused:
		return EventRefused
	}
	return EventFailed
}

// Detail is what the log keeps about an attempt, erasable.
type Detail struct {
	Delivery string         `json:"delivery"`
	Alert    string         `json:"alert"`
	Event    string         `json:"event"`
	Round    int            `json:"round,omitempty"`
	Duty     string         `json:"duty"`
	Part     string         `json:"part"`
	Asset    string         `json:"asset"`
	Verdict  duties.Verdict `json:"verdict"`
	Channel  string         `json:"channel"`
	Kind     string         `json:"kind"`
	Target   string         `json:"target"`
	Attempt  int            `json:"attempt"`
	Error    string         `json:"error,omitempty"`
}

// Detail describes the attempt for the log.
func (a Attempt) Detail() Detail {
	d := a.Delivery
	out := Detail{Delivery: d.ID, Alert: d.Alert.ID, Event: d.Event, Round: d.Round, Duty: d.Alert.Duty, Part: d.Alert.Part, Asset: d.Alert.Name,
		Verdict: d.Alert.Verdict, Channel: d.Channel.ID, Kind: d.Channel.Kind, Target: d.Channel.Target, Attempt: d.Attempts}
	if d.Channel.Kind == Chat {
		out.Target = ShownChat(out.Target)
	}
	if u, err := url.Parse(out.Target); d.Channel.Kind == Webhook && err == nil {
		out.Target = u.Scheme + "://" + u.Host // the path may hold a token
	}
	if a.Err != nil {
		out.Error = a.Err.Error()
	}
	return out
}

// Queue is the outbox.
type Queue interface {
	// Claim takes up to n deliveries that are due, oldest first, and counts the
	// attempt. Nobody else can take them before the lease ends. The resolution of
	// an alert is not given out before its firing is settled.
	Claim(ctx context.Context, now time.Time, lease time.Duration, n int) ([]Delivery, error)
	// Settle records how an attempt went, and its evidence, at once or not at all.
	Settle(ctx context.Context, a Attempt) error
}

// Notifier is one kind of channel.
type Notifier interface {
	// Notify delivers a message once. An error that is a Refusal is final;
	// anything else is tried again. It returns soon after ctx ends.
	Notify(ctx context.Context, c Channel, m Message) error
}

// Refusal is an error of a receiver that will not change its mind.
type Refusal struct{ Err error }

func (r Refusal) Error() string { return "refused: " + r.Err.Error() }

// Unwrap returns the cause.
func (r Refusal) Unwrap() error { return r.Err }

// Later is an error of a receiver that says when to come again.
type Later struct {
	Err   error
	After time.Duration
}

func (l Later) Error() string { return l.Err.Error() }

// Unwrap returns the cause.
func (l Later) Unwrap() error { return l.Err }

func refused(err error) bool {
	var r Refusal
	return errors.As(err, &r)
}

// Plan compares the open alerts of a duty with what its checks have found. fire
// are new alerts, resolve are those that have ended, with Ended filled in.
//
// An alert ends only when its asset is seen to be in order, or when its host no
// longer has to prove the duty. While nobody can tell, it stays open.
func Plan(open []Alert, parts []duties.PartFinding) (fire, resolve []Alert) {
	for _, p := range parts {
		if p.Part.Proof == duties.ProofAttestation {
			continue
		}
		known := map[string]bool{}
		for _, a := range open {
			if a.Part != p.Part.Name {
				continue
			}
			known[a.Asset] = true
			if why, ended := over(a, p); ended {
				a.Ended = why
				resolve = append(resolve, a)
			}
		}
		for _, f := range p.Assets {
			if f.Alarming() && !known[f.Key()] {
				known[f.Key()] = true
				fire = append(fire, Alert{Part: p.Part.Name, Asset: f.Key(), Name: f.String(), State: Firing, Verdict: f.Verdict, Why: f.Why})
			}
		}
	}
	return fire, resolve
}

// over reports whether an alert has ended, and what shows that. What was found
// of the asset itself decides; without that, what was found of its host.
func over(a Alert, p duties.PartFinding) (why duties.Message, ended bool) {
	agent, _, _ := strings.Cut(a.Asset, "/")
	var exact, host []duties.AssetFinding
	for _, f := range p.Assets {
		switch {
		case f.Agent != agent:
		case f.Key() == a.Asset:
			exact = append(exact, f)
		case f.Thing == "" || a.Asset == agent:
			host = append(host, f)
		}
	}
	found := exact
	if len(found) == 0 {
		found = host
	}
	why = p.Why
	for i, f := range found {
		if i == 0 {
			why = f.Why
		}
		if f.Alarming() && f.Key() == a.Asset || f.Verdict == duties.Unproven && !f.Building {
			return why, false
		}
	}
	return why, true
}
