package server

import (
	"crypto/tls"
	"log/slog"
	"time"
)

// NewCertFiles lets the test set the clock by which files are looked at.
func NewCertFiles(cert, key string, now func() time.Time) (func(*tls.ClientHelloInfo) (*tls.Certificate, error), error) {
	f, err := newCertFiles(TLS{Cert: cert, Key: key}, slog.New(slog.DiscardHandler), now)
	if err != nil {
		return nil, err
	}
	return f.get, nil
}
