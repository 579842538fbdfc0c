//go:build linux

package software_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/host/hosttest"
	"github.com/attesto/attesto/evidence"
)

// TestOlderDebian looks at a Debian 11 as debootstrap makes it from the archive that this
// host uses: real packages, real lists, and the security updates that wait since.
func TestOlderDebian(t *testing.T) {
	hosttest.NeedTool(t, "debootstrap", "apt-get", "apt-cache", "dpkg")
	if b, err := os.ReadFile("/etc/os-release"); err != nil || !strings.Contains(string(b), "\nID=debian\n") {
		t.Skip("this host's archive is not Debian's")
	}
	if os.Geteuid() != 0 {
		t.Skip("not root: debootstrap needs chroot and mknod")
	}
	archive, security := debianArchives(t)
	m := newApt(t, time.Now())
	if err := os.RemoveAll(m.root); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "debootstrap", "--variant=minbase", "bullseye", m.root, archive).CombinedOutput(); err != nil {
		t.Fatalf("debootstrap: %v\n%s", err, out[max(0, len(out)-2000):])
	}
	m.write("/apt.conf", aptConf(m.root))
	m.write("/etc/apt/sources.list", "deb "+archive+" bullseye main\ndeb "+security+" bullseye-security main\n")
	m.write("/proc/sys/kernel/osrelease", "5.10.0-30-amd64\n")
	m.aptUpdate()
	f, gaps, _ := m.look(nil)
	if f.OS.ID != "debian" || f.OS.Version != "11" || f.OS.EOL == "" {
		t.Errorf("system %+v", f.OS)
	}
	if !slices.ContainsFunc(f.Packages, func(p evidence.Package) bool { return p.Name == "dpkg" }) || len(f.Packages) < 50 {
		t.Errorf("%d packages", len(f.Packages))
	}
	waiting := 0
	for _, u := range f.Pending {
		if u.Security && !u.Unsorted {
			waiting++
		}
	}
	if waiting == 0 {
		t.Errorf("no security update waits, of %d: %s", len(f.Pending), gaps)
	}
	t.Logf("%d packages, %d updates wait, %d of security; gaps %s", len(f.Packages), len(f.Pending), waiting, gaps)
}

// debianArchives are the archives of packages and of security updates that this host's
// apt is set to.
func debianArchives(t *testing.T) (main, security string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "apt-get", "indextargets", "--format", "$(REPO_URI)").Output()
	if err != nil {
		t.Fatalf("apt-get indextargets: %v", err)
	}
	for uri := range strings.FieldsSeq(string(out)) {
		switch {
		case strings.Contains(uri, "security"):
			security = uri
		case strings.HasSuffix(uri, "/debian/"):
			main = uri
		}
	}
	if main == "" || security == "" {
		if os.Getenv("CI") == "true" {
			t.Fatalf("this host's apt names no Debian archive with security updates: %s", out)
		}
		t.Skip("this host's apt names no Debian archive with security updates")
	}
	return main, security
}
