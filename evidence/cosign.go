package evidence

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// algCosignature is the key type of a C2SP Ed25519 cosignature
// (c2sp.org/tlog-cosignature).
const algCosignature = 4

// WitnessName is the name under which an agent cosigns a log's checkpoints.
func WitnessName(origin, agent string) string { return origin + "/a/" + agent }

// Cosign makes the line with which a witness states that it verified the
// checkpoint as the largest consistent one that it saw. signed is the
// checkpoint; its signatures are not looked at.
func Cosign(key ed25519.PrivateKey, name string, signed []byte, at time.Time) (string, error) {
	msg, err := cosignedMessage(signed, uint64(at.Unix()))
	if err != nil {
		return "", err
	}
	b := binary.BigEndian.AppendUint32(nil, noteKeyHash(name, algCosignature, key.Public().(ed25519.PublicKey)))
	b = binary.BigEndian.AppendUint64(b, uint64(at.Unix()))
	b = append(b, ed25519.Sign(key, msg)...)
	return fmt.Sprintf("— %s %s\n", name, base64.StdEncoding.EncodeToString(b)), nil
}

// VerifyCosignature checks a witness's line for a checkpoint and returns when
// the witness says it signed.
func VerifyCosignature(key ed25519.PublicKey, name, line string, signed []byte) (time.Time, error) {
	rest, ok := strings.CutPrefix(line, "— "+name+" ")
	encoded, ended := strings.CutSuffix(rest, "\n")
	if !ok || !ended {
		return time.Time{}, errors.New("cosignature: not a line of this witness")
	}
	b, err := DecodeBase64(encoded)
	if err != nil {
		return time.Time{}, fmt.Errorf("cosignature: %w", err)
	}
	if len(b) != 4+8+ed25519.SignatureSize || binary.BigEndian.Uint32(b) != noteKeyHash(name, algCosignature, key) {
		return time.Time{}, errors.New("cosignature: of another key or form")
	}
	stamp := binary.BigEndian.Uint64(b[4:])
	if stamp > 1<<62 {
		return time.Time{}, errors.New("cosignature: time out of range")
	}
	msg, err := cosignedMessage(signed, stamp)
	if err != nil {
		return time.Time{}, err
	}
	if !ed25519.Verify(key, msg, b[12:]) {
		return time.Time{}, fmt.Errorf("cosignature: %w", ErrSignature)
	}
	return time.Unix(int64(stamp), 0).UTC(), nil
}

func cosignedMessage(signed []byte, stamp uint64) ([]byte, error) {
	body, _, ok := bytes.Cut(signed, []byte("\n\n"))
	if !ok {
		return nil, errors.New("cosignature: not a signed checkpoint")
	}
	return fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s\n", stamp, body), nil
}

// ParseWitnessVKey reads what WitnessVKey writes: a witness' name and key.
func ParseWitnessVKey(vkey string) (name string, key ed25519.PublicKey, err error) {
	name, rest, ok := strings.Cut(vkey, "+")
	_, encoded, also := strings.Cut(rest, "+")
	raw, err := DecodeBase64(encoded)
	if !ok || !also || err != nil || len(raw) != 1+ed25519.PublicKeySize {
		return "", nil, fmt.Errorf("witness key %q: want NAME+HASH+KEY", vkey)
	}
	if raw[0] != algCosignature {
		return "", nil, fmt.Errorf("witness key %q: type %d, want %d (cosignature/v1)", vkey, raw[0], algCosignature)
	}
	key = raw[1:]
	if err := vetEd25519(key); err != nil {
		return "", nil, fmt.Errorf("witness key %q: %w", vkey, err)
	}
	if name == "" || strings.ContainsAny(name, " \t\r\n") || WitnessVKey(name, key) != vkey {
		return "", nil, fmt.Errorf("witness key %q: name, hash and key do not belong together", vkey)
	}
	return name, key, nil
}
