package web

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/attesto/attesto/evidence"
)

// argon2id with 19 MiB, two passes, one lane (OWASP Password Storage Cheat Sheet).
const (
	argonMemory  = 19 << 10 // KiB
	argonTime    = 2
	argonThreads = 1
	argonKey     = 32
	argonSalt    = 16

	minPassword = 12  // characters
	maxPassword = 256 // bytes: longer ones only cost time
)

// HashPassword hashes a password in PHC form.
func HashPassword(password string) (string, error) {
	if len(password) > maxPassword {
		return "", fmt.Errorf("the password is longer than %d bytes", maxPassword)
	}
	salt := make([]byte, argonSalt)
	_, _ = rand.Read(salt) // never fails
	key := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, argonKey)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		b64.EncodeToString(salt), b64.EncodeToString(key)), nil
}

// nobodys is the hash of a password that nobody has.
var nobodys = sync.OnceValues(func() (string, error) { return HashPassword(evidence.NewID("")) })

// passwordFault is why a new password is refused; key names the words for people.
type passwordFault struct{ key, say string }

func (f *passwordFault) Error() string { return "the password " + f.say }

// CheckNewPassword refuses a password that is too short, says nothing, or is made of
// what everybody takes: common words, keys side by side, years, and the like.
func CheckNewPassword(password, email string) error {
	_, domain, _ := strings.Cut(email, "@")
	switch {
	case utf8.RuneCountInString(password) < minPassword:
		return &passwordFault{"password_short", fmt.Sprintf("is shorter than %d characters", minPassword)}
	case len(password) > maxPassword:
		return &passwordFault{"password_long", fmt.Sprintf("is longer than %d bytes", maxPassword)}
	case saysName(password, email):
		return &passwordFault{"password_name", "contains the user's name"}
	case bitsOf(password, strings.Split(domain, ".")...) < leastBits:
		return &passwordFault{"password_common", "is too easy to guess: it is made of common words, repeats, or keys that lie side by side"}
	}
	return nil
}

// newHash hashes a new password that was typed twice; fault says what is wrong with it.
func newHash(password, again, email string) (hash, fault string, err error) {
	var f *passwordFault
	switch err := CheckNewPassword(password, email); {
	case errors.As(err, &f):
		return "", f.key, nil
	case err != nil:
		return "", "", err
	case again != password:
		return "", "password_again", nil
	}
	hash, err = HashPassword(password)
	return hash, "", err
}

// saysName reports whether a password contains the name part of an address. Names
// of one or two letters are in anything.
func saysName(password, email string) bool {
	name, _, _ := strings.Cut(strings.ToLower(email), "@")
	return len(name) > 2 && strings.Contains(strings.ToLower(password), name)
}

// hashing bounds how many passwords are hashed at once: each takes memory.
type hashing chan struct{}

const maxHashing = 4

// holds is passwordHolds in its turn; no answer in time is no.
func (h hashing) holds(ctx context.Context, password, hash string) bool {
	select {
	case h <- struct{}{}:
		defer func() { <-h }()
		return passwordHolds(password, hash)
	case <-ctx.Done():
		return false
	}
}

// passwordHolds compares a password with a hash, in constant time.
func passwordHolds(password, hash string) bool {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || len(password) > maxPassword {
		return false
	}
	var version, memory, passes uint32
	var threads uint8
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return false
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &passes, &threads); err != nil || memory > 1<<20 || passes > 16 || threads == 0 {
		return false
	}
	salt, errS := base64.RawStdEncoding.DecodeString(parts[4])
	want, errK := base64.RawStdEncoding.DecodeString(parts[5])
	if errS != nil || errK != nil || len(want) == 0 || len(want) > 64 {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, passes, memory, threads, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1
}
