package duties_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
)

// step is the grid on which everything in the simulated year happens. The reference
// looks at each of its moments and a minute later, since what lapses does so just after.
const step = 30 * time.Minute

// each calls fn with the moments at which the reference looks.
func (s sim) each(fn func(at time.Time)) {
	for at := s.from; at.Before(s.to); at = at.Add(step) {
		fn(at)
		fn(at.Add(time.Minute))
	}
}

// simLook is one look as it truly was.
type simLook struct {
	made, received time.Time // by a true clock
	said           time.Time // when it was made by the host's clock, corrected by what the host knew of its fault
	skew           time.Duration
	result         byte // 'f' in order, 'b' not, 'u' failed
}

// moment is when the look counts as made: a clock that is ahead makes nothing newer.
func (l simLook) moment() time.Time {
	if l.said.Before(l.received) {
		return l.said
	}
	return l.received
}

// simAgent is a host and all that it did.
type simAgent struct {
	id       string
	enrolled time.Time
	forked   time.Time
	looks    []simLook
}

// fault is something that befalls a host for a while.
type fault struct {
	from, to time.Time
	kind     string
}

// simulate writes a host's year: it looks every twelve hours, and faults befall it.
func simulate(rnd *rand.Rand, id string, from, to time.Time) simAgent {
	ticks := func(d time.Duration) time.Duration { return time.Duration(rnd.Int64N(int64(d/step))) * step }
	a := simAgent{id: id, enrolled: from.Add(ticks(60 * 24 * time.Hour))}
	kinds := []string{"off", "off", "network", "network", "listed", "failed", "behind", "ahead"}
	var faults []fault
	for at := a.enrolled.Add(ticks(30 * 24 * time.Hour)); at.Before(to); at = at.Add(10*24*time.Hour + ticks(50*24*time.Hour)) {
		f := fault{at, at.Add(step + ticks(4*24*time.Hour)), kinds[rnd.IntN(len(kinds))]}
		if f.kind == "network" && rnd.IntN(3) == 0 {
			f.to = f.from.Add(14 * 24 * time.Hour)
		}
		faults, at = append(faults, f), f.to
	}
	if rnd.IntN(10) == 0 {
		a.forked = from.Add(200*24*time.Hour + ticks(100*24*time.Hour))
	}
	known := time.Duration(0) // what the host knew of its clock at its last exchange
	for at := a.enrolled.Add(step); at.Before(to); at = at.Add(12 * time.Hour) {
		l := simLook{made: at, received: at, result: 'f'}
		wrong := time.Duration(0) // server time minus the host's
		off := false
		for _, f := range faults {
			if at.Before(f.from) || !at.Before(f.to) {
				continue
			}
			switch f.kind {
			case "off":
				off = true
			case "network":
				l.received = f.to
			case "listed":
				l.result = 'b'
			case "failed":
				l.result = 'u'
			case "behind":
				wrong = 24 * time.Hour
			case "ahead":
				wrong = -24 * time.Hour
			}
		}
		if off {
			continue
		}
		l.skew = known
		l.said = at.Add(-wrong + known)
		known = wrong
		a.looks = append(a.looks, l)
	}
	return a
}

// story is what the product is told of hosts.
func (s sim) story(agents []simAgent, reviews []time.Time) duties.Story {
	out := duties.Story{From: s.from, To: s.to, Forked: map[string]time.Time{}}
	out.Zone = s.zone
	for _, a := range agents {
		out.Agents = append(out.Agents, duties.Agent{ID: a.id, Name: a.id, Enrolled: a.enrolled})
		if !a.forked.IsZero() {
			out.Forked[a.id] = a.forked
		}
		for _, l := range a.looks {
			seen := duties.Seen{Agent: a.id, Kind: evidence.KindDNSBL, Schema: 1, Received: l.received, Skew: l.skew,
				From: l.said.Add(-l.skew), To: l.said.Add(-l.skew), Outcome: evidence.Complete, Blob: s.blobs[l.result]}
			if l.result == 'u' {
				seen.Outcome, seen.Reason = evidence.Failed, "timeout"
			}
			out.Facts = append(out.Facts, seen)
		}
	}
	for _, at := range reviews {
		out.Reviews = append(out.Reviews, duties.Review{At: at})
	}
	return out
}

type sim struct {
	zone     *time.Location
	from, to time.Time
	blobs    map[byte][]byte
	list     *duties.Catalogue
}

// state is a host at a moment: a letter, and in a word why it proves nothing.
type state struct {
	verdict byte
	cause   string
}

// truth is the slow and obvious judgement of a host at each step of the year, by what
// had been received (known) or by when it was made.
func (s sim) truth(a simAgent, fresh time.Duration, known bool) []state {
	var out []state
	visible := func(l simLook) time.Time {
		if known {
			return l.received
		}
		return l.moment()
	}
	looks := slices.Clone(a.looks)
	slices.SortStableFunc(looks, func(x, y simLook) int { return visible(x).Compare(visible(y)) })
	n, newest := 0, -1
	s.each(func(at time.Time) {
		for n < len(looks) && !visible(looks[n]).After(at) {
			if newest < 0 || !looks[n].moment().Before(looks[newest].moment()) {
				newest = n
			}
			n++
		}
		switch {
		case at.Before(a.enrolled):
			out = append(out, state{'-', ""}) // it is nobody's host yet
		case !a.forked.IsZero() && !at.Before(a.forked):
			out = append(out, state{'u', "cloned"})
		case newest < 0:
			out = append(out, state{'u', "not_installed"})
		case at.Sub(looks[newest].moment()) > fresh, s.last(at) && s.day(looks[newest].moment()) != s.day(at):
			out = append(out, state{'u', "silent"}) // too long ago, or the day ends and nobody looked in it
		case looks[newest].result == 'u':
			out = append(out, state{'u', "collector"})
		case looks[newest].result == 'b':
			out = append(out, state{'b', "facts"})
		default:
			out = append(out, state{'f', ""})
		}
	})
	return out
}

// reviewed is the party's review at each step: one of a day holds through the next, which
// ends without all the same if it has none of its own.
func (s sim) reviewed(reviews []time.Time) []state {
	var out []state
	last := time.Time{}
	s.each(func(at time.Time) {
		for len(reviews) > 0 && !reviews[0].After(at) {
			last, reviews = reviews[0], reviews[1:]
		}
		days := s.day(at) - s.day(last)
		if !last.IsZero() && (days == 0 || days == 1 && !s.last(at)) {
			out = append(out, state{'f', ""})
			return
		}
		out = append(out, state{'u', "people"})
	})
	return out
}

// day numbers the days of the zone.
func (s sim) day(t time.Time) int {
	y, m, d := t.In(s.zone).Date()
	return int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / (24 * 60 * 60))
}

// last reports whether a moment is the last one of its day that the reference sees.
func (s sim) last(at time.Time) bool { return s.day(at) != s.day(at.Add(step-time.Minute)) }

// worst is the weakest of several states at each step; hosts that are not there yet say
// nothing, and without any nothing is proven.
func worst(lines ...[]state) []state {
	out := make([]state, len(lines[0]))
	for i := range out {
		w := state{'-', ""}
		for _, line := range lines {
			if rank := "-fub"; strings.IndexByte(rank, line[i].verdict) > strings.IndexByte(rank, w.verdict) {
				w = line[i]
			}
		}
		if w.verdict == '-' {
			w = state{'u', "not_installed"}
		}
		out[i] = w
	}
	return out
}

// refWindow is a day by the reference.
type refWindow struct {
	from    time.Time
	verdict byte
	cause   string
	facts   byte
}

// days judges every day by looking at each of its steps.
func (s sim) days(known, facts []state, continuous bool) []refWindow {
	day := func(line []state, from, to time.Time) (v byte, cause string) {
		i, j := 2*int(from.Sub(s.from)/step), 2*int(to.Sub(s.from)/step)
		v = line[j-1].verdict
		for _, st := range line[i:j] {
			if st.verdict == 'b' || continuous && st.verdict == 'u' && v != 'b' {
				v = st.verdict
			}
		}
		longest := 0
		for k := i; k < j; {
			n := k
			for n < j && line[n] == line[k] {
				n++
			}
			if line[k].verdict == v && n-k > longest {
				longest, cause = n-k, line[k].cause
			}
			k = n
		}
		return v, cause
	}
	var out []refWindow
	for from := s.from; from.Before(s.to); {
		y, m, d := from.In(s.zone).Date()
		to := time.Date(y, m, d+1, 0, 0, 0, 0, s.zone)
		w := refWindow{from: from}
		w.verdict, w.cause = day(known, from, to)
		w.facts, _ = day(facts, from, to)
		if w.facts == 'b' {
			w.verdict = 'b'
		}
		out, from = append(out, w), to
	}
	return out
}

// TestSimulatedYear has a provider, twenty customers and a hundred hosts live through a
// year with two changes of the clocks: outages, backlogs of up to two weeks that come
// late, clocks a day wrong, cloned hosts, failed looks, reviews that were forgotten.
// Days, gaps and sums equal those of a reference that looks at every half hour. All
// hosts look at what is cheapest to judge.
func TestSimulatedYear(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		t.Fatal(err)
	}
	s := sim{zone: zone, from: time.Date(2026, 1, 1, 0, 0, 0, 0, zone), to: time.Date(2027, 1, 1, 0, 0, 0, 0, zone), blobs: map[byte][]byte{}}
	for letter, result := range map[byte]string{'f': evidence.NotListed, 'b': evidence.Listed} {
		a := evidence.DNSBLAnswer{Target: "192.0.2.1", Zone: "bl.example", Result: result, Millis: 4}
		if result == evidence.Listed {
			a.Codes = []string{"127.0.0.2"}
		}
		if s.blobs[letter], err = evidence.FactsBlob(evidence.DNSBL{Resolvers: []string{"127.0.0.1:53"},
			Targets: []evidence.DNSBLTarget{{Target: "192.0.2.1", Found: "config"}},
			Lists:   []evidence.DNSBLList{{Zone: "bl.example", Tier: "a", Family: "ip4", Controls: evidence.ControlsPassed}},
			Answers: []evidence.DNSBLAnswer{a}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	rnd := rand.New(rand.NewPCG(2026, 57))
	var agents []simAgent
	for n := range 100 {
		agents = append(agents, simulate(rnd, fmt.Sprintf("h%03d", n), s.from, s.to))
	}
	s.list = builtin(t)
	provider, _ := s.list.Duty("PE-P3")
	customer, _ := s.list.Duty("BK-C1")
	customer.Parts = []duties.Part{provider.Parts[0], customer.Parts[1]}
	watched := provider
	watched.Every = 5 * time.Minute
	total := duties.Continuity{}
	count := func(sum duties.Continuity) {
		total.Windows, total.Late, total.Gaps = total.Windows+sum.Windows, total.Late+sum.Late, append(total.Gaps, sum.Gaps...)
	}
	hosts := 20
	if testing.Short() {
		hosts = 3
	}
	count(s.compare(t, "provider, daily", provider, agents[:hosts], nil, 26*time.Hour))
	count(s.compare(t, "provider, watched", watched, agents[:2], nil, 13*time.Hour))
	customers := 20
	if testing.Short() {
		customers = 2
	}
	for n := range customers {
		var reviews []time.Time
		for at := s.from.Add(9 * time.Hour); at.Before(s.to); at = at.AddDate(0, 0, 1) {
			if rnd.IntN(20) > 0 {
				reviews = append(reviews, at)
			}
		}
		count(s.compare(t, fmt.Sprintf("customer %d", n), customer, agents[20+4*n:24+4*n], reviews, 26*time.Hour))
	}
	t.Logf("%d windows, %d of them late, %d gaps", total.Windows, total.Late, len(total.Gaps))
	causes := map[duties.Cause]bool{}
	for _, g := range total.Gaps {
		causes[g.Cause] = true
	}
	for _, want := range []duties.Cause{duties.CauseAgentOff, duties.CauseNetwork, duties.CauseCloned, duties.CauseNotInstalled, duties.CauseCollector, duties.CausePeople, duties.CauseFacts} {
		if !causes[want] && !testing.Short() {
			t.Errorf("no gap of the year has the cause %s", want)
		}
	}
	if total.Late == 0 {
		t.Error("nothing came late")
	}
}

// compare has a duty's year judged by the product and by the reference.
func (s sim) compare(t *testing.T, name string, d duties.Duty, agents []simAgent, reviews []time.Time, fresh time.Duration) duties.Continuity {
	t.Helper()
	story := s.story(agents, reviews)
	story.Params = map[string]duties.Params{"dnsbl": {"fresh": fresh.Hours()}}
	story.Known = true
	known := s.list.Replay(d, story)
	story.Known = false
	late := duties.Differ(known, s.list.Replay(d, story), s.to)
	windows := d.Roll(duties.Past{Turns: known, Late: late}, s.from, s.to, s.to, 1, s.zone, false)
	sum := duties.Sum(windows)

	var by [2][]state
	for i := range by {
		var lines [][]state
		for _, a := range agents {
			lines = append(lines, s.truth(a, fresh, i == 0))
		}
		by[i] = worst(lines...)
		if reviews != nil {
			by[i] = worst(by[i], s.reviewed(reviews))
		}
	}
	want := s.days(by[0], by[1], d.Every < 24*time.Hour)
	if len(windows) != len(want) {
		t.Fatalf("%s: %d days, want %d", name, len(windows), len(want))
	}
	ref := duties.Continuity{}
	for i, w := range windows {
		r := want[i]
		late := r.facts != r.verdict || w.Late && r.facts == 'b'
		got := fmt.Sprintf("%s %c %t %c", w.From, "ubf"[w.Verdict], w.Late, "ubf"[w.Facts])
		if !w.Late {
			got = fmt.Sprintf("%s %c %t", w.From, "ubf"[w.Verdict], w.Late)
		}
		exp := fmt.Sprintf("%s %c %t", r.from, r.verdict, late)
		if late {
			exp = fmt.Sprintf("%s %c %t %c", r.from, r.verdict, late, r.facts)
		}
		if got != exp {
			t.Fatalf("%s: day %s, want %s (%s)", name, got, exp, w.Why)
		}
		if cause := s.causeOf(r); r.verdict != 'f' && cause != "" && w.Cause() != cause && !w.Late {
			t.Errorf("%s: day %s: cause %s, want %s", name, got, w.Cause(), cause)
		}
		ref.Windows++
		ref.Expected++
		switch {
		case r.verdict == 'f':
			ref.Covered++
		case r.verdict == 'u' && r.facts == 'f':
			ref.Late++
		}
		ref.Count[strings.IndexByte("ubf", r.verdict)]++
	}
	gaps := sum.Gaps
	sum.Gaps = nil
	if fmt.Sprint(sum) != fmt.Sprint(ref) {
		t.Errorf("%s: sums %+v, want %+v", name, sum, ref)
	}
	missing := 0
	for _, g := range gaps {
		missing += g.Windows
	}
	if missing != ref.Expected-ref.Covered {
		t.Errorf("%s: gaps of %d days, want %d", name, missing, ref.Expected-ref.Covered)
	}
	sum.Gaps = gaps
	return sum
}

// causeOf is the cause in the product's words; a silent host's is told apart only by
// what it delivers later.
func (sim) causeOf(r refWindow) duties.Cause {
	switch {
	case r.cause == "silent" && r.facts == 'f':
		return duties.CauseNetwork
	case r.cause == "silent":
		return ""
	}
	return duties.Cause(r.cause)
}
