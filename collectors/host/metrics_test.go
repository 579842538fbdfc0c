package host_test

import (
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/host/hosttest"
)

func TestMountInfo(t *testing.T) {
	const text = "28 1 254:1 / / ro,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro\n" +
		"41 28 254:16 /sub /srv/mail\\040store rw - xfs /dev/vdb1 ro,attr2\n" +
		"42 28 0:9 - /odd rw master:1 propagate_from:2 - tmpfs  rw\n"
	got, err := host.ParseMountInfo([]byte(text))
	want := []host.Mount{
		{Path: "/", Type: "ext4", Device: "254:1", Root: "/"}, // a read-only view of a writable file system
		{Path: "/srv/mail store", Type: "xfs", Device: "254:16", Root: "/sub", ReadOnly: true},
		{Path: "/odd", Type: "tmpfs", Device: "0:9", Root: "-"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v (%v), want %+v", got, err, want)
	}
	for _, bad := range []string{"28 1 254:1 / / rw,rel", "28 1 254:1 / / rw - ext4", strings.Repeat("x", 2<<20)} {
		if m, err := host.ParseMountInfo([]byte(bad)); err == nil {
			t.Errorf("%.40q read as %v", bad, m)
		}
	}
}

func TestBootTime(t *testing.T) {
	at, err := host.ParseBootTime([]byte("cpu 1 2 3\nbtime 1764000000\nprocesses 5\n"))
	if err != nil || !at.Equal(time.Unix(1764000000, 0)) {
		t.Fatalf("%v, %v", at, err)
	}
	for _, bad := range []string{"", "cpu 1", "btime \n", "btime -5\n", "btime 99999999999999999999\n"} {
		if at, err := host.ParseBootTime([]byte(bad)); err == nil {
			t.Errorf("%q read as %v", bad, at)
		}
	}
	for text, want := range map[string]time.Duration{"12.50 3.00\n": 12500 * time.Millisecond, "": -1, "NaN 1": -1, "-1 0": -1, "1e300": -1} {
		up, err := host.ParseUptime([]byte(text))
		if (err != nil) != (want < 0) || err == nil && up != want {
			t.Errorf("uptime %q: %v, %v", text, up, err)
		}
	}
}

// The machine that the test runs on.
func TestRealMetrics(t *testing.T) {
	h, ctx := host.Real(), t.Context()
	if n, err := h.CPUs(ctx); err != nil || n < 1 {
		t.Errorf("CPUs %d, %v", n, err)
	}
	if c, err := h.CPUTime(ctx); err != nil || c.Busy <= 0 || c.Total <= c.Busy {
		t.Errorf("CPU time %+v, %v", c, err)
	}
	if m, err := h.Memory(ctx); err != nil || m.Total < 1<<20 || m.Available <= 0 || m.Available > m.Total {
		t.Errorf("memory %+v, %v", m, err)
	}
	if _, err := h.Load1(ctx); err != nil && runtime.GOOS != "windows" {
		t.Error(err)
	}
	at, up, err := h.Boot(ctx)
	if err != nil || up <= 0 || at.After(time.Now()) {
		t.Errorf("boot %v, up %v, %v", at, up, err)
	}
	mounts, err := h.Mounts(ctx)
	if err != nil || len(mounts) == 0 {
		t.Errorf("mounts %v, %v", mounts, err)
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if u, err := h.DiskUsage(dir); err != nil || u.Size <= 0 || u.Used+u.Free > u.Size {
		t.Errorf("usage %+v, %v", u, err)
	}
}

// What cannot be read is an error, never a zero.
func TestNothingToRead(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	h, ctx := &host.Host{Root: filepath.Join(t.TempDir(), "none"), Now: time.Now}, t.Context()
	t.Setenv("HOST_PROC", "/proc") // must not win over Root
	if v, err := h.CPUTime(ctx); err == nil {
		t.Errorf("CPU time %+v", v)
	}
	if v, err := h.CPUs(ctx); err == nil {
		t.Errorf("%d CPUs", v)
	}
	if v, err := h.Memory(ctx); err == nil {
		t.Errorf("memory %+v", v)
	}
	if v, _, err := h.Boot(ctx); err == nil {
		t.Errorf("boot %v", v)
	}
	if v, err := h.Mounts(ctx); err == nil {
		t.Errorf("mounts %v", v)
	}
	if v, err := h.DiskUsage("/"); err == nil {
		t.Errorf("usage %+v", v)
	}
}

func FuzzMountInfo(f *testing.F) {
	f.Add([]byte("28 1 254:1 / / ro,relatime shared:1 - ext4 /dev/vda1 rw\n"))
	f.Add([]byte("28 1 254:1 / /a\\040b rw - ext4 /dev/vda1 rw\n"))
	bound := hosttest.NewBound("mountinfo", func(b []byte) { _, _ = host.ParseMountInfo(b) })
	f.Fuzz(func(t *testing.T, b []byte) {
		bound.Check(t, b)
		m, err := host.ParseMountInfo(b)
		if err == nil && len(m) > 1+len(b)/10 {
			t.Fatalf("%d mounts from %d bytes", len(m), len(b))
		}
	})
}

func FuzzProcFiles(f *testing.F) {
	f.Add([]byte("btime 1764000000\n"))
	f.Add([]byte("12.5 3\n"))
	bound := hosttest.NewBound("stat and uptime", func(b []byte) {
		_, _ = host.ParseBootTime(b)
		_, _ = host.ParseUptime(b)
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		bound.Check(t, b)
		if at, err := host.ParseBootTime(b); err == nil && at.Unix() <= 0 {
			t.Fatalf("boot %v", at)
		}
		if up, err := host.ParseUptime(b); err == nil && up < 0 {
			t.Fatalf("up %v", up)
		}
	})
}

func TestNetDev(t *testing.T) {
	const head = "Inter-|   Receive |  Transmit\n face |bytes packets|bytes packets\n"
	for text, want := range map[string]int64{
		head + "    lo: 5 0 0 0 0 0 0 0 5 0 0 0 0 0 0 0\n  eth0: 100 0 0 0 0 0 0 0 23 0 0 0 0 0 0 0\n":                                   123,
		head + "ens3:7 0 0 0 0 0 0 0 1 0 0 0 0 0 0 0\nveth1: 9 0 0 0 0 0 0 0 9 0 0 0 0 0 0 0\nens3.5: 3 0 0 0 0 0 0 0 3 0 0 0 0 0 0 0\n": 8,
		head: -1, "": -1, "eth0: x 0 0 0 0 0 0 0 1 0 0 0 0 0 0 0\n": -1, "eth0: -5 0 0 0 0 0 0 0 1 0 0 0 0 0 0 0\n": -1,
	} {
		got, err := host.ParseNetDev([]byte(text))
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%q: %d, want %d (%v)", text, got, want, err)
		}
	}
}

func FuzzNetDev(f *testing.F) {
	f.Add([]byte("eth0: 100 0 0 0 0 0 0 0 23 0 0 0 0 0 0 0\n"))
	bound := hosttest.NewBound("net/dev", func(b []byte) { _, _ = host.ParseNetDev(b) })
	f.Fuzz(func(t *testing.T, b []byte) {
		bound.Check(t, b)
		if n, err := host.ParseNetDev(b); err == nil && n < 0 {
			t.Fatal(n)
		}
	})
}
