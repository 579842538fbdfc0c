package duties

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Judge answers a question about a duty. The whole is as good as its weakest
// part, in the order breached, unproven, no occasion, fulfilled; what does not
// apply weakens nothing. Of a duty with alternatives the best part counts, but no
// statement outweighs a breach that was measured.
func (c *Catalogue) Judge(d Duty, q Question) (whole Finding, parts []PartFinding) {
	if q.Zone == nil {
		q.Zone = time.UTC
	}
	q.releases, q.days = c.Releases(), d.Rhythm()
	parts = make([]PartFinding, len(d.Parts))
	for i, p := range d.Parts {
		if p.Proof != ProofReview {
			parts[i] = c.judgePart(d, p, q)
		}
	}
	found := make([]Finding, len(d.Parts))
	for i, p := range d.Parts {
		if p.Proof == ProofReview { // of what the others found
			parts[i] = judgeReview(d, p, q, parts)
		}
		found[i] = parts[i].Finding
	}
	at := weakest(found)
	if d.Any {
		at = best(found)
	}
	whole = Finding{Verdict: found[at].Verdict, Why: found[at].Why}
	for _, f := range found {
		whole.Cites = append(whole.Cites, f.Cites...)
		whole.Due = soonest(whole.Due, f.Due)
	}
	whole.Cites = cited(whole.Cites)
	for _, off := range []func() (Finding, bool){func() (Finding, bool) { return waived(d, q) }, func() (Finding, bool) { return c.notApplied(d, q) }} {
		if f, ok := off(); ok {
			f.Due = soonest(f.Due, whole.Due)
			return f, parts
		}
	}
	return whole, parts
}

func (c *Catalogue) judgePart(d Duty, p Part, q Question) PartFinding {
	v := values{p.Params, q.Params[p.Name]}
	switch {
	case p.Proof == ProofAttestation:
		return PartFinding{Part: p, Finding: judgeAttestation(d, q, v)}
	case p.Proof == ProofWorkflow:
		return c.judgeWorkflow(d, p, q)
	case !p.Judged:
		return PartFinding{Part: p, Finding: Finding{Why: say("way_of_proof_missing", "proof_codes", p.Name)}}
	}
	return orUnasked(d, orByHand(d, q, v, c.dealt(d, orAttested(d, judgeFacts(c.checks[p.Check], d, p, q, v)), q)))
}

// judgeFacts judges a part by what agents sent.
func judgeFacts(chk check, d Duty, p Part, q Question, v values) PartFinding {
	switch {
	case len(q.Agents) == 0:
		return PartFinding{Part: p, Finding: Finding{Why: say("no_agent", "service", d.Service, "party_codes", d.Party)}}
	case chk.whole != nil:
		return chk.whole(chk, d, p, q, v)
	}
	return judgeCheck(chk, p, q, v)
}

// judgeCheck judges each host and puts the findings together.
func judgeCheck(chk check, p Part, q Question, v values) PartFinding {
	var idle, list []AssetFinding
	for _, a := range q.Agents {
		found, none := q.host(chk, p, a, v)
		if none {
			idle = append(idle, found...)
			continue
		}
		list = append(list, found...)
	}
	if chk.elsewhere {
		idle = slices.DeleteFunc(idle, func(f AssetFinding) bool {
			return slices.ContainsFunc(list, func(o AssetFinding) bool { return strings.EqualFold(o.Thing, f.Host) })
		})
	}
	// A host without anything to look at weakens nothing where another has it, unless each needs it.
	if len(list) == 0 || !chk.optional {
		list = append(list, idle...)
	}
	return PartFinding{Part: p, Assets: list}.weakestFirst("all_fulfilled")
}

// host judges one host; of a question about the past, that was done before.
func (q Question) host(chk check, p Part, a Agent, v values) (found []AssetFinding, none bool) {
	if q.past != nil {
		return q.past.host(hostPart{p.Name, a.ID}, q.At)
	}
	return chk.host(newHost(a, q, v, chk.kind))
}

// weakestFirst sorts a part's assets and gives the part the weakest one's finding;
// where all are fulfilled it says so with the message of that key.
func (pf PartFinding) weakestFirst(all string) PartFinding {
	waits := map[bool]int{true: 1} // what lacks time alone is less of a reason than any other
	slices.SortStableFunc(pf.Assets, func(a, b AssetFinding) int {
		return cmp.Or(cmp.Compare(a.Verdict.strength(), b.Verdict.strength()), cmp.Compare(waits[a.Building], waits[b.Building]))
	})
	for _, f := range pf.Assets {
		pf.Cites = append(pf.Cites, f.Cites...)
		pf.Due = soonest(pf.Due, f.Due)
	}
	pf.Cites = cited(pf.Cites)
	pf.Verdict, pf.Why, pf.measured = pf.Assets[0].Verdict, pf.Assets[0].Why, pf.Assets[0].measured
	for _, f := range pf.Assets { // a breach is as new as the newest, proof as old as the oldest
		if f.Verdict == pf.Verdict && f.measured.After(pf.measured) == (pf.Verdict == Breached) {
			pf.measured = f.measured
		}
	}
	if good := len(pf.Assets); pf.Verdict == Fulfilled && good > 1 {
		pf.Why = say(all, "count", good, "assets", listed(assetNames(pf.Assets)))
	}
	return pf
}

func assetNames(list []AssetFinding) []string {
	names := make([]string, len(list))
	for i, f := range list {
		names[i] = f.String()
	}
	return names
}

// maxCites bounds how many log entries one finding names.
const maxCites = 100

// cited sorts and deduplicates, newest first, and keeps the newest maxCites.
func cited(list []Cite) []Cite {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Cite) int { return cmp.Or(cmp.Compare(b.Index, a.Index), cmp.Compare(a.Log, b.Log)) })
	list = slices.Compact(list)
	return list[:min(len(list), maxCites)]
}

// soonest is the earlier of two moments; the zero time stands for never.
func soonest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
