package evidence

import (
	"encoding/json"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Limits of one push.
const (
	MaxBatch     = 64      // records
	MaxBatchBody = 4 << 20 // bytes of JSON
)

// The paths of the agents' interface.
const (
	PathRecords     = "/v1/records"      // POST Push, gives PushAnswer
	PathBlobs       = "/v1/blobs/"       // PUT <sha256>: a blob that was missing
	PathEnrollBegin = "/v1/enroll/begin" // POST EnrollBegin, gives EnrollOffer
	PathChain       = "/v1/chain"        // GET ?origin=&known=: a Chain
	PathEnroll      = "/v1/enroll"       // POST EnrollFinish, gives Enrolled
)

// Push is a batch of records, oldest first. Requests carry the agent's push
// token as "Authorization: Bearer"; integrity comes from the signatures alone.
type Push struct {
	Known   KnownHead    `json:"known"`
	Cosign  string       `json:"cosign,omitempty"`  // line for the checkpoint of Known.Size
	Backlog int          `json:"backlog,omitempty"` // records that wait on the host behind these
	Records []PushRecord `json:"records"`
}

// KnownHead is the log and its size that the agent verified last. The signed
// checkpoint comes along only once the server has shown less than that: it is the
// proof that the server lost something.
type KnownHead struct {
	Origin     string `json:"origin,omitempty"`
	Size       int64  `json:"size"`
	Checkpoint string `json:"checkpoint,omitempty"`
	// Keyset is the version of the server's keyset that the agent knows; left out for
	// the first.
	Keyset int `json:"keyset,omitempty"`
}

// PushRecord is one envelope's exact text with its blobs by digest.
type PushRecord struct {
	Envelope string            `json:"envelope"`
	Blobs    map[string][]byte `json:"blobs"` // hex SHA-256 to bytes (base64 in JSON)
}

// The results of a pushed record.
const (
	StatusOK        = "ok"
	StatusDuplicate = "duplicate" // was in the log already: the same entry, a fresh proof
	StatusRejected  = "rejected"
)

// PushAnswer answers a push record by record, in the same order. Checkpoint and
// Consistency lead from Push.Known to the head under which all proofs stand.
type PushAnswer struct {
	Results     []PushResult `json:"results"`
	Checkpoint  string       `json:"checkpoint"`
	Consistency []tlog.Hash  `json:"consistency"`
	Epochs      []NewEpoch   `json:"epochs,omitempty"` // from the log of Push.Known to that of Checkpoint, in order
	Keyset      string       `json:"keyset,omitempty"` // envelope of the newest one, if it is newer than Push.Known says
	Time        Time         `json:"time"`             // the server's clock
	Version     string       `json:"version"`
}

// NewEpoch is why a log goes on under another origin: its first entry with the
// receipt, and the proof that the old log as it is kept continues Push.Known, where
// that is not larger.
type NewEpoch struct {
	Envelope    string      `json:"envelope"`
	Entry       string      `json:"entry"`
	Proof       string      `json:"proof"`
	Consistency []tlog.Hash `json:"consistency,omitempty"`
}

// PushResult is the answer to one record.
type PushResult struct {
	Seq     uint64   `json:"seq"`
	Status  string   `json:"status"`
	Entry   string   `json:"entry,omitempty"`
	Proof   string   `json:"proof,omitempty"`
	Missing []Digest `json:"missing,omitempty"` // blobs to send by PUT
	Error   *Error   `json:"error,omitempty"`
}

// Receipt is the receipt of an accepted record.
func (r PushResult) Receipt() Receipt { return Receipt{Entry: []byte(r.Entry), Proof: []byte(r.Proof)} }

// Code names an error for programs.
type Code string

// The codes of the agents' interface.
const (
	CodeBadToken     Code = "bad_token"      // 401: push token unknown
	CodeUnknownAgent Code = "unknown_agent"  // 403: agent revoked or not of this server
	CodeMalformed    Code = "malformed"      // 400 or per record: not of the form
	CodeTooLarge     Code = "too_large"      // 413
	CodeSignature    Code = "signature"      // signature does not hold
	CodeGap          Code = "gap"            // a record before this one is missing; Expect says which comes next
	CodeFork         Code = "fork"           // another record has this number: key copied, or host cloned or restored
	CodeForeign      Code = "foreign"        // record of another organisation or agent
	CodeRate         Code = "rate"           // 429: slow down, Retry-After says how long
	CodeUnavailable  Code = "unavailable"    // 503
	CodeEnrollToken  Code = "enroll_token"   // token unknown, used up or expired
	CodeKeyInUse     Code = "key_in_use"     // this key is enrolled already
	CodeMachineInUse Code = "machine_in_use" // another active agent has this machine id
	CodePending      Code = "pending"        // 403: enrolled, and waits for approval; records wait at the host
	CodeInternal     Code = "internal"
)

// Error is what people and programs see of a refusal: what, and the cure.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	Cure    string `json:"cure,omitempty"`
	Expect  uint64 `json:"expect,omitempty"` // with gap and fork: the number that the server waits for
}

// Error joins message and cure.
func (e *Error) Error() string {
	if e.Cure == "" {
		return fmt.Sprintf("%s (%s)", e.Message, e.Code)
	}
	return fmt.Sprintf("%s (%s): %s", e.Message, e.Code, e.Cure)
}

// ErrorAnswer is the body of every answer that is not 2xx.
type ErrorAnswer struct {
	Error *Error `json:"error"`
}

// EnrollBegin asks for an enrollment with a token, by its public id.
type EnrollBegin struct {
	ID string `json:"id"`
}

// EnrollOffer is what the host checks before it says anything: the root key
// against the token's pin, the keyset against the root key, the checkpoint
// against the keyset.
type EnrollOffer struct {
	Org        string `json:"org"`
	Nonce      string `json:"nonce"`
	Time       Time   `json:"time"`
	RootKey    []byte `json:"rootKey"` // SPKI
	Keyset     string `json:"keyset"`  // envelope
	Origin     string `json:"origin"`
	Checkpoint string `json:"checkpoint"`
}

// EnrollFinish hands in the signed enrollment.
type EnrollFinish struct {
	Envelope string `json:"envelope"`
	MAC      []byte `json:"mac"`
}

// Enrolled is the outcome: the agent's identity, and the receipt of its
// enrollment in the organisation's log.
type Enrolled struct {
	Org         string      `json:"org"`
	OrgName     string      `json:"orgName"`
	Agent       string      `json:"agent"`
	PushToken   string      `json:"pushToken"`
	Entry       string      `json:"entry"`
	Proof       string      `json:"proof"`
	Consistency []tlog.Hash `json:"consistency"` // from the offer's checkpoint
	// Pending says that the agent waits for approval: its records are refused with
	// CodePending until then.
	Pending bool `json:"pending,omitempty"`
}

// DecodeWire reads a request of the agents' interface: strict JSON, no
// unknown key, bounded by what the caller read. A push is long: it is checked on one
// processor while another decodes it. After an error v says nothing.
func DecodeWire(b []byte, v any) error {
	checked := make(chan error, 1)
	go func() { checked <- CheckJSON(b) }()
	err := decodeKnown(b, v)
	if bad := <-checked; bad != nil {
		return bad
	}
	return err
}

// DecodeAnswer reads an answer of the server: as strict as DecodeWire, but a key
// that this version does not know is passed over, so that a newer server can say
// more to an older agent.
func DecodeAnswer(b []byte, v any) error {
	if err := CheckJSON(b); err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// Chain is where the log has an agent's chain: its last record with the receipt,
// and how the log continues the head that the agent named.
type Chain struct {
	Seq         uint64      `json:"seq"`
	Envelope    string      `json:"envelope"`
	Entry       string      `json:"entry"`
	Proof       string      `json:"proof"`
	Consistency []tlog.Hash `json:"consistency"`
}
