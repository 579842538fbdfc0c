package evidence

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// algEd25519 is the signature type of an Ed25519 note (c2sp.org/signed-note).
const algEd25519 = 1

// MaxCheckpoint bounds a signed checkpoint with its cosignatures, in bytes.
const MaxCheckpoint = 16 << 10

// noteSigner signs notes in a log's name; one key serves all logs of a server.
type noteSigner struct {
	name string
	key  ed25519.PrivateKey
}

func (s noteSigner) Name() string { return s.name }

func (s noteSigner) KeyHash() uint32 {
	return noteKeyHash(s.name, algEd25519, s.key.Public().(ed25519.PublicKey))
}

func (s noteSigner) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

func noteKeyHash(name string, alg byte, key ed25519.PublicKey) uint32 {
	h := sha256.New()
	h.Write([]byte(name + "\n"))
	h.Write([]byte{alg})
	h.Write(key)
	return binary.BigEndian.Uint32(h.Sum(nil))
}

// checkpointText is the body of a checkpoint (c2sp.org/tlog-checkpoint).
func checkpointText(h Head) string {
	return fmt.Sprintf("%s\n%d\n%s\n", h.Origin, h.Size, h.Root)
}

// SignCheckpoint makes the signed checkpoint of a head, signed with former keys as
// well; the keys' name is the log's origin.
func SignCheckpoint(key ed25519.PrivateKey, h Head, former ...ed25519.PrivateKey) ([]byte, error) {
	signers := []note.Signer{noteSigner{h.Origin, key}}
	for _, k := range former {
		signers = append(signers, noteSigner{h.Origin, k})
	}
	signed, err := note.Sign(&note.Note{Text: checkpointText(h)}, signers...)
	if err != nil {
		return nil, fmt.Errorf("signing checkpoint: %w", err)
	}
	return signed, nil
}

// RenewCheckpoint adds a key's signature to a signed checkpoint that lacks it, before
// all others. It trusts the checkpoint: only who made it renews it.
func RenewCheckpoint(key ed25519.PrivateKey, signed []byte) ([]byte, error) {
	text, rest, ok := bytes.Cut(signed, []byte("\n\n"))
	if !ok {
		return nil, errors.New("renewing checkpoint: no signatures")
	}
	h, err := parseCheckpointText(string(text) + "\n")
	if err != nil {
		return nil, err
	}
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("renewing checkpoint: not an Ed25519 key")
	}
	if _, err := (TrustedLog{h.Origin, []ed25519.PublicKey{public}}).OpenCheckpoint(signed); err == nil {
		return signed, nil
	}
	fresh, err := SignCheckpoint(key, h)
	return append(fresh, rest...), err
}

// TrustedLog is a log by origin and the keys that may sign its checkpoints.
type TrustedLog struct {
	Origin string
	Keys   []ed25519.PublicKey
}

// VKey is a log key in the text form that other tools take
// (c2sp.org/signed-note).
func (t TrustedLog) VKey(key ed25519.PublicKey) (string, error) {
	return note.NewEd25519VerifierKey(t.Origin, key)
}

// OpenCheckpoint checks that one of the log's keys signed the checkpoint, and
// that it speaks of this log. Signatures by others are ignored.
func (t TrustedLog) OpenCheckpoint(signed []byte) (Head, error) {
	if len(signed) > MaxCheckpoint {
		return Head{}, fmt.Errorf("checkpoint of %d bytes is over the limit of %d", len(signed), MaxCheckpoint)
	}
	var verifiers []note.Verifier
	for _, key := range t.Keys {
		vkey, err := t.VKey(key)
		if err != nil {
			return Head{}, fmt.Errorf("log key: %w", err)
		}
		v, err := note.NewVerifier(vkey)
		if err != nil {
			return Head{}, fmt.Errorf("log key: %w", err)
		}
		verifiers = append(verifiers, v)
	}
	n, err := note.Open(signed, note.VerifierList(verifiers...))
	if err != nil {
		return Head{}, fmt.Errorf("checkpoint: %w", err)
	}
	h, err := parseCheckpointText(n.Text)
	if err != nil {
		return Head{}, err
	}
	if h.Origin != t.Origin {
		return Head{}, fmt.Errorf("checkpoint of log %q, want %q", h.Origin, t.Origin)
	}
	return h, nil
}

func parseCheckpointText(text string) (Head, error) {
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) < 4 {
		return Head{}, errors.New("checkpoint: fewer than three lines")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return Head{}, fmt.Errorf("checkpoint: size %q", lines[1])
	}
	raw, err := DecodeBase64(lines[2])
	if err != nil || len(raw) != tlog.HashSize {
		return Head{}, fmt.Errorf("checkpoint: root %q", lines[2])
	}
	return Head{Origin: lines[0], Size: size, Root: tlog.Hash(raw)}, nil
}

// CheckConsistency checks that the tree of new continues the tree of known
// (RFC 6962 section 2.1.2).
func CheckConsistency(known, next Head, proof []tlog.Hash) error {
	switch {
	case known.Origin != "" && known.Origin != next.Origin:
		return fmt.Errorf("log changed from %q to %q", known.Origin, next.Origin)
	case next.Size < known.Size:
		return fmt.Errorf("log shrank from %d to %d entries", known.Size, next.Size)
	case known.Size == 0:
		return nil
	case known.Size == next.Size:
		if known.Root != next.Root {
			return fmt.Errorf("log has two different roots at %d entries", known.Size)
		}
		return nil
	}
	if err := tlog.CheckTree(tlog.TreeProof(proof), next.Size, next.Root, known.Size, known.Root); err != nil {
		return fmt.Errorf("log of %d entries does not continue the one of %d: %w", next.Size, known.Size, err)
	}
	return nil
}
