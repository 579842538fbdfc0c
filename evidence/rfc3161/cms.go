package rfc3161

import (
	"bytes"
	"crypto"
	_ "crypto/sha256" // digests that tokens use
	_ "crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"
)

var (
	oidSignedData  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidTSTInfo     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidContentType = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidDigest      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSHA256      = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
)

// The structures of RFC 5652 (cryptographic message syntax) and RFC 3161, as far as
// a time stamp needs them.
type (
	contentInfo struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"explicit,tag:0"`
	}
	signedData struct {
		Version int
		Digests asn1.RawValue
		Content struct {
			Type  asn1.ObjectIdentifier
			Bytes []byte `asn1:"explicit,tag:0"`
		}
		Certificates asn1.RawValue `asn1:"optional,tag:0"`
		CRLs         asn1.RawValue `asn1:"optional,tag:1"`
		Signers      []signerInfo  `asn1:"set"`
	}
	signerInfo struct {
		Version   int
		ID        asn1.RawValue // issuer and number, or the key's identifier
		Digest    pkix.AlgorithmIdentifier
		Attrs     asn1.RawValue `asn1:"optional,tag:0"`
		Algorithm pkix.AlgorithmIdentifier
		Signature []byte
		Unsigned  asn1.RawValue `asn1:"optional,tag:1"`
	}
	attribute struct {
		Type   asn1.ObjectIdentifier
		Values asn1.RawValue `asn1:"set"`
	}
	issuerAndNumber struct {
		Issuer asn1.RawValue
		Number *big.Int
	}
	tstInfo struct {
		Version int
		Policy  asn1.ObjectIdentifier
		Imprint struct {
			Digest pkix.AlgorithmIdentifier
			Hashed []byte
		}
		Number   *big.Int
		Time     time.Time     `asn1:"generalized"`
		Accuracy accuracy      `asn1:"optional"`
		Ordering bool          `asn1:"optional"`
		Nonce    *big.Int      `asn1:"optional"`
		TSA      asn1.RawValue `asn1:"optional,tag:0"`
		More     asn1.RawValue `asn1:"optional,tag:1"`
	}
	accuracy struct {
		Seconds int `asn1:"optional"`
		Millis  int `asn1:"optional,tag:0"`
		Micros  int `asn1:"optional,tag:1"`
	}
)

var errSignature = errors.New("its signature does not verify")

// exactly decodes DER that fills b.
func exactly(b []byte, v any, what string) error {
	rest, err := asn1.Unmarshal(b, v)
	if err == nil && len(rest) > 0 {
		err = errors.New("bytes after its end")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// check verifies the signature over content and finds the certificate of the signer.
func (s signerInfo) check(content []byte, certs []*x509.Certificate) (*x509.Certificate, error) {
	hash, ok := hashes[s.Digest.Algorithm.String()]
	if !ok {
		return nil, fmt.Errorf("digest %s is not supported", s.Digest.Algorithm)
	}
	h := hash.New()
	h.Write(content)
	attrs, err := s.attributes()
	if err != nil {
		return nil, err
	}
	var kind asn1.ObjectIdentifier
	var digest []byte
	if err := errors.Join(exactly(attrs[oidContentType.String()], &kind, "type"), exactly(attrs[oidDigest.String()], &digest, "digest")); err != nil {
		return nil, fmt.Errorf("signed attributes: %w", err)
	}
	if !kind.Equal(oidTSTInfo) || !bytes.Equal(digest, h.Sum(nil)) {
		return nil, errors.New("signed attributes are not those of its statement")
	}
	algorithm, ok := algorithms[s.Algorithm.Algorithm.String()][hash]
	if !ok {
		return nil, fmt.Errorf("signature %s with digest %s is not supported", s.Algorithm.Algorithm, s.Digest.Algorithm)
	}
	for _, c := range certs {
		if !s.names(c) {
			continue
		}
		// The signature is over the attributes as a SET, not under their tag (RFC 5652 section 5.4).
		set := bytes.Clone(s.Attrs.FullBytes)
		set[0] = 0x31
		if err := c.CheckSignature(algorithm, set, s.Signature); err != nil {
			return nil, fmt.Errorf("%w: %w", errSignature, err)
		}
		return c, nil
	}
	return nil, errors.New("the certificate of its signer is not in it")
}

// attributes are the signed ones, each once and with one value, by type.
func (s signerInfo) attributes() (map[string][]byte, error) {
	attrs := map[string][]byte{}
	for rest := s.Attrs.Bytes; len(rest) > 0; {
		var a attribute
		var err error
		if rest, err = asn1.Unmarshal(rest, &a); err != nil {
			return nil, fmt.Errorf("signed attributes: %w", err)
		}
		if _, twice := attrs[a.Type.String()]; twice {
			return nil, fmt.Errorf("signed attributes: %s stands there twice", a.Type)
		}
		attrs[a.Type.String()] = a.Values.Bytes
	}
	return attrs, nil
}

func (s signerInfo) names(c *x509.Certificate) bool {
	if s.ID.Class == asn1.ClassContextSpecific && s.ID.Tag == 0 {
		return len(c.SubjectKeyId) > 0 && bytes.Equal(s.ID.Bytes, c.SubjectKeyId)
	}
	var id issuerAndNumber
	return exactly(s.ID.FullBytes, &id, "signer") == nil && bytes.Equal(id.Issuer.FullBytes, c.RawIssuer) && id.Number.Cmp(c.SerialNumber) == 0
}

var hashes = map[string]crypto.Hash{
	"2.16.840.1.101.3.4.2.1": crypto.SHA256,
	"2.16.840.1.101.3.4.2.2": crypto.SHA384,
	"2.16.840.1.101.3.4.2.3": crypto.SHA512,
}

var (
	rsaWith   = map[crypto.Hash]x509.SignatureAlgorithm{crypto.SHA256: x509.SHA256WithRSA, crypto.SHA384: x509.SHA384WithRSA, crypto.SHA512: x509.SHA512WithRSA}
	ecdsaWith = map[crypto.Hash]x509.SignatureAlgorithm{crypto.SHA256: x509.ECDSAWithSHA256, crypto.SHA384: x509.ECDSAWithSHA384, crypto.SHA512: x509.ECDSAWithSHA512}
)

// algorithms are those of signatures by their identifier and the digest's; some
// authorities name the key's kind only.
var algorithms = map[string]map[crypto.Hash]x509.SignatureAlgorithm{
	"1.2.840.113549.1.1.1":  rsaWith,
	"1.2.840.113549.1.1.11": {crypto.SHA256: x509.SHA256WithRSA},
	"1.2.840.113549.1.1.12": {crypto.SHA384: x509.SHA384WithRSA},
	"1.2.840.113549.1.1.13": {crypto.SHA512: x509.SHA512WithRSA},
	"1.2.840.10045.2.1":     ecdsaWith,
	"1.2.840.10045.4.3.2":   {crypto.SHA256: x509.ECDSAWithSHA256},
	"1.2.840.10045.4.3.3":   {crypto.SHA384: x509.ECDSAWithSHA384},
	"1.2.840.10045.4.3.4":   {crypto.SHA512: x509.ECDSAWithSHA512},
}
