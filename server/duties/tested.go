package duties

import (
	"encoding/json"
	"time"
)

// RestoreTest is a restore that people tried, as a statement's About; what came of it
// is the statement's Good.
type RestoreTest struct {
	Service   string    `json:"service"`
	What      string    `json:"what"`                // what was restored
	Point     time.Time `json:"point"`               // the state that was restored
	Minutes   int       `json:"minutes"`             // how long it took
	Decrypted bool      `json:"decrypted,omitempty"` // with the encryption password, as its keeper has it
}

// cosigned is the About of the other party's signature.
type cosigned struct {
	Of string `json:"of"`
}

// CosignedAbout is what the signature of the other party under a statement says.
func CosignedAbout(statement string) string {
	b, _ := json.Marshal(cosigned{statement}) // a string always encodes
	return string(b)
}

// MaxRestore is how long a restore test is kept in view.
const MaxRestore = 366 * 24 * time.Hour

// byRestore reports whether a restore that people tried attests a duty: where a sample
// restored by an agent would do as well.
func (d Duty) byRestore() bool { return d.Any && d.Has(ProofAttestation) && d.hasCheck("restore") }

// restoreTerm is what a duty asks of a restore that people tried.
type restoreTerm struct {
	within    time.Duration // of the question
	cosigned  bool          // signed by both parties
	decrypted bool          // with the encryption password, as its keeper has it
}

// judgeTested judges the newest restore test of the duty's service that is of the kind
// asked for: it must have succeeded, lately enough, and be signed by both parties where
// the duty wants that.
func judgeTested(d Duty, q Question, want restoreTerm) (f Finding, ok bool) {
	var last Statement
	var test RestoreTest
	for _, s := range q.Statements {
		var t RestoreTest
		if s.Kind == StatementRestore && !s.At.Before(last.At) && json.Unmarshal([]byte(s.About), &t) == nil && t.Service == d.Service && (t.Decrypted || !want.decrypted) {
			last, test, ok = s, t, true
		}
	}
	if !ok {
		return f, false
	}
	until := last.At.Add(want.within)
	args := []any{"what", test.What, "at", clock(last.At, q.Zone), "until", clock(until, q.Zone), "minutes", test.Minutes, "point", clock(test.Point, q.Zone)}
	f = Finding{Cites: []Cite{{last.Log, last.Index}}, Due: until, measured: last.At, stated: true}
	signature, signed := cosignature(q.Statements, last.ID)
	if signed {
		f.Cites = append(f.Cites, Cite{signature.Log, signature.Index})
	}
	switch {
	case !q.At.Before(until):
		f.Why, f.Due = say("tested_old", args...), time.Time{}
	case !last.Good:
		f.Verdict, f.Why = Breached, say("tested_failed", args...)
	case want.cosigned && !signed:
		f.Why = say("tested_unsigned", args...)
	default:
		f.Verdict, f.Why = Fulfilled, say("tested_good", args...)
	}
	return f, true
}

// orByHand has a restore that people tried stand for an agent's sample, where that must
// have been decrypted: who could decrypt has the password. Duties with alternatives
// take such tests as a statement.
func orByHand(d Duty, q Question, v values, pf PartFinding) PartFinding {
	if d.Any || !v.flag("decrypted") {
		return pf
	}
	hand, tried := judgeTested(d, q, restoreTerm{within: v.duration("age"), decrypted: true})
	if list := []Finding{pf.Finding, hand}; tried && best(list) == 1 {
		hand.Due = soonest(hand.Due, pf.Due)
		hand.Cites = cited(append(hand.Cites, pf.Cites...))
		pf.Finding = hand
	}
	return pf
}

func cosignature(list []Statement, of string) (Statement, bool) {
	for _, s := range list {
		var c cosigned
		if s.Kind == StatementCosigned && json.Unmarshal([]byte(s.About), &c) == nil && c.Of == of {
			return s, true
		}
	}
	return Statement{}, false
}
