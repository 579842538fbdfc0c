//go:build linux

package software_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/host/hosttest"
	"github.com/attesto/attesto/evidence"
)

const rpmSpec = `Name: %{n}
Version: %{v}
Release: 1.el9
Summary: x
License: x
BuildArch: noarch
Vendor: AlmaLinux
%description
x
%files
`

const rpmAdvisory = `<?xml version="1.0" encoding="UTF-8"?>
<updates><update from="x" status="final" type="security" version="1"><id>ATSA-2026:0001</id><title>x</title><severity>Important</severity>
<issued date="2026-11-02 00:00:00"/><description>x</description><pkglist><collection short="x"><name>x</name>
<package name="postfix" version="3.8.1" release="1.el9" epoch="0" arch="noarch" src="x.src.rpm"><filename>postfix-3.8.1-1.el9.noarch.rpm</filename></package>
</collection></pkglist></update></updates>
`

// newDNF is a machine of AlmaLinux 9 whose rpm and dnf are the real ones, pointed below its root.
func newDNF(t *testing.T) *machine {
	hosttest.NeedTool(t, "rpm", "rpmbuild", "dnf", "createrepo_c", "modifyrepo_c")
	if os.Getuid() != 0 {
		t.Skip("rpm and dnf need root to work below another root")
	}
	m := newMachine(t, time.Now())
	m.host.Now = time.Now
	m.write("/etc/os-release", "ID=\"almalinux\"\nVERSION_ID=\"9.4\"\nPRETTY_NAME=\"AlmaLinux 9.4\"\n")
	m.write("/run/systemd/container", "lxc\n")
	m.write("/etc/yum.repos.d/x", "")
	m.write("/home/.rpmmacros", "%_dbpath /var/lib/rpm\n") // Debian's rpm keeps its database elsewhere
	m.host.Run = func(ctx context.Context, c host.Command) (host.Result, error) {
		c.Env = append(c.Env, "HOME="+m.root+"/home")
		switch c.Name {
		case "rpm":
			c.Args = append([]string{"--root", m.root}, c.Args...)
		case "dnf":
			c.Args = append([]string{"--installroot=" + m.root, "--releasever=9", "--setopt=cachedir=" + m.root + "/var/cache/dnf",
				"--setopt=reposdir=" + m.root + "/etc/yum.repos.d"}, c.Args...)
		case "needs-restarting":
			return host.Result{}, host.ErrNoProgram
		}
		return ofRoot(ctx, c)
	}
	return m
}

func (m *machine) must(name string, args ...string) {
	m.t.Helper()
	if res := m.run(name, args...); res.Exit != 0 {
		m.t.Fatalf("%s %v: %d %s %s", name, args, res.Exit, res.Stdout, res.Stderr)
	}
}

// build makes packages NAME=VERSION, and returns their files.
func (m *machine) build(packages ...string) []string {
	m.t.Helper()
	m.write("/build/x.spec", rpmSpec)
	var files []string
	for _, p := range packages {
		name, version, _ := strings.Cut(p, "=")
		m.must("rpmbuild", "-bb", "--quiet", "--define", "n "+name, "--define", "v "+version, "--define", "_topdir "+m.root+"/build",
			"--define", "_rpmdir "+m.root+"/rpms", m.root+"/build/x.spec")
		files = append(files, fmt.Sprintf("%s/rpms/noarch/%s-%s-1.el9.noarch.rpm", m.root, name, version))
	}
	return files
}

// repo serves packages as a repository of the name.
func (m *machine) repo(name string, advisories bool, files ...string) {
	m.t.Helper()
	dir := filepath.Join(m.root, "srv", name)
	m.write("/srv/"+name+"/x", "")
	for _, f := range files {
		m.do(os.Link(f, filepath.Join(dir, filepath.Base(f))))
	}
	m.must("createrepo_c", "-q", dir)
	if advisories {
		m.write("/srv/updateinfo.xml", rpmAdvisory)
		m.must("modifyrepo_c", "--mdtype=updateinfo", m.root+"/srv/updateinfo.xml", dir+"/repodata")
	}
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	m.t.Cleanup(server.Close)
	m.write("/etc/yum.repos.d/"+name+".repo", fmt.Sprintf("[%s]\nname=x\nbaseurl=%s/\nenabled=1\ngpgcheck=0\nproxy=_none_\n", name, server.URL))
}

func TestRealDNF(t *testing.T) {
	m := newDNF(t)
	files := m.build("postfix=3.5.9", "postfix=3.8.1", "tzdata=2024.1", "tzdata=2025.1", "docker-ce=27.0.1", "docker-ce=28.0.1")
	m.write("/var/lib/rpm/x", "")
	m.must("rpm", "--initdb")
	m.must("rpm", "--nodeps", "--justdb", "-i", files[0], files[2], files[4])
	m.repo("baseos", true, files[1], files[3])
	m.repo("docker-ce-stable", false, files[5])

	f, gaps, _ := m.look(nil)
	if !strings.Contains(gaps, "dnf repository baseos: its metadata was never fetched") || !strings.Contains(gaps, "pending updates of rpm packages: dnf has no metadata") {
		t.Errorf("before any refresh: gaps %s", gaps)
	}
	if len(f.Managers) != 1 || f.Managers[0].Packages != 3 || f.Managers[0].Refreshed != nil {
		t.Errorf("before any refresh: %+v", f.Managers)
	}

	m.must("dnf", "-q", "--disablerepo=docker-ce-stable", "makecache")
	f, gaps, _ = m.look(nil)
	if !strings.Contains(gaps, "dnf repository docker-ce-stable") || f.Managers[0].Refreshed != nil || len(f.Pending) != 2 {
		t.Errorf("one repository refreshed: %+v, pending %v, gaps %s", f.Managers, f.Pending, gaps)
	}

	m.must("dnf", "-q", "makecache")
	f, gaps, _ = m.look(nil)
	if gaps != "" {
		t.Errorf("gaps: %s", gaps)
	}
	same(t, "a security update", update(f, "postfix"), evidence.Update{Manager: "rpm", Name: "postfix", Installed: "3.5.9-1.el9", Candidate: "3.8.1-1.el9", Source: "baseos", Security: true})
	same(t, "another update", update(f, "tzdata"), evidence.Update{Manager: "rpm", Name: "tzdata", Installed: "2024.1-1.el9", Candidate: "2025.1-1.el9", Source: "baseos"})
	same(t, "a repository without advisories", update(f, "docker-ce"), evidence.Update{Manager: "rpm", Name: "docker-ce", Installed: "27.0.1-1.el9", Candidate: "28.0.1-1.el9", Source: "docker-ce-stable", Unsorted: true})
	if m0 := f.Managers[0]; !m0.Security || m0.Refreshed == nil || time.Since(m0.Refreshed.Time) > time.Minute {
		t.Errorf("manager %+v", m0)
	}
	same(t, "operating system", f.OS.EOL, "2032-05-31")
	same(t, "products", f.Products, []evidence.Product{
		{Name: "docker-engine", Version: "27.0.1", From: evidence.FromDistribution},
		{Name: "postfix", Version: "3.5.9", From: evidence.FromDistribution},
	})

	old := time.Now().Add(-72 * time.Hour).Truncate(time.Second)
	primaries, err := filepath.Glob(m.root + "/var/cache/dnf/baseos-*/repodata/*primary*")
	if err != nil || len(primaries) == 0 {
		t.Fatalf("no metadata: %v", err)
	}
	for _, p := range primaries {
		m.do(os.Chtimes(p, old, old))
	}
	f, _, _ = m.look(nil)
	if r := f.Managers[0].Refreshed; r == nil || !r.Equal(old) {
		t.Errorf("the oldest repository decides: %v, want %v", r, old)
	}
	names := slices.Collect(func(yield func(string) bool) {
		for _, p := range f.Packages {
			if !yield(p.Name) {
				return
			}
		}
	})
	same(t, "packages", names, []string{"docker-ce", "postfix", "tzdata"})
}
