// Package rfc3161 verifies time stamps (RFC 3161), for the server that gets them and
// for the auditor who is shown them.
package rfc3161

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/digitorus/pkcs7"
	"github.com/digitorus/timestamp"
)

// Token is a time stamp that was verified.
type Token struct {
	Time  time.Time
	Chain string // PEM, the signer's certificate first, the root last
}

// contentTSTInfo is what a time stamp's signature is over (RFC 3161 section 2.4.2).
var contentTSTInfo = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}

// Open checks that a token (DER) is a time stamp over the SHA-256 of message,
// signed by one signer whose certificate is for time stamps alone and led to one of
// the roots at the time that the token states.
func Open(der, message []byte, roots *x509.CertPool) (Token, error) {
	got, err := timestamp.Parse(der) // verifies the signature
	if err != nil {
		return Token{}, fmt.Errorf("reading the token: %w", err)
	}
	sum := sha256.Sum256(message)
	if got.HashAlgorithm != crypto.SHA256 || !bytes.Equal(got.HashedMessage, sum[:]) {
		return Token{}, errors.New("it is over something else")
	}
	p7, err := pkcs7.Parse(der)
	if err != nil {
		return Token{}, fmt.Errorf("reading the token: %w", err)
	}
	signer := p7.GetOnlySigner()
	if signer == nil {
		return Token{}, errors.New("it has not one signer with a certificate")
	}
	var content asn1.ObjectIdentifier
	if err := p7.UnmarshalSignedAttribute(pkcs7.OIDAttributeContentType, &content); err != nil || !content.Equal(contentTSTInfo) {
		return Token{}, errors.New("its signature is not over a time stamp")
	}
	if len(signer.ExtKeyUsage) != 1 || signer.ExtKeyUsage[0] != x509.ExtKeyUsageTimeStamping || len(signer.UnknownExtKeyUsage) > 0 {
		return Token{}, errors.New("its signer's certificate is not for time stamps alone")
	}
	between := x509.NewCertPool()
	for _, c := range p7.Certificates {
		between.AddCert(c)
	}
	chains, err := signer.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: got.Time, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}})
	if err != nil {
		return Token{}, err
	}
	t := Token{Time: got.Time.UTC()}
	for _, c := range chains[0] {
		t.Chain += string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return t, nil
}
