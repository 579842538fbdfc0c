package server

import (
	"context"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/packaging"
	"github.com/attesto/attesto/server/bundle"
	"github.com/attesto/attesto/server/store"
)

// Export writes an organisation's evidence of a period, as one moment of the
// database has it, so that anyone can check it offline.
func (s *Server) Export(ctx context.Context, q bundle.Request, to bundle.Sink) (evidence.Manifest, error) {
	src := bundle.Source{Keyset: s.id.keyset, Sealed: []byte(s.id.sealed), Root: s.keys.RootPublic, Renew: s.ledger.Renew, Signer: s.keys.Server,
		Catalogue: s.catalogue, Verifier: packaging.VerifyPy, Version: s.version, Now: s.now}
	var m evidence.Manifest
	if _, err := s.newest(ctx, q.Org); err != nil { // its head leaves the server
		return m, err
	}
	err := s.store.Snapshot(ctx, func(ctx context.Context, r store.Reader) error {
		var err error
		m, err = src.Write(ctx, r, q, to)
		return err
	})
	return m, err
}
