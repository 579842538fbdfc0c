package duties

import "fmt"

// Verdict is how a duty, or a part of it, stands.
type Verdict uint8

// Unproven is the zero value: nothing is fulfilled by omission.
const (
	Unproven      Verdict = iota // nobody can tell: never seen, stale, a gap, a look that failed, not reviewed
	Breached                     // evidence shows that the duty is not met
	Fulfilled                    // evidence shows that it is met
	NoOccasion                   // it waits for an event, the watch was kept, and none came
	NotApplicable                // a person decided that it does not apply
)

var verdictNames = [...]string{"unproven", "breached", "fulfilled", "no_occasion", "not_applicable"}

// Verdicts lists all verdicts.
func Verdicts() []Verdict {
	return []Verdict{Unproven, Breached, Fulfilled, NoOccasion, NotApplicable}
}

// String returns the verdict's word.
func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return fmt.Sprintf("Verdict(%d)", uint8(v))
}

// MarshalText writes the verdict's word.
func (v Verdict) MarshalText() ([]byte, error) {
	if int(v) >= len(verdictNames) {
		return nil, fmt.Errorf("unknown verdict %d", uint8(v))
	}
	return []byte(verdictNames[v]), nil
}

// UnmarshalText reads a verdict's word and refuses any other.
func (v *Verdict) UnmarshalText(b []byte) error {
	parsed, err := ParseVerdict(string(b))
	if err != nil {
		return err
	}
	*v = parsed
	return nil
}

// ParseVerdict reads a verdict's word.
func ParseVerdict(s string) (Verdict, error) {
	for i, name := range verdictNames {
		if s == name {
			return Verdict(i), nil
		}
	}
	return Unproven, fmt.Errorf("unknown verdict %q", s)
}

// strength orders verdicts from the weakest: a breach that is known weighs more
// than what nobody can tell, no occasion is less than fulfilled, and what does
// not apply weakens nothing.
func (v Verdict) strength() int {
	switch v {
	case Breached:
		return 0
	case NoOccasion:
		return 2
	case Fulfilled:
		return 3
	case NotApplicable:
		return 4
	default:
		return 1
	}
}

// weakest returns the index of the weakest verdict of list, the first of equals;
// -1 for an empty list.
func weakest(list []Finding) int {
	at := -1
	for i, f := range list {
		if at < 0 || f.Verdict.strength() < list[at].Verdict.strength() {
			at = i
		}
	}
	return at
}

// strongest returns the index of the strongest verdict that proves something:
// fulfilled, then no occasion, then a breach, then unproven.
func strongest(list []Finding) int {
	rank := func(v Verdict) int {
		switch v {
		case Fulfilled:
			return 4
		case NoOccasion:
			return 3
		case NotApplicable:
			return 2
		case Breached:
			return 1
		default:
			return 0
		}
	}
	at := -1
	for i, f := range list {
		if at < 0 || rank(f.Verdict) > rank(list[at].Verdict) {
			at = i
		}
	}
	return at
}

// best returns the index of the alternative that counts: the strongest, unless a breach
// was measured after what that rests on, and one of the two is people's. A statement
// measures nothing: it stands in for what nobody measured, never against a measurement.
func best(list []Finding) int {
	at := strongest(list)
	for i, f := range list {
		if f.Verdict == Breached && (f.stated || list[at].stated) && f.measured.After(list[at].measured) {
			at = i
		}
	}
	return at
}
