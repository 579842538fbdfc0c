package dnsbl

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// List is one public list.
type List struct {
	// Zone is the list's domain; "{key}" in it is replaced by Key at the query
	// and masked everywhere else.
	Zone string `yaml:"zone"`
	Key  string `yaml:"key"`
	// Tier: "a" decides alone, "b" decides where the duty's parameter says so,
	// "c" is information.
	Tier string `yaml:"tier"`
	// Families that the list serves: ip4, ip6, domain.
	Families []string `yaml:"families"`
	// Positive and Negative replace the test points of RFC 5782 section 5; "none"
	// says that the list has no such entry: then clean can never be claimed.
	Positive string `yaml:"positive"`
	Negative string `yaml:"negative"`
	// Bitmask says that the last octet is a sum of flags.
	Bitmask bool `yaml:"bitmask"`
	// Codes gives the meaning of answers.
	Codes []Code `yaml:"codes"`
}

// The senses of a code.
const (
	senseListed  = "listed"
	sensePolicy  = "policy"  // a listing of ranges by policy, not for abuse
	senseNeutral = "neutral" // an answer that is no listing: white or neutral reputation
	senseRefused = "refused" // the list would not answer
)

// Code is the meaning of one answer: an address, or the value of one bit of a
// bitmask list.
type Code struct {
	Address string `yaml:"address"`
	Bit     uint8  `yaml:"bit"`
	Sense   string `yaml:"sense"` // listed, policy, neutral, refused
	Text    string `yaml:"text"`
}

// refusals are answers with which any list says that it will not answer; source:
// spamhaus.com "error codes", used by others alike.
var refusals = []Code{
	{Address: "127.255.255.252", Sense: senseRefused, Text: "the list says that its zone name is mistyped"},
	{Address: "127.255.255.254", Sense: senseRefused, Text: "asked through a public or open resolver: use a resolver of your own"},
	{Address: "127.255.255.255", Sense: senseRefused, Text: "too many queries, or not registered with the list"},
}

// defaultLists is the built-in set. Codes: DOMAIN facts with the lists' own
// documentation and rspamd's conf/modules.d/rbl.conf as source.
//
// Terms of use: Spamhaus' public mirrors are free for non-commercial, low-volume
// use; a provider needs a data query key (zone "{key}.zen.dq.spamhaus.net").
// Barracuda answers only resolvers that were registered with it.
func defaultLists() []List {
	ip4, both := []string{"ip4"}, []string{"ip4", "ip6"}
	zen := []Code{
		{Address: "127.0.0.2", Sense: senseListed, Text: "SBL: source of spam"},
		{Address: "127.0.0.3", Sense: senseListed, Text: "CSS: source of low-reputation mail"},
		{Address: "127.0.0.4", Sense: senseListed, Text: "XBL: exploited or infected host"},
		{Address: "127.0.0.9", Sense: senseListed, Text: "DROP: hijacked or criminal network"},
		{Address: "127.0.0.10", Sense: sensePolicy, Text: "PBL: range that its operator says sends no mail"},
		{Address: "127.0.0.11", Sense: sensePolicy, Text: "PBL: range that Spamhaus says sends no mail"},
	}
	return []List{
		{Zone: "zen.spamhaus.org", Tier: "a", Families: both, Codes: zen},
		{Zone: "bl.spamcop.net", Tier: "a", Families: ip4},
		{Zone: "b.barracudacentral.org", Tier: "a", Families: ip4},
		{Zone: "psbl.surriel.com", Tier: "b", Families: ip4},
		{Zone: "dnsbl-1.uceprotect.net", Tier: "b", Families: ip4},
		{Zone: "bl.mailspike.net", Tier: "b", Families: ip4},
		{Zone: "dbl.spamhaus.org", Tier: "a", Families: []string{"domain"}, Codes: []Code{
			{Address: "127.0.1.2", Sense: senseListed, Text: "spam"},
			{Address: "127.0.1.4", Sense: senseListed, Text: "phishing"},
			{Address: "127.0.1.5", Sense: senseListed, Text: "malware"},
			{Address: "127.0.1.6", Sense: senseListed, Text: "botnet control"},
			{Address: "127.0.1.102", Sense: senseListed, Text: "abused legitimate domain: spam"},
			{Address: "127.0.1.103", Sense: senseListed, Text: "abused legitimate domain: redirector"},
			{Address: "127.0.1.104", Sense: senseListed, Text: "abused legitimate domain: phishing"},
			{Address: "127.0.1.105", Sense: senseListed, Text: "abused legitimate domain: malware"},
			{Address: "127.0.1.106", Sense: senseListed, Text: "abused legitimate domain: botnet control"},
			{Address: "127.0.1.255", Sense: senseRefused, Text: "asked for an address on a list of domains"},
		}},
		{Zone: "multi.surbl.org", Tier: "b", Families: []string{"domain"}, Bitmask: true,
			Positive: "test.surbl.org", Codes: []Code{
				{Bit: 1, Sense: senseRefused, Text: "the list refuses this resolver"},
				{Bit: 4, Sense: senseListed, Text: "disposable mail"},
				{Bit: 8, Sense: senseListed, Text: "phishing"},
				{Bit: 16, Sense: senseListed, Text: "malware"},
				{Bit: 32, Sense: senseListed, Text: "click tracker"},
				{Bit: 64, Sense: senseListed, Text: "abuse"},
				{Bit: 128, Sense: senseListed, Text: "cracked site"},
			}},
		{Zone: "multi.uribl.com", Tier: "b", Families: []string{"domain"}, Bitmask: true,
			Positive: "test.uribl.com", Codes: []Code{
				{Bit: 1, Sense: senseRefused, Text: "the list refuses this resolver"},
				{Bit: 2, Sense: senseListed, Text: "black"},
				{Bit: 4, Sense: sensePolicy, Text: "grey"},
				{Bit: 8, Sense: senseListed, Text: "red"},
			}},
	}
}

// allLists are the lists in force, checked.
func (c Config) allLists() ([]List, error) {
	var lists []List
	if c.DefaultLists {
		lists = defaultLists()
	}
	for _, l := range c.Lists {
		if l.Tier == "" {
			l.Tier = "b"
		}
		if len(l.Families) == 0 {
			l.Families = []string{"ip4"}
		}
		if err := l.check(); err != nil {
			return nil, fmt.Errorf("dnsbl: list %q: %w", l.Zone, err)
		}
		lists = slices.DeleteFunc(lists, func(old List) bool { return old.Zone == l.Zone })
		lists = append(lists, l)
	}
	return lists, nil
}

func (l List) check() error {
	if strings.Contains(l.Zone, "{key}") != (l.Key != "") {
		return errors.New(`"{key}" in the zone and a key belong together`)
	}
	if !strings.Contains(l.Zone, ".") || strings.ContainsAny(l.Zone, " /:@") {
		return errors.New("zone: want a domain name such as zen.spamhaus.org")
	}
	if !slices.Contains([]string{"a", "b", "c"}, l.Tier) {
		return fmt.Errorf("tier %q: want a, b or c", l.Tier)
	}
	for _, f := range l.Families {
		if !slices.Contains([]string{"ip4", "ip6", "domain"}, f) {
			return fmt.Errorf("family %q: want ip4, ip6 or domain", f)
		}
	}
	for _, c := range l.Codes {
		if _, err := netip.ParseAddr(c.Address); err != nil && c.Bit == 0 {
			return fmt.Errorf("code %q: want an address such as 127.0.0.2, or a bit", c.Address)
		}
		if !slices.Contains([]string{senseListed, sensePolicy, senseNeutral, senseRefused}, c.Sense) {
			return fmt.Errorf("sense %q of code %q: want listed, policy, neutral or refused", c.Sense, c.Address)
		}
	}
	return nil
}

// shown is the zone as facts and messages name it, without the key.
func (l List) shown() string { return strings.ReplaceAll(l.Zone, "{key}", "key") }

func (l List) queried() string { return strings.ReplaceAll(l.Zone, "{key}", l.Key) }

// controls are the names of a family's test points, "" where the list has none.
func (l List) controls(family string) (positive, negative string) {
	switch family {
	case "ip4":
		positive, negative = "127.0.0.2", "127.0.0.1"
	case "ip6":
		positive, negative = "::ffff:7f00:2", "::ffff:7f00:1"
	default:
		positive, negative = "test", "invalid"
	}
	for _, o := range []struct {
		set string
		at  *string
	}{{l.Positive, &positive}, {l.Negative, &negative}} {
		if o.set == "none" {
			*o.at = ""
		} else if o.set != "" {
			*o.at = o.set
		}
	}
	return positive, negative
}
