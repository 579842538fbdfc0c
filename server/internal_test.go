package server

import (
	"context"
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// NewCertFiles lets the test set the clock by which files are looked at.
func NewCertFiles(cert, key string, now func() time.Time) (func(*tls.ClientHelloInfo) (*tls.Certificate, error), error) {
	f, err := newCertFiles(TLS{Cert: cert, Key: key}, slog.New(slog.DiscardHandler), now)
	if err != nil {
		return nil, err
	}
	return f.get, nil
}

// FactsFor counts the looks of an agent that come with facts, for each need of one batch.
func (j *Judge) FactsFor(ctx context.Context, a store.Agent, needs ...duties.Need) (counts []int, err error) {
	b := j.batch()
	for _, need := range needs {
		looks, err := b.looksOf(ctx, a, need)
		if err != nil {
			return nil, err
		}
		n := 0
		for _, s := range looks {
			if s.Blob != nil {
				n++
			}
		}
		counts = append(counts, n)
	}
	return counts, nil
}
