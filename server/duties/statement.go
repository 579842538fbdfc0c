package duties

import (
	"cmp"
	"slices"
	"time"
)

// The kinds of statement.
const (
	StatementAttestation = "attestation" // a person of the party says that the duty is met, or that it is not
	StatementWaiver      = "waiver"      // the party does without it, for a reason
	StatementNeed        = "need"        // what must be backed up, how often, and how long it is kept
	StatementRestore     = "restore"     // a restore was tried, and how it went
	StatementCosigned    = "cosigned"    // the other party signs a statement, too
	StatementStanding    = "standing"    // the duty's alerts are the party's way of looking
)

// Statement is what a person of a duty's party has signed for, until a date.
type Statement struct {
	ID    string
	Kind  string
	At    time.Time
	Until time.Time // the review date: after it the statement proves nothing
	Good  bool      // of an attestation: the duty is met
	Party string    // who signed, where it is not the duty's own party
	About string    // what it says to the checks, as JSON
	Log   string
	Index int64
}

// Checks names the checks that the duty is judged by.
func (d Duty) Checks() []string {
	var names []string
	for _, p := range d.Parts {
		if p.Proof == ProofCheck {
			names = append(names, p.Name)
		}
	}
	return names
}

// Stated reports whether the duty is judged by what its party states for all its
// duties: the need for backups, and restore tests.
func (d Duty) Stated() bool {
	return d.hasCheck("restore") || d.hasCheck("need") || d.hasCheck("copy")
}

// Holds is how long a statement about a duty may hold: its cadence where the list
// names one over a day, a month where it waits for an event ("none in this month"),
// else a year.
func (d Duty) Holds() time.Duration {
	const day = 24 * time.Hour
	switch {
	case d.Every > day:
		return d.Every
	case d.Every == 0:
		return Recall
	}
	return 365 * day
}

// until is when a statement about a duty ends: on its day, or, of a duty that is periodic,
// when it must be stated anew, however long it was signed for.
func (d Duty) until(s Statement) time.Time {
	if next := s.At.Add(d.Holds()); d.SetByYou && next.Before(s.Until) {
		return next
	}
	return s.Until
}

// MaxStanding is how long a standing instruction holds before it is looked at again.
const MaxStanding = 365 * 24 * time.Hour

// MaxWaiver is how long a duty can be waived at once.
const MaxWaiver = 365 * 24 * time.Hour

// newest is the newest statement of a kind.
func newest(list []Statement, kind string) (Statement, bool) {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Kind == kind {
			return list[i], true
		}
	}
	return Statement{}, false
}

// byNeed reports whether a duty is judged by the declared need: that is a statement of
// what is wanted, signed by the customer, and attests the scope.
func (d Duty) byNeed() bool { return d.hasCheck("need") }

func (d Duty) hasCheck(name string) bool { return slices.Contains(d.Checks(), name) }

// attestationParams are the parameters of an attestation.
var attestationParams = []string{"cosigned"}

func judgeAttestation(d Duty, q Question, v values) Finding {
	s, ok := newest(q.Statements, StatementAttestation)
	if need, declared := newest(q.Statements, StatementNeed); declared && d.byNeed() && (!ok || need.At.After(s.At) || s.Good && !q.At.Before(d.until(s))) {
		s, ok = need, true
	}
	var tested Finding
	if d.byRestore() {
		var tried bool
		tested, tried = judgeTested(d, q, restoreTerm{d.Every, v.flag("cosigned"), false})
		// No statement makes good a test that failed or that the other party has not signed.
		if tried && (tested.measured.After(s.At) || tested.Verdict == Breached || tested.Why.Key == "tested_unsigned" || !q.At.Before(s.Until)) {
			return tested
		}
	}
	s.Until = d.until(s)
	party := []any{"party_codes", d.Party}
	if !ok {
		return Finding{Why: say("attestation_never", party...), stated: true}
	}
	args := append(party, "at", clock(s.At, q.Zone), "until", clock(s.Until, q.Zone))
	f := Finding{Verdict: Fulfilled, Cites: []Cite{{s.Log, s.Index}}, Due: s.Until, stated: true}
	if tested.Verdict == Fulfilled {
		f.measured = tested.measured
	}
	switch {
	case !q.At.Before(s.Until):
		f.Verdict, f.Why, f.Due = Unproven, say("attestation_lapsed", args...), time.Time{}
	case !s.Good:
		f.Verdict, f.Why = Breached, say("attestation_bad", args...)
	default:
		f.Why = say("attestation_holds", args...)
	}
	return f
}

// unreadable are the messages of what no host can show, however often it looks.
var unreadable = []string{"no_agent", "nothing_there", "passwords_unknown"}

// orAttested leaves what no host can show to the duty's statement, where the list has it so.
func orAttested(d Duty, pf PartFinding) PartFinding {
	if !d.Attested {
		return pf
	}
	left := func(f Finding) Finding {
		if f.Verdict == Unproven && slices.Contains(unreadable, f.Why.Key) {
			f.Verdict, f.Why = NotApplicable, say("left_to_statement", "party_codes", d.Party)
		}
		return f
	}
	var shown, stated []AssetFinding
	for _, f := range pf.Assets {
		if f.Finding = left(f.Finding); f.Verdict == NotApplicable {
			stated = append(stated, f)
		} else {
			shown = append(shown, f)
		}
	}
	switch {
	case len(pf.Assets) == 0:
		pf.Finding = left(pf.Finding)
	case len(shown) == 0:
		pf = PartFinding{Part: pf.Part, Assets: stated}.weakestFirst("all_fulfilled")
	default:
		pf = PartFinding{Part: pf.Part, Assets: shown}.weakestFirst("all_fulfilled")
		pf.Assets = append(pf.Assets, stated...)
	}
	return pf
}

// waived is the finding of a duty that its party does without. Of the waivers of one party
// the newest counts, so that one can be taken back by another that ends sooner; of those of
// several the one that holds longest.
func waived(d Duty, q Question) (Finding, bool) {
	of := map[string]Statement{}
	for _, w := range q.Statements {
		if w.Kind == StatementWaiver {
			of[w.Party] = w
		}
	}
	var s Statement
	for _, w := range of {
		if w.Until.After(s.Until) || w.Until.Equal(s.Until) && w.At.After(s.At) {
			s = w
		}
	}
	if !q.At.Before(s.Until) {
		return Finding{}, false
	}
	return Finding{Verdict: NotApplicable, Why: say("waived", "party_codes", cmp.Or(s.Party, d.Party), "at", clock(s.At, q.Zone), "until", clock(s.Until, q.Zone)),
		Cites: []Cite{{s.Log, s.Index}}, Due: s.Until}, true
}

// Refusal says why what a person wants to state cannot stand; pages have words for
// its key.
type Refusal struct {
	Key string
	Err error
}

func (r Refusal) Error() string { return r.Err.Error() }

// Unwrap returns why.
func (r Refusal) Unwrap() error { return r.Err }
