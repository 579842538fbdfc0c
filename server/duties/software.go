package duties

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// softwareCheck judges a host by four questions: is what it runs supported, does
// a security update wait too long, is that knowledge recent, and does what is
// installed run.
var softwareCheck = check{
	kind:   evidence.KindSoftware,
	params: []string{"fresh", "pending", "metadata", "reboot"},
	judge:  judgeSoftware,
}

func judgeSoftware(h host) []AssetFinding {
	facts, gaps, err := decode[evidence.Software](h)
	if err != nil {
		return h.unreadable(err)
	}
	gaps = slices.DeleteFunc(gaps, func(g evidence.Gap) bool { return strings.HasPrefix(g.What, evidence.GapWeb) }) // the check of sites weighs them
	s := softwareHost{h, facts, gaps}
	var found []AssetFinding
	for _, part := range [](func() []AssetFinding){s.support, s.managers, s.updates, s.restart} {
		found = append(found, part()...)
	}
	if len(gaps) > 0 {
		found = append(found, h.find(Unproven, "", say("gaps", "host", h.agent.Name, "gaps", gapText(gaps))))
	}
	if len(found) > 0 {
		return found
	}
	ok := h.find(Fulfilled, "", say("software_current", "host", h.agent.Name, "os", facts.OS.Name, "packages", s.packages(),
		"waiting", len(facts.Pending), "at", h.clock(h.moment(h.newest()))))
	ok.Due = soonest(ok.Due, s.lapses())
	return []AssetFinding{ok}
}

type softwareHost struct {
	host
	facts evidence.Software
	gaps  []evidence.Gap
}

func (s softwareHost) bad(v Verdict, key string, pairs ...any) []AssetFinding {
	return []AssetFinding{s.find(v, "", say(key, append([]any{"host", s.agent.Name}, pairs...)...))}
}

// support judges the ends of life. An unknown one proves nothing; a product that the
// distribution maintains is supported with the system.
func (s softwareHost) support() []AssetFinding {
	var found []AssetFinding
	today := s.at.In(s.zone).Format(time.DateOnly)
	switch os := s.facts.OS; {
	case os.EOL == "":
		found = append(found, s.bad(Unproven, "eol_unknown", "name", os.Name)...)
	case os.EOL < today:
		found = append(found, s.bad(Breached, "eol_passed", "name", os.Name, "day", os.EOL)...)
	}
	var unknown []string
	for _, p := range s.facts.Products {
		switch name := p.Name + " " + p.Version; {
		case p.EOL != "" && p.EOL < today:
			found = append(found, s.bad(Breached, "eol_passed", "name", name, "day", p.EOL)...)
		case p.EOL == "" && !p.Open && p.From != evidence.FromDistribution:
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		found = append(found, s.bad(Unproven, "product_eol_unknown", "count", len(unknown), "names", listed(unknown))...)
	}
	return found
}

// managers judges whether the package managers are in order and know of updates.
func (s softwareHost) managers() []AssetFinding {
	if len(s.facts.Managers) == 0 {
		return s.bad(Unproven, "no_manager")
	}
	var found []AssetFinding
	limit := s.duration("metadata")
	for _, m := range s.facts.Managers {
		if m.Broken > 0 {
			found = append(found, s.bad(Breached, "packages_broken", "manager", m.Name, "count", m.Broken)...)
		}
		if m.Altered != nil && *m.Altered > 0 {
			found = append(found, s.bad(Breached, "packages_altered", "manager", m.Name, "count", *m.Altered)...)
		}
		switch {
		case m.Refreshed == nil:
			found = append(found, s.bad(Unproven, "metadata_never", "manager", m.Name)...)
		case s.at.Sub(s.local(m.Refreshed.Time)) > limit:
			found = append(found, s.bad(Unproven, "metadata_old", "manager", m.Name, "at", s.clock(s.local(m.Refreshed.Time)), "limit", hours(limit))...)
		}
	}
	return found
}

// updates judges what waits. Of an update whose source does not tell whether it is
// one for security, nothing is known once it has waited too long.
func (s softwareHost) updates() []AssetFinding {
	limit := s.duration("pending")
	var late, ageless, unsorted []string
	for _, u := range s.facts.Pending {
		maybe := u.Unsorted || !s.sorts(u.Manager)
		switch {
		case !u.Security && !maybe:
		case u.Since != nil && s.at.Sub(s.local(u.Since.Time)) <= limit:
		case !u.Security:
			unsorted = append(unsorted, u.Name)
		case u.Since == nil:
			ageless = append(ageless, u.Name)
		default:
			late = append(late, fmt.Sprintf("%s %s", u.Name, u.Candidate))
		}
	}
	var found []AssetFinding
	if len(late) > 0 {
		found = append(found, s.bad(Breached, "updates_late", "count", len(late), "days", s.number("pending"), "updates", listed(late))...)
	}
	if len(ageless) > 0 {
		found = append(found, s.bad(Unproven, "updates_ageless", "count", len(ageless), "updates", listed(ageless))...)
	}
	if len(unsorted) > 0 {
		found = append(found, s.bad(Unproven, "updates_unsorted", "count", len(unsorted), "updates", listed(unsorted))...)
	}
	return found
}

// sorts reports whether a manager's lists tell security updates from others.
func (s softwareHost) sorts(manager string) bool {
	return slices.ContainsFunc(s.facts.Managers, func(m evidence.Manager) bool { return m.Name == manager && m.Security })
}

func (s softwareHost) restart() []AssetFinding {
	switch r := s.facts.Reboot; {
	case r.Needed == evidence.Unknown:
		return s.bad(Unproven, "reboot_unknown", "gaps", gapText(s.gaps))
	case r.Needed == evidence.No:
		return nil
	case r.Since != nil && s.at.Sub(s.local(r.Since.Time)) <= s.duration("reboot"):
		return nil
	default:
		return s.bad(Breached, "reboot_needed", "why", listed(r.Why))
	}
}

func (s softwareHost) packages() int {
	n := 0
	for _, m := range s.facts.Managers {
		n += m.Packages
	}
	return n
}

// lapses is when the first of the facts that are in order no longer is.
func (s softwareHost) lapses() time.Time {
	var due time.Time
	next := func(t time.Time) { due = soonest(due, s.upcoming(t)) }
	for _, m := range s.facts.Managers {
		if m.Refreshed != nil {
			next(s.local(m.Refreshed.Time).Add(s.duration("metadata")))
		}
	}
	for _, u := range s.facts.Pending {
		if u.Since != nil && (u.Security || u.Unsorted || !s.sorts(u.Manager)) {
			next(s.local(u.Since.Time).Add(s.duration("pending")))
		}
	}
	if since := s.facts.Reboot.Since; since != nil {
		next(s.local(since.Time).Add(s.duration("reboot")))
	}
	ends := []string{s.facts.OS.EOL}
	for _, p := range s.facts.Products {
		ends = append(ends, p.EOL)
	}
	for _, day := range ends {
		if last, err := time.ParseInLocation(time.DateOnly, day, s.zone); err == nil {
			next(last.AddDate(0, 0, 1))
		}
	}
	return due
}
