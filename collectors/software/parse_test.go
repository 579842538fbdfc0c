package software_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/attesto/attesto/collectors/software"
	"github.com/attesto/attesto/evidence"
)

func sample(t testing.TB, name string) *bytes.Reader {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b)
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestDpkgStatus(t *testing.T) {
	inv, err := software.ParseDpkgStatus(sample(t, "dpkg-status.txt"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "packages", inv.Packages, []software.Installed{
		{Name: "dpkg", Version: "1.21.22", Arch: "amd64", State: "installed"},
		{Name: "libc6:i386", Version: "2.36-9+deb12u10", Arch: "i386", State: "installed"},
		{Name: "curl", Version: "7.88.1-10+deb12u14", Arch: "amd64", State: "half-configured"},
		{Name: "man-db", Version: "2.11.2-2", Arch: "amd64", State: "triggers-pending"},
	})
	same(t, "broken", inv.Broken, []string{"curl", "man-db", "broken"})
	same(t, "gaps", inv.Gaps, []evidence.Gap(nil))
}

func TestDpkgStatusBad(t *testing.T) {
	for name, c := range map[string]struct{ in, says string }{
		"no field":             {"asdf\n\nyolo\n", "line 1"},
		"begins in the middle": {" a continuation\n", "continues nothing"},
		"binary":               {"\x00\x01\x02\n", "no field"},
	} {
		if _, err := software.ParseDpkgStatus(strings.NewReader(c.in)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	for name, in := range map[string]string{
		"no version":      "Package: a\nStatus: install ok installed\n",
		"no name":         "Status: install ok installed\nVersion: 1\n",
		"an odd status":   "Package: a\nStatus: installed\nVersion: 1\n",
		"an odd state":    "Package: a\nStatus: install ok upside-down\nVersion: 1\n",
		"an escape":       "Package: a\x1b[2J\nStatus: install ok installed\nVersion: 1\n",
		"cut in a record": "Package: b\nStatus: install ok installed\nVersion: 1\n\nPackage: a\nStatus: install ok inst",
	} {
		inv, err := software.ParseDpkgStatus(strings.NewReader(in))
		if err != nil || len(inv.Gaps) != 1 {
			t.Errorf("%s: %v, gaps %v: want one", name, err, inv.Gaps)
		}
	}
}

func TestDpkgStatusLongLine(t *testing.T) {
	in := "Package: a\nStatus: install ok installed\nDepends: " + strings.Repeat("x, ", 1<<20) + "\nVersion: 1\n"
	inv, err := software.ParseDpkgStatus(strings.NewReader(in))
	if err != nil || len(inv.Packages) != 1 || inv.Packages[0].Version != "1" {
		t.Errorf("a line of 3 MiB: %v, %v", inv.Packages, err)
	}
}

func TestAptUpgrade(t *testing.T) {
	up, err := software.ParseAptUpgrade(sample(t, "apt-upgrade.txt"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "updates", up, software.AptUpgrade{
		Updates: []software.AptUpdate{
			{Name: "tzdata", Installed: "2024a-0+deb12u1", Candidate: "2025b-0+deb12u1", Sources: []string{"Debian:12.11/stable-updates"}},
			{Name: "libssl3", Installed: "3.0.15-1~deb12u1", Candidate: "3.0.17-1~deb12u2", Sources: []string{"Debian:12.11/stable", "Debian-Security:12/stable-security"}},
			{Name: "docker-ce", Installed: "5:27.0.1-1~debian.12~bookworm", Candidate: "5:28.0.1-1~debian.12~bookworm", Sources: []string{"Docker CE:bookworm"}},
			{Name: "linux-image-amd64", Installed: "6.1.140-1", Candidate: "6.1.150-1", Sources: []string{"Debian-Security:12/stable-security"}},
		},
		Kept: []software.AptUpdate{{Name: "libheld1", Installed: "1.0-1", Candidate: "2.0-1"}},
	})
	up, err = software.ParseAptUpgrade(sample(t, "apt-upgrade-it.txt"))
	if err != nil || len(up.Updates) != 1 || up.Updates[0].Name != "openssl" {
		t.Errorf("in Italian: %+v, %v", up, err)
	}
}

func TestSources(t *testing.T) {
	for source, want := range map[string]string{
		"Debian-Security:12/stable-security":                      "security",
		"Debian-Security:10/oldstable":                            "security",
		"Debian:12.11/stable, Debian-Security:12/stable-security": "security",
		"Ubuntu:22.04/jammy-updates, Ubuntu:22.04/jammy-security": "security",
		"UbuntuESMApps:22.04/jammy-apps-updates":                  "security",
		"Debian:12.11/stable":                                     "sorted",
		"Ubuntu:22.04/jammy-updates":                              "sorted",
		"Debian Backports:stable-backports":                       "unsorted",
		"LP-PPA-ondrej-php:22.04/jammy":                           "unsorted",
		"Proxmox Debian Repository:stable":                        "unsorted",
		"":                                                        "unsorted",
	} {
		in := "1 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\nInst a [1] (2 " + source + " [all])\n"
		facts, _, err := explain(t, "apt-upgrade", []byte(in))
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		got := map[[2]bool]string{{true, false}: "security", {false, false}: "sorted", {false, true}: "unsorted"}[[2]bool{facts.Pending[0].Security, facts.Pending[0].Unsorted}]
		if got != want {
			t.Errorf("%q is %s, want %s", source, got, want)
		}
	}
}

func TestAptUpgradeBad(t *testing.T) {
	const none = "Calculating upgrade...\n0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n"
	if up, err := software.ParseAptUpgrade(strings.NewReader(none)); err != nil || len(up.Updates) != 0 {
		t.Errorf("nothing to do: %+v, %v", up, err)
	}
	for name, c := range map[string]struct{ in, says string }{
		"empty":               {"", "no summary"},
		"another tool's":      {"Listing...\n", "no summary"},
		"cut before the end":  {"2 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\nInst a [1] (2 Debian:12/stable [all])\n", "names 1"},
		"cut in a line":       {"1 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\nInst a [1] (2 Deb", "form"},
		"an error of apt":     {none + "E: dpkg was interrupted, you must manually run 'dpkg --configure -a'\n", "interrupted"},
		"more than is sane":   {"99999999999999999999 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n", "counts"},
		"names fewer as kept": {"The following packages have been kept back:\n  a\n0 upgraded, 0 newly installed, 0 to remove and 2 not upgraded.\n", "kept back"},
	} {
		if _, err := software.ParseAptUpgrade(strings.NewReader(c.in)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

func TestAptPolicy(t *testing.T) {
	p, err := software.ParseAptPolicy(sample(t, "apt-policy.txt"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "archives", len(p.Archives), 3)
	same(t, "an archive", p.Archives["https://packages.sury.org/php bookworm/main amd64 Packages"],
		software.Archive{Origin: "deb.sury.org", Label: "deb.sury.org", Suite: "bookworm"})
	same(t, "versions", p.Packages["openssl"].Versions, []string{"3.0.17-1~deb12u2", "3.0.16-1~deb12u1", "3.0.15-1~deb12u1"})
	same(t, "installed", p.Packages["mine"].Installed, "1.0")
}

func TestRelease(t *testing.T) {
	const in = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: Debian\nLabel: Debian-Security\nSuite: oldstable-security\n" +
		"Codename: bookworm-security\nDate: Sat, 21 Nov 2026 00:53:02 UTC\nValid-Until: Sat, 28 Nov 2026 00:53:02 UTC\nSHA256:\n e3b0 0 x\nLabel: no\n"
	r, err := software.ParseRelease(strings.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "release", r, software.Release{Origin: "Debian", Label: "Debian-Security", Suite: "oldstable-security", Codename: "bookworm-security",
		Date: time.Date(2026, 11, 21, 0, 53, 2, 0, time.UTC), ValidUntil: time.Date(2026, 11, 28, 0, 53, 2, 0, time.UTC)})
	same(t, "for security", r.Security(), true)
	for name, in := range map[string]string{"empty": "", "a web page": "<html>\n", "an odd date": "Suite: x\nDate: yesterday\n"} {
		if _, err := software.ParseRelease(strings.NewReader(in)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestRPM(t *testing.T) {
	inv, err := software.ParseRPM(sample(t, "rpm-qa.txt"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "packages", inv.Packages, []software.Installed{
		{Name: "bash", Version: "5.1.8-6.el9_1", Arch: "x86_64", At: 1675000000, Vendor: "Red Hat, Inc."},
		{Name: "dbus", Version: "1:1.12.20-7.el9_1", Arch: "x86_64", At: 1675000001, Vendor: "Red Hat, Inc."},
		{Name: "php82-php-common", Version: "8.2.10-1.el9.remi", Arch: "x86_64", At: 1675000003, Vendor: "Remi's RPM repository <https://rpms.remirepo.net/>"},
	})
	inv, err = software.ParseRPM(strings.NewReader("bash-5.1.8-6.el9_1.x86_64\ngpg-pubkey-fd431d51-4ae0493b\n"))
	if err != nil || len(inv.Packages) != 1 || inv.Packages[0].Version != "5.1.8-6.el9_1" {
		t.Errorf("plain rpm -qa: %+v, %v", inv, err)
	}
	if _, err := software.ParseRPM(strings.NewReader("bash\t(none)\t5.1")); err == nil {
		t.Error("a row that was cut: no error")
	}
}

func TestCheckUpdate(t *testing.T) {
	list, err := software.ParseCheckUpdate(sample(t, "dnf-check-update.txt"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "updates", list, []software.Available{
		{Name: "bash", Arch: "x86_64", Version: "5.1.8-6.el9_1", Repo: "baseos"},
		{Name: "dbus", Arch: "x86_64", Version: "1:1.12.20-7.el9_1", Repo: "baseos"},
		{Name: "a-package-with-a-name-that-is-longer-than-the-column", Arch: "noarch", Version: "2.0-1.el9", Repo: "epel"},
	})
	for name, in := range map[string]string{"cut": "bash.x86_64  5.1", "an error": "Error: no cache\n", "a row of two": "bash.x86_64  5.1-1\ndbus.x86_64 1-1 baseos\n"} {
		if _, err := software.ParseCheckUpdate(strings.NewReader(in)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestUpdateinfo(t *testing.T) {
	list, err := software.ParseUpdateinfo(sample(t, "dnf-updateinfo.txt"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "advisories", list, []software.Advisory{
		{ID: "RHSA-2023:0340", Type: "security", Severity: "Moderate", Name: "bash", Version: "5.1.8-6.el9_1", Arch: "x86_64"},
		{ID: "RHSA-2023:0335", Type: "security", Severity: "Moderate", Name: "dbus", Version: "1:1.12.20-7.el9_1", Arch: "x86_64"},
		{ID: "FEDORA-EPEL-2023-1", Type: "security", Severity: "Important", Name: "old", Version: "1.0-1.el9", Arch: "noarch", Installed: true},
		{ID: "FEDORA-2023-a1b2c3", Type: "enhancement", Name: "vim", Version: "2:9.0-1.fc38", Arch: "x86_64"},
	})
	list, err = software.ParseUpdateinfo(sample(t, "dnf5-advisory.txt"))
	if err != nil || len(list) != 2 || list[0] != (software.Advisory{ID: "FEDORA-2025-a4a5a2af34", Type: "security", Severity: "Important", Name: "openssl-libs", Version: "1:3.2.4-1.fc41", Arch: "x86_64"}) {
		t.Errorf("dnf5: %+v, %v", list, err)
	}
}

func TestApk(t *testing.T) {
	inv, err := software.ParseApkInstalled(sample(t, "apk-installed.txt"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "packages", inv.Packages, []software.Installed{{Name: "musl", Version: "1.2.4-r2", Arch: "x86_64"}, {Name: "busybox", Version: "1.36.1-r15", Arch: "x86_64"}})
	same(t, "broken", inv.Broken, []string{"busybox"})
	list, err := software.ParseApkVersion(sample(t, "apk-version.txt"))
	if err != nil || len(list) != 2 || list[1].Name != "libcrypto3" || list[1].Installed != "3.1.4-r1" || list[1].Candidate != "3.1.8-r0" {
		t.Errorf("apk version: %+v, %v", list, err)
	}
	if _, err := software.ParseApkInstalled(strings.NewReader("asdf\n")); err == nil {
		t.Error("no database: no error")
	}
}

func TestOSRelease(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want software.OS
	}{
		"Debian":        {"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n", software.OS{ID: "debian", Version: "12", Name: "Debian GNU/Linux 12 (bookworm)"}},
		"single quotes": {"ID='rocky'\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID='9.4'\nNAME=Rocky\n", software.OS{ID: "rocky", Version: "9.4", Name: "Rocky 9.4", Like: []string{"rhel", "centos", "fedora"}}},
		"an escape":     {"# x\n\nID=x\nPRETTY_NAME=\"a \\\"b\\\" \\$c\"\n", software.OS{ID: "x", Name: `a "b" $c`}},
	} {
		got, err := software.ParseOSRelease(strings.NewReader(c.in))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		same(t, name, got, c.want)
	}
	for _, in := range []string{"", "NAME=x\n", "garbage\n"} {
		if _, err := software.ParseOSRelease(strings.NewReader(in)); err == nil {
			t.Errorf("%q: no error", in)
		}
	}
}

func TestMaps(t *testing.T) {
	const in = `55d0c0a00000-55d0c0a10000 r--p 00000000 fe:01 1 /usr/sbin/sshd
7f0000000000-7f0000001000 r-xp 00000000 fe:01 1234                       /usr/lib/x86_64-linux-gnu/libcrypto.so.3 (deleted)
7f0000001000-7f0000002000 r--p 00000000 fe:01 1235                       /usr/lib/locale/locale-archive (deleted)
7f0000002000-7f0000003000 rw-s 00000000 00:01 2050                       /dev/zero (deleted)
7f0000003000-7f0000004000 r-xp 00000000 00:01 2051                       /memfd:jit (deleted)
7f0000004000-7f0000005000 r-xp 00000000 fe:01 99                         /tmp/x.so (deleted)
7f0000005000-7f0000006000 r-xp 00000000 fe:01 99                         /usr/lib/libz.so.1.dpkg-new (deleted)
`
	got, err := software.ParseMaps(strings.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "stale", got, []string{"libcrypto.so.3", "libz.so.1"})
}

func TestProStatus(t *testing.T) {
	at := time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC)
	const form = `{"attached": %s, "services": [{"name": "esm-apps", "status": "enabled"}, {"name": "esm-infra", "status": "%s"}]}`
	for _, c := range []struct {
		attached, status string
		want             bool
	}{{"true", "enabled", true}, {"true", "disabled", false}, {"false", "enabled", false}} {
		if got, err := software.ParseProStatus(fmt.Appendf(nil, form, c.attached, c.status), at); err != nil || got.Infra != c.want {
			t.Errorf("attached %s, esm-infra %s: %v, %v", c.attached, c.status, got, err)
		}
	}
	ended := []byte(`{"attached": true, "expires": "2026-01-01T00:00:00+00:00", "services": [{"name": "esm-infra", "status": "enabled"}]}`)
	if got, err := software.ParseProStatus(ended, at); err != nil || got.Attached {
		t.Errorf("a subscription that has ended: %+v, %v", got, err)
	}
	for _, bad := range []string{"{", "[]", `{"services":[]}`} {
		if _, err := software.ParseProStatus([]byte(bad), at); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}
