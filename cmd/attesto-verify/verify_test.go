package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attesto/attesto/evidence"
)

const (
	org    = "o_aaaaaaaaaaaaaaaaaaaaaaaaaa"
	agent  = "a_bbbbbbbbbbbbbbbbbbbbbbbbbb"
	origin = "proof.example/t/" + org + "/1"
)

// makeBundle writes a sound bundle of n records of one agent.
func makeBundle(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	key, logKey := newKey(t), newKey(t)
	public := logKey.Private().Public().(ed25519.PublicKey)
	trusted := evidence.TrustedLog{Origin: origin, Keys: []ed25519.PublicKey{public}}
	vkey, err := trusted.VKey(public)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "keys/log.vkey"), []byte(vkey+"\n"))
	write(t, filepath.Join(dir, "keys/agents", agent+".pub"),
		pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: key.Public().SPKI()}))

	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = hashes[x]
		}
		return out, nil
	})
	prev := evidence.Sum([]byte("enrollment"))
	var lines [][]byte
	for i := range n {
		at := evidence.At(time.Date(2026, 11, 23, i, 0, 0, 0, time.UTC))
		facts, err := evidence.FactsBlob(nil, []evidence.Gap{{What: "dnsbl", Why: "test"}})
		if err != nil {
			t.Fatal(err)
		}
		env, err := evidence.Seal(key, evidence.Record{Org: org, Agent: agent, Seq: uint64(i + 1), Prev: prev,
			Items: []evidence.Item{{Kind: evidence.KindDNSBL, Schema: 1, From: at, To: at, Reason: "test", Facts: evidence.Sum(facts)}},
			Clock: evidence.Clock{Now: at}, Collector: evidence.Build{Name: "attesto-agent"}})
		if err != nil {
			t.Fatal(err)
		}
		line, err := evidence.Entry{V: 1, Time: at, Type: evidence.EntryEvidence, Agent: agent, Seq: uint64(i + 1), Prev: prev,
			Stmt: env.StatementDigest(), Env: env.Digest()}.Line()
		if err != nil {
			t.Fatal(err)
		}
		more, err := tlog.StoredHashes(int64(i), line, reader)
		if err != nil {
			t.Fatal(err)
		}
		hashes, lines, prev = append(hashes, more...), append(lines, line), env.StatementDigest()
		write(t, filepath.Join(dir, "records", fmt.Sprint(i), "envelope.json"), env.Bytes())
		write(t, filepath.Join(dir, "records", fmt.Sprint(i), "dnsbl.facts.json"), facts)
	}
	root, err := tlog.TreeHash(int64(n), reader)
	if err != nil {
		t.Fatal(err)
	}
	cp, err := evidence.SignCheckpoint(logKey.Private(), evidence.Head{Origin: origin, Size: int64(n), Root: root})
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range lines {
		proof, err := tlog.ProveRecord(int64(n), int64(i), reader)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "records", fmt.Sprint(i), "entry.json"), line)
		write(t, filepath.Join(dir, "records", fmt.Sprint(i), "entry.tlog-proof"),
			evidence.Proof{Index: int64(i), Path: proof, Checkpoint: cp}.Format())
	}
	return dir
}

func newKey(t *testing.T) *evidence.FileKey {
	k, err := evidence.CreateFileKey(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestSoundBundle(t *testing.T) {
	var out, errOut bytes.Buffer
	if code := run([]string{"--json", makeBundle(t, 5)}, &out, &errOut); code != exitProven {
		t.Fatalf("exit %d: %s%s", code, out.String(), errOut.String())
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || r.Records != 5 || r.Blobs != 5 || len(r.Agents) != 1 {
		t.Fatalf("report %+v, err %v", r, err)
	}
}

// Any byte flipped anywhere in a bundle is found, whatever file it is in.
func TestEveryFlippedByteIsFound(t *testing.T) {
	dir := makeBundle(t, 2)
	files := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		sound, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i := 0; i < len(sound); i += 7 {
			if sound[i] == '\n' || sound[i] == '-' {
				continue // line ends and dashes of a key file carry nothing
			}
			bad := bytes.Clone(sound)
			bad[i] ^= 1
			if err := os.WriteFile(path, bad, 0o644); err != nil {
				return err
			}
			var out bytes.Buffer
			if code := run([]string{dir}, &out, &out); code == exitProven && !strings.HasSuffix(path, ".pub") {
				t.Errorf("%s: byte %d flipped and not found", path, i)
			}
		}
		return os.WriteFile(path, sound, 0o644)
	})
	if err != nil || files != 2+2*4 {
		t.Fatalf("%d files, err %v", files, err)
	}
}

func TestFaultsAreNamed(t *testing.T) {
	tests := []struct {
		name string
		harm func(dir string) error
		code int
		want string
	}{
		{"a record is left out", func(d string) error { return os.RemoveAll(filepath.Join(d, "records/1")) }, exitUnproven, "1 missing"},
		{"proofs swapped", func(d string) error {
			return os.Rename(filepath.Join(d, "records/0/entry.tlog-proof"), filepath.Join(d, "records/2/entry.tlog-proof"))
		}, exitUnproven, "records/2"},
		{"no log key", func(d string) error { return os.Remove(filepath.Join(d, "keys/log.vkey")) }, exitUnusable, "log key"},
		{"nothing in it", func(d string) error {
			return os.RemoveAll(filepath.Join(d, "records"))
		}, exitUnusable, "records"},
		{"a link that leads outside", func(d string) error {
			file := filepath.Join(d, "records/0/envelope.json")
			if err := os.Remove(file); err != nil {
				return err
			}
			return os.Symlink("/etc/hostname", file)
		}, exitUnproven, "records/0"},
		{"a huge file", func(d string) error {
			return os.Truncate(filepath.Join(d, "records/0/envelope.json"), 1<<33)
		}, exitUnproven, "larger than"},
		{"a facts blob changed", func(d string) error {
			return os.WriteFile(filepath.Join(d, "records/0/dnsbl.facts.json"), []byte(`{"salt":"","gaps":[],"facts":null}`), 0o644)
		}, exitUnproven, "no item names"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := makeBundle(t, 3)
			if err := tt.harm(dir); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if code := run([]string{dir}, &out, &out); code != tt.code || !strings.Contains(out.String(), tt.want) {
				t.Fatalf("exit %d, want %d and %q in:\n%s", code, tt.code, tt.want, out.String())
			}
		})
	}
}

func TestErasedBlobsAreCountedNotRefused(t *testing.T) {
	dir := makeBundle(t, 3)
	if err := os.Remove(filepath.Join(dir, "records/1/dnsbl.facts.json")); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if code := run([]string{dir}, &out, &out); code != exitProven || !strings.Contains(out.String(), "1 named and not in the bundle") {
		t.Fatalf("exit %d:\n%s", code, out.String())
	}
}
