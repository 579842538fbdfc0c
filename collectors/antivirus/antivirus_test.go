package antivirus_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/antivirus"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/host/hosttest"
	"github.com/attesto/attesto/evidence"
)

var now = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func header(version, seconds int) string {
	return fmt.Sprintf("%-512s", fmt.Sprintf("ClamAV-VDB:22 Nov 2026 08-30 +0000:%d:2066:90:X:X:attesto:%d", version, seconds))
}

// machine is a host with files, and programs whose output is given by their name and first arguments.
func machine(t *testing.T, files, programs map[string]string) *host.Host {
	t.Helper()
	h := &host.Host{Root: t.TempDir(), Now: func() time.Time { return now }, MachineKey: []byte("key")}
	h.Run = func(_ context.Context, c host.Command) (host.Result, error) {
		line := strings.Join(append([]string{c.Name}, c.Args...), " ")
		for start, out := range programs {
			if strings.HasPrefix(line, start) {
				return host.Result{Stdout: []byte(out)}, nil
			}
		}
		return host.Result{}, fmt.Errorf("%s: %w", c.Name, host.ErrNoProgram)
	}
	for path, text := range files {
		full := h.Path(path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func newCollector(t *testing.T, h *host.Host, cfg antivirus.Config) host.Collector {
	t.Helper()
	c, err := antivirus.Spec().New(func(v any) error { *v.(*antivirus.Config) = cfg; return nil }, h)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func look(t *testing.T, h *host.Host, cfg antivirus.Config) (evidence.Antivirus, host.Look) {
	t.Helper()
	l, err := newCollector(t, h, cfg).Collect(t.Context(), nil)
	if err != nil {
		t.Fatalf("%v, gaps %v", err, l.Gaps)
	}
	f := l.Facts.(evidence.Antivirus)
	if err := f.Validate(); err != nil {
		t.Fatal(err)
	}
	return f, l
}

const freshLog = `Sun Nov 22 21:31:00 2026 -> --------------------------------------
Sun Nov 22 21:31:00 2026 -> ClamAV update process started at Sun Nov 22 21:31:00 2026
Sun Nov 22 21:31:01 2026 -> daily.cld database is up-to-date (version: 27800, sigs: 2066, f-level: 90, builder: raynman)
Sun Nov 22 21:31:01 2026 -> main.cvd database is up-to-date (version: 63, sigs: 3287027, f-level: 90, builder: tomjudge)
`

const scanLog = `/srv/www/secret-name.php: Php.Test FOUND

----------- SCAN SUMMARY -----------
Known viruses: 8708688
Engine version: 1.4.3
Scanned directories: 12
Scanned files: 345
Infected files: 1
Total errors: 2
Data scanned: 10.50 MB
Data read: 8.20 MB (ratio 1.28:1)
Time: 14.226 sec (0 m 14 s)
Start Date: 2026:11:22 03:00:00
End Date:   2026:11:22 03:00:14
`

func TestClamAV(t *testing.T) {
	built := int(now.Add(-25 * time.Hour).Unix())
	h := machine(t, map[string]string{
		"/var/lib/clamav/daily.cvd":         header(27790, built-900_000),
		"/var/lib/clamav/daily.cld":         header(27800, built),
		"/var/lib/clamav/main.cvd":          header(63, 1_700_000_000),
		"/var/log/clamav/freshclam.log":     freshLog,
		"/var/log/clamav/clamscan-week.log": scanLog,
		"/proc/7/comm":                      "clamonacc\n",
	}, map[string]string{"clamscan --version": "ClamAV 1.4.3/27800/Sun Nov 22 08:00:00 2026\n"})
	f, l := look(t, h, antivirus.Config{})
	if len(l.Gaps) != 0 || len(f.Products) != 1 {
		t.Fatalf("gaps %v, products %+v", l.Gaps, f.Products)
	}
	p := f.Products[0]
	if p.Engine != "1.4.3" || p.Served != "2028-08-15" || p.Supported != "2027-08-15" || p.RealTime != evidence.Yes || p.Running != "" {
		t.Errorf("%+v", p)
	}
	if len(p.Definitions) != 2 || p.Definitions[0].Version != "27800" || !p.Definitions[0].Decides || p.Definitions[1].Decides {
		t.Errorf("definitions %+v", p.Definitions)
	}
	if age, ok := p.Age(now, now); !ok || age != 25*time.Hour {
		t.Errorf("age %v %t", age, ok)
	}
	if p.Update.Result != evidence.UpdateOK || p.Update.At.Hour() != 21 || p.Scan == nil || *p.Scan.Infected != 1 || *p.Scan.Files != 345 || *p.Scan.Errors != 2 || p.Scan.At.Day() != 22 {
		t.Errorf("update %+v, scan %+v", p.Update, p.Scan)
	}
	if all, err := json.Marshal(l); err != nil || bytes.Contains(all, []byte("secret-name")) {
		t.Errorf("a file's name left the host: %s (%v)", all, err)
	}
	if l, err := newCollector(t, h, antivirus.Config{Skip: []string{"clamav"}}).Collect(t.Context(), nil); err != nil || !l.Unsupported {
		t.Errorf("what is left out: %+v (%v)", l, err)
	}
}

// What is absent, hangs, or may not be read.
func TestWhatCannotBeSeen(t *testing.T) {
	l, err := newCollector(t, machine(t, nil, nil), antivirus.Config{}).Collect(t.Context(), nil)
	if err != nil || !l.Unsupported || len(l.Gaps) != 1 {
		t.Errorf("nothing there: %+v (%v)", l, err)
	}
	h := machine(t, map[string]string{"/var/lib/clamav/daily.cld": header(1, 1_790_000_000)[:300], "/proc/1/comm": "init"}, map[string]string{"clamscan --version": "Motore sconosciuto\n"})
	f, l := look(t, h, antivirus.Config{})
	if p := f.Products[0]; len(p.Definitions) != 0 || p.Update.Result != evidence.UpdateUnknown || p.Engine != "" || len(l.Gaps) != 3 {
		t.Errorf("cut header: %+v, gaps %v", p, l.Gaps)
	}
	if _, ok := f.Products[0].Age(now, now); ok {
		t.Error("an age out of nothing")
	}
	h = machine(t, map[string]string{"/usr/bin/imunify360-agent": "", "/var/imunify360/files/sigs/v1/a.hdb": ""}, nil)
	h.Run = func(_ context.Context, _ host.Command) (host.Result, error) {
		return host.Result{Exit: 1, Stderr: "permesso negato\naltro"}, nil
	}
	f, l = look(t, h, antivirus.Config{})
	if p := f.Products[0]; p.Licence != evidence.Unknown || len(p.Definitions) != 1 || len(l.Gaps) < 3 || strings.Contains(l.Gaps[0].Why, "altro") {
		t.Errorf("no permission: %+v, gaps %v", p, l.Gaps)
	}
}

// A program that hangs, and leaves a child, is ended with it; one that floods is stopped.
func TestRealPrograms(t *testing.T) {
	dir := t.TempDir()
	script := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pid := filepath.Join(dir, "pid")
	cfg := antivirus.Config{Others: []antivirus.Other{
		{Name: "good", Command: []string{script("good", `echo '{"engine":"7","definitions":[{"built":"2026-11-23T01:00:00Z"}],"realTime":"yes"}'`)}},
		{Name: "flood", Command: []string{script("flood", "exec head -c 100000000 /dev/zero")}},
		{Name: "cut", Command: []string{script("cut", `printf '{"engine":"7"'`)}},
		{Name: "hangs", Command: []string{script("hangs", "sleep 300 & echo $! > "+pid+"; wait")}},
	}}
	h := machine(t, nil, nil)
	h.Run = host.Exec
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	start := time.Now()
	l, err := newCollector(t, h, cfg).Collect(ctx, nil)
	if err != nil || time.Since(start) > 5*time.Second {
		t.Fatalf("%v after %s", err, time.Since(start))
	}
	ps := l.Facts.(evidence.Antivirus).Products
	ps = slices.DeleteFunc(ps, func(p evidence.AntivirusProduct) bool { return p.Name == "clamav" }) // of this machine
	if len(ps) != 1 || ps[0].Name != "good" || ps[0].RealTime != evidence.Yes || !ps[0].Definitions[0].Decides {
		t.Errorf("products %+v, gaps %v", ps, l.Gaps)
	}
	for _, want := range []string{"product flood: " + cfg.Others[1].Command[0] + " printed over", "product cut: ", "product hangs: " + cfg.Others[3].Command[0] + " did not answer"} {
		if !slices.ContainsFunc(l.Gaps, func(g evidence.Gap) bool { return strings.HasPrefix(g.What+": "+g.Why, want) }) {
			t.Errorf("no gap %q in %v", want, l.Gaps)
		}
	}
	child, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		state, err := os.ReadFile("/proc/" + strings.TrimSpace(string(child)) + "/stat")
		if errors.Is(err, fs.ErrNotExist) || strings.Contains(string(state), ") Z ") {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the child of a program that hung lives on")
}

func TestSettings(t *testing.T) {
	for _, cfg := range []antivirus.Config{
		{ScanLogs: []string{"scan.log"}},
		{Others: []antivirus.Other{{Name: "X"}}},
		{Others: []antivirus.Other{{Name: "clamav", File: "/a"}}},
		{Others: []antivirus.Other{{Name: "x"}}},
		{Others: []antivirus.Other{{Name: "x", File: "/a", Command: []string{"/b"}}}},
		{Others: []antivirus.Other{{Name: "x", Command: []string{"b"}}}},
	} {
		if _, err := antivirus.Spec().New(func(v any) error { *v.(*antivirus.Config) = cfg; return nil }, nil); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
}

func TestEngines(t *testing.T) {
	b, err := os.ReadFile("engines.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := antivirus.ParseEngines(b); err != nil {
		t.Fatal(err)
	}
	for engine, served := range map[string]string{"1.0.9": "2026-11-28", "1.4.3+dfsg": "2028-08-15", "0.105.2": "2023-09-01", "0.98.7": "2021-03-01", "1.5.1": "open", "1.6.0": ""} {
		f := explain(t, "clamav-version", "ClamAV "+engine)
		if got := f.Products[0].Served; got != served {
			t.Errorf("%s is served until %q, want %q", engine, got, served)
		}
	}
}

func format(t testing.TB, name string) host.Format {
	t.Helper()
	i := slices.IndexFunc(antivirus.Formats(), func(f host.Format) bool { return f.Name == name })
	if i < 0 {
		t.Fatalf("no format %s", name)
	}
	return antivirus.Formats()[i]
}

func explain(t testing.TB, name, text string) evidence.Antivirus {
	t.Helper()
	l, err := format(t, name).Parse([]byte(text), now)
	if err != nil {
		t.Fatalf("%s: %v of %.200q", name, err, text)
	}
	return l.Facts.(evidence.Antivirus)
}

func FuzzFormats(f *testing.F) {
	for _, seed := range []string{header(1, 1_700_000_000), "ClamAV 1.4.3/27800/Sun Nov 22 09:30:00 2026", freshLog, scanLog, licence, malware, scans, "AMProductVersion : 4\nAntivirusSignatureAge : 3\n",
		`{"AMProductVersion":"4","QuickScanAge":4294967295,"FullScanAge":4294967295}`, `{"engine":"1","definitions":[{"days":1}],"scan":{"at":"2026-11-23T01:00:00+01:00"}}`} {
		f.Add([]byte(seed))
	}
	hosttest.FuzzFormats(f, antivirus.Formats(), now)
}
