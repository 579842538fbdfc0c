package main

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/attesto/attesto/evidence"
)

func check(args ...string) (int, string) {
	var out bytes.Buffer
	return run(args, &out, &out), out.String()
}

func TestSoundBundle(t *testing.T) {
	code, out := check("--json", makeBundle(t, 600))
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != exitProven {
		t.Fatalf("exit %d, %v: %s", code, err, out)
	}
	if a := r.Agents[0]; r.Epochs[0].Records != 601 || r.Blobs != 600 || a.LastSeq != 600 || a.Interval != 60 || a.ClockSteps != 0 {
		t.Errorf("%+v, %+v", r.Epochs[0], a)
	}
}

// Bundles that are meant to harm the one who checks them end at once, and say why.
func TestHostileBundles(t *testing.T) {
	sound := makeBundle(t, 3)
	manifest := func(d string, change func(string) string) {
		b, err := os.ReadFile(filepath.Join(d, evidence.BundleManifest))
		if err != nil {
			t.Fatal(err)
		}
		put(t, d, evidence.BundleManifest, []byte(change(string(b))))
	}
	for _, tt := range []struct {
		name string
		harm func(d string)
		code int
		want string
	}{
		{"nothing in it", func(d string) { _ = os.RemoveAll(d); _ = os.Mkdir(d, 0o755) }, exitUnusable, "keys/root.pub"},
		{"a link that leads outside", func(d string) {
			_ = os.Remove(filepath.Join(d, "log/checkpoint"))
			_ = os.Symlink("/etc/hostname", filepath.Join(d, "log/checkpoint"))
		}, exitUnusable, "log/checkpoint"},
		{"a pipe in place of a file", func(d string) {
			_ = os.Remove(filepath.Join(d, "log/checkpoint"))
			if out, err := exec.Command("mkfifo", filepath.Join(d, "log/checkpoint")).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}, exitUnusable, "not a regular file"},
		{"a huge file", func(d string) { _ = os.Truncate(filepath.Join(d, evidence.BundleManifest), 1<<40) }, exitUnusable, "larger than"},
		{"a huge list of files", func(d string) { _ = os.Truncate(filepath.Join(d, evidence.BundleSums), 1<<40) }, exitUnusable, "larger than"},
		{"one endless line", func(d string) { put(t, d, evidence.BundleSums, bytes.Repeat([]byte("x"), 1<<20)) }, exitUnusable, "too long"},
		{"paths that lead outside", func(d string) {
			put(t, d, evidence.BundleSums, []byte(strings.Repeat("0", 64)+"  ../../etc/passwd\n"))
		}, exitUnproven, "not a digest and a path"},
		{"a log of 9 * 10^18 entries", func(d string) {
			manifest(d, func(s string) string {
				return strings.Replace(strings.Replace(s, `"size":4`, `"size":9000000000000000000`, 1), `"next":4`, `"next":9000000000000000000`, 1)
			})
		}, exitUnproven, "the manifest 9000000000000000000"},
		{"a number beyond 64 bits", func(d string) {
			manifest(d, func(s string) string { return strings.Replace(s, `"size":4`, `"size":99999999999999999999`, 1) })
		}, exitUnusable, "manifest"},
		{"a key twice", func(d string) {
			manifest(d, func(s string) string { return strings.Replace(s, `"detail":false`, `"detail":false,"Detail":true`, 1) })
		}, exitUnusable, "twice"},
		{"terminal commands in a name", func(d string) {
			manifest(d, func(s string) string { return strings.Replace(s, `"Rossi"`, `"\u001b[2Jproven"`, 1) })
		}, exitUnproven, `"\x1b[2Jproven"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "b")
			if err := os.CopyFS(dir, os.DirFS(sound)); err != nil {
				t.Fatal(err)
			}
			tt.harm(dir)
			if code, out := check(dir); code != tt.code || !strings.Contains(out, tt.want) || strings.Contains(out, "\x1b") {
				t.Errorf("exit %d, want %d and %q:\n%s", code, tt.code, tt.want, out)
			}
		})
	}
}

func put(t testing.TB, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func zipOf(t *testing.T, fill func(z *zip.Writer)) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "b.zip")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	fill(z)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestHostileZips(t *testing.T) {
	add := func(z *zip.Writer, name string, n int) {
		f, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name, want string
		fill       func(z *zip.Writer)
	}{
		{"a bomb", "would unfold to", func(z *zip.Writer) {
			for i := range 10 {
				add(z, fmt.Sprint("x", i), 20<<20)
			}
		}},
		{"a path that leads outside", "not a path inside", func(z *zip.Writer) { add(z, "../../x", 1) }},
		{"an absolute path", "not a path inside", func(z *zip.Writer) { add(z, "/etc/x", 1) }},
		{"a file twice", "stands twice", func(z *zip.Writer) { add(z, "x", 1); add(z, "x", 1) }},
		{"one file of 300 MiB", "would unfold to", func(z *zip.Writer) { add(z, "x", 300<<20) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if code, out := check(zipOf(t, tt.fill)); code != exitUnusable || !strings.Contains(out, tt.want) {
				t.Errorf("exit %d, want %q:\n%s", code, tt.want, out)
			}
		})
	}
	t.Run("ten million files", func(t *testing.T) {
		// The end of an archive that says so; its directory is not read.
		end := make([]byte, 56+20+22)
		copy(end, "PK\x06\x06")
		binary.LittleEndian.PutUint64(end[32:], 10_000_000)
		copy(end[56:], "PK\x06\x07")
		copy(end[76:], "PK\x05\x06")
		binary.LittleEndian.PutUint16(end[86:], 0xffff)
		name := filepath.Join(t.TempDir(), "b.zip")
		put(t, filepath.Dir(name), "b.zip", end)
		if code, out := check(name); code != exitUnusable || !strings.Contains(out, errTooMany.Error()) {
			t.Errorf("exit %d:\n%s", code, out)
		}
	})
	t.Run("no zip", func(t *testing.T) {
		put(t, t.TempDir(), "x", nil)
		if code, out := check("verify_test.go"); code != exitUnusable || !strings.Contains(out, "zip") {
			t.Errorf("exit %d:\n%s", code, out)
		}
	})
}

func TestPolicy(t *testing.T) {
	vkey := func(name string, b byte) string {
		return evidence.WitnessVKey(name, seeded(t, b).Private().Public().(ed25519.PublicKey))
	}
	three := fmt.Sprintf("log x\nwitness a %s\nwitness b %s https://b.example # its address\nwitness c %s\n", vkey("A", 1), vkey("B", 2), vkey("C", 3))
	for _, tt := range []struct {
		text string
		seen string
		met  bool
	}{
		{"group g any a b c\nquorum g\n", "c", true},
		{"group g 2 a b c\nquorum g\n", "c", false},
		{"group g 2 a b c\nquorum g\n", "ac", true},
		{"group g all a b\nquorum g\n", "bc", false},
		{"group g any a b\ngroup h all g c\nquorum h\n", "bc", true},
		{"quorum b\n", "b", true},
	} {
		p, err := parsePolicy([]byte(three + tt.text))
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, c := range tt.seen {
			seen[string(c)] = true
		}
		if got := p.met(p.quorum, seen); got != tt.met {
			t.Errorf("%q seen by %s: %v", tt.text, tt.seen, got)
		}
	}
	for _, bad := range []string{"", "quorum x\n", "group g 4 a b c\nquorum g\n", "group g any a a\nquorum g\n", "group g any d\nquorum g\n",
		"witness a " + vkey("A", 1) + "\nquorum a\n", "quorum a\nquorum b\n", "nonsense\nquorum a\n", "witness d D+00000000+BAAA\nquorum d\n"} {
		if _, err := parsePolicy([]byte(three + bad)); err == nil {
			t.Errorf("accepted: %q", bad)
		}
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add([]byte("witness a A+1+BAAA\ngroup g any a\nquorum g\n"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		if p, err := parsePolicy(b); err == nil {
			p.met(p.quorum, nil)
		}
	})
}

func FuzzEntryBundle(f *testing.F) {
	f.Add([]byte("\x00\x02{}"), 1)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if lines, err := splitBundle(b, n%tileWidth); err == nil && len(lines) != n%tileWidth {
			t.Fatal("another number of entries")
		}
	})
}

// FuzzBundle changes one file of a sound bundle and signs the list of files anew:
// it must not crash, hang or be proven.
func FuzzBundle(f *testing.F) {
	sound := makeBundle(f, 3)
	files := []string{"log/checkpoint", "log/tile/0/000.p/4", "log/tile/entries/000.p/4", "records/000000000000.jsonl", "keys/policy", evidence.BundleManifest}
	for i, name := range files {
		b, err := os.ReadFile(filepath.Join(sound, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i, b)
	}
	f.Fuzz(func(t *testing.T, which int, data []byte) {
		name := files[uint(which)%uint(len(files))]
		was, err := os.ReadFile(filepath.Join(sound, name))
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "b")
		if err := os.CopyFS(dir, os.DirFS(sound)); err != nil {
			t.Fatal(err)
		}
		put(t, dir, name, data)
		if code, out := check(dir); code == exitProven && !bytes.Equal(was, data) {
			t.Fatalf("%s changed and proven:\n%s", name, out)
		}
	})
}
