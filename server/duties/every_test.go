package duties_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
)

var update = flag.Bool("update", false, "write what the duties are anew")

// everyLooks is how hosts look to one check.
type everyLooks struct {
	File     string         `yaml:"file"` // whose facts
	At       string         `yaml:"at"`
	Enrolled string         `yaml:"enrolled"`
	Looks    []lookCase     `yaml:"looks"`
	Spoiled  []lookCase     `yaml:"spoiled"` // in place of looks where all is not well
	Base     map[string]any `yaml:"base"`
	Bad      map[string]any `yaml:"bad"`
	Young    map[string]any `yaml:"young"`
	Hole     map[string]any `yaml:"hole"`

	facts caseFile // that file
}

// everyCase is a situation: the state of each part that is not as it should be, and
// what the duty is then.
type everyCase map[string]string

const everyDuty = "testdata/every/duties.yaml"

// TestEveryDuty holds every duty to what it is in each situation that its parts can be
// in, and demands that none of them is left out: fulfilled, breached, unproven for each
// reason, building, no occasion, not applicable.
func TestEveryDuty(t *testing.T) {
	c := builtin(t)
	var looks map[string]everyLooks
	readCases(t, "testdata/every/looks.yaml", &looks)
	for name, l := range looks {
		readCases(t, "testdata/"+l.File+".yaml", &l.facts)
		looks[name] = l
	}
	if *update {
		writeEvery(t, c, looks)
	}
	var all map[string][]everyCase
	readCases(t, everyDuty, &all)
	n := 0
	for _, d := range c.Duties() {
		t.Run(d.ID, func(t *testing.T) {
			have := map[string]bool{}
			for _, tc := range all[d.ID] {
				n++
				whole, parts := c.Judge(d, situation(t, c, d, looks, tc))
				for _, p := range parts {
					if unseen(p.Part, tc[p.Part.Name]) && p.Verdict == duties.Fulfilled {
						t.Errorf("%v: %s is fulfilled by what nobody saw", tc, p.Part.Name)
					}
				}
				if got := fmt.Sprintf("%s %s", whole.Verdict, whole.Why.Key); got != tc["want"] {
					t.Errorf("%v: got %s (%s); if it is right: go test ./server/duties -run TestEveryDuty -update", tc, got, whole.Why)
				}
				if last := replayed(c, d, situation(t, c, d, looks, tc)); inShort(last.Verdict, last.Why) != inShort(whole.Verdict, whole.Why) {
					t.Errorf("%v: told again it is %s %s", tc, last.Verdict, last.Why.Key)
				}
				holds(t, c, d, situation(t, c, d, looks, tc), whole)
				have[situationName(tc)] = true
				have[whole.Verdict.String()] = true
				have[whole.Why.Key] = true
			}
			for _, want := range demanded(d) {
				if !have[want] {
					t.Errorf("no case of %s", want)
				}
			}
		})
	}
	if len(all) != len(c.Duties()) || n < 400 {
		t.Errorf("%d cases of %d duties", n, len(all))
	}
}

// replayed is what a question is at the end of its last two hours, told as a story.
func replayed(c *duties.Catalogue, d duties.Duty, q duties.Question) duties.Turn {
	s := duties.Story{Question: q, From: q.At.Add(-2 * time.Hour), To: q.At.Add(time.Microsecond), Known: true, Forked: map[string]time.Time{}}
	s.Agents = slices.Clone(q.Agents)
	for i, a := range q.Agents {
		if a.Forked {
			s.Forked[a.ID] = a.Enrolled
			s.Agents[i].Forked = false
		}
	}
	turns := c.Replay(d, s)
	return turns[len(turns)-1]
}

// inShort is a verdict with its cause. How a silent host came to be silent is told by when
// it was in touch, which a story takes from its looks alone.
func inShort(v duties.Verdict, why duties.Message) string {
	if strings.HasPrefix(why.Key, "stale") {
		return v.String() + " silent"
	}
	return fmt.Sprint(v, " ", duties.Finding{Verdict: v, Why: why}.Cause())
}

func readCases(t *testing.T, path string, to any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dec := yaml.NewDecoder(strings.NewReader(string(b)))
	dec.KnownFields(true)
	if err := dec.Decode(to); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// situationName is a situation in words: "software stale".
func situationName(tc everyCase) string {
	var list []string
	for part, state := range tc {
		if part != "want" {
			list = append(list, part+" "+state)
		}
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// byNeed are the checks that judge all hosts by what the customer has declared; their own
// cases say how.
var byNeed = []string{"need", "copy"}

// states are the situations that a part can be in, besides a good one.
func states(p duties.Part) []string {
	switch p.Proof {
	case duties.ProofReview:
		return []string{"never", "yesterday", "old"}
	case duties.ProofAttestation:
		return []string{"never", "lapsed", "bad"}
	case duties.ProofWorkflow:
		return []string{"unheard", "done", "late", "running", "overdue"}
	}
	if !p.Judged || slices.Contains(byNeed, p.Name) {
		return nil
	}
	list := []string{"bad", "never", "stale", "failed", "gap", "missing", "cloned"}
	if p.Params["retention"].Default > 0 {
		list = append(list, "young", "hole")
	}
	return list
}

// unseen reports whether nobody can tell how a check's part stands. Some checks read a
// part of what a look brings, and other gaps than theirs do not concern them.
func unseen(p duties.Part, state string) bool {
	part := p.Name == "site" || p.Name == "trend"
	return p.Proof == duties.ProofCheck && (slices.Contains([]string{"never", "stale", "failed", "missing", "cloned"}, state) || state == "gap" && !part)
}

// situations lists what a duty is to be tried in: each part in each state, all others
// being good.
func situations(d duties.Duty) []everyCase {
	list := []everyCase{{}, {"duty": "waived"}, {"duty": "waived before"}}
	for _, p := range d.Parts {
		for _, s := range states(p) {
			list = append(list, everyCase{p.Name: s})
		}
		if p.Proof == duties.ProofCheck && p.Judged {
			list = append(list, everyCase{"agents": "none"})
		}
	}
	if d.Any { // the other way being of no use
		for _, p := range d.Parts {
			other := "never"
			for _, o := range d.Parts {
				if o.Name == p.Name || !o.Judged {
					continue
				}
				for _, s := range append([]string{"good"}, states(p)...) {
					list = append(list, everyCase{p.Name: s, o.Name: other})
				}
			}
		}
	}
	var out []everyCase
	seen := map[string]bool{}
	for _, tc := range list {
		if name := situationName(tc); !seen[name] {
			seen[name] = true
			out = append(out, tc)
		}
	}
	return out
}

// demanded are the situations and outcomes of which a duty must have a case.
func demanded(d duties.Duty) []string {
	list := []string{"unproven", "breached", "not_applicable"}
	judged, has := true, func(proof string) bool { return d.Has(proof) }
	for _, p := range d.Parts {
		judged = judged && p.Judged && !slices.Contains(byNeed, p.Name)
	}
	if judged || d.Any {
		list = append(list, "fulfilled")
	}
	if has(duties.ProofWorkflow) && judged {
		list = append(list, "no_occasion")
	}
	if slices.ContainsFunc(d.Parts, func(p duties.Part) bool { return p.Params["retention"].Default > 0 }) {
		list = append(list, "retention_building", "retention_hole")
	}
	for _, tc := range situations(d) {
		list = append(list, situationName(tc))
	}
	return list
}

// situation is the question that a duty is asked in a situation.
func situation(t *testing.T, c *duties.Catalogue, d duties.Duty, looks map[string]everyLooks, tc everyCase) duties.Question {
	t.Helper()
	q := duties.Question{At: now, Zone: time.UTC, Watched: true, Agents: []duties.Agent{{ID: "a_mx1", Name: "mx1", Enrolled: now.Add(-2400 * time.Hour)}}}
	for _, p := range d.Parts {
		if p.Proof == duties.ProofCheck && p.Judged && !slices.Contains(byNeed, p.Name) {
			seeing(t, &q, looks[p.Name], p, tc[p.Name])
		}
	}
	if tc["agents"] == "none" {
		q.Agents = nil
	}
	ago := func(days float64) time.Time { return q.At.Add(-time.Duration(days * 24 * float64(time.Hour))) }
	switch state := tc[duties.ProofReview]; state {
	case "":
		q.Reviews = []duties.Review{{At: ago(0.01)}}
	case "yesterday":
		q.Reviews = []duties.Review{{At: ago(1)}}
	case "old":
		q.Reviews = []duties.Review{{At: ago(400)}}
	}
	switch state := tc[duties.ProofAttestation]; {
	case state == "lapsed":
		q.Statements = append(q.Statements, duties.Statement{Kind: duties.StatementAttestation, At: ago(90), Until: ago(1), Good: true})
	case state != "never" && d.Has(duties.ProofAttestation):
		q.Statements = append(q.Statements, duties.Statement{Kind: duties.StatementAttestation, At: ago(1), Until: ago(-20), Good: state != "bad"})
	}
	switch tc["duty"] {
	case "waived":
		q.Statements = append(q.Statements, duties.Statement{Kind: duties.StatementWaiver, At: ago(2), Until: ago(-20)})
	case "waived before":
		q.Statements = append(q.Statements, duties.Statement{Kind: duties.StatementWaiver, At: ago(20), Until: ago(2)})
	}
	if state := tc[duties.ProofWorkflow]; state == "unheard" {
		q.Watched = false
	} else if state != "" {
		q.Cases = []duties.Case{caseOf(t, c, d, state, q.At)}
	}
	return q
}

// caseOf is a case in which it is the duty's turn: its step was taken, in time or late,
// or is waited for.
func caseOf(t *testing.T, c *duties.Catalogue, d duties.Duty, state string, at time.Time) duties.Case {
	t.Helper()
	for _, w := range c.Workflows() {
		n := slices.IndexFunc(w.Steps, func(s duties.Step) bool { return slices.Contains(s.Proves, d.ID) })
		if n < 0 {
			continue
		}
		within := w.Steps[n].Within
		took := map[string]time.Duration{"done": within / 2, "late": 2 * within, "running": within / 2, "overdue": 2 * within}[state]
		k := duties.Case{ID: "k_1", Workflow: w.ID, Service: d.Service, Customer: "Shop", Title: "Full disk", Opened: at.Add(-took)}
		for _, s := range w.Steps[:n] {
			k.Steps = append(k.Steps, duties.Done{Step: s.ID, At: k.Opened})
		}
		if state == "done" || state == "late" {
			k.Opened = k.Opened.Add(-time.Minute)
			for i := range k.Steps {
				k.Steps[i].At = k.Opened
			}
			k.Closed = at.Add(-time.Minute)
			for _, s := range w.Steps[n:] {
				k.Steps = append(k.Steps, duties.Done{Step: s.ID, At: k.Closed})
			}
		}
		return k
	}
	t.Fatalf("no workflow proves %s", d.ID)
	return duties.Case{}
}

// seeing adds to a question what its host saw for one check.
func seeing(t *testing.T, q *duties.Question, l everyLooks, p duties.Part, state string) {
	t.Helper()
	if l.File == "" {
		t.Fatalf("testdata/every/looks.yaml does not say how hosts look to the check %s: add it, then go test ./server/duties -run TestEveryDuty -update", p.Name)
	}
	tc := judgeCase{At: l.At, Looks: slices.Clone(l.Looks), With: l.Base, Agents: []agentCase{{Name: "mx1", Enrolled: l.Enrolled}}}
	failed := evidence.Failed
	switch state {
	case "bad":
		tc.With = merge(l.Base, l.Bad)
		if l.Spoiled != nil {
			tc.Looks = slices.Clone(l.Spoiled)
		}
	case "young":
		tc.With = merge(l.Base, l.Young)
	case "hole":
		tc.With = merge(l.Base, l.Hole)
	case "never":
		tc.Looks = []lookCase{}
	}
	for i := range tc.Looks {
		look := &tc.Looks[i]
		switch state {
		case "stale":
			look.Ago = "2000h"
		case "failed":
			look.Outcome, look.Reason = &failed, "timeout"
		case "gap":
			look.Gaps = []evidence.Gap{{What: "some of it", Why: "no answer"}}
		case "missing":
			look.Lost = true
		}
	}
	seen := question(t, l.facts, tc)
	if q.At = seen.At; state == "cloned" {
		seen.Agents[0].Forked = true
	}
	if l.Enrolled == "" || state == "cloned" {
		seen.Agents[0].Enrolled = q.At.Add(-2400 * time.Hour)
	}
	if seen.Agents[0].Enrolled.Before(q.Agents[0].Enrolled) {
		seen.Agents[0].Enrolled = q.Agents[0].Enrolled
	}
	seen.Agents[0].Forked = seen.Agents[0].Forked || q.Agents[0].Forked
	q.Agents = seen.Agents
	for _, s := range seen.Facts { // two checks may look at one kind
		if !slices.ContainsFunc(q.Facts, func(o duties.Seen) bool { return o.Kind == s.Kind && o.Received.Equal(s.Received) }) {
			q.Facts = append(q.Facts, s)
		}
	}
}

// writeEvery writes the file of situations with what the duties are now.
func writeEvery(t *testing.T, c *duties.Catalogue, looks map[string]everyLooks) {
	t.Helper()
	var out strings.Builder
	out.WriteString("# What every duty is in every situation that its parts can be in; a part that is not named is as it should be. looks.yaml says\n" +
		"# how hosts look then. Written by: go test ./server/duties -run TestEveryDuty -update; read each line that changes.\n")
	for _, d := range c.Duties() {
		fmt.Fprintf(&out, "\n%s:\n", d.ID)
		for _, tc := range situations(d) {
			whole, _ := c.Judge(d, situation(t, c, d, looks, tc))
			parts := []string{}
			for _, part := range strings.Split(situationName(tc), ", ") {
				if name, state, ok := strings.Cut(part, " "); ok {
					parts = append(parts, name+": "+state)
				}
			}
			fmt.Fprintf(&out, "  - {%s}\n", strings.Join(append(parts, fmt.Sprintf("want: %s %s", whole.Verdict, whole.Why.Key)), ", "))
		}
	}
	if err := os.WriteFile(everyDuty, []byte(out.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}
