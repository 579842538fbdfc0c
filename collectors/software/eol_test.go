//go:build linux

package software_test

import (
	"os"
	"strings"
	"testing"

	"github.com/attesto/attesto/collectors/software"
	"github.com/attesto/attesto/evidence"
)

func TestLifeCycleData(t *testing.T) {
	b, err := os.ReadFile("eol.yaml")
	if err != nil {
		t.Fatal(err)
	}
	l, err := software.ParseLifeCycles(b)
	if err != nil {
		t.Fatal(err)
	}
	for product, releases := range l.Products {
		if len(releases) == 0 {
			t.Errorf("%s has no release", product)
		}
		for name, r := range releases {
			if r.Regular != "" && r.EOL != "open" && r.Regular > r.EOL || r.Extended != "" && r.Extended < r.EOL && r.EOL != "open" {
				t.Errorf("%s %s: days are not in order: %+v", product, name, r)
			}
		}
	}
	for _, bad := range []string{"", "source: x\ndate: 2026-08-22\nproducts: {a: {\"1\": {}}}", "source: x\ndate: 2026-08-22\nproducts: {a: {\"1\": {eol: soon}}}", "source: x\ndate: then\n"} {
		if _, err := software.ParseLifeCycles([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

// The days are those that the distributions announce: Debian's LTS, Ubuntu's
// standard support, Red Hat's maintenance support.
func TestEndsOfLife(t *testing.T) {
	for release, want := range map[string]evidence.OSRelease{
		"ID=debian\nVERSION_ID=12\nNAME=D":              {EOL: "2028-06-30", RegularEOL: "2026-07-11"},
		"ID=debian\nVERSION_ID=13\nNAME=D":              {EOL: "2030-06-30", RegularEOL: "2028-08-09"},
		"ID=ubuntu\nVERSION_ID=20.04\nNAME=U":           {EOL: "2025-05-31"},
		"ID=ubuntu\nVERSION_ID=24.04\nNAME=U":           {EOL: "2029-05-31"},
		"ID=rhel\nVERSION_ID=8.10\nNAME=R":              {EOL: "2029-05-31"},
		"ID=rocky\nVERSION_ID=9.4\nNAME=R":              {EOL: "2032-05-31"},
		"ID=centos\nVERSION_ID=8\nNAME='CentOS Linux'":  {EOL: "2021-12-31"},
		"ID=centos\nVERSION_ID=8\nNAME='CentOS Stream'": {EOL: "2024-05-31"},
		"ID=ol\nVERSION_ID=8.9\nNAME=O":                 {EOL: "2029-07-31"},
		"ID=opensuse-leap\nVERSION_ID=15.6\nNAME=S":     {EOL: "2026-04-30"},
		"ID=alpine\nVERSION_ID=3.22.1\nNAME=A":          {EOL: "2027-05-01"},
		"ID=ol\nVERSION_ID=10.0\nNAME=O":                {}, // supported, no day in the data
		"ID=debian\nNAME=D":                             {}, // testing
		"ID=unheardof\nVERSION_ID=1\nNAME=U":            {},
	} {
		facts, look, err := explain(t, "os-release", []byte(release))
		if err != nil {
			t.Fatal(err)
		}
		if facts.OS.EOL != want.EOL || facts.OS.RegularEOL != want.RegularEOL || (facts.OS.EOLFrom == "") != (want.EOL == "") {
			t.Errorf("%q: %+v, want %+v", release, facts.OS, want)
		}
		if (len(look.Gaps) > 0) != (want.EOL == "") {
			t.Errorf("%q: gaps %v", release, look.Gaps)
		}
	}
}

func TestUbuntuPro(t *testing.T) {
	m := newMachine(t, lookAt)
	m.host.Run = answers{}.run
	m.write("/etc/os-release", "ID=ubuntu\nVERSION_ID=\"20.04\"\nPRETTY_NAME=\"Ubuntu 20.04.6 LTS\"\n")
	f, _, _ := m.look(nil)
	same(t, "without Pro", f.OS.EOL, "2025-05-31")
	m.write("/var/lib/ubuntu-advantage/status.json", `{"attached": true, "services": [{"name": "esm-infra", "status": "enabled"}]}`)
	f, _, _ = m.look(nil)
	if f.OS.EOL != "2030-04-02" || f.OS.RegularEOL != "2025-05-31" || !strings.Contains(f.OS.EOLFrom, "Ubuntu Pro") {
		t.Errorf("with Pro: %+v", f.OS)
	}
}

func TestProducts(t *testing.T) {
	m := newDebian(t, nil)
	policy := `Package files:
 500 http://d stable/main amd64 Packages
     release v=12.11,o=Debian,a=stable,n=bookworm,l=Debian,c=main,b=amd64
 500 https://s bookworm/main amd64 Packages
     release o=deb.sury.org,a=bookworm,n=bookworm,l=deb.sury.org,c=main,b=amd64
Pinned packages:
`
	of := func(name, version, archive string) {
		policy += name + ":\n  Installed: " + version + "\n  Candidate: " + version + "\n  Version table:\n *** " + version + " 500\n"
		if archive != "" {
			policy += "        500 " + archive + "\n"
		}
		policy += "        100 /var/lib/dpkg/status\n"
	}
	const debian, sury = "http://d stable/main amd64 Packages", "https://s bookworm/main amd64 Packages"
	var installed []string
	for _, p := range [][3]string{
		{"postfix", "3.7.11-0+deb12u1", debian}, {"php7.4-common", "1:7.4.33-15+0~20240606", sury}, {"php-common", "2:93", debian},
		{"php9.9-common", "9.9.1-1", sury}, {"nginx", "1.22.1-9+deb12u2", debian}, {"nginx-common", "1.22.1-9+deb12u2", debian},
		{"mariadb-server", "1:10.5.29+maria~deb12", ""}, {"openssh-server", "1:9.2p1-2", debian}, {"pve-manager", "8.4.1", debian},
		{"psa", "18.0.99-v.debian.12", ""}, {"apache2", "2.4.62-1", sury}, {"clamav", "0.97.8", ""},
	} {
		installed = append(installed, p[0]+"="+p[1])
		of(p[0], p[1], p[2])
	}
	m.host.Run = answers{"policy": {Stdout: []byte(policy)}, "dist-upgrade": {Stdout: []byte(upToDate)}}.run
	m.write("/var/lib/dpkg/status", kernelStanza+stanzas(installed...))
	f, gaps, _ := m.look(nil)
	const own, producer = evidence.FromDistribution, evidence.FromProducer
	same(t, "products", f.Products, []evidence.Product{
		{Name: "apache-http-server", Version: "2.4.62", From: producer, Open: true},
		{Name: "clamav", Version: "0.97.8", From: producer},
		{Name: "mariadb", Version: "10.5.29", From: producer, EOL: "2025-06-24"},
		{Name: "nginx", Version: "1.22.1", From: own},
		{Name: "openssh", Version: "9.2p1", From: own},
		{Name: "php", Version: "7.4.33", From: producer, EOL: "2022-11-28"},
		{Name: "php", Version: "9.9.1", From: producer, Open: true}, // newer than the data
		{Name: "plesk", Version: "18.0.99", From: producer, Open: true},
		{Name: "postfix", Version: "3.7.11", From: own},
		{Name: "proxmox-ve", Version: "8.4.1", From: producer, EOL: "2026-08-31"},
	})
	if !strings.Contains(gaps, "end of life of clamav 0.97.8") || strings.Contains(gaps, "end of life of php") {
		t.Errorf("gaps %s", gaps)
	}
	m.host.Run = answers{"policy": {Stdout: []byte(strings.ReplaceAll(policy, "o=Debian,", "o=Local,"))}}.run
	f, _, _ = m.look(nil)
	for _, p := range f.Products {
		if p.From != "" && p.Name != "plesk" && p.Name != "proxmox-ve" {
			t.Errorf("without the distribution's lists %s is from %q", p.Name, p.From)
		}
	}
}
