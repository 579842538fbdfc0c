package duties_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
)

// now is when the questions of testdata are asked, unless a case says otherwise.
var now = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// A file of testdata holds cases: what agents sent in, verdict and message out.
// "@-2h" in facts is a moment relative to the question's. README.md beside the
// files explains every key.
type caseFile struct {
	Duty  string         `yaml:"duty"`
	Part  string         `yaml:"part"` // of the duty this one alone
	Kind  evidence.Kind  `yaml:"kind"`
	Facts map[string]any `yaml:"facts"`
	At    string         `yaml:"at"`
	Own   bool           `yaml:"own"` // with the own catalogue of the tests
	Cases []judgeCase    `yaml:"cases"`
}

type judgeCase struct {
	Name    string                   `yaml:"name"`
	Duty    string                   `yaml:"duty"`
	At      string                   `yaml:"at"`
	Zone    string                   `yaml:"zone"`
	Agents  []agentCase              `yaml:"agents"`
	Looks   []lookCase               `yaml:"looks"`
	With    map[string]any           `yaml:"with"`
	Reviews []string                 `yaml:"reviews"`
	Stated  []statedCase             `yaml:"stated"`
	Cases   []caseCase               `yaml:"cases"`
	Watched bool                     `yaml:"watched"`
	Release string                   `yaml:"releases"`
	Params  map[string]duties.Params `yaml:"params"`
	Want    string                   `yaml:"want"`
	Parts   map[string]string        `yaml:"parts"`
	Says    string                   `yaml:"says"`
	Due     string                   `yaml:"due"`
	Alarm   []string                 `yaml:"alarm"`
	Cites   []int64                  `yaml:"cites"`

	Building *bool         `yaml:"building"`
	Alerts   []raisedCase  `yaml:"alerts"`
	Problems []problemCase `yaml:"problems"`
}

// problemCase is an alert about a breach of the provider's: moments, and the customers whom
// it concerns with when they were told, empty for not yet, and since when they are some.
type problemCase struct {
	Duty   string            `yaml:"duty"`
	Opened string            `yaml:"opened"`
	Ended  string            `yaml:"ended"`
	Told   map[string]string `yaml:"told"`
	Since  map[string]string `yaml:"since"`
}

// statedCase is a statement made at a moment, until another.
type statedCase struct {
	Kind  string `yaml:"kind"`
	At    string `yaml:"at"`
	Until string `yaml:"until"`
	Bad   bool   `yaml:"bad"`
	Party string `yaml:"party"` // where that is not the duty's
	ID    string `yaml:"id"`
	About any    `yaml:"about"` // "@-2h" as in facts
}

// raisedCase is an alert of the duty: moments, empty for not yet.
type raisedCase struct {
	Opened    string `yaml:"opened"`
	Delivered string `yaml:"delivered"`
	Acked     string `yaml:"acked"`
	Ended     string `yaml:"ended"`
}

// caseCase is a workflow that takes place; steps are moments, "skip @" before those
// that were left out.
type caseCase struct {
	Workflow  string   `yaml:"workflow"`
	Service   string   `yaml:"service"`
	Org       string   `yaml:"org"` // of the customer
	Title     string   `yaml:"title"`
	Opened    string   `yaml:"opened"`
	Steps     []string `yaml:"steps"`
	Withdrawn bool     `yaml:"withdrawn"`
	Closed    string   `yaml:"closed"`    // where that is not its last step
	About     string   `yaml:"about"`     // a thing of the first host that a check found
	Elsewhere bool     `yaml:"elsewhere"` // with another organisation
	Unplaced  bool     `yaml:"unplaced"`
	Raised    bool     `yaml:"raised"` // by the server: an alert of the customer's
}

type agentCase struct {
	Name     string `yaml:"name"`
	Enrolled string `yaml:"enrolled"`
	Skew     string `yaml:"skew"`
	Talked   string `yaml:"talked"`
	Forked   bool   `yaml:"forked"`
}

type lookCase struct {
	Agent   string            `yaml:"agent"`
	Ago     string            `yaml:"ago"`
	Late    string            `yaml:"late"` // received this much after it was made
	Skew    string            `yaml:"skew"` // of the clock when it was made; the agent's own without it
	Outcome *evidence.Outcome `yaml:"outcome"`
	Reason  string            `yaml:"reason"`
	Gaps    []evidence.Gap    `yaml:"gaps"`
	With    map[string]any    `yaml:"with"`
	Span    string            `yaml:"span"`
	Series  int               `yaml:"series"` // this many looks, a span apart, the last one at ago
	Samples string            `yaml:"samples"`
	Week    *weekCase         `yaml:"week"`
	Lost    bool              `yaml:"lost"`
	Raw     string            `yaml:"raw"`
	Schema  int               `yaml:"schema"`
}

// TestJudge runs all cases; each message of the catalogue must come from one.
func TestJudge(t *testing.T) {
	c := builtin(t)
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	seen, ran := map[string]bool{}, 0
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			ran++
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var f caseFile
			dec := yaml.NewDecoder(strings.NewReader(string(b)))
			dec.KnownFields(true)
			if err := dec.Decode(&f); err != nil {
				t.Fatal(err)
			}
			if len(f.Cases) == 0 {
				t.Fatal("no cases")
			}
			with := c
			if f.Own {
				with = own(t)
			}
			said := newSaid(t, filepath.Base(file))
			for _, tc := range f.Cases {
				t.Run(tc.Name, func(t *testing.T) { runCase(t, with, f, tc, seen, said) })
			}
			said.write(t)
		})
	}
	if t.Failed() || ran < len(files) {
		return
	}
	for _, key := range c.MessageKeys() {
		renders(t, c, duties.GivenUp(), seen)
		renders(t, c, duties.Message{Key: "server_off", Args: map[string]string{"from": "-", "to": "-"}}, seen) // only the past has it
		if !seen[key] && key != "way_of_proof_missing" {                                                        // every check is judged now; one to come may not be
			t.Errorf("no case gives the message %s", key)
		}
	}
}

func runCase(t *testing.T, c *duties.Catalogue, f caseFile, tc judgeCase, seen map[string]bool, said *said) {
	id := f.Duty
	if tc.Duty != "" {
		id = tc.Duty
	}
	d, ok := c.Duty(id)
	if !ok {
		t.Fatalf("no duty %s", id)
	}
	if f.Part != "" {
		d.Parts = slices.DeleteFunc(slices.Clone(d.Parts), func(p duties.Part) bool { return p.Name != f.Part })
	}
	q := question(t, f, tc)
	if tc.Release != "" {
		c = fresh(t)
		if err := c.Renew([]byte(tc.Release)); err != nil {
			t.Fatal(err)
		}
	}
	whole, parts := c.Judge(d, q)
	if got := fmt.Sprintf("%s %s", whole.Verdict, whole.Why.Key); got != tc.Want {
		t.Errorf("got %s, want %s: %s", got, tc.Want, whole.Why)
	}
	renders(t, c, whole.Why, seen)
	said.check(t, tc.Name, whole, parts, c.Undealt(d, parts))
	var alarm []string
	for _, p := range parts {
		if want, ok := tc.Parts[p.Part.Name]; ok && want != fmt.Sprintf("%s %s", p.Verdict, p.Why.Key) {
			t.Errorf("part %s: %s %s, want %s", p.Part.Name, p.Verdict, p.Why, want)
		}
		renders(t, c, p.Why, seen)
		for _, a := range p.Assets {
			renders(t, c, a.Why, seen)
			if tc.Building != nil && a.Building != *tc.Building {
				t.Errorf("%s: building is %t", a, a.Building)
			}
			if a.Alarming() {
				alarm = append(alarm, a.String())
			}
		}
	}
	if why, _ := c.Render(duties.English, whole.Why); tc.Says != "" && !strings.Contains(why, tc.Says) {
		t.Errorf("says %q, want %q in it", why, tc.Says)
	}
	if tc.Due != "" && !whole.Due.Round(time.Second).Equal(q.At.Add(duration(t, tc.Due)).Round(time.Second)) {
		t.Errorf("due %s (in %s), want in %s", whole.Due, whole.Due.Sub(q.At), tc.Due)
	}
	if !whole.Due.IsZero() && !whole.Due.After(q.At) {
		t.Errorf("due %s is not after the question's %s", whole.Due, q.At)
	}
	if tc.Alarm != nil && !slices.Equal(alarm, tc.Alarm) {
		t.Errorf("alarm %q, want %q", alarm, tc.Alarm)
	}
	if tc.Cites != nil {
		var got []int64
		for _, cite := range whole.Cites {
			got = append(got, cite.Index)
		}
		if !slices.Equal(got, tc.Cites) {
			t.Errorf("cites %v, want %v", got, tc.Cites)
		}
	}
	if last := replayed(c, d, q); inShort(last.Verdict, last.Why) != inShort(whole.Verdict, whole.Why) {
		t.Errorf("told again it is %s %s", last.Verdict, last.Why)
	}
	holds(t, c, d, q, whole)
	again, _ := c.Judge(d, q)
	if fmt.Sprint(again) != fmt.Sprint(whole) {
		t.Errorf("the same question had two answers: %v, %v", whole, again)
	}
}

// holds checks that an answer is right until the moment from which on it says that it must
// be given again, as long as nobody learns anything new.
func holds(t *testing.T, c *duties.Catalogue, d duties.Duty, q duties.Question, whole duties.Finding) {
	t.Helper()
	from, last := q.At, whole.Due.Add(-2*time.Millisecond) // a moment past a limit, or at one
	if whole.Due.IsZero() {
		last = from.AddDate(2, 0, 0)
	}
	for _, q.At = range []time.Time{from.Add(max(0, last.Sub(from)) / 2), from.Add(max(0, last.Sub(from)))} {
		if then, _ := c.Judge(d, q); then.Verdict != whole.Verdict || then.Cause() != whole.Cause() {
			t.Errorf("by time alone it is %s %s at %s, and %s %s was to hold until %s", then.Verdict, then.Why, q.At, whole.Verdict, whole.Why.Key, whole.Due)
		}
	}
}

// renders checks that a message has words in both languages, and a value for
// every argument.
func renders(t *testing.T, c *duties.Catalogue, m duties.Message, seen map[string]bool) {
	t.Helper()
	seen[m.Key] = true
	for _, lang := range []string{duties.English, duties.Italian} {
		why, cure := c.Render(lang, m)
		if why == "" || strings.Contains(why, `{"key"`) || regexp.MustCompile(`\{[a-z_]+\}`).MatchString(why+cure) {
			t.Errorf("%s in %s: %q, %q", m, lang, why, cure)
		}
	}
}

func question(t *testing.T, f caseFile, tc judgeCase) duties.Question {
	q := duties.Question{At: now, Zone: time.UTC, Params: tc.Params}
	var err error
	if tc.At = cmp.Or(tc.At, f.At); tc.At != "" {
		if q.At, err = time.Parse(time.RFC3339, tc.At); err != nil {
			t.Fatal(err)
		}
	}
	if tc.Zone != "" {
		if q.Zone, err = time.LoadLocation(tc.Zone); err != nil {
			t.Fatal(err)
		}
	}
	if tc.Agents == nil {
		tc.Agents = []agentCase{{Name: "mx1"}}
	}
	for _, a := range tc.Agents {
		enrolled := "-2400h"
		if a.Enrolled != "" {
			enrolled = a.Enrolled
		}
		agent := duties.Agent{ID: "a_" + a.Name, Name: a.Name, Forked: a.Forked, Enrolled: q.At.Add(duration(t, enrolled)), Skew: duration(t, a.Skew)}
		if a.Talked != "" {
			agent.Talked = q.At.Add(duration(t, a.Talked))
		}
		q.Agents = append(q.Agents, agent)
	}
	if tc.Looks == nil {
		tc.Looks = []lookCase{{Ago: "1h"}}
	}
	for _, l := range tc.Looks {
		span := time.Hour
		if l.Span != "" {
			span = duration(t, l.Span)
		}
		for n := max(l.Series, 1) - 1; n >= 0; n-- {
			q.Facts = append(q.Facts, look(t, f, tc, l, q, span, q.At.Add(-duration(t, l.Ago)-time.Duration(n)*span)))
		}
	}
	slices.SortStableFunc(q.Facts, func(a, b duties.Seen) int { return a.Received.Compare(b.Received) })
	for i := range q.Facts {
		q.Facts[i].Index = int64(i)
	}
	for i, r := range tc.Reviews {
		q.Reviews = append(q.Reviews, duties.Review{At: q.At.Add(duration(t, r)), Index: int64(1000 + i)})
	}
	for i, s := range tc.Stated {
		kind := s.Kind
		if kind == "" {
			kind = duties.StatementAttestation
		}
		about := ""
		if s.About != nil {
			b, err := json.Marshal(resolve(t, s.About, q.At))
			if err != nil {
				t.Fatal(err)
			}
			about = string(b)
		}
		q.Statements = append(q.Statements, duties.Statement{ID: s.ID, About: about, Kind: kind, Party: s.Party, At: q.At.Add(duration(t, s.At)), Until: q.At.Add(duration(t, s.Until)), Good: !s.Bad, Index: int64(2000 + i)})
	}
	q.Watched = tc.Watched
	for _, a := range tc.Alerts {
		r := duties.Raised{Name: "mx1", Opened: q.At.Add(duration(t, a.Opened))}
		for to, text := range map[*time.Time]string{&r.Delivered: a.Delivered, &r.Acked: a.Acked, &r.Ended: a.Ended} {
			if text != "" {
				*to = q.At.Add(duration(t, text))
			}
		}
		q.Alerts = append(q.Alerts, r)
	}
	for _, p := range tc.Problems {
		q.Problems = append(q.Problems, problem(t, p, q.At))
	}
	for i, k := range tc.Cases {
		c := happened(t, k, q.At, i)
		if c.Unplaced = k.Unplaced; k.About != "" {
			c.Subject = duties.Subject(string(evidence.KindMail), duties.Asset{Agent: q.Agents[0].ID, Thing: k.About})
			q.Dealt = append(q.Dealt, c)
		}
		if !k.Elsewhere {
			q.Cases = append(q.Cases, c)
		}
	}
	return q
}

func problem(t *testing.T, p problemCase, at time.Time) duties.Problem {
	t.Helper()
	out := duties.Problem{ID: "al_1", Duty: p.Duty, Name: "tank", Opened: at.Add(duration(t, p.Opened)), Hearers: slices.Sorted(maps.Keys(p.Told)), Told: map[string]time.Time{}, Since: map[string]time.Time{}}
	if p.Ended != "" {
		out.Ended = at.Add(duration(t, p.Ended))
	}
	for customer, told := range p.Told {
		if told != "" {
			out.Told[customer] = at.Add(duration(t, told))
		}
	}
	for customer, since := range p.Since {
		out.Since[customer] = at.Add(duration(t, since))
	}
	return out
}

// weekCase is a week by hours: all alike, but for the last ones of peak; the disk fills
// from Disk to To.
type weekCase struct {
	Hours                    int
	CPU, Mem, Load, Disk, To float64
	Peak                     int
	PeakCPU                  float64 `yaml:"peak_cpu"`
	PeakLoad                 float64 `yaml:"peak_load"`
	PeakNet                  float64 `yaml:"peak_net"`
}

func (w weekCase) facts(at time.Time) []any {
	var out []any
	at = at.Truncate(time.Hour)
	for i := range w.Hours {
		cpu, load, disk := w.CPU, w.Load, w.Disk
		if i >= w.Hours-w.Peak {
			cpu, load = max(cpu, w.PeakCPU), max(load, w.PeakLoad)
		}
		net := 20.0
		if i >= w.Hours-w.Peak {
			net = max(net, w.PeakNet)
		}
		if w.To > 0 {
			disk += (w.To - w.Disk) * float64(i) / float64(w.Hours-1)
		}
		out = append(out, map[string]any{"t": evidence.At(at.Add(time.Duration(i-w.Hours) * time.Hour)), "c": cpu, "m": w.Mem, "l": load, "d": disk, "n": net})
	}
	return out
}

func happened(t *testing.T, k caseCase, at time.Time, i int) duties.Case {
	t.Helper()
	w, ok := builtin(t).Workflow(k.Workflow)
	if !ok {
		t.Fatalf("no workflow %s", k.Workflow)
	}
	c := duties.Case{ID: fmt.Sprintf("k_%d", i), Workflow: k.Workflow, Service: k.Service, Org: k.Org, Customer: "Shop", Title: k.Title, Opened: at.Add(duration(t, k.Opened)),
		Withdrawn: k.Withdrawn, Cites: []duties.Cite{{Index: int64(3000 + 100*i)}}}
	for n, text := range k.Steps {
		moment, skipped := strings.CutPrefix(text, "skip ")
		c.Steps = append(c.Steps, duties.Done{Step: w.Steps[n].ID, At: at.Add(duration(t, moment)), Skipped: skipped, Cites: []duties.Cite{{Index: int64(3001 + 100*i + n)}}})
	}
	if len(c.Steps) == len(w.Steps) || k.Withdrawn {
		c.Closed = c.Opened
		if n := len(c.Steps); n > 0 {
			c.Closed = c.Steps[n-1].At
		}
	}
	if k.Closed != "" {
		c.Closed = at.Add(duration(t, k.Closed))
	}
	if k.Raised {
		c.Cites = nil
	}
	return c
}

func look(t *testing.T, f caseFile, tc judgeCase, l lookCase, q duties.Question, span time.Duration, to time.Time) duties.Seen {
	agent := q.Agents[0]
	if i := slices.IndexFunc(q.Agents, func(a duties.Agent) bool { return a.Name == l.Agent }); l.Agent != "" && i >= 0 {
		agent = q.Agents[i]
	}
	s := duties.Seen{Agent: agent.ID, Kind: f.Kind, Schema: 1, Received: to.Add(duration(t, l.Late)),
		From: to.Add(-span - agent.Skew), To: to.Add(-agent.Skew), Skew: agent.Skew, Outcome: evidence.Complete, Reason: l.Reason}
	if l.Skew != "" {
		s.Skew = duration(t, l.Skew)
	}
	if l.Schema != 0 {
		s.Schema = l.Schema
	}
	facts := merge(merge(f.Facts, tc.With), l.With)
	if l.Samples != "" {
		var samples []any
		for at := s.From; at.Before(s.To); at = at.Add(duration(t, l.Samples)) {
			samples = append(samples, map[string]any{"at": evidence.At(at), "cpu": 5, "load1": 0.1, "mem": 40, "swap": 0, "uptime": 1000})
		}
		facts["samples"] = samples
	}
	if l.Week != nil {
		facts["week"] = l.Week.facts(to)
	}
	if len(l.Gaps) > 0 {
		s.Outcome = evidence.Partial
	}
	if l.Outcome != nil {
		s.Outcome = *l.Outcome
	}
	if l.Lost {
		return s
	}
	if s.Outcome == evidence.Failed || s.Outcome == evidence.Unsupported {
		facts = nil
	}
	if l.Raw != "" {
		s.Blob = []byte(`{"salt":"` + strings.Repeat("0", 32) + `","gaps":[],"facts":` + l.Raw + `}`)
		return s
	}
	s.Blob = blob(t, facts, l.Gaps, q.At)
	if facts != nil {
		if _, err := evidence.CheckFacts(f.Kind, 1, s.Blob); err != nil {
			t.Fatalf("the case states facts that no agent may send: %v", err)
		}
	}
	return s
}

func blob(t *testing.T, facts map[string]any, gaps []evidence.Gap, at time.Time) []byte {
	t.Helper()
	if gaps == nil {
		gaps = []evidence.Gap{}
	}
	var moments any
	if facts != nil {
		moments = resolve(t, facts, at)
	}
	b, err := json.Marshal(map[string]any{"salt": strings.Repeat("0", 32), "gaps": gaps, "facts": moments})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// merge lays b over a: maps are merged, everything else is replaced.
func merge(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	if out == nil {
		out = map[string]any{}
	}
	for k, v := range b {
		inner, ok := v.(map[string]any)
		have, has := out[k].(map[string]any)
		switch {
		case ok && has:
			out[k] = merge(have, inner)
		case v == nil:
			delete(out, k)
		default:
			out[k] = v
		}
	}
	return out
}

// resolve turns "@-2h" into a moment.
func resolve(t *testing.T, v any, at time.Time) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, inner := range v {
			out[k] = resolve(t, inner, at)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = resolve(t, inner, at)
		}
		return out
	case string:
		if rel, ok := strings.CutPrefix(v, "@"); ok {
			return evidence.At(at.Add(duration(t, rel)))
		}
	}
	return v
}

// duration reads Go's durations, and days as in "-35d".
func duration(t *testing.T, s string) time.Duration {
	t.Helper()
	if s == "" {
		return 0
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		d, err := time.ParseDuration(days + "h")
		if err != nil {
			t.Fatal(err)
		}
		return 24 * d
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
