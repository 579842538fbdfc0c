package server

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// handleRecords takes a push: cheap checks first, then signatures, all before the
// transaction; then the chain, within it. Each record has its own answer.
func (s *Server) handleRecords(w http.ResponseWriter, r *http.Request) {
	agent, ok := s.authenticate(w, r)
	if !ok {
		return
	}
	select {
	case s.busy <- struct{}{}:
		defer func() { <-s.busy }()
	default:
		s.later(w, r, http.StatusServiceUnavailable, 3*time.Second, &evidence.Error{Code: evidence.CodeUnavailable,
			Message: "too many pushes at once", Cure: "nothing is lost: send it again later"})
		return
	}
	b, ok := s.body(w, r, evidence.MaxBatchBody)
	if !ok {
		return
	}
	keys, err := s.keysOf(r.Context(), agent)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	p, refusal := parsePush(b, agent, keys)
	if refusal != nil {
		s.refuse(w, r, http.StatusBadRequest, refusal)
		return
	}
	p.received = s.now()
	if err := s.commits.of(agent.Org).do(r.Context(), p); err != nil {
		s.fail(w, r, err)
		return
	}
	if version := s.id.keyset.Version; max(p.keyset, 1) < version {
		p.answer.Keyset = s.id.sealed
	}
	p.answer.Time, p.answer.Version = evidence.At(s.now()), s.version
	s.answer(w, r, http.StatusOK, p.answer)
}

// authenticate finds the agent of the push token and holds it to its rate. The
// token only keeps strangers out; what an agent says is proven by signatures.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request) (store.Agent, bool) {
	token := bearer(r)
	a, err := s.store.AgentByPush(r.Context(), evidence.Sum([]byte(token)))
	switch {
	case token == "" || errors.Is(err, store.ErrNotFound):
		s.refuse(w, r, http.StatusUnauthorized, &evidence.Error{Code: evidence.CodeBadToken, Message: "the push token is not one of this server",
			Cure: "check the server's address; if the host was never enrolled here, make a token (attesto-server token create) and run attesto-agent enroll"})
		return a, false
	case err != nil:
		s.fail(w, r, err)
		return a, false
	case a.State == store.AgentRevoked:
		s.refuse(w, r, http.StatusForbidden, &evidence.Error{Code: evidence.CodeUnknownAgent, Message: "this agent's key was revoked",
			Cure: "enroll the host anew with a fresh token"})
		return a, false
	}
	if a.Standing() == store.AgentWaiting {
		s.refuse(w, r, http.StatusForbidden, clone(errWaits))
		return a, false
	}
	if wait := s.rates.wait(a.ID, s.now()); wait > 0 {
		s.later(w, r, http.StatusTooManyRequests, wait, &evidence.Error{Code: evidence.CodeRate, Message: "too many requests from this agent",
			Cure: "nothing is lost: wait as long as Retry-After says, and send more records at once"})
		return a, false
	}
	return a, true
}

// push is one request on its way through the commit.
type push struct {
	agent    store.Agent
	received time.Time
	keyset   int    // version that the agent knows
	origin   string // of the log that the agent knows; "" for the newest
	known    int64
	claim    string // its signed head, once it was told of a smaller one
	cosign   string
	backlog  int64 // records that wait on the host behind these
	records  []pushed
	done     chan error

	// filled by the commit
	kinds  []evidence.Kind // of what it changed
	silent bool            // the log is read-only: its head is not confirmed again
	from   *ledger.State   // the older epoch that the agent knows, nil for the newest
	answer evidence.PushAnswer
}

// pushed is one record of a push: verified, or refused with an error.
type pushed struct {
	verified evidence.Verified
	result   evidence.PushResult
	index    int64 // of its entry; -1 while it has none, refusedBefore once it cannot get one
	line     []byte
	in       *ledger.State // the older epoch in which it stands; nil for the newest
}

// parsePush reads a push and opens each record by itself, so that a bad one does
// not keep a good one from being stored.
func parsePush(b []byte, agent store.Agent, keys keyring) (*push, *evidence.Error) {
	var body struct {
		Known   evidence.KnownHead `json:"known"`
		Cosign  string             `json:"cosign"`
		Backlog int64              `json:"backlog"`
		Records []json.RawMessage  `json:"records"`
	}
	if err := evidence.DecodeWire(b, &body); err != nil {
		return nil, malformed("the push is no valid JSON of its form: %v", err)
	}
	if len(body.Records) > evidence.MaxBatch {
		return nil, malformed("%d records in one push, at most %d may be", len(body.Records), evidence.MaxBatch)
	}
	if body.Known.Size < 0 {
		return nil, malformed("known.size is %d", body.Known.Size)
	}
	p := &push{agent: agent, keyset: body.Known.Keyset, origin: body.Known.Origin, known: body.Known.Size, claim: body.Known.Checkpoint, cosign: body.Cosign, backlog: max(0, body.Backlog), done: make(chan error, 1), records: make([]pushed, len(body.Records))}
	openRecords(body.Records, p.records, agent, keys)
	return p, nil
}

// keyring is the keys of one agent, those that it used before among them.
type keyring map[evidence.KeyID]evidence.PublicKey

// keysOf reads an agent's keys.
func (s *Server) keysOf(ctx context.Context, agent store.Agent) (keyring, error) {
	list := [][]byte{agent.SPKI}
	if agent.Rotated > 0 {
		old, err := s.store.OldKeys(ctx, agent.ID)
		if err != nil {
			return nil, err
		}
		for _, k := range old {
			list = append(list, k.SPKI)
		}
	}
	keys := keyring{}
	for _, spki := range list {
		key, err := s.parsedKey(spki)
		if err != nil {
			return nil, fmt.Errorf("the server's copy of the key of agent %s is damaged (%w): run attesto-server check", agent.ID, err)
		}
		keys[key.ID()] = key
	}
	return keys, nil
}

// parsedKey reads a stored key. Vetting costs as much as a signature, so that the
// outcome is kept.
func (s *Server) parsedKey(spki []byte) (evidence.PublicKey, error) {
	if key, ok := s.parsed.Load(string(spki)); ok {
		return key.(evidence.PublicKey), nil //nolint:forcetypeassert // holds nothing else
	}
	key, err := evidence.ParsePublicKey(spki)
	if err == nil {
		s.parsed.Store(string(spki), key)
	}
	return key, err
}

// openRecords verifies records. Those that follow a change of key in the same push
// are signed with a key that only this change tells.
func openRecords(raw []json.RawMessage, to []pushed, agent store.Agent, keys keyring) {
	openAll(raw, to, agent, keys)
	for i := range to {
		next, _ := to[i].verified.NextKey()
		if next.IsZero() {
			continue
		}
		if _, known := keys[next.ID()]; known {
			continue
		}
		keys[next.ID()] = next
		openAll(raw[i+1:], to[i+1:], agent, keys)
	}
}

// openAll verifies records on all processors.
func openAll(raw []json.RawMessage, to []pushed, agent store.Agent, keys keyring) {
	var wg sync.WaitGroup
	var next atomic.Int64
	for range min(len(raw), runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(raw)); i = next.Add(1) - 1 {
				to[i] = open(raw[i], agent, keys)
			}
		})
	}
	wg.Wait()
}

func malformed(format string, args ...any) *evidence.Error {
	return &evidence.Error{Code: evidence.CodeMalformed, Message: clip(fmt.Sprintf(format, args...), maxMessage),
		Cure: "if agent and server are of the same version, report this with the agent's attesto-agent doctor --json"}
}

// open verifies one record: form, then signature, then whose it says it is.
func open(raw []byte, agent store.Agent, keys keyring) pushed {
	p := pushed{index: -1}
	refuse := func(e *evidence.Error) pushed {
		p.index, p.result.Status, p.result.Error = refusedBefore, evidence.StatusRejected, e
		return p
	}
	var rec evidence.PushRecord
	if err := decodeRecord(raw, &rec); err != nil {
		return refuse(malformed("record: %v", err))
	}
	env, err := evidence.ParseEnvelope([]byte(rec.Envelope))
	if err != nil {
		return refuse(malformed("%v", err))
	}
	blobs := make(map[evidence.Digest][]byte, len(rec.Blobs))
	for name, data := range rec.Blobs {
		d, err := evidence.ParseDigest(name)
		if err != nil || d.IsZero() {
			return refuse(malformed("blob %q: its name is no SHA-256", name))
		}
		blobs[d] = data
	}
	key, known := keys[env.KeyID()]
	if !known {
		if stated, err := evidence.ParseRecord(env.Payload()); err == nil && stated.Seq > uint64(agent.Seq)+1 {
			// Perhaps a change of key comes before it; nothing is decided on what is not verified.
			p.result.Seq = stated.Seq
			return refuse(&evidence.Error{Code: evidence.CodeGap, Expect: uint64(agent.Seq) + 1,
				Message: fmt.Sprintf("record %d cannot follow record %d", stated.Seq, agent.Seq), Cure: fmt.Sprintf("send record %d first", agent.Seq+1)})
		}
	}
	p.verified, err = evidence.Open(env, key, blobs)
	if errors.Is(err, evidence.ErrSignature) {
		return refuse(&evidence.Error{Code: evidence.CodeSignature, Message: clip(err.Error(), maxMessage),
			Cure: "the record was changed after it was signed, or signed with a key that is not this agent's: compare attesto-agent status with the agent's page; restore its key or enroll it anew"})
	}
	if err != nil {
		return refuse(malformed("%v", err))
	}
	stated := p.verified.Record()
	p.result.Seq = stated.Seq
	if stated.Org != agent.Org || stated.Agent != agent.ID {
		return refuse(&evidence.Error{Code: evidence.CodeForeign,
			Message: fmt.Sprintf("the record says it is of agent %s of organisation %s; this token is of agent %s of organisation %s", stated.Agent, stated.Org, agent.ID, agent.Org),
			Cure:    "give each agent its own state folder; do not copy one from another host"})
	}
	return p
}

// decodeRecord reads a record of a push that DecodeWire has checked as a whole:
// keys are unique and text is sound, only unknown keys are left to refuse.
func decodeRecord(raw []byte, to *evidence.PushRecord) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	return dec.Decode(to)
}

// cosigned checks a witness's line for the head that it knows; nil when there is
// none or it does not hold, which is logged and costs the agent nothing else.
func (s *Server) cosigned(ctx context.Context, r store.Reader, st ledger.State, p *push) (*store.Cosignature, error) {
	if p.cosign == "" || p.known == 0 || p.from != nil {
		return nil, nil
	}
	note, err := r.Checkpoint(ctx, st.ID, p.known)
	if errors.Is(err, store.ErrNotFound) {
		s.log.WarnContext(ctx, "cosignature for a head that was never released", "agent", p.agent.ID, "size", p.known)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	at, err := evidence.VerifyCosignature(ed25519.PublicKey(p.agent.Witness), evidence.WitnessName(st.Origin, p.agent.ID), p.cosign, note)
	if err != nil {
		s.log.WarnContext(ctx, "cosignature does not hold", "agent", p.agent.ID, "size", p.known, "err", err)
		return nil, nil
	}
	return &store.Cosignature{Log: st.ID, Size: p.known, Agent: p.agent.ID, Line: p.cosign, At: at}, nil
}

// kindsOf lists the kinds of a record's items.
func kindsOf(r evidence.Record) []evidence.Kind {
	kinds := make([]evidence.Kind, len(r.Items))
	for i, it := range r.Items {
		kinds[i] = it.Kind
	}
	return kinds
}

// handleBlob takes a blob that a record named and that did not come with it.
func (s *Server) handleBlob(w http.ResponseWriter, r *http.Request) {
	agent, ok := s.authenticate(w, r)
	if !ok {
		return
	}
	d, err := evidence.ParseDigest(r.PathValue("sha"))
	if err != nil || d.IsZero() {
		s.refuse(w, r, http.StatusBadRequest, malformed("blob %q: its name is no SHA-256", clip(r.PathValue("sha"), 80)))
		return
	}
	b, ok := s.body(w, r, evidence.MaxBlob)
	if !ok {
		return
	}
	kinds, refusal, err := s.storeBlob(r.Context(), agent, d, b)
	switch {
	case err != nil:
		s.fail(w, r, err)
	case refusal != nil:
		status := http.StatusBadRequest
		if refusal.Code == evidence.CodeForeign {
			status = http.StatusNotFound
		}
		s.refuse(w, r, status, refusal)
	default:
		if len(kinds) > 0 {
			s.accepted(agent.Org, kinds)
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// sentAgain is how old a record may be for a blob of it to be sent once more.
const sentAgain = 24 * time.Hour

// storeBlob stores a blob that the agent owes, beside each record that lacks it.
// One that it delivered already is fine; one that none of its records names is
// refused.
func (s *Server) storeBlob(ctx context.Context, agent store.Agent, d evidence.Digest, b []byte) (kinds []evidence.Kind, refusal *evidence.Error, err error) {
	var wants []store.Want
	err = s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		kinds, refusal = nil, nil
		var err error
		if wants, err = tx.WantsOf(ctx, agent.Org, agent.ID, d); err != nil {
			return err
		}
		for _, want := range wants {
			rec, err := tx.RecordAt(ctx, agent.Org, want.Log, want.Index)
			if err != nil {
				return err
			}
			it, err := namedBy(rec, d)
			if err != nil {
				return err
			}
			if err := evidence.CheckBlob(it, d, b); err != nil {
				refusal = malformed("%v", err)
				return nil
			}
			kinds = append(kinds, it.Kind)
			if err := errors.Join(tx.AddBlobs(ctx, []store.Blob{{Place: want.Place, Data: b}}), tx.EndWant(ctx, want)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || len(wants) > 0 {
		return kinds, refusal, err
	}
	if named, err := s.store.Names(ctx, agent.Org, agent.ID, d, s.now().Add(-sentAgain)); named || err != nil {
		return nil, nil, err
	}
	return nil, &evidence.Error{Code: evidence.CodeForeign, Message: "no record of this agent names this blob as missing",
		Cure: "push the record first; the answer lists what is missing"}, nil
}

// namedBy finds the item of a record that names a blob.
func namedBy(rec store.Record, d evidence.Digest) (evidence.Item, error) {
	env, err := evidence.ParseEnvelope(rec.Envelope)
	if err != nil {
		return evidence.Item{}, fmt.Errorf("record %d of agent %s is damaged: %w", rec.Seq, rec.Agent, err)
	}
	stated, err := evidence.ParseRecord(env.Payload())
	if err != nil {
		return evidence.Item{}, fmt.Errorf("record %d of agent %s is damaged: %w", rec.Seq, rec.Agent, err)
	}
	i := slices.IndexFunc(stated.Items, func(it evidence.Item) bool { return it.Facts == d || it.Detail == d })
	if i < 0 {
		return evidence.Item{}, fmt.Errorf("record %d of agent %s does not name blob %s", rec.Seq, rec.Agent, d)
	}
	return stated.Items[i], nil
}
