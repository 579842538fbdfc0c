package hypervisor_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/host/hosttest"
	"github.com/attesto/attesto/collectors/hypervisor"
	"github.com/attesto/attesto/evidence"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// said is what a format makes of a text.
func said(t *testing.T, format, text string) string {
	t.Helper()
	i := slices.IndexFunc(hypervisor.Formats(), func(f host.Format) bool { return f.Name == format })
	if i < 0 {
		t.Fatalf("no format %s", format)
	}
	look, err := hypervisor.Formats()[i].Parse([]byte(text), noon)
	if err != nil {
		return "error: " + err.Error()
	}
	if look.Unsupported {
		return "nothing"
	}
	f := look.Facts.(evidence.Hypervisor)
	if err := f.Validate(); err != nil {
		t.Error(err)
	}
	return words(f)
}

func words(f evidence.Hypervisor) string {
	var out []string
	for _, h := range f.Hosts {
		out = append(out, strings.TrimSpace("host "+h.Name+" "+h.State+" "+h.Version))
	}
	for _, s := range f.Stores {
		out = append(out, fmt.Sprintf("store %s %s %d/%d", s.Name, s.State, s.Free, s.Size))
	}
	for _, g := range f.Guests {
		text := fmt.Sprintf("guest %s %s %d", g.Name, g.State, g.Snapshots)
		if g.Oldest != nil {
			text += " since " + g.Oldest.Format(time.DateOnly)
		}
		if g.Backup != nil {
			text += fmt.Sprintf(" backups %d to %s", g.Backups, g.Backup.Format(time.DateOnly))
		}
		if g.Damaged {
			text += " damaged"
		}
		if g.Verified != nil {
			text += " verified"
		}
		out = append(out, text)
	}
	for _, h := range f.HA {
		out = append(out, "ha "+h.Name+" "+h.State)
	}
	return strings.Join(out, "; ")
}

func TestFormats(t *testing.T) {
	resources, err := os.ReadFile("testdata/resources.json")
	if err != nil {
		t.Fatal(err)
	}
	const dom = "Domain: 'web server'\n  state.state=1\n  state.reason=5\n  vcpu.0.state=1\n"
	const list = " Id   Name         State\n----------------------------\n 1    web server   running\n -    old          shut off\n 3    stuck        paused\n"
	const shots = " Name     Creation Time               State\n---------------------------------------------------\n before   2026-10-01 10:00:00 +0200   shutoff\n after    2026-11-01 10:00:00 +0100   running\n\n"
	for _, tt := range []struct{ name, format, text, want string }{
		{"cluster", "pve-resources", string(resources), "host pve1 online; host pve2 offline; store local available 150/1000; store pbs available 990/1000; guest dns stopped -1; guest golden stopped -1; guest mario-web running -1"},
		{"empty cluster", "pve-resources", "[]", "nothing"},
		{"cut", "pve-resources", string(resources)[:200], "error: not the output of pvesh get /cluster/resources: unexpected end of JSON input"},
		{"another list", "pve-resources", `[{"a":1}]`, "error: not the output of pvesh get /cluster/resources: no element with type and id"},
		{"storage", "pve-storage", `[{"storage":"a","type":"dir","active":1,"enabled":1,"total":100,"used":90,"avail":5},{"storage":"b","type":"nfs","active":0,"enabled":1},{"storage":"c","type":"nfs","active":0,"enabled":0}]`, "store a available 10/100; store b inactive -1/-1; store c disabled -1/-1"},
		{"HA", "pve-ha", `[{"id":"quorum","node":"pve1","quorate":1,"status":"OK","type":"quorum"},{"id":"service:vm:100","sid":"vm:100","state":"started","type":"service"},{"id":"service:ct:101","sid":"ct:101","state":"error","type":"service"},{"id":"lrm:pve2","status":"pve2 (old timestamp - dead?, Mon)","type":"lrm"}]`, "host proxmox unknown; ha lrm pve2 error; ha quorum ok; ha vm-100 ok; ha vm-101 error"},
		{"no quorum", "pve-ha", `[{"type":"cluster","name":"c","quorate":0,"nodes":3},{"type":"node","name":"pve1","online":1}]`, "host proxmox unknown; ha quorum error"},
		{"HA of old versions", "pve-ha", `[{"id":"service:vm:100","type":"service","status":"vm:100 (pve1, fence)"}]`, "host proxmox unknown; ha vm-100 error"},
		{"snapshots", "pve-snapshots", `[{"name":"before","snaptime":1760000000},{"name":"later","snaptime":1770000000,"parent":"before"},{"name":"current","running":1}]`, "guest proxmox guest unknown 2 since 2025-10-09"},
		{"no snapshot", "pve-snapshots", `[{"name":"current","running":1}]`, "guest proxmox guest unknown 0"},
		{"settings", "pve-config", "name: web\nonboot: 1\nscsi0: local:100/x\n\n[PENDING]\nmemory: 2\n\n[before]\nname: web\nsnaptime: 1760000000\n\n[special:cloudinit]\n", "guest web unknown 1 since 2025-10-09"},
		{"backups", "pve-content", `[{"volid":"pbs:backup/vm/100/1","vmid":100,"ctime":1795000000,"content":"backup","verification":{"state":"ok"}},{"volid":"pbs:backup/vm/100/2","vmid":"100","ctime":1795086400,"content":"backup","verification":{"state":"failed"}},{"volid":"local:iso/a.iso","content":"iso","ctime":1}]`, "guest vm-100 unknown -1 backups 2 to 2026-11-19 damaged verified"},

		{"domains", "virsh-domstats", dom + "\n" + strings.Replace(dom, "web server", "old", 1) + "Domain: 'x'\n  state.state=5\n", "guest old running -1; guest web server running -1; guest x stopped -1"},
		{"domains in Italian", "virsh-domstats", "Dominio: 'web'\n  state.state=3\n", "guest web paused -1"},
		{"a domain cut off", "virsh-domstats", "Domain: 'web'\n", "guest web unknown -1"},
		{"no domains", "virsh-domstats", "\n", "nothing"},
		{"another text", "virsh-domstats", "hello\n", "error: not the output of virsh domstats: no line Domain: 'NAME'"},
		{"list", "virsh-list", list, "guest old stopped -1; guest stuck paused -1; guest web server running -1"},
		{"list in Italian", "virsh-list", " Id   Nome   Stato\n-------------------------\n 1    web    in esecuzione\n -    old    spento\n", "guest old stopped -1; guest web unknown -1"},
		{"snapshots of a domain", "virsh-snapshots", shots, "guest libvirt guest unknown 2 since 2026-10-01"},
		{"pool", "virsh-pool", "Name:           a\nState:          running\nCapacity:       100\nAvailable:      10\n", "store a available 10/100"},
		{"degraded pool", "virsh-pool", "Name:           a\nState:          degraded\n", "store a inactive -1/-1"},

		{"VMware", "vmware-inventory", `{"v":1,"hosts":[{"name":"esx1","version":"8.0.3","connection":"connected","power":"poweredOn","overall":"green"},{"name":"esx2","connection":"notResponding","power":"unknown"},{"name":"esx3","connection":"connected","power":"poweredOn","maintenance":true}],"datastores":[{"name":"ds1","type":"VMFS","accessible":true,"capacity":100,"free":5}],"vms":[{"id":"vm-12","name":"web","host":"esx1","power":"poweredOn","connection":"connected","snapshots":["2026-01-02T00:00:00Z"],"backup":"2026-11-22T00:00:00Z"},{"id":"vm-13","name":"lost","power":"poweredOn","connection":"orphaned"}],"clusters":[{"name":"c1","ha":true,"overall":"red"}],"backups":true}`,
			"host esx1 online 8.0.3; host esx2 offline; host esx3 maintenance; store ds1 available 5/100; guest lost unknown 0; guest web running 1 since 2026-01-02 backups 1 to 2026-11-22; ha cluster c1 error"},
		{"VMware of another version", "vmware-inventory", `{"v":2}`, "error: not the output of attesto-vmware, or of another version: want v 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := said(t, tt.format, tt.text); got != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestFixtures holds the parsers against the verdicts that stand beside captured files.
func TestFixtures(t *testing.T) {
	root := os.Getenv("ATTESTO_FIXTURES")
	if root == "" {
		t.Skip("ATTESTO_FIXTURES names no folder")
	}
	for file, want := range map[string]struct{ format, said string }{
		"proxmox/storage.json": {"pve-storage", "store local available 15127162880/100861726720"}, // 85 % used
		"virsh/domstats0.txt":  {"virsh-domstats", "guest ubuntu running -1; guest win11 stopped -1"},
	} {
		text, err := os.ReadFile(filepath.Join(root, "06-hardware", file))
		if err != nil {
			t.Fatal(err)
		}
		if got := said(t, want.format, string(text)); !strings.HasPrefix(got, want.said) {
			t.Errorf("%s: %s, want %s", file, got, want.said)
		}
	}
}

// fake is a host with files and a runner by the words of commands.
func fake(t *testing.T, answers map[string]any, files map[string]string) *host.Host {
	t.Helper()
	h := &host.Host{Root: t.TempDir(), Now: func() time.Time { return noon }, MachineKey: []byte("key")}
	for path, text := range files {
		if err := os.MkdirAll(filepath.Dir(h.Path(path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(h.Path(path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(h.Path(path), noon, noon); err != nil {
			t.Fatal(err)
		}
	}
	h.Run = func(_ context.Context, c host.Command) (host.Result, error) {
		line := c.Name + " " + strings.Join(c.Args, " ")
		best := ""
		for begin := range answers {
			if strings.HasPrefix(line, begin) && len(begin) > len(best) {
				best = begin
			}
		}
		switch v := answers[best].(type) {
		case string:
			return host.Result{Stdout: []byte(v)}, nil
		case host.Result:
			return v, nil
		case error:
			return host.Result{}, v
		}
		return host.Result{Exit: 1, Stderr: "not expected: " + line}, nil
	}
	return h
}

func look(t *testing.T, h *host.Host, config string, cursor []byte) (host.Look, error) {
	t.Helper()
	c, err := hypervisor.New(func(v any) error { return yaml.Unmarshal([]byte(config), v) }, h)
	if err != nil {
		t.Fatal(err)
	}
	l, err := c.Collect(t.Context(), cursor)
	if err == nil && l.Facts != nil {
		if err := l.Facts.Validate(); err != nil {
			t.Fatal(err)
		}
	}
	return l, err
}

func proxmox(t *testing.T) (map[string]any, map[string]string) {
	t.Helper()
	resources, err := os.ReadFile("testdata/resources.json")
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{
			"pvesh get /cluster/resources":                string(resources),
			"pvesh get /version":                          `{"version":"8.2.4","release":"8.2"}`,
			"pvesh get /cluster/ha/status/current":        `[{"id":"quorum","quorate":1,"type":"quorum"}]`,
			"pvesh get /nodes/pve1/storage/pbs/content":   `[{"volid":"a","vmid":100,"ctime":1795000000,"content":"backup"}]`,
			"pvesh get /nodes/pve1/storage/local/content": `[]`,
		}, map[string]string{
			"/usr/bin/pvesh":                           "",
			"/proc/sys/kernel/hostname":                "pve1\n",
			"/etc/pve/storage.cfg":                     "dir: local\n\tpath /var/lib/vz\n\tcontent backup,iso\n\npbs: pbs\n\tserver x\n",
			"/etc/pve/nodes/pve1/qemu-server/100.conf": "name: mario-web\nonboot: 1\n\n[before]\nsnaptime: 1760000000\n",
			"/etc/pve/nodes/pve1/lxc/101.conf":         "hostname: dns\n",
			"/etc/pve/nodes/pve1/qemu-server/900.conf": "template: 1\n",
		}
}

func TestProxmox(t *testing.T) {
	answers, files := proxmox(t)
	l, err := look(t, fake(t, answers, files), "{}", nil)
	if err != nil {
		t.Fatal(err)
	}
	f := l.Facts.(evidence.Hypervisor)
	want := "host pve1 online 8.2.4; host pve2 offline; store local available 150/1000; store pbs available 990/1000; " +
		"guest vm-100 running 1 since 2025-10-09 backups 1 to 2026-11-18; guest vm-101 stopped 0; guest vm-900 stopped 0; ha quorum ok"
	if got := words(f); got != want || !f.Backups || len(l.Gaps) != 0 {
		t.Errorf("%s\nwant %s\nbackups %v, gaps %v", got, want, f.Backups, l.Gaps)
	}
	if strings.Contains(fmt.Sprintf("%+v", f), "mario") || !strings.Contains(fmt.Sprintf("%+v", l.Detail), "mario") {
		t.Error("facts hold a guest's name, or detail does not")
	}
	// Backups are asked for once an hour: the cursor holds them.
	answers["pvesh get /nodes/"] = errors.New("was asked")
	delete(answers, "pvesh get /nodes/pve1/storage/pbs/content")
	l, err = look(t, fake(t, answers, files), "{names: true}", l.Next)
	if f = l.Facts.(evidence.Hypervisor); err != nil || !strings.Contains(words(f), "guest mario-web running 1 since 2025-10-09 backups 1 to") {
		t.Errorf("%s, %v", words(f), err)
	}
}

func TestProxmoxKeepsFromTelling(t *testing.T) {
	for name, tt := range map[string]struct {
		command string
		answer  any
		failed  bool
		why     string
	}{
		"not as root":          {"pvesh get /cluster/resources", host.Result{Exit: 255, Stderr: "please run as root\n"}, true, "root only"},
		"hangs":                {"pvesh get /cluster/resources", context.DeadlineExceeded, true, "did not answer"},
		"100 MB":               {"pvesh get /cluster/resources", host.Result{Cut: true}, true, "more than"},
		"cut in the middle":    {"pvesh get /cluster/resources", `[{"id":"node/pve1","ty`, true, "not the output"},
		"another language":     {"pvesh get /cluster/resources", "nessuna risposta dal cluster", true, "not the output"},
		"HA that fails":        {"pvesh get /cluster/ha/status/current", host.Result{Exit: 1, Stderr: "x"}, false, "exit code 1"},
		"version that fails":   {"pvesh get /version", "{}", false, "version"},
		"a store that is away": {"pvesh get /nodes/pve1/storage/pbs/content", host.Result{Exit: 1, Stderr: "timeout"}, false, "exit code 1"},
		"a store cut off":      {"pvesh get /nodes/pve1/storage/pbs/content", `[{"volid"`, false, "not the output"},
	} {
		t.Run(name, func(t *testing.T) {
			answers, files := proxmox(t)
			answers[tt.command] = tt.answer
			l, err := look(t, fake(t, answers, files), "{}", nil)
			if (err != nil) != tt.failed {
				t.Fatalf("error %v", err)
			}
			text := fmt.Sprint(err, l.Gaps)
			if !strings.Contains(text, tt.why) {
				t.Errorf("%s, want %q", text, tt.why)
			}
			if !tt.failed && strings.Contains(tt.command, "storage") && l.Facts.(evidence.Hypervisor).Backups {
				t.Error("backups count as asked for")
			}
		})
	}
	// What root left is taken; what is old is not.
	answers, files := proxmox(t)
	files["/run/attesto-hypervisor/resources.json"] = answers["pvesh get /cluster/resources"].(string)
	answers["pvesh get /cluster/resources"] = host.Result{Exit: 255, Stderr: "please run as root"}
	h := fake(t, answers, files)
	if _, err := look(t, h, "{}", nil); err != nil {
		t.Error(err)
	}
	if err := os.Chtimes(h.Path("/run/attesto-hypervisor/resources.json"), noon, noon.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := look(t, h, "{}", nil); err == nil || !strings.Contains(err.Error(), "timer") {
		t.Errorf("%v", err)
	}
}

// virsh itself, on libvirt's own test driver: no daemon and no machine are needed.
func TestLibvirt(t *testing.T) {
	hosttest.NeedTool(t, "virsh")
	file, err := filepath.Abs("testdata/libvirt.xml")
	if err != nil {
		t.Fatal(err)
	}
	h := &host.Host{Root: t.TempDir(), Now: time.Now, Run: host.Exec, MachineKey: []byte("key")}
	l, err := look(t, h, "{names: true, libvirt: 'test://"+file+"'}", nil)
	if err != nil {
		t.Fatal(err)
	}
	f := l.Facts.(evidence.Hypervisor)
	if len(f.Hosts) != 1 || f.Hosts[0].State != evidence.HyperOnline || !strings.HasPrefix(f.Hosts[0].Version, "TEST") {
		t.Errorf("hosts %+v", f.Hosts)
	}
	f.Hosts = nil
	if got, want := words(f), "store images available 107374182400/107374182400; guest mario web paused 1 since 2025-10-09"; got != want || len(l.Gaps) != 0 {
		t.Errorf("%s\nwant %s\ngaps %v", got, want, l.Gaps)
	}
	l, err = look(t, h, "{libvirt: 'test://"+file+"'}", nil)
	if err != nil || strings.Contains(fmt.Sprint(l.Facts), "mario") {
		t.Errorf("facts hold a guest's name: %v, %v", l.Facts, err)
	}
	// A daemon that is away.
	if _, err = look(t, h, "{libvirt: 'qemu+unix:///system?socket=/nowhere'}", nil); err == nil {
		t.Error("no error for a daemon that is away")
	}
}

func TestVMware(t *testing.T) {
	const config = "{vmware: [[/usr/bin/attesto-vmware, --config, /a], [/usr/bin/attesto-vmware, --config, /b]]}"
	const one = `{"v":1,"hosts":[{"name":"esx1","connection":"connected","power":"poweredOn"}],"vms":[{"id":"vm-1","name":"mario","power":"poweredOff","connection":"connected"}]}`
	l, err := look(t, fake(t, map[string]any{"/usr/bin/attesto-vmware --config": one}, nil), config, nil)
	if got, want := words(l.Facts.(evidence.Hypervisor)), "host esx1 online; guest vmware-vm-1 stopped 0; guest vmware2-vm-1 stopped 0"; err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	for name, answer := range map[string]any{"absent": host.ErrNoProgram, "refused": host.Result{Exit: 1, Stderr: "x"}, "hangs": context.DeadlineExceeded, "cut": host.Result{Cut: true}, "half": one[:50]} {
		if _, err := look(t, fake(t, map[string]any{"/usr/bin/attesto-vmware": answer}, nil), config, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, bad := range []string{"{vmware: [[attesto-vmware]]}", "{vmware: [[]]}", "{libvirt: '; rm'}"} {
		if _, err := hypervisor.New(func(v any) error { return yaml.Unmarshal([]byte(bad), v) }, &host.Host{}); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestNothingHere(t *testing.T) {
	l, err := look(t, fake(t, nil, nil), "{}", nil)
	if err != nil || !l.Unsupported {
		t.Errorf("%+v, %v", l, err)
	}
	if d := hypervisor.Spec().Detect(t.Context(), fake(t, nil, nil)); d.Useful {
		t.Errorf("%+v", d)
	}
}

func FuzzFormats(f *testing.F) {
	resources, err := os.ReadFile("testdata/resources.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(resources)
	f.Add([]byte("Domain: 'a'\n  state.state=1\n"))
	f.Add([]byte(" Id   Name   State\n----------------------\n 1    test   running\n"))
	f.Add([]byte(`[{"name":"before","snaptime":1760000000}]`))
	f.Add([]byte("name: web\n[before]\nsnaptime: 1760000000\n"))
	f.Add([]byte(`{"v":1,"hosts":[{"name":"a"}],"vms":[{"id":"a","snapshots":["2026-01-02T00:00:00Z"]}]}`))
	f.Add([]byte(`[{"volid":"a","vmid":"100","ctime":1795000000,"verification":{"state":"ok"}}]`))
	hosttest.FuzzFormats(f, hypervisor.Formats(), noon)
}
