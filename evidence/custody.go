package evidence

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

// How an agent's private key is kept, as its enrollment or rotation states.
const (
	ProtectionFile    = "file"          // readable by root
	ProtectionSystemd = "systemd-creds" // sealed by systemd-creds(1) to this host, its TPM if it has one
	ProtectionDPAPI   = "dpapi"         // sealed by Windows to this machine
	ProtectionTPM     = "tpm2"          // inside the TPM: it cannot be copied
)

// Assurance says who could still have faked a record (EVIDENCE 3).
type Assurance string

// The levels, weakest first.
const (
	AssurancePerson   Assurance = "A0" // a person's or the server's own statement
	AssuranceSoftware Assurance = "A1" // a key in software: root of the host could copy it
	AssuranceTPM      Assurance = "A2" // a key that cannot leave the host's TPM
	AssuranceSecond   Assurance = "A3" // seen by the other party, or from outside
)

// AssuranceOf is what a record is worth that was signed with a key so kept.
func AssuranceOf(protection string) Assurance {
	if protection == ProtectionTPM {
		return AssuranceTPM
	}
	return AssuranceSoftware
}

// Rotation is an agent's change to a new key: the next record of its chain,
// signed with the old key.
type Rotation struct {
	Org           string `json:"org"`
	Agent         string `json:"agent"`
	Seq           uint64 `json:"seq"`
	Prev          Digest `json:"prev"`
	Log           Head   `json:"log"`
	Clock         Clock  `json:"clock"`
	SPKI          string `json:"spki"` // the new key, base64
	KeyProtection string `json:"keyProtection"`
	// Proof is the new key's signature, base64, over the PAE of type
	// PayloadRotation and of this very statement with an empty proof.
	Proof string `json:"proof"`
}

// PayloadRotation is the type under which the new key signs.
const PayloadRotation = "application/vnd.attesto.key-rotation.v1+json"

func (r Rotation) statement() ([]byte, error) {
	spki, err := DecodeBase64(r.SPKI)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	return newStatement(PredicateRotation, r, []subject{{"agent.spki", subjectDigest{Sum(spki)}}})
}

// SealRotation signs a change of key with both keys.
func SealRotation(old, next Signer, r Rotation) (Envelope, error) {
	r.SPKI, r.Proof = base64.StdEncoding.EncodeToString(next.Public().SPKI()), ""
	body, err := r.statement()
	if err != nil {
		return Envelope{}, fmt.Errorf("key rotation: %w", err)
	}
	proof, err := next.Sign(dsse.PAE(PayloadRotation, body))
	if err != nil {
		return Envelope{}, fmt.Errorf("key rotation: signing with the new key: %w", err)
	}
	r.Proof = base64.StdEncoding.EncodeToString(proof)
	payload, err := r.statement()
	if err != nil {
		return Envelope{}, fmt.Errorf("key rotation: %w", err)
	}
	return SealPayload(old, PayloadInToto, payload)
}

// OpenRotation checks both signatures and reads the statement and the new key.
func OpenRotation(env Envelope, old PublicKey) (Rotation, PublicKey, error) {
	fail := func(err error) (Rotation, PublicKey, error) {
		return Rotation{}, PublicKey{}, fmt.Errorf("key rotation: %w", err)
	}
	if err := env.Verify(old, PayloadInToto); err != nil {
		return fail(err)
	}
	s, err := parseStatement[Rotation](env.Payload(), PredicateRotation)
	if err != nil {
		return fail(err)
	}
	r := s.Predicate
	spki, err := DecodeBase64(r.SPKI)
	if err != nil {
		return fail(fmt.Errorf("new key: %w", err))
	}
	next, err := ParsePublicKey(spki)
	if err != nil {
		return fail(fmt.Errorf("new key: %w", err))
	}
	proof, err := DecodeBase64(r.Proof)
	if err != nil {
		return fail(fmt.Errorf("proof: %w", err))
	}
	// One spelling only, so that the bytes under the proof are those of the statement.
	if again, err := r.statement(); err != nil || string(again) != string(env.Payload()) {
		return fail(errors.New("not spelled as it must be"))
	}
	said := r
	said.Proof = ""
	body, err := said.statement()
	if err != nil {
		return fail(err)
	}
	if err := next.Verify(dsse.PAE(PayloadRotation, body), proof); err != nil {
		return fail(fmt.Errorf("proof of the new key: %w", err))
	}
	switch {
	case !validID(r.Org, "o_") || !validID(r.Agent, "a_"):
		return fail(fmt.Errorf("organisation %q, agent %q", r.Org, r.Agent))
	case r.Seq == 0 || r.Seq > 1<<53 || r.Prev.IsZero() || r.Log.Size < 0 || r.Clock.Now.IsZero():
		return fail(fmt.Errorf("number %d after statement %q", r.Seq, r.Prev))
	case next.ID() == old.ID():
		return fail(errors.New("the new key is the old one"))
	case len(r.KeyProtection) > 32:
		return fail(errors.New("a field is too long"))
	}
	return r, next, nil
}

// Revocation ends an agent's key, signed with the server's key. What came after
// DistrustFrom and before the revocation stays in the log and counts as suspect.
type Revocation struct {
	Org          string `json:"org"`
	Agent        string `json:"agent"`
	At           Time   `json:"at"`
	By           string `json:"by"`                     // id of the user who did it; empty for the operator
	Reason       string `json:"reason"`                 // a code: "stolen", "lost", "replaced", "retired", "cloned"
	DistrustFrom *Time  `json:"distrustFrom,omitempty"` // by the entries' times; absent: nothing is distrusted
	Key          Digest `json:"-"`                      // SHA-256 of the key's SPKI
}

// SealRevocation signs a revocation.
func SealRevocation(s Signer, r Revocation) (Envelope, error) {
	if !validID(r.Org, "o_") || !validID(r.Agent, "a_") || !validCode(r.Reason) || r.Key.IsZero() {
		return Envelope{}, fmt.Errorf("revocation: agent %q of organisation %q with reason %q", r.Agent, r.Org, r.Reason)
	}
	return sealStated(s, PredicateRevocation, r, []subject{{"agent.spki", subjectDigest{r.Key}}})
}

// OpenRevocation checks the server's signature and reads the statement.
func OpenRevocation(env Envelope, server PublicKey) (Revocation, error) {
	r, subjects, err := openStated[Revocation](env, server, PredicateRevocation)
	if err != nil {
		return r, fmt.Errorf("revocation: %w", err)
	}
	if len(subjects) != 1 || !validID(r.Agent, "a_") {
		return r, errors.New("revocation: want one agent and its key")
	}
	r.Key = subjects[0].Digest.SHA256
	return r, nil
}

// The scopes of an erasure.
const (
	EraseBlobs = "blobs"        // single facts or details, named by digest
	EraseOrg   = "organisation" // all of it: the key of the organisation's blobs was destroyed
)

// MaxErased bounds the blobs that one erasure names.
const MaxErased = 256

// Erasure states that blobs were deleted; their digests, and all that was judged
// from them, stay. It is signed with the server's key.
type Erasure struct {
	Org   string   `json:"org"`
	At    Time     `json:"at"`
	By    string   `json:"by"`    // id of the user who did it; empty for the operator or the retention term
	Basis string   `json:"basis"` // a code: "retention", "request", "offboarding", "mistake"
	Scope string   `json:"scope"`
	Blobs []Digest `json:"-"` // for EraseOrg: SHA-256 of the wrapped key that was destroyed, alone
}

// SealErasure signs an erasure.
func SealErasure(s Signer, e Erasure) (Envelope, error) {
	if !validID(e.Org, "o_") || !validCode(e.Basis) || len(e.Blobs) == 0 || len(e.Blobs) > MaxErased || e.Scope != EraseBlobs && e.Scope != EraseOrg {
		return Envelope{}, fmt.Errorf("erasure: %d blobs of organisation %q, basis %q, scope %q", len(e.Blobs), e.Org, e.Basis, e.Scope)
	}
	subjects := make([]subject, len(e.Blobs))
	for i, d := range e.Blobs {
		subjects[i] = subject{fmt.Sprintf("erased.%d", i), subjectDigest{d}}
	}
	return sealStated(s, PredicateErasure, e, subjects)
}

// OpenErasure checks the server's signature and reads the statement.
func OpenErasure(env Envelope, server PublicKey) (Erasure, error) {
	e, subjects, err := openStated[Erasure](env, server, PredicateErasure)
	if err != nil {
		return e, fmt.Errorf("erasure: %w", err)
	}
	for _, s := range subjects {
		e.Blobs = append(e.Blobs, s.Digest.SHA256)
	}
	return e, nil
}

// Epoch is the first entry of a log that takes the place of one that cannot be
// continued, because the database lost what witnesses had confirmed. It names
// the loss and is signed with the server's key.
type Epoch struct {
	Org        string `json:"org"`
	Epoch      int    `json:"epoch"` // of the new log, from 2
	At         Time   `json:"at"`
	By         string `json:"by"`         // id of the user who did it; empty for the operator
	Reason     string `json:"reason"`     // a code: "restored", "lost", "rewritten"
	Last       Head   `json:"last"`       // the last head of the old log that is known to have been signed
	Kept       Head   `json:"kept"`       // the old log as it is kept: the entries from Kept.Size to Last.Size are lost
	Checkpoint string `json:"checkpoint"` // of Last, as the guard or a witness had it
}

// SealEpoch signs the first statement of a new epoch.
func SealEpoch(s Signer, e Epoch) (Envelope, error) {
	if !validID(e.Org, "o_") || e.Epoch < 2 || !validCode(e.Reason) || e.Kept.Size > e.Last.Size || e.Kept.Origin != e.Last.Origin {
		return Envelope{}, fmt.Errorf("epoch: %d of organisation %q, reason %q, %d of %d entries kept", e.Epoch, e.Org, e.Reason, e.Kept.Size, e.Last.Size)
	}
	return sealStated(s, PredicateEpoch, e, []subject{{"checkpoint", subjectDigest{Sum([]byte(e.Checkpoint))}}})
}

// OpenEpoch checks the server's signature and reads the statement. Whether the
// old log's key signed the checkpoint in it is for the caller to check.
func OpenEpoch(env Envelope, server PublicKey) (Epoch, error) {
	e, subjects, err := openStated[Epoch](env, server, PredicateEpoch)
	switch {
	case err != nil:
		return e, fmt.Errorf("epoch: %w", err)
	case len(subjects) != 1 || subjects[0].Digest.SHA256 != Sum([]byte(e.Checkpoint)):
		return e, errors.New("epoch: its subject is not the checkpoint that it names")
	case e.Epoch < 2 || e.Kept.Size < 0 || e.Kept.Size > e.Last.Size || e.Kept.Origin != e.Last.Origin:
		return e, fmt.Errorf("epoch: %d, %d of %d entries kept", e.Epoch, e.Kept.Size, e.Last.Size)
	}
	return e, nil
}

// sealStated signs what the server itself states.
func sealStated[P any](s Signer, predicateType string, p P, subjects []subject) (Envelope, error) {
	payload, err := newStatement(predicateType, p, subjects)
	if err != nil {
		return Envelope{}, err
	}
	return SealPayload(s, PayloadInToto, payload)
}

func openStated[P any](env Envelope, server PublicKey, predicateType string) (P, []subject, error) {
	var none P
	if err := env.Verify(server, PayloadInToto); err != nil {
		return none, nil, err
	}
	s, err := parseStatement[P](env.Payload(), predicateType)
	if err != nil {
		return none, nil, err
	}
	if len(s.Subject) == 0 || len(s.Subject) > MaxErased {
		return none, nil, fmt.Errorf("%d subjects", len(s.Subject))
	}
	for _, sub := range s.Subject {
		if sub.Digest.SHA256.IsZero() {
			return none, nil, errors.New("a subject without a digest")
		}
	}
	return s.Predicate, s.Subject, nil
}

// validCode accepts a short word that carries no personal data.
func validCode(s string) bool {
	return len(s) > 0 && len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_-") == ""
}
