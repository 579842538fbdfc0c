package alert

import (
	"strings"
	"time"
)

const (
	// MaxSilence is how long a silence may be.
	MaxSilence = 30 * 24 * time.Hour
	// MaxReason is how many characters may say why.
	MaxReason = 500
)

// Silences are the hours that pages offer for a silence.
func Silences() []int { return []int{1, 8, 24, 7 * 24, 30 * 24} }

// Silence keeps the messages of alerts from the channels of the organisation whose duty it
// is. It changes nothing else: not what is judged, not the alert, not what others hear.
type Silence struct {
	ID, Org   string
	Duty      string // empty for all duties of a host
	Part      string
	Asset     string // as an alert's; an agent's id where Duty is empty
	Name      string // of the asset, for people
	At, Until time.Time
	Ended     time.Time // early; zero for not
}

// Host reports whether a silence covers all that a host raises.
func (s Silence) Host() bool { return s.Duty == "" }

// Over is when a silence ends, or has.
func (s Silence) Over() time.Time {
	if !s.Ended.IsZero() {
		return s.Ended
	}
	return s.Until
}

// Covers reports whether a silence is about an alert, whenever that fires.
func (s Silence) Covers(a Alert) bool {
	if s.Org != a.Org {
		return false
	}
	if s.Host() {
		agent, _, _ := strings.Cut(a.Asset, "/")
		return agent == s.Asset
	}
	return s.Duty == a.Duty && s.Part == a.Part && s.Asset == a.Asset
}

// Loud is from when on the channels of an alert's organisation may be told: the end of
// the last silence that covers it; zero where none does. All silences have begun.
func Loud(list []Silence, a Alert) (at time.Time, by string) {
	for _, s := range list {
		if s.Covers(a) && s.Over().After(at) {
			at, by = s.Over(), s.ID
		}
	}
	return at, by
}
