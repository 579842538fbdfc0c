// Package rfc3161 verifies time stamps (RFC 3161), for the server that gets them and
// for the auditor who is shown them. It takes DER only and imports the standard
// library only: what it reads comes from strangers.
package rfc3161

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// MaxToken bounds a time stamp with its certificates, in bytes.
const MaxToken = 64 << 10

// Token is a time stamp that was verified.
type Token struct {
	Time     time.Time
	Accuracy time.Duration // as far as the authority states it
	Nonce    *big.Int      // of the request; nil for none
	Chain    string        // PEM, the signer's certificate first, the root last
}

// Open checks that token (DER) is a time stamp over the SHA-256 of message:
// one signer, whose signature holds and whose certificate is for time stamps alone and
// led to one of the roots at the time that the token states.
func Open(token, message []byte, roots *x509.CertPool) (Token, error) {
	t, err := open(token, message, roots)
	if err != nil {
		return Token{}, fmt.Errorf("time stamp: %w", err)
	}
	return t, nil
}

func open(token, message []byte, roots *x509.CertPool) (Token, error) {
	if len(token) > MaxToken {
		return Token{}, fmt.Errorf("%d bytes are over the limit of %d", len(token), MaxToken)
	}
	var outer contentInfo
	var signed signedData
	if err := exactly(token, &outer, "token"); err != nil {
		return Token{}, err
	}
	if err := exactly(outer.Content.Bytes, &signed, "signed data"); err != nil {
		return Token{}, err
	}
	if !outer.Type.Equal(oidSignedData) || !signed.Content.Type.Equal(oidTSTInfo) {
		return Token{}, errors.New("it is something else that is signed")
	}
	var info tstInfo
	if err := exactly(signed.Content.Bytes, &info, "statement"); err != nil {
		return Token{}, err
	}
	if sum := sha256.Sum256(message); !info.Imprint.Digest.Algorithm.Equal(oidSHA256) || !bytes.Equal(info.Imprint.Hashed, sum[:]) {
		return Token{}, errors.New("it is over something else")
	}
	certs, err := x509.ParseCertificates(signed.Certificates.Bytes)
	if err != nil {
		return Token{}, fmt.Errorf("its certificates: %w", err)
	}
	if len(signed.Signers) != 1 {
		return Token{}, fmt.Errorf("%d signers, want one", len(signed.Signers))
	}
	signer, err := signed.Signers[0].check(signed.Content.Bytes, certs)
	if err != nil {
		return Token{}, err
	}
	t := Token{Time: info.Time.UTC(), Nonce: info.Nonce, Accuracy: time.Duration(info.Accuracy.Seconds)*time.Second +
		time.Duration(info.Accuracy.Millis)*time.Millisecond + time.Duration(info.Accuracy.Micros)*time.Microsecond}
	chain, err := chainOf(signer, certs, roots, t.Time)
	for _, c := range chain {
		t.Chain += string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return t, err
}

// chainOf leads from the signer to a root.
func chainOf(signer *x509.Certificate, certs []*x509.Certificate, roots *x509.CertPool, at time.Time) ([]*x509.Certificate, error) {
	if len(signer.ExtKeyUsage) != 1 || signer.ExtKeyUsage[0] != x509.ExtKeyUsageTimeStamping || len(signer.UnknownExtKeyUsage) > 0 {
		return nil, errors.New("its signer's certificate is not for time stamps alone")
	}
	between := x509.NewCertPool()
	for _, c := range certs {
		between.AddCert(c)
	}
	chains, err := signer.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: at,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}})
	if err != nil {
		return nil, fmt.Errorf("its signer's certificate: %w", err)
	}
	return chains[0], nil
}
