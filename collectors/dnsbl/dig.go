package dnsbl

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Formats lists what this kind can read.
func Formats() []host.Format {
	return []host.Format{
		{Name: "dnsbl-answer", Title: "a DNS answer in wire form (RFC 1035)", Parse: explainMessage},
		{Name: "dnsbl-dig", Title: "answers as dig prints them, those of the list's controls among them", Parse: explainDig},
	}
}

func explainMessage(data []byte, _ time.Time) (host.Look, error) {
	var m dns.Msg
	if err := m.Unpack(data); err != nil {
		return host.Look{}, fmt.Errorf("malformed answer: %w", err)
	}
	return explained([]*dns.Msg{&m})
}

func explainDig(data []byte, _ time.Time) (host.Look, error) {
	msgs, err := ParseDig(data)
	if err != nil {
		return host.Look{}, err
	}
	asked := max(strings.Count("\n"+string(data), "\n; <<>> DiG "), len(msgs))
	// A header whose question was cut off answers nothing.
	msgs = slices.DeleteFunc(msgs, func(m *dns.Msg) bool { return len(m.Question) == 0 })
	l, err := explained(msgs)
	if missing := asked - len(msgs); missing > 0 && err == nil {
		l.Gaps = append(l.Gaps, evidence.Gap{What: "questions in the file", Why: fmt.Sprintf("%d of %d have no answer in it: they timed out, or the file was cut", missing, asked)})
	}
	return l, err
}

// ParseDig reads what dig prints: header, question and answer sections of each
// answer. dig's comments begin with two semicolons, a question with one. An answer with
// fewer records than its header counts was cut off, and is marked as truncated.
func ParseDig(data []byte) ([]*dns.Msg, error) {
	var msgs []*dns.Msg
	section, counted := "", []int{}
	lines := strings.Split(string(data), "\n")
	for n, line := range lines {
		line = strings.TrimSpace(line)
		fields := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, ";; ->>HEADER<<-"):
			m, err := digHeader(line)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n+1, err)
			}
			msgs, section, counted = append(msgs, m), "", append(counted, -1)
		case len(msgs) == 0 || line == "":
		case strings.HasPrefix(line, ";; flags:"):
			msgs[len(msgs)-1].Truncated = strings.Contains(strings.SplitN(line, ";", 4)[2], " tc")
			counted[len(counted)-1] = digCount(line)
		case strings.HasPrefix(line, ";; "):
			section = ""
			if strings.HasSuffix(line, " SECTION:") {
				section = fields[1]
			}
		case section == "QUESTION" && line[0] == ';' && len(fields) == 3:
			msgs[len(msgs)-1].Question = append(msgs[len(msgs)-1].Question,
				dns.Question{Name: dns.Fqdn(fields[0][1:]), Qtype: dns.StringToType[fields[2]], Qclass: dns.StringToClass[fields[1]]})
		case line[0] == ';':
		case section == "ANSWER" || section == "AUTHORITY":
			rr, err := dns.NewRR(line)
			if (err != nil || rr == nil) && n == len(lines)-1 {
				break // cut in the middle of a record
			}
			if err != nil || rr == nil {
				return nil, fmt.Errorf("line %d: %.80q is no record (%w)", n+1, line, errors.Join(err))
			}
			if m := msgs[len(msgs)-1]; section == "ANSWER" {
				m.Answer = append(m.Answer, rr)
			} else {
				m.Ns = append(m.Ns, rr)
			}
		}
	}
	for i, m := range msgs {
		m.Truncated = m.Truncated || len(m.Answer) < counted[i] || counted[i] < 0
	}
	if len(msgs) == 0 {
		return nil, errors.New("no answer of dig in it: no line begins with \";; ->>HEADER<<-\"")
	}
	return msgs, nil
}

// digCount is how many records a header says that the answer has, -1 if it does not say.
func digCount(flags string) int {
	_, count, _ := strings.Cut(flags, "ANSWER: ")
	count, _, _ = strings.Cut(count, ",")
	n, err := strconv.Atoi(count)
	if err != nil {
		return -1
	}
	return n
}

func digHeader(line string) (*dns.Msg, error) {
	_, status, _ := strings.Cut(line, "status: ")
	status, _, ok := strings.Cut(status, ",")
	rcode, known := dns.StringToRcode[status]
	if !ok || !known {
		return nil, fmt.Errorf("no known status in %.80q", line)
	}
	m := new(dns.Msg)
	m.Response, m.Rcode = true, rcode
	return m, nil
}

// explained judges answers as those of one run: a list whose controls are not among
// them proves nothing.
func explained(msgs []*dns.Msg) (host.Look, error) {
	x := explanation{lists: map[[2]string]*listRun{}}
	for i, m := range msgs {
		if len(m.Question) != 1 {
			return host.Look{}, fmt.Errorf("answer %d: to %d questions, want one", i+1, len(m.Question))
		}
		q := question{m.Question[0].Name, m.Question[0].Qtype}
		r, err := readReply(m, q)
		if err != nil {
			return host.Look{}, fmt.Errorf("answer %d: %w", i+1, err)
		}
		x.add(q, r)
	}
	return x.look()
}

// explanation gathers replies by list and family.
type explanation struct {
	lists   map[[2]string]*listRun
	order   []*listRun
	targets []evidence.DNSBLTarget
}

func (x *explanation) add(q question, r reply) {
	subject, zone := splitName(q.name)
	family := evidence.DNSBLFamily(subject)
	lr := x.lists[[2]string{zone, family}]
	if lr == nil {
		lr = &listRun{list: listOf(zone), family: family, positive: notInFile, negative: notInFile}
		x.lists[[2]string{zone, family}] = lr
		x.order = append(x.order, lr)
	}
	v := lr.list.judge(r)
	positive, negative := lr.list.controls(family)
	switch subject {
	case canonical(positive):
		if q.qtype == dns.TypeA {
			lr.positive = v
		}
		return
	case canonical(negative):
		if q.qtype == dns.TypeA {
			lr.negative = v
		}
		return
	}
	i := slices.Index(lr.targets, subject)
	if i < 0 {
		i = len(lr.targets)
		lr.targets, lr.verdicts = append(lr.targets, subject), append(lr.verdicts, noSuchAnswer)
		lr.millis, lr.texts = append(lr.millis, 0), append(lr.texts, "")
		if !slices.ContainsFunc(x.targets, func(t evidence.DNSBLTarget) bool { return t.Target == subject }) {
			x.targets = append(x.targets, evidence.DNSBLTarget{Target: subject, Found: "file"})
		}
	}
	if q.qtype == dns.TypeA {
		lr.verdicts[i] = v
	} else {
		lr.texts[i] = r.text
	}
}

var noSuchAnswer = verdict{result: evidence.NoAnswer, why: "not in the file"}

// notInFile is the verdict on controls that were not captured. A listing is shown
// nevertheless.
var notInFile = verdict{result: evidence.NoAnswer, why: "the list's controls were not captured with it"}

func (x *explanation) look() (host.Look, error) {
	// Every list has an answer for every target of its family.
	for _, lr := range x.order {
		lr.uncontrolled = lr.positive.why == notInFile.why && lr.negative.why == notInFile.why
		for _, t := range x.targets {
			if evidence.DNSBLFamily(t.Target) == lr.family && !slices.Contains(lr.targets, t.Target) {
				lr.targets, lr.verdicts = append(lr.targets, t.Target), append(lr.verdicts, noSuchAnswer)
				lr.millis, lr.texts = append(lr.millis, 0), append(lr.texts, "")
			}
		}
	}
	f := evidence.DNSBL{Resolvers: []string{}, Targets: x.targets}
	if f.Targets == nil {
		f.Targets = []evidence.DNSBLTarget{}
	}
	f.Lists, f.Answers = (&run{lists: x.order}).results()
	return host.Look{Facts: f, Gaps: listGaps(f)}, f.Validate()
}

// splitName splits a name that was asked for into the subject and the list's zone,
// as far as a name alone tells: an address has a fixed number of labels; of
// domains, the zone is one that the catalogue knows, or all behind a test point
// or behind the first two labels.
func splitName(name string) (subject, zone string) {
	labels := dns.SplitDomainName(strings.ToLower(name))
	if len(labels) > 32 {
		if addr, ok := fromNibbles(labels[:32]); ok {
			return addr.String(), strings.Join(labels[32:], ".")
		}
	}
	if len(labels) > 4 {
		octets := slices.Clone(labels[:4])
		slices.Reverse(octets)
		if addr, err := netip.ParseAddr(strings.Join(octets, ".")); err == nil {
			return addr.String(), strings.Join(labels[4:], ".")
		}
	}
	cut := min(2, len(labels))
	if len(labels) > 1 && (labels[0] == "test" || labels[0] == "invalid") {
		cut = 1
	}
	for i := range labels {
		if k, ok := lookUp(strings.Join(labels[i:], ".")); ok && k.Zone == strings.Join(labels[i:], ".") && i > 0 {
			cut = i
		}
	}
	return strings.Join(labels[:cut], "."), strings.Join(labels[cut:], ".")
}

// canonical is the one spelling of an address.
func canonical(subject string) string {
	if addr, err := netip.ParseAddr(subject); err == nil {
		return addr.String()
	}
	return subject
}

func fromNibbles(labels []string) (netip.Addr, bool) {
	reversed := slices.Clone(labels)
	slices.Reverse(reversed)
	raw, err := hex.DecodeString(strings.Join(reversed, ""))
	if err != nil || len(raw) != 16 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom16([16]byte(raw)), true
}

// listOf is a zone as the catalogue knows it, or a list of one address family that
// is not known.
func listOf(zone string) List {
	l := List{Zone: zone}
	if err := l.complete(); err != nil {
		l = List{Zone: zone, Tier: "b"}
	}
	return l
}
