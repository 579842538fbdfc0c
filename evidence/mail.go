package evidence

import (
	"errors"
	"fmt"
	"slices"
)

// Mail says how a mail server's queue is, how much its accounts send compared with their
// own past, and which signs there are that an account is in other hands. Accounts and
// senders are pseudonyms unless the operator asks for names.
type Mail struct {
	Queue *MailQueue `json:"queue,omitempty"` // absent where it could not be read: a gap says why
	// Sources are the logs that were read for the rest.
	Sources []LogSource `json:"sources"`
	Days    int         `json:"days"` // of history that the host keeps for comparison
	Seen    int         `json:"seen"` // accounts that signed in, tried to, or sent within the look
	// What happened within the look.
	Messages   int64 `json:"messages"`   // taken from accounts
	Recipients int64 `json:"recipients"` // of those
	Sent       int64 `json:"sent"`       // handed on, per recipient, of whoever's mail
	Deferred   int64 `json:"deferred"`   // tries that must be made again
	Bounced    int64 `json:"bounced"`    // refused for good
	// Accounts are those with a sign, then those that sent most.
	Accounts []MailAccount `json:"accounts"`
}

// MailQueue is what waits to be handed on.
type MailQueue struct {
	System   string       `json:"system"` // "postfix", "exim"
	Messages int64        `json:"messages"`
	Deferred int64        `json:"deferred"` // of them: tried already
	Held     int64        `json:"held"`     // of them: wait until somebody lets them go
	Bytes    int64        `json:"bytes"`
	Oldest   *Time        `json:"oldest,omitempty"` // when the oldest came
	Reasons  []MailReason `json:"reasons,omitempty"`
	Senders  []MailSender `json:"senders,omitempty"` // those with the most messages
}

// The classes of reasons why a message waits, by the reply's code (RFC 3463) or what the
// mail server says of itself.
const (
	MailUnreachable = "unreachable" // no connection, or it was lost
	MailDNS         = "dns"         // no such name, or no answer about it
	MailTLS         = "tls"         // no encryption that both sides take
	MailGreylisted  = "greylisted"  // told to come again later
	MailLimited     = "limited"     // too much, too fast
	MailBlocked     = "blocked"     // refused by policy or reputation (X.7.1 and the like)
	MailFull        = "full"        // the mailbox is full, or the server has no room (X.2.2, X.3.1)
	MailUnknown     = "unknown"     // the recipient is not known (X.1.1)
	MailLocal       = "local"       // this host's own trouble
	MailOther       = "other"
)

var mailReasons = []string{MailUnreachable, MailDNS, MailTLS, MailGreylisted, MailLimited, MailBlocked, MailFull, MailUnknown, MailLocal, MailOther}

// MailReasons lists the classes.
func MailReasons() []string { return slices.Clone(mailReasons) }

// MailReason counts the recipients that wait for one class of reason.
type MailReason struct {
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
}

// MailSender is one whose messages wait.
type MailSender struct {
	Name       string `json:"name"`
	Messages   int64  `json:"messages"`
	Recipients int64  `json:"recipients"`
}

// MailAccount is one that signs in to send or to read.
type MailAccount struct {
	Name       string     `json:"name"`
	Messages   int64      `json:"messages"` // sent within the look
	Recipients int64      `json:"recipients"`
	Peak       int64      `json:"peak"`     // recipients in its busiest hour that the look touches
	Usual      int64      `json:"usual"`    // 99th percentile of its own hours; -1: too little history
	Logins     int64      `json:"logins"`   // within the look
	Failures   int64      `json:"failures"` // refused attempts on it, within the look
	Networks   int        `json:"networks"` // most networks (/16, IPv6 /32) that signed in within one hour
	Done       int64      `json:"done"`     // results of its mail in the last six hours, per recipient
	Bounced    int64      `json:"bounced"`  // of those: refused for good
	Queued     int64      `json:"queued"`   // messages of it that wait
	Signs      []MailSign `json:"signs,omitempty"`
}

// The signs that an account is in other hands. None alone suffices.
const (
	SignRate     = "rate"     // far more recipients in an hour than it ever had
	SignNetworks = "networks" // signed in from many networks within an hour
	SignGuessed  = "guessed"  // the first success after many failures
	SignBounces  = "bounces"  // much of its mail is refused
	SignQueue    = "queue"    // the queue is mostly its mail
)

var mailSigns = []string{SignRate, SignNetworks, SignGuessed, SignBounces, SignQueue}

// MailSigns lists the signs.
func MailSigns() []string { return slices.Clone(mailSigns) }

// MailSign is one sign with the figures that it rests on.
type MailSign struct {
	Sign     string `json:"sign"`
	Strength int    `json:"strength"` // 1 weak, 2, 3 strong
	Count    int64  `json:"count"`    // what was counted: recipients, networks, failures, percent of results, percent of the queue
	Usual    int64  `json:"usual"`    // what it was held against; -1 if there is no such figure
	At       Time   `json:"at"`       // when it showed
}

// Bounds of a look.
const (
	MaxMailAccounts = 100
	MaxMailSenders  = 20
)

// Kind returns KindMail.
func (Mail) Kind() Kind { return KindMail }

// Validate checks words and bounds.
func (m Mail) Validate() error {
	if m.Queue == nil && len(m.Sources) == 0 {
		return errors.New("neither a queue nor a log")
	}
	if m.Queue != nil {
		if err := m.Queue.validate(); err != nil {
			return fmt.Errorf("queue: %w", err)
		}
	}
	if len(m.Sources) > 250 || len(m.Accounts) > MaxMailAccounts || m.Days < 0 || m.Days > 366 || m.Seen < 0 {
		return fmt.Errorf("%d sources, %d accounts, %d days", len(m.Sources), len(m.Accounts), m.Days)
	}
	for _, s := range m.Sources {
		if err := s.validate(); err != nil {
			return fmt.Errorf("source %q: %w", s.Source, err)
		}
	}
	if err := notNegative(m.Messages, m.Recipients, m.Sent, m.Deferred, m.Bounced); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, a := range m.Accounts {
		if a.Name == "" || len(a.Name) > 254 || seen[a.Name] {
			return fmt.Errorf("account %q: want a name of up to 254 bytes, once", a.Name)
		}
		seen[a.Name] = true
		if err := a.validate(); err != nil {
			return fmt.Errorf("account %q: %w", a.Name, err)
		}
	}
	return nil
}

func (q MailQueue) validate() error {
	if !codeWord(q.System, "") || len(q.Senders) > MaxMailSenders {
		return fmt.Errorf("system %q, %d senders", q.System, len(q.Senders))
	}
	if err := notNegative(q.Messages, q.Deferred, q.Held, q.Bytes); err != nil {
		return err
	}
	for _, r := range q.Reasons {
		if !slices.Contains(mailReasons, r.Reason) || r.Count < 1 {
			return fmt.Errorf("reason %q, %d times", r.Reason, r.Count)
		}
	}
	for _, s := range q.Senders {
		if s.Name == "" || len(s.Name) > 254 || s.Messages < 1 || s.Recipients < 0 {
			return fmt.Errorf("sender %q with %d messages", s.Name, s.Messages)
		}
	}
	return nil
}

func (a MailAccount) validate() error {
	if err := notNegative(a.Messages, a.Recipients, a.Peak, a.Usual+1, a.Logins, a.Failures, int64(a.Networks), a.Done, a.Bounced, a.Queued); err != nil {
		return err
	}
	var seen []string
	for _, s := range a.Signs {
		if !slices.Contains(mailSigns, s.Sign) || slices.Contains(seen, s.Sign) || s.Strength < 1 || s.Strength > 3 || s.Count < 0 || s.Usual < -1 {
			return fmt.Errorf("sign %q of strength %d, count %d", s.Sign, s.Strength, s.Count)
		}
		seen = append(seen, s.Sign)
	}
	return nil
}

func notNegative(counts ...int64) error {
	for _, n := range counts {
		if n < 0 {
			return fmt.Errorf("a count below 0: %d", n)
		}
	}
	return nil
}
