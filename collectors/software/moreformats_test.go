//go:build linux

package software_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/host/hosttest"
	"github.com/attesto/attesto/collectors/software"
	"github.com/attesto/attesto/evidence"
)

// told is what matters of facts, in short.
func told(f evidence.Software) string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if f.OS.ID != "" {
		add("os %s %s eol %s", f.OS.ID, f.OS.Version, f.OS.EOL)
	}
	if k := f.Kernel; k.Effective != "" || k.Patched {
		add("kernel %s %v", k.Effective, k.Patched)
	}
	for _, m := range f.Managers {
		add("%s broken %v", m.Name, m.BrokenNames)
		if m.Altered != nil {
			add("altered %d", *m.Altered)
		}
	}
	for _, p := range f.Packages {
		add("%s=%s", p.Name, p.Version)
	}
	for _, u := range f.Pending {
		add("%s %s->%s security %v since %v", u.Name, u.Installed, u.Candidate, u.Security, u.Since)
	}
	for _, p := range f.Products {
		add("%s %s eol %s", p.Name, p.Version, p.EOL)
	}
	if f.Reboot.Needed != evidence.Unknown {
		add("reboot %s %v", f.Reboot.Needed, f.Reboot.Why)
	}
	if f.Pro != nil {
		add("pro %v %v %v", f.Pro.Attached, f.Pro.Infra, f.Pro.Apps)
	}
	if f.Web != nil {
		for _, s := range f.Web.Sites {
			add("site %s %s %v %v", s.Version, s.Locale, s.Plugins, s.Themes)
		}
	}
	return strings.Join(out, "; ")
}

const (
	kernelWaits = "NEEDRESTART-VER: 3.6\nNEEDRESTART-KCUR: 6.1.0-40-amd64\nNEEDRESTART-KEXP: 6.1.0-41-amd64\nNEEDRESTART-KSTA: 3\nNEEDRESTART-SVC: ssh.service\n"
	patches     = `<?xml version='1.0'?><stream><message type="info">Loading repository data...</message><update-status version="0.6"><update-list>
<update name="SUSE-2026-1" edition="1" arch="noarch" kind="patch" status="needed" category="security" severity="important"><summary>x</summary><source url="http://x" alias="updates"/><issue-date time_t="1793000000"/></update>
<update name="SUSE-2026-2" edition="1" kind="patch" status="needed" category="recommended" severity="moderate"/>
<update name="SUSE-2025-9" edition="1" kind="patch" status="applied" category="security" severity="low"/>
</update-list></update-status></stream>`
	php = `{"schema_version":"1.2.1","generated_at":"2026-11-20T00:00:00+00:00","result":{"name":"php","releases":[{"name":"8.9","isEol":false,"eolFrom":"2031-12-31"},{"name":"8.1","isEol":true,"eolFrom":null},{"name":"9","isEol":false,"eolFrom":null}]}}`
)

func TestMoreFormats(t *testing.T) {
	for _, tt := range []struct{ name, format, text, want string }{
		{"a kernel waits", "needrestart", kernelWaits, "reboot yes [kernel 6.1.0-41-amd64 is installed, 6.1.0-40-amd64 runs ssh.service still runs replaced files]"},
		{"a build of the same kernel waits", "needrestart", "NEEDRESTART-VER: 3.4\nNEEDRESTART-KCUR: 5.10.0-8\nNEEDRESTART-KSTA: 2\n", "reboot yes [a newer build of kernel 5.10.0-8 is installed]"},
		{"microcode waits", "needrestart", "NEEDRESTART-VER: 3.6\nNEEDRESTART-KSTA: 1\nNEEDRESTART-UCSTA: 2\n", "reboot yes [newer microcode of the processor is installed]"},
		{"nothing waits", "needrestart", "NEEDRESTART-VER: 3.6\nNEEDRESTART-KSTA: 1\nNEEDRESTART-UCSTA: 1\n", "reboot no []"},
		{"it cannot tell", "needrestart", "NEEDRESTART-VER: 3.6\nNEEDRESTART-KSTA: 0\n", ""},
		{"a container", "needrestart", "NEEDRESTART-VER: 3.6\nNEEDRESTART-KSTA: 1\nNEEDRESTART-CONT: LXC web\n", "reboot yes [1 containers or sessions run replaced files]"},
		{"cut", "needrestart", "", "error"},
		{"not a state", "needrestart", "NEEDRESTART-VER: 3.6\nNEEDRESTART-KSTA: tre\n", "error"},

		{"core libraries", "needs-restarting", "Core libraries or services have been updated since boot-up:\n  * glibc\n\nReboot is required to fully utilize these updates.\n", "reboot yes [updated since boot: glibc]"},
		{"no reboot", "needs-restarting", "No core libraries or services have been updated since boot-up.\nReboot should not be necessary.\n", "reboot no []"},
		{"programs", "needs-restarting", "812 : /usr/sbin/sshd -D\n", "reboot yes [programs run replaced files]"},
		{"nothing said", "needs-restarting", "", ""},
		{"in Italian", "needs-restarting", "È necessario riavviare.\n", "error"},

		{"half configured", "dpkg-audit", "The following packages are only half configured:\n curl                 command line tool\n libfoo:i386\n", "dpkg broken [curl libfoo:i386]"},
		{"half configured, in Italian", "dpkg-audit", "I seguenti pacchetti sono solo parzialmente configurati:\n curl   strumento\n", "dpkg broken [curl]"},
		{"in order", "dpkg-audit", "", "dpkg broken []"},
		{"of another command", "dpkg-audit", "bash: dpkg: command not found\n", "error"},

		{"changed program", "dpkg-verify", "??5?????? c /etc/ssh/sshd_config\n??5??????   /usr/bin/ls\nmissing     /usr/share/doc/x\nmissing     /usr/sbin/y\n", "dpkg broken []; altered 2"},
		{"as installed", "dpkg-verify", "", "dpkg broken []; altered 0"},
		{"rpm", "rpm-verify", "S.5....T.  c /etc/hosts\n.......T.    /usr/lib/x\nS.5....T.    /usr/bin/ps\nmissing      /usr/bin/w\nUnsatisfied dependencies for a-1: b\n", "rpm broken []; altered 2"},
		{"older rpm", "rpm-verify", "S.5....T    /usr/bin/ps\n", "rpm broken []; altered 1"},
		{"not permitted", "rpm-verify", "rpm: permesso negato\n", "error"},

		{"dpkg -l", "dpkg-list", "Desired=Unknown\n||/ Name  Version Architecture Description\n+++-=====\nii  acl  2.2-3  amd64  Access\nrc  old  1-1  amd64  gone\niF  curl  7-1  amd64  half\nii  libc6:i386  2.36  i386  C\nii  dpkg  1.21  amd64  x\n", "dpkg broken [curl]; acl=2.2-3; curl=7-1; dpkg=1.21; libc6:i386=2.36"},
		{"apt list", "apt-list", "Listing...\ncurl/stable-security 7.74.0-2 amd64 [upgradable from: 7.74.0-1]\nvim/stable 9.1 amd64 [aggiornabile da: 9.0]\n", "dpkg broken []; curl 7.74.0-1->7.74.0-2 security true since <nil>; vim 9.0->9.1 security false since <nil>"},
		{"apt policy", "apt-policy", "openssl:\n  Installed: 1.1.1w-1\n  Candidate: 1.1.1w-2\n  Version table:\n     1.1.1w-2 500\n        500 http://x/debian-security bullseye-security/main amd64 Packages\n *** 1.1.1w-1 500\n        500 http://x/debian bullseye/main amd64 Packages\n", "dpkg broken []; openssl 1.1.1w-1->1.1.1w-2 security true since <nil>"},
		{"rpm -qai", "rpm-qai", "Name        : make\nEpoch       : 1\nVersion     : 3.82\nRelease     : 24.el7\nArchitecture: x86_64\nDescription :\n Name : not this\nName        : gpg-pubkey\nVersion     : 1\nRelease     : 2\n", "rpm broken []; make=1:3.82-24.el7"},
		{"lsb", "lsb-release", "Distributor ID:\tUbuntu\nDescription:\tUbuntu 16.04.6 LTS\nRelease:\t16.04\n", "os ubuntu 16.04 eol 2021-04-02"},

		{"zypper", "zypper-patches", patches, "rpm broken []; SUSE-2026-1 ->1 security true since 2026-10-26 07:33:20 +0000 UTC; SUSE-2026-2 ->1 security false since <nil>"},
		{"zypper, nothing", "zypper-patches", `<?xml version="1.0"?><stream><update-status version="0.6"><update-list></update-list></update-status></stream>`, "rpm broken []"},
		{"zypper failed", "zypper-patches", `<?xml version="1.0"?><stream><message type="error">System management is locked</message></stream>`, "error"},
		{"zypper cut", "zypper-patches", patches[:400], "error"},
		{"not XML", "zypper-patches", "Nessun aggiornamento trovato.\n", "error"},

		{"KernelCare", "kcarectl", "3.10.0-1160.118.1.el7.x86_64\n", "kernel 3.10.0-1160.118.1.el7.x86_64 false"},
		{"KernelCare, all it says", "kcarectl", "kpatch-state: patch is applied\nkpatch-for: Linux version 2.6.32-279.14.1.el6.x86_64 (mock)\nkpatch-description: 3-: 2.6.32-279.22.1.el6\n", "kernel 2.6.32-279.22.1.el6 false"},
		{"KernelCare without a licence", "kcarectl", "No valid key\n", "error"},
		{"livepatch", "livepatch-status", `{"Status":[{"Kernel":"5.15.0-100.110-generic","Running":true,"Livepatch":{"CheckState":"checked","State":"applied","Version":"103.1"}}]}`, "kernel  true"},
		{"livepatch that failed", "livepatch-status", `{"Status":[{"Kernel":"5.15.0","Running":true,"Livepatch":{"CheckState":"checked","State":"apply-failed"}}]}`, ""},
		{"livepatch without a kernel", "livepatch-status", `{"Status":null}`, "error"},
		{"pro", "pro-status", `{"attached":true,"expires":"9999-12-31T00:00:00+00:00","services":[{"name":"esm-infra","status":"enabled"},{"name":"esm-apps","status":"disabled"}]}`, "os ubuntu  eol ; pro true true false"},

		{"plesk", "plesk-version", "Product version: Plesk Obsidian 18.0.62 Update #2\nOS version: Debian 12\n", "plesk 18.0.62.2 eol 2024-09-17"},
		{"plesk's file", "plesk-version", "18.0.34 Ubuntu 20.04 1800210330.13\n", "plesk 18.0.34 eol "},
		{"not plesk", "plesk-version", "bash: plesk: programma non trovato\n", "error"},
		{"php", "php-version", "PHP 8.1.2-1ubuntu2.14 (cli) (built: Aug 18 2023 11:41:11) (NTS)\nCopyright (c) The PHP Group\n", "php 8.1.2 eol 2025-12-31"},
		{"not php", "php-version", "php: command not found\n", "error"},
		{"ends of life", "endoflife", php, "php 8.1 eol 2026-11-20; php 8.9 eol 2031-12-31; php 9 eol "},
		{"ends of life of the older form", "endoflife", `[{"cycle":"8.3","eol":"2027-12-31"}]`, "error"},
		{"a release without an end", "endoflife", `{"generated_at":"2026-11-20T00:00:00Z","result":{"name":"x","releases":[{"name":"1"}]}}`, "error"},

		{"site", "wordpress-version", versionPHP, "site 6.8.3 it_IT [] []"},
		{"plugin", "wordpress-plugin", "<?php /*\nPlugin Name: A\nVersion: 1.2\n*/", "site unknown  [{A 1.2}] []"},
		{"theme", "wordpress-theme", "/*\nTheme Name: B\n*/", "site unknown  [] [{B }]"},
		{"no theme", "wordpress-theme", "body {}", "error"},
	} {
		t.Run(tt.format+" "+tt.name, func(t *testing.T) {
			f, look, err := explain(t, tt.format, []byte(tt.text))
			got := told(f)
			if err != nil {
				got = "error"
			} else if len(look.Gaps) == 0 {
				t.Error("a capture alone must leave a gap")
			}
			if got != tt.want {
				t.Errorf("%s\nwant %s (%v)", got, tt.want, err)
			}
		})
	}
}

func TestNeedrestartIsAsked(t *testing.T) {
	m := newDebian(t, answers{"needrestart -b -r l": {Stdout: []byte(kernelWaits)}})
	if f, _, _ := m.look(nil); f.Reboot.Needed != evidence.Yes || !strings.Contains(strings.Join(f.Reboot.Why, " "), "ssh.service") {
		t.Errorf("%+v", f.Reboot)
	}
	m.host.Run = answers{"needrestart": {Exit: 1, Stderr: "perl: errore"}}.run
	if _, gaps, _ := m.look(nil); !strings.Contains(gaps, "needrestart: needrestart ended with exit code 1") {
		t.Errorf("gaps %s", gaps)
	}
}

// The real needrestart, on this host: its answer is understood, whatever it is.
func TestRealNeedrestart(t *testing.T) {
	hosttest.NeedTool(t, "needrestart")
	res, err := host.Exec(t.Context(), host.Command{Name: "needrestart", Args: []string{"-b", "-r", "l"}})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := software.ParseNeedrestart(res.Stdout); err != nil || n.Running == "" {
		t.Errorf("%+v, %v of %s", n, err, res.Stdout)
	}
}

// A kernel that live patches bring up to the newest one installed needs no restart.
func TestLivePatches(t *testing.T) {
	m := newDebian(t, nil)
	m.write("/var/lib/dpkg/status", strings.ReplaceAll(kernelStanza, "6.1.0-41-amd64", "6.1.0-42-amd64"))
	for name, tt := range map[string]struct {
		answers answers
		want    string
	}{
		"none":              {answers{}, evidence.Yes},
		"current":           {answers{"kcarectl --uname": {Stdout: []byte("6.1.0-42-amd64\n")}}, evidence.No},
		"behind":            {answers{"kcarectl --uname": {Stdout: []byte("6.1.0-40-amd64\n")}}, evidence.Yes},
		"livepatch":         {answers{"canonical-livepatch": {Stdout: []byte(`{"Status":[{"Kernel":"6.1.0","Running":true,"Livepatch":{"CheckState":"checked","State":"nothing-to-apply"}}]}`)}}, evidence.No},
		"livepatch, failed": {answers{"canonical-livepatch": {Stdout: []byte(`{"Status":[{"Kernel":"6.1.0","Running":true,"Livepatch":{"CheckState":"checked","State":"apply-failed"}}]}`)}}, evidence.Yes},
	} {
		m.host.Run = tt.answers.run
		if f, _, _ := m.look(nil); f.Reboot.Needed != tt.want {
			t.Errorf("%s: %+v", name, f.Reboot)
		}
	}
}

func TestZypperHost(t *testing.T) {
	m := newMachine(t, lookAt)
	m.write("/etc/os-release", "ID=sles\nVERSION_ID=15.7\nNAME=SLES\n")
	m.write("/var/lib/rpm/Packages.db", "x")
	a := answers{
		"rpm -qa": {Stdout: []byte("bash\t(none)\t5.1\t6\tx86_64\t1\tSUSE LLC\n")}, "needs-rebooting": {Exit: 102},
		"zypper --xmlout": {Stdout: []byte(patches)},
	}
	m.host.Run = a.run
	f, gaps, _ := m.look(nil)
	if len(f.Pending) != 2 || f.Reboot.Needed != evidence.Yes || f.Managers[0].Refreshed != nil || !strings.Contains(gaps, "never fetched") {
		t.Errorf("%s, gaps %s", told(f), gaps)
	}
	m.write("/var/cache/zypp/raw/updates/cookie", "x")
	m.do(os.Chtimes(m.root+"/var/cache/zypp/raw/updates/cookie", lookAt, lookAt))
	if f, _, _ = m.look(nil); f.Managers[0].Refreshed == nil || !f.Managers[0].Security {
		t.Errorf("%+v", f.Managers)
	}
	for name, res := range map[string]host.Result{"fails": {Exit: 7, Stderr: "System management is locked"}, "cut": {Cut: true}, "in Italian": {Stdout: []byte("Nessuna patch.")}} {
		a["zypper --xmlout"] = res
		if _, gaps, _ := m.look(nil); !strings.Contains(gaps, "pending updates of rpm packages: ") {
			t.Errorf("%s: gaps %s", name, gaps)
		}
	}
}

func TestVerify(t *testing.T) {
	m := newDebian(t, answers{"dpkg --verify": {Stdout: []byte("??5??????   /usr/bin/ls\n")}})
	look := func(verify bool) (evidence.Manager, host.Look) {
		c, err := software.New(func(v any) error { v.(*software.Config).Verify = verify; return nil }, m.host)
		m.do(err)
		l, err := c.Collect(t.Context(), nil)
		m.do(err)
		return l.Facts.(evidence.Software).Managers[0], l
	}
	if got, _ := look(false); got.Altered != nil {
		t.Errorf("not asked for: %+v", got)
	}
	if got, l := look(true); got.Altered == nil || *got.Altered != 1 || !strings.Contains(fmt.Sprint(l.Detail), "/usr/bin/ls") {
		t.Errorf("%+v, detail %v", got, l.Detail)
	}
	for name, res := range map[string]host.Result{"fails": {Exit: 2, Stderr: "x"}, "cut": {Cut: true}, "of another language": {Stdout: []byte("errore\n")}} {
		m.host.Run = answers{"dpkg --verify": res}.run
		if got, l := look(true); got.Altered != nil || !strings.Contains(fmt.Sprint(l.Gaps), "files of dpkg packages") {
			t.Errorf("%s: %+v, %v", name, got, l.Gaps)
		}
	}
}

// The real dpkg --verify of one package: what it prints is read.
func TestRealVerify(t *testing.T) {
	hosttest.NeedTool(t, "dpkg")
	res, err := host.Exec(t.Context(), host.Command{Name: "dpkg", Args: []string{"--verify", "coreutils"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := software.ParseVerify(strings.NewReader(string(res.Stdout))); err != nil {
		t.Errorf("%v of %s", err, res.Stdout)
	}
}

func TestOwnEndsOfLife(t *testing.T) {
	m := newDebian(t, answers{})
	m.write("/var/lib/dpkg/status", kernelStanza+stanzas("plesk-php89=8.9.1-1"))
	m.write("/usr/local/psa/version", "18.0.80 Debian 12.0 1800260804.10\n")
	m.write("/srv/eol/php.json", php)
	m.write("/srv/eol/debian.json", `{"generated_at":"2026-11-20T00:00:00Z","result":{"name":"debian","releases":[{"name":"12","isEol":false,"eolFrom":"2026-07-11","eoesFrom":"2029-06-30"}]}}`)
	m.write("/srv/eol/damaged.json", "{")
	c, err := software.New(func(v any) error { v.(*software.Config).EndsOfLife = "/srv/eol"; return nil }, m.host)
	m.do(err)
	l, err := c.Collect(context.Background(), nil)
	m.do(err)
	f := l.Facts.(evidence.Software)
	if f.OS.EOL != "2029-06-30" || f.OS.EOLFrom != "endoflife.date 2026-11-20, long term support" || !strings.Contains(told(f), "plesk 18.0.80 eol 2026-10-27") {
		t.Errorf("%+v, %s", f.OS, told(f))
	}
	if !strings.Contains(fmt.Sprint(l.Gaps), "damaged.json") {
		t.Errorf("gaps %v", l.Gaps)
	}
	if _, err := software.New(func(v any) error { v.(*software.Config).EndsOfLife = "eol"; return nil }, m.host); err == nil {
		t.Error("half a path was taken")
	}
}
