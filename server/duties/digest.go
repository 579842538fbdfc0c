package duties

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Digest is what a party has to look at in one service: how its duties to verify
// stand, and what they rest on.
type Digest struct {
	Org     string    `json:"org"`
	Service string    `json:"service"`
	At      time.Time `json:"at"`
	Duties  []Looked  `json:"duties"`
}

// Looked is a duty of a digest.
type Looked struct {
	Duty    string       `json:"duty"`
	Verdict Verdict      `json:"verdict"`
	Why     Message      `json:"why"`
	Parts   []LookedPart `json:"parts"`
}

// LookedPart is how one part of the duty stood, besides the review itself.
type LookedPart struct {
	Part    string  `json:"part"`
	Verdict Verdict `json:"verdict"`
	Why     Message `json:"why"`
	Cites   []Cite  `json:"cites"`
}

// Encode writes the digest, and its SHA-256 in hexadecimal: the log names what was
// looked at by it.
func (d Digest) Encode() (b []byte, sum string, err error) {
	if b, err = json.Marshal(d); err != nil {
		return nil, "", fmt.Errorf("encoding a digest: %w", err)
	}
	h := sha256.Sum256(b)
	return b, hex.EncodeToString(h[:]), nil
}
