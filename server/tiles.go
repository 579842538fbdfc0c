package server

import (
	"context"

	"github.com/attesto/attesto/server/ledger"
)

// Released reads one epoch of an organisation's log, for handing out its head.
func (s *Server) Released(ctx context.Context, org string, epoch int64) (ledger.State, error) {
	st, err := s.newest(ctx, org)
	if err == nil && st.Epoch != epoch {
		st, err = s.store.LogAt(ctx, org, epoch) // ended: its head left the server long ago
	}
	if err != nil {
		return st, err
	}
	st.Checkpoint, err = s.ledger.Renew(st.Checkpoint)
	return st, err
}

// ExportTiles writes one epoch of an organisation's log, the newest for 0, as C2SP
// tlog-tiles: every tile, every bundle of entries and, last, the checkpoint.
func (s *Server) ExportTiles(ctx context.Context, org string, epoch int64, write func(path string, data []byte) error) (ledger.State, error) {
	st, err := s.newest(ctx, org)
	if err == nil {
		if epoch == 0 {
			epoch = st.Epoch
		}
		st, err = s.Released(ctx, org, epoch)
	}
	if err != nil {
		return st, err
	}
	if err := ledger.ExportTiles(ctx, s.store.Reader, st.ID, st.Size, write); err != nil {
		return st, err
	}
	return st, write("checkpoint", st.Checkpoint)
}
