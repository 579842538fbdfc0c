package evidence_test

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attesto/attesto/evidence"
)

const (
	testOrg   = "o_aaaaaaaaaaaaaaaaaaaaaaaaaa"
	testAgent = "a_bbbbbbbbbbbbbbbbbbbbbbbbbb"
	origin    = "proof.example/t/" + testOrg + "/1"
)

var testTime = time.Date(2026, 11, 23, 3, 0, 2, 118e6, time.UTC)

// fixedKey is a key from a seed of one repeated byte, so that vectors stay the
// same from run to run.
func fixedKey(t testing.TB, fill byte) *evidence.FileKey {
	t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	for i := range seed {
		seed[i] = fill
	}
	k, err := evidence.NewFileKey(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func testFacts() evidence.DNSBL {
	return evidence.DNSBL{
		Resolvers: []string{"127.0.0.1:53"},
		Targets:   []evidence.DNSBLTarget{{Target: "192.0.2.1", Found: "config"}},
		Lists:     []evidence.DNSBLList{{Zone: "bl.example", Tier: "a", Family: "ip4", Controls: evidence.ControlsPassed}},
		Answers:   []evidence.DNSBLAnswer{{Target: "192.0.2.1", Zone: "bl.example", Result: evidence.NotListed, Millis: 4}},
	}
}

func testRecord(facts, detail evidence.Digest) evidence.Record {
	at := evidence.At(testTime)
	return evidence.Record{
		Org: testOrg, Agent: testAgent, Seq: 1, Prev: evidence.Sum([]byte("enrollment")),
		Log: evidence.Head{Origin: origin, Size: 1, Root: tlog.RecordHash([]byte("first"))},
		Items: []evidence.Item{{Kind: evidence.KindDNSBL, Schema: 1, From: at, To: at, Outcome: evidence.Complete,
			Facts: facts, Detail: detail}},
		Clock:     evidence.Clock{Now: at, Synced: true, MaxErrorMs: 12, BootID: "b", UptimeMs: 1000},
		Collector: evidence.Build{Name: "attesto-agent", Version: "test", SHA256: evidence.Sum(nil)},
	}
}

func seal(t testing.TB, key evidence.Signer) (evidence.Envelope, map[evidence.Digest][]byte) {
	t.Helper()
	facts, err := evidence.FactsBlob(testFacts(), nil)
	if err != nil {
		t.Fatal(err)
	}
	detail, err := evidence.DetailBlob(map[string]string{"host": "mail.example"})
	if err != nil {
		t.Fatal(err)
	}
	env, err := evidence.Seal(key, testRecord(evidence.Sum(facts), evidence.Sum(detail)))
	if err != nil {
		t.Fatal(err)
	}
	return env, map[evidence.Digest][]byte{evidence.Sum(facts): facts, evidence.Sum(detail): detail}
}

func TestSealAndOpen(t *testing.T) {
	key := fixedKey(t, 1)
	env, blobs := seal(t, key)
	again, err := evidence.ParseEnvelope(env.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	v, err := evidence.Open(again, key.Public(), blobs)
	if err != nil {
		t.Fatal(err)
	}
	if v.Record().Agent != testAgent || len(v.Missing()) != 0 {
		t.Fatalf("opened %+v, missing %v", v.Record(), v.Missing())
	}
	f, gaps, err := evidence.Decode[evidence.DNSBL](v, 0)
	if err != nil || len(gaps) != 0 || f.Answers[0].Result != evidence.NotListed {
		t.Fatalf("facts %+v, gaps %v, err %v", f, gaps, err)
	}
}

// Every single-bit change of an envelope must be refused, by form or by signature.
func TestEveryFlippedBitIsRefused(t *testing.T) {
	key := fixedKey(t, 1)
	env, blobs := seal(t, key)
	for i := range env.Bytes() {
		for bit := range 8 {
			b := []byte(string(env.Bytes()))
			b[i] ^= 1 << bit
			e, err := evidence.ParseEnvelope(b)
			if err != nil {
				continue
			}
			if _, err := evidence.Open(e, key.Public(), blobs); err == nil {
				t.Fatalf("bit %d of byte %d flipped and still opened:\n%s", bit, i, b)
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	key, other := fixedKey(t, 1), fixedKey(t, 2)
	env, blobs := seal(t, key)
	foreign, foreignBlobs := map[evidence.Digest][]byte{}, []byte(`{"salt":"00","detail":1}`)
	for d, b := range blobs {
		foreign[d] = b
	}
	foreign[evidence.Sum(foreignBlobs)] = foreignBlobs
	swapped := map[evidence.Digest][]byte{}
	for d := range blobs {
		swapped[d] = []byte(`{"salt":"00","gaps":[],"facts":null}`)
	}
	tests := []struct {
		name  string
		key   evidence.PublicKey
		blobs map[evidence.Digest][]byte
		want  string
	}{
		{"another key", other.Public(), blobs, "signature does not verify"},
		{"no key", evidence.PublicKey{}, blobs, "signature does not verify"},
		{"a blob that nobody names", key.Public(), foreign, "no item names"},
		{"a blob under another's digest", key.Public(), swapped, "not that of its digest"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := evidence.Open(env, tt.key, tt.blobs)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
		})
	}
	v, err := evidence.Open(env, key.Public(), nil)
	if err != nil || len(v.Missing()) != 2 {
		t.Fatalf("without blobs: missing %v, err %v", v.Missing(), err)
	}
}

func TestFailedLookHasGapsAndNoFacts(t *testing.T) {
	blob, err := evidence.FactsBlob(nil, []evidence.Gap{{What: "dnsbl", Why: "timed out"}})
	if err != nil {
		t.Fatal(err)
	}
	_, gaps, err := evidence.DecodeFacts[evidence.DNSBL](blob)
	if !errors.Is(err, evidence.ErrNoFacts) || len(gaps) != 1 {
		t.Fatalf("gaps %v, err %v", gaps, err)
	}
}

func TestSaltMakesDigestsUnguessable(t *testing.T) {
	a, _ := evidence.FactsBlob(testFacts(), nil)
	b, _ := evidence.FactsBlob(testFacts(), nil)
	if evidence.Sum(a) == evidence.Sum(b) {
		t.Fatal("two blobs of the same facts have one digest")
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	k, err := evidence.CreateFileKey(path)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := evidence.LoadFileKey(path)
	if err != nil || loaded.KeyID() != k.KeyID() {
		t.Fatalf("loaded %v, err %v", loaded, err)
	}
	if _, err := evidence.CreateFileKey(path); err == nil {
		t.Fatal("an existing key was overwritten")
	}
	if runtime.GOOS != "windows" {
		if err := os.Chmod(path, 0o640); err != nil {
			t.Fatal(err)
		}
		if _, err := evidence.LoadFileKey(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Fatalf("a key that the group can read: %v", err)
		}
	}
}

func TestReceipt(t *testing.T) {
	logKey := fixedKey(t, 9)
	log := evidence.TrustedLog{Origin: origin, Keys: []ed25519.PublicKey{logKey.Private().Public().(ed25519.PublicKey)}}
	env, _ := seal(t, fixedKey(t, 1))
	line, err := evidence.Entry{V: 1, Time: evidence.At(testTime), Type: evidence.EntryEvidence, Agent: testAgent, Seq: 1,
		Prev: evidence.Sum([]byte("enrollment")), Stmt: env.StatementDigest(), Env: env.Digest()}.Line()
	if err != nil {
		t.Fatal(err)
	}
	tree := newTree([]byte("first\n"), line, []byte("third\n"))
	head := evidence.Head{Origin: origin, Size: 3, Root: tree.root(t, 3)}
	cp, err := evidence.SignCheckpoint(logKey.Private(), head)
	if err != nil {
		t.Fatal(err)
	}
	r := evidence.Receipt{Entry: line, Proof: evidence.Proof{Index: 1, Path: tree.inclusion(t, 3, 1), Checkpoint: cp}.Format()}
	_, index, got, err := r.Verify(env, log)
	if err != nil || index != 1 || got != head {
		t.Fatalf("index %d, head %+v, err %v", index, got, err)
	}

	otherEnv, _ := seal(t, fixedKey(t, 1))
	otherLog := evidence.TrustedLog{Origin: origin, Keys: []ed25519.PublicKey{fixedKey(t, 8).Private().Public().(ed25519.PublicKey)}}
	elsewhere := log
	elsewhere.Origin = "proof.example/t/" + testOrg + "/2"
	wrongPlace := r
	wrongPlace.Proof = evidence.Proof{Index: 2, Path: tree.inclusion(t, 3, 1), Checkpoint: cp}.Format()
	for name, tt := range map[string]struct {
		receipt evidence.Receipt
		env     evidence.Envelope
		log     evidence.TrustedLog
	}{
		"another envelope": {r, otherEnv, log},
		"another log key":  {r, env, otherLog},
		"another log":      {r, env, elsewhere},
		"another index":    {wrongPlace, env, log},
		"nothing":          {evidence.Receipt{}, env, log},
	} {
		if _, _, _, err := tt.receipt.Verify(tt.env, tt.log); err == nil {
			t.Errorf("%s: receipt verified", name)
		}
	}
}

func TestConsistency(t *testing.T) {
	tree := newTree([]byte("a"), []byte("b"), []byte("c"), []byte("d"), []byte("e"))
	at := func(n int64) evidence.Head { return evidence.Head{Origin: origin, Size: n, Root: tree.root(t, n)} }
	for m := int64(1); m <= 5; m++ {
		for n := m; n <= 5; n++ {
			if err := evidence.CheckConsistency(at(m), at(n), tree.consistency(t, n, m)); err != nil {
				t.Errorf("%d to %d: %v", m, n, err)
			}
		}
	}
	bad := at(3)
	bad.Root[0] ^= 1
	for name, err := range map[string]error{
		"shrunk":         evidence.CheckConsistency(at(4), at(3), nil),
		"two roots":      evidence.CheckConsistency(at(3), bad, nil),
		"rewritten":      evidence.CheckConsistency(bad, at(5), tree.consistency(t, 5, 3)),
		"proof left out": evidence.CheckConsistency(at(3), at(5), nil),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := evidence.CheckConsistency(evidence.Head{}, at(5), nil); err != nil {
		t.Errorf("from nothing: %v", err)
	}
}

func TestCosignature(t *testing.T) {
	witness := fixedKey(t, 4).Private()
	cp, err := evidence.SignCheckpoint(fixedKey(t, 9).Private(), evidence.Head{Origin: origin, Size: 3})
	if err != nil {
		t.Fatal(err)
	}
	name := evidence.WitnessName(origin, testAgent)
	line, err := evidence.Cosign(witness, name, cp, testTime)
	if err != nil {
		t.Fatal(err)
	}
	pub := witness.Public().(ed25519.PublicKey)
	at, err := evidence.VerifyCosignature(pub, name, line, cp)
	if err != nil || !at.Equal(testTime.Truncate(time.Second)) {
		t.Fatalf("at %v, err %v", at, err)
	}
	other, _ := evidence.SignCheckpoint(fixedKey(t, 9).Private(), evidence.Head{Origin: origin, Size: 4})
	if _, err := evidence.VerifyCosignature(pub, name, line, other); err == nil {
		t.Error("cosignature verified for another checkpoint")
	}
	if _, err := evidence.VerifyCosignature(pub, name+"x", line, cp); err == nil {
		t.Error("cosignature verified under another name")
	}
}

func TestTokenAndKeyset(t *testing.T) {
	root := fixedKey(t, 7)
	token := evidence.NewToken(root.Public())
	parsed, err := evidence.ParseToken("  " + token.String() + "\n")
	if err != nil || parsed.ID != token.ID {
		t.Fatalf("parsed %+v, err %v", parsed, err)
	}
	if !parsed.CheckRoot(root.Public()) || parsed.CheckRoot(fixedKey(t, 8).Public()) {
		t.Fatal("pin does not tell root keys apart")
	}
	for _, bad := range []string{"", "att1", "att1.a.b.c", strings.ToUpper(token.String()), token.String()[:40], token.String() + "a"} {
		if _, err := evidence.ParseToken(bad); err == nil {
			t.Errorf("token %q accepted", bad)
		} else if strings.Contains(err.Error(), strings.Split(token.String(), ".")[2]) {
			t.Errorf("error repeats the secret: %v", err)
		}
	}
	env, err := evidence.SealKeyset(root, evidence.Keyset{Version: 1, Server: "proof.example", LogKeys: []string{"AAAA"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.OpenKeyset(env, root.Public()); err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.OpenKeyset(env, fixedKey(t, 8).Public()); err == nil {
		t.Fatal("keyset opened with another root key")
	}
}

func TestEnrollmentProvesPossession(t *testing.T) {
	key := fixedKey(t, 1)
	e := evidence.Enrollment{Org: testOrg, Token: "abcdefghij", Nonce: "n", Witness: "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=",
		Hostname: "mail", OS: "linux/amd64", Version: "1", Clock: evidence.Clock{Now: evidence.At(testTime)}, KeyProtection: "file"}
	env, err := evidence.SealEnrollment(key, e)
	if err != nil {
		t.Fatal(err)
	}
	got, pub, err := evidence.OpenEnrollment(env)
	if err != nil || pub.ID() != key.KeyID() || got.Hostname != "mail" {
		t.Fatalf("%+v, key %s, err %v", got, pub.ID(), err)
	}
	forged, err := evidence.SealPayload(fixedKey(t, 2), evidence.PayloadInToto, env.Payload())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := evidence.OpenEnrollment(forged); !errors.Is(err, evidence.ErrSignature) {
		t.Fatalf("enrollment signed by another key: %v", err)
	}
}

func TestWorkflow(t *testing.T) {
	server := fixedKey(t, 6)
	blob, err := evidence.DetailBlob(map[string]string{"channel": "email"})
	if err != nil {
		t.Fatal(err)
	}
	env, err := evidence.SealWorkflow(server, evidence.Workflow{Org: testOrg, Event: "alert.delivered", At: evidence.At(testTime),
		Duty: "PE-P3", Data: evidence.Sum(blob)})
	if err != nil {
		t.Fatal(err)
	}
	w, err := evidence.OpenWorkflow(env, server.Public())
	if err != nil || w.Data != evidence.Sum(blob) || w.Event != "alert.delivered" {
		t.Fatalf("%+v, err %v", w, err)
	}
	if _, err := evidence.OpenWorkflow(env, fixedKey(t, 1).Public()); err == nil {
		t.Fatal("opened with another key")
	}
}

// tree is a small reference tree over whole hashes.
type tree struct{ hashes []tlog.Hash }

func newTree(records ...[]byte) tree {
	var tr tree
	for i, r := range records {
		more, err := tlog.StoredHashes(int64(i), r, tr)
		if err != nil {
			panic(err)
		}
		tr.hashes = append(tr.hashes, more...)
	}
	return tr
}

func (tr tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = tr.hashes[x]
	}
	return out, nil
}

func (tr tree) root(t testing.TB, n int64) tlog.Hash {
	h, err := tlog.TreeHash(n, tr)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (tr tree) inclusion(t testing.TB, size, index int64) []tlog.Hash {
	p, err := tlog.ProveRecord(size, index, tr)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (tr tree) consistency(t testing.TB, size, old int64) []tlog.Hash {
	p, err := tlog.ProveTree(size, old, tr)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
