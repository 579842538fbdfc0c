package server_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/anchor"
	"github.com/attesto/attesto/server/store/storetest"
)

// anchoring is a world that anchors; whatever must speak from outside is given.
func anchoring(t *testing.T, dsn string, c anchor.Config) *world {
	t.Helper()
	w := newWorld(t, dsn)
	w.anchors(c)
	return w
}

// anchors starts the server anew with an anchor log.
func (w *world) anchors(c anchor.Config) {
	w.t.Helper()
	cfg := testConfig()
	cfg.Anchor = &c
	if err := cfg.Complete(); err != nil {
		w.t.Fatal(err)
	}
	srv, err := server.New(context.Background(), cfg, server.Deps{Store: w.store, Guard: w.guard, Keys: w.keys, Log: discard, Version: "test", Now: func() time.Time { return w.now }})
	if err != nil {
		w.t.Fatal(err)
	}
	w.srv, w.handler = srv, srv.Handler()
}

// once lets time pass and has all done that is due then.
func (w *world) once(wait time.Duration) {
	w.t.Helper()
	w.now = w.now.Add(wait)
	if err := w.srv.Anchor().Once(context.Background()); err != nil {
		w.t.Fatal(err)
	}
}

// anchorHead opens the anchor log's newest checkpoint as an auditor would.
func (w *world) anchorHead() (evidence.TrustedLog, evidence.Head, []byte) {
	w.t.Helper()
	st, err := w.store.Log(context.Background(), "")
	if err != nil {
		w.t.Fatal(err)
	}
	trust := w.trust(st.Origin)
	head, err := trust.OpenCheckpoint(st.Checkpoint)
	if err != nil {
		w.t.Fatal(err)
	}
	return trust, head, st.Checkpoint
}

func (w *world) trust(origin string) evidence.TrustedLog {
	return evidence.TrustedLog{Origin: origin, Keys: []ed25519.PublicKey{w.keys.Log.Private().Public().(ed25519.PublicKey)}}
}

// proofs are those of the customer's log, each verified.
func (w *world) proofs(since time.Time) []anchor.Proof {
	w.t.Helper()
	ctx := context.Background()
	st, err := w.store.Log(ctx, w.customer.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	list, err := w.srv.AnchorProofs(ctx, st, since)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range list {
		parsed, err := evidence.ParseProof(p.Proof)
		if err != nil {
			w.t.Fatal(err)
		}
		e, below, above, err := p.Verify(w.trust(st.Origin), w.trust(p.Anchor.Origin))
		if err != nil || below != p.Log || above != p.Anchor || !e.Time.Equal(p.At) {
			w.t.Fatalf("proof %+v: %v", p, err)
		}
		for _, c := range p.Cosignatures {
			name, key, err := evidence.ParseWitnessVKey(c.Agent)
			if err != nil {
				w.t.Fatal(err)
			}
			if _, err := evidence.VerifyCosignature(key, name, c.Line, parsed.Checkpoint); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	return list
}

// Changed heads are anchored once, when it is time, whoever does it; the log is
// as sound as every other, and names nobody.
func TestAnchorLog(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := anchoring(t, dsn, anchor.Config{})
		ctx := context.Background()
		h := w.enrolled(w.customer)
		h.pushes(h.seals(3)...)
		if got := w.proofs(time.Time{}); got != nil {
			t.Errorf("proofs before anything was anchored: %v", got)
		}
		w.once(0)
		_, first, _ := w.anchorHead()
		if first.Size != 1 || first.Origin != "proof.example/anchor/1" {
			t.Fatalf("anchored %+v; the provider's log is empty", first)
		}
		list := w.proofs(time.Time{})
		if len(list) != 1 || list[0].Log != h.known || list[0].Anchor != first {
			t.Fatalf("proofs %+v, the agent knows %+v", list, h.known)
		}
		h.pushes(h.seal())
		w.once(9 * time.Minute)
		if _, head, _ := w.anchorHead(); head != first {
			t.Errorf("anchored before it was time: %v", head)
		}
		// Two replicas, at the same time: one does it.
		cfg := testConfig()
		cfg.Anchor = &anchor.Config{Every: 10 * time.Minute}
		twin, err := server.New(ctx, cfg, server.Deps{Store: w.store, Guard: w.guard, Keys: w.keys, Log: discard, Now: func() time.Time { return w.now }})
		if err != nil {
			t.Fatal(err)
		}
		p := w.enrolled(w.provider)
		p.pushes(p.seal())
		w.now = w.now.Add(2 * time.Minute)
		var wg sync.WaitGroup
		for _, s := range []*server.Server{w.srv, twin, w.srv, twin} {
			wg.Go(func() {
				if err := s.Anchor().Once(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if _, head, _ := w.anchorHead(); head.Size != 3 {
			t.Errorf("%d entries, want 3", head.Size)
		}
		w.once(time.Hour)
		if _, head, _ := w.anchorHead(); head.Size != 3 {
			t.Errorf("%d entries although nothing changed", head.Size)
		}
		st, err := w.store.Log(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		entries, err := w.store.Entries(ctx, st.ID, 0, 10)
		if err != nil || len(entries) != 3 {
			t.Fatalf("%d entries (%v)", len(entries), err)
		}
		for _, e := range entries {
			if strings.Contains(string(e.Line), w.customer.ID) || bytes.Contains(e.Line, []byte(evidence.Sum([]byte(h.known.Origin)).String())) {
				t.Errorf("entry names its log: %s", e.Line)
			}
		}
		if faults := w.check(t); len(faults) > 0 {
			t.Errorf("check: %v", faults)
		}
		if s, err := w.srv.Anchor().Status(ctx); err != nil || s.Waiting != 0 || len(s.Parts) != 1 || !s.Parts[0].OK || s.Head.Size != 3 {
			t.Errorf("status %+v (%v)", s, err)
		}
		w.now = w.now.Add(time.Hour)
		if s, err := w.srv.Anchor().Status(ctx); err != nil || s.Parts[0].OK || !strings.Contains(s.Parts[0].Fault, "serve") {
			t.Errorf("status of a server that does not run: %+v (%v)", s, err)
		}
	})
}

// Whatever is changed in what the anchor log rests on, the check says where.
func TestCheckFindsEveryChangeOfTheAnchor(t *testing.T) {
	tsa := newTSA(t)
	wit := newWitness(t, "witness.example/w1")
	storetest.Each(t, func(t *testing.T, dsn string) {
		wit.reset()
		w := anchoring(t, dsn, anchor.Config{TSA: []anchor.TSA{tsa.config()}, Witnesses: []anchor.Witness{wit.config()}})
		wit.trust = w.trust("proof.example/anchor/1")
		h := w.enrolled(w.customer)
		for range 3 {
			h.pushes(h.seal())
			w.once(time.Hour)
		}
		if faults := w.check(t); len(faults) > 0 {
			t.Fatalf("a sound database: %v", faults)
		}
		id := "(SELECT id FROM log WHERE origin = 'proof.example/anchor/1')"
		for _, tt := range []struct{ name, statement, want string }{
			{"another place", `UPDATE anchored SET idx = 7 WHERE idx = 1`, "entry 1: no checkpoint is known for it"},
			{"place beyond", `UPDATE anchored SET idx = 7 WHERE idx = 1`, "entry 7"},
			{"another size", `UPDATE anchored SET size = 1 WHERE idx = 1`, "another checkpoint"},
			{"another nonce", `UPDATE anchor_nonce SET nonce = ` + flipped(dsn, "nonce", 3), "another log"},
			{"no nonce", `DELETE FROM anchor_nonce`, "nonce, is missing"},
			{"flip token", `UPDATE anchor_token SET token = ` + flipped(dsn, "token", 200) + ` WHERE size = 2`, "time stamp of " + tsa.url + " for 2"},
			{"token of another size", `UPDATE anchor_token SET token = (SELECT token FROM anchor_token WHERE size = 1) WHERE size = 2`, "over something else"},
			{"time of token", `UPDATE anchor_token SET at = at + 1000000 WHERE size = 2`, "its row"},
			{"no certificates", `DELETE FROM anchor_chain`, "are missing"},
			{"token beyond", `UPDATE anchor_token SET size = 9 WHERE size = 2`, "lies beyond"},
			{"cosignature's time", `UPDATE cosignature SET at = at + 1000000 WHERE size = 2 AND log_id = ` + id, "its row"},
			{"another witness", `UPDATE cosignature SET agent_id = 'x' || agent_id WHERE size = 2 AND log_id = ` + id, "belong together"},
			{"flip entry", `UPDATE entry SET body = ` + flipped(dsn, "body", 60) + ` WHERE idx = 1 AND log_id = ` + id, "entry 1"},
			{"delete entry", `DELETE FROM entry WHERE idx = 1 AND log_id = ` + id, "entry 1: missing"},
			{"flip checkpoint", `UPDATE checkpoint SET note = ` + flipped(dsn, "note", 60) + ` WHERE size = 2 AND log_id = ` + id, "checkpoint of 2"},
		} {
			undo := save(t, dsn)
			attack(t, dsn, tt.statement)
			if faults := strings.Join(w.check(t), "\n"); !strings.Contains(faults, tt.want) {
				t.Errorf("%s: %q, want %q", tt.name, faults, tt.want)
			}
			undo()
		}
		if faults := w.check(t); len(faults) > 0 {
			t.Fatalf("after all was undone: %v", faults)
		}
	})
}

// The folder is what a reader of C2SP tiles expects, at every moment.
func TestAnchorIsPublished(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "www")
	wit := newWitness(t, "witness.example/w1")
	w := anchoring(t, storetest.SQLite(t), anchor.Config{Publish: dir, Witnesses: []anchor.Witness{wit.config()}})
	wit.trust = w.trust("proof.example/anchor/1")
	h := w.enrolled(w.customer)
	want := int64(0)
	for _, rounds := range []int{1, 3, 260} {
		for range rounds {
			if _, err := w.srv.AppendWorkflow(context.Background(), evidence.Workflow{Org: w.customer.ID, Event: "review.confirmed"}, "x"); err != nil {
				t.Fatal(err)
			}
			w.once(10 * time.Minute)
		}
		want += int64(rounds)
		note, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
		if err != nil {
			t.Fatal(err)
		}
		head, err := w.trust("proof.example/anchor/1").OpenCheckpoint(note)
		if err != nil || head.Size != want {
			t.Fatalf("published %+v, want %d entries (%v)", head, want, err)
		}
		if !strings.Contains(string(note), "\n— witness.example/w1 ") {
			t.Errorf("the witness' line is not there:\n%s", note)
		}
		readTiles(t, dir, head)
	}
	info, err := os.Stat(filepath.Join(dir, "tile/0/000"))
	if err != nil || info.Mode().Perm() != 0o644 || info.Size() != 256*32 {
		t.Errorf("full tile %v (%v)", info, err)
	}
	if s, err := w.srv.Anchor().Status(context.Background()); err != nil || !s.Parts[1].OK || s.Parts[1].Size != want {
		t.Errorf("status %+v (%v)", s, err)
	}
	// A folder of another log is left alone.
	foreign := []byte("other.example/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— other.example/log AAAAAAAA\n")
	if err := os.WriteFile(filepath.Join(dir, "checkpoint"), foreign, 0o600); err != nil {
		t.Fatal(err)
	}
	h.pushes(h.seal())
	w.now = w.now.Add(10 * time.Minute)
	if err := w.srv.Anchor().Once(context.Background()); err == nil || !strings.Contains(err.Error(), "another log") {
		t.Errorf("published over another log: %v", err)
	}
	if s, err := w.srv.Anchor().Status(context.Background()); err != nil || s.Parts[1].OK || !strings.Contains(s.Parts[1].Fault, "empty folder") {
		t.Errorf("status %+v (%v)", s, err)
	}
}

// readTiles finds the root from the published entries and tiles alone.
func readTiles(t *testing.T, dir string, head evidence.Head) {
	t.Helper()
	var tree evidence.CompactRange
	for n := int64(0); n*256 < head.Size; n++ {
		width, suffix := min(256, head.Size-n*256), ""
		if width < 256 {
			suffix = fmt.Sprintf(".p/%d", width)
		}
		hashes, err := os.ReadFile(fmt.Sprintf("%s/tile/0/%03d%s", dir, n, suffix))
		if err != nil || int64(len(hashes)) != width*32 {
			t.Fatalf("tile %d: %d bytes (%v)", n, len(hashes), err)
		}
		entries, err := os.ReadFile(fmt.Sprintf("%s/tile/entries/%03d%s", dir, n, suffix))
		if err != nil {
			t.Fatal(err)
		}
		for i := range width {
			size := int(entries[0])<<8 | int(entries[1])
			line := entries[2 : 2+size]
			entries = entries[2+size:]
			if leaf := evidence.LeafHash(line); leaf != tlog.Hash(hashes[i*32:(i+1)*32]) {
				t.Fatalf("entry %d is not what its tile says", n*256+i)
			}
			if _, err := evidence.ParseAnchorEntry(line); err != nil {
				t.Fatal(err)
			}
			tree = tree.Push(n*256+i, evidence.LeafHash(line))
		}
		if len(entries) > 0 {
			t.Fatalf("%d bytes after the entries of tile %d", len(entries), n)
		}
	}
	if tree.Root() != head.Root {
		t.Fatal("the published entries do not give the published root")
	}
}

// tsa is a real time-stamping authority: OpenSSL behind HTTP.
type tsa struct {
	t   testing.TB
	dir string
	url string

	mu     sync.Mutex
	answer func(w http.ResponseWriter, honest []byte) // nil: honestly
}

const tsaConfig = `
[req]
distinguished_name = name
prompt = no
[name]
CN = Test TSA
[ca]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
[signer]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[tsa]
default_tsa = one
[one]
serial = serial
signer_cert = signer.pem
signer_key = signer.key
signer_digest = sha256
certs = ca.pem
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
`

func newTSA(t testing.TB) *tsa {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("openssl is missing: install the package openssl")
	}
	a := &tsa{t: t, dir: t.TempDir()}
	a.file("tsa.cnf", []byte(tsaConfig))
	a.file("serial", []byte("01\n"))
	a.openssl("req", "-config", "tsa.cnf", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "3650", "-extensions", "ca")
	a.openssl("req", "-config", "tsa.cnf", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "signer.key", "-out", "signer.csr", "-subj", "/CN=Test TSA signer")
	a.openssl("x509", "-req", "-in", "signer.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "3650", "-extfile", "tsa.cnf", "-extensions", "signer", "-out", "signer.pem")
	srv := httptest.NewServer(a)
	t.Cleanup(srv.Close)
	a.url = srv.URL + "/tsr"
	return a
}

func (a *tsa) config() anchor.TSA {
	return anchor.TSA{URL: a.url, CA: filepath.Join(a.dir, "ca.pem")}
}

func (a *tsa) file(name string, data []byte) {
	a.t.Helper()
	if err := os.WriteFile(filepath.Join(a.dir, name), data, 0o600); err != nil {
		a.t.Fatal(err)
	}
}

func (a *tsa) openssl(args ...string) {
	a.t.Helper()
	if out, err := a.try(args...); err != nil {
		a.t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (a *tsa) try(args ...string) ([]byte, error) {
	cmd := exec.CommandContext(context.Background(), "openssl", args...)
	cmd.Dir = a.dir
	return cmd.CombinedOutput()
}

// answers changes what the authority says until it is set back.
func (a *tsa) answers(fn func(w http.ResponseWriter, honest []byte)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = fn
}

func (a *tsa) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	query, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("Content-Type") != "application/timestamp-query" {
		http.Error(w, "no query", http.StatusBadRequest)
		return
	}
	a.file("query.tsq", query)
	if out, err := a.try("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query.tsq", "-out", "reply.tsr"); err != nil {
		http.Error(w, string(out), http.StatusInternalServerError)
		return
	}
	reply, err := os.ReadFile(filepath.Join(a.dir, "reply.tsr"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if a.answer != nil {
		a.answer(w, reply)
		return
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	_, _ = w.Write(reply)
}

// A token an hour, over the anchor log's checkpoint, which OpenSSL verifies too.
func TestTimeStamps(t *testing.T) {
	tsa := newTSA(t)
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := anchoring(t, dsn, anchor.Config{TSA: []anchor.TSA{tsa.config()}})
		h := w.enrolled(w.customer)
		h.pushes(h.seal())
		w.once(0)
		list := w.proofs(time.Time{})
		if len(list) != 1 || len(list[0].Tokens) != 1 {
			t.Fatalf("proofs %+v", list)
		}
		k := list[0].Tokens[0]
		parsed, err := evidence.ParseProof(list[0].Proof)
		if err != nil {
			t.Fatal(err)
		}
		if off := time.Since(k.At).Abs(); off > 5*time.Minute || k.TSA != tsa.url {
			t.Errorf("token of %s, %s ago", k.TSA, off)
		}
		// So does a library that others wrote.
		theirs, err := timestamp.Parse(k.Token)
		if err != nil || !theirs.Time.Equal(k.At) || !bytes.Equal(theirs.HashedMessage, sumOf(parsed.Checkpoint)) {
			t.Errorf("as others read it: %+v (%v)", theirs, err)
		}
		tsa.file("note", parsed.Checkpoint)
		tsa.file("token.der", k.Token)
		tsa.file("chain.pem", []byte(k.Chain))
		tsa.openssl("ts", "-verify", "-data", "note", "-in", "token.der", "-token_in", "-CAfile", "ca.pem", "-untrusted", "chain.pem")
		tsa.file("note", append(bytes.Clone(parsed.Checkpoint), 'x'))
		if out, err := tsa.try("ts", "-verify", "-data", "note", "-in", "token.der", "-token_in", "-CAfile", "ca.pem", "-untrusted", "chain.pem"); err == nil {
			t.Errorf("openssl verified it over something else: %s", out)
		}
		if n := strings.Count(k.Chain, "BEGIN CERTIFICATE"); n != 2 {
			t.Errorf("%d certificates in the chain", n)
		}

		h.pushes(h.seal())
		w.once(30 * time.Minute)
		if list = w.proofs(time.Time{}); len(list) != 2 || len(list[1].Tokens) != 0 || list[1].Log != h.known {
			t.Errorf("half an hour later: %+v", list)
		}
		w.once(30 * time.Minute)
		if list = w.proofs(time.Time{}); len(list) != 1 || len(list[0].Tokens) != 1 || list[0].Log != h.known {
			t.Errorf("an hour later: %+v", list)
		}
		if list = w.proofs(time.Unix(0, 0)); len(list) != 1 {
			t.Errorf("the last one of each day: %+v", list)
		}
		stamps, err := evidence.NewStamps(list[0].Stamps(), 3*time.Hour) // the tests' clock runs ahead of the authority's
		if err != nil {
			t.Fatal(err)
		}
		if err := stamps.Check(0, w.now.Add(24*time.Hour), 3*time.Hour); err == nil {
			t.Error("an entry of tomorrow passed")
		}
		if faults := w.check(t); len(faults) > 0 {
			t.Errorf("check: %v", faults)
		}
	})
}

func sumOf(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}

// An authority that fails or cheats is told, tried again ever later, and leaves no
// token behind.
func TestTimeStampingFails(t *testing.T) {
	tsa, other := newTSA(t), newTSA(t)
	w := anchoring(t, storetest.SQLite(t), anchor.Config{TSA: []anchor.TSA{tsa.config()}})
	h := w.enrolled(w.customer)
	h.pushes(h.seal())
	var stale []byte
	part := func() anchor.Part {
		s, err := w.srv.Anchor().Status(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return s.Parts[1]
	}
	if p := part(); p.OK || !strings.Contains(p.Fault, "never") {
		t.Errorf("before the first: %+v", p)
	}
	for _, tt := range []struct {
		name   string
		answer func(w http.ResponseWriter, honest []byte)
		want   string
	}{
		{"refuses", func(w http.ResponseWriter, honest []byte) {
			stale = honest
			http.Error(w, "closed", http.StatusServiceUnavailable)
		}, "503"},
		{"an answer of before", func(w http.ResponseWriter, _ []byte) { _, _ = w.Write(stale) }, "another request"},
		{"not DER", func(w http.ResponseWriter, _ []byte) { _, _ = io.WriteString(w, "<html>") }, "reading the answer"},
		{"status 2", func(w http.ResponseWriter, _ []byte) { _, _ = w.Write([]byte{0x30, 5, 0x30, 3, 2, 1, 2}) }, "status 2"},
		{"no token", func(w http.ResponseWriter, _ []byte) { _, _ = w.Write([]byte{0x30, 5, 0x30, 3, 2, 1, 0}) }, "does not verify"},
		{"cut off", func(w http.ResponseWriter, b []byte) { _, _ = w.Write(b[:len(b)/2]) }, "reading the answer"},
	} {
		tsa.answers(tt.answer)
		w.once(2 * time.Hour)
		if p := part(); p.OK || !strings.Contains(p.Fault, tt.want) || !strings.Contains(p.Fault, "has failed since") {
			t.Errorf("%s: %+v, want %q", tt.name, p, tt.want)
		}
	}
	calls := 0
	tsa.answers(func(w http.ResponseWriter, _ []byte) { calls++; http.Error(w, "closed", http.StatusServiceUnavailable) })
	for range 60 {
		w.once(time.Minute)
	}
	if calls < 1 || calls > 10 {
		t.Errorf("%d attempts in an hour", calls)
	}
	// Another authority under the same address, with a certificate of its own.
	for _, name := range []string{"ca.pem", "ca.key", "signer.pem", "signer.key"} {
		b, err := os.ReadFile(filepath.Join(other.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		tsa.file(name, b)
	}
	tsa.answers(nil)
	w.once(2 * time.Hour)
	if p := part(); p.OK || !strings.Contains(p.Fault, "does not verify") {
		t.Errorf("another authority: %+v", p)
	}
	if list := w.proofs(time.Time{}); len(list) != 1 || len(list[0].Tokens) != 0 {
		t.Errorf("a token was kept: %+v", list)
	}
	if _, err := anchor.New(anchor.Config{TSA: []anchor.TSA{{URL: tsa.url, CA: filepath.Join(tsa.dir, "serial")}}}, anchor.Deps{}); err == nil {
		t.Error("a file without certificates was taken")
	}
}

// fakeWitness is a C2SP witness (c2sp.org/tlog-witness), for what a real one, which is
// tried in anchor_others_test.go, does not do when asked: fail and cheat. It is
// written from the document, not from our client.
type fakeWitness struct {
	name  string
	key   ed25519.PrivateKey
	url   string
	trust evidence.TrustedLog

	mu     sync.Mutex
	known  evidence.Head
	seen   []int64                                    // old sizes that it was asked with
	answer func(w http.ResponseWriter, honest string) // nil: honestly
}

func newWitness(t testing.TB, name string) *fakeWitness {
	seed := sha256.Sum256([]byte(name))
	f := &fakeWitness{name: name, key: ed25519.NewKeyFromSeed(seed[:])}
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	f.url = srv.URL
	return f
}

func (f *fakeWitness) config() anchor.Witness {
	return anchor.Witness{URL: f.url + "/prefix/", VKey: evidence.WitnessVKey(f.name, f.key.Public().(ed25519.PublicKey))}
}

func (f *fakeWitness) reset() { f.set(evidence.Head{}, nil) }

func (f *fakeWitness) set(known evidence.Head, answer func(w http.ResponseWriter, honest string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known, f.answer, f.seen = known, answer, nil
}

func (f *fakeWitness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	head, note, ok := strings.Cut(string(body), "\n\n")
	lines := strings.Split(head, "\n")
	digits, isOld := strings.CutPrefix(lines[0], "old ")
	old, bad := strconv.ParseInt(digits, 10, 64)
	if err != nil || !ok || !isOld || bad != nil || r.Method != http.MethodPost || r.URL.Path != "/prefix/add-checkpoint" {
		http.Error(w, "not a request", http.StatusBadRequest)
		return
	}
	f.seen = append(f.seen, old)
	if !strings.HasPrefix(note, f.trust.Origin+"\n") {
		http.Error(w, "unknown log", http.StatusNotFound)
		return
	}
	next, err := f.trust.OpenCheckpoint([]byte(note))
	if err != nil {
		http.Error(w, "signature", http.StatusForbidden)
		return
	}
	if old > next.Size {
		http.Error(w, "old size", http.StatusBadRequest)
		return
	}
	if old != f.known.Size || old == next.Size && next.Root != f.known.Root {
		w.Header().Set("Content-Type", "text/x.tlog.size")
		w.WriteHeader(http.StatusConflict)
		_, _ = fmt.Fprintf(w, "%d\n", f.known.Size)
		return
	}
	var proof tlog.TreeProof
	for _, line := range lines[1:] {
		h, err := tlog.ParseHash(line)
		if err != nil {
			http.Error(w, "hash", http.StatusBadRequest)
			return
		}
		proof = append(proof, h)
	}
	if old == 0 && len(proof) > 0 || old > 0 && old < next.Size && tlog.CheckTree(proof, next.Size, next.Root, old, f.known.Root) != nil {
		http.Error(w, "proof", http.StatusUnprocessableEntity)
		return
	}
	line, err := evidence.Cosign(f.key, f.name, []byte(note), time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if f.answer != nil {
		f.answer(w, line)
		return
	}
	f.known = next
	_, _ = io.WriteString(w, "— someone.else/w AAAAAAAAAAAA\n"+line)
}

func TestOutsideWitness(t *testing.T) {
	f := newWitness(t, "witness.example/w1")
	storetest.Each(t, func(t *testing.T, dsn string) {
		f.reset()
		w := anchoring(t, dsn, anchor.Config{Witnesses: []anchor.Witness{f.config()}})
		h := w.enrolled(w.customer)
		more := func() {
			t.Helper()
			h.pushes(h.seal())
			w.once(2 * time.Hour)
		}
		part := func() anchor.Part {
			s, err := w.srv.Anchor().Status(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			return s.Parts[1]
		}
		f.trust = w.trust("other.example/anchor/1")
		more()
		if p := part(); p.OK || !strings.Contains(p.Fault, "give its operator the key") {
			t.Errorf("404: %+v", p)
		}
		f.trust = evidence.TrustedLog{Origin: "proof.example/anchor/1", Keys: []ed25519.PublicKey{f.key.Public().(ed25519.PublicKey)}}
		more()
		if p := part(); p.OK || !strings.Contains(p.Fault, "trusts another key") {
			t.Errorf("403: %+v", p)
		}
		f.trust = w.trust("proof.example/anchor/1")
		more()
		if p := part(); !p.OK || p.Size != 3 {
			t.Errorf("200: %+v", p)
		}
		more()
		_, head, _ := w.anchorHead()
		if list := w.proofs(time.Time{}); len(list) != 1 || len(list[0].Cosignatures) != 1 || list[0].Anchor != head || f.known != head {
			t.Errorf("proofs %+v, the witness knows %+v", list, f.known)
		}
		// The witness knows more than we remember, as after a lost answer.
		f.set(head, nil)
		attack(t, dsn, `DELETE FROM cosignature WHERE size = 4`)
		more()
		if p := part(); !p.OK || p.Size != 5 || fmt.Sprint(f.seen) != "[3 4]" {
			t.Errorf("409 with a size: %+v, asked %v", p, f.seen)
		}
		_, head, _ = w.anchorHead()
		for _, tt := range []struct {
			name   string
			known  evidence.Head
			answer func(w http.ResponseWriter, honest string)
			want   string
		}{
			{"knows more than there is", evidence.Head{Size: 99}, nil, "set back"},
			{"knows another tree", evidence.Head{Size: 5, Root: tlog.Hash{1}}, nil, "does not continue"},
			{"answers for another checkpoint", head, func(w http.ResponseWriter, line string) { _, _ = io.WriteString(w, strings.Replace(line, "A", "B", 1)) }, "without a cosignature"},
			{"answers with nothing", head, func(http.ResponseWriter, string) {}, "without a cosignature"},
			{"409 without a size", head, func(w http.ResponseWriter, _ string) {
				w.WriteHeader(http.StatusConflict)
				_, _ = io.WriteString(w, "-1\n")
			}, "without a size"},
			{"breaks", head, func(w http.ResponseWriter, _ string) { w.WriteHeader(http.StatusTeapot) }, "418"},
		} {
			f.set(tt.known, tt.answer)
			more()
			if p := part(); p.OK || p.Size != 5 || !strings.Contains(p.Fault, tt.want) {
				t.Errorf("%s: %+v, want %q", tt.name, p, tt.want)
			}
		}
		f.set(head, nil)
		w.once(2 * time.Hour)
		if p := part(); !p.OK {
			t.Errorf("in the end: %+v", p)
		}
		if faults := w.check(t); len(faults) > 0 {
			t.Errorf("check: %v", faults)
		}
	})
}

// The database is put back: the anchor log takes nothing more, until it is begun anew
// with the loss named.
func TestAnchorLogSetBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := anchoring(t, dsn, anchor.Config{})
		ctx := context.Background()
		h := w.enrolled(w.customer)
		h.pushes(h.seal())
		w.once(time.Hour)
		if _, _, err := w.srv.RecoverAnchor(ctx); err == nil {
			t.Fatal("a sound log was begun anew")
		}
		kept := w.proofs(time.Time{})
		restore := save(t, dsn)
		p := w.enrolled(w.provider)
		p.pushes(p.seal())
		w.once(time.Hour)
		_, lost, note := w.anchorHead()
		restore()
		w.now = w.now.Add(time.Hour)
		if err := w.srv.Anchor().Once(ctx); err == nil || !strings.Contains(err.Error(), "set back") {
			t.Errorf("it goes on: %v", err)
		}
		if s, err := w.srv.Anchor().Status(ctx); err != nil || s.Parts[0].OK || !strings.Contains(s.Parts[0].Fault, "anchor recover") {
			t.Errorf("status %+v (%v)", s, err)
		}
		if faults := strings.Join(w.check(t), "\n"); !strings.Contains(faults, "proof.example/anchor/1: has 1 entries") {
			t.Errorf("check: %s", faults)
		}
		old, now, err := w.srv.RecoverAnchor(ctx)
		if err != nil || old != lost || now.Origin != "proof.example/anchor/2" || now.Size != 1 {
			t.Fatalf("recovered %+v from %+v (%v)", now, old, err)
		}
		st, err := w.store.Log(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		entries, err := w.store.Entries(ctx, st.ID, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		first, err := evidence.ParseAnchorEntry(entries[0].Line)
		if err == nil {
			err = first.Stands(lost.Origin, note, make([]byte, evidence.AnchorNonceSize))
		}
		if err != nil {
			t.Errorf("the first entry does not name the old head: %v", err)
		}
		h.pushes(h.seal())
		w.once(time.Hour)
		list := w.proofs(time.Time{})
		if len(list) != 2 || list[0].Anchor != kept[0].Anchor || list[1].Anchor.Origin != "proof.example/anchor/2" || list[1].Log != h.known {
			t.Errorf("proofs %+v", list)
		}
		for _, f := range w.check(t) {
			if strings.Contains(f, "anchor") {
				t.Errorf("check: %s", f)
			}
		}
	})
}
