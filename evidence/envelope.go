package evidence

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

// MaxEnvelope bounds an envelope, in bytes.
const MaxEnvelope = 48 << 10

// The payload types of our envelopes.
const (
	PayloadInToto = "application/vnd.in-toto+json"
	PayloadKeyset = "application/vnd.attesto.keyset.v1+json"
)

// ErrPayloadType says that an envelope carries another type of payload than its
// place asks for.
var ErrPayloadType = errors.New("wrong payload type")

// Envelope is a DSSE v1 JSON envelope (github.com/secure-systems-lab/dsse) with
// exactly one signature, in the one permitted spelling. It keeps the bytes that
// it was read from; nothing is ever encoded anew.
type Envelope struct {
	raw         []byte
	payloadType string
	payload     []byte
	keyID       KeyID
	sig         []byte
}

type envelopeJSON struct {
	Payload     string          `json:"payload"`
	PayloadType string          `json:"payloadType"`
	Signatures  []signatureJSON `json:"signatures"`
}

type signatureJSON struct {
	KeyID string `json:"keyid"`
	Sig   string `json:"sig"`
}

// ParseEnvelope reads exactly the bytes that SealPayload writes and refuses
// every other spelling of them. It does not check the signature.
func ParseEnvelope(b []byte) (Envelope, error) {
	if len(b) > MaxEnvelope {
		return Envelope{}, fmt.Errorf("envelope of %d bytes is over the limit of %d", len(b), MaxEnvelope)
	}
	if e, ok := cutEnvelope(b); ok {
		return e, nil
	}
	return decodeEnvelope(b) // another spelling, or something else: it finds out what is wrong
}

func decodeEnvelope(b []byte) (Envelope, error) {
	var ej envelopeJSON
	if err := unmarshalExact(b, &ej); err != nil {
		return Envelope{}, fmt.Errorf("envelope: %w", err)
	}
	if len(ej.Signatures) != 1 {
		return Envelope{}, fmt.Errorf("envelope: %d signatures, want exactly one", len(ej.Signatures))
	}
	payload, err := DecodeBase64(ej.Payload)
	if err != nil {
		return Envelope{}, fmt.Errorf("envelope payload: %w", err)
	}
	sig, err := DecodeBase64(ej.Signatures[0].Sig)
	if err != nil {
		return Envelope{}, fmt.Errorf("envelope signature: %w", err)
	}
	return Envelope{b, ej.PayloadType, payload, KeyID(ej.Signatures[0].KeyID), sig}, nil
}

// cutEnvelope takes the one permitted spelling apart at its fixed texts, which costs a
// tenth of decoding it. Every value that it takes is of characters that JSON writes as
// themselves.
func cutEnvelope(b []byte) (e Envelope, ok bool) {
	e.raw = b
	var payload, mediaType, keyID, sig []byte
	for _, part := range []struct {
		prefix string
		at     *[]byte
	}{{`{"payload":"`, &payload}, {`","payloadType":"`, &mediaType}, {`","signatures":[{"keyid":"`, &keyID}, {`","sig":"`, &sig}} {
		if b, ok = bytes.CutPrefix(b, []byte(part.prefix)); !ok {
			return e, false
		}
		end := max(0, bytes.IndexByte(b, '"'))
		*part.at, b = b[:end], b[end:]
	}
	for _, c := range append(mediaType[:len(mediaType):len(mediaType)], keyID...) {
		ok = ok && plainJSON[c]
	}
	var bad, worse error
	e.payload, bad = DecodeBase64(payload)
	e.sig, worse = DecodeBase64(sig)
	e.payloadType, e.keyID = string(mediaType), KeyID(keyID)
	return e, ok && bad == nil && worse == nil && string(b) == `"}]}`
}

// plainJSON marks the characters of media types and fingerprints.
var plainJSON = func() (t [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=.:-_ ") {
		t[c] = true
	}
	return t
}()

// SealPayload signs payload under its type (DSSE's PAE) and encodes the envelope.
func SealPayload(s Signer, payloadType string, payload []byte) (Envelope, error) {
	sig, err := s.Sign(dsse.PAE(payloadType, payload))
	if err != nil {
		return Envelope{}, fmt.Errorf("signing: %w", err)
	}
	raw, err := marshal(envelopeJSON{
		Payload:     base64.StdEncoding.EncodeToString(payload),
		PayloadType: payloadType,
		Signatures:  []signatureJSON{{string(s.KeyID()), base64.StdEncoding.EncodeToString(sig)}},
	})
	if err != nil {
		return Envelope{}, err
	}
	return ParseEnvelope(raw)
}

// Bytes are the exact bytes of the envelope.
func (e Envelope) Bytes() []byte { return e.raw }

// Payload are the bytes that were signed (under their type).
func (e Envelope) Payload() []byte { return e.payload }

// KeyID names the key that is said to have signed.
func (e Envelope) KeyID() KeyID { return e.keyID }

// Digest is the SHA-256 of the envelope's bytes.
func (e Envelope) Digest() Digest { return Sum(e.raw) }

// StatementDigest is the SHA-256 of the payload: the chain runs over it.
func (e Envelope) StatementDigest() Digest { return Sum(e.payload) }

// PAE are the bytes under the signature.
func (e Envelope) PAE() []byte { return dsse.PAE(e.payloadType, e.payload) }

// Verify checks that key made the signature, that the envelope names it, and
// that the payload is of the type.
func (e Envelope) Verify(key PublicKey, payloadType string) error {
	if e.payloadType != payloadType {
		return fmt.Errorf("%w: %q, want %q", ErrPayloadType, e.payloadType, payloadType)
	}
	if key.IsZero() || key.ID() != e.keyID {
		return fmt.Errorf("%w: signed by %s, want %s", ErrSignature, e.keyID, key.ID())
	}
	return key.Verify(e.PAE(), e.sig)
}
