package evidence

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	tokenPrefix   = "att1"
	tokenIDLength = 10
	pinLength     = 16 // bytes of the root key's SHA-256
	secretLength  = 16
)

// Token lets one host (or, for a fleet, several) enroll in one organisation. Its
// pin ties the host to the server's root key, so that nobody between the two can
// put another log in its place. The secret itself never travels.
type Token struct {
	ID     string // public
	Secret []byte
	Pin    []byte // first 16 bytes of SHA-256 of the root key's SPKI
}

// NewToken makes a token for a server's root key.
func NewToken(root PublicKey) Token {
	secret := make([]byte, secretLength)
	_, _ = rand.Read(secret) // never fails
	id := NewID("")[:tokenIDLength]
	return Token{ID: id, Secret: secret, Pin: rootPin(root)}
}

func rootPin(root PublicKey) []byte {
	sum := sha256.Sum256(root.SPKI())
	return sum[:pinLength]
}

// String is the token as people copy it: att1.<id>.<secret>.<pin>.
func (t Token) String() string {
	return strings.Join([]string{tokenPrefix, t.ID, idEncoding.EncodeToString(t.Secret), idEncoding.EncodeToString(t.Pin)}, ".")
}

// ParseToken reads a token; its errors do not repeat the secret.
func ParseToken(s string) (Token, error) {
	parts := strings.Split(strings.TrimSpace(s), ".")
	if len(parts) != 4 || parts[0] != tokenPrefix {
		return Token{}, errors.New("enrollment token: want att1.<id>.<secret>.<pin>; copy it whole from the page or the command that made it")
	}
	secret, errS := idEncoding.DecodeString(parts[2])
	pin, errP := idEncoding.DecodeString(parts[3])
	if errS != nil || errP != nil || len(secret) != secretLength || len(pin) != pinLength ||
		len(parts[1]) != tokenIDLength || strings.Trim(parts[1], idAlphabet) != "" {
		return Token{}, errors.New("enrollment token: damaged; copy it whole from the page or the command that made it")
	}
	return Token{ID: parts[1], Secret: secret, Pin: pin}, nil
}

// MACKey is what the server stores of a token's secret.
func (t Token) MACKey() ([]byte, error) {
	return hkdf.Key(sha256.New, t.Secret, nil, "attesto enroll mac", 32)
}

// EnrollMAC proves knowledge of the token over an enrollment envelope's PAE.
func EnrollMAC(macKey []byte, env Envelope) []byte {
	h := hmac.New(sha256.New, macKey)
	h.Write(env.PAE())
	return h.Sum(nil)
}

// CheckRoot reports whether root is the key that the token pins.
func (t Token) CheckRoot(root PublicKey) bool { return hmac.Equal(t.Pin, rootPin(root)) }

// Keyset lists the server's keys in force, signed by its root key.
type Keyset struct {
	Version    int      `json:"version"`    // from 1, only ever up
	Server     string   `json:"server"`     // the server's name, first part of every origin
	LogKeys    []string `json:"logKeys"`    // raw Ed25519 keys that sign checkpoints, newest first, base64
	ServerKeys []string `json:"serverKeys"` // SPKIs of keys that sign what the server itself states, base64
	// Since is when the first log key took over; the second signs beside it for
	// KeysetOverlap. Zero in the first version.
	Since Time `json:"since,omitzero"`
}

// KeysetOverlap is how long checkpoints bear the signature of the former log key as
// well, for agents that have not heard of the new one (EVIDENCE 3).
const KeysetOverlap = 90 * 24 * time.Hour

// SealKeyset signs a keyset with the root key.
func SealKeyset(root Signer, k Keyset) (Envelope, error) {
	payload, err := marshal(k)
	if err != nil {
		return Envelope{}, err
	}
	return SealPayload(root, PayloadKeyset, payload)
}

// OpenKeyset checks the root key's signature and reads the keyset.
func OpenKeyset(env Envelope, root PublicKey) (Keyset, error) {
	var k Keyset
	if err := env.Verify(root, PayloadKeyset); err != nil {
		return k, fmt.Errorf("keyset: %w", err)
	}
	if err := unmarshalExact(env.Payload(), &k); err != nil {
		return k, fmt.Errorf("keyset: %w", err)
	}
	if k.Version < 1 || k.Server == "" || len(k.LogKeys) == 0 {
		return k, fmt.Errorf("keyset: version %d of server %q with %d log keys", k.Version, k.Server, len(k.LogKeys))
	}
	return k, nil
}

// Log is the trust in one log of the keyset's server.
func (k Keyset) Log(origin string) (TrustedLog, error) {
	if !strings.HasPrefix(origin, k.Server+"/") {
		return TrustedLog{}, fmt.Errorf("log %q is not one of server %q", origin, k.Server)
	}
	t := TrustedLog{Origin: origin}
	for _, s := range k.LogKeys {
		raw, err := DecodeBase64(s)
		if err != nil {
			return t, fmt.Errorf("keyset: log key: %w", err)
		}
		key := ed25519.PublicKey(raw)
		if err := vetEd25519(key); err != nil {
			return t, fmt.Errorf("keyset: log key: %w", err)
		}
		t.Keys = append(t.Keys, key)
	}
	return t, nil
}

// ServerKey finds the server's signing key by its id.
func (k Keyset) ServerKey(id KeyID) (PublicKey, error) {
	for _, s := range k.ServerKeys {
		spki, err := DecodeBase64(s)
		if err != nil {
			return PublicKey{}, fmt.Errorf("keyset: server key: %w", err)
		}
		key, err := ParsePublicKey(spki)
		if err != nil {
			return PublicKey{}, fmt.Errorf("keyset: server key: %w", err)
		}
		if key.ID() == id {
			return key, nil
		}
	}
	return PublicKey{}, fmt.Errorf("keyset: no server key %s", id)
}

// Origin is the name of an organisation's log.
func Origin(server, org string, epoch int) string {
	return fmt.Sprintf("%s/t/%s/%d", server, org, epoch)
}

// SplitOrigin takes apart what Origin made.
func SplitOrigin(origin string) (server, org string, epoch int, ok bool) {
	server, rest, _ := strings.Cut(origin, "/t/")
	org, last, _ := strings.Cut(rest, "/")
	epoch, err := strconv.Atoi(last)
	if err != nil || epoch < 1 || Origin(server, org, epoch) != origin {
		return "", "", 0, false
	}
	return server, org, epoch, true
}

// Enrollment is the first statement of an agent, signed with its new key.
type Enrollment struct {
	Org           string `json:"org"`
	Token         string `json:"token"`   // the token's public id
	Nonce         string `json:"nonce"`   // as the server gave it
	SPKI          string `json:"spki"`    // base64
	Witness       string `json:"witness"` // raw Ed25519 key of the agent as a witness, base64
	Hostname      string `json:"hostname"`
	Machine       Digest `json:"machine"` // SHA-256 of the machine id
	OS            string `json:"os"`      // GOOS/GOARCH
	Version       string `json:"version"` // of the agent
	Clock         Clock  `json:"clock"`
	KeyProtection string `json:"keyProtection"` // "file", "systemd-creds", "dpapi", "tpm2"
}

// SealEnrollment signs an enrollment with the key that it names.
func SealEnrollment(s Signer, e Enrollment) (Envelope, error) {
	spki := s.Public().SPKI()
	e.SPKI = base64.StdEncoding.EncodeToString(spki)
	payload, err := newStatement(PredicateEnrollment, e, []subject{{"agent.spki", subjectDigest{Sum(spki)}}})
	if err != nil {
		return Envelope{}, err
	}
	return SealPayload(s, PayloadInToto, payload)
}

// OpenEnrollment checks that the statement is signed by the very key that it
// names (proof of possession), and that the key is one that we accept.
func OpenEnrollment(env Envelope) (Enrollment, PublicKey, error) {
	s, err := parseStatement[Enrollment](env.Payload(), PredicateEnrollment)
	if err != nil {
		return Enrollment{}, PublicKey{}, fmt.Errorf("enrollment: %w", err)
	}
	e := s.Predicate
	spki, err := DecodeBase64(e.SPKI)
	if err != nil {
		return e, PublicKey{}, fmt.Errorf("enrollment: key: %w", err)
	}
	key, err := ParsePublicKey(spki)
	if err != nil {
		return e, PublicKey{}, fmt.Errorf("enrollment: %w", err)
	}
	if len(s.Subject) != 1 || s.Subject[0].Digest.SHA256 != Sum(spki) {
		return e, PublicKey{}, errors.New("enrollment: subject is not the key")
	}
	witness, err := DecodeBase64(e.Witness)
	if err != nil {
		return e, PublicKey{}, fmt.Errorf("enrollment: witness key: %w", err)
	}
	if err := vetEd25519(witness); err != nil {
		return e, PublicKey{}, fmt.Errorf("enrollment: witness key: %w", err)
	}
	if len(e.Hostname) > 253 || len(e.OS) > 64 || len(e.Version) > 64 || len(e.KeyProtection) > 32 {
		return e, PublicKey{}, errors.New("enrollment: a field is too long")
	}
	if err := env.Verify(key, PayloadInToto); err != nil {
		return e, PublicKey{}, fmt.Errorf("enrollment: proof of possession: %w", err)
	}
	return e, key, nil
}
