package evidence

import (
	"fmt"
	"net/netip"
)

// DNSBL says, for each outgoing address (or domain) of a host and each public
// list, whether it was listed. Every pair of target and list has one answer.
type DNSBL struct {
	Resolvers []string      `json:"resolvers"` // host:port asked, in order
	Targets   []DNSBLTarget `json:"targets"`
	Lists     []DNSBLList   `json:"lists"`
	Answers   []DNSBLAnswer `json:"answers"`
}

// DNSBLTarget is an address or domain that mail leaves from.
type DNSBLTarget struct {
	Target string `json:"target"` // IPv4, IPv6 or domain
	Found  string `json:"found"`  // "config", "interface", "postfix"
}

// The results of a list's controls (RFC 5782 section 5): clean may be claimed
// only for a list whose controls passed through the same resolver in the same run.
const (
	ControlsPassed   = "passed"
	ControlsFailed   = "failed"
	ControlsNoAnswer = "no_answer"
)

// DNSBLList is one list as it behaved in this run.
type DNSBLList struct {
	Zone     string `json:"zone"`   // a key in the zone's name is masked
	Tier     string `json:"tier"`   // "a" decides alone, "b" decides where the parameter says so, "c" is information
	Family   string `json:"family"` // "ip4", "ip6", "ip" (both) or "domain"
	Controls string `json:"controls"`
	Why      string `json:"why,omitempty"` // when controls did not pass
}

// The three results of a look-up.
const (
	Listed    = "listed"
	NotListed = "not_listed"
	NoAnswer  = "no_answer"
)

// DNSBLAnswer is one target on one list.
type DNSBLAnswer struct {
	Target string   `json:"target"`
	Zone   string   `json:"zone"`
	Result string   `json:"result"`
	Codes  []string `json:"codes,omitempty"` // A records, such as 127.0.0.2
	Text   string   `json:"text,omitempty"`  // the list's own TXT reason, cut to 300 bytes
	Why    string   `json:"why,omitempty"`   // when there was no answer, or what the codes mean
	Millis int64    `json:"millis"`
}

// Kind returns KindDNSBL.
func (DNSBL) Kind() Kind { return KindDNSBL }

// Validate checks that results and controls are of the known words, that codes
// are addresses, that every answer names a stated target and list, that no
// "not listed" stands under a list whose controls did not pass, and that no pair
// of target and list is missing or double.
func (d DNSBL) Validate() error {
	targets := map[string]bool{}
	for _, t := range d.Targets {
		targets[t.Target] = true
	}
	lists := map[string]DNSBLList{}
	for _, l := range d.Lists {
		switch l.Controls {
		case ControlsPassed, ControlsFailed, ControlsNoAnswer:
		default:
			return fmt.Errorf("list %s: controls %q", l.Zone, l.Controls)
		}
		lists[l.Zone] = l
	}
	seen := map[[2]string]bool{}
	for _, a := range d.Answers {
		list, ok := lists[a.Zone]
		if !ok || !targets[a.Target] {
			return fmt.Errorf("answer for %q on %q, which are not both stated", a.Target, a.Zone)
		}
		pair := [2]string{a.Target, a.Zone}
		if seen[pair] {
			return fmt.Errorf("two answers for %q on %q", a.Target, a.Zone)
		}
		seen[pair] = true
		if err := a.validate(list); err != nil {
			return err
		}
	}
	return nil
}

func (a DNSBLAnswer) validate(list DNSBLList) error {
	for _, c := range a.Codes {
		if _, err := netip.ParseAddr(c); err != nil {
			return fmt.Errorf("code %q of %q on %q is no address", c, a.Target, a.Zone)
		}
	}
	switch a.Result {
	case Listed:
		if len(a.Codes) == 0 {
			return fmt.Errorf("%q listed on %q without a code", a.Target, a.Zone)
		}
	case NotListed:
		if list.Controls != ControlsPassed {
			return fmt.Errorf("%q not listed on %q, whose controls are %q", a.Target, a.Zone, list.Controls)
		}
	case NoAnswer:
		if a.Why == "" {
			return fmt.Errorf("no answer for %q on %q without a reason", a.Target, a.Zone)
		}
	default:
		return fmt.Errorf("result %q for %q on %q", a.Result, a.Target, a.Zone)
	}
	return nil
}
