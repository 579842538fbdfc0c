package dnsbl

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/attesto/attesto/evidence"
)

// run is all that is asked in one look: for each list and family that a target
// needs, the two controls, and each target.
type run struct {
	lists []*listRun
}

type listRun struct {
	list               List
	family             string
	targets            []string
	positive, negative verdict
	verdicts           []verdict // one per target
	millis             []int64
	texts              []string
	uncontrolled       bool // captured without its controls
}

func newRun(lists []List, targets []evidence.DNSBLTarget) *run {
	r := &run{}
	for _, l := range lists {
		for _, family := range l.Families {
			lr := &listRun{list: l, family: family}
			for _, t := range targets {
				if evidence.DNSBLFamily(t.Target) == family {
					lr.targets = append(lr.targets, t.Target)
				}
			}
			if n := len(lr.targets); n > 0 {
				lr.verdicts, lr.millis, lr.texts = make([]verdict, n), make([]int64, n), make([]string, n)
				lr.positive, lr.negative = notAsked, notAsked
				for i := range lr.verdicts {
					lr.verdicts[i] = notAsked
				}
				r.lists = append(r.lists, lr)
			}
		}
	}
	return r
}

var notAsked = verdict{result: evidence.NoAnswer, why: "no name server could be asked"}

// slot is where the verdict of one question goes.
type slot struct {
	list    *listRun
	verdict *verdict
	target  int // -1 for a control
}

// ask puts all questions to one resolver and counts the replies. In a second round
// listings are asked again, so that one odd answer raises no alarm, and for their reasons.
func (r *run) ask(ctx context.Context, a asker) (replies int) {
	var questions []question
	var slots []slot
	add := func(lr *listRun, subject string, v *verdict, target int) {
		if subject == "" {
			*v = verdict{result: evidence.NoAnswer, why: "the list has no test entry: clean cannot be told from dead"}
			return
		}
		questions = append(questions, question{queryName(subject, lr.list.queried()), dns.TypeA})
		slots = append(slots, slot{lr, v, target})
	}
	for _, lr := range r.lists {
		positive, negative := lr.list.controls(lr.family)
		add(lr, positive, &lr.positive, -1)
		add(lr, negative, &lr.negative, -1)
		for i, t := range lr.targets {
			add(lr, t, &lr.verdicts[i], i)
		}
	}
	for i, ans := range a.ask(ctx, questions) {
		s := slots[i]
		if ans.err != nil {
			*s.verdict = verdict{result: evidence.NoAnswer, why: why(ctx, ans.err)}
		} else {
			replies++
			*s.verdict = s.list.list.judge(ans.reply)
		}
		if s.target >= 0 {
			s.list.millis[s.target] = ans.took.Milliseconds()
		}
	}
	r.askReasons(ctx, a)
	return replies
}

func why(ctx context.Context, err error) string {
	if errors.Is(err, errNoReply) && ctx.Err() != nil {
		return "no reply before the deadline of the look"
	}
	return err.Error()
}

// contradicted is what two answers are worth of which one lists and the other does not.
const contradicted = "listed by one answer and not by the next, moments later"

func (r *run) askReasons(ctx context.Context, a asker) {
	var questions []question
	var slots []slot
	for _, lr := range r.lists {
		for i, v := range lr.verdicts {
			if v.result == evidence.Listed {
				name := queryName(lr.targets[i], lr.list.queried())
				questions = append(questions, question{name, dns.TypeTXT}, question{name, dns.TypeA})
				slots = append(slots, slot{list: lr, target: i}, slot{lr, &lr.verdicts[i], i})
			}
		}
	}
	for i, ans := range a.ask(ctx, questions) {
		switch s := slots[i]; {
		case ans.err != nil: // the first answer stands
		case s.verdict == nil:
			s.list.texts[s.target] = ans.reply.text
		default:
			if again := s.list.list.judge(ans.reply); again.result == evidence.NotListed {
				*s.verdict = verdict{result: evidence.NoAnswer, why: contradicted}
			}
		}
	}
}

// results turns the run into facts: a target on a list that cannot be believed has
// no answer, whatever was said.
func (r *run) results() ([]evidence.DNSBLList, []evidence.DNSBLAnswer) {
	lists, answers := []evidence.DNSBLList{}, []evidence.DNSBLAnswer{}
	for _, lr := range r.lists {
		state, whyNot := lr.list.judgeControls(lr.positive, lr.negative)
		if state != evidence.ControlsPassed && lr.list.cure != "" && !lr.uncontrolled {
			whyNot += "; " + lr.list.cure
		}
		lists = append(lists, evidence.DNSBLList{Zone: lr.list.shown(), Tier: lr.list.Tier, Family: lr.family, Controls: state, Why: whyNot})
		for i, t := range lr.targets {
			v := lr.verdicts[i]
			ans := evidence.DNSBLAnswer{Target: t, Zone: lr.list.shown(), Result: v.result, Codes: v.codes,
				Text: cleanText(lr.list.withoutKey(lr.texts[i]), maxText), Why: v.why, Policy: v.policy, Millis: lr.millis[i]}
			if state != evidence.ControlsPassed && v.result != evidence.NoAnswer && !lr.believable(v) {
				ans = evidence.DNSBLAnswer{Target: t, Zone: ans.Zone, Result: evidence.NoAnswer, Codes: v.codes, Why: whyNot, Millis: ans.Millis}
			}
			answers = append(answers, ans)
		}
	}
	return lists, answers
}

// believable reports whether a listing holds although the controls did not pass: on
// a list that has no test entry, when it does not list everything.
func (lr *listRun) believable(v verdict) bool {
	positive, _ := lr.list.controls(lr.family)
	return v.result == evidence.Listed && (positive == "" && lr.negative.result == evidence.NotListed || lr.uncontrolled)
}

// queryName is the name under which a subject stands in a zone: octets
// reversed (RFC 5782 section 2.1), nibbles reversed (section 2.4), or the
// domain itself (section 2.3).
func queryName(subject, zone string) string {
	addr, err := netip.ParseAddr(subject)
	if err != nil {
		return dns.Fqdn(subject + "." + zone)
	}
	var labels []string
	if addr.Is4() {
		for _, b := range addr.As4() {
			labels = append(labels, itoa(b))
		}
	} else {
		const hex = "0123456789abcdef"
		for _, b := range addr.As16() {
			labels = append(labels, hex[b>>4:b>>4+1], hex[b&15:b&15+1])
		}
	}
	slices.Reverse(labels)
	return dns.Fqdn(strings.Join(labels, ".") + "." + zone)
}
