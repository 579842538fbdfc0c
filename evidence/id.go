package evidence

import (
	"crypto/rand"
	"encoding/base32"
)

const (
	idAlphabet = "abcdefghijklmnopqrstuvwxyz234567"
	idLength   = 26
)

var idEncoding = base32.NewEncoding(idAlphabet).WithPadding(base32.NoPadding)

// NewID makes a random id of 128 bits with a prefix such as "o_" (organisation),
// "a_" (agent) or "u_" (user). It tells nothing about what it names.
func NewID(prefix string) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return prefix + idEncoding.EncodeToString(b[:])
}
