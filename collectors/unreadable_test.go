//go:build linux

package collectors_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/attesto/attesto/collectors"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/host/hosttest"
	"github.com/attesto/attesto/evidence"
)

// unreadable is a host on which one file or folder may not be read.
type unreadable struct {
	kind  evidence.Kind
	deny  string
	files map[string]string // besides those that every host here has
	// settings are the kind's own.
	settings string
	// gap and cure must stand in one gap, or in the error where nothing else was to be
	// seen; still must stand in the facts: what may be read is told all the same.
	gap, cure, still string
	// owned closes it to all but its owner; the rest lets others in, and not the test.
	owned bool
	// none says that the gap must not be there.
	none bool
}

// clamHeader is as long as ClamAV pads it.
var clamHeader = fmt.Sprintf("%-512s", "ClamAV-VDB:16 Sep 2021 08-32 -0400:62:6647427:90:x:x:sigmgr:1631795562")

const (
	vzdumpLog = "2026-11-20 02:00:01 INFO: Starting Backup of VM 101 (qemu)\n2026-11-20 02:00:01 INFO: status = running\n" +
		"2026-11-20 02:00:09 INFO: archive file size: 1.00GB\n2026-11-20 02:00:09 INFO: Finished Backup of VM 101 (00:00:08)\n"
	report    = `{"v":1,"job":"nightly","success":true,"end":"2026-11-20T02:00:00Z"}`
	resources = `[{"type":"node","node":"pve","status":"online","id":"node/pve"},{"type":"qemu","vmid":101,"node":"pve","status":"running","id":"qemu/101","name":"a"},` +
		`{"type":"qemu","vmid":102,"node":"pve","status":"running","id":"qemu/102","name":"b"}]`
	capture = "/run/attesto-hypervisor/"
	wpHead  = "<?php\n$wp_version = '6.4.1';\n"
)

// always are the files of every host here.
var always = map[string]string{
	"/etc/passwd":          "root:x:0:0:root:/root:/bin/bash\n",
	"/etc/shadow":          "root:*:19000:0:99999:7:::\n",
	"/etc/login.defs":      "PASS_MAX_DAYS 77\n",
	"/etc/os-release":      "ID=debian\nVERSION_ID=\"12\"\n",
	"/var/lib/dpkg/status": "Package: base-files\nStatus: install ok installed\nArchitecture: amd64\nVersion: 12\n\n",
}

var proxmox = map[string]string{"/usr/bin/pvesh": "", capture + "resources.json": resources, capture + "version.json": `{"version":"8.2.4"}`, capture + "ha.json": `[]`,
	"/etc/pve/nodes/pve/qemu-server/101.conf": "onboot: 1\n", "/etc/pve/nodes/pve/qemu-server/102.conf": "onboot: 1\n"}

var clamav = map[string]string{"/usr/bin/clamscan": "", "/etc/clamav/freshclam.conf": "DatabaseDirectory /var/lib/clamav\n",
	"/var/lib/clamav/main.cvd": clamHeader, "/var/lib/clamav/daily.cvd": clamHeader, "/var/log/clamav/scan.log": "x\n"}

var sites = map[string]string{"/etc/nginx/sites-enabled/a": "root /srv/a;\n", "/srv/a/wp-includes/version.php": wpHead,
	"/var/www/b/wp-includes/version.php": strings.ReplaceAll(wpHead, "6.4.1", "6.4.2")}

var unreadables = []unreadable{
	{kind: evidence.KindAccounts, deny: "/etc/shadow", gap: "/etc/shadow", cure: "accounts.conf", still: `"maxDays":77`},
	{kind: evidence.KindAccounts, deny: "/etc/login.defs", gap: "rules for passwords (/etc/login.defs)", cure: "setfacl", still: `"state":"locked"`},
	{kind: evidence.KindAccounts, deny: "/etc/sudoers", files: map[string]string{"/etc/sudoers": "x ALL=(ALL) ALL\n"}, gap: "rules of sudo", cure: "as root", still: `"maxDays":77`},
	{kind: evidence.KindAccounts, deny: "/etc/sudoers.d", files: map[string]string{"/etc/sudoers": "@includedir /etc/sudoers.d\n", "/etc/sudoers.d/x": "x ALL=(ALL) NOPASSWD: ALL\n"},
		gap: "rules of sudo", cure: "as root", still: `"maxDays":77`},
	{kind: evidence.KindAccounts, deny: "/root/.ssh", files: map[string]string{"/root/.ssh/id_rsa": "x", "/root/.my.cnf": "x"}, gap: "files with secrets (ssh_key)", cure: "as root", still: `"database"`},
	{kind: evidence.KindAccounts, deny: "/root/.ssh", owned: true, none: true, files: map[string]string{"/root/.ssh/id_rsa": "x", "/root/.my.cnf": "x"}, gap: "files with secrets (ssh_key)", still: `"database"`},
	{kind: evidence.KindAccounts, deny: "/etc/passwd", gap: "/etc/passwd", cure: "permission denied"},

	{kind: evidence.KindAntivirus, deny: "/var/lib/clamav", files: clamav, gap: "/var/lib/clamav", cure: "setfacl"},
	{kind: evidence.KindAntivirus, deny: "/var/lib/clamav/daily.cvd", files: clamav, gap: "daily.cvd", cure: "setfacl", still: `"name":"main"`},
	{kind: evidence.KindAntivirus, deny: "/etc/clamav/freshclam.conf", files: clamav, gap: "settings of clamav", cure: "setfacl", still: `"name":"main"`},
	{kind: evidence.KindAntivirus, deny: "/var/log/clamav", files: clamav, gap: "scans of clamav", cure: "setfacl", still: `"name":"main"`},
	{kind: evidence.KindAntivirus, deny: "/var/log/clamav/scan.log", files: clamav, gap: "scans of clamav", cure: "setfacl", still: `"name":"main"`},

	{kind: evidence.KindBackup, deny: "/etc/restic", files: map[string]string{"/etc/restic/a.env": "RESTIC_REPOSITORY=/srv/r\n", "/var/log/vzdump/qemu-101.log": vzdumpLog},
		gap: "a folder of backup jobs' settings", cure: "let the agent's account read it", still: "vzdump"},
	{kind: evidence.KindBackup, deny: "/etc/restic.env", files: map[string]string{"/etc/restic.env": "RESTIC_REPOSITORY=/srv/r\n", "/var/log/vzdump/qemu-101.log": vzdumpLog},
		gap: "settings file", cure: "let the agent's account read it", still: "vzdump"},
	{kind: evidence.KindBackup, deny: "/etc/borgmatic/config.yaml", files: map[string]string{"/etc/borgmatic/config.yaml": "repositories: [{path: /srv/b}]\n"},
		gap: "borgmatic's configuration", cure: "let the agent's account read it"},
	{kind: evidence.KindBackup, deny: "/var/log/vzdump", files: map[string]string{"/var/log/vzdump/qemu-101.log": vzdumpLog, "/var/lib/attesto/reports/1-nightly.json": report},
		settings: "reports: /var/lib/attesto/reports", gap: "the log of vzdump", cure: "let the agent's account read it"},
	{kind: evidence.KindBackup, deny: "/var/log/vzdump/qemu-101.log", files: map[string]string{"/var/log/vzdump/qemu-101.log": vzdumpLog, "/var/log/vzdump/qemu-102.log": strings.ReplaceAll(vzdumpLog, "101", "102")},
		gap: "the log of vzdump", cure: "let the agent's account read it", still: "102"},
	{kind: evidence.KindBackup, deny: "/var/drop", files: map[string]string{"/var/drop/1.json": report, "/var/log/vzdump/qemu-101.log": vzdumpLog},
		settings: "reports: /var/drop", gap: "reports", cure: "let the agent's account read it", still: "vzdump"},
	{kind: evidence.KindBackup, deny: "/var/drop/1.json", files: map[string]string{"/var/drop/1.json": report, "/var/log/vzdump/qemu-101.log": vzdumpLog},
		settings: "reports: /var/drop", gap: "report", cure: "permission", still: "vzdump"},

	{kind: evidence.KindDNSBL, deny: "/etc/postfix/main.cf", files: map[string]string{"/etc/postfix/main.cf": "smtp_bind_address = 9.9.9.9\n"},
		settings: "addresses: [9.9.9.10]", gap: "/etc/postfix/main.cf", cure: "setfacl", still: "9.9.9.10"},

	{kind: evidence.KindEventLog, deny: "/var/log/auth.log", files: map[string]string{"/var/log/auth.log": "x\n", "/var/log/nginx/error.log": "x\n"}, gap: "/var/log/auth.log", cure: "setfacl", still: "nginx"},
	{kind: evidence.KindEventLog, deny: "/var/log/nginx", files: map[string]string{"/var/log/auth.log": "x\n", "/var/log/nginx/error.log": "x\n"}, gap: "/var/log/nginx", cure: "setfacl", still: "auth.log"},

	{kind: evidence.KindHypervisor, deny: "/etc/pve/nodes/pve/qemu-server/101.conf", files: proxmox, gap: "settings of 1 of 2 guests", cure: "hypervisor.conf", still: `"vm-102"`},
	{kind: evidence.KindHypervisor, deny: capture + "ha.json", files: proxmox, gap: "HA", cure: "chgrp -R attesto", still: `"vm-102"`},
	{kind: evidence.KindHypervisor, deny: capture + "resources.json", files: proxmox, gap: "Proxmox VE", cure: "chgrp -R attesto"},
	{kind: evidence.KindHypervisor, deny: capture, files: proxmox, gap: "Proxmox VE", cure: "pvesh"},

	{kind: evidence.KindMail, deny: "/var/log/mail.log", files: map[string]string{"/usr/sbin/postqueue": "", "/var/log/mail.log": "x\n", "/var/log/dovecot.log": "x\n"}, gap: "/var/log/mail.log", cure: "setfacl", still: "dovecot"},
	{kind: evidence.KindMail, deny: "/var/log/exim4", files: map[string]string{"/usr/sbin/exim4": "", "/var/log/exim4/mainlog": "x\n", "/var/log/mail.log": "x\n"}, gap: "/var/log/exim4/mainlog", cure: "setfacl", still: "mail.log"},

	{kind: evidence.KindRestore, deny: "/etc/restic.env", files: map[string]string{"/etc/restic.env": "RESTIC_REPOSITORY=/srv/r\n"},
		settings: "{repositories: [{name: nightly, tool: restic, env_file: /etc/restic.env}]}", gap: "env_file", cure: "let the agent's account read it", still: "bad_config"},

	{kind: evidence.KindSoftware, deny: "/var/lib/dpkg/status", files: sites, gap: "dpkg", cure: "permission denied"},
	{kind: evidence.KindSoftware, deny: "/etc/nginx/sites-enabled", files: sites, gap: "a web server's settings", cure: "setfacl", still: "6.4.2"},
	{kind: evidence.KindSoftware, deny: "/etc/nginx/sites-enabled/a", files: sites, gap: "a web server's settings", cure: "setfacl", still: "6.4.2"},
	{kind: evidence.KindSoftware, deny: "/srv/a", files: sites, gap: "a document root", cure: "CAP_DAC_READ_SEARCH", still: "6.4.2"},
	{kind: evidence.KindSoftware, deny: "/home/u", files: map[string]string{"/etc/nginx/sites-enabled/a": "root /srv/a;\n", "/home/u/public_html/wp-includes/version.php": wpHead}, gap: "document roots", cure: "CAP_DAC_READ_SEARCH", still: "base-files"},

	{kind: evidence.KindSoftware, deny: "/home/u", owned: true, none: true, files: map[string]string{"/etc/nginx/sites-enabled/a": "root /srv/a;\n", "/home/u/public_html/wp-includes/version.php": wpHead}, gap: "document roots", still: "base-files"},

	{kind: evidence.KindStorage, deny: "/proc/mdstat", files: map[string]string{"/proc/mdstat": "Personalities : [raid1]\n"}, gap: "/proc/mdstat", cure: "permission denied"},
	{kind: evidence.KindHealth, deny: "/proc/self/mountinfo", files: map[string]string{"/proc/self/mountinfo": "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n", "/proc/stat": "cpu 1 2 3 4 5 6 7 8 9 10\nbtime 1700000000\n"}, gap: "mountinfo", cure: "permission"},
}

// readsNone are kinds that read no file of the host.
var readsNone = []evidence.Kind{evidence.KindEndpoints}

// TestEveryKindThatMayNotRead takes from each kind one file or folder after the other. Root
// reads whatever its mode says, so the test starts itself anew without that right.
func TestEveryKindThatMayNotRead(t *testing.T) {
	probe := filepath.Join(t.TempDir(), "probe")
	if err := os.WriteFile(probe, nil, 0); err != nil {
		t.Fatal(err)
	}
	if f, err := os.Open(probe); err == nil {
		_ = f.Close()
		withoutRights(t)
		return
	}
	var seen []evidence.Kind
	for _, u := range unreadables {
		seen = append(seen, u.kind)
		t.Run(string(u.kind)+u.deny, u.test)
	}
	for _, spec := range collectors.All() {
		if !slices.Contains(seen, spec.Kind) && !slices.Contains(readsNone, spec.Kind) {
			t.Errorf("%s: no case takes a file from it", spec.Kind)
		}
	}
}

// withoutRights runs this test again, as root who may not pass over files' modes
// (capabilities(7): a program that root starts gets what the bounding set leaves).
func withoutRights(t *testing.T) {
	t.Helper()
	setpriv := hosttest.NeedTool(t, "setpriv")
	const rights = "-dac_override,-dac_read_search"
	cmd := exec.CommandContext(t.Context(), setpriv, "--bounding-set="+rights, "--inh-caps="+rights, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "--- PASS: "+t.Name()+"/") != len(unreadables) {
		t.Fatalf("%v: %s", err, out)
	}
}

func (u unreadable) test(t *testing.T) {
	root := t.TempDir()
	for _, files := range []map[string]string{always, u.files} {
		for path, text := range files {
			full := filepath.Join(root, path)
			if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(text), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
	}
	denied := filepath.Join(root, u.deny)
	mode := fs.FileMode(0o011) // of which the owner has nothing
	if u.owned {
		mode = 0
	}
	if err := os.Chmod(denied, mode); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(denied, 0o700) }) //nolint:gosec // a folder of the test's own
	h := bare(root)
	look, err := u.look(t, h)
	told, facts := "", ""
	for _, g := range look.Gaps {
		told += g.What + ": " + g.Why + "\n"
	}
	if err != nil {
		told += err.Error() + "\n"
	}
	if len(look.Gaps) == 0 && err == nil && !u.none {
		t.Error("says that it saw everything")
	}
	detail, err := json.Marshal(look.Detail) // where a path is a person's, the why stands there
	if err != nil {
		t.Fatal(err)
	}
	told += string(detail)
	if look.Facts != nil {
		b, err := json.Marshal(look.Facts)
		if bad := errors.Join(err, look.Facts.Validate()); bad != nil {
			t.Error(bad)
		}
		facts = string(b)
	}
	if look.Unsupported {
		t.Error("says that there is nothing to see")
	}
	named := slices.ContainsFunc(strings.Split(told, "\n"), func(line string) bool { return strings.Contains(line, u.gap) && strings.Contains(line, u.cure) })
	switch {
	case u.none && named:
		t.Errorf("%q is no gap:\n%s", u.gap, told)
	case !u.none && !named:
		t.Errorf("no word of %q with %q:\n%sfacts %s", u.gap, u.cure, told, facts)
	}
	u.doctor(t, h)
	if u.still != "" && !strings.Contains(facts, u.still) {
		t.Errorf("what can be read is not told (%s):\n%sfacts %s", u.still, told, facts)
	}
}

// bare is a host on which no program is installed.
func bare(root string) *host.Host {
	return &host.Host{Root: root, Now: time.Now, MachineKey: []byte("key"), Resolvers: []string{"127.0.0.1:1"},
		Addrs: func() ([]netip.Addr, error) { return nil, nil },
		Run: func(_ context.Context, c host.Command) (host.Result, error) {
			return host.Result{}, fmt.Errorf("%s: %w", c.Name, host.ErrNoProgram)
		}}
}

// command begins a cure that can be typed.
var command = regexp.MustCompile(`(^|: )(setfacl|cp|usermod|mkdir) `)

// doctor says beforehand what the look will miss, with one command that cures it, but for
// what only the kind's settings name or a look alone finds (undoctored).
func (u unreadable) doctor(t *testing.T, h *host.Host) {
	t.Helper()
	spec, _ := collectors.Find(u.kind)
	d := spec.Detect(t.Context(), h)
	named := slices.ContainsFunc(d.Missing, func(m host.Missing) bool { return command.MatchString(m.What + ": " + m.Cure) })
	if silent := u.none || undoctored[string(u.kind)+u.deny] != ""; named == silent {
		t.Errorf("doctor names a command: %v, and should not: %v: %v", named, silent, d.Missing)
	}
}

// undoctored are files and folders of which doctor says nothing, each with the reason.
var undoctored = map[string]string{
	"accounts/etc/passwd":          "all may read it on every system",
	"storage/proc/mdstat":          "all may read it on every system",
	"health/proc/self/mountinfo":   "all may read it on every system",
	"software/var/lib/dpkg/status": "all may read it on every system",
	"accounts/etc/sudoers":         "root's alone by design: the look's gap says how to see it once",
	"accounts/etc/sudoers.d":       "root's alone by design: the look's gap says how to see it once",
	"accounts/root/.ssh":           "root's alone by design: the look's gap says how to see it once",
	"backup/var/drop":              "named in the settings",
	"backup/var/drop/1.json":       "named in the settings",
	"restore/etc/restic.env":       "doctor says it under backup",
	"software/srv/a":               "only the search for sites comes to it: its gap names the capability",
	"software/home/u":              "only the search for sites comes to it: its gap names the capability",
}

// look has the kind look at the host.
func (u unreadable) look(t *testing.T, h *host.Host) (host.Look, error) {
	t.Helper()
	spec, ok := collectors.Find(u.kind)
	if !ok {
		t.Fatal("no such kind")
	}
	c, err := spec.New(func(v any) error {
		if err := yaml.NewDecoder(strings.NewReader(u.settings)).Decode(v); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		return nil
	}, h)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return c.Collect(ctx, nil)
}
