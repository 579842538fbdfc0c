package evidence

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// MaxBlob bounds a facts or detail blob, in bytes. Collectors cut their lists
// (and say so with a gap) to stay below it.
const MaxBlob = 1 << 20

// Facts are what a look saw: no personal data, all that a check needs. Each
// kind has one Go type, which is its schema.
type Facts interface {
	// Kind says which collector's facts these are.
	Kind() Kind
	// Validate names the first field that breaks the kind's rules, with its value.
	Validate() error
}

// SchemaOf is the version of each kind's facts that this build writes.
func SchemaOf(Kind) int { return 1 }

type factsBlob struct {
	Salt  string          `json:"salt"`
	Gaps  []Gap           `json:"gaps"`
	Facts json.RawMessage `json:"facts"` // null for a look that failed
}

type detailBlob struct {
	Salt   string          `json:"salt"`
	Detail json.RawMessage `json:"detail"`
}

// FactsBlob encodes facts (nil for a failed look) and gaps with a fresh 16-byte
// salt, so that a digest that stays in the log after erasure cannot be guessed
// back to its content.
func FactsBlob(f Facts, gaps []Gap) ([]byte, error) {
	raw := json.RawMessage("null")
	if f != nil {
		if err := f.Validate(); err != nil {
			return nil, fmt.Errorf("%s facts: %w", f.Kind(), err)
		}
		var err error
		if raw, err = marshal(f); err != nil {
			return nil, fmt.Errorf("encoding %s facts: %w", f.Kind(), err)
		}
	}
	if gaps == nil {
		gaps = []Gap{}
	}
	return bounded(factsBlob{Salt: newSalt(), Gaps: gaps, Facts: raw})
}

// DetailBlob encodes what may be erased later (names, samples, paths), with a
// salt of its own.
func DetailBlob(detail any) ([]byte, error) {
	raw, err := marshal(detail)
	if err != nil {
		return nil, fmt.Errorf("encoding detail: %w", err)
	}
	return bounded(detailBlob{Salt: newSalt(), Detail: raw})
}

func bounded(v any) ([]byte, error) {
	b, err := marshal(v)
	if err != nil {
		return nil, err
	}
	if len(b) > MaxBlob {
		return nil, fmt.Errorf("blob of %d bytes is over the limit of %d", len(b), MaxBlob)
	}
	return b, nil
}

func newSalt() string {
	var salt [16]byte
	_, _ = rand.Read(salt[:]) // never fails: crypto/rand aborts the program instead
	return hex.EncodeToString(salt[:])
}

// ErrNoFacts is returned by DecodeFacts for the blob of a look that failed.
var ErrNoFacts = errors.New("the look failed: no facts")

// ParseFactsBlob splits a facts blob into its raw facts (nil for a failed look)
// and its gaps, strictly.
func ParseFactsBlob(blob []byte) (raw json.RawMessage, gaps []Gap, err error) {
	if len(blob) > MaxBlob {
		return nil, nil, fmt.Errorf("facts blob of %d bytes is over the limit of %d", len(blob), MaxBlob)
	}
	var fb factsBlob
	if err := unmarshalStrict(blob, &fb); err != nil {
		return nil, nil, fmt.Errorf("facts blob: %w", err)
	}
	if string(fb.Facts) == "null" {
		fb.Facts = nil
	}
	return fb.Facts, fb.Gaps, nil
}

// ParseDetailBlob returns the raw detail of a detail blob.
func ParseDetailBlob(blob []byte) (json.RawMessage, error) {
	if len(blob) > MaxBlob {
		return nil, fmt.Errorf("detail blob of %d bytes is over the limit of %d", len(blob), MaxBlob)
	}
	var db detailBlob
	if err := unmarshalStrict(blob, &db); err != nil {
		return nil, fmt.Errorf("detail blob: %w", err)
	}
	return db.Detail, nil
}

// DecodeFacts reads a facts blob as F and validates it. A failed look gives
// ErrNoFacts beside its gaps.
func DecodeFacts[F Facts](blob []byte) (F, []Gap, error) {
	var f F
	raw, gaps, err := ParseFactsBlob(blob)
	if err != nil {
		return f, nil, err
	}
	if raw == nil {
		return f, gaps, ErrNoFacts
	}
	if err := decodeKnown(raw, &f); err != nil {
		return f, gaps, fmt.Errorf("%s facts: %w", f.Kind(), err)
	}
	if err := f.Validate(); err != nil {
		return f, gaps, fmt.Errorf("%s facts: %w", f.Kind(), err)
	}
	return f, gaps, nil
}

// CheckFacts decodes and validates a blob by kind. A kind or schema that this
// build does not know is not judged: known is false.
func CheckFacts(kind Kind, schema int, blob []byte) (known bool, err error) {
	check, ok := factsCheckers[kind]
	if !ok || schema != SchemaOf(kind) {
		_, _, err := ParseFactsBlob(blob)
		return false, err
	}
	if _, _, err := check(blob); err != nil && !errors.Is(err, ErrNoFacts) {
		return true, err
	}
	return true, nil
}

// ReadFacts is DecodeFacts for a kind that is known at run time only. Of a kind that
// this build does not know it reports an error; with an empty blob the facts are the
// kind's zero ones, beside one.
func ReadFacts(kind Kind, blob []byte) (Facts, []Gap, error) {
	check, ok := factsCheckers[kind]
	if !ok {
		return nil, nil, fmt.Errorf("facts of kind %q are not known here", kind)
	}
	return check(blob)
}

// FactsKinds lists the kinds of facts that this build knows, sorted.
func FactsKinds() []Kind { return slices.Sorted(maps.Keys(factsCheckers)) }

var factsCheckers = map[Kind]func([]byte) (Facts, []Gap, error){
	KindDNSBL:      checkAs[DNSBL],
	KindBackup:     checkAs[Backup],
	KindHypervisor: checkAs[Hypervisor],
	KindEventLog:   checkAs[EventLog],
	KindSoftware:   checkAs[Software],
	KindHealth:     checkAs[Health],
	KindEndpoints:  checkAs[Endpoints],
	KindStorage:    checkAs[Storage],
	KindAccounts:   checkAs[Accounts],
	KindAntivirus:  checkAs[Antivirus],
	KindRestore:    checkAs[Restore],
	KindMail:       checkAs[Mail],
	KindRestored:   checkAs[Restored],
}

func checkAs[F Facts](blob []byte) (Facts, []Gap, error) { return DecodeFacts[F](blob) }

// Sum is the digest of a blob, an envelope or a statement.
func Sum(b []byte) Digest { return sha256.Sum256(b) }
