package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// The types of predicate, and of log entry that holds each.
const (
	PredicateEvidence   = "https://attesto.dev/evidence/v1"
	PredicateEnrollment = "https://attesto.dev/enrollment/v1"
	PredicateWorkflow   = "https://attesto.dev/workflow/v1"
	PredicateRotation   = "https://attesto.dev/key-rotation/v1"
	PredicateRevocation = "https://attesto.dev/key-revocation/v1"
	PredicateErasure    = "https://attesto.dev/erasure/v1"
	PredicateEpoch      = "https://attesto.dev/epoch/v1"

	statementType = "https://in-toto.io/Statement/v1"
)

// MaxItems bounds the items of a record.
const MaxItems = 32

type subject struct {
	Name   string        `json:"name"`
	Digest subjectDigest `json:"digest"`
}

type subjectDigest struct {
	SHA256 Digest `json:"sha256"`
}

// statement is an in-toto Statement v1 (github.com/in-toto/attestation) with
// predicate P.
type statement[P any] struct {
	Type          string    `json:"_type"`
	Subject       []subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     P         `json:"predicate"`
}

func newStatement[P any](predicateType string, p P, subjects []subject) ([]byte, error) {
	return marshal(statement[P]{statementType, subjects, predicateType, p})
}

func parseStatement[P any](b []byte, predicateType string) (statement[P], error) {
	var s statement[P]
	if err := CheckJSON(b); err != nil {
		return s, fmt.Errorf("statement: %w", err)
	}
	err := decodeKnown(b, &s)
	if err != nil && (s.PredicateType == "" || s.PredicateType == predicateType) {
		return s, fmt.Errorf("statement: %w", err)
	}
	if s.Type != statementType || s.PredicateType != predicateType {
		return s, fmt.Errorf("statement of type %q and predicate %q: want %q and %q",
			s.Type, s.PredicateType, statementType, predicateType)
	}
	return s, nil
}

// PredicateType reads a statement's predicate type, "" if it has none.
func PredicateType(payload []byte) string {
	var head struct {
		PredicateType string `json:"predicateType"`
	}
	if CheckJSON(payload) != nil || json.Unmarshal(payload, &head) != nil {
		return ""
	}
	return head.PredicateType
}

type itemJSON struct {
	Kind     Kind    `json:"kind"`
	Schema   int     `json:"schema"`
	Subjects []int   `json:"subjects"`
	From     Time    `json:"from"`
	To       Time    `json:"to"`
	Outcome  Outcome `json:"outcome"`
	Reason   string  `json:"reason,omitempty"`
}

type recordJSON struct {
	Org       string     `json:"org"`
	Agent     string     `json:"agent"`
	Seq       uint64     `json:"seq"`
	Prev      Digest     `json:"prev"`
	Log       Head       `json:"log"`
	Items     []itemJSON `json:"items"`
	Clock     Clock      `json:"clock"`
	Collector Build      `json:"collector"`
	Lost      int        `json:"lost"`
}

const (
	factsSuffix  = ".facts.json"
	detailSuffix = ".detail.json"
)

// Statement encodes the record as the in-toto statement that is signed; blobs
// are its subjects by digest.
func (r Record) Statement() ([]byte, error) {
	if err := r.validate(); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	var subjects []subject
	items := make([]itemJSON, len(r.Items))
	for i, it := range r.Items {
		j := itemJSON{Kind: it.Kind, Schema: it.Schema, From: it.From, To: it.To, Outcome: it.Outcome, Reason: it.Reason}
		add := func(suffix string, d Digest) {
			j.Subjects = append(j.Subjects, len(subjects))
			subjects = append(subjects, subject{string(it.Kind) + suffix, subjectDigest{d}})
		}
		add(factsSuffix, it.Facts)
		if !it.Detail.IsZero() {
			add(detailSuffix, it.Detail)
		}
		items[i] = j
	}
	return newStatement(PredicateEvidence, recordJSON{
		r.Org, r.Agent, r.Seq, r.Prev, r.Log, items, r.Clock, r.Collector, r.Lost,
	}, subjects)
}

// ParseRecord reads what Statement writes.
func ParseRecord(payload []byte) (Record, error) {
	s, ok := cutStatement(payload)
	if !ok { // another spelling, or something else: the careful way finds out what is wrong
		var err error
		if s, err = parseStatement[recordJSON](payload, PredicateEvidence); err != nil {
			return Record{}, err
		}
	}
	p := s.Predicate
	r := Record{Org: p.Org, Agent: p.Agent, Seq: p.Seq, Prev: p.Prev, Log: p.Log, Clock: p.Clock, Collector: p.Collector, Lost: p.Lost}
	next := 0
	for _, j := range p.Items {
		it := Item{Kind: j.Kind, Schema: j.Schema, From: j.From, To: j.To, Outcome: j.Outcome, Reason: j.Reason}
		for k, n := range j.Subjects {
			if n != next || n >= len(s.Subject) {
				return Record{}, fmt.Errorf("record: item %s names subject %d, want %d of %d", j.Kind, n, next, len(s.Subject))
			}
			next++
			switch sub := s.Subject[n]; {
			case k == 0 && sub.Name == string(j.Kind)+factsSuffix:
				it.Facts = sub.Digest.SHA256
			case k == 1 && sub.Name == string(j.Kind)+detailSuffix && !sub.Digest.SHA256.IsZero():
				it.Detail = sub.Digest.SHA256
			default:
				return Record{}, fmt.Errorf("record: item %s names subject %q", j.Kind, sub.Name)
			}
		}
		r.Items = append(r.Items, it)
	}
	if next != len(s.Subject) {
		return Record{}, fmt.Errorf("record: %d subjects, %d of them named by items", len(s.Subject), next)
	}
	if err := r.validate(); err != nil {
		return Record{}, fmt.Errorf("record: %w", err)
	}
	return r, nil
}

func (r Record) validate() error {
	switch {
	case !validID(r.Org, "o_"):
		return fmt.Errorf("organisation id %q", r.Org)
	case !validID(r.Agent, "a_"):
		return fmt.Errorf("agent id %q", r.Agent)
	case r.Seq == 0 || r.Seq > 1<<53:
		return fmt.Errorf("sequence number %d", r.Seq)
	case r.Prev.IsZero():
		return errors.New("no previous statement named")
	case len(r.Items) == 0 || len(r.Items) > MaxItems:
		return fmt.Errorf("%d items: want 1 to %d", len(r.Items), MaxItems)
	case r.Lost < 0 || r.Log.Size < 0:
		return fmt.Errorf("lost %d, log size %d", r.Lost, r.Log.Size)
	case r.Clock.Now.IsZero():
		return errors.New("no clock")
	}
	kinds := map[Kind]bool{}
	for _, it := range r.Items {
		switch {
		case !validKind(it.Kind):
			return fmt.Errorf("kind %q", it.Kind)
		case kinds[it.Kind]:
			return fmt.Errorf("two items of kind %s", it.Kind)
		case it.Schema < 1:
			return fmt.Errorf("%s: schema %d", it.Kind, it.Schema)
		case it.Facts.IsZero():
			return fmt.Errorf("%s: no facts blob", it.Kind)
		case it.To.Before(it.From.Time):
			return fmt.Errorf("%s: window ends before it starts", it.Kind)
		case (it.Outcome == Complete) != (it.Reason == ""):
			return fmt.Errorf("%s: outcome %s with reason %q", it.Kind, it.Outcome, it.Reason)
		case len(it.Reason) > 64:
			return fmt.Errorf("%s: reason of %d bytes", it.Kind, len(it.Reason))
		}
		kinds[it.Kind] = true
	}
	return nil
}

func validKind(k Kind) bool {
	if len(k) == 0 || len(k) > 32 {
		return false
	}
	return strings.Trim(string(k), "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// validID accepts prefix and 26 characters of lower-case base32.
func validID(id, prefix string) bool {
	rest, ok := strings.CutPrefix(id, prefix)
	return ok && len(rest) == idLength && strings.Trim(rest, idAlphabet) == ""
}
