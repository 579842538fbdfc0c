package duties

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// check is one family of checks over one kind of facts.
type check struct {
	kind     evidence.Kind
	params   []string      // the parameters that it reads
	facts    time.Duration // how far back it needs facts, besides the newest and those of its window
	thin     bool          // of looks older than a day, one a day is enough
	optional bool          // not every host has this to look at
	none     string        // the message of a host of which judge finds nothing at all
	judge    func(host) []AssetFinding
	// elsewhere says that what a host has may be seen on another one, as a thing of its name.
	elsewhere bool
	// whole judges all hosts together, in place of judge.
	whole func(c check, d Duty, p Part, q Question, v values) PartFinding
}

// checks lists the checks that this build can make.
var checks = map[string]check{
	"dnsbl":      dnsblCheck,
	"software":   softwareCheck,
	"backup":     backupCheck,
	"restore":    restoreCheck,
	"hypervisor": hypervisorCheck,
	"vmbackup":   vmbackupCheck,
	"eventlog":   eventlogCheck,
	"health":     healthCheck,
	"endpoints":  endpointsCheck,
	"storage":    storageCheck,
	"accounts":   accountsCheck,
	"site":       siteCheck,
	"trend":      trendCheck,
	"antivirus":  antivirusCheck,
	"mail":       mailCheck,
	"signal":     signalCheck,
	"need":       needCheck,
	"copy":       copyCheck,
}

// Lookback is how far back a question names looks, with or without their facts.
const Lookback = 10 * 24 * time.Hour

// Need says what looks of a kind a duty is judged on: the newest of each agent
// and all that were received within Lookback, with the facts of the newest and
// of those received within Facts.
type Need struct {
	Kind  evidence.Kind
	Facts time.Duration
	Thin  bool // of looks older than a day the facts of one a day are enough
}

// Needs lists what a duty must be asked with where an organisation has set these
// parameters, by part; of two parts that read one kind, what is enough for both.
func (c *Catalogue) Needs(d Duty, set map[string]Params) []Need {
	var list []Need
	for _, p := range d.Parts {
		chk, ok := c.checks[p.Check]
		if !ok {
			continue
		}
		facts := chk.reach(values{p.Params, set[p.Name]})
		n := Need{chk.kind, facts, chk.thin || facts == 0}
		if i := slices.IndexFunc(list, func(o Need) bool { return o.Kind == n.Kind }); i >= 0 {
			list[i].Facts, list[i].Thin = max(list[i].Facts, n.Facts), list[i].Thin && n.Thin
		} else {
			list = append(list, n)
		}
	}
	return list
}

// reach is how far back a check needs facts, besides the newest: where it looks at a
// window, all of the one that ended with a look as old as one may be.
func (c check) reach(v values) time.Duration {
	if window := v.duration("window"); window > 0 {
		return max(c.facts, window+v.duration("fresh"))
	}
	return c.facts
}

// host is one agent's looks of one kind, as a check sees them.
type host struct {
	agent Agent
	at    time.Time
	zone  *time.Location
	days  int // of the duty's windows
	values
	looks    []Seen // of this agent and kind, oldest first
	releases Releases
}

func newHost(a Agent, q Question, v values, kind evidence.Kind) host {
	h := host{agent: a, at: q.At, zone: q.Zone, days: q.days, values: v, releases: q.releases}
	if q.past != nil {
		h.looks = q.past.looksUntil(lookKey{a.ID, kind}, q.At)
		return h
	}
	for _, s := range q.Facts {
		if s.Agent == a.ID && s.Kind == kind && !s.Ahead(q.At) {
			h.looks = append(h.looks, s)
		}
	}
	slices.SortStableFunc(h.looks, func(x, y Seen) int { return x.Moment().Compare(y.Moment()) })
	return h
}

// Late is how much later than it was made a look must have been received to count as
// delivered late: agents deliver at once, and try again for some minutes.
const Late = time.Hour

// Moment is when a look counts as made: when it was received, or, if it was
// delivered late, when the host says that it looked, with the host's clock
// corrected. So an old look that arrives now is still old.
func (s Seen) Moment() time.Time {
	if said := s.To.Add(s.Skew); said.Before(s.Received) {
		return said
	}
	return s.Received
}

// Ahead reports whether a look was received by a clock of the server that was ahead, seen
// from a moment: it cannot be told when it was made, and others are newer.
func (s Seen) Ahead(at time.Time) bool { return s.Moment().After(at.Add(clockFine)) }

// local is a moment that the host states in the look, by the server's clock.
func (s Seen) local(t time.Time) time.Time { return t.Add(s.Skew) }

// moment is when a look counts as made.
func (h host) moment(s Seen) time.Time { return s.Moment() }

// local is a moment that the host states in its newest look, by the server's clock.
func (h host) local(t time.Time) time.Time {
	return h.newest().local(t)
}

func (h host) newest() Seen { return h.looks[len(h.looks)-1] }

// clock writes a moment for people.
func (h host) clock(t time.Time) string { return clock(t, h.zone) }

// find makes a finding on this host, or on a thing of it. It cites the newest
// look and lapses when that look is stale.
func (h host) find(v Verdict, thing string, why Message) AssetFinding {
	f := AssetFinding{Asset: Asset{h.agent.ID, h.agent.Name, thing}, Finding: Finding{Verdict: v, Why: why}}
	if len(h.looks) > 0 {
		f.Cites = []Cite{{h.newest().Log, h.newest().Index}}
		f.measured = h.moment(h.newest())
		f.Due = h.upcoming(h.holds(h.newest()))
	}
	return f
}

// holds is the last moment at which a look proves anything: while it is fresh, and no
// longer than lapses has it.
func (h host) holds(s Seen) time.Time {
	last := lapses(h.moment(s), h.days, h.zone)
	if fresh := h.moment(s).Add(h.duration("fresh")); fresh.Before(last) {
		return fresh
	}
	return last
}

// lapses is the last moment at which what was done at another counts for a duty whose
// windows have some days. It counts for the window in which it was done, and through the
// next one so that nobody need be early, but not at its end: a window without a look or
// a review of its own is not proven.
func lapses(at time.Time, days int, zone *time.Location) time.Time {
	return Midnight(at, zone, max(1, days)+1).Add(-2 * time.Millisecond)
}

// upcoming is the first moment after a limit is passed, zero when that is over.
func (h host) upcoming(limit time.Time) time.Time {
	if limit.Before(h.at) {
		return time.Time{}
	}
	return limit.Add(time.Millisecond)
}

// watchedSince is the start of a window, or, of a host that was enrolled within
// it, the first moment that it could speak of; an hour is allowed for that.
func (h host) watchedSince(start, first time.Time) time.Time {
	if due := h.agent.Enrolled.Add(time.Hour); due.After(start) {
		if first.Before(due) {
			return first
		}
		return due
	}
	return start
}

// host judges one host: what keeps its facts from being used, else the check
// itself. none says that the host has nothing of this kind to look at.
func (c check) host(h host) (found []AssetFinding, none bool) {
	one := func(key string, pairs ...any) []AssetFinding {
		return []AssetFinding{h.find(Unproven, "", say(key, append([]any{"host", h.agent.Name, "kind_codes", string(c.kind)}, pairs...)...))}
	}
	if h.agent.Forked {
		found := one("agent_forked")
		found[0].Stopped = true // its evidence proves nothing any more: somebody has to find out why
		return found, false
	}
	if len(h.looks) == 0 {
		return one("never_seen"), false
	}
	last, fresh := h.newest(), h.duration("fresh")
	switch {
	case h.at.After(h.holds(last)):
		if window := time.Duration(h.days) * 24 * time.Hour; h.at.Sub(h.moment(last)) <= fresh {
			fresh = min(fresh, window)
		}
		found := one(h.silence(last), "at", h.clock(h.moment(last)), "received", h.clock(last.Received), "limit", hours(fresh),
			"skew", h.agent.Skew.Round(time.Second))
		found[0].Stopped = true
		if found[0].Why.Key == "stale_kind" {
			found[0].Due = h.upcoming(h.agent.Talked.Add(inTouch))
		}
		return found, false
	case last.Outcome == evidence.Failed:
		found := one("look_failed", "at", h.clock(h.moment(last)), "reason_codes", last.Reason, "gaps", firstGap(last))
		found[0].Stopped = h.stopped()
		return found, false
	case last.Outcome == evidence.Unsupported && c.elsewhere:
		return one(c.none, "gaps", firstGap(last)), true
	case last.Outcome == evidence.Unsupported:
		return one("nothing_there", "gaps", firstGap(last)), true
	case last.Blob == nil:
		return one("facts_missing", "at", h.clock(h.moment(last))), false
	case last.Schema != evidence.SchemaOf(c.kind):
		return one("facts_unknown", "schema", last.Schema), false
	}
	if found = c.judge(h); len(found) == 0 {
		return one(c.none, "gaps", firstGap(last)), true
	}
	return found, false
}

// The bounds within which a host's silence is told apart.
const (
	inTouch   = 2 * time.Hour   // a host that was in touch so shortly before, or after, was on
	clockFine = 5 * time.Minute // a clock that was set by less explains no silence
)

// silence is the message for a look that is too old.
func (h host) silence(last Seen) string {
	switch {
	case (h.agent.Skew - last.Skew).Abs() > clockFine:
		return "stale_clock"
	case last.Received.After(h.holds(last)):
		return "stale_late"
	case !h.agent.Talked.IsZero() && h.at.Sub(h.agent.Talked).Abs() <= inTouch:
		return "stale_kind"
	}
	return "stale"
}

// stopped reports whether there were good looks once, but none that is fresh.
func (h host) stopped() bool {
	good := false
	for _, s := range h.looks {
		if s.Outcome == evidence.Failed {
			continue
		}
		if !h.at.After(h.holds(s)) {
			return false
		}
		good = true
	}
	return good
}

// decode reads the newest look's facts and gaps.
func decode[F evidence.Facts](h host) (F, []evidence.Gap, error) {
	return evidence.DecodeFacts[F](h.newest().Blob)
}

// unreadable is the finding on facts that do not decode.
func (h host) unreadable(err error) []AssetFinding {
	return []AssetFinding{h.find(Unproven, "", say("facts_unreadable", "host", h.agent.Name, "error", err))}
}

// firstGap writes the first gap of a look, and how many more there are.
func firstGap(s Seen) string {
	_, gaps, _ := evidence.ParseFactsBlob(s.Blob) // what cannot be read states none
	return gapText(gaps)
}

func gapText(gaps []evidence.Gap) string {
	if len(gaps) == 0 {
		return "-"
	}
	texts := make([]string, len(gaps))
	for i, g := range gaps {
		texts[i] = g.What + ": " + g.Why
	}
	return firstOf(texts)
}

func firstOf(texts []string) string {
	if len(texts) < 2 {
		return listed(texts)
	}
	return texts[0] + " (+" + strconv.Itoa(len(texts)-1) + ")"
}

// usable lists the looks since a moment whose facts can be read, oldest first,
// each with its facts.
func usable[F evidence.Facts](h host, since time.Time) (looks []Seen, facts []F) {
	for _, s := range h.looks {
		if s.Outcome == evidence.Failed || h.moment(s).Before(since) {
			continue
		}
		if f, _, err := evidence.DecodeFacts[F](s.Blob); err == nil {
			looks, facts = append(looks, s), append(facts, f)
		}
	}
	return looks, facts
}

// besides leaves out the gaps whose subject begins with one of some words.
func besides(gaps []evidence.Gap, words ...string) []evidence.Gap {
	return slices.DeleteFunc(slices.Clone(gaps), func(g evidence.Gap) bool {
		return slices.ContainsFunc(words, func(word string) bool { return strings.HasPrefix(g.What, word) })
	})
}
