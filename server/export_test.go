package server_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/anchor"
	"github.com/attesto/attesto/server/bundle"
	"github.com/attesto/attesto/server/store/storetest"
)

// verifier is the real attesto-verify.
var verifier = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "attesto-verify")
	if err != nil {
		return "", err
	}
	built = dir
	bin := filepath.Join(dir, "attesto-verify")
	out, err := exec.Command("go", "build", "-o", bin, "../cmd/attesto-verify").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building attesto-verify: %w: %s", err, out)
	}
	return bin, nil
})

// built is the folder of the verifier, once a test has asked for it.
var built string

func TestMain(m *testing.M) {
	if os.Getenv(replicaEnv) != "" {
		replica()
	}
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(built)
	}
	os.Exit(code)
}

// verdict runs attesto-verify on a bundle and returns exit code and output.
func verdict(t testing.TB, args ...string) (int, string) {
	t.Helper()
	bin, err := verifier()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, args...)
	out, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(out)
}

func second(t testing.TB, dir string) (int, string) {
	t.Helper()
	cmd := exec.Command("python3", "../packaging/verify.py", dir)
	out, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(out)
}

// export writes a bundle of all that the customer has.
func (w *world) export(change ...func(*bundle.Request)) string {
	w.t.Helper()
	q := bundle.Request{Org: w.customer.ID, From: w.now.Add(-30 * 24 * time.Hour), To: w.now.Add(time.Hour)}
	for _, fn := range change {
		fn(&q)
	}
	return w.exportTo(filepath.Join(w.t.TempDir(), "bundle"), q)
}

func (w *world) exportTo(path string, q bundle.Request) string {
	w.t.Helper()
	to, done, _, err := bundle.Create(path)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.srv.Export(context.Background(), q, to); err != nil {
		w.t.Fatal(err)
	}
	if err := done(); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// months lets two hosts push, an hour apart each time.
func (w *world) months(pushes, each int) (a, b *host) {
	w.t.Helper()
	a, b = w.enrolled(w.customer), w.enrolled(w.customer)
	for i := range pushes {
		w.now = w.now.Add(time.Hour)
		a.pushes(a.seals(each)...)
		if i%2 == 0 {
			b.pushes(b.seals(each)...)
		}
	}
	return a, b
}

func TestExport(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := newWorld(t, dsn)
		start := w.now
		w.months(8, 25)
		for name, change := range map[string]func(*bundle.Request){
			"folders":     func(*bundle.Request) {},
			"with detail": func(q *bundle.Request) { q.Detail = true },
			"packed":      func(q *bundle.Request) { q.Packed = true },
			"a period":    func(q *bundle.Request) { q.From, q.To = start.Add(150*time.Minute), start.Add(210*time.Minute) },
			"a period, packed": func(q *bundle.Request) {
				q.From, q.To, q.Packed = start.Add(150*time.Minute), start.Add(210*time.Minute), true
			},
			"some duties": func(q *bundle.Request) { q.Duties = []string{"BK-C1"} },
		} {
			t.Run(name, func(t *testing.T) {
				dir := w.export(change)
				code, out := verdict(t, dir)
				if code != 0 {
					t.Fatalf("exit %d:\n%s", code, out)
				}
				if code, out := second(t, dir); code != 0 {
					t.Errorf("verify.py: exit %d:\n%s", code, out)
				}
				sums := exec.Command("sha256sum", "-c", "--quiet", evidence.BundleSums)
				sums.Dir = dir
				if out, err := sums.CombinedOutput(); err != nil {
					t.Errorf("sha256sum: %v: %s", err, out)
				}
			})
		}
		t.Run("zip", func(t *testing.T) {
			file := w.exportTo(filepath.Join(t.TempDir(), "bundle.zip"), bundle.Request{Org: w.customer.ID, From: start, To: w.now.Add(time.Hour)})
			if code, out := verdict(t, file); code != 0 {
				t.Fatalf("exit %d:\n%s", code, out)
			}
		})
	})
}

// What the report says is what was there.
func TestReport(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	a, b := w.months(4, 5)
	silent := w.enrolled(w.customer)
	w.now = w.now.Add(time.Minute)
	a.pushes(a.seal(func(r *evidence.Record) { r.Lost = 3 }))
	code, out := verdict(t, w.export(), "--json")
	var r struct {
		Proven  bool
		RootKey string
		Agents  []struct {
			ID        string
			Records   int
			LastSeq   int
			Lost      int
			Silent    bool
			Assurance string
		}
		Epochs []struct {
			Records, Size, Witnessed int
			Witnesses                []string
		}
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
		t.Fatalf("exit %d, %v: %s", code, err, out)
	}
	if !r.Proven || r.RootKey != string(w.keys.Root.KeyID()) || len(r.Epochs) != 1 || r.Epochs[0].Records != 34 || len(r.Epochs[0].Witnesses) == 0 {
		t.Errorf("%+v", r)
	}
	for _, got := range r.Agents {
		want := map[string][3]int{a.id: {21, 21, 3}, b.id: {10, 10, 0}, silent.id: {}}[got.ID]
		if [3]int{got.Records, got.LastSeq, got.Lost} != want || got.Silent != (got.ID == silent.id) || got.Assurance != "A1" {
			t.Errorf("%+v, want %v", got, want)
		}
	}
}

// An auditor's own demands.
func TestDemands(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	w.months(4, 2)
	dir := w.export()
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--root", string(w.keys.Root.KeyID())}, 0, ""},
		{[]string{"--root", string(w.keys.Log.KeyID())}, 2, "of another server"},
		{[]string{"--witnesses", "1"}, 0, "seen by"},
		{[]string{"--witnesses", "3"}, 1, "3 of 2"},
	} {
		if code, out := verdict(t, append([]string{dir}, tt.args...)...); code != tt.code || !strings.Contains(out, tt.want) {
			t.Errorf("%v: exit %d, want %d and %q:\n%s", tt.args, code, tt.code, tt.want, out)
		}
	}
}

// Any byte flipped in any file is found by both verifiers.
func TestFlippedBytes(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	w.months(2, 2)
	dir := w.export()
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		sound, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, at := range []int{0, len(sound) / 3, len(sound) - 2} {
			bad := bytes.Clone(sound)
			bad[at] ^= 1
			if err := os.WriteFile(path, bad, 0o644); err != nil {
				return err
			}
			if code, out := verdict(t, dir); code == 0 {
				t.Errorf("%s: byte %d flipped and not found:\n%s", path, at, out)
			}
			n++
		}
		if code, _ := second(t, dir); code == 0 && filepath.Base(path) != "verify.py" {
			t.Errorf("%s: verify.py did not find a flipped byte", path)
		}
		return os.WriteFile(path, sound, 0o644)
	})
	if err != nil || n < 100 {
		t.Fatalf("%d bytes flipped, %v", n, err)
	}
}

// reseal signs a bundle anew as the server would, after someone changed it: lists
// and signatures of the server prove nothing against the server itself.
func (w *world) reseal(dir string) {
	w.t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, path)
		if err == nil && !d.IsDir() && !slices.Contains([]string{evidence.BundleSums, evidence.BundleManifest, evidence.BundleSigned}, rel) {
			names = append(names, rel)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.SortFunc(names, func(a, b string) int { return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/")) })
	var sums strings.Builder
	for _, name := range names {
		fmt.Fprintf(&sums, "%s  %s\n", evidence.Sum(w.read(dir, name)), name)
	}
	m, err := evidence.ParseManifest(w.read(dir, evidence.BundleManifest))
	if err != nil {
		w.t.Fatal(err)
	}
	m.Files, m.Sums = int64(len(names)), evidence.Sum([]byte(sums.String()))
	raw, err := m.Bytes()
	if err != nil {
		w.t.Fatal(err)
	}
	env, err := evidence.SealManifest(w.keys.Server, m, raw)
	if err != nil {
		w.t.Fatal(err)
	}
	w.write(dir, evidence.BundleSums, []byte(sums.String()))
	w.write(dir, evidence.BundleManifest, raw)
	w.write(dir, evidence.BundleSigned, env.Bytes())
}

func (w *world) read(dir, name string) []byte {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *world) write(dir, name string, data []byte) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// A provider who changes a bundle and signs it again is found out all the same, by
// both verifiers.
func TestResignedBundles(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	a, _ := w.months(3, 3)
	sound := w.export()
	record := func(dir string) string { // one that agent a made
		for i := range 20 {
			name := fmt.Sprintf("records/%d", i)
			if e, err := evidence.ParseEntry(w.read(dir, name+"/entry.json")); err == nil && e.Agent == a.id && e.Seq == 2 {
				return name
			}
		}
		t.Fatal("no record")
		return ""
	}
	edit := func(dir, name string, fn func([]byte) []byte) { w.write(dir, name, fn(w.read(dir, name))) }
	for _, tt := range []struct {
		name string
		harm func(dir string)
		want string
	}{
		{"nothing", func(string) {}, ""},
		{"a record is left out", func(d string) { _ = os.RemoveAll(filepath.Join(d, record(d))) }, "the record is missing"},
		{"an enrollment is left out", func(d string) { _ = os.RemoveAll(filepath.Join(d, "records/0")) }, "records/0"},
		{"the facts are changed", func(d string) {
			edit(d, record(d)+"/dnsbl.facts.json", func(b []byte) []byte {
				return bytes.Replace(b, []byte("not_listed"), []byte("listed"), 1)
			})
		}, "does not name"},
		{"the facts are left out", func(d string) { _ = os.Remove(filepath.Join(d, record(d), "dnsbl.facts.json")) }, "no entry says that it was erased"},
		{"another envelope in its place", func(d string) {
			w.write(d, record(d)+"/envelope.json", w.read(d, "records/0/envelope.json"))
		}, "not the one that was logged"},
		{"an envelope signed by another key", func(d string) {
			env, err := evidence.ParseEnvelope(w.read(d, record(d)+"/envelope.json"))
			if err != nil {
				t.Fatal(err)
			}
			forged, err := evidence.SealPayload(w.keys.Server, evidence.PayloadInToto, env.Payload())
			if err != nil {
				t.Fatal(err)
			}
			w.write(d, record(d)+"/envelope.json", forged.Bytes())
		}, "not the one that was logged"},
		{"the last entries are cut off", func(d string) {
			name := d + "/log/tile/entries/"
			files, _ := os.ReadDir(name)
			edit(d, "log/tile/entries/"+files[0].Name()+"/"+onlyFile(t, name+files[0].Name()), func(b []byte) []byte { return b[:len(b)-300] })
		}, "cut off"},
		{"a tile is changed", func(d string) {
			dir := "log/tile/0/" + onlyFile(t, d+"/log/tile/0")
			edit(d, dir+"/"+onlyFile(t, d+"/"+dir), func(b []byte) []byte { b[40] ^= 1; return b })
		}, "not those of what lies below"},
		{"a file is added", func(d string) { w.write(d, "records/0/x.detail.json", []byte("{}")) }, "does not name"},
		{"fewer records are said to be of the period", func(d string) {
			edit(d, evidence.BundleManifest, func(b []byte) []byte {
				m, err := evidence.ParseManifest(b)
				if err != nil {
					t.Fatal(err)
				}
				m.Epochs[0].Next = 0
				raw, _ := m.Bytes()
				return raw
			})
			for i := 2; i < 20; i++ {
				_ = os.RemoveAll(filepath.Join(d, "records", strconv.Itoa(i)))
			}
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "b")
			if err := os.CopyFS(dir, os.DirFS(sound)); err != nil {
				t.Fatal(err)
			}
			tt.harm(dir)
			w.reseal(dir)
			code, out := verdict(t, dir)
			if (code == 0) != (tt.want == "") || !strings.Contains(out, tt.want) {
				t.Errorf("exit %d, want %q in:\n%s", code, tt.want, out)
			}
			if code, out := second(t, dir); (code == 0) != (tt.want == "") && !strings.Contains(tt.name, "tile") {
				t.Errorf("verify.py: exit %d:\n%s", code, out)
			}
		})
	}
}

func onlyFile(t *testing.T, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 1 {
		t.Fatalf("%s: %d files, %v", dir, len(list), err)
	}
	return list[0].Name()
}

// The whole log written anew and signed again, with every file in agreement: the
// roots that agents' signed records name tell.
func TestRewrittenLog(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	w.months(3, 3)
	dir := w.export(func(q *bundle.Request) { q.Packed = true })
	w.rewrite(dir)
	w.reseal(dir)
	if code, out := verdict(t, dir); code != 1 || !strings.Contains(out, "its agent saw another root") {
		t.Errorf("exit %d:\n%s", code, out)
	}
	if code, out := second(t, dir); code != 1 || !strings.Contains(out, "its agent saw another log") {
		t.Errorf("verify.py: exit %d:\n%s", code, out)
	}
}

// rewrite moves the third entry of a log of less than 256 by a second and signs the
// tree that follows with the log's own key.
func (w *world) rewrite(dir string) {
	t := w.t
	t.Helper()
	m, err := evidence.ParseManifest(w.read(dir, evidence.BundleManifest))
	if err != nil {
		t.Fatal(err)
	}
	size := m.Epochs[0].Size
	name := fmt.Sprintf("log/tile/entries/000.p/%d", size)
	var edge evidence.CompactRange
	var hashes, entries []byte
	raw := w.read(dir, name)
	for i := range size {
		end := 2 + int(raw[0])<<8 + int(raw[1])
		line := raw[2:end]
		raw = raw[end:]
		if i == 2 {
			e, err := evidence.ParseEntry(line)
			if err != nil {
				t.Fatal(err)
			}
			e.Time = evidence.At(e.Time.Add(time.Millisecond))
			if line, err = e.Line(); err != nil {
				t.Fatal(err)
			}
		}
		h := evidence.LeafHash(line)
		edge = edge.Push(i, h)
		hashes = append(hashes, h[:]...)
		entries = append(append(entries, byte(len(line)>>8), byte(len(line))), line...)
	}
	note, err := evidence.SignCheckpoint(w.keys.Log.Private(), evidence.Head{Origin: m.Epochs[0].Origin, Size: size, Root: edge.Root()})
	if err != nil {
		t.Fatal(err)
	}
	w.write(dir, "log/checkpoint", note)
	w.write(dir, fmt.Sprintf("log/tile/0/000.p/%d", size), hashes)
	w.write(dir, name, entries)
	if err := os.RemoveAll(filepath.Join(dir, "log/cosigned")); err != nil {
		t.Fatal(err)
	}
}

// An export carries what speaks for the log from outside, which openssl verifies
// too; entries that do not fit the stamps are found.
func TestStampedExport(t *testing.T) {
	tsa, stranger := newTSA(t), newTSA(t)
	w := anchoring(t, storetest.SQLite(t), anchor.Config{TSA: []anchor.TSA{tsa.config()}})
	h := w.enrolled(w.customer)
	h.pushes(h.seals(3)...)
	w.once(0)
	h.pushes(h.seals(2)...)
	dir := w.export()
	code, out := verdict(t, dir, "--tsa-ca", filepath.Join(tsa.dir, "ca.pem"))
	if code != 0 || !strings.Contains(out, "4 entries were there at") || strings.Contains(out, "came with the bundle") {
		t.Fatalf("exit %d:\n%s", code, out)
	}
	if code, out := verdict(t, dir); code != 0 || !strings.Contains(out, "came with the bundle") {
		t.Errorf("with the bundle's own certificates: exit %d:\n%s", code, out)
	}
	if code, out := verdict(t, dir, "--tsa-ca", filepath.Join(stranger.dir, "ca.pem")); code != 1 || !strings.Contains(out, "time stamp") {
		t.Errorf("with another authority's certificate: exit %d:\n%s", code, out)
	}
	a := dir + "/anchor/1/"
	tsa.openssl("ts", "-verify", "-token_in", "-in", a+"1.tst", "-data", a+"note", "-CAfile", "ca.pem", "-untrusted", a+"1.pem")
	for _, tt := range []struct {
		name string
		harm func(dir string)
		want string
	}{
		{"the token is of something else", func(d string) {
			w.write(d, "anchor/1/1.tst", bytes.Replace(w.read(d, "anchor/1/1.tst"), []byte{2, 1, 1}, []byte{2, 1, 2}, 1))
		}, "time stamp"},
		{"the log was cut short after it was anchored", func(d string) {
			m, err := evidence.ParseManifest(w.read(d, evidence.BundleManifest))
			if err != nil {
				t.Fatal(err)
			}
			w.cut(d, m, 3)
		}, "it was cut short"},
		{"another nonce", func(d string) { w.write(d, "anchor/1/nonce", []byte(strings.Repeat("00", 16)+"\n")) }, "another log"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := w.export(func(q *bundle.Request) { q.Packed = true })
			tt.harm(dir)
			w.reseal(dir)
			if code, out := verdict(t, dir); code != 1 || !strings.Contains(out, tt.want) {
				t.Errorf("exit %d, want %q in:\n%s", code, tt.want, out)
			}
		})
	}
}

// An export carries what outside witnesses said of the anchor log.
func TestWitnessedExport(t *testing.T) {
	f := newWitness(t, "witness.example/w1")
	f.reset()
	w := anchoring(t, storetest.SQLite(t), anchor.Config{Witnesses: []anchor.Witness{f.config()}})
	f.trust = w.trust("proof.example/anchor/1")
	h := w.enrolled(w.customer)
	h.pushes(h.seals(3)...)
	w.once(0)
	dir := w.export()
	vkey := w.read(dir, "anchor/1/witnesses")
	mine, other := filepath.Join(t.TempDir(), "mine"), filepath.Join(t.TempDir(), "other")
	stranger := evidence.WitnessVKey("witness.example/w2", newWitness(t, "witness.example/w2").key.Public().(ed25519.PublicKey))
	if err := errors.Join(os.WriteFile(mine, append([]byte("# ours\n\n"), vkey...), 0o600), os.WriteFile(other, []byte(stranger+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if code, out := verdict(t, dir); code != 0 || !strings.Contains(out, "by witness witness.example/w1") || !strings.Contains(out, "its key came with the bundle") {
		t.Errorf("with the bundle's own keys: exit %d:\n%s", code, out)
	}
	if code, out := verdict(t, dir, "--anchor-witnesses", mine); code != 0 || strings.Contains(out, "its key came with the bundle") {
		t.Errorf("with the auditor's key: exit %d:\n%s", code, out)
	}
	if code, out := verdict(t, dir, "--anchor-witnesses", other); code != 1 || !strings.Contains(out, "none of the witnesses in") {
		t.Errorf("with a stranger's key: exit %d:\n%s", code, out)
	}
	for name, harm := range map[string]func(){
		"changed": func() {
			b := w.read(dir, "anchor/1/cosigned")
			b[len(b)-10] ^= 1 // in the base64 of the signature
			w.write(dir, "anchor/1/cosigned", b)
		},
		"another head": func() { w.write(dir, "anchor/1/cosigned", w.read(dir, "log/checkpoint")) },
		"another key":  func() { w.write(dir, "anchor/1/witnesses", []byte(stranger+"\n")) },
		"no key":       func() { w.write(dir, "anchor/1/witnesses", []byte("witness.example/w1\n")) },
	} {
		whole := [2][]byte{w.read(dir, "anchor/1/cosigned"), vkey}
		harm()
		w.reseal(dir)
		if code, out := verdict(t, dir); code != 1 || !strings.Contains(out, "witness") && !strings.Contains(out, "not of the checkpoint") {
			t.Errorf("%s: exit %d:\n%s", name, code, out)
		}
		w.write(dir, "anchor/1/cosigned", whole[0])
		w.write(dir, "anchor/1/witnesses", whole[1])
	}
}

// cut shortens a packed bundle's log to n entries and signs it again.
func (w *world) cut(dir string, m evidence.Manifest, n int64) {
	t := w.t
	t.Helper()
	size := m.Epochs[0].Size
	raw := w.read(dir, fmt.Sprintf("log/tile/entries/000.p/%d", size))
	var edge evidence.CompactRange
	var hashes, entries []byte
	for i := range n {
		end := 2 + int(raw[0])<<8 + int(raw[1])
		h := evidence.LeafHash(raw[2:end])
		edge = edge.Push(i, h)
		hashes, entries = append(hashes, h[:]...), append(entries, raw[:end]...)
		raw = raw[end:]
	}
	note, err := evidence.SignCheckpoint(w.keys.Log.Private(), evidence.Head{Origin: m.Epochs[0].Origin, Size: n, Root: edge.Root()})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"log/tile", "log/cosigned"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"log/tile/0/000.p", "log/tile/entries/000.p"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	w.write(dir, "log/checkpoint", note)
	w.write(dir, fmt.Sprintf("log/tile/0/000.p/%d", n), hashes)
	w.write(dir, fmt.Sprintf("log/tile/entries/000.p/%d", n), entries)
	name := "records/000000000000.jsonl"
	lines := bytes.SplitAfter(w.read(dir, name), []byte("\n"))
	w.write(dir, name, bytes.Join(lines[:n], nil))
	m.Epochs[0].Size, m.Epochs[0].Next = n, n
	b, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	w.write(dir, evidence.BundleManifest, b)
}
