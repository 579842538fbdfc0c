package duties

import (
	"cmp"
	"slices"
	"time"

	"github.com/attesto/attesto/evidence"
)

// Story is what a duty is judged on through a stretch of time: a question whose
// looks, statements and cases are all that is known by now, whenever they came.
type Story struct {
	Question // At is not used
	From, To time.Time
	// Known has each moment judged on what had been received by then. Without it a
	// look counts from when it was made, however late it came.
	Known bool
	// Forked and Left say from when on an agent's chain had two continuations, and when
	// it was revoked; agents without an entry never did.
	Forked, Left map[string]time.Time
	// Off is when no server judged, and Before how the duty stood when the stretch begins.
	Off    []Outage
	Before Verdict
}

// Judgement is how a duty stood from a moment on.
type Judgement struct {
	At    time.Time
	Whole Finding
	Parts []PartFinding
}

// Turned reports whether the duty or a part of it stood otherwise before.
func (j Judgement) Turned(before Judgement) bool {
	same := func(a, b Finding) bool { return a.Verdict == b.Verdict && a.Cause() == b.Cause() }
	return !same(j.Whole, before.Whole) || !slices.EqualFunc(j.Parts, before.Parts, func(a, b PartFinding) bool { return same(a.Finding, b.Finding) })
}

// Replay judges a duty again through a stretch of time and returns its turns, the
// first one at the stretch's start.
func (c *Catalogue) Replay(d Duty, s Story) []Turn {
	var turns []Turn
	c.Through(d, s, func(j Judgement) {
		t := Turn{At: j.At, Verdict: j.Whole.Verdict, Why: j.Whole.Why}
		if n := len(turns); n == 0 || turns[n-1].Verdict != t.Verdict || turns[n-1].Cause() != t.Cause() {
			turns = append(turns, t)
		}
	})
	return turns
}

// Through judges a duty at each moment of a stretch of time at which it may stand
// otherwise than before, the first one at the stretch's start.
func (c *Catalogue) Through(d Duty, s Story, each func(Judgement)) {
	if s.Zone == nil {
		s.Zone = time.UTC
	}
	s.releases, s.days = c.Releases(), d.Rhythm()
	r := &past{Story: s, looks: map[lookKey][]Seen{}, talks: map[string][]talk{}, hosts: map[hostPart][]hostTurn{}, place: map[hostPart]int{}, logs: map[string][]logHit{}}
	r.sort()
	moments := append(r.people(), s.From)
	for _, p := range d.Parts {
		if chk, ok := c.checks[p.Check]; ok {
			for _, a := range s.Agents {
				if chk.judge == nil { // all hosts are judged together, each time
					moments = append(moments, r.seen(lookKey{a.ID, chk.kind})...)
					continue
				}
				line := r.timeline(chk, p, a)
				r.hosts[hostPart{p.Name, a.ID}] = line
				for _, t := range line {
					moments = append(moments, t.at)
				}
			}
		}
	}
	for _, o := range s.Off {
		moments = append(moments, o.To)
	}
	slices.SortFunc(moments, time.Time.Compare)
	before := s.Before
	for i, at := 0, s.From; at.Before(s.To); {
		whole, parts := c.Judge(d, r.question(at))
		whole = s.excuse(whole, at, before)
		before = whole.Verdict
		each(Judgement{at, whole, parts})
		for i < len(moments) && !moments[i].After(at) {
			i++
		}
		next := s.To
		if i < len(moments) && moments[i].Before(next) {
			next = moments[i]
		}
		if whole.Due.After(at) && whole.Due.Before(next) {
			next = whole.Due
		}
		at = next
	}
}

type lookKey struct {
	agent string
	kind  evidence.Kind
}

type hostPart struct{ part, agent string }

// hostTurn is what a check found of a host from a moment on.
type hostTurn struct {
	at    time.Time
	found []AssetFinding
	none  bool
}

// talk is a moment at which a host was in touch, and how its clock was then.
type talk struct {
	at   time.Time
	skew time.Duration
}

// past answers for a stretch of time what a question asks of one moment.
type past struct {
	Story
	looks map[lookKey][]Seen // in the order in which they count
	talks map[string][]talk
	hosts map[hostPart][]hostTurn
	place map[hostPart]int // where the last question stood in hosts
	logs  map[string][]logHit
}

// visible is from when on a look counts.
func (r *past) visible(s Seen) time.Time {
	if r.Known {
		return s.Received
	}
	return s.Moment()
}

func (r *past) sort() {
	for _, s := range r.Facts {
		key := lookKey{s.Agent, s.Kind}
		r.looks[key] = append(r.looks[key], s)
		r.talks[s.Agent] = append(r.talks[s.Agent], talk{s.Received, s.Skew})
		if s.Kind == evidence.KindEventLog {
			for _, hit := range hitsOf(s) {
				hit.visible = r.visible(s)
				r.logs[s.Agent] = append(r.logs[s.Agent], hit)
			}
		}
	}
	for _, list := range r.looks {
		slices.SortStableFunc(list, func(a, b Seen) int {
			return cmp.Or(r.visible(a).Compare(r.visible(b)), a.Moment().Compare(b.Moment()))
		})
	}
	for _, list := range r.talks {
		slices.SortFunc(list, func(a, b talk) int { return a.at.Compare(b.at) })
	}
	for _, list := range r.logs {
		slices.SortStableFunc(list, func(a, b logHit) int { return a.visible.Compare(b.visible) })
	}
}

// seen lists the moments from which on looks count.
func (r *past) seen(key lookKey) (list []time.Time) {
	for _, s := range r.looks[key] {
		list = append(list, r.visible(s))
	}
	return list
}

// looksUntil are those that count at a moment, of the time that a question reaches back.
func (r *past) looksUntil(key lookKey, at time.Time) []Seen {
	list := r.looks[key]
	list = list[:until(list, at, r.visible)]
	return inOrder(list[until(list, at.Add(-Lookback), r.visible):])
}

// people lists the moments at which people did something, or what they said lapsed.
func (r *past) people() []time.Time {
	var list []time.Time
	for _, v := range r.Reviews {
		list = append(list, v.At)
	}
	for _, v := range r.Statements {
		list = append(list, v.At, v.Until)
	}
	for _, k := range slices.Concat(r.Cases, r.Dealt) {
		list = append(list, k.Opened, k.Closed)
		for _, s := range k.Steps {
			list = append(list, s.At)
		}
	}
	for _, p := range r.Problems {
		list = append(list, p.moments()...)
	}
	for _, a := range r.Alerts {
		list = append(list, a.Opened, a.Delivered, a.Acked, a.Ended)
	}
	for _, a := range r.Agents {
		list = append(list, a.Enrolled)
	}
	for _, at := range r.Left {
		list = append(list, at)
	}
	return list
}

// timeline judges a host with one part's check through the whole stretch.
func (r *past) timeline(chk check, p Part, a Agent) []hostTurn {
	v := values{p.Params, r.Params[p.Name]}
	looks, talks, forked := r.looks[lookKey{a.ID, chk.kind}], r.talks[a.ID], r.Forked[a.ID]
	span := max(chk.reach(v), 3*24*time.Hour)
	end, at := r.To, r.From
	if left, ok := r.Left[a.ID]; ok && left.Before(end) {
		end = left
	}
	if a.Enrolled.After(at) {
		at = a.Enrolled
	}
	var turns []hostTurn
	now := a // as it was in touch last
	first, next, talked := 0, 0, 0
	for at.Before(end) {
		for next < len(looks) && !r.visible(looks[next]).After(at) {
			next++
		}
		for first < next-1 && r.visible(looks[first]).Before(at.Add(-span)) {
			first++
		}
		for talked < len(talks) && !talks[talked].at.After(at) {
			talked++
		}
		if a.Talked, a.Skew = now.Talked, now.Skew; talked > 0 && now.Talked.Sub(at).Abs() > inTouch {
			a.Talked, a.Skew = talks[talked-1].at, talks[talked-1].skew
		}
		a.Forked = !forked.IsZero() && !at.Before(forked)
		found, none := chk.host(host{agent: a, at: at, zone: r.Zone, days: r.days, values: v, releases: r.releases, looks: inOrder(looks[first:next])})
		turns = append(turns, hostTurn{at, found, none})
		upto := end
		soon := func(t time.Time) {
			if t.After(at) && t.Before(upto) {
				upto = t
			}
		}
		for _, f := range found {
			soon(f.Due)
		}
		if next < len(looks) {
			soon(r.visible(looks[next]))
		}
		soon(forked)
		at = upto
	}
	return turns
}

// inOrder gives looks in the order in which they were made.
func inOrder(list []Seen) []Seen {
	byMoment := func(a, b Seen) int { return a.Moment().Compare(b.Moment()) }
	if slices.IsSortedFunc(list, byMoment) {
		return list
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, byMoment)
	return list
}

// host is what was found of a host at a moment; moments are asked for in order.
func (r *past) host(key hostPart, at time.Time) ([]AssetFinding, bool) {
	line, i := r.hosts[key], r.place[key]
	for i+1 < len(line) && !line[i+1].at.After(at) {
		i++
	}
	r.place[key] = i
	return line[i].found, line[i].none
}

func (r *past) hitsUntil(agent string, at time.Time) []logHit {
	list := r.logs[agent]
	return list[:until(list, at, func(h logHit) time.Time { return h.visible })]
}

// until counts those of a list, oldest first, that are not after a moment.
func until[T any](list []T, at time.Time, when func(T) time.Time) int {
	n, _ := slices.BinarySearchFunc(list, at, func(v T, at time.Time) int {
		if when(v).After(at) {
			return 1
		}
		return -1
	})
	return n
}

// question is what was to be judged at a moment.
func (r *past) question(at time.Time) Question {
	q := r.Question
	q.At, q.Facts, q.past = at, nil, r
	q.Agents, q.Cases, q.Dealt = nil, casesUntil(r.Cases, at), casesUntil(r.Dealt, at)
	for _, a := range r.Agents {
		if left, ok := r.Left[a.ID]; !a.Enrolled.After(at) && (!ok || at.Before(left)) {
			q.Agents = append(q.Agents, a)
		}
	}
	q.Reviews = r.Reviews[:until(r.Reviews, at, func(v Review) time.Time { return v.At })]
	q.Statements = r.Statements[:until(r.Statements, at, func(v Statement) time.Time { return v.At })]
	return q
}

// casesUntil are cases as they stood at a moment.
func casesUntil(list []Case, at time.Time) (out []Case) {
	for _, k := range list {
		if !k.Opened.After(at) {
			out = append(out, k.until(at))
		}
	}
	return out
}

// until is a case as it stood at a moment.
func (c Case) until(at time.Time) Case {
	if c.Closed.After(at) {
		c.Closed, c.Withdrawn, c.Left = time.Time{}, false, false
	}
	n := 0
	for n < len(c.Steps) && !c.Steps[n].At.After(at) {
		n++
	}
	c.Steps = c.Steps[:n]
	return c
}
