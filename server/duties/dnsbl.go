package duties

import (
	"fmt"
	"slices"
	"strings"

	"github.com/attesto/attesto/evidence"
)

// dnsblCheck judges each outgoing address by the newest run. A listing on a list
// that decides is a breach: it is a finding to act upon. An address counts as
// clean only when enough of the deciding lists answered with their controls
// passed. Lists of tier c and listings by a policy on ranges are information.
var dnsblCheck = check{
	kind:     evidence.KindDNSBL,
	params:   []string{"fresh", "answered", "tier_b"},
	optional: true,
	judge:    judgeDNSBL,
}

func judgeDNSBL(h host) []AssetFinding {
	facts, gaps, err := decode[evidence.DNSBL](h)
	if err != nil {
		return h.unreadable(err)
	}
	if len(facts.Targets) == 0 {
		return []AssetFinding{h.find(Unproven, "", say("dnsbl_no_targets", "host", h.agent.Name, "gaps", gapText(gaps)))}
	}
	var found []AssetFinding
	for _, t := range facts.Targets {
		found = append(found, h.judgeTarget(facts, t.Target))
	}
	// Gaps on lists stand in the facts; others may hide an address.
	gaps = slices.DeleteFunc(gaps, func(g evidence.Gap) bool {
		return strings.HasPrefix(g.What, "list ") || strings.HasPrefix(g.What, "name server ")
	})
	if len(gaps) > 0 {
		found = append(found, h.find(Unproven, "", say("gaps", "host", h.agent.Name, "gaps", gapText(gaps))))
	}
	return found
}

func (h host) judgeTarget(facts evidence.DNSBL, target string) AssetFinding {
	answers := map[string]evidence.DNSBLAnswer{}
	for _, a := range facts.Answers {
		if a.Target == target {
			answers[a.Zone] = a
		}
	}
	var bad, noted, silent []string
	deciding := 0
	for _, l := range facts.Lists {
		if l.Family != evidence.DNSBLFamily(target) {
			continue
		}
		a := answers[l.Zone]
		decides := l.Tier == "a" || l.Tier == "b" && h.flag("tier_b")
		if decides {
			deciding++
		}
		switch {
		case a.Result != evidence.Listed && a.Result != evidence.NotListed, l.Controls != evidence.ControlsPassed:
			if decides {
				silent = append(silent, silence(l, a))
			}
		case a.Result == evidence.NotListed:
		case decides && !a.Policy:
			bad = append(bad, fmt.Sprintf("%s (%s)", l.Zone, strings.Join(a.Codes, " ")))
		default:
			noted = append(noted, l.Zone)
		}
	}
	args := []any{"host", h.agent.Name, "target", target, "at", h.clock(h.moment(h.newest()))}
	switch {
	case len(bad) > 0:
		return h.find(Breached, target, say("dnsbl_listed", append(args, "lists", listed(bad))...))
	case deciding == 0:
		return h.find(Unproven, target, say("dnsbl_no_deciding", args...))
	case float64(deciding-len(silent))*100 < h.number("answered")*float64(deciding):
		return h.find(Unproven, target, say("dnsbl_no_answer", append(args, "lists", listed(silent),
			"answered", deciding-len(silent), "deciding", deciding)...))
	case len(noted) > 0:
		return h.find(Fulfilled, target, say("dnsbl_noted", append(args, "deciding", deciding, "lists", listed(noted))...))
	}
	return h.find(Fulfilled, target, say("dnsbl_clean", append(args, "deciding", deciding)...))
}

// silence names a list that gave nothing to go by, and why.
func silence(l evidence.DNSBLList, a evidence.DNSBLAnswer) string {
	why := a.Why
	if l.Controls != evidence.ControlsPassed && l.Why != "" {
		why = l.Why
	}
	if why == "" {
		return l.Zone
	}
	return l.Zone + " (" + why + ")"
}
