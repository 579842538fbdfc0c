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
	Family   string `json:"family"` // "ip4", "ip6" or "domain": a zone that serves two families stands twice
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
	Codes  []string `json:"codes,omitempty"`  // A records, such as 127.0.0.2
	Text   string   `json:"text,omitempty"`   // the list's own TXT reason, cut to 300 bytes
	Why    string   `json:"why,omitempty"`    // when there was no answer, or what the codes mean
	Policy bool     `json:"policy,omitempty"` // listed by a policy on address ranges only, not for abuse
	Millis int64    `json:"millis"`
}

// DNSBLFamily is the family of a target: "ip4", "ip6" or "domain".
func DNSBLFamily(target string) string {
	addr, err := netip.ParseAddr(target)
	switch {
	case err != nil:
		return "domain"
	case addr.Is4():
		return "ip4"
	}
	return "ip6"
}

// Kind returns KindDNSBL.
func (DNSBL) Kind() Kind { return KindDNSBL }

// Validate checks that results, controls, tiers and families are of the known
// words, that codes are addresses, that every pair of a target and a list of its
// family has exactly one answer and nothing else has one, and that no "not
// listed" stands under a list whose controls did not pass.
func (d DNSBL) Validate() error {
	lists := map[[2]string]DNSBLList{}
	for _, l := range d.Lists {
		if err := l.validate(); err != nil {
			return err
		}
		key := [2]string{l.Zone, l.Family}
		if _, twice := lists[key]; twice {
			return fmt.Errorf("list %s stated twice for %s", l.Zone, l.Family)
		}
		lists[key] = l
	}
	missing := map[[2]string]bool{}
	seen := map[string]bool{}
	for _, t := range d.Targets {
		if seen[t.Target] {
			return fmt.Errorf("target %q stated twice", t.Target)
		}
		seen[t.Target] = true
		for _, l := range d.Lists {
			if l.Family == DNSBLFamily(t.Target) {
				missing[[2]string{t.Target, l.Zone}] = true
			}
		}
	}
	for _, a := range d.Answers {
		pair := [2]string{a.Target, a.Zone}
		if !missing[pair] {
			return fmt.Errorf("answer for %q on %q: stated twice, or target and list are not both stated", a.Target, a.Zone)
		}
		delete(missing, pair)
		if err := a.validate(lists[[2]string{a.Zone, DNSBLFamily(a.Target)}]); err != nil {
			return err
		}
	}
	for pair := range missing {
		return fmt.Errorf("no answer stated for %q on %q", pair[0], pair[1])
	}
	return nil
}

func (l DNSBLList) validate() error {
	switch l.Controls {
	case ControlsPassed, ControlsFailed, ControlsNoAnswer:
	default:
		return fmt.Errorf("list %s: controls %q", l.Zone, l.Controls)
	}
	if l.Tier != "a" && l.Tier != "b" && l.Tier != "c" {
		return fmt.Errorf("list %s: tier %q", l.Zone, l.Tier)
	}
	if l.Family != "ip4" && l.Family != "ip6" && l.Family != "domain" {
		return fmt.Errorf("list %s: family %q", l.Zone, l.Family)
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
