// Package packaging_test builds the packages and really installs them, into an
// overlay of this machine's file system that vanishes with the test.
package packaging_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// install runs in a mount namespace of its own: every change stays in memory.
const install = `
set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/up" "$1/work" "$1/root"
mount -t overlay overlay -o lowerdir=/,upperdir="$1/up",workdir="$1/work" "$1/root"
mount --bind "$2" "$1/root/mnt"
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
exec chroot "$1/root" /bin/sh -ec "$3"
`

const story = `
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
rm -rf /var/lib/attesto /var/lib/attesto-server # what an earlier try on this machine left
dpkg -i /mnt/attesto-agent_*.deb /mnt/attesto-server_*.deb
echo "== groups"; id -nG attesto
echo "== shell"; getent passwd attesto | cut -d: -f6,7
echo "== state"; stat -c '%U %a' /var/lib/attesto /var/lib/attesto-server /var/lib/attesto/report
apt-config dump | grep -c update-success-stamp
echo "== config"; stat -c '%a %U:%G' /etc/attesto/agent.yaml
attesto-agent --check-config --config /etc/attesto/agent.yaml
su -s /bin/sh attesto -c 'attesto-agent collect health'
attesto-agent doctor | head -n 3 || true
systemd-analyze verify /usr/lib/systemd/system/attesto-agent.service /usr/lib/systemd/system/attesto-server.service 2>&1 | grep -i attesto || true
su -s /bin/sh attesto-server -c 'attesto-server org add --kind provider --name P' >/tmp/org
echo "== org"; cat /tmp/org
echo "changed: true" >>/etc/attesto/agent.yaml
dpkg -i /mnt/attesto-agent_*.deb >/dev/null
echo "== kept"; tail -n 1 /etc/attesto/agent.yaml
dpkg -r attesto-agent >/dev/null
echo "== removed"; ls -d /var/lib/attesto
dpkg -P attesto-agent attesto-server
echo "== purged"; ls -d /var/lib/attesto /var/lib/attesto-server 2>&1 || true
`

func TestPackagesInstall(t *testing.T) {
	dist := build(t)
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Log("not root: built, but not installed; installing needs mount and chroot")
			return
		}
		t.Skip("not root: installing needs mount and chroot")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", install, "install", t.TempDir(), dist, story)
	b, err := cmd.CombinedOutput()
	out := string(b)
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	for after, want := range map[string]string{
		"attesto-agent is installed":  "attesto-agent enroll --server",
		"attesto-server is installed": "systemctl enable --now attesto-server",
		"== groups":                   "adm",
		"== shell":                    "/var/lib/attesto:/usr/sbin/nologin",
		"== state":                    "attesto 711",
		"== config":                   "640 root:attesto",
		"agent.yaml: no faults":       "health",
		"== org":                      "o_",
		"== kept":                     "changed: true",
		"== removed":                  "/var/lib/attesto",
		"is kept; it holds":           "== purged",
	} {
		_, rest, found := strings.Cut(out, after)
		if !found || !strings.Contains(rest, want) {
			t.Errorf("no %q after %q", want, after)
		}
	}
	if _, purged, _ := strings.Cut(out, "== purged"); !strings.Contains(purged, "cannot access '/var/lib/attesto'") {
		t.Errorf("the agent's state is left after purge:\n%s", purged)
	}
	if t.Failed() {
		t.Log(out)
	}
}

// build runs make packages and returns the folder with the four packages.
func build(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "make", "packages", "VERSION=v1.2.3-4-gabcdef")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make packages: %v\n%s", err, out)
	}
	dist := filepath.Join(root, "dist")
	for _, pattern := range []string{"attesto-agent_*.deb", "attesto-server_*.deb", "attesto-agent-*.rpm", "attesto-server-*.rpm"} {
		found, err := filepath.Glob(filepath.Join(dist, pattern))
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %v (%v)", pattern, found, err)
		}
		if strings.HasSuffix(pattern, ".rpm") {
			checkRPM(t, found[0])
		}
	}
	return dist
}

func checkRPM(t *testing.T, path string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "rpm", "-qp", "--nosignature", "--list", "--scripts", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", path, err, out)
	}
	for _, want := range []string{"/usr/bin/attesto-", "/usr/lib/systemd/system/attesto-", "/etc/attesto/", "useradd --system"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%s: no %s in it", path, want)
		}
	}
}
