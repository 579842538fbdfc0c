//go:build unix

package collectors_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"

	"github.com/attesto/attesto/collectors"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Every kind of All is held to the same here, whatever its tools do. The tools are
// fakes, small shell scripts, because no real one hangs or lies on demand; they are
// started by the real host.Exec, so that deadlines, process groups and limits are the
// real ones. What each kind makes of its real tools is tested in its own folder.

// settings make kinds look at something on a host that has nothing.
var settings = map[evidence.Kind]string{
	evidence.KindBackup:  `repositories: [{name: nightly, tool: restic, repository: /srv/r, env_file: /etc/restic.env}, {name: borg, tool: borg, repository: /srv/b}]`,
	evidence.KindRestore: `{repositories: [{name: nightly, tool: restic, repository: /srv/r, env_file: /etc/restic.env}], interval: 1h}`,
	evidence.KindDNSBL:   `{addresses: [192.0.2.1]}`,
}

// mustAsk are kinds that rest on programs of the host: a test that starts none of
// them would prove nothing.
var mustAsk = []evidence.Kind{evidence.KindBackup, evidence.KindEventLog, evidence.KindHealth, evidence.KindStorage, evidence.KindSoftware, evidence.KindAntivirus, evidence.KindRestore, evidence.KindHypervisor, evidence.KindAccounts, evidence.KindMail}

// signs are files by which kinds find their tools' traces.
var signs = map[string]string{
	"/etc/restic.env":                      "RESTIC_PASSWORD=hunter2\n",
	"/srv/r/config":                        "x",
	"/srv/b/config":                        "[repository]\n",
	"/var/lib/dpkg/status":                 "Package: base-files\nStatus: install ok installed\nArchitecture: amd64\nVersion: 12\n\n",
	"/etc/os-release":                      "ID=debian\nVERSION_ID=\"12\"\n",
	"/etc/debian_version":                  "12\n",
	"/run/systemd/system/x":                "",
	"/var/log/journal/0123/system.journal": "x",
	"/etc/shadow":                          "root:*:19000:0:99999:7:::\n",
	"/etc/passwd":                          "root:x:0:0:root:/root:/bin/bash\n",
	"/etc/login.defs":                      "PASS_MAX_DAYS 90\n",
	"/etc/ssh/sshd_config":                 "PermitRootLogin no\n",
	"/etc/clamav/freshclam.conf":           "DatabaseDirectory /var/lib/clamav\n",
	"/etc/clamav/clamd.conf":               "DatabaseDirectory /var/lib/clamav\n",
	"/usr/sbin/clamd":                      "x",
	"/usr/bin/clamscan":                    "x",
	"/usr/bin/freshclam":                   "x",
	"/var/lib/clamav/main.cvd":             "ClamAV-VDB:16 Sep 2021 08-32 -0400:62:6647427:90:x:x:sigmgr:1631795562\n",
	"/etc/postfix/main.cf":                 "inet_interfaces = all\n",
	"/usr/sbin/postfix":                    "x",
	"/usr/sbin/postqueue":                  "x",
	"/proc/mdstat":                         "Personalities : [raid1]\nunused devices: <none>\n",
	"/proc/stat":                           "cpu 1 2 3 4 5 6 7 8 9 10\nbtime 1700000000\n",
	"/proc/uptime":                         "100.0 50.0\n",
	"/proc/self/mountinfo":                 "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n",
	"/usr/sbin/smartctl":                   "x",
	"/usr/sbin/zpool":                      "x",
	"/usr/sbin/lvs":                        "x",
	"/usr/bin/pvesh":                       "x",
	"/run/libvirt/libvirt-sock-ro":         "",
	"/etc/pve/storage.cfg":                 "dir: local\n\tpath /var/lib/vz\n",
	"/usr/bin/virsh":                       "x",
	"/usr/bin/veeamconfig":                 "x",
}

// kept are files that a kind may leave on purpose, each with its reason.
var kept = map[string]string{
	"/var/lib/attesto/restore/lock": "keeps two drills apart, in the agent's own folder",
}

// tools are fakes that behave all in one way.
type tools struct {
	dir, script string

	mu    sync.Mutex
	asked []string
}

// run writes the script under the name that is asked for, and starts it for real.
func (k *tools) run(ctx context.Context, c host.Command) (host.Result, error) {
	k.mu.Lock()
	name := filepath.Base(c.Name)
	k.asked = append(k.asked, name)
	var err error
	if k.script != "" {
		path := filepath.Join(k.dir, name)
		if _, missing := os.Stat(path); missing != nil {
			err = os.WriteFile(path, []byte("#!/bin/sh\nPATH=/usr/bin:/bin\n"+k.script), 0o755) //nolint:gosec // a program
		}
	}
	k.mu.Unlock()
	if err != nil {
		return host.Result{}, err
	}
	c.Name = name
	return host.Exec(ctx, c)
}

// marker is in the environment of everything that a look starts.
const marker = "ATTESTO_CONFORM"

func conform(t *testing.T, spec host.Spec, script string, timeout time.Duration) (host.Look, []string, error) {
	t.Helper()
	k := &tools{dir: t.TempDir(), script: script}
	temp, root := t.TempDir(), t.TempDir()
	t.Setenv("PATH", k.dir)
	t.Setenv("TMPDIR", temp)
	t.Setenv(marker, k.dir)
	for path, text := range signs {
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil { //nolint:gosec // of a made host
			t.Fatal(err)
		}
	}
	before := files(t, root)
	h := &host.Host{Root: root, Now: time.Now, Run: k.run, MachineKey: []byte("key"), Resolvers: []string{"127.0.0.1:1"},
		Addrs: func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil }}
	c, err := spec.New(func(v any) error {
		dec := yaml.NewDecoder(strings.NewReader(settings[spec.Kind]))
		dec.KnownFields(true)
		if err := dec.Decode(v); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		return nil
	}, h)
	if err != nil {
		t.Fatal(err)
	}
	quiet := goleak.IgnoreCurrent()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	start := time.Now()
	look, err := c.Collect(ctx, nil)
	if took := time.Since(start); took > timeout+5*time.Second {
		t.Errorf("took %v with a deadline of %v", took.Round(time.Millisecond), timeout)
	}
	cancel()
	if err := goleak.Find(quiet, goleak.IgnoreTopFunction("testing.(*T).Run")); err != nil {
		t.Errorf("goroutines left behind: %v", err)
	}
	if left := processes(k.dir); len(left) > 0 {
		t.Errorf("processes left behind: %v", left)
	}
	if left := files(t, temp); len(left) > 0 {
		t.Errorf("temporary files left behind: %v", left)
	}
	if after := files(t, root); !slices.Equal(before, after) {
		left := slices.DeleteFunc(after, func(f string) bool { return slices.Contains(before, f) || kept[strings.TrimPrefix(f, root)] != "" })
		if len(left) > 0 || len(after) < len(before) {
			t.Errorf("the host was changed: %d files before, new ones are %v", len(before), left)
		}
	}
	if err == nil && look.Facts != nil {
		if bad := look.Facts.Validate(); bad != nil {
			t.Errorf("facts that the server refuses: %v", bad)
		}
	}
	return look, k.asked, err
}

// files are all below a folder.
func files(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// processes are those that were started with the marker and live on.
func processes(dir string) (out []string) {
	for range 20 {
		out = nil
		all, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, path := range all {
			b, err := os.ReadFile(path)
			if err == nil && strings.Contains(string(b), marker+"="+dir) && path != fmt.Sprintf("/proc/%d/environ", os.Getpid()) {
				line, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
				if len(line) > 0 { // not one that has ended and waits to be counted
					out = append(out, strings.ReplaceAll(string(line), "\x00", " "))
				}
			}
		}
		if len(out) == 0 {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return out
}

// toolsGoWrong are the ways; a look may then be anything but whole with facts.
var toolsGoWrong = []struct {
	name, script string
	timeout      time.Duration
	optional     bool // tools that are absent may be no gap: there is nothing to see
}{
	{name: "absent", timeout: 20 * time.Second, optional: true},
	{name: "no permission", script: "echo 'Permission denied' >&2; exit 1\n", timeout: 20 * time.Second},
	{name: "hangs", script: "sleep 1000 &\nsleep 1000\n", timeout: 400 * time.Millisecond},
	{name: "cut in the middle", script: `printf '{"version":1,"repository":{"id":"abc","snapshots":[{"time":"2026-11-2'; exit 0` + "\n", timeout: 20 * time.Second},
	{name: "in Italian", script: "echo 'errore: permesso negato'; echo 'errore: file o directory non esistente' >&2; exit 2\n", timeout: 20 * time.Second},
	{name: "100 MB of output", script: "yes 'lorem ipsum 2026-11-23 active running ok 12345 0 0 0' | head -c 100000000\n", timeout: 60 * time.Second},
}

// bearing are kinds for which a tool's answer is one of many things, so that one that
// means nothing may leave the look whole; each with its reason.
var bearing = map[evidence.Kind]string{}

func TestEveryKindWhateverItsTools(t *testing.T) {
	for _, spec := range collectors.All() {
		if !slices.Contains(spec.OS, runtime.GOOS) {
			continue
		}
		none := false // it starts no program here: the rest would be the same again
		for _, way := range toolsGoWrong {
			if none {
				break
			}
			t.Run(string(spec.Kind)+"/"+way.name, func(t *testing.T) {
				look, asked, err := conform(t, spec, way.script, way.timeout)
				if len(asked) == 0 && slices.Contains(mustAsk, spec.Kind) {
					t.Errorf("asked no tool: add to signs what makes it look")
				}
				whole := err == nil && look.Facts != nil && len(look.Gaps) == 0 && !look.Unsupported
				if whole && len(asked) > 0 && !way.optional && bearing[spec.Kind] == "" {
					t.Errorf("asked %v and says that it saw everything: %+v", slices.Compact(slices.Sorted(slices.Values(asked))), look.Facts)
				}
				for _, g := range look.Gaps {
					if g.What == "" || g.Why == "" {
						t.Errorf("a gap without name or reason: %+v", g)
					}
				}
				none = len(asked) == 0
				t.Logf("asked %v; unsupported %v, %d gaps, error %v", slices.Compact(slices.Sorted(slices.Values(asked))), look.Unsupported, len(look.Gaps), err)
			})
		}
	}
}
