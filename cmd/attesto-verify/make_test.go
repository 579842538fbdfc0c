package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attesto/attesto/evidence"
)

const org = "o_aaaaaaaaaaaaaaaaaaaaaaaaaa"

var began = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

func seeded(t testing.TB, b byte) *evidence.FileKey {
	t.Helper()
	k, err := evidence.NewFileKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func raw64(k *evidence.FileKey) string {
	return base64.StdEncoding.EncodeToString(k.Private().Public().(ed25519.PublicKey))
}

// maker writes a packed bundle from the contract alone, without the server's code.
type maker struct {
	t      testing.TB
	dir    string
	root   *evidence.FileKey
	log    *evidence.FileKey
	server *evidence.FileKey
	origin string
	edge   evidence.CompactRange
	size   int64
	tiles  [][]tlog.Hash
	lines  []byte // the bundle of entries that is not full
	held   int
	sums   map[string]evidence.Digest
}

func newMaker(t testing.TB) *maker {
	return &maker{t: t, dir: t.TempDir(), root: seeded(t, 1), log: seeded(t, 2), server: seeded(t, 3),
		origin: evidence.Origin("proof.example", org, 1), sums: map[string]evidence.Digest{}}
}

func (m *maker) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *maker) put(name string, data []byte) {
	m.t.Helper()
	m.sums[name] = evidence.Sum(data)
	m.write(name, data)
}

func (m *maker) write(name string, data []byte) {
	m.t.Helper()
	file := filepath.Join(m.dir, filepath.FromSlash(name))
	m.must(os.MkdirAll(filepath.Dir(file), 0o755))
	m.must(os.WriteFile(file, data, 0o644))
}

// add appends an entry.
func (m *maker) add(e evidence.Entry) {
	e.V = 1
	line, err := e.Line()
	m.must(err)
	h := evidence.LeafHash(line)
	m.edge = m.edge.Push(m.size, h)
	m.lines = append(append(m.lines, byte(len(line)>>8), byte(len(line))), line...)
	if m.held++; m.held == tileWidth {
		m.put("log/"+entriesPath(m.size/tileWidth, tileWidth), m.lines)
		m.lines, m.held = nil, 0
	}
	m.tile(0, m.size/tileWidth, h)
	m.size++
}

func (m *maker) tile(level int, n int64, h tlog.Hash) {
	if level == len(m.tiles) {
		m.tiles = append(m.tiles, nil)
	}
	if m.tiles[level] = append(m.tiles[level], h); len(m.tiles[level]) < tileWidth {
		return
	}
	var edge evidence.CompactRange
	for i, h := range m.tiles[level] {
		edge = edge.Push(int64(i), h)
	}
	m.put("log/"+tilePath(level, n, tileWidth), flat(m.tiles[level]))
	m.tiles[level] = nil
	m.tile(level+1, n/tileWidth, edge.Root())
}

func flat(hashes []tlog.Hash) []byte {
	var b []byte
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return b
}

// end writes what remains of the log, and the signed lists.
func (m *maker) end(next int64) string {
	if m.held > 0 {
		m.put("log/"+entriesPath(m.size/tileWidth, m.held), m.lines)
	}
	for level, hashes := range m.tiles {
		if len(hashes) > 0 {
			m.put("log/"+tilePath(level, m.size>>(tileHeight*(level+1)), len(hashes)), flat(hashes))
		}
	}
	head := evidence.Head{Origin: m.origin, Size: m.size, Root: m.edge.Root()}
	note, err := evidence.SignCheckpoint(m.log.Private(), head)
	m.must(err)
	m.put("log/checkpoint", note)
	m.put("keys/policy", []byte("quorum none\n"))
	m.put("keys/root.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: m.root.Public().SPKI()}))
	keyset, err := evidence.SealKeyset(m.root, evidence.Keyset{Version: 1, Server: "proof.example", LogKeys: []string{raw64(m.log)},
		ServerKeys: []string{base64.StdEncoding.EncodeToString(m.server.Public().SPKI())}})
	m.must(err)
	m.put(evidence.BundleKeyset, keyset.Bytes())
	m.seal(evidence.Manifest{Format: evidence.BundleFormat, Server: "proof.example", Org: org, OrgName: "Rossi", Created: evidence.At(began), From: evidence.At(began),
		To: evidence.At(began.AddDate(10, 0, 0)), Duties: []string{}, Kinds: []evidence.Kind{}, Layout: evidence.LayoutPacked,
		Epochs: []evidence.BundleEpoch{{Epoch: 1, Origin: m.origin, Size: m.size, First: 0, Next: next}}})
	return m.dir
}

func (m *maker) seal(manifest evidence.Manifest) {
	var names []string
	for name := range m.sums {
		names = append(names, name)
	}
	slices.SortFunc(names, comparePaths)
	var sums strings.Builder
	for _, name := range names {
		fmt.Fprintf(&sums, "%s  %s\n", m.sums[name], name)
	}
	manifest.Files, manifest.Sums = int64(len(names)), evidence.Sum([]byte(sums.String()))
	raw, err := manifest.Bytes()
	m.must(err)
	env, err := evidence.SealManifest(m.server, manifest, raw)
	m.must(err)
	m.write(evidence.BundleSums, []byte(sums.String()))
	m.write(evidence.BundleManifest, raw)
	m.write(evidence.BundleSigned, env.Bytes())
}

// makeBundle writes a sound bundle of one enrollment and n records of an agent,
// each with facts of about the size that a host's health has.
func makeBundle(t testing.TB, n int) string {
	t.Helper()
	m := newMaker(t)
	key := seeded(t, 4)
	agent := "a_bbbbbbbbbbbbbbbbbbbbbbbbbb"
	env, err := evidence.SealEnrollment(key, evidence.Enrollment{Org: org, Witness: raw64(seeded(t, 5)), Hostname: "web1",
		Clock: evidence.Clock{Now: evidence.At(began)}, KeyProtection: evidence.ProtectionFile})
	m.must(err)
	var pack bytes.Buffer
	flush := func(first int) {
		m.put(fmt.Sprintf("records/%012d.jsonl", first), bytes.Clone(pack.Bytes()))
		pack.Reset()
	}
	pack.Write(evidence.PackedRecord{Index: 0, Envelope: env.Bytes()}.Line(nil))
	m.add(evidence.Entry{Time: evidence.At(began), Type: evidence.EntryEnrollment, Agent: agent, Stmt: env.StatementDigest(), Env: env.Digest()})
	prev, first := env.StatementDigest(), 0
	gaps := []evidence.Gap{{What: strings.Repeat("x", 600), Why: "test"}}
	for i := range n {
		at := evidence.At(began.Add(time.Duration(i) * time.Minute))
		facts, err := evidence.FactsBlob(nil, gaps)
		m.must(err)
		env, err := evidence.Seal(key, evidence.Record{Org: org, Agent: agent, Seq: uint64(i + 1), Prev: prev,
			Log:   evidence.Head{Origin: m.origin, Size: m.size, Root: m.edge.Root()},
			Items: []evidence.Item{{Kind: evidence.KindHealth, Schema: 1, From: at, To: at, Reason: "test", Facts: evidence.Sum(facts)}},
			Clock: evidence.Clock{Now: at, BootID: "b", UptimeMs: int64(i) * 60_000}, Collector: evidence.Build{Name: "attesto-agent", Version: "1.0.0"}})
		m.must(err)
		m.add(evidence.Entry{Time: at, Type: evidence.EntryEvidence, Agent: agent, Seq: uint64(i + 1), Prev: prev, Stmt: env.StatementDigest(), Env: env.Digest()})
		pack.Write(evidence.PackedRecord{Index: int64(i + 1), Envelope: env.Bytes(), Blobs: map[evidence.Digest][]byte{evidence.Sum(facts): facts}}.Line([]evidence.Digest{evidence.Sum(facts)}))
		if prev = env.StatementDigest(); pack.Len() > 8<<20 {
			flush(first)
			first = i + 2
		}
	}
	if pack.Len() > 0 {
		flush(first)
	}
	return m.end(m.size)
}
