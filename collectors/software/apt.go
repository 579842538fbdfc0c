package software

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

const (
	aptLists = "/var/lib/apt/lists"
	// aptStamp is touched after each apt-get update in which at least one source
	// answered, where a hook APT::Update::Post-Invoke-Success asks for it: Ubuntu's
	// update-notifier-common has one.
	aptStamp = "/var/lib/apt/periodic/update-success-stamp"
	// securityQuiet is how long an archive of security updates may say nothing
	// new before its lists are taken for stale. Debian's own Valid-Until is seven
	// days after Date; Ubuntu's names none.
	securityQuiet = 10 * 24 * time.Hour
)

// aptOptions keep apt from writing its cache, taking locks or asking: a look
// changes nothing.
var aptOptions = []string{"-o", "Debug::NoLocking=true", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="}

// apt asks apt what waits. dist-upgrade, because upgrade leaves out what needs a
// new package beside it: every new kernel. Holds and Ubuntu's phasing are
// ignored: an update that waits for the administrator or for its turn still waits.
func (l *look) apt(ctx context.Context, m *evidence.Manager) {
	l.aptLists(ctx, m)
	args := []string{"-s", "-V", "--ignore-hold", "-o", "APT::Get::Always-Include-Phased-Updates=1", "dist-upgrade"}
	out, err := l.run(ctx, "apt-get", slices.Concat(aptOptions, args)...)
	var up AptUpgrade
	if err == nil {
		up, err = ParseAptUpgrade(bytes.NewReader(out))
	}
	if err != nil {
		l.gap("pending updates of dpkg packages", "%v", err)
		l.keepAges(m.Name)
		return
	}
	updates, gaps := up.pending()
	l.pending = append(l.pending, updates...)
	l.gaps = append(l.gaps, gaps...)
}

// pending makes facts of what apt would do.
func (a AptUpgrade) pending() ([]evidence.Update, []evidence.Gap) {
	var out []evidence.Update
	var gaps []evidence.Gap
	for _, u := range a.Updates {
		e := evidence.Update{Manager: managerDpkg, Name: u.Name, Installed: u.Installed, Candidate: u.Candidate, Unsorted: true}
		e.Source = clip(strings.Join(u.Sources, ", "))
		for _, s := range u.Sources {
			e.Security = e.Security || securitySource(s)
			e.Unsorted = e.Unsorted && !sortedSource(s)
		}
		e.Unsorted = e.Unsorted && !e.Security
		out = append(out, e)
	}
	unnamed := a.Unnamed
	for _, u := range a.Kept {
		if u.Candidate == "" {
			unnamed++
			continue
		}
		out = append(out, evidence.Update{Manager: managerDpkg, Name: u.Name, Installed: u.Installed, Candidate: u.Candidate, Unsorted: true})
	}
	if unnamed > 0 {
		gaps = append(gaps, evidence.Gap{What: "updates that are kept back", Why: fmt.Sprintf("%d without versions; apt-get -s -V dist-upgrade names them", unnamed)})
	}
	return out, gaps
}

// policy asks apt-cache what it knows of packages, and of the archives that offer them.
func (l *look) policy(ctx context.Context, names []string) (Policy, bool) {
	if len(names) == 0 {
		return Policy{}, false
	}
	archives, err := l.run(ctx, "apt-cache", slices.Concat(aptOptions, []string{"policy"})...)
	var packages []byte
	if err == nil {
		packages, err = l.run(ctx, "apt-cache", slices.Concat(aptOptions, []string{"policy", "--"}, names)...)
	}
	var p Policy
	if err == nil {
		p, err = ParseAptPolicy(io.MultiReader(bytes.NewReader(archives), strings.NewReader("\n"), bytes.NewReader(packages)))
	}
	if err != nil {
		l.gap("the archives of dpkg packages", "%v", err)
		return Policy{}, false
	}
	return p, true
}

// aptNames are the packages of which more must be known than a simulated upgrade
// says: updates that are not marked as security updates, and products.
func (l *look) aptNames(found []product) []string {
	const most = 5000
	var names []string
	for _, u := range l.pending {
		if u.Manager == managerDpkg && !u.Security {
			names = append(names, u.Name)
		}
	}
	for _, p := range found {
		names = append(names, p.pkg.Name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return names[:min(most, len(names))]
}

// sortByPolicy marks the updates that bring a security update along though their
// own archive is none for such, and gives those kept back their archives.
func (l *look) sortByPolicy(p Policy) {
	for i := range l.pending {
		u := &l.pending[i]
		if u.Manager != managerDpkg || u.Security {
			continue
		}
		if source, ok := p.newerSecurity(u.Name); ok {
			u.Security, u.Unsorted = true, false
			if u.Source == "" {
				u.Source = clip(source)
			}
			continue
		}
		if u.Source != "" {
			continue
		}
		for _, a := range p.offers(p.Packages[u.Name], u.Candidate) {
			u.Source = clip(a.source())
			u.Unsorted = u.Unsorted && !sortedSource(a.source())
		}
	}
}

// aptLists says how much the lists of the sources are worth.
func (l *look) aptLists(ctx context.Context, m *evidence.Manager) {
	lists, err := l.readLists()
	if err != nil {
		l.gap("apt's lists", "%v", err)
		return
	}
	l.missingSources(ctx, lists)
	if len(lists) == 0 {
		l.gap("apt's lists", "there are none: apt-get update never succeeded, or they were removed; that nothing waits cannot be told")
		return
	}
	for _, r := range lists {
		if !r.Security() {
			continue
		}
		m.Security = true
		switch {
		case !r.ValidUntil.IsZero() && l.now.After(r.ValidUntil):
			l.gap("lists of "+r.name(), "they were valid until %s: apt-get update does not reach that source; what waits is not known", r.ValidUntil.Format(time.DateOnly))
		case r.ValidUntil.IsZero() && !r.Date.IsZero() && l.now.Sub(r.Date) > securityQuiet:
			l.gap("lists of "+r.name(), "they are of %s: either apt-get update does not reach that source, or it is no longer maintained", r.Date.Format(time.DateOnly))
		}
	}
	if !m.Security {
		l.gap("security updates of dpkg packages", "none of apt's sources is an archive of security updates: add the distribution's to /etc/apt/sources.list.d")
	}
	if t := l.aptRefreshed(lists); !t.IsZero() {
		at := evidence.At(t)
		m.Refreshed = &at
	}
}

// aptRefreshed is a moment at which the lists were certainly current. Where no
// hook leaves a stamp, only files that changed tell of a refresh, and apt sets
// their time to when the server published them: not later than the refresh, and
// so never too favourable. The time of lists/partial or of the package cache says
// nothing: they change when a refresh fails, too.
func (l *look) aptRefreshed(lists []list) time.Time {
	var newest time.Time
	take := func(t time.Time) {
		if !t.After(l.now) && t.After(newest) {
			newest = t
		}
	}
	for _, r := range lists {
		take(r.modified)
	}
	if info, err := l.h.Stat(aptStamp); err == nil {
		take(info.ModTime())
	}
	return newest
}

// list is the release file of one source.
type list struct {
	Release
	file     string
	modified time.Time
}

func (r list) name() string {
	for _, s := range []string{r.Codename, r.Suite, r.Label} {
		if s != "" {
			return s
		}
	}
	return r.file
}

func (l *look) readLists() ([]list, error) {
	if _, err := l.h.Stat(aptLists); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, plain(err)
	}
	files, err := l.h.Glob(aptLists + "/*Release")
	if err != nil {
		return nil, err
	}
	var out []list
	for _, file := range files {
		r, err := l.readList(file)
		if err != nil {
			l.gap("apt list "+clip(strings.TrimPrefix(file, aptLists+"/")), "%v", plain(err))
			continue
		}
		out = append(out, r)
	}
	return out, nil
}

func (l *look) readList(file string) (list, error) {
	f, err := l.h.Open(file)
	if err != nil {
		return list{}, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	info, err := f.Stat()
	if err != nil {
		return list{}, err
	}
	rel, err := ParseRelease(f)
	return list{rel, strings.TrimPrefix(file, aptLists+"/"), info.ModTime()}, err
}

// missingSources names configured sources whose lists were never fetched: apt
// takes them for empty and says nothing.
func (l *look) missingSources(ctx context.Context, lists []list) {
	out, err := l.run(ctx, "apt-get", slices.Concat(aptOptions, []string{"--print-uris", "update"})...)
	var wanted []string
	if err == nil {
		wanted, err = ParseAptURIs(bytes.NewReader(out))
	}
	if err != nil {
		l.gap("apt's sources", "%v", err)
		return
	}
	if len(wanted) == 0 {
		l.gap("apt's sources", "none is configured in /etc/apt: updates cannot be seen")
	}
	have := map[string]bool{}
	for _, r := range lists {
		have[strings.TrimSuffix(strings.TrimSuffix(r.file, "Release"), "In")] = true
	}
	for _, name := range wanted {
		base := strings.TrimSuffix(name, "InRelease")
		if have[base] {
			continue
		}
		if packages, err := l.h.Glob(aptLists + "/" + base + "*Packages*"); err == nil && len(packages) > 0 {
			continue // a source without a release file
		}
		l.gap("apt source "+clip(strings.TrimSuffix(base, "_")), "its lists were never fetched: see what apt-get update says of it")
	}
}
