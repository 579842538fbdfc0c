package duties

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// DataSet is something that a customer wants backed up.
type DataSet struct {
	Service   string `json:"service"`
	Name      string `json:"name"`           // in the customer's words
	Job       string `json:"job"`            // the backup job that covers it, as agents name it
	Host      string `json:"host,omitempty"` // where the job runs; any host when empty
	Hours     int    `json:"hours"`          // longest time between two restore points
	Days      int    `json:"days"`           // how far back restore points must reach
	Encrypted bool   `json:"encrypted,omitempty"`
	Own       bool   `json:"own,omitempty"` // the copy lies in a place of the customer's own
}

// MaxSets bounds the data sets of a need.
const MaxSets = 100

// Declared is a customer's need: what must be backed up, as a statement's About.
type Declared struct {
	Sets []DataSet `json:"sets"`
}

// Validate says what is wrong with a need, by its data set.
func (n Declared) Validate() error {
	if len(n.Sets) == 0 || len(n.Sets) > MaxSets {
		return fmt.Errorf("%d data sets: want 1 to %d", len(n.Sets), MaxSets)
	}
	seen := map[string]bool{}
	for _, s := range n.Sets {
		switch {
		case strings.TrimSpace(s.Name) == "" || len([]rune(s.Name)) > 100:
			return errors.New("a data set has no name, or one of over 100 characters")
		case seen[s.Service+s.Name]:
			return fmt.Errorf("data set %s stands twice", s.Name)
		case strings.TrimSpace(s.Job) == "" || len(s.Job) > 64 || len(s.Host) > 255:
			return fmt.Errorf("data set %s: name the backup job that covers it, as the agent shows it", s.Name)
		case s.Hours < 1 || s.Hours > 8784 || s.Days < 0 || s.Days > 3660:
			return fmt.Errorf("data set %s: every %d hours, kept %d days: want 1 to 8784 hours and 0 to 3660 days", s.Name, s.Hours, s.Days)
		}
		seen[s.Service+s.Name] = true
	}
	return nil
}

// MaxNeed is how long a declared need holds before it must be declared again.
const MaxNeed = 366 * 24 * time.Hour

// The checks by the declared need: whether jobs fit it, and whether the copies of the
// customer's own are there.
var (
	needCheck = setCheck(func(s DataSet) bool { return !s.Own }, false)
	copyCheck = setCheck(func(s DataSet) bool { return s.Own }, true)
)

// setCheck judges backup jobs against those declared data sets of the duty's service
// that concern it; capped holds a set to the duty's own cadence, however rare it is
// declared.
func setCheck(concerns func(DataSet) bool, capped bool) check {
	return check{kind: evidence.KindBackup, params: []string{"fresh", "grace"}, facts: pruneWindow, thin: true, optional: true,
		whole: func(c check, d Duty, p Part, q Question, v values) PartFinding {
			pf := PartFinding{Part: p}
			s, ok := newest(q.Statements, StatementNeed)
			var need Declared
			switch {
			case !ok || json.Unmarshal([]byte(s.About), &need) != nil:
				pf.Finding = Finding{Why: say("need_never", "party_codes", d.Party)}
				return pf
			case !q.At.Before(s.Until):
				pf.Finding = Finding{Why: say("need_lapsed", "at", clock(s.At, q.Zone), "until", clock(s.Until, q.Zone)), Cites: []Cite{{s.Log, s.Index}}}
				return pf
			}
			sets := slices.DeleteFunc(need.Sets, func(x DataSet) bool { return x.Service != d.Service || !concerns(x) })
			if len(sets) == 0 {
				pf.Finding = Finding{Why: say("need_none", "at", clock(s.At, q.Zone), "service", d.Service), Cites: []Cite{{s.Log, s.Index}}, Due: s.Until}
				return pf
			}
			seen := look(c, q, v)
			for _, set := range sets {
				if most := int(d.Every / time.Hour); capped && most > 0 { // what waits for an event has no cadence
					set.Hours = min(set.Hours, most)
				}
				pf.Assets = append(pf.Assets, seen.judge(set, v))
			}
			pf = pf.weakestFirst("all_fulfilled")
			pf.Cites, pf.Due = cited(append(pf.Cites, Cite{s.Log, s.Index})), soonest(pf.Due, s.Until)
			return pf
		}}
}

// jobsSeen are the jobs that hosts stated, and what kept others from stating theirs.
type jobsSeen struct {
	jobs  []backupJob
	blind []AssetFinding
	until time.Time // by then one of the looks is too old
}

// look reads the newest look of each host.
func look(c check, q Question, v values) jobsSeen {
	var s jobsSeen
	c.judge = func(h host) []AssetFinding {
		facts, gaps, err := decode[evidence.Backup](h)
		if err != nil {
			return h.unreadable(err)
		}
		for _, j := range facts.Jobs {
			s.jobs = append(s.jobs, backupJob{h, j})
		}
		s.until = soonest(s.until, h.upcoming(h.holds(h.newest())))
		if len(gaps) > 0 {
			return []AssetFinding{h.find(Unproven, "", say("gaps", "host", h.agent.Name, "gaps", gapText(gaps)))}
		}
		return nil
	}
	for _, a := range q.Agents {
		found, none := c.host(newHost(a, q, v, c.kind))
		if !none {
			s.blind = append(s.blind, found...)
		}
	}
	return s
}

// judge says how a data set is covered.
func (s jobsSeen) judge(set DataSet, v values) AssetFinding {
	var found []AssetFinding
	for _, j := range s.jobs {
		if j.job.Job == set.Job && (set.Host == "" || strings.EqualFold(j.agent.Name, set.Host)) {
			found = append(found, j.covers(set, v))
		}
	}
	if len(found) > 0 { // of several hosts with a job of this name the best one covers it
		best := found[0]
		for _, f := range found[1:] {
			if f.Verdict.strength() > best.Verdict.strength() {
				best = f
			}
		}
		return best
	}
	args := []any{"set", set.Name, "job", set.Job}
	if len(s.blind) > 0 {
		f := s.blind[0]
		f.Due = soonest(f.Due, s.until) // then another may be blind for another cause
		f.Thing, f.Why = set.Name, say("need_blind", append(args, "host", f.Host, argCause, f.Cause())...)
		return f
	}
	return AssetFinding{Asset: Asset{Agent: "need", Host: set.Name}, Finding: Finding{Verdict: Breached, Why: say("need_uncovered", args...), Due: s.until}}
}

// covers judges one job against a data set: how often it makes restore points, how far
// they reach back, and whether they are encrypted.
func (b backupJob) covers(set DataSet, v values) AssetFinding {
	params := map[string]Param{}
	for name, p := range v.params {
		params[name] = p
	}
	params["retention"] = Param{Unit: UnitDays, Default: float64(set.Days), Max: 3660}
	b.values = values{params, v.set}
	say1 := func(verdict Verdict, key string, pairs ...any) AssetFinding {
		f := b.say(verdict, key, append([]any{"set", set.Name, "hours", set.Hours, "days", set.Days}, pairs...)...)
		f.Thing = set.Name
		return f
	}
	every := time.Duration(set.Hours) * time.Hour
	limit := every + v.duration("grace")
	newest, _ := b.newestPoint()
	switch {
	case time.Duration(b.job.ExpectedMinutes)*time.Minute > every:
		return say1(Breached, "need_rare", "every", hours(time.Duration(b.job.ExpectedMinutes)*time.Minute))
	case newest.IsZero():
		return say1(Unproven, "need_unseen")
	case b.at.Sub(newest) > limit:
		return say1(Breached, "need_old", "at", b.clock(newest))
	}
	var f AssetFinding
	switch short := b.retention(); {
	case set.Encrypted && b.job.Encryption == "none":
		f = say1(Breached, "need_plain")
	case set.Encrypted && b.job.Encryption == "unknown":
		f = say1(Unproven, "need_cipher_unknown")
	case short != nil:
		f = *short
		f.Thing = set.Name
	default:
		f = say1(Fulfilled, "need_met", "at", b.clock(newest))
	}
	f.Due = soonest(f.Due, b.upcoming(newest.Add(limit)))
	return f
}
