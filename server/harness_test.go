package server_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/store"
)

var discard = slog.New(slog.DiscardHandler)

// world is a server on an empty database with a provider and a customer.
type world struct {
	t        testing.TB
	data     string // the folder with its keys
	srv      *server.Server
	store    *store.Store
	guard    *store.Guard
	keys     server.Keys
	handler  http.Handler
	provider store.Org
	customer store.Org
	now      time.Time
}

func testConfig() server.Config {
	c := server.DefaultConfig()
	c.Name = "proof.example"
	c.Limits = server.Limits{PushesPerSecond: 1e6, PushBurst: 1e6}
	return c
}

func newWorld(t testing.TB, dsn string) *world {
	return newWorldWith(t, dsn, testConfig())
}

func newWorldWith(t testing.TB, dsn string, cfg server.Config) *world {
	t.Helper()
	ctx := context.Background()
	quiet := slog.New(slog.DiscardHandler)
	st, err := store.Open(ctx, dsn, quiet)
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	keys, err := server.OpenKeys(data)
	if err != nil {
		t.Fatal(err)
	}
	guard, err := store.OpenGuard(ctx, filepath.Join(t.TempDir(), "guard.db"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, data: data, store: st, guard: guard, keys: keys, now: time.Now()}
	w.srv, err = server.New(ctx, cfg, server.Deps{Store: st, Guard: guard, Keys: keys, Log: quiet, Version: "test", Now: func() time.Time { return w.now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stopped, stop := context.WithCancel(ctx)
		stop()
		if err := w.srv.Run(stopped); err != nil {
			t.Error(err)
		}
		if err := errors.Join(guard.Close(), st.Close()); err != nil {
			t.Error(err)
		}
	})
	w.handler = w.srv.Handler()
	if w.provider, err = w.srv.AddOrg(ctx, store.Org{Kind: store.Provider, Name: "Provider"}); err != nil {
		t.Fatal(err)
	}
	if w.customer, err = w.srv.AddOrg(ctx, store.Org{Kind: store.Customer, Name: "Customer", Services: []string{"pe"}}); err != nil {
		t.Fatal(err)
	}
	return w
}

// call sends a request and decodes the answer into out; the status is returned
// with the refusal, if it is one.
func (w *world) call(method, path, token string, body, out any) (*httptest.ResponseRecorder, *evidence.Error) {
	w.t.Helper()
	b, ok := body.([]byte)
	if !ok {
		var err error
		if b, err = json.Marshal(body); err != nil {
			w.t.Fatal(err)
		}
	}
	req := httptest.NewRequest(method, path, bytes.NewReader(b))
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res := httptest.NewRecorder()
	w.handler.ServeHTTP(res, req)
	if res.Code >= 300 {
		var refusal evidence.ErrorAnswer
		if err := evidence.DecodeAnswer(res.Body.Bytes(), &refusal); err != nil || refusal.Error == nil {
			w.t.Fatalf("%s %s: status %d, body %q is no error (%v)", method, path, res.Code, res.Body, err)
		}
		if refusal.Error.Code == "" || refusal.Error.Message == "" || refusal.Error.Cure == "" {
			w.t.Errorf("%s %s: refusal %+v lacks code, message or cure", method, path, refusal.Error)
		}
		return res, refusal.Error
	}
	if out != nil {
		if err := evidence.DecodeAnswer(res.Body.Bytes(), out); err != nil {
			w.t.Fatalf("%s %s: answer %q: %v", method, path, res.Body, err)
		}
	}
	return res, nil
}

// host is an agent written from the contract alone.
type host struct {
	w       *world
	key     *evidence.FileKey
	witness ed25519.PrivateKey
	machine evidence.Digest

	org, id, push string
	trusted       evidence.TrustedLog
	known         evidence.Head
	checkpoint    []byte
	seq           uint64
	prev          evidence.Digest
}

func newKey(t testing.TB) *evidence.FileKey {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := evidence.NewFileKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (w *world) newHost() *host {
	return &host{w: w, key: newKey(w.t), witness: newKey(w.t).Private(), machine: evidence.Sum([]byte(evidence.NewID("")))}
}

func (w *world) token(org string, uses int64) evidence.Token {
	w.t.Helper()
	t, err := w.srv.AddToken(context.Background(), server.TokenRequest{Org: org, Uses: uses, TTL: time.Hour})
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

// begin takes the server's offer and checks it as an agent must.
func (h *host) begin(token evidence.Token) (evidence.EnrollOffer, *evidence.Error) {
	t := h.w.t
	t.Helper()
	var offer evidence.EnrollOffer
	if _, refusal := h.w.call("POST", evidence.PathEnrollBegin, "", evidence.EnrollBegin{ID: token.ID}, &offer); refusal != nil {
		return offer, refusal
	}
	root, err := evidence.ParsePublicKey(offer.RootKey)
	if err != nil || !token.CheckRoot(root) {
		t.Fatalf("offered root key is not the pinned one (%v)", err)
	}
	env, err := evidence.ParseEnvelope([]byte(offer.Keyset))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := evidence.OpenKeyset(env, root)
	if err != nil {
		t.Fatal(err)
	}
	if h.trusted, err = keys.Log(offer.Origin); err != nil {
		t.Fatal(err)
	}
	if h.known, err = h.trusted.OpenCheckpoint([]byte(offer.Checkpoint)); err != nil {
		t.Fatal(err)
	}
	h.org = offer.Org
	return offer, nil
}

func (h *host) statement(token evidence.Token, offer evidence.EnrollOffer) evidence.Enrollment {
	return evidence.Enrollment{Org: offer.Org, Token: token.ID, Nonce: offer.Nonce,
		Witness:  base64.StdEncoding.EncodeToString(h.witness.Public().(ed25519.PublicKey)),
		Hostname: "host.example", Machine: h.machine, OS: "linux/amd64", Version: "test", Clock: evidence.Clock{Now: evidence.At(h.w.now)}, KeyProtection: "file"}
}

func (h *host) finish(token evidence.Token, said evidence.Enrollment) *evidence.Error {
	t := h.w.t
	t.Helper()
	env, err := evidence.SealEnrollment(h.key, said)
	if err != nil {
		t.Fatal(err)
	}
	return h.send(token, env)
}

func (h *host) send(token evidence.Token, env evidence.Envelope) *evidence.Error {
	t := h.w.t
	t.Helper()
	mac, err := token.MACKey()
	if err != nil {
		t.Fatal(err)
	}
	var done evidence.Enrolled
	_, refusal := h.w.call("POST", evidence.PathEnroll, "", evidence.EnrollFinish{Envelope: string(env.Bytes()), MAC: evidence.EnrollMAC(mac, env)}, &done)
	if refusal != nil {
		return refusal
	}
	h.id, h.push, h.prev = done.Agent, done.PushToken, env.StatementDigest()
	h.receive(env, done.Entry, done.Proof, done.Consistency)
	return nil
}

// receive checks a receipt as an agent must, and moves on to its head.
func (h *host) receive(env evidence.Envelope, entry, proof string, consistency []tlog.Hash) {
	t := h.w.t
	t.Helper()
	_, _, head, err := evidence.Receipt{Entry: []byte(entry), Proof: []byte(proof)}.Verify(env, h.trusted)
	if err != nil {
		t.Fatalf("receipt: %v", err)
	}
	if err := evidence.CheckConsistency(h.known, head, consistency); err != nil {
		t.Fatal(err)
	}
	p, err := evidence.ParseProof([]byte(proof))
	if err != nil {
		t.Fatal(err)
	}
	h.known, h.checkpoint = head, p.Checkpoint
}

func (w *world) enrolled(org store.Org) *host {
	w.t.Helper()
	return w.enrolledBy(w.token(org.ID, 1))
}

func (w *world) enrolledBy(token evidence.Token) *host {
	w.t.Helper()
	h := w.newHost()
	offer, refusal := h.begin(token)
	if refusal == nil {
		refusal = h.finish(token, h.statement(token, offer))
	}
	if refusal != nil {
		w.t.Fatal(refusal)
	}
	return h
}

// sealed is a record with its blobs, ready to be pushed.
type sealed struct {
	env   evidence.Envelope
	blobs map[evidence.Digest][]byte
}

// seal makes the host's next record; change may alter it before it is signed.
func (h *host) seal(change ...func(*evidence.Record)) sealed {
	t := h.w.t
	t.Helper()
	at := evidence.At(h.w.now)
	facts, err := evidence.FactsBlob(evidence.DNSBL{
		Resolvers: []string{"127.0.0.1:53"}, Targets: []evidence.DNSBLTarget{{Target: "192.0.2.1", Found: "config"}},
		Lists:   []evidence.DNSBLList{{Zone: "bl.example", Tier: "a", Family: "ip4", Controls: evidence.ControlsPassed}},
		Answers: []evidence.DNSBLAnswer{{Target: "192.0.2.1", Zone: "bl.example", Result: evidence.NotListed, Millis: 4}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	detail, err := evidence.DetailBlob(map[string]string{"host": "mail.example"})
	if err != nil {
		t.Fatal(err)
	}
	r := evidence.Record{Org: h.org, Agent: h.id, Seq: h.seq + 1, Prev: h.prev, Log: h.known,
		Items: []evidence.Item{{Kind: evidence.KindDNSBL, Schema: 1, From: at, To: at, Outcome: evidence.Complete,
			Facts: evidence.Sum(facts), Detail: evidence.Sum(detail)}},
		Clock: evidence.Clock{Now: at}, Collector: evidence.Build{Name: "attesto-agent", Version: "test"}}
	for _, fn := range change {
		fn(&r)
	}
	env, err := evidence.Seal(h.key, r)
	if err != nil {
		t.Fatal(err)
	}
	h.seq, h.prev = r.Seq, env.StatementDigest()
	return sealed{env, map[evidence.Digest][]byte{evidence.Sum(facts): facts, evidence.Sum(detail): detail}}
}

func (h *host) seals(n int) []sealed {
	list := make([]sealed, n)
	for i := range list {
		list[i] = h.seal()
	}
	return list
}

func (s sealed) wire() evidence.PushRecord {
	r := evidence.PushRecord{Envelope: string(s.env.Bytes()), Blobs: map[string][]byte{}}
	for d, b := range s.blobs {
		r.Blobs[d.String()] = b
	}
	return r
}

// pushes sends records and checks every receipt and the head that come back.
func (h *host) pushes(list ...sealed) []evidence.PushResult {
	t := h.w.t
	t.Helper()
	body := evidence.Push{Known: evidence.KnownHead{Size: h.known.Size}}
	if h.checkpoint != nil {
		var err error
		if body.Cosign, err = evidence.Cosign(h.witness, evidence.WitnessName(h.known.Origin, h.id), h.checkpoint, h.w.now); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range list {
		body.Records = append(body.Records, s.wire())
	}
	var answer evidence.PushAnswer
	if _, refusal := h.w.call("POST", evidence.PathRecords, h.push, body, &answer); refusal != nil {
		t.Fatal(refusal)
	}
	if len(answer.Results) != len(list) {
		t.Fatalf("%d answers to %d records", len(answer.Results), len(list))
	}
	for i, r := range answer.Results {
		switch {
		case r.Status == evidence.StatusRejected && (r.Error == nil || r.Error.Code == "" || r.Error.Message == "" || r.Error.Cure == ""):
			t.Errorf("record %d: refusal %+v lacks code, message or cure", i, r.Error)
		case r.Status != evidence.StatusRejected:
			h.receive(list[i].env, r.Entry, r.Proof, answer.Consistency)
			answer.Consistency = nil // the head is known from now on
		}
	}
	return answer.Results
}

// outcome is a result in short: status, or the error's code.
func outcome(r evidence.PushResult) string {
	if r.Error != nil {
		return string(r.Error.Code)
	}
	return r.Status
}

func outcomes(list []evidence.PushResult) string {
	var all []string
	for _, r := range list {
		all = append(all, outcome(r))
	}
	return fmt.Sprint(all)
}

// hangUp pushes a record and goes away once it is sent; it returns when the server
// is done with it.
func (w *world) hangUp(h *host, s sealed) {
	w.t.Helper()
	b, err := json.Marshal(evidence.Push{Records: []evidence.PushRecord{s.wire()}})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	req := httptest.NewRequestWithContext(ctx, "POST", evidence.PathRecords, io.MultiReader(bytes.NewReader(b), hangs(cancel)))
	req.Header.Set("Authorization", "Bearer "+h.push)
	w.handler.ServeHTTP(httptest.NewRecorder(), req)
	if err := w.srv.Run(ctx); err != nil { // waits for what is under way
		w.t.Fatal(err)
	}
}

// hangs is a reader that goes away at its end.
type hangs func()

func (h hangs) Read([]byte) (int, error) { h(); return 0, io.EOF }

func (w *world) get(path string) *httptest.ResponseRecorder {
	res := httptest.NewRecorder()
	w.handler.ServeHTTP(res, httptest.NewRequest(http.MethodGet, path, nil))
	return res
}
