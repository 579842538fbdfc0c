package dnsbl

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

const (
	// maxText bounds a list's TXT reason in facts, in bytes.
	maxText = 300
	// readText bounds it before a key in it is masked, so that no half of a key is
	// left at the cut.
	readText  = 4096
	maxAddrs  = 32
	maxCNAMEs = 8
)

// reply is what a name server answered to one question.
type reply struct {
	rcode     int
	addrs     []netip.Addr
	text      string // printable, at most readText bytes
	truncated bool
	referral  bool // it points to other servers instead of answering
	other     bool // it answers, but not with what was asked for
}

// parseReply reads a DNS message (RFC 1035) and checks that it answers the
// question.
func parseReply(msg []byte, q question) (reply, error) {
	var m dns.Msg
	if err := m.Unpack(msg); err != nil {
		return reply{}, fmt.Errorf("malformed answer: %w", err)
	}
	return readReply(&m, q)
}

func readReply(m *dns.Msg, q question) (reply, error) {
	if !m.Response || len(m.Question) != 1 {
		return reply{}, errors.New("not an answer to one question")
	}
	asked := m.Question[0]
	if !strings.EqualFold(asked.Name, q.name) || asked.Qtype != q.qtype || asked.Qclass != dns.ClassINET {
		return reply{}, errors.New("answer to another question")
	}
	r := reply{rcode: m.Rcode, truncated: m.Truncated}
	owner := ownerOf(m.Answer, q.name)
	var text []string
	for _, rr := range m.Answer {
		if !strings.EqualFold(rr.Header().Name, owner) {
			continue
		}
		switch rr := rr.(type) {
		case *dns.A:
			if addr, ok := netip.AddrFromSlice(rr.A); ok && len(r.addrs) < maxAddrs {
				r.addrs = append(r.addrs, addr.Unmap())
			}
		case *dns.TXT:
			text = append(text, strings.Join(rr.Txt, ""))
		}
	}
	host.SortFunc(r.addrs, netip.Addr.Compare)
	r.addrs = slices.Compact(r.addrs)
	r.text = cleanText(strings.Join(text, " | "), readText)
	r.referral = len(m.Answer) == 0 && isReferral(m.Ns)
	r.other = len(m.Answer) > 0 && q.qtype == dns.TypeA
	return r, nil
}

// ownerOf follows CNAMEs from the name that was asked for.
func ownerOf(answer []dns.RR, name string) string {
	for range maxCNAMEs {
		next := ""
		for _, rr := range answer {
			if c, ok := rr.(*dns.CNAME); ok && strings.EqualFold(c.Hdr.Name, name) {
				next = c.Target
			}
		}
		if next == "" {
			break
		}
		name = next
	}
	return name
}

// isReferral knows the empty answer of a server that is not in charge (RFC 2308
// section 2.2): name servers, and no SOA that would say "there is nothing".
func isReferral(authority []dns.RR) bool {
	has := func(qtype uint16) bool {
		return slices.ContainsFunc(authority, func(rr dns.RR) bool { return rr.Header().Rrtype == qtype })
	}
	return has(dns.TypeNS) && !has(dns.TypeSOA)
}

// cleanText keeps printable characters and cuts at limit bytes.
func cleanText(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0xfffd || (r >= 0x2028 && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, " "))
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "")
	}
	return strings.TrimSpace(s)
}

// verdict is the meaning of a reply on a list.
type verdict struct {
	result string // evidence.Listed, NotListed or NoAnswer
	codes  []string
	why    string
	policy bool
}

// judge gives a reply its meaning. Only NXDOMAIN, or an empty answer without
// error, says "not listed"; only an address in 127.0.0.0/8 that is not a refusal
// says "listed" (RFC 5782 sections 2.1 and 2.3).
func (l List) judge(r reply) verdict {
	switch {
	case r.rcode == dns.RcodeNameError:
		return verdict{result: evidence.NotListed}
	case r.rcode != dns.RcodeSuccess:
		return verdict{result: evidence.NoAnswer, why: "name server said " + dns.RcodeToString[r.rcode]}
	case len(r.addrs) == 0 && r.truncated:
		return verdict{result: evidence.NoAnswer, why: "answer was cut off"}
	case r.referral:
		return verdict{result: evidence.NoAnswer, why: "lame: the name server points elsewhere instead of answering"}
	case len(r.addrs) == 0 && r.other:
		return verdict{result: evidence.NoAnswer, why: "answered without an address: the resolver rewrites answers, or the list is parked"}
	case len(r.addrs) == 0:
		return verdict{result: evidence.NotListed}
	}
	v := verdict{result: evidence.NotListed, policy: true}
	for _, addr := range r.addrs {
		v.codes = append(v.codes, addr.String())
	}
	var why []string
	for _, addr := range r.addrs {
		if !addr.Is4() || addr.As4()[0] != 127 {
			return verdict{result: evidence.NoAnswer, codes: v.codes,
				why: fmt.Sprintf("answered %s, outside 127.0.0.0/8: the resolver rewrites answers, or the list is parked", addr)}
		}
		for _, c := range l.meaning(addr) {
			switch c.Sense {
			case senseRefused:
				return verdict{result: evidence.NoAnswer, codes: v.codes, why: fmt.Sprintf("answered %s: %s", addr, c.Text)}
			case senseListed:
				v.result, v.policy = evidence.Listed, false
			case sensePolicy:
				v.result = evidence.Listed
			}
			if c.Text != "" && !slices.Contains(why, c.Text) {
				why = append(why, c.Text)
			}
		}
	}
	v.policy = v.policy && v.result == evidence.Listed
	v.why = strings.Join(why, "; ")
	return v
}

// meaning finds what an address in 127.0.0.0/8 says on this list. A code that
// nobody documented is a listing: the list did list the address. But 127.0.0.1 is
// none: where it is documented, it refuses or whitelists.
func (l List) meaning(addr netip.Addr) []Code {
	for _, c := range append(slices.Clone(l.Codes), refusals...) {
		if c.fits(addr) {
			return []Code{c}
		}
	}
	octets := addr.As4()
	if octets[1] == 255 && octets[2] == 255 {
		return []Code{{Sense: senseRefused, Text: "an error code of the list"}}
	}
	var bits []Code
	for _, c := range l.Codes {
		if l.Bitmask && c.Bit != 0 && octets[3]&c.Bit != 0 {
			bits = append(bits, c)
		}
	}
	switch {
	case len(bits) > 0:
		return bits
	case octets == [4]byte{127, 0, 0, 1}:
		return []Code{{Sense: senseRefused, Text: "no code of a listing"}}
	case len(l.Codes) > 0:
		return []Code{{Sense: senseListed, Text: "a code that the list does not document"}}
	}
	return []Code{{Sense: senseListed}}
}

// judgeControls says whether the list can be believed in this run: its test
// entry is listed, and what must not be listed is not (RFC 5782 section 5). On a
// list of reputations the test entry has some answer.
func (l List) judgeControls(positive, negative verdict) (state, why string) {
	switch {
	case negative.result == evidence.Listed:
		return evidence.ControlsFailed, "lists its own must-not-be-listed test point: it lists everything, or is dead"
	case positive.result == evidence.NoAnswer:
		return evidence.ControlsNoAnswer, positive.why
	case negative.result == evidence.NoAnswer:
		return evidence.ControlsNoAnswer, negative.why
	case len(positive.codes) == 0:
		return evidence.ControlsFailed, "does not list its own test entry: the resolver hides the list, or the list is dead"
	}
	return evidence.ControlsPassed, ""
}
