package dnsbl

import "strings"

// known is a list whose terms, codes and test points this version knows.
type known struct {
	List
	// asked says that the list is in the built-in set.
	asked bool
	// free is the public zone that this keyed one takes the place of.
	free string
	// cure is what to do when the list does not answer.
	cure string
}

const (
	ip4    = "ip4"
	ip6    = "ip6"
	domain = "domain"
)

// refusals are answers with which any list says that it will not answer. Source:
// Spamhaus, "DNSBL return codes"; others use the same.
var refusals = []Code{
	{Address: "127.255.255.252", Sense: senseRefused, Text: "the list says that its zone name is mistyped"},
	{Address: "127.255.255.254", Sense: senseRefused, Text: "asked through a public or open resolver: use a resolver of your own"},
	{Address: "127.255.255.255", Sense: senseRefused, Text: "too many queries, or not registered with the list"},
}

// Cures of lists that refuse by default.
const (
	cureSpamhaus  = "run a resolver of your own, or get a data query key and set collectors.dnsbl.spamhaus_key"
	cureBarracuda = "register the resolver's address with Barracuda (free), or name the list in collectors.dnsbl.skip"
	cureValidity  = "register the resolver's address with Validity (free), or name the list in collectors.dnsbl.skip"
	cureKey       = "the list wants a key of its own"
)

// catalogue is what is known of public lists. Codes: the lists' own pages, and
// rspamd's conf/modules.d/rbl.conf.
//
// Terms of use. Spamhaus: the public zones are free for non-commercial use below
// 100,000 SMTP connections and 300,000 queries a day; a provider needs a data
// query key (spamhaus_key). Barracuda: free after registering the resolver. SpamCop,
// PSBL, UCEPROTECT, Mailspike: free, within fair use. SURBL and URIBL: free for
// small sites, and refused to large resolvers. Abusix: with a key only.
func catalogue() []known {
	address, both, names := []string{ip4}, []string{ip4, ip6}, []string{domain}
	return []known{
		{List: List{Zone: "zen.spamhaus.org", Tier: "a", Families: both, Codes: zenCodes()}, asked: true, cure: cureSpamhaus},
		{List: List{Zone: "zen.dq.spamhaus.net", Tier: "a", Families: both, Codes: zenCodes()}, free: "zen.spamhaus.org"},
		// The parts of zen, for who asks for them one by one.
		{List: List{Zone: "sbl.spamhaus.org", Tier: "a", Families: both, Codes: zenCodes()}, cure: cureSpamhaus},
		{List: List{Zone: "xbl.spamhaus.org", Tier: "a", Families: both, Codes: zenCodes()}, cure: cureSpamhaus},
		{List: List{Zone: "pbl.spamhaus.org", Tier: "c", Families: both, Codes: zenCodes()}, cure: cureSpamhaus},
		{List: List{Zone: "bl.spamcop.net", Tier: "a", Families: address}, asked: true},
		{List: List{Zone: "b.barracudacentral.org", Tier: "a", Families: address}, asked: true, cure: cureBarracuda},
		{List: List{Zone: "psbl.surriel.com", Tier: "b", Families: address}, asked: true},
		{List: List{Zone: "dnsbl-1.uceprotect.net", Tier: "b", Families: address}, asked: true},
		{List: List{Zone: "dnsbl-2.uceprotect.net", Tier: "c", Families: address}}, // whole allocations
		{List: List{Zone: "dnsbl-3.uceprotect.net", Tier: "c", Families: address}}, // whole providers
		{List: List{Zone: "bl.mailspike.net", Tier: "b", Families: address, Codes: mailspikeCodes()}, asked: true},
		{List: List{Zone: "rep.mailspike.net", Tier: "c", Families: address, Codes: mailspikeCodes()}},
		{List: List{Zone: "z.mailspike.net", Tier: "b", Families: address, Codes: mailspikeCodes()}},
		{List: List{Zone: "combined.mail.abusix.zone", Tier: "b", Families: both, Codes: abusixCodes()}, cure: cureKey},
		{List: List{Zone: "black.mail.abusix.zone", Tier: "b", Families: both, Codes: abusixCodes()}, cure: cureKey},
		{List: List{Zone: "exploit.mail.abusix.zone", Tier: "b", Families: both, Codes: abusixCodes()}, cure: cureKey},
		{List: List{Zone: "dynamic.mail.abusix.zone", Tier: "c", Families: address, Codes: abusixCodes()}, cure: cureKey},
		{List: List{Zone: "bl.0spam.org", Tier: "c", Families: address, Codes: []Code{{Address: "127.0.0.0/16", Sense: senseListed}}}},
		// Sums of reasons from 1 on; a scale from 0 to 100; both for registered resolvers.
		{List: List{Zone: "bl.score.senderscore.com", Tier: "c", Families: address, Codes: []Code{{Address: "127.0.0.0/27", Sense: senseListed}}}, cure: cureValidity},
		{List: List{Zone: "score.senderscore.com", Tier: "c", Families: address, Codes: []Code{{Address: "127.0.4.0/24", Sense: senseNeutral, Text: "a score, not a listing"}}}, cure: cureValidity},
		{List: List{Zone: "all.spamrats.com", Tier: "c", Families: address, Codes: []Code{
			{Address: "127.0.0.36", Sense: sensePolicy, Text: "dynamic range"},
			{Address: "127.0.0.37", Sense: sensePolicy, Text: "no reverse name"},
		}}},
		{List: List{Zone: "hostkarma.junkemailfilter.com", Tier: "c", Families: address, Codes: []Code{
			{Address: "127.0.0.1", Sense: senseNeutral, Text: "whitelisted"},
			{Address: "127.0.0.2", Sense: senseListed, Text: "black"},
			{Address: "127.0.0.3", Sense: sensePolicy, Text: "yellow"},
			{Address: "127.0.0.4", Sense: sensePolicy, Text: "brown"},
			{Address: "127.0.0.5", Sense: senseNeutral, Text: "no blacklisting"},
		}}},
		{List: List{Zone: "list.dnswl.org", Tier: "c", Families: both, Codes: []Code{
			{Address: "127.0.0.255", Sense: senseRefused, Text: "too many queries for free use"},
			{Address: "127.0.10.0/24", Sense: senseRefused, Text: "too many queries for free use"},
			{Address: "127.0.0.0/16", Sense: senseNeutral, Text: "on a white list"},
		}}},
		{List: List{Zone: "wl.mailspike.net", Tier: "c", Families: address, Codes: mailspikeCodes()}},
		{List: List{Zone: "dnsrbl.swinog.ch", Tier: "c", Families: address, Positive: "none"}},
		{List: List{Zone: "pofon.foobar.hu", Tier: "c", Families: address, Positive: "none"}},
		{List: List{Zone: "dbl.spamhaus.org", Tier: "a", Families: names, Codes: dblCodes()}, asked: true, cure: cureSpamhaus},
		{List: List{Zone: "dbl.dq.spamhaus.net", Tier: "a", Families: names, Codes: dblCodes()}, free: "dbl.spamhaus.org"},
		{List: List{Zone: "multi.surbl.org", Tier: "b", Families: names, Bitmask: true, Positive: "test.surbl.org", Codes: []Code{
			{Bit: 1, Sense: senseRefused, Text: "the list refuses this resolver"},
			{Bit: 4, Sense: senseListed, Text: "disposable mail"},
			{Bit: 8, Sense: senseListed, Text: "phishing"},
			{Bit: 16, Sense: senseListed, Text: "malware"},
			{Bit: 32, Sense: senseListed, Text: "click tracker"},
			{Bit: 64, Sense: senseListed, Text: "abuse"},
			{Bit: 128, Sense: senseListed, Text: "cracked site"},
		}}, asked: true},
		{List: List{Zone: "multi.uribl.com", Tier: "b", Families: names, Bitmask: true, Positive: "test.uribl.com", Codes: uriblCodes()}, asked: true},
		{List: List{Zone: "black.uribl.com", Tier: "b", Families: names, Bitmask: true, Positive: "test.uribl.com", Codes: uriblCodes()}},
	}
}

func zenCodes() []Code {
	return []Code{
		{Address: "127.0.0.2", Sense: senseListed, Text: "SBL: source of spam"},
		{Address: "127.0.0.3", Sense: senseListed, Text: "CSS: source of low-reputation mail"},
		{Address: "127.0.0.4", Sense: senseListed, Text: "XBL: exploited or infected host"},
		{Address: "127.0.0.9", Sense: senseListed, Text: "DROP: hijacked or criminal network"},
		{Address: "127.0.0.10", Sense: sensePolicy, Text: "PBL: range that its operator says sends no mail"},
		{Address: "127.0.0.11", Sense: sensePolicy, Text: "PBL: range that Spamhaus says sends no mail"},
	}
}

// abusixCodes: docs.abusix.com, "Production Zones".
func abusixCodes() []Code {
	return []Code{
		{Address: "127.0.0.2", Sense: senseListed, Text: "sent mail to traps"},
		{Address: "127.0.0.3", Sense: senseListed, Text: "very low reputation"},
		{Address: "127.0.0.4", Sense: senseListed, Text: "exploited host or proxy"},
		{Address: "127.0.0.11", Sense: sensePolicy, Text: "generic reverse name"},
		{Address: "127.0.0.12", Sense: sensePolicy, Text: "no reverse name"},
		{Address: "127.0.0.200", Sense: senseListed, Text: "listed by hand"},
	}
}

func dblCodes() []Code {
	return []Code{
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
	}
}

// mailspikeCodes are a scale of reputation, of which only the worst is a listing.
func mailspikeCodes() []Code {
	codes := []Code{
		{Address: "127.0.0.10", Sense: senseListed, Text: "worst reputation"},
		{Address: "127.0.0.11", Sense: senseListed, Text: "very bad reputation"},
		{Address: "127.0.0.12", Sense: senseListed, Text: "bad reputation"},
	}
	for _, last := range []string{"13", "14", "15", "16"} {
		codes = append(codes, Code{Address: "127.0.0." + last, Sense: senseNeutral, Text: "neutral reputation"})
	}
	for _, last := range []string{"17", "18", "19", "20"} {
		codes = append(codes, Code{Address: "127.0.0." + last, Sense: senseNeutral, Text: "good reputation"})
	}
	return codes
}

func uriblCodes() []Code {
	return []Code{
		{Bit: 1, Sense: senseRefused, Text: "the list refuses this resolver"},
		{Bit: 2, Sense: senseListed, Text: "black"},
		{Bit: 4, Sense: sensePolicy, Text: "grey"},
		{Bit: 8, Sense: senseListed, Text: "red"},
	}
}

// lookUp finds what is known of a zone, which may have a key in front.
func lookUp(zone string) (known, bool) {
	for _, k := range catalogue() {
		if zone == k.Zone || strings.HasSuffix(zone, "."+k.Zone) {
			return k, true
		}
	}
	return known{}, false
}

// keyed are the zones below which the first labels of a name are a secret key.
var keyed = []string{".dq.spamhaus.net", ".mail.abusix.zone"}

// splitKey takes a key that stands in a zone out of it, so that it is masked as
// one that was given apart.
func splitKey(zone string) (masked, key string) {
	for _, suffix := range keyed {
		front, ok := strings.CutSuffix(zone, suffix)
		if !ok || strings.Contains(zone, keyMark) {
			continue
		}
		if dot := strings.LastIndexByte(front, '.'); dot > 0 {
			return keyMark + front[dot:] + suffix, front[:dot]
		}
	}
	return zone, ""
}
