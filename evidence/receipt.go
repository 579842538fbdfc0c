package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const proofHeader = "c2sp.org/tlog-proof@v1\n"

// Proof is an inclusion proof with the checkpoint that it leads to
// (c2sp.org/tlog-proof).
type Proof struct {
	Index      int64
	Path       []tlog.Hash // from the leaf's sibling up
	Checkpoint []byte      // signed
}

// Format writes the proof as text.
func (p Proof) Format() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%sindex %d\n", proofHeader, p.Index)
	for _, h := range p.Path {
		fmt.Fprintf(&b, "%s\n", h)
	}
	b.WriteByte('\n')
	b.Write(p.Checkpoint)
	return b.Bytes()
}

// ParseProof reads a proof's text. The "extra" line is refused: we never write one.
func ParseProof(text []byte) (Proof, error) {
	if len(text) > MaxCheckpoint+8<<10 {
		return Proof{}, fmt.Errorf("proof of %d bytes is too large", len(text))
	}
	head, checkpoint, ok := strings.Cut(string(text), "\n\n")
	if !ok || !strings.HasPrefix(head, proofHeader) {
		return Proof{}, errors.New("proof: not of the form c2sp.org/tlog-proof@v1")
	}
	lines := strings.Split(strings.TrimPrefix(head, proofHeader), "\n")
	digits, ok := strings.CutPrefix(lines[0], "index ")
	index, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || index < 0 || strconv.FormatInt(index, 10) != digits {
		return Proof{}, fmt.Errorf("proof: line %q, want the index", lines[0])
	}
	p := Proof{Index: index, Checkpoint: []byte(checkpoint)}
	if len(lines) > 65 {
		return Proof{}, fmt.Errorf("proof: %d hashes, no tree is so high", len(lines)-1)
	}
	for _, line := range lines[1:] {
		raw, err := DecodeBase64(line)
		if err != nil || len(raw) != tlog.HashSize {
			return Proof{}, fmt.Errorf("proof: line %q is no hash", line)
		}
		p.Path = append(p.Path, tlog.Hash(raw))
	}
	return p, nil
}

// Receipt is the log's word that it holds an envelope: the entry's line and the
// proof of its inclusion under a signed checkpoint.
type Receipt struct {
	Entry []byte // the line, newline included
	Proof []byte // tlog-proof text
}

// Verify checks that the entry stands for this envelope, that log signed the
// checkpoint, and that the entry is included under it. It returns the entry, its
// index and the head that the checkpoint states.
func (r Receipt) Verify(env Envelope, log TrustedLog) (Entry, int64, Head, error) {
	e, err := ParseEntry(r.Entry)
	if err != nil {
		return e, 0, Head{}, err
	}
	if e.Env != env.Digest() || e.Stmt != env.StatementDigest() {
		return e, 0, Head{}, errors.New("receipt is for another envelope")
	}
	p, err := ParseProof(r.Proof)
	if err != nil {
		return e, 0, Head{}, err
	}
	head, err := log.OpenCheckpoint(p.Checkpoint)
	if err != nil {
		return e, 0, Head{}, err
	}
	if err := tlog.CheckRecord(p.Path, head.Size, head.Root, p.Index, LeafHash(r.Entry)); err != nil {
		return e, 0, Head{}, fmt.Errorf("inclusion of entry %d in the log of %d: %w", p.Index, head.Size, err)
	}
	return e, p.Index, head, nil
}
