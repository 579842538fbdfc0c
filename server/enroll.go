package server

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

const (
	nonceLife     = 10 * time.Minute
	retryLife     = 24 * time.Hour // how long a host may ask again for the answer that it did not see
	noncesPerUse  = 8              // open nonces that a token may have for each host that it may enroll
	maxEnrollBody = 128 << 10
)

var errEnrollToken = &evidence.Error{Code: evidence.CodeEnrollToken, Message: "this enrollment token is unknown, used up or expired",
	Cure: "make a new one (attesto-server token create, or the page of agents) and enroll with it; if nobody here used it, tell your administrator"}

var errNonce = &evidence.Error{Code: evidence.CodeEnrollToken, Message: "the enrollment's nonce is unknown, used or older than ten minutes",
	Cure: "begin the enrollment anew: run attesto-agent enroll again"}

// handleEnrollBegin gives a host what it must check before it says anything: the
// root key against its token's pin, the keyset, and the log's head.
func (s *Server) handleEnrollBegin(w http.ResponseWriter, r *http.Request) {
	b, ok := s.body(w, r, 4<<10)
	if !ok {
		return
	}
	var ask evidence.EnrollBegin
	if err := evidence.DecodeWire(b, &ask); err != nil {
		s.refuse(w, r, http.StatusBadRequest, malformed("%v", err))
		return
	}
	offer, refusal, err := s.offer(r.Context(), ask.ID)
	switch {
	case err != nil:
		s.fail(w, r, err)
	case refusal != nil && refusal.Code == evidence.CodeRate:
		s.later(w, r, http.StatusTooManyRequests, time.Minute, refusal)
	case refusal != nil:
		s.refuse(w, r, http.StatusForbidden, refusal)
	default:
		s.answer(w, r, http.StatusOK, offer)
	}
}

func (s *Server) offer(ctx context.Context, id string) (evidence.EnrollOffer, *evidence.Error, error) {
	now := s.now()
	token, err := s.enrollToken(ctx, id)
	// A token that is used up still begins: its host may not have seen the answer.
	if errors.Is(err, store.ErrNotFound) || err == nil && !token.Expires.After(now) {
		return evidence.EnrollOffer{}, clone(errEnrollToken), nil
	}
	if err != nil {
		return evidence.EnrollOffer{}, nil, err
	}
	st, err := s.newest(ctx, token.Org)
	if err != nil {
		return evidence.EnrollOffer{}, nil, err
	}
	nonce, added := rand.Text(), false
	err = s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		added, err = tx.AddNonce(ctx, store.Nonce{Nonce: nonce, Token: token.ID, Size: st.Size, Expires: now.Add(nonceLife)}, now, noncesPerUse*token.MaxUses)
		return err
	})
	if err != nil {
		return evidence.EnrollOffer{}, nil, err
	}
	if !added {
		return evidence.EnrollOffer{}, &evidence.Error{Code: evidence.CodeRate, Message: "too many enrollments were begun and not finished",
			Cure: "try again in some minutes"}, nil
	}
	return evidence.EnrollOffer{Org: token.Org, Nonce: nonce, Time: evidence.At(now), RootKey: s.keys.RootPublic.SPKI(),
		Keyset: s.id.sealed, Origin: st.Origin, Checkpoint: string(st.Checkpoint)}, nil, nil
}

func clone(e *evidence.Error) *evidence.Error { c := *e; return &c }

// handleEnroll ends an enrollment. The MAC is checked before any signature.
func (s *Server) handleEnroll(w http.ResponseWriter, r *http.Request) {
	b, ok := s.body(w, r, maxEnrollBody)
	if !ok {
		return
	}
	var ask evidence.EnrollFinish
	if err := evidence.DecodeWire(b, &ask); err != nil {
		s.refuse(w, r, http.StatusBadRequest, malformed("%v", err))
		return
	}
	e, refusal, err := s.openEnrollment(r.Context(), ask)
	if err == nil && refusal == nil {
		e.from = s.proxies.ClientAddr(r)
		refusal = within(e.token, e.from)
	}
	if err == nil && refusal == nil {
		var done evidence.Enrolled
		if done, refusal, err = s.enroll(r.Context(), e); err == nil && refusal == nil {
			s.log.InfoContext(r.Context(), "agent enrolled", "org", done.Org, "agent", done.Agent, "host", clip(e.said.Hostname, 80),
				"key", e.key.ID(), "from", e.from, "waits", done.Pending)
			s.answer(w, r, http.StatusOK, done)
			return
		}
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	status := http.StatusForbidden
	switch refusal.Code {
	case evidence.CodeMalformed:
		status = http.StatusBadRequest
	case evidence.CodeKeyInUse, evidence.CodeMachineInUse:
		status = http.StatusConflict
	case evidence.CodeUnavailable:
		status = http.StatusServiceUnavailable
	}
	s.refuse(w, r, status, refusal)
}

// enrollment is one that is proven to come from the holder of token and key.
type enrollment struct {
	env   evidence.Envelope
	said  evidence.Enrollment
	key   evidence.PublicKey
	token store.EnrollToken
	from  netip.Addr
}

func (s *Server) openEnrollment(ctx context.Context, ask evidence.EnrollFinish) (enrollment, *evidence.Error, error) {
	var e enrollment
	var err error
	if e.env, err = evidence.ParseEnvelope([]byte(ask.Envelope)); err != nil {
		return e, malformed("%v", err), nil
	}
	e.token, err = s.enrollToken(ctx, statedToken(e.env))
	if errors.Is(err, store.ErrNotFound) {
		return e, clone(errEnrollToken), nil
	}
	if err != nil {
		return e, nil, err
	}
	if !hmac.Equal(ask.MAC, evidence.EnrollMAC(e.token.MACKey, e.env)) {
		return e, &evidence.Error{Code: evidence.CodeEnrollToken, Message: "the enrollment was not made with this token's secret",
			Cure: "copy the token whole; if it was, someone between this host and the server changed the enrollment"}, nil
	}
	if e.said, e.key, err = evidence.OpenEnrollment(e.env); err != nil {
		refusal := malformed("%v", err)
		if errors.Is(err, evidence.ErrSignature) {
			refusal.Code = evidence.CodeSignature
		}
		return e, refusal, nil
	}
	if said := e.said; strings.Contains(said.Nonce+said.Hostname+said.OS+said.Version+said.KeyProtection, nul) {
		return e, malformed("the enrollment holds a NUL"), nil
	}
	if e.said.Org != e.token.Org {
		return e, &evidence.Error{Code: evidence.CodeForeign, Message: "the token is of another organisation than the enrollment says",
			Cure: "begin the enrollment anew"}, nil
	}
	return e, nil, nil
}

// nul is what PostgreSQL keeps in no text.
const nul = "\x00"

// enrollToken finds a token by an id that anybody may have sent.
func (s *Server) enrollToken(ctx context.Context, id string) (store.EnrollToken, error) {
	if strings.Contains(id, nul) {
		return store.EnrollToken{}, store.ErrNotFound
	}
	return s.store.EnrollToken(ctx, id)
}

// statedToken reads which token an enrollment names, before anything of it is
// proven.
func statedToken(env evidence.Envelope) string {
	var head struct {
		Predicate struct {
			Token string `json:"token"`
		} `json:"predicate"`
	}
	if evidence.CheckJSON(env.Payload()) != nil || json.Unmarshal(env.Payload(), &head) != nil {
		return ""
	}
	return head.Predicate.Token
}

// enroll makes the agent and its log entry in one transaction. The same enrollment
// sent again, by a host that did not see the answer, gets a fresh push token as
// long as its agent has not pushed.
func (s *Server) enroll(ctx context.Context, e enrollment) (evidence.Enrolled, *evidence.Error, error) {
	push := "p_" + rand.Text()
	var in enrolled
	err := s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		st, err := tx.LockLog(ctx, e.token.Org)
		if err != nil {
			return err
		}
		nonce, err := tx.Nonce(ctx, e.said.Nonce, e.token.ID)
		if errors.Is(err, store.ErrNotFound) {
			return clone(errNonce)
		}
		if err != nil {
			return err
		}
		if in, err = s.again(ctx, tx, st, e, push); err != nil || in.agent != "" {
			in.offered = nonce.Size
			return err
		}
		if err := s.admit(ctx, tx, e); err != nil {
			return err
		}
		in, err = s.addAgent(ctx, tx, st, e, push)
		in.offered = nonce.Size
		return err
	})
	var refusal *evidence.Error
	if errors.As(err, &refusal) {
		return evidence.Enrolled{}, refusal, nil
	}
	if err != nil {
		return evidence.Enrolled{}, nil, err
	}
	if err := s.guard.release(ctx, ledger.State{}, in.log); err != nil {
		return evidence.Enrolled{}, nil, err
	}
	done, err := s.prove(ctx, in)
	done.PushToken, done.Pending = push, in.waits
	return done, nil, err
}

// enrolled is where an enrollment stands in the log.
type enrolled struct {
	agent   string
	log     ledger.State
	index   int64
	line    []byte
	offered int64 // size of the head that the host was offered
	waits   bool  // for approval
}

// prove makes the answer of a committed enrollment: its receipt, and the proof
// that the log continues the head that was offered.
func (s *Server) prove(ctx context.Context, in enrolled) (evidence.Enrolled, error) {
	org, err := s.store.Org(ctx, in.log.Org)
	if err != nil {
		return evidence.Enrolled{}, err
	}
	tree := ledger.At(ctx, s.store.Reader, in.log.ID, in.log.Size)
	r, err := tree.Receipt(in.index, in.line, in.log.Checkpoint)
	if err != nil {
		return evidence.Enrolled{}, err
	}
	consistency, err := tree.Consistency(in.offered)
	return evidence.Enrolled{Org: org.ID, OrgName: org.Name, Agent: in.agent, Entry: string(r.Entry), Proof: string(r.Proof), Consistency: consistency}, err
}

// again finds the agent of an enrollment that was stored already and renews its
// push token; the zero value when the key is new.
func (s *Server) again(ctx context.Context, tx *store.Tx, st ledger.State, e enrollment, push string) (enrolled, error) {
	agent, err := tx.AgentByKey(ctx, e.key.SPKI())
	if errors.Is(err, store.ErrNotFound) {
		return enrolled{}, nil
	}
	if err != nil {
		return enrolled{}, err
	}
	if agent.Org != e.token.Org || agent.Seq != 0 || agent.Stmt != e.env.StatementDigest() || agent.State != store.AgentActive {
		return enrolled{}, &evidence.Error{Code: evidence.CodeKeyInUse, Message: "this key is enrolled already",
			Cure: "each agent makes a key of its own: remove the copied state folder and enroll again"}
	}
	have, err := tx.RecordBySeq(ctx, agent.Org, agent.ID, 0)
	if err != nil {
		return enrolled{}, err
	}
	logs, err := tx.LogsOf(ctx, agent.Org)
	if err != nil {
		return enrolled{}, err
	}
	if i := slices.IndexFunc(logs, func(st ledger.State) bool { return st.ID == have.Log }); i >= 0 {
		st = logs[i] // the one that was offered to this host, perhaps an older epoch
	}
	entries, err := tx.Entries(ctx, st.ID, agent.EnrollIndex, 1)
	if err != nil {
		return enrolled{}, err
	}
	if len(entries) != 1 || entries[0].Index != agent.EnrollIndex {
		return enrolled{}, fmt.Errorf("entry %d of the enrollment of agent %s is missing: run attesto-server check", agent.EnrollIndex, agent.ID)
	}
	return enrolled{agent: agent.ID, waits: !agent.Held.IsZero(), log: st, index: agent.EnrollIndex, line: entries[0].Line}, tx.SetPush(ctx, agent.ID, evidence.Sum([]byte(push)))
}

// admit uses up the nonce and one use of the token; a refusal is its error.
func (s *Server) admit(ctx context.Context, tx *store.Tx, e enrollment) error {
	now := s.now()
	ok, err := tx.UseNonce(ctx, e.said.Nonce, e.token.ID, now, now.Add(retryLife))
	if err != nil {
		return err
	}
	if !ok {
		return clone(errNonce)
	}
	ok, err = tx.UseEnrollToken(ctx, e.token.ID, now)
	if err == nil && !ok {
		return clone(errEnrollToken)
	}
	return err
}

// addAgent stores the agent, and the record and entry of its enrollment.
func (s *Server) addAgent(ctx context.Context, tx *store.Tx, st ledger.State, e enrollment, push string) (enrolled, error) {
	witness, err := base64.StdEncoding.DecodeString(e.said.Witness)
	if err != nil {
		return enrolled{}, fmt.Errorf("decoding the witness key: %w", err)
	}
	if st, err = s.replace(ctx, tx, st, e.token); err != nil {
		return enrolled{}, err
	}
	held, err := s.held(ctx, tx, e.token)
	if err != nil {
		return enrolled{}, err
	}
	in := enrolled{agent: evidence.NewID("a_"), index: st.Size, waits: !held.IsZero()}
	stmt := e.env.StatementDigest()
	next, stored, err := s.ledger.Append(ctx, tx, st, s.now(), []evidence.Entry{{Type: evidence.EntryEnrollment, Agent: in.agent, Stmt: stmt, Env: e.env.Digest()}})
	if err != nil {
		return in, err
	}
	in.log, in.line = next, stored[0].Line
	agent := store.Agent{ID: in.agent, Org: next.Org, Name: e.said.Hostname, SPKI: e.key.SPKI(), Witness: witness,
		Machine: e.said.Machine, OS: e.said.OS, Version: e.said.Version, Services: e.token.Services, PushHash: evidence.Sum([]byte(push)),
		State: store.AgentActive, Enrolled: next.LastTime.Time, EnrollIndex: in.index, Stmt: stmt,
		Held: held, From: e.from.String(), Replaces: e.token.Replaces, Protection: e.said.KeyProtection}
	added, err := tx.AddAgent(ctx, agent)
	if err != nil {
		return in, err
	}
	if !added {
		return in, &evidence.Error{Code: evidence.CodeMachineInUse, Message: "another active agent of this organisation runs on this machine",
			Cure: "if the host was set up anew: attesto-server token create --replaces AGENT; else revoke that agent first (attesto-server agent revoke); a cloned machine needs a machine id of its own (systemd-machine-id-setup)"}
	}
	if err := s.announce(ctx, tx, agent, e.key.ID(), e.token.ID); err != nil {
		return in, err
	}
	return in, tx.AddRecords(ctx, []store.Record{{Org: next.Org, Agent: in.agent, Type: evidence.EntryEnrollment, Stmt: stmt, Envelope: e.env.Bytes(),
		Log: next.ID, Index: in.index, Received: next.LastTime.Time}})
}
