package agent_test

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attesto/attesto/evidence"
)

// fake is the server's side of the agents' interface with a real Merkle log in
// memory. It stands in for the real server to inject faults that a sound server
// never shows: logs that shrink or fork, receipts for something else, storms of
// refusals. The scripts in cmd/ run the agent against the real one.
type fake struct {
	t testing.TB

	mu      sync.Mutex
	root    *evidence.FileKey
	logKey  ed25519.PrivateKey
	token   evidence.Token
	org     string
	origin  string
	tree    tree
	agent   string
	key     evidence.PublicKey
	keys    map[evidence.KeyID]evidence.PublicKey
	enroll  evidence.Envelope // the accepted enrollment
	tries   []string          // every enrollment envelope that came
	held    map[uint64]held
	next    uint64
	blobs   map[string][]byte
	notes   map[int64][]byte // every released checkpoint
	cosigns []string
	known   []evidence.KnownHead // of every push
	epochs  func(known int64) []evidence.NewEpoch
	now     func() time.Time

	// before may answer a request itself and then returns true.
	before func(w http.ResponseWriter, r *http.Request) bool
	// offer and enrolled may twist what enrollment answers; answer what a push does.
	offer    func(*evidence.EnrollOffer)
	enrolled func(*evidence.Enrolled)
	answer   func(*evidence.PushAnswer)
	// forget names blobs that the server claims not to have got.
	forget func(evidence.Digest) bool
	times  []time.Time // of every request
}

type held struct {
	env    evidence.Envelope
	record evidence.Record
	index  int64
}

// tree is an RFC 6962 log in memory.
type tree struct {
	lines  [][]byte
	hashes []tlog.Hash
}

func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = t.hashes[x]
	}
	return out, nil
}

func (t *tree) size() int64 { return int64(len(t.lines)) }

func (t *tree) add(line []byte) int64 {
	n := t.size()
	hashes, err := tlog.StoredHashes(n, line, t)
	if err != nil {
		panic(err)
	}
	t.lines, t.hashes = append(t.lines, line), append(t.hashes, hashes...)
	return n
}

func newFake(t testing.TB) *fake {
	f := &fake{t: t, org: evidence.NewID("o_"), held: map[uint64]held{}, next: 1, blobs: map[string][]byte{},
		notes: map[int64][]byte{}, now: time.Now}
	f.origin = evidence.Origin("proof.example", f.org, 1)
	f.root = newKey(t)
	f.logKey = newKey(t).Private()
	f.token = evidence.NewToken(f.root.Public())
	f.append(evidence.Entry{Type: evidence.EntryWorkflow, Stmt: evidence.Sum([]byte("s")), Env: evidence.Sum([]byte("e"))})
	return f
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

func (f *fake) append(e evidence.Entry) int64 {
	e.V, e.Time = 1, evidence.At(f.now())
	line, err := e.Line()
	if err != nil {
		panic(err)
	}
	return f.tree.add(line)
}

func (f *fake) head(t *tree) evidence.Head {
	root, err := tlog.TreeHash(t.size(), t)
	if err != nil {
		panic(err)
	}
	return evidence.Head{Origin: f.origin, Size: t.size(), Root: root}
}

func (f *fake) checkpoint(t *tree) []byte {
	note, err := evidence.SignCheckpoint(f.logKey, f.head(t))
	if err != nil {
		panic(err)
	}
	f.notes[t.size()] = note
	return note
}

func (f *fake) proof(t *tree, index int64) string {
	path, err := tlog.ProveRecord(t.size(), index, t)
	if err != nil {
		panic(err)
	}
	return string(evidence.Proof{Index: index, Path: path, Checkpoint: f.checkpoint(t)}.Format())
}

func (f *fake) consistency(t *tree, from int64) []tlog.Hash {
	if from == 0 || from >= t.size() {
		return nil
	}
	p, err := tlog.ProveTree(t.size(), from, t)
	if err != nil {
		panic(err)
	}
	return p
}

// RoundTrip serves without a network, so that it works in a synctest bubble.
func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	if w.Code == dropConnection {
		return nil, errors.New("connection reset by peer")
	}
	return w.Result(), nil
}

const dropConnection = 599

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.times = append(f.times, time.Now())
	if f.before != nil && f.before(w, r) {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	switch {
	case r.URL.Path == evidence.PathEnrollBegin:
		f.begin(w)
	case r.URL.Path == evidence.PathEnroll:
		f.finish(w, body)
	case r.Header.Get("Authorization") != "Bearer p_test":
		say(w, http.StatusUnauthorized, &evidence.Error{Code: evidence.CodeBadToken, Message: "token", Cure: "enroll"})
	case r.URL.Path == evidence.PathRecords:
		f.records(w, body)
	case strings.HasPrefix(r.URL.Path, evidence.PathBlobs):
		f.blobs[strings.TrimPrefix(r.URL.Path, evidence.PathBlobs)] = body
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func say(w http.ResponseWriter, status int, e *evidence.Error) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(evidence.ErrorAnswer{Error: e})
}

func (f *fake) begin(w http.ResponseWriter) {
	keyset, err := evidence.SealKeyset(f.root, evidence.Keyset{Version: 1, Server: "proof.example",
		LogKeys: []string{base64Of(f.logKey.Public().(ed25519.PublicKey))}, ServerKeys: []string{base64Of(f.root.Public().SPKI())}})
	if err != nil {
		panic(err)
	}
	offer := evidence.EnrollOffer{Org: f.org, Nonce: "n", Time: evidence.At(f.now()), RootKey: f.root.Public().SPKI(),
		Keyset: string(keyset.Bytes()), Origin: f.origin, Checkpoint: string(f.checkpoint(&f.tree))}
	if f.offer != nil {
		f.offer(&offer)
	}
	_ = json.NewEncoder(w).Encode(offer)
}

func (f *fake) finish(w http.ResponseWriter, body []byte) {
	var ask evidence.EnrollFinish
	env, key, err := evidence.Envelope{}, evidence.PublicKey{}, evidence.DecodeWire(body, &ask)
	if err == nil {
		env, err = evidence.ParseEnvelope([]byte(ask.Envelope))
	}
	f.tries = append(f.tries, ask.Envelope)
	if err == nil {
		_, key, err = evidence.OpenEnrollment(env)
	}
	mac, macErr := f.token.MACKey()
	if err != nil || macErr != nil || !hmac.Equal(ask.MAC, evidence.EnrollMAC(mac, env)) {
		say(w, http.StatusForbidden, &evidence.Error{Code: evidence.CodeEnrollToken, Message: "not made with this token's secret", Cure: "copy it whole"})
		return
	}
	if f.agent == "" {
		f.agent, f.key, f.enroll = evidence.NewID("a_"), key, env
		f.keys = map[evidence.KeyID]evidence.PublicKey{key.ID(): key}
		f.append(evidence.Entry{Type: evidence.EntryEnrollment, Agent: f.agent, Stmt: env.StatementDigest(), Env: env.Digest()})
	} else if env.Digest() != f.enroll.Digest() {
		say(w, http.StatusConflict, &evidence.Error{Code: evidence.CodeKeyInUse, Message: "this key is enrolled already", Cure: "again"})
		return
	}
	done := evidence.Enrolled{Org: f.org, OrgName: "Example", Agent: f.agent, PushToken: "p_test", Entry: string(f.tree.lines[1]),
		Proof: f.proof(&f.tree, 1), Consistency: f.consistency(&f.tree, 1)}
	if f.enrolled != nil {
		f.enrolled(&done)
	}
	_ = json.NewEncoder(w).Encode(done)
}

func (f *fake) records(w http.ResponseWriter, body []byte) {
	var ask evidence.Push
	if err := evidence.DecodeWire(body, &ask); err != nil {
		say(w, http.StatusBadRequest, &evidence.Error{Code: evidence.CodeMalformed, Message: err.Error(), Cure: "report"})
		return
	}
	if len(ask.Records) > evidence.MaxBatch || len(body) > evidence.MaxBatchBody {
		f.t.Errorf("a push of %d records and %d bytes", len(ask.Records), len(body))
	}
	if ask.Cosign != "" {
		f.cosigns = append(f.cosigns, ask.Cosign)
	}
	answer := evidence.PushAnswer{Time: evidence.At(f.now()), Version: "fake"}
	for _, r := range ask.Records {
		answer.Results = append(answer.Results, f.take(r))
	}
	answer.Checkpoint = string(f.checkpoint(&f.tree))
	f.known = append(f.known, ask.Known)
	if ask.Known.Origin == f.origin {
		answer.Consistency = f.consistency(&f.tree, ask.Known.Size)
	} else {
		answer.Epochs = f.epochs(ask.Known.Size)
	}
	for i, r := range answer.Results {
		if h, ok := f.held[r.Seq]; ok && r.Status != evidence.StatusRejected {
			answer.Results[i].Entry, answer.Results[i].Proof = string(f.tree.lines[h.index]), f.proof(&f.tree, h.index)
		}
	}
	if f.answer != nil {
		f.answer(&answer)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (f *fake) take(r evidence.PushRecord) evidence.PushResult {
	refuse := func(seq uint64, code evidence.Code, expect uint64) evidence.PushResult {
		return evidence.PushResult{Seq: seq, Status: evidence.StatusRejected, Error: &evidence.Error{Code: code, Message: string(code), Cure: "cure", Expect: expect}}
	}
	env, err := evidence.ParseEnvelope([]byte(r.Envelope))
	if err != nil {
		return refuse(0, evidence.CodeMalformed, 0)
	}
	blobs := map[evidence.Digest][]byte{}
	for name, b := range r.Blobs {
		d, err := evidence.ParseDigest(name)
		if err != nil {
			return refuse(0, evidence.CodeMalformed, 0)
		}
		blobs[d] = b
	}
	key, ok := f.keys[env.KeyID()]
	if !ok {
		key = f.key
	}
	v, err := evidence.Open(env, key, blobs)
	if err != nil {
		f.t.Errorf("the agent sent a record that does not open: %v", err)
		return refuse(0, evidence.CodeSignature, 0)
	}
	rec := v.Record()
	if old, ok := f.held[rec.Seq]; ok {
		if old.env.Digest() != env.Digest() {
			f.t.Errorf("number %d was given to two records", rec.Seq)
			return refuse(rec.Seq, evidence.CodeFork, f.next)
		}
		return evidence.PushResult{Seq: rec.Seq, Status: evidence.StatusDuplicate}
	}
	if rec.Seq != f.next {
		return refuse(rec.Seq, evidence.CodeGap, f.next)
	}
	prev := f.enroll.StatementDigest()
	if f.next > 1 {
		prev = f.held[f.next-1].env.StatementDigest()
	}
	if env.KeyID() != f.key.ID() {
		f.t.Errorf("record %d is signed with a key that is not in use any more", rec.Seq)
	}
	if next, _ := v.NextKey(); !next.IsZero() {
		f.key = next
		f.keys[next.ID()] = next
	}
	if rec.Prev != prev {
		f.t.Errorf("record %d is chained to another record", rec.Seq)
	}
	out := evidence.PushResult{Seq: rec.Seq, Status: evidence.StatusOK}
	for name, b := range r.Blobs {
		d, _ := evidence.ParseDigest(name)
		if f.forget != nil && f.forget(d) {
			out.Missing = append(out.Missing, d)
			continue
		}
		f.blobs[name] = b
	}
	f.held[rec.Seq] = held{env, rec, f.append(evidence.Entry{Type: v.Type(), Agent: f.agent, Seq: rec.Seq, Prev: rec.Prev,
		Stmt: env.StatementDigest(), Env: env.Digest()})}
	f.next++
	return out
}

// all returns the records that the log holds, in order.
func (f *fake) all() []evidence.Record {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []evidence.Record
	for seq := uint64(1); seq < f.next; seq++ {
		out = append(out, f.held[seq].record)
	}
	return out
}

// requests counts the calls so far.
func (f *fake) requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.times)
}

func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// status answers with a bare status, and Retry-After in seconds when it is not 0.
func status(w http.ResponseWriter, code, after int) bool {
	if after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(after))
	}
	w.WriteHeader(code)
	return true
}

func bounded(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}
