//go:build linux

package software_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/software"
	"github.com/attesto/attesto/evidence"
)

// answers stands in for tools whose failures cannot be had from the real ones on demand.
type answers map[string]host.Result

func (a answers) run(_ context.Context, c host.Command) (host.Result, error) {
	for words, res := range a {
		if strings.Contains(c.Name+" "+strings.Join(c.Args, " "), words) {
			return res, nil
		}
	}
	return host.Result{}, fmt.Errorf("%s: %w", c.Name, host.ErrNoProgram)
}

const upToDate = "0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n"

func newDebian(t *testing.T, a answers) *machine {
	m := newMachine(t, lookAt)
	m.write("/var/lib/dpkg/status", kernelStanza+stanzas("openssl=3.0.15-1"))
	m.write("/var/lib/apt/lists/x_InRelease", securityHead)
	m.host.Run = a.run
	return m
}

func TestToolFails(t *testing.T) {
	const uris = "--print-uris"
	sources := host.Result{Stdout: []byte("'http://x/InRelease' x_InRelease 0 \n")}
	for name, c := range map[string]struct {
		answers answers
		says    string
	}{
		"absent":              {answers{}, "pending updates of dpkg packages: apt-get is not installed"},
		"an error code":       {answers{uris: sources, "dist-upgrade": {Exit: 100, Stderr: "E: Could not open lock\n"}}, "exit code 100: E: Could not open lock"},
		"too much output":     {answers{uris: sources, "dist-upgrade": {Cut: true}}, "printed more than"},
		"output that was cut": {answers{uris: sources, "dist-upgrade": {Stdout: []byte("Reading package lists...\n")}}, "no summary"},
		"killed":              {answers{uris: sources, "dist-upgrade": {Exit: -1}}, "exit code -1: without a word"},
		"policy fails":        {answers{uris: sources, "dist-upgrade": {Stdout: []byte(upToDate)}, "policy": {Exit: 100}}, "the archives of dpkg packages"},
	} {
		m := newDebian(t, c.answers)
		f, gaps, _ := m.look(nil)
		if !strings.Contains(gaps, c.says) {
			t.Errorf("%s: gaps %q, want %q", name, gaps, c.says)
		}
		if len(f.Packages) != 2 {
			t.Errorf("%s: what can be read is lost: %v", name, f.Packages)
		}
	}
}

func TestDnfFails(t *testing.T) {
	rpm := host.Result{Stdout: []byte("bash\t(none)\t5.1\t6.el9\tx86_64\t1\tRed Hat, Inc.\n")}
	repos := host.Result{Stdout: []byte("repo id   repo name\nbaseos    BaseOS\n")}
	none := host.Result{}
	for name, c := range map[string]struct {
		answers answers
		says    string
	}{
		"rpm fails":               {answers{"rpm -qa": {Exit: 1, Stderr: "error: cannot open Packages database"}}, "packages of rpm: rpm ended with exit code 1: error: cannot open"},
		"rpm's answer was cut":    {answers{"rpm -qa": {Stdout: []byte("bash\t(none)\t5")}}, "packages of rpm: rpm's answer"},
		"no dnf":                  {answers{"rpm -qa": rpm}, "pending updates of rpm packages: dnf is not installed"},
		"no repository":           {answers{"rpm -qa": rpm, "repolist": none}, "no enabled repository"},
		"check-update fails":      {answers{"rpm -qa": rpm, "repolist": repos, "check-update": {Exit: 1, Stderr: "Error: x"}}, "exit code 1: Error: x"},
		"100 without a name":      {answers{"rpm -qa": rpm, "repolist": repos, "check-update": {Exit: 100}}, "names none"},
		"updateinfo fails":        {answers{"rpm -qa": rpm, "repolist": repos, "check-update": none, "updateinfo": {Exit: 1}}, "pending updates of rpm packages: dnf ended"},
		"no advisories":           {answers{"rpm -qa": rpm, "repolist": repos, "check-update": none, "updateinfo": none}, "no enabled repository publishes advisories"},
		"needs-restarting fails":  {answers{"rpm -qa": rpm, "needs-restarting": {Exit: 3, Stderr: "x"}}, "needs-restarting: needs-restarting ended with exit code 3"},
		"needs-restarting, no -r": {answers{"rpm -qa": rpm, "needs-restarting": {Exit: 1, Stderr: "unknown option"}}, "exit code 1: unknown option"},
	} {
		m := newMachine(t, lookAt)
		m.write("/var/lib/rpm/rpmdb.sqlite", "x")
		m.write("/var/cache/dnf/baseos-0123456789abcdef/repodata/x-primary.xml.gz", "x")
		m.host.Run = c.answers.run
		if _, gaps, _ := m.look(nil); !strings.Contains(gaps, c.says) {
			t.Errorf("%s: gaps %q, want %q", name, gaps, c.says)
		}
	}
}

func TestNeedsRestarting(t *testing.T) {
	m := newMachine(t, lookAt)
	m.write("/var/lib/rpm/rpmdb.sqlite", "x")
	m.host.Run = answers{
		"rpm -qa":          {Stdout: []byte("kernel-core\t(none)\t6.1.0\t41-amd64\tx86_64\t1\tRed Hat, Inc.\n")},
		"needs-restarting": {Exit: 1, Stdout: []byte("Core libraries or services have been updated since boot-up:\n  * glibc\n  * systemd\n\nReboot is required to fully utilize these updates.\n")},
	}.run
	f, _, _ := m.look(nil)
	if f.Reboot.Needed != evidence.Yes || f.Reboot.Why[0] != "updated since boot: glibc, systemd" {
		t.Errorf("%+v", f.Reboot)
	}
}

// A tool that hangs ends the look at its deadline, and its goroutine with it.
func TestToolHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newDebian(t, nil)
		m.host.Run = func(ctx context.Context, _ host.Command) (host.Result, error) {
			<-ctx.Done()
			return host.Result{}, ctx.Err()
		}
		c, err := software.New(func(any) error { return nil }, m.host)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), software.Spec().Timeout)
		defer cancel()
		start := time.Now()
		l, err := c.Collect(ctx, nil)
		if took := time.Since(start); err != nil || took >= software.Spec().Timeout {
			t.Fatalf("took %v, %v", took, err)
		}
		if f := l.Facts.(evidence.Software); len(f.Packages) != 2 || len(l.Gaps) < 2 {
			t.Errorf("packages %v, gaps %v", f.Packages, l.Gaps)
		}
		stop, cancelled := context.WithCancel(t.Context())
		cancelled()
		if _, err := c.Collect(stop, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("stopped: %v", err)
		}
	})
}

func TestNoManager(t *testing.T) {
	m := newMachine(t, lookAt)
	m.host.Run = answers{}.run
	f, gaps, _ := m.look(nil)
	if len(f.Managers) != 0 || !strings.Contains(gaps, "no readable database") {
		t.Errorf("%+v, gaps %s", f.Managers, gaps)
	}
	if d := software.Spec().Detect(t.Context(), m.host); d.Useful || len(d.Missing) == 0 {
		t.Errorf("detect: %+v", d)
	}
}

func TestDamagedDatabase(t *testing.T) {
	m := newDebian(t, answers{})
	m.write("/var/lib/dpkg/status", "\x00\x00\x00\n")
	if f, gaps, _ := m.look(nil); len(f.Managers) != 0 || !strings.Contains(gaps, "packages of dpkg: dpkg's database: line 1") {
		t.Errorf("%+v, gaps %s", f.Managers, gaps)
	}
	m.write("/lib/apk/db/installed", "asdf\n")
	if _, gaps, _ := m.look(nil); !strings.Contains(gaps, "packages of apk") {
		t.Errorf("gaps %s", gaps)
	}
}

func TestApkHost(t *testing.T) {
	m := newMachine(t, lookAt)
	m.write("/etc/os-release", "ID=alpine\nVERSION_ID=3.22.1\nPRETTY_NAME=\"Alpine Linux v3.22\"\n")
	m.write("/lib/apk/db/installed", "P:nginx\nV:1.28.0-r1\nA:x86_64\n")
	m.host.Run = answers{"apk --no-network version": {Stdout: []byte("Installed:  Available:\nnginx-1.28.0-r1 < 1.28.1-r0\n")}}.run
	if _, gaps, _ := m.look(nil); !strings.Contains(gaps, "no index of apk's repositories") {
		t.Errorf("gaps %s", gaps)
	}
	m.write("/var/cache/apk/APKINDEX.0123.tar.gz", "x")
	f, _, _ := m.look(nil)
	same(t, "pending", update(f, "nginx"), evidence.Update{Manager: "apk", Name: "nginx", Installed: "1.28.0-r1", Candidate: "1.28.1-r0", Unsorted: true})
	same(t, "end of life", f.OS.EOL, "2027-05-01")
	for repositories, from := range map[string]string{
		"# mirrors\nhttps://dl-cdn.alpinelinux.org/alpine/v3.22/main\n@edge http://mirror.example/alpine/edge/community/\n": evidence.FromDistribution,
		"https://dl-cdn.alpinelinux.org/alpine/v3.22/main\nhttps://packages.example/nginx\n":                                "",
	} {
		m.write("/etc/apk/repositories", repositories)
		f, _, _ = m.look(nil)
		same(t, "products with "+repositories, f.Products, []evidence.Product{{Name: "nginx", Version: "1.28.0", From: from}})
	}
}

func TestManyPackages(t *testing.T) {
	var status, plan bytes.Buffer
	const installed, waiting = 40_000, 8_000
	status.WriteString(kernelStanza)
	fmt.Fprintf(&plan, "%d upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n", waiting)
	for i := range installed {
		fmt.Fprintf(&status, "Package: a-package-with-a-name-%d\nStatus: install ok installed\nArchitecture: all\nVersion: 1.0-%d\n\n", i, i)
	}
	for i := range waiting {
		source := "Debian:12/stable"
		if i%100 == 0 {
			source = "Debian-Security:12/stable-security"
		}
		fmt.Fprintf(&plan, "Inst a-package-with-a-name-%d [1.0-%d] (1.1-%d %s [all])\n", i, i, i, source)
	}
	m := newDebian(t, answers{"dist-upgrade": {Stdout: plan.Bytes()}, "policy": {}, "--print-uris": {Stdout: []byte("'http://x/InRelease' x_InRelease 0 \n")}})
	m.write("/var/lib/dpkg/status", status.String())
	f, gaps, _ := m.look(nil) // look itself checks that the facts fit
	security := 0
	for _, u := range f.Pending {
		if u.Security {
			security++
		}
	}
	if security != waiting/100 || f.Managers[0].Packages != installed+1 {
		t.Errorf("%d security updates, %d packages counted", security, f.Managers[0].Packages)
	}
	if !strings.Contains(gaps, "left out of the inventory") || !strings.Contains(gaps, "pending updates: ") {
		t.Errorf("gaps %s", gaps)
	}
}

func TestDamagedCursor(t *testing.T) {
	m := newDebian(t, answers{})
	for _, cursor := range []string{"{", "null", `{"v":2,"since":{}}`} {
		if _, gaps, _ := m.look([]byte(cursor)); !strings.Contains(gaps, "begin anew") {
			t.Errorf("%s: gaps %s", cursor, gaps)
		}
	}
}

func TestConfigKeysAreRefused(t *testing.T) {
	if _, err := software.New(func(any) error { return fmt.Errorf("unknown key") }, host.Real()); err == nil {
		t.Error("no error")
	}
}
