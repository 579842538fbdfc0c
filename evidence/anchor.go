package evidence

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// AnchorNonceSize is the length of the nonce that hides a log in its server's
// anchor log.
const AnchorNonceSize = 16

// AnchorOrigin names a server's anchor log.
func AnchorOrigin(server string, epoch int64) string {
	return fmt.Sprintf("%s/anchor/%d", server, epoch)
}

// AnchorEntry is one leaf of a server's anchor log: that a log's signed checkpoint
// was there. Anyone may read it; only who has the log's nonce can tell which log and
// checkpoint it speaks of.
type AnchorEntry struct {
	V    int    `json:"v"` // 1
	Time Time   `json:"time"`
	Log  Digest `json:"log"` // of origin and nonce, one after the other
	CP   Digest `json:"cp"`  // of the signed checkpoint's bytes and nonce
}

// NewAnchorEntry makes the entry for a log's checkpoint; version and time are for
// the anchor log to fill in.
func NewAnchorEntry(origin string, checkpoint, nonce []byte) AnchorEntry {
	return AnchorEntry{Log: hidden([]byte(origin), nonce), CP: hidden(checkpoint, nonce)}
}

func hidden(what, nonce []byte) Digest {
	h := sha256.New()
	h.Write(what)
	h.Write(nonce)
	return Digest(h.Sum(nil))
}

// Line encodes the entry as it stands in the log: one line of JSON, newline
// included.
func (e AnchorEntry) Line() ([]byte, error) {
	b, err := marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encoding anchor entry: %w", err)
	}
	return append(b, '\n'), nil
}

// ParseAnchorEntry reads exactly what Line writes.
func ParseAnchorEntry(line []byte) (AnchorEntry, error) {
	var e AnchorEntry
	body, ok := bytes.CutSuffix(line, []byte("\n"))
	if !ok {
		return e, errors.New("anchor entry: no newline at the end")
	}
	if err := unmarshalExact(body, &e); err != nil {
		return e, fmt.Errorf("anchor entry: %w", err)
	}
	if e.V != 1 {
		return e, fmt.Errorf("anchor entry: version %d, this program knows 1", e.V)
	}
	if e.Log.IsZero() || e.CP.IsZero() {
		return e, errors.New("anchor entry: no digest of log or checkpoint")
	}
	return e, nil
}

// Stands checks that the entry stands for this checkpoint of this log.
func (e AnchorEntry) Stands(origin string, checkpoint, nonce []byte) error {
	want := NewAnchorEntry(origin, checkpoint, nonce)
	switch {
	case len(nonce) != AnchorNonceSize:
		return fmt.Errorf("anchor entry: nonce of %d bytes, want %d", len(nonce), AnchorNonceSize)
	case e.Log != want.Log:
		return fmt.Errorf("anchor entry: stands for another log than %s", origin)
	case e.CP != want.CP:
		return errors.New("anchor entry: stands for another checkpoint")
	}
	return nil
}

// Anchored is the proof that a log's checkpoint is in its server's anchor log.
// Time stamps are over the bytes of Proof's checkpoint, which bears the anchor log's
// own signatures only.
type Anchored struct {
	Nonce      []byte // of the log
	Checkpoint []byte // of the log, as signed
	Entry      []byte // the anchor log's line
	Proof      []byte // tlog-proof of the line
}

// Verify checks every link: the log's signature, the entry, its inclusion and the
// anchor log's signature. It returns the entry, the log's head that was anchored, and
// the anchor log's head above it.
func (a Anchored) Verify(log, anchor TrustedLog) (e AnchorEntry, below, above Head, err error) {
	fail := func(err error) (AnchorEntry, Head, Head, error) {
		return AnchorEntry{}, Head{}, Head{}, fmt.Errorf("anchor: %w", err)
	}
	if below, err = log.OpenCheckpoint(a.Checkpoint); err != nil {
		return fail(err)
	}
	if e, err = ParseAnchorEntry(a.Entry); err != nil {
		return fail(err)
	}
	if err := e.Stands(log.Origin, a.Checkpoint, a.Nonce); err != nil {
		return fail(err)
	}
	p, err := ParseProof(a.Proof)
	if err != nil {
		return fail(err)
	}
	if above, err = anchor.OpenCheckpoint(p.Checkpoint); err != nil {
		return fail(err)
	}
	if err := tlog.CheckRecord(p.Path, above.Size, above.Root, p.Index, LeafHash(a.Entry)); err != nil {
		return fail(fmt.Errorf("inclusion of entry %d in the log of %d: %w", p.Index, above.Size, err))
	}
	return e, below, above, nil
}
