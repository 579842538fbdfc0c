//go:build linux

package software_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/host/hosttest"
	"github.com/attesto/attesto/collectors/software"
	"github.com/attesto/attesto/evidence"
)

// machine is a host of its own below a folder, with the real tools of this one.
type machine struct {
	t    *testing.T
	root string
	host *host.Host
}

func newMachine(t *testing.T, now time.Time) *machine {
	m := &machine{t: t, root: t.TempDir()}
	m.host = &host.Host{Root: m.root, Now: func() time.Time { return now }, Run: ofRoot}
	m.write("/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n")
	m.write("/proc/sys/kernel/osrelease", "6.1.0-41-amd64\n")
	m.write("/proc/1/comm", "init\n")
	m.write("/proc/1/maps", "")
	m.write("/proc/1/status", "NSpid:\t1\n")
	return m
}

// ofRoot runs real tools that can be pointed below a root; needrestart looks at this
// host whatever it is told.
func ofRoot(ctx context.Context, c host.Command) (host.Result, error) {
	if c.Name == "needrestart" {
		return host.Result{}, fmt.Errorf("%s: %w", c.Name, host.ErrNoProgram)
	}
	return host.Exec(ctx, c)
}

func (m *machine) write(path, content string) {
	m.t.Helper()
	path = filepath.Join(m.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) do(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) run(name string, args ...string) host.Result {
	m.t.Helper()
	res, err := m.host.Run(m.t.Context(), host.Command{Name: name, Args: args})
	if err != nil {
		m.t.Fatal(err)
	}
	return res
}

// look collects once, and returns the facts and the gaps as text.
func (m *machine) look(cursor []byte) (evidence.Software, string, []byte) {
	m.t.Helper()
	c, err := software.New(func(any) error { return nil }, m.host)
	if err != nil {
		m.t.Fatal(err)
	}
	l, err := c.Collect(m.t.Context(), cursor)
	if err != nil {
		m.t.Fatal(err)
	}
	f, ok := l.Facts.(evidence.Software)
	if !ok {
		m.t.Fatalf("facts are %T", l.Facts)
	}
	if _, err := evidence.FactsBlob(f, l.Gaps); err != nil {
		m.t.Fatal(err)
	}
	var gaps strings.Builder
	for _, g := range l.Gaps {
		fmt.Fprintf(&gaps, "%s: %s\n", g.What, g.Why)
	}
	return f, gaps.String(), l.Next
}

const kernelStanza = "Package: linux-image-6.1.0-41-amd64\nStatus: install ok installed\nArchitecture: amd64\nVersion: 6.1.150-1\nMaintainer: x <x@example.org>\nDescription: x\n\n"

// newApt is a machine whose apt is the real one, pointed below its root.
func newApt(t *testing.T, now time.Time, installed ...string) *machine {
	hosttest.NeedTool(t, "apt-get", "apt-cache", "dpkg")
	m := newMachine(t, now)
	m.write("/var/lib/dpkg/status", kernelStanza+stanzas(installed...))
	for _, dir := range []string{"/var/lib/apt/lists/partial", "/var/lib/apt/periodic", "/var/cache/apt/archives/partial", "/etc/apt/apt.conf.d",
		"/etc/apt/preferences.d", "/etc/apt/sources.list.d", "/etc/apt/trusted.gpg.d", "/etc/apt/auth.conf.d"} {
		if err := os.MkdirAll(filepath.Join(m.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.write("/apt.conf", aptConf(m.root))
	m.host.Run = func(ctx context.Context, c host.Command) (host.Result, error) {
		c.Env = append(c.Env, "APT_CONFIG="+m.root+"/apt.conf")
		return ofRoot(ctx, c)
	}
	return m
}

// aptConf points apt below a root.
func aptConf(root string) string {
	return fmt.Sprintf("Dir %q;\nDir::State::status %q;\nAPT::Architecture \"amd64\";\nAPT::Architectures {\"amd64\";};\nAPT::Sandbox::User \"root\";\nAcquire::Languages \"none\";\nAcquire::Check-Date \"false\";\nAcquire::Check-Valid-Until \"false\";\n",
		root, root+"/var/lib/dpkg/status")
}

// stanzas makes package stanzas of words NAME=VERSION.
func stanzas(packages ...string) string {
	var b strings.Builder
	for _, p := range packages {
		name, version, _ := strings.Cut(p, "=")
		state := "installed"
		if n, ok := strings.CutPrefix(name, "!"); ok {
			name, state = n, "half-configured"
		}
		fmt.Fprintf(&b, "Package: %s\nStatus: install ok %s\nArchitecture: amd64\nVersion: %s\nMaintainer: x <x@example.org>\nDescription: x\n\n", name, state, version)
	}
	return b.String()
}

// archive makes a repository on this machine's disk and adds it to apt's sources.
func (m *machine) archive(folder, head string, packages ...string) {
	m.t.Helper()
	var list strings.Builder
	for _, p := range packages {
		name, version, _ := strings.Cut(p, "=")
		version, depends, _ := strings.Cut(version, " needs ")
		fmt.Fprintf(&list, "Package: %s\nArchitecture: amd64\nVersion: %s\nMaintainer: x <x@example.org>\nFilename: pool/%s.deb\nSize: 1\nSHA256: %064d\n", name, version, name, 0)
		if depends != "" {
			fmt.Fprintf(&list, "Depends: %s\n", depends)
		}
		list.WriteString("Description: x\n\n")
	}
	dir := "/srv/" + folder + "/dists/" + folder
	m.write(dir+"/main/binary-amd64/Packages", list.String())
	m.write(dir+"/Release", head+"Architectures: amd64\nComponents: main\nSHA256:\n "+sha256Line(m.t, filepath.Join(m.root, dir, "main/binary-amd64/Packages"))+" main/binary-amd64/Packages\n")
	m.source(folder)
}

func (m *machine) source(folder string) {
	m.write("/etc/apt/sources.list.d/"+folder+".list", "deb [trusted=yes] file:"+m.root+"/srv/"+folder+" "+folder+" main\n")
}

func sha256Line(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s %d", evidence.Sum(b), len(b))
}

func (m *machine) aptUpdate() {
	m.t.Helper()
	if res := m.run("apt-get", "update"); res.Exit != 0 {
		m.t.Fatalf("apt-get update: %d %s", res.Exit, res.Stderr)
	}
}

const (
	mainHead     = "Origin: Debian\nLabel: Debian\nSuite: stable\nVersion: 12.11\nCodename: bookworm\nDate: Sat, 21 Nov 2026 00:53:02 UTC\n"
	securityHead = "Origin: Debian\nLabel: Debian-Security\nSuite: stable-security\nVersion: 12\nCodename: bookworm-security\nDate: Sat, 21 Nov 2026 00:53:02 UTC\nValid-Until: Sat, 28 Nov 2026 00:53:02 UTC\n"
	otherHead    = "Origin: Docker\nLabel: Docker CE\nSuite: bookworm\nDate: Sat, 21 Nov 2026 00:53:02 UTC\n"
)

var lookAt = time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC)

func update(f evidence.Software, name string) evidence.Update {
	i := slices.IndexFunc(f.Pending, func(u evidence.Update) bool { return u.Name == name })
	if i < 0 {
		return evidence.Update{}
	}
	u := f.Pending[i]
	u.Since = nil
	return u
}

// touch makes the lists as old as apt makes them when a server says how old its files are.
func (m *machine) touch(at time.Time) {
	m.t.Helper()
	files, err := filepath.Glob(m.root + "/var/lib/apt/lists/*")
	if err != nil || len(files) == 0 {
		m.t.Fatalf("no lists: %v", err)
	}
	for _, f := range files {
		if err := os.Chtimes(f, at, at); err != nil {
			m.t.Fatal(err)
		}
	}
}

func TestRealAptPending(t *testing.T) {
	m := newApt(t, lookAt, "openssl=3.0.15-1", "tzdata=2024a-0", "held=1.0", "curl=7.88.1-10", "docker-ce=5:27.0.1-1", "needy=1.0", "handmade=1.0")
	m.archive("stable", mainHead, "openssl=3.0.15-1", "tzdata=2025b-0", "curl=7.88.1-12", "held=1.0", "newdep=1.0")
	m.archive("security", securityHead, "openssl=3.0.17-1", "held=1.1", "curl=7.88.1-11", "needy=1.1 needs newdep")
	m.archive("docker", otherHead, "docker-ce=5:28.0.1-1")
	m.write("/var/lib/dpkg/status", strings.Replace(kernelStanza+stanzas("openssl=3.0.15-1", "tzdata=2024a-0", "held=1.0", "curl=7.88.1-10",
		"docker-ce=5:27.0.1-1", "needy=1.0", "handmade=1.0"), "Package: held\nStatus: install ok", "Package: held\nStatus: hold ok", 1))
	m.aptUpdate()
	m.touch(lookAt.Add(-5 * time.Hour))
	f, gaps, _ := m.look(nil)
	if gaps != "" {
		t.Errorf("gaps: %s", gaps)
	}
	u := func(name, from, to, source string) evidence.Update {
		return evidence.Update{Manager: "dpkg", Name: name, Installed: from, Candidate: to, Source: source}
	}
	security := func(u evidence.Update) evidence.Update { u.Security = true; return u }
	unsorted := func(u evidence.Update) evidence.Update { u.Unsorted = true; return u }
	same(t, "a security update", update(f, "openssl"), security(u("openssl", "3.0.15-1", "3.0.17-1", "Debian-Security:12/stable-security")))
	same(t, "another update", update(f, "tzdata"), u("tzdata", "2024a-0", "2025b-0", "Debian:12.11/stable"))
	same(t, "a held package", update(f, "held"), security(u("held", "1.0", "1.1", "Debian-Security:12/stable-security")))
	same(t, "a security update within a point release", update(f, "curl"), security(u("curl", "7.88.1-10", "7.88.1-12", "Debian:12.11/stable")))
	same(t, "one that needs a new package", update(f, "needy"), security(u("needy", "1.0", "1.1", "Debian-Security:12/stable-security")))
	same(t, "one from elsewhere", update(f, "docker-ce"), unsorted(u("docker-ce", "5:27.0.1-1", "5:28.0.1-1", "Docker CE:bookworm")))
	same(t, "number", len(f.Pending), 6)
	m0 := f.Managers[0]
	if !m0.Security || m0.Refreshed == nil || !m0.Refreshed.Equal(lookAt.Add(-5*time.Hour)) || m0.Packages != 8 {
		t.Errorf("manager: %+v", m0)
	}
	same(t, "products", f.Products, []evidence.Product{
		{Name: "docker-engine", Version: "27.0.1", From: evidence.FromProducer, EOL: "2025-05-03"},
		{Name: "openssl", Version: "3.0.15", From: evidence.FromDistribution},
	})
	same(t, "kernel", f.Kernel, evidence.Kernel{Running: "6.1.0-41-amd64", Installed: "6.1.0-41-amd64"})
	same(t, "reboot", f.Reboot, evidence.Reboot{Needed: evidence.No})
}

func TestRealAptChangesNothing(t *testing.T) {
	m := newApt(t, lookAt, "openssl=3.0.15-1")
	m.archive("security", securityHead, "openssl=3.0.17-1")
	m.aptUpdate()
	for _, f := range []string{"pkgcache.bin", "srcpkgcache.bin"} {
		if err := os.Remove(filepath.Join(m.root, "/var/cache/apt", f)); err != nil {
			t.Fatal(err)
		}
	}
	before := tree(t, m.root)
	m.look(nil)
	same(t, "files", tree(t, m.root), before)
}

func tree(t *testing.T, root string) []string {
	t.Helper()
	var out []string
	err := filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			out = append(out, fmt.Sprint(path, info.Size(), info.ModTime().UnixNano()))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRealAptCannotTell(t *testing.T) {
	for name, c := range map[string]struct {
		spoil     func(m *machine)
		at        time.Time
		says      string
		refreshed bool
	}{
		"never refreshed":           {func(m *machine) { m.do(os.RemoveAll(m.root + "/var/lib/apt/lists")) }, lookAt, "there are none", false},
		"a source never fetched":    {func(m *machine) { m.source("gone") }, lookAt, "srv_gone_dists_gone: its lists were never fetched", true},
		"no source at all":          {func(m *machine) { m.do(os.Remove(m.root + "/etc/apt/sources.list.d/security.list")) }, lookAt, "none is configured", true},
		"lists past their validity": {func(*machine) {}, lookAt.AddDate(0, 0, 6), "lists of bookworm-security: they were valid until 2026-11-28", true},
		"a malformed source":        {func(m *machine) { m.write("/etc/apt/sources.list.d/x.list", "deb nonsense\n") }, lookAt, "pending updates of dpkg packages: apt-get ended with exit code 100: E: Malformed entry", true},
		"dpkg was interrupted":      {func(m *machine) { m.write("/var/lib/dpkg/updates/0001", "") }, lookAt, "dpkg is at work or was interrupted", true},
		"a damaged list":            {func(m *machine) { m.write("/var/lib/apt/lists/x_Release", "<html>") }, lookAt, "apt list x_Release: release file: names no", true},
	} {
		t.Run(name, func(t *testing.T) {
			m := newApt(t, c.at, "openssl=3.0.15-1")
			m.archive("security", securityHead, "openssl=3.0.17-1")
			m.aptUpdate()
			m.touch(lookAt)
			c.spoil(m)
			f, gaps, _ := m.look(nil)
			if !strings.Contains(gaps, c.says) {
				t.Errorf("gaps %q, want %q", gaps, c.says)
			}
			if got := len(f.Managers) == 1 && f.Managers[0].Refreshed != nil; got != c.refreshed {
				t.Errorf("refreshed: %v", got)
			}
		})
	}
}

func TestRealAptWithoutSecurityArchive(t *testing.T) {
	m := newApt(t, lookAt, "openssl=3.0.15-1")
	m.archive("stable", mainHead, "openssl=3.0.15-1")
	m.aptUpdate()
	f, gaps, _ := m.look(nil)
	if f.Managers[0].Security || !strings.Contains(gaps, "none of apt's sources is an archive of security updates") {
		t.Errorf("%+v, gaps %s", f.Managers[0], gaps)
	}
}

func TestRealAptStamp(t *testing.T) {
	m := newApt(t, lookAt, "openssl=3.0.15-1")
	m.archive("security", securityHead, "openssl=3.0.15-1")
	m.aptUpdate()
	m.touch(lookAt.Add(-60 * time.Hour))
	f, _, _ := m.look(nil)
	if !f.Managers[0].Refreshed.Equal(lookAt.Add(-60 * time.Hour)) {
		t.Errorf("without a stamp: %v", f.Managers[0].Refreshed)
	}
	m.write("/var/lib/apt/periodic/update-success-stamp", "")
	if err := os.Chtimes(m.root+"/var/lib/apt/periodic/update-success-stamp", lookAt, lookAt.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	f, _, _ = m.look(nil)
	if !f.Managers[0].Refreshed.Equal(lookAt.Add(-time.Hour)) {
		t.Errorf("with a stamp: %v", f.Managers[0].Refreshed)
	}
}

func TestRealAptFuture(t *testing.T) {
	m := newApt(t, lookAt, "openssl=3.0.15-1")
	m.archive("security", securityHead, "openssl=3.0.15-1")
	m.aptUpdate()
	m.touch(lookAt.Add(time.Hour))
	if f, _, _ := m.look(nil); f.Managers[0].Refreshed != nil {
		t.Errorf("lists from the future prove no refresh: %v", f.Managers[0].Refreshed)
	}
}

func TestRealAptBroken(t *testing.T) {
	m := newApt(t, lookAt, "!curl=7.88.1-10")
	m.archive("security", securityHead, "curl=7.88.1-10")
	m.aptUpdate()
	f, _, _ := m.look(nil)
	if f.Managers[0].Broken != 1 || f.Managers[0].BrokenNames[0] != "curl" {
		t.Errorf("%+v", f.Managers[0])
	}
}

func TestRealAges(t *testing.T) {
	m := newApt(t, lookAt, "openssl=3.0.15-1")
	m.archive("security", securityHead, "openssl=3.0.16-1")
	m.aptUpdate()
	since := func(cursor []byte, at time.Time) (time.Time, []byte) {
		t.Helper()
		m.host.Now = func() time.Time { return at }
		f, _, next := m.look(cursor)
		if len(f.Pending) != 1 {
			t.Fatalf("pending %+v", f.Pending)
		}
		return f.Pending[0].Since.Time, next
	}
	first, cursor := since(nil, lookAt)
	same(t, "first seen", first, lookAt)
	m.archive("security", securityHead, "openssl=3.0.17-1")
	m.aptUpdate()
	again, cursor := since(cursor, lookAt.Add(6*time.Hour))
	same(t, "a newer candidate", again, lookAt)
	// A look that cannot see what waits must not make it young again.
	m.write("/etc/apt/sources.list.d/x.list", "deb nonsense\n")
	_, gaps, cursor := m.look(cursor)
	if gaps == "" {
		t.Fatal("a malformed source gave no gap")
	}
	m.do(os.Remove(m.root + "/etc/apt/sources.list.d/x.list"))
	again, cursor = since(cursor, lookAt.Add(12*time.Hour))
	same(t, "after a look that saw nothing", again, lookAt)
	m.write("/var/lib/dpkg/status", kernelStanza+stanzas("openssl=3.0.16-1"))
	again, cursor = since(cursor, lookAt.Add(18*time.Hour))
	same(t, "after an update that was not the last", again, lookAt.Add(18*time.Hour))
	again, _ = since(cursor, lookAt)
	same(t, "after the clock went back", again, lookAt)
}

func TestRealHost(t *testing.T) {
	hosttest.NeedTool(t, "apt-get", "apt-cache", "dpkg-query")
	m := &machine{t: t, host: host.Real()}
	m.host.Run = ofRoot
	f, _, _ := m.look(nil)
	out := m.run("dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n")
	want := 0
	for line := range strings.Lines(string(out.Stdout)) {
		if s := strings.Fields(line)[0]; s != "config-files" && s != "not-installed" {
			want++
		}
	}
	if len(f.Managers) == 0 || f.Managers[0].Packages != want || len(f.Packages) < want {
		t.Errorf("managers %+v, dpkg-query counts %d", f.Managers, want)
	}
	if f.OS.ID != "debian" || f.Kernel.Running == "" {
		t.Errorf("%+v, %+v", f.OS, f.Kernel)
	}
}
