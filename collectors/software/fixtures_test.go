package software_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/software"
	"github.com/attesto/attesto/evidence"
)

// explain reads data through the format of the same name, as attesto-agent
// explain does, and holds the facts to their rules.
func explain(t *testing.T, format string, data []byte) (evidence.Software, host.Look, error) {
	t.Helper()
	for _, f := range software.Spec().Formats {
		if f.Name != format {
			continue
		}
		look, err := f.Parse(data, time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC))
		if err != nil {
			return evidence.Software{}, look, err
		}
		facts, ok := look.Facts.(evidence.Software)
		if !ok {
			t.Fatalf("%s: facts are %T", format, look.Facts)
		}
		if err := facts.Validate(); err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		return facts, look, nil
	}
	t.Fatalf("no format %s", format)
	return evidence.Software{}, host.Look{}, nil
}

func TestFormats(t *testing.T) {
	for format, file := range map[string]string{
		"dpkg-status": "dpkg-status.txt", "apk-installed": "apk-installed.txt", "rpm-qa": "rpm-qa.txt", "apt-upgrade": "apt-upgrade.txt",
		"dnf-check-update": "dnf-check-update.txt", "dnf-updateinfo": "dnf-updateinfo.txt", "apk-version": "apk-version.txt",
	} {
		b, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		facts, look, err := explain(t, format, b)
		if err != nil {
			t.Errorf("%s: %v", format, err)
			continue
		}
		if len(look.Gaps) == 0 || facts.Reboot.Needed != evidence.Unknown || facts.Managers[0].Refreshed != nil {
			t.Errorf("%s: a capture alone must not prove that all is current: gaps %v", format, look.Gaps)
		}
		if len(facts.Packages)+len(facts.Pending) == 0 {
			t.Errorf("%s: nothing read", format)
		}
	}
}

func TestFixtures(t *testing.T) {
	dir := os.Getenv("ATTESTO_FIXTURES")
	if dir == "" {
		t.Skip("ATTESTO_FIXTURES names no folder")
	}
	dir = filepath.Join(dir, "05-software")
	read := func(t *testing.T, name string) []byte {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	t.Run("apt", func(t *testing.T) { aptFixtures(t, dir) })
	t.Run("dpkg", func(t *testing.T) {
		facts, _, err := explain(t, "dpkg-status", read(t, "apt/bullseye-half-configured/dpkg-status"))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "broken", facts.Managers[0].BrokenNames, []string{"curl"})
		installed := strings.Count(string(read(t, "apt/bullseye-uptodate/dpkg-status")), "\nStatus: install ok installed\n")
		facts, _, err = explain(t, "dpkg-status", read(t, "apt/bullseye-uptodate/dpkg-status"))
		if err != nil || facts.Managers[0].Broken != 0 || len(facts.Packages) != installed {
			t.Errorf("up to date: %d broken, %d packages of %d, %v", facts.Managers[0].Broken, len(facts.Packages), installed, err)
		}
		facts, _, err = explain(t, "dpkg-status", read(t, "scalibr/dpkg_statusfield"))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "states", facts.Managers[0].BrokenNames, []string{"wantdeinstall_installed", "wantinstall_unpacked", "wantinstall_halfinstalled"})
		if _, _, err = explain(t, "dpkg-status", read(t, "scalibr/dpkg_invalid")); err == nil {
			t.Error("what is no database: no error")
		}
		_, look, err := explain(t, "dpkg-status", read(t, "scalibr/dpkg_noversion"))
		if err != nil || look.Gaps[0].What != "package acl" {
			t.Errorf("no version: %v, %v", look.Gaps, err)
		}
		facts, _, err = explain(t, "dpkg-status", read(t, "syft-dpkg/deinstall"))
		if err != nil || strings.Contains(string(must(json.Marshal(facts.Packages))), "linux-image-6.8.0-1029-aws") {
			t.Errorf("deinstalled packages: %v, %v", facts.Packages, err)
		}
	})
	t.Run("apk", func(t *testing.T) {
		data := read(t, "trivy/apk")
		facts, look, err := explain(t, "apk-installed", data)
		named := bytes.Count(data, []byte("\nP:")) // one of them has no version
		if err != nil || len(facts.Packages) != named-1 || !strings.Contains(look.Gaps[0].Why, "invalidPackageWithoutAVersion") {
			t.Errorf("%d packages of %d, %v, %v", len(facts.Packages), named, look.Gaps, err)
		}
	})
	t.Run("dnf", func(t *testing.T) {
		data := read(t, "dnf/updateinfo.rhel9.txt")
		facts, _, err := explain(t, "dnf-updateinfo", data)
		names := map[string]bool{}
		for line := range strings.Lines(string(data)) {
			if f := strings.Fields(line); len(f) == 3 && strings.HasSuffix(f[1], "/Sec.") {
				names[f[2][:strings.LastIndexByte(f[2][:strings.LastIndexByte(f[2], '-')], '-')]] = true
			}
		}
		if err != nil || len(facts.Pending) != len(names) || len(names) == 0 {
			t.Errorf("%d pending, want %d, %v", len(facts.Pending), len(names), err)
		}
	})
	t.Run("os-release", func(t *testing.T) {
		facts, _, err := explain(t, "os-release", read(t, "apt/bullseye-uptodate/os-release"))
		if err != nil || facts.OS.EOL != "2026-08-31" || facts.OS.RegularEOL != "2024-08-14" {
			t.Errorf("Debian 11: %+v, %v", facts.OS, err)
		}
		facts, _, err = explain(t, "os-release", read(t, "jc/generic_os-release-ubuntu"))
		if err != nil || facts.OS.ID != "ubuntu" || facts.OS.EOL == "" {
			t.Errorf("Ubuntu: %+v, %v", facts.OS, err)
		}
	})
	t.Run("pro", func(t *testing.T) {
		for name, wantErr := range map[string]bool{"ubuntu_esm_disabled.json": false, "ubuntu_fips_only.json": false, "ubuntu_esm_malformed.json": true} {
			if p, err := software.ParseProStatus(read(t, "ubuntu-pro/"+name), time.Now()); p.Infra || (err != nil) != wantErr {
				t.Errorf("%s: %v, %v", name, p, err)
			}
		}
	})
}

func aptFixtures(t *testing.T, dir string) {
	runs, err := filepath.Glob(filepath.Join(dir, "apt/*/expected.json"))
	if err != nil || len(runs) == 0 {
		t.Fatalf("no runs: %v", err)
	}
	for _, run := range runs {
		b, err := os.ReadFile(run)
		if err != nil {
			t.Fatal(err)
		}
		var want struct {
			Upgradable []struct {
				Package, Installed, Candidate string
				Security                      bool
			}
		}
		if err := json.Unmarshal(b, &want); err != nil {
			t.Fatal(err)
		}
		expected := map[string]string{}
		for _, u := range want.Upgradable {
			expected[u.Package] = u.Installed + " " + u.Candidate + map[bool]string{true: " security"}[u.Security]
		}
		outputs, err := filepath.Glob(filepath.Join(filepath.Dir(run), "*-apt-get-s-*upgrade.stdout"))
		if err != nil || len(outputs) == 0 {
			t.Fatalf("%s: no outputs: %v", run, err)
		}
		for _, output := range outputs {
			data, err := os.ReadFile(output)
			if err != nil {
				t.Fatal(err)
			}
			facts, look, err := explain(t, "apt-upgrade", data)
			if err != nil || len(look.Gaps) == 0 {
				t.Errorf("%s: %v, gaps %v", output, err, look.Gaps)
			}
			got := map[string]string{}
			for _, u := range facts.Pending {
				got[u.Name] = u.Installed + " " + u.Candidate + map[bool]string{true: " security"}[u.Security]
			}
			same(t, output, got, expected)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
