package software

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// dnfCaches are where dnf and dnf5 keep the metadata of repositories: a folder
// ID-HASH each.
var dnfCaches = []string{"/var/cache/dnf", "/var/cache/libdnf5"}

// dnfProgram is there where dnf is in use; elsewhere zypper is asked first.
const dnfProgram = "/usr/bin/dnf"

// dnfOptions make dnf answer from its cache alone, whoever asks.
var dnfOptions = []string{"-q", "-C"}

// dnf asks dnf what waits. Its cache may lack a repository, which dnf then takes
// for empty with exit code 0: each enabled one is looked for.
func (l *look) dnf(ctx context.Context, m *evidence.Manager) {
	const what = "pending updates of rpm packages"
	sorted, err := l.dnfRepos(ctx, m)
	if err != nil {
		l.gap(what, "%v", err)
		l.keepAges(m.Name)
		return
	}
	updates, err := l.dnfUpdates(ctx)
	var security []Advisory
	if err == nil {
		security, err = l.dnfAdvisories(ctx)
	}
	if err != nil {
		l.gap(what, "%v", err)
		l.keepAges(m.Name)
		return
	}
	l.pending = append(l.pending, joinDNF(updates, security, sorted, l.versions)...)
}

// dnfRepos looks into the cache of every enabled repository. It returns those that have advisories.
func (l *look) dnfRepos(ctx context.Context, m *evidence.Manager) (map[string]bool, error) {
	out, err := l.run(ctx, "dnf", slices.Concat(dnfOptions, []string{"repolist"})...)
	var repos []string
	if err == nil {
		repos, err = ParseRepolist(bytes.NewReader(out))
	}
	if err != nil {
		return nil, err
	}
	if len(repos) == 0 {
		return nil, fmt.Errorf("dnf has no enabled repository")
	}
	sorted := map[string]bool{}
	var oldest time.Time
	missing := 0
	for _, id := range repos {
		at, advisories := repoCache(l.h, id)
		if at.IsZero() {
			missing++
			l.gap("dnf repository "+clip(id), "its metadata was never fetched: see what dnf makecache says of it")
			continue
		}
		if oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
		sorted[id] = advisories
		m.Security = m.Security || advisories
	}
	if missing == 0 && !oldest.After(l.now) {
		at := evidence.At(oldest)
		m.Refreshed = &at
	}
	if missing == len(repos) {
		return nil, fmt.Errorf("dnf has no metadata: run dnf makecache")
	}
	if !m.Security {
		l.gap("security updates of rpm packages", "no enabled repository publishes advisories (CentOS has none): which updates are for security cannot be told")
	}
	return sorted, nil
}

// repoCache is when a repository was last found current, and whether it has
// advisories. dnf takes the time of the primary metadata for that moment, and
// sets it anew at each refresh that finds nothing new (libdnf, Repo::getAge).
func repoCache(h *host.Host, id string) (at time.Time, advisories bool) {
	for _, cache := range dnfCaches {
		folder := cache + "/" + escapeGlob(id) + "-" + strings.Repeat("[0-9a-f]", 16) + "/repodata/"
		files, err := h.Glob(folder + "*primary.xml*")
		if err != nil {
			continue
		}
		for _, file := range files {
			if info, err := h.Stat(file); err == nil && info.ModTime().After(at) {
				at = info.ModTime()
			}
		}
		if found, err := h.Glob(folder + "*updateinfo.xml*"); err == nil && len(found) > 0 {
			advisories = true
		}
	}
	return at, advisories
}

func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `/`, `_`).Replace(s)
}

// dnfUpdates asks for updates: exit 0 is none, 100 some.
func (l *look) dnfUpdates(ctx context.Context) ([]Available, error) {
	res, err := l.h.Run(ctx, host.Command{Name: "dnf", Args: slices.Concat(dnfOptions, []string{"check-update"}), Limit: maxOutput})
	if err != nil {
		return nil, err
	}
	if res.Cut || res.Exit != 0 && res.Exit != 100 {
		return nil, failure("dnf", res)
	}
	updates, err := ParseCheckUpdate(bytes.NewReader(res.Stdout))
	if err == nil && res.Exit == 100 && len(updates) == 0 {
		err = fmt.Errorf("dnf says that updates wait (exit 100) and names none")
	}
	return updates, err
}

func (l *look) dnfAdvisories(ctx context.Context) ([]Advisory, error) {
	out, err := l.run(ctx, "dnf", slices.Concat(dnfOptions, []string{"updateinfo", "list", "--security", "--available"})...)
	if err != nil {
		return nil, err
	}
	return ParseUpdateinfo(bytes.NewReader(out))
}

// joinDNF marks the updates that advisories speak of, and adds what only an
// advisory names, as of a package that is held at its version.
func joinDNF(updates []Available, security []Advisory, sorted map[string]bool, installed map[string]string) []evidence.Update {
	type key struct{ name, arch string }
	wanted := map[key]string{}
	for _, a := range security {
		if k := (key{a.Name, a.Arch}); !a.Installed && (wanted[k] == "" || compareVersions(a.Version, wanted[k]) > 0) {
			wanted[k] = a.Version
		}
	}
	var out []evidence.Update
	for _, u := range updates {
		k := key{u.Name, u.Arch}
		e := evidence.Update{Manager: managerRPM, Name: u.Name, Installed: installed[u.Name], Candidate: u.Version, Source: clip(u.Repo)}
		e.Security = wanted[k] != ""
		e.Unsorted = !e.Security && !sorted[u.Repo]
		delete(wanted, k)
		out = append(out, e)
	}
	for k, version := range wanted {
		out = append(out, evidence.Update{Manager: managerRPM, Name: k.name, Installed: installed[k.name], Candidate: version, Security: true})
	}
	return out
}
