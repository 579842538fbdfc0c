// Package software sees what is installed, what updates wait by the package
// managers' own metadata, how old that metadata is, whether what runs is what is
// installed, when the operating system and its server products reach their ends of
// life, and what software the sites of a web server run. It asks no network and changes nothing.
package software

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

const (
	lookEvery   = 6 * time.Hour
	lookTimeout = 10 * time.Minute
	toolTimeout = 90 * time.Second // five tools that hang still leave time to tell the rest
	maxOutput   = 32 << 20         // bytes of a tool's output

	managerDpkg = "dpkg"
	managerRPM  = "rpm"
	managerApk  = "apk"
)

// Config is the kind's part of the agent's config file.
type Config struct {
	Sites Sites `yaml:"sites"`
	// Verify holds every installed file to its package's checksum at each look: it
	// reads them all.
	Verify bool `yaml:"verify"`
	// EndsOfLife is a folder of documents of endoflife.date's API v1, which are laid
	// over the days that are built in.
	EndsOfLife string `yaml:"ends_of_life"`
}

// Sites say where WordPress is looked for, and how much is told of it.
type Sites struct {
	// Discover looks into the document roots of Apache, nginx, Plesk and the like.
	Discover bool `yaml:"discover"`
	// Folders are looked into besides: whole paths, with * and ?.
	Folders []string `yaml:"folders"`
	// Names sends the sites' folders in place of pseudonyms.
	Names bool `yaml:"names"`
	// Checksums is a folder of files VERSION-LOCALE.json as api.wordpress.org gives
	// them; nothing is downloaded.
	Checksums string `yaml:"checksums"`
}

func (s Sites) off() bool { return !s.Discover && len(s.Folders) == 0 }

// Spec describes the collector.
func Spec() host.Spec {
	return host.Spec{
		Kind: evidence.KindSoftware, Title: "Software: versions, pending updates, ends of life, restarts",
		OS: []string{"linux"}, Needs: host.NeedExec, Every: lookEvery, Timeout: lookTimeout,
		New: New, Detect: detect, Formats: formats(),
		About: host.About{
			Reads: []string{
				"the package manager's own database and metadata: dpkg and apt, rpm and dnf or zypper, apk; with `verify: true` every installed file",
				"`/etc/os-release`, the kernel that runs and those that are installed",
				"which running programs use files that were replaced, by `needrestart -b`, `needs-restarting -r` and `zypper needs-rebooting` where they are",
				"live patches of the kernel, by `kcarectl` and `canonical-livepatch`; Ubuntu Pro's status file; Plesk's version file",
				"`wp-includes/version.php` and the heads of plugins and themes in document roots, as text: nothing of a site is run",
			},
			Sends: []string{
				"every package with its version, security updates that wait with their age, when metadata was last refreshed",
				"end of life of the system, reboot or restarts that are needed",
				"per WordPress site: a pseudonym, the versions of core, plugins and themes, whether core files are as published; its folder and changed files can be erased",
			},
			Never: []string{
				"what programs do or hold in memory",
				"credentials of package sources",
				"a site's settings, contents and users: `wp-config.php` is not read",
			},
			Needs: []string{
				"`dnf` for its updates where it is used",
				"reading `/proc/PID/maps` of others' programs (root or CAP_SYS_PTRACE); without it restarts are unknown and said to be",
				"reading document roots (CAP_DAC_READ_SEARCH, or the web server's group) for the software of sites",
			},
		},
	}
}

type collector struct {
	h         *host.Host
	cfg       Config
	searching atomic.Bool // a search for sites runs, or hangs
}

// New makes the collector.
func New(decode func(any) error, h *host.Host) (host.Collector, error) {
	cfg := Config{Sites: Sites{Discover: true}}
	if err := decode(&cfg); err != nil {
		return nil, err
	}
	for _, folder := range append([]string{cfg.Sites.Checksums, cfg.EndsOfLife}, cfg.Sites.Folders...) {
		if folder != "" && !path.IsAbs(folder) {
			return nil, fmt.Errorf("software: %q: want a whole path, such as /srv/sites/*", folder)
		}
	}
	return &collector{h: h, cfg: cfg}, nil
}

// look is one look under way.
type look struct {
	h      *host.Host
	now    time.Time
	cursor *cursor
	gaps   []evidence.Gap

	os          evidence.OSRelease
	kernelFacts evidence.Kernel
	managers    []evidence.Manager
	packages    []evidence.Package
	versions    map[string]string // of rpm packages
	pending     []evidence.Update
	products    []evidence.Product
	reboot      evidence.Reboot
	unsure      []string // parts of the question of restarts without an answer
	web         *evidence.Web
	pro         *evidence.UbuntuPro
	cycles      LifeCycles
	verifies    bool
	altered     []verifyDetail
}

// Collect looks once. What a package manager does not tell is a gap: it never
// reads as "nothing waits".
func (c *collector) Collect(ctx context.Context, cur []byte) (host.Look, error) {
	if runtime.GOOS != "linux" {
		return host.Look{Unsupported: true, Gaps: []evidence.Gap{{What: "packages", Why: "this build reads the package managers of Linux"}}}, nil
	}
	l := newLook(c.h, c.h.Now())
	l.verifies = c.cfg.Verify
	l.moreCycles(c.cfg.EndsOfLife)
	var err error
	if l.cursor, err = readCursor(cur); err != nil {
		l.gap("ages of pending updates", "%v", err)
	}
	o := l.readOS()
	images := l.readManagers(ctx, o)
	l.age()
	l.livepatch(ctx)
	l.kernel(images)
	l.rebootFile()
	l.needsRestarting(ctx)
	if !l.needrestart(ctx) {
		l.processes(ctx)
	}
	found := detail{Altered: l.altered, Sites: c.lookWeb(ctx, l)}
	if err := ctx.Err(); errors.Is(err, context.Canceled) {
		return host.Look{}, fmt.Errorf("looking at software: %w", err)
	}
	next, err := l.cursor.encode()
	if err != nil {
		return host.Look{}, err
	}
	facts, gaps := l.facts()
	return host.Look{Facts: facts, Detail: found.orNil(), Gaps: gaps, Next: next}, nil
}

// detail is what may be erased: paths.
type detail struct {
	Altered []verifyDetail `json:"altered,omitempty"`
	Sites   []siteDetail   `json:"sites,omitempty"`
}

func (d detail) orNil() any {
	if len(d.Altered) == 0 && len(d.Sites) == 0 {
		return nil
	}
	return d
}

func newLook(h *host.Host, now time.Time) *look {
	return &look{h: h, now: now, cursor: &cursor{last: map[string]int64{}, next: map[string]int64{}}, versions: map[string]string{}, cycles: lifeCycles()}
}

func (l *look) gap(what, format string, args ...any) {
	l.gaps = append(l.gaps, evidence.Gap{What: what, Why: clipTo(fmt.Sprintf(format, args...), 500)})
}

// readManagers reads every package database of the host, and asks each manager
// what waits. It returns the kernels that are installed.
func (l *look) readManagers(ctx context.Context, o OS) []kernelImage {
	var images []kernelImage
	inv, found, err := readDpkg(ctx, l.h)
	if m, ok := l.manager(managerDpkg, inv, found, err); ok {
		l.apt(ctx, &m)
		l.verify(ctx, &m)
		products := recognise(managerDpkg, inv.Packages)
		if policy, ok := l.policy(ctx, l.aptNames(products)); ok {
			l.sortByPolicy(policy)
			originsByApt(policy, o, products)
		}
		l.addProducts(products)
		l.managers = append(l.managers, m)
		images = append(images, kernels(managerDpkg, inv.Packages)...)
	}
	inv, found, err = l.readRPM(ctx)
	if m, ok := l.manager(managerRPM, inv, found, err); ok {
		for _, p := range inv.Packages {
			if compareVersions(p.Version, l.versions[p.Name]) > 0 {
				l.versions[p.Name] = p.Version
			}
		}
		if _, err := l.h.Stat(dnfProgram); err == nil || !l.zypper(ctx, &m) {
			l.dnf(ctx, &m)
		}
		l.verify(ctx, &m)
		products := recognise(managerRPM, inv.Packages)
		originsByVendor(o, products)
		l.addProducts(products)
		l.managers = append(l.managers, m)
		images = append(images, kernels(managerRPM, inv.Packages)...)
	}
	inv, found, err = readApk(l.h)
	if m, ok := l.manager(managerApk, inv, found, err); ok {
		l.apk(ctx, &m)
		products := recognise(managerApk, inv.Packages)
		l.originsByApk(o, products)
		l.addProducts(products)
		l.managers = append(l.managers, m)
	}
	l.pleskFile()
	if len(l.managers) == 0 {
		l.gap("package managers", "no readable database of dpkg, rpm or apk: what is installed is not known")
	}
	return images
}

// manager adds a database's packages to the look. ok is false where there is
// none, or it cannot be read; then what else the manager would say is left out.
func (l *look) manager(name string, inv Inventory, found bool, err error) (m evidence.Manager, ok bool) {
	if err != nil {
		l.gap("packages of "+name, "%v", err)
		l.keepAges(name)
		return m, false
	}
	if !found {
		return m, false
	}
	l.gaps = append(l.gaps, inv.Gaps...)
	for _, p := range inv.Packages {
		l.packages = append(l.packages, evidence.Package{Manager: name, Name: p.Name, Version: p.Version})
	}
	const named = 50
	return evidence.Manager{Name: name, Packages: len(inv.Packages), Broken: len(inv.Broken), BrokenNames: inv.Broken[:min(named, len(inv.Broken))]}, true
}

// run runs a tool, and takes any exit code but 0 for a failure.
func (l *look) run(ctx context.Context, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, toolTimeout)
	defer cancel()
	res, err := l.h.Run(ctx, host.Command{Name: name, Args: args, Limit: maxOutput})
	switch {
	case errors.Is(err, host.ErrNoProgram):
		return nil, absent(name)
	case err != nil:
		return nil, err
	case res.Cut || res.Exit != 0:
		return nil, failure(name, res)
	}
	return res.Stdout, nil
}

// absent is a tool that is not installed.
type absent string

func (a absent) Error() string { return string(a) + " is not installed" }

// Is says that it is host.ErrNoProgram.
func (a absent) Is(err error) bool { return err == host.ErrNoProgram }

// failure says what a tool's end was.
func failure(name string, res host.Result) error {
	if res.Cut {
		return fmt.Errorf("%s printed more than %d bytes", name, maxOutput)
	}
	said := strings.Join(strings.Fields(res.Stderr), " ")
	if said == "" {
		said = "without a word"
	}
	return fmt.Errorf("%s ended with exit code %d: %s", name, res.Exit, clip(said))
}

// facts puts the look together, sorted, and small enough to send.
func (l *look) facts() (evidence.Software, []evidence.Gap) {
	host.SortFunc(l.packages, func(a, b evidence.Package) int {
		return cmp.Or(strings.Compare(a.Manager, b.Manager), strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version))
	})
	host.SortFunc(l.pending, func(a, b evidence.Update) int {
		return cmp.Or(strings.Compare(a.Manager, b.Manager), strings.Compare(a.Name, b.Name), strings.Compare(a.Candidate, b.Candidate))
	})
	host.SortFunc(l.products, func(a, b evidence.Product) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version))
	})
	l.bound()
	return evidence.Software{
		OS: l.os, Kernel: l.kernelFacts, Managers: orEmpty(l.managers), Packages: orEmpty(l.packages),
		Pending: orEmpty(l.pending), Products: orEmpty(l.products), Reboot: l.rebootFacts(), Web: l.web, Pro: l.pro,
	}, l.gaps
}

// orEmpty makes an empty list of none, so that it is written as one.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
