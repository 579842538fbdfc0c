package dnsbl

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/attesto/attesto/evidence"
)

// List is one public list.
type List struct {
	// Zone is the list's domain; "{key}" in it is replaced by Key at the query
	// and masked everywhere else.
	Zone string `yaml:"zone"`
	Key  Key    `yaml:"key"`
	// Tier: "a" decides alone, "b" decides where the duty's parameter says so,
	// "c" is information.
	Tier string `yaml:"tier"`
	// Families that the list serves: ip4, ip6, domain.
	Families []string `yaml:"families"`
	// Positive and Negative replace the test points of RFC 5782 section 5 of their
	// own family; "none" says that the list has no such entry: then clean can never
	// be claimed.
	Positive string `yaml:"positive"`
	Negative string `yaml:"negative"`
	// Bitmask says that the last octet is a sum of flags.
	Bitmask bool `yaml:"bitmask"`
	// Codes gives the meaning of answers.
	Codes []Code `yaml:"codes"`

	cure string
}

// Key is a customer's key to a list. It prints as a mask, so that it cannot slip into
// a log.
type Key string

const (
	keyMark = "{key}"
	keyMask = "key"
)

// String returns the mask.
func (k Key) String() string { return keyMask }

// GoString returns the mask.
func (k Key) GoString() string { return keyMask }

// MarshalText writes the mask.
func (k Key) MarshalText() ([]byte, error) { return []byte(keyMask), nil }

// The senses of a code.
const (
	senseListed  = "listed"
	sensePolicy  = "policy"  // a listing of ranges by policy, not for abuse
	senseNeutral = "neutral" // an answer that is no listing: white or neutral reputation
	senseRefused = "refused" // the list would not answer
)

// Code is the meaning of one answer: an address, a range of them, or the value of
// one bit of a bitmask list. The first that fits counts.
type Code struct {
	Address string `yaml:"address"` // 127.0.0.2, or a range such as 127.0.0.0/16
	Bit     uint8  `yaml:"bit"`
	Sense   string `yaml:"sense"` // listed, policy, neutral, refused
	Text    string `yaml:"text"`
}

// fits reports whether the code is about an answer.
func (c Code) fits(addr netip.Addr) bool {
	if prefix, err := netip.ParsePrefix(c.Address); err == nil {
		return prefix.Contains(addr)
	}
	return c.Address == addr.String()
}

// allLists are the lists in force, checked.
func (c Config) allLists() ([]List, error) {
	var lists []List
	if c.DefaultLists {
		for _, k := range catalogue() {
			if k.asked {
				k.List.cure = k.cure
				lists = append(lists, k.List)
			}
		}
	}
	added := slices.Clone(c.Lists)
	if c.SpamhausKey != "" {
		for _, zone := range []string{"zen", "dbl"} {
			added = append(added, List{Zone: keyMark + "." + zone + ".dq.spamhaus.net", Key: c.SpamhausKey})
		}
	}
	for _, l := range added {
		if err := l.complete(); err != nil {
			return nil, fmt.Errorf("dnsbl: list %q: %w", l.shown(), err)
		}
		k, _ := lookUp(l.Zone)
		lists = slices.DeleteFunc(lists, func(old List) bool { return old.shown() == l.shown() || old.Zone == k.free })
		lists = append(lists, l)
	}
	for _, zone := range c.Skip {
		n := len(lists)
		lists = slices.DeleteFunc(lists, func(l List) bool { return l.shown() == normal(zone) })
		if len(lists) == n {
			return nil, fmt.Errorf("dnsbl: skip: no list %q; there are %s", normal(zone), strings.Join(names(lists), ", "))
		}
	}
	return lists, nil
}

func names(lists []List) []string {
	var out []string
	for _, l := range lists {
		out = append(out, l.shown())
	}
	return out
}

func normal(zone string) string { return strings.ToLower(strings.Trim(zone, ". ")) }

// complete fills what the config leaves out, from the catalogue where it knows
// the zone, and checks the rest.
func (l *List) complete() error {
	l.Zone = normal(l.Zone)
	if masked, key := splitKey(l.Zone); key != "" {
		if l.Key != "" {
			return errors.New("a key both in the zone and beside it")
		}
		l.Zone, l.Key = masked, Key(key)
	}
	k, ok := lookUp(l.Zone)
	l.cure = k.cure
	if ok && len(l.Codes) == 0 {
		l.Codes, l.Bitmask = k.Codes, k.Bitmask
	}
	for _, fill := range []struct{ at, from *string }{{&l.Tier, &k.Tier}, {&l.Positive, &k.Positive}, {&l.Negative, &k.Negative}} {
		if *fill.at == "" {
			*fill.at = *fill.from
		}
	}
	if l.Tier == "" {
		l.Tier = "b"
	}
	if len(l.Families) == 0 {
		l.Families = k.Families
	}
	if len(l.Families) == 0 {
		l.Families = []string{ip4}
	}
	return l.check()
}

func (l *List) check() error {
	if strings.Contains(l.Zone, keyMark) != (l.Key != "") {
		return errors.New(`"{key}" in the zone and a key belong together`)
	}
	if _, ok := dns.IsDomainName(l.queried()); !ok || !strings.Contains(l.Zone, ".") || strings.ContainsAny(l.queried(), " /:@") {
		return errors.New("zone: want a domain name such as zen.spamhaus.org")
	}
	if !slices.Contains([]string{"a", "b", "c"}, l.Tier) {
		return fmt.Errorf("tier %q: want a, b or c", l.Tier)
	}
	seen := map[string]bool{}
	for _, f := range l.Families {
		if f != ip4 && f != ip6 && f != domain || seen[f] {
			return fmt.Errorf("family %q: want each of ip4, ip6 and domain at most once", f)
		}
		seen[f] = true
	}
	for _, c := range l.Codes {
		_, notAddr := netip.ParseAddr(c.Address)
		_, notRange := netip.ParsePrefix(c.Address)
		if notAddr != nil && notRange != nil && (c.Address != "" || c.Bit == 0) {
			return fmt.Errorf("code %q: want an address such as 127.0.0.2, a range such as 127.0.0.0/16, or a bit", c.Address)
		}
		if !slices.Contains([]string{senseListed, sensePolicy, senseNeutral, senseRefused}, c.Sense) {
			return fmt.Errorf("sense %q of code %q: want listed, policy, neutral or refused", c.Sense, c.Address)
		}
	}
	for _, p := range []string{l.Positive, l.Negative} {
		if _, ok := dns.IsDomainName(p); p != "" && !ok {
			return fmt.Errorf("test point %q: want an address, a domain or none", p)
		}
	}
	return nil
}

// shown is the zone as facts and messages name it, without the key.
func (l List) shown() string { return strings.ReplaceAll(l.Zone, keyMark, keyMask) }

func (l List) queried() string { return strings.ReplaceAll(l.Zone, keyMark, string(l.Key)) }

// withoutKey masks the key in a text that came from outside.
func (l List) withoutKey(text string) string {
	if l.Key == "" {
		return text
	}
	key, lower := strings.ToLower(string(l.Key)), strings.ToLower(text)
	if len(lower) != len(text) {
		text = lower // letters whose cases differ in length: keep the offsets right
	}
	var b strings.Builder
	for {
		at := strings.Index(lower, key)
		if at < 0 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:at])
		b.WriteString(keyMask)
		text, lower = text[at+len(key):], lower[at+len(key):]
	}
}

// controls are the subjects of a family's test points, "" where the list has none.
func (l List) controls(family string) (positive, negative string) {
	switch family {
	case ip4:
		positive, negative = "127.0.0.2", "127.0.0.1"
	case ip6:
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
		} else if o.set != "" && evidence.DNSBLFamily(o.set) == family {
			*o.at = o.set
		}
	}
	return positive, negative
}
