package duties

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// siteCheck judges the software of sites: WordPress, its plugins and themes, by the
// releases that this server knows.
var siteCheck = check{
	kind:     evidence.KindSoftware,
	params:   []string{"fresh", "patch", "line", "parts", "known"},
	optional: true,
	none:     "sites_none",
	judge:    judgeSites,
}

func judgeSites(h host) []AssetFinding {
	facts, gaps, err := decode[evidence.Software](h)
	if err != nil {
		return h.unreadable(err)
	}
	if facts.Web == nil {
		return []AssetFinding{h.find(Unproven, "", say("sites_unseen", "host", h.agent.Name))}
	}
	var found []AssetFinding
	if gaps = of(gaps, evidence.GapWeb); len(gaps) > 0 {
		found = append(found, h.find(Unproven, "", say("gaps", "host", h.agent.Name, "gaps", gapText(gaps))))
	}
	for _, s := range facts.Web.Sites {
		found = append(found, siteOf{h, s}.judge())
	}
	return found // none at all: the host has no site
}

// of keeps the gaps whose subject begins with a word.
func of(gaps []evidence.Gap, word string) []evidence.Gap {
	var out []evidence.Gap
	for _, g := range gaps {
		if strings.HasPrefix(g.What, word) {
			out = append(out, g)
		}
	}
	return out
}

// siteOf is one site of a host.
type siteOf struct {
	host
	evidence.Site
}

func (s siteOf) finding(v Verdict, key string, pairs ...any) AssetFinding {
	return s.find(v, s.ID, say(key, append([]any{"site", s.ID, "host", s.agent.Name, "version", s.Version}, pairs...)...))
}

// judge says the worst of a site: changed files, then what is known to be old, then
// what is not known.
func (s siteOf) judge() AssetFinding {
	if s.Files == evidence.FilesChanged {
		return s.finding(Breached, "site_files", "count", s.Changed)
	}
	if f, ok := s.core(); ok {
		return f
	}
	late, unknown := s.parts()
	if len(late) > 0 {
		return s.finding(Breached, "site_parts_late", "count", len(late), "parts", listed(late), "days", s.number("patch"))
	}
	known := s.releases
	if day, err := time.Parse(time.DateOnly, known.Date); err != nil || s.at.Sub(day) > s.duration("known") {
		return s.finding(Unproven, "releases_old", "date", known.Date, "days", s.number("known"))
	}
	if known.WordPress[s.Version] == "" {
		return s.finding(Unproven, "site_unknown", "date", known.Date)
	}
	if s.Unread {
		return s.finding(Unproven, "site_unread")
	}
	if len(unknown) > 0 && s.flag("parts") {
		return s.finding(Unproven, "site_parts_unknown", "count", len(unknown), "parts", listed(unknown))
	}
	ok := s.finding(Fulfilled, "site_good", "date", known.Date, "count", len(s.Plugins)+len(s.Themes))
	ok.Due = soonest(ok.Due, s.lapses())
	return ok
}

// core judges the version of WordPress itself. Only its newest line is maintained by
// promise (wordpress.org/about/security); older ones get fixes as a courtesy.
func (s siteOf) core() (AssetFinding, bool) {
	newest, since := newer(s.releases.WordPress, s.Version, 2)
	if s.over(since, "patch") {
		return s.finding(Breached, "site_late", "newest", newest, "since", since, "days", s.number("patch")), true
	}
	newest, since = s.newerLine()
	if s.over(since, "line") {
		return s.finding(Breached, "site_line", "line", lineOf(s.Version, 2), "newest", newest, "since", since, "days", s.number("line")), true
	}
	return AssetFinding{}, false
}

// newerLine is the newest release, and the day on which the line after the site's began.
func (s siteOf) newerLine() (newest, since string) {
	line := lineOf(s.Version, 2)
	for v, day := range s.releases.WordPress {
		if compareReleases(lineOf(v, 2), line) <= 0 {
			continue
		}
		if newest == "" || compareReleases(v, newest) > 0 {
			newest = v
		}
		if since == "" || day < since {
			since = day
		}
	}
	return newest, since
}

// parts lists the plugins and themes that are too old, and those whose newest release
// nobody has stated.
func (s siteOf) parts() (late, unknown []string) {
	judge := func(parts []evidence.SitePart, known map[string]map[string]string) {
		for _, p := range parts {
			days := known[p.Name]
			newest, since := newer(days, p.Version, 0)
			switch {
			case p.Version != "" && s.over(since, "patch"):
				late = append(late, fmt.Sprintf("%s %s (%s)", p.Name, p.Version, newest))
			case p.Version == "" || newest == "" && days[p.Version] == "":
				unknown = append(unknown, strings.TrimSpace(p.Name+" "+p.Version))
			}
		}
	}
	judge(s.Plugins, s.releases.Plugins)
	judge(s.Themes, s.releases.Themes)
	slices.Sort(late)
	slices.Sort(unknown)
	return late, unknown
}

// over reports whether more days have passed since a day than a parameter allows.
func (s siteOf) over(day, param string) bool {
	t, err := time.ParseInLocation(time.DateOnly, day, s.zone)
	return err == nil && s.at.Sub(t) > s.duration(param)
}

// lapses is when a site that is in order no longer is: a newer release has been out
// too long, or what is known has become too old.
func (s siteOf) lapses() time.Time {
	var due time.Time
	next := func(day, param string) {
		if t, err := time.ParseInLocation(time.DateOnly, day, s.zone); err == nil {
			due = soonest(due, s.upcoming(t.Add(s.duration(param))))
		}
	}
	_, since := newer(s.releases.WordPress, s.Version, 2)
	next(since, "patch")
	_, since = s.newerLine()
	next(since, "line")
	next(s.releases.Date, "known")
	return due
}
