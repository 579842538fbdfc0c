package health_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/attesto/attesto/collectors/health"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/host/hosttest"
	"github.com/attesto/attesto/evidence"
)

// machine is a host whose files and answers a test sets.
type machine struct {
	*host.Host
	t     *testing.T
	used  map[string]int64 // percent used, by mount
	hangs map[string]chan struct{}
	asked map[string]int
	// systemctl answers by its verb, the exit code being 0; it stands for
	// states that a real systemd would take minutes to reach. TestRealSystemd runs
	// a real one.
	systemctl map[string]string
	mu        sync.Mutex
	busy      int // of the CPUs, in ticks
	idle      int
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{Host: &host.Host{Root: t.TempDir(), Now: time.Now}, t: t, used: map[string]int64{"/": 40, "/srv": 50},
		hangs: map[string]chan struct{}{}, asked: map[string]int{}, systemctl: map[string]string{"list-units": "[]"}}
	m.Run = func(_ context.Context, c host.Command) (host.Result, error) {
		out, ok := m.systemctl[c.Args[1]] // behind --no-pager
		if !ok || c.Name != "systemctl" {
			return host.Result{Exit: 1, Stderr: "Failed to connect to bus: Host is down\nmore\n"}, nil
		}
		return host.Result{Stdout: []byte(out)}, nil
	}
	m.Usage = func(path string) (host.DiskUsage, error) {
		m.mu.Lock()
		m.asked[path]++
		m.mu.Unlock()
		if wait := m.hangs[path]; wait != nil {
			<-wait
		}
		u, ok := m.used[path]
		if !ok {
			return host.DiskUsage{}, errors.New("no such mount")
		}
		return host.DiskUsage{Size: 1000, Used: u * 10, Free: 1000 - u*10, Inodes: 100, InodesUsed: 7}, nil
	}
	if err := os.MkdirAll(m.Path("/run/systemd/system"), 0o755); err != nil {
		t.Fatal(err)
	}
	m.put("/proc/self/mountinfo", "28 1 254:1 / / rw - ext4 /dev/vda1 rw\n41 28 254:16 / /srv rw - xfs /dev/vdb1 rw\n")
	m.put("/proc/cpuinfo", "processor\t: 0\nprocessor\t: 1\n")
	m.put("/proc/meminfo", "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 600 kB\nSwapTotal: 200 kB\nSwapFree: 150 kB\n")
	m.put("/proc/loadavg", "0.25 0.10 0.05 1/100 4242\n")
	m.put("/proc/uptime", "3600.00 7000.00\n")
	m.put("/proc/self/net/dev", "Inter-|   Receive\n face |bytes\n    lo: 999999 0 0 0 0 0 0 0 999999 0 0 0 0 0 0 0\n  eth0: 1048576 0 0 0 0 0 0 0 1048576 0 0 0 0 0 0 0\n")
	m.work(100, 300)
	return m
}

func (m *machine) put(path, text string) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(m.Path(path)), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(m.Path(path), []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// work adds to the CPUs' counters, in ticks.
func (m *machine) work(busy, idle int) {
	m.busy, m.idle = m.busy+busy, m.idle+idle
	m.put("/proc/stat", fmt.Sprintf("cpu  %d 0 0 %d 0 0 0 0 0 0\nbtime 1764000000\n", m.busy, m.idle))
}

// look has the CPUs a quarter busy since the last look, and for the first look
// while it lasts.
func (m *machine) look(c host.Collector, cursor []byte) (evidence.Health, host.Look) {
	m.t.Helper()
	if cursor != nil {
		m.work(100, 300)
		return look(m.t, c, cursor)
	}
	worked := make(chan struct{})
	go func() {
		time.Sleep(100 * time.Millisecond)
		m.work(100, 300)
		close(worked)
	}()
	f, l := look(m.t, c, nil)
	<-worked
	return f, l
}

func (m *machine) collector(config string) host.Collector {
	m.t.Helper()
	c, err := health.Spec().New(decoder(config), m.Host)
	if err != nil {
		m.t.Fatal(err)
	}
	return c
}

func decoder(config string) func(any) error {
	return func(v any) error {
		dec := yaml.NewDecoder(strings.NewReader(config))
		dec.KnownFields(true)
		return dec.Decode(v)
	}
}

// look collects and checks the facts' own rules.
func look(t *testing.T, c host.Collector, cursor []byte) (evidence.Health, host.Look) {
	t.Helper()
	l, err := c.Collect(t.Context(), cursor)
	if err != nil {
		t.Fatal(err)
	}
	if l.Facts == nil {
		return evidence.Health{}, l
	}
	f := l.Facts.(evidence.Health)
	if err := f.Validate(); err != nil {
		t.Fatalf("facts are not valid: %v", err)
	}
	return f, l
}

func TestFirstLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		f, l := m.look(m.collector("{}"), nil)
		if l.Facts == nil || len(l.Gaps) != 0 || len(f.Samples) != 1 {
			t.Fatalf("%+v", l)
		}
		s := f.Samples[0]
		if s.CPU != 25 || s.MemUsed != 40 || s.SwapUsed != 25 || s.Load1 != 0.25 || s.UptimeS != 3600 {
			t.Errorf("sample %+v", s)
		}
		if f.CPUs != 2 || f.Memory != 1000<<10 || f.Swap != 200<<10 || !f.BootAt.Equal(time.Unix(1764000000, 0)) {
			t.Errorf("sizes %+v", f)
		}
		want := []evidence.Disk{{Mount: "/", FS: "ext4", Size: 1000, UsedPct: 40, InodesPct: 7}, {Mount: "/srv", FS: "xfs", Size: 1000, UsedPct: 50, InodesPct: 7}}
		if !slices.Equal(f.Disks, want) || f.Units.Manager != evidence.ManagerSystemd || f.Units.Unread {
			t.Errorf("disks %+v, units %+v", f.Disks, f.Units)
		}
	})
}

// An hour of looks makes one report, with every sample in it exactly once.
func TestHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		c := m.collector("{}")
		_, l := m.look(c, nil)
		first := time.Now()
		for n := 1; n <= 24; n++ {
			time.Sleep(5 * time.Minute)
			want := 25.0
			if n == 12 {
				m.work(200, 0)
				want = 50
			}
			var f evidence.Health
			f, l = m.look(c, l.Next)
			if n%12 != 0 {
				if l.Facts != nil {
					t.Fatalf("look %d reported", n)
				}
				continue
			}
			if len(f.Samples) != 12 || f.Samples[10].CPU != 25 || f.Samples[11].CPU != want {
				t.Fatalf("look %d: %+v", n, f.Samples)
			}
			if from := first.Add(time.Duration(n-11) * 5 * time.Minute); l.From.Sub(from).Abs() > time.Second || time.Since(l.To).Abs() > time.Second {
				t.Fatalf("look %d: window %v to %v, want from %v", n, l.From, l.To, from)
			}
		}
	})
}

func TestChangesAreToldAtOnce(t *testing.T) {
	const failed = `[{"unit":"a.service","load":"loaded","active":"failed","sub":"failed","description":"A"}]`
	tests := map[string]struct {
		change, undo func(*machine)
		seen         func(evidence.Health) bool
	}{
		"disk full": {func(m *machine) { m.used["/srv"] = 96 }, func(m *machine) { m.used["/srv"] = 50 },
			func(f evidence.Health) bool { return f.Disks[1].UsedPct == 96 }},
		"disk gone": {func(m *machine) { delete(m.used, "/srv") }, func(m *machine) { m.used["/srv"] = 50 },
			func(f evidence.Health) bool { return f.Disks[1].Unreadable }},
		"disk read-only": {func(m *machine) { m.put("/proc/self/mountinfo", "28 1 254:1 / / rw - ext4 /dev/vda1 ro\n") },
			func(m *machine) { m.put("/proc/self/mountinfo", "28 1 254:1 / / rw - ext4 /dev/vda1 rw\n") },
			func(f evidence.Health) bool { return f.Disks[0].ReadOnly }},
		"unit fails": {func(m *machine) { m.systemctl["list-units"] = failed }, func(m *machine) { m.systemctl["list-units"] = "[]" },
			func(f evidence.Health) bool { return slices.Equal(f.Units.Failed, []string{"a.service"}) }},
		"systemd silent": {func(m *machine) { delete(m.systemctl, "list-units") }, func(m *machine) { m.systemctl["list-units"] = "[]" },
			func(f evidence.Health) bool { return f.Units.Unread && f.Units.Failed == nil }},
		"service stops": {func(m *machine) { m.systemctl["show"] = "LoadState=loaded\nActiveState=inactive\nSubState=dead\n" },
			func(m *machine) { m.systemctl["show"] = "LoadState=loaded\nActiveState=active\nSubState=running\n" },
			func(f evidence.Health) bool { return f.Watched[0].State == evidence.ServiceStopped }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMachine(t)
				m.systemctl["show"] = "LoadState=loaded\nActiveState=active\nSubState=running\n"
				c := m.collector("services: [a]")
				_, l := m.look(c, nil)
				if _, l = m.look(c, l.Next); l.Facts != nil {
					t.Fatal("reported without a change")
				}
				tt.change(m)
				f, l := m.look(c, l.Next)
				if l.Facts == nil || !tt.seen(f) || len(f.Samples) != 2 {
					t.Fatalf("the change was not told: %+v", l)
				}
				if _, l = m.look(c, l.Next); l.Facts != nil {
					t.Fatal("told twice")
				}
				tt.undo(m)
				if f, l = m.look(c, l.Next); l.Facts == nil || tt.seen(f) {
					t.Fatalf("the recovery was not told: %+v", l)
				}
			})
		})
	}
}

// A file system that hangs costs a few seconds once, is not asked again while it
// hangs, and is back when it answers.
func TestHungFileSystem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		m.hangs["/srv"] = make(chan struct{})
		c := m.collector("{}")
		start := time.Now()
		f, l := m.look(c, nil)
		if took := time.Since(start); took > 10*time.Second {
			t.Fatalf("took %v", took)
		}
		if f.Disks[0].Unreadable || !f.Disks[1].Unreadable || len(l.Gaps) != 1 || l.Gaps[0].What != "disk /srv" {
			t.Fatalf("disks %+v, gaps %v", f.Disks, l.Gaps)
		}
		_, l = m.look(c, l.Next)
		if m.asked["/srv"] != 1 || len(l.Gaps) != 1 {
			t.Fatalf("asked %d times while it hung; gaps %v", m.asked["/srv"], l.Gaps)
		}
		close(m.hangs["/srv"])
		synctest.Wait()
		if f, l = m.look(c, l.Next); len(l.Gaps) != 0 || f.Disks[1].UsedPct != 50 {
			t.Fatalf("disks %+v, gaps %v", f.Disks, l.Gaps)
		}
	})
}

func TestNoSystemd(t *testing.T) {
	m := newMachine(t)
	if err := os.Remove(m.Path("/run/systemd/system")); err != nil {
		t.Fatal(err)
	}
	f, l := m.look(m.collector("services: [postfix]"), nil)
	if f.Units.Manager != evidence.ManagerNone || f.Watched[0] != (evidence.Service{Name: "postfix.service", State: evidence.ServiceUnknown}) {
		t.Fatalf("%+v", f)
	}
	if len(l.Gaps) != 1 || !strings.Contains(l.Gaps[0].Why, "not booted with systemd") {
		t.Fatalf("gaps %v", l.Gaps)
	}
}

// Each figure that cannot be read is -1 and a gap; the others hold.
func TestUnreadableFigures(t *testing.T) {
	for path, gap := range map[string]string{"/proc/stat": "CPU", "/proc/meminfo": "memory", "/proc/self/mountinfo": "disks", "/proc/uptime": "boot time"} {
		m := newMachine(t)
		if err := os.Remove(m.Path(path)); err != nil {
			t.Fatal(err)
		}
		f, l := m.look(m.collector("{}"), nil)
		if !slices.ContainsFunc(l.Gaps, func(g evidence.Gap) bool { return g.What == gap && g.Why != "" }) {
			t.Errorf("%s: gaps %v, want %s", path, l.Gaps, gap)
		}
		s := f.Samples[0]
		if read := map[string]bool{"CPU": s.CPU != -1, "memory": s.MemUsed != -1, "disks": len(f.Disks) > 0, "boot time": s.UptimeS != -1}; read[gap] {
			t.Errorf("%s: %+v", path, f)
		}
	}
}

func TestDamagedCursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		c := m.collector("{}")
		_, l := m.look(c, nil)
		good := string(l.Next)
		cursors := map[string]string{
			"cut":           good[:len(good)/2],
			"not JSON":      "samples",
			"another":       strings.Replace(good, `"v":1`, `"v":2`, 1),
			"unknown key":   strings.Replace(good, `"v":1`, `"v":1,"x":1`, 1),
			"double key":    strings.Replace(good, `"v":1`, `"v":1,"v":1`, 1),
			"bad state":     strings.Replace(good, `"state":"`, `"state":"x`, 1),
			"bad sample":    strings.Replace(good, `"samples":null`, `"samples":[{"at":"2026-01-01T00:00:00.000Z","cpu":500}]`, 1),
			"too many":      strings.Replace(good, `"samples":null`, `"samples":[`+strings.TrimSuffix(strings.Repeat(`{},`, 12), ",")+`]`, 1),
			"far too large": strings.Repeat(" ", 1<<20) + good,
		}
		for name, text := range cursors {
			if text == good {
				t.Fatalf("%s: nothing was damaged in %s", name, good)
			}
			f, l := m.look(c, []byte(text)) // the CPUs stand still meanwhile: a gap of its own
			if len(f.Samples) != 1 || len(l.Gaps) != 2 || !strings.Contains(l.Gaps[0].Why, "damaged") {
				t.Errorf("%s: %d samples, gaps %v", name, len(f.Samples), l.Gaps)
			}
		}
	})
}

func TestClockGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		shift := time.Duration(0)
		m.Now = func() time.Time { return time.Now().Add(shift) }
		c := m.collector("{}")
		_, l := m.look(c, nil)
		for range 3 {
			time.Sleep(5 * time.Minute)
			_, l = m.look(c, l.Next)
		}
		shift = -7 * time.Minute
		f, l := m.look(c, l.Next)
		if len(f.Samples) != 2 || len(l.Gaps) != 1 || !strings.Contains(l.Gaps[0].Why, "clock") {
			t.Fatalf("%d samples, gaps %v", len(f.Samples), l.Gaps)
		}
	})
}

func TestConfig(t *testing.T) {
	for config, want := range map[string]string{
		"services: ['a b']":      `service "a b"`,
		"services: ['; reboot']": `service "; reboot"`,
		"service: [a]":           "field service not found",
	} {
		if _, err := health.Spec().New(decoder(config), &host.Host{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", config, err, want)
		}
	}
}

// On this very host a look works, whatever the host is.
func TestThisHost(t *testing.T) {
	c, err := health.Spec().New(func(any) error { return nil }, host.Real())
	if err != nil {
		t.Fatal(err)
	}
	f, l := look(t, c, nil)
	if len(f.Disks) == 0 || f.CPUs == 0 || f.Samples[0].MemUsed <= 0 {
		t.Fatalf("%+v", f)
	}
	if d := health.Spec().Detect(t.Context(), host.Real()); !d.Useful {
		t.Errorf("%+v", d)
	}
	t.Logf("%+v, gaps %v", f, l.Gaps)
}

func TestFormats(t *testing.T) {
	formats := map[string]host.Format{}
	for _, f := range health.Formats() {
		formats[f.Name] = f
	}
	mounts := func(f evidence.Health) (list []string) {
		for _, d := range f.Disks {
			list = append(list, d.Mount)
		}
		return list
	}
	failed := func(f evidence.Health) []string { return f.Units.Failed }
	services := func(f evidence.Health) (list []string) {
		for _, s := range f.Watched {
			list = append(list, s.Name+" "+s.State)
		}
		return list
	}
	tests := []struct {
		file, format string
		read         func(evidence.Health) []string
		want         []string
	}{
		{"failed.json", "systemd-failed", failed, []string{"broken.service", "wrapper@-.service"}},
		{"failed-plain.txt", "systemd-failed", failed, []string{"broken.service", "wrapper@-.service"}},
		{"failed-legend.txt", "systemd-failed", failed, []string{"broken.service", "wrapper@-.service"}},
		{"show.txt", "systemd-show", services, []string{"broken.service stopped", "loop.service stopped", "good.service running", "wrapper.service running", "nope.service stopped"}},
		{"mountinfo-vm.txt", "mountinfo", mounts, []string{"/", "/boot/efi", "/srv/mail store"}},
		{"mountinfo-container.txt", "mountinfo", mounts, []string{"/"}},
		{"mountinfo-btrfs.txt", "mountinfo", mounts, []string{"/", "/data", "/tank"}},
	}
	used := map[string]bool{}
	for _, tt := range tests {
		used[tt.file] = true
		data, err := os.ReadFile(filepath.Join("testdata", tt.file))
		if err != nil {
			t.Fatal(err)
		}
		l, err := formats[tt.format].Parse(data, time.Now())
		if err != nil {
			t.Errorf("%s: %v", tt.file, err)
			continue
		}
		if got := tt.read(l.Facts.(evidence.Health)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.file, got, tt.want)
		}
	}
	files, err := filepath.Glob("testdata/*.*")
	if err != nil || len(files) != len(used) {
		t.Errorf("%d samples, %d of them tried (%v): %v", len(files), len(used), err, slices.Sorted(maps.Keys(used)))
	}
}

func TestNoFailedUnits(t *testing.T) {
	for _, none := range []string{"[]", "", "\n", "0 loaded units listed.\n", "  UNIT LOAD ACTIVE SUB DESCRIPTION\n0 loaded units listed. Pass --all to see loaded but inactive units, too.\n"} {
		if got, err := health.ParseFailedUnits([]byte(none)); err != nil || len(got) != 0 {
			t.Errorf("%q: %v, %v", none, got, err)
		}
	}
	for _, bad := range []string{"[{", `[{"unit":"a.service"}]`, `[{"unit":"a b","active":"failed"}]`, "{}", "Failed to list units: Connection timed out",
		"System has not been booted with systemd as init system (PID 1). Can't operate.", "broken.serv"} {
		if got, err := health.ParseFailedUnits([]byte(bad)); err == nil {
			t.Errorf("%q read as %v", bad, got)
		}
	}
}

func FuzzFormats(f *testing.F) {
	for _, name := range []string{"failed.json", "failed-plain.txt", "failed-legend.txt", "show.txt"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("Time zone: Etc/UTC\nSystem clock synchronized: yes\n"))
	f.Add([]byte("System time : 1.5 seconds fast of NTP time\nLeap status : Normal\n"))
	hosttest.FuzzFormats(f, health.Formats(), time.Unix(1764000000, 0))
}

func FuzzCursor(f *testing.F) {
	f.Add([]byte(`{"v":1,"samples":[{"at":"2026-01-01T00:00:00.000Z","cpu":5,"load1":1,"mem":2,"swap":0,"uptime":3}],"cpu":{"busy":1,"total":2},"state":"` + strings.Repeat("0", 64) + `"}`))
	h := &host.Host{Root: f.TempDir(), Now: time.Now}
	c, err := health.Spec().New(func(any) error { return nil }, h)
	if err != nil {
		f.Fatal(err)
	}
	bound := hosttest.NewBound("cursor", func(b []byte) { _, _ = c.Collect(context.Background(), b) })
	f.Fuzz(func(t *testing.T, b []byte) {
		bound.Check(t, b)
		l, err := c.Collect(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		if l.Facts != nil {
			if err := l.Facts.Validate(); err != nil {
				t.Fatal(err)
			}
		}
		if len(l.Next) > 16<<10 {
			t.Fatalf("cursor of %d bytes", len(l.Next))
		}
	})
}

// A week is remembered by hours, and told once a day.
func TestWeek(t *testing.T) {
	m := newMachine(t)
	now := time.Date(2026, 11, 23, 9, 2, 0, 0, time.UTC)
	m.Now = func() time.Time { return now }
	c := m.collector("{}")
	f, l := m.look(c, nil)
	told, sent := 0, int64(2<<20)
	for range 9 * 24 * 2 { // every half an hour for nine days
		if len(f.Week) > 0 {
			told++
		}
		now = now.Add(30 * time.Minute)
		sent += 1 << 20
		m.put("/proc/self/net/dev", fmt.Sprintf("eth0: 0 0 0 0 0 0 0 0 %d 0 0 0 0 0 0 0\n", sent))
		f, l = m.look(c, l.Next)
	}
	if told != 10 { // on the first day and on each of the nine that follow
		t.Errorf("told %d times in nine days", told)
	}
	for f.Week == nil {
		now = now.Add(30 * time.Minute)
		f, l = m.look(c, l.Next)
	}
	last := f.Week[len(f.Week)-1]
	if len(f.Week) != 168 || last.CPU != 25 || last.Mem != 40 || last.Disk != 50 || last.Load != 0.25 || f.Week[0].Net != 2 || !last.At.Before(now) {
		t.Errorf("%d hours, the last %+v", len(f.Week), last)
	}
	if len(l.Next) > 32<<10 {
		t.Errorf("the cursor has %d bytes", len(l.Next))
	}
	now = now.Add(-48 * time.Hour)
	if f, l = m.look(c, l.Next); len(l.Gaps) != 0 && f.Week != nil {
		t.Errorf("a clock that went back: %v", l.Gaps)
	}
	if _, l = m.look(c, l.Next); strings.Contains(fmt.Sprint(l.Gaps), "damaged") {
		t.Errorf("the cursor is damaged: %v", l.Gaps)
	}
}

func TestClock(t *testing.T) {
	m := newMachine(t)
	m.put("/etc/timezone", "Europe/Rome\n")
	for want, answer := range map[string]func() (host.KernelClock, error){
		"yes 1.5 kernel": func() (host.KernelClock, error) {
			return host.KernelClock{Synced: true, Offset: 1500 * time.Microsecond}, nil
		},
		"no":      func() (host.KernelClock, error) { return host.KernelClock{}, nil },
		"unknown": func() (host.KernelClock, error) { return host.KernelClock{}, host.ErrUnknown },
	} {
		m.Clock = answer
		f, _ := m.look(m.collector("{}"), nil)
		got := f.Clock.Synced
		if f.Clock.OffsetMillis != nil {
			got += fmt.Sprintf(" %g %s", *f.Clock.OffsetMillis, f.Clock.From)
		}
		if got != want || f.Clock.Zone != "Europe/Rome" {
			t.Errorf("%s in %q, want %s", got, f.Clock.Zone, want)
		}
	}
	if _, l := m.look(m.collector("{ntp: 127.0.0.1:1}"), nil); !strings.Contains(fmt.Sprint(l.Gaps), "time server 127.0.0.1:1") {
		t.Errorf("a time server that is not there: %v", l.Gaps)
	}
	if _, err := health.Spec().New(decoder("{ntp: 'a b'}"), m.Host); err == nil {
		t.Error("two words were taken for a time server")
	}
}

func TestClockFormats(t *testing.T) {
	formats := map[string]host.Format{}
	for _, f := range health.Formats() {
		formats[f.Name] = f
	}
	for _, tt := range []struct{ format, text, want string }{
		{"timedatectl", "      Local time: Wed\n       Time zone: Europe/Rome (CET, +0100)\n     NTP enabled: yes\nNTP synchronized: no\n", "no Europe/Rome"},
		{"timedatectl", "                Time zone: Etc/UTC (UTC, +0000)\nSystem clock synchronized: yes\n              NTP service: active\n", "yes Etc/UTC"},
		{"timedatectl", "Timezone=Europe/Rome\nNTPSynchronized=yes\n", "yes Europe/Rome"},
		{"timedatectl", "programma non trovato\n", "error"},
		{"chronyc-tracking", "Reference ID    : 0A000001\nSystem time     : 0.250000000 seconds slow of NTP time\nLeap status     : Normal\n", "yes 250 ntp "},
		{"chronyc-tracking", "System time     : 1.5 seconds fast of NTP time\nLeap status     : Not synchronised\n", "no -1500 ntp "},
		{"chronyc-tracking", "506 Cannot talk to daemon\n", "error"},
	} {
		look, err := formats[tt.format].Parse([]byte(tt.text), time.Now())
		got := "error"
		if err == nil {
			c := look.Facts.(evidence.Health).Clock
			got = c.Synced + " "
			if c.OffsetMillis != nil {
				got += fmt.Sprintf("%g %s ", *c.OffsetMillis, c.From)
			}
			got += c.Zone
		}
		if got != tt.want {
			t.Errorf("%.60q: %q, want %q", tt.text, got, tt.want)
		}
	}
}
