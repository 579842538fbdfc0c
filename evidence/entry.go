package evidence

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// EntryType says what a log entry stands for.
type EntryType string

// The types of entry.
const (
	EntryEvidence   EntryType = "evidence"       // a record of an agent
	EntryEnrollment EntryType = "enrollment"     // an agent's first statement, signed with its new key
	EntryWorkflow   EntryType = "workflow"       // something that happened on the server, signed with the server's key
	EntryRotation   EntryType = "key-rotation"   // an agent's change of key, a record of its chain
	EntryRevocation EntryType = "key-revocation" // the end of an agent's key, signed with the server's key
	EntryErasure    EntryType = "erasure"        // blobs that were deleted, signed with the server's key
	EntryEpoch      EntryType = "epoch"          // the first entry of a log that takes another's place, signed with the server's key
)

// Entry is one leaf of an organisation's log: digests, ids and times only.
type Entry struct {
	V     int       `json:"v"` // 1
	Time  Time      `json:"time"`
	Type  EntryType `json:"type"`
	Agent string    `json:"agent"` // empty for what the server says
	Seq   uint64    `json:"seq"`   // 0 for what is not numbered
	Prev  Digest    `json:"prev"`  // empty for what is not chained
	Stmt  Digest    `json:"stmt"`  // of the statement's bytes
	Env   Digest    `json:"env"`   // of the envelope's bytes
}

// Line encodes the entry as it stands in the log: one line of JSON, newline
// included.
func (e Entry) Line() ([]byte, error) {
	b, err := marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encoding log entry: %w", err)
	}
	return append(b, '\n'), nil
}

// ParseEntry reads exactly what Line writes.
func ParseEntry(line []byte) (Entry, error) {
	var e Entry
	body, ok := bytes.CutSuffix(line, []byte("\n"))
	if !ok {
		return e, errors.New("log entry: no newline at the end")
	}
	if e, ok = cutEntry(body); !ok {
		e = Entry{}
		if err := unmarshalExact(body, &e); err != nil {
			return e, fmt.Errorf("log entry: %w", err)
		}
	}
	if e.V != 1 {
		return e, fmt.Errorf("log entry: version %d, this program knows 1", e.V)
	}
	if e.Stmt.IsZero() || e.Env.IsZero() {
		return e, errors.New("log entry: no digest of statement or envelope")
	}
	return e, nil
}

// LeafHash is the RFC 6962 hash of an entry's line.
func LeafHash(line []byte) tlog.Hash { return tlog.RecordHash(line) }
