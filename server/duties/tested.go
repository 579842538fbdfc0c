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

// judgeTested judges the newest restore test of the duty's service, if it was recorded
// after a moment: it must have succeeded within the cadence, and be signed by both
// parties where the duty wants that.
func judgeTested(d Duty, q Question, v values, after time.Time) (f Finding, ok bool) {
	var last Statement
	var test RestoreTest
	for _, s := range q.Statements {
		var t RestoreTest
		if s.Kind == StatementRestore && s.At.After(after) && json.Unmarshal([]byte(s.About), &t) == nil && t.Service == d.Service {
			last, test, ok = s, t, true
		}
	}
	if !ok {
		return f, false
	}
	until := last.At.Add(d.Every)
	args := []any{"what", test.What, "at", clock(last.At, q.Zone), "until", clock(until, q.Zone), "minutes", test.Minutes, "point", clock(test.Point, q.Zone)}
	f = Finding{Cites: []Cite{{last.Log, last.Index}}, Due: until}
	signature, signed := cosignature(q.Statements, last.ID)
	if signed {
		f.Cites = append(f.Cites, Cite{signature.Log, signature.Index})
	}
	switch {
	case !q.At.Before(until):
		f.Why, f.Due = say("tested_old", args...), time.Time{}
	case !last.Good:
		f.Verdict, f.Why = Breached, say("tested_failed", args...)
	case v.flag("cosigned") && !signed:
		f.Why = say("tested_unsigned", args...)
	default:
		f.Verdict, f.Why = Fulfilled, say("tested_good", args...)
	}
	return f, true
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
