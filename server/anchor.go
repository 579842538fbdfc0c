package server

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/anchor"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// startAnchor makes the loop that keeps the anchor log; nothing when it is not
// configured.
func (s *Server) startAnchor() error {
	if s.cfg.Anchor == nil {
		return nil
	}
	a, err := anchor.New(*s.cfg.Anchor, anchor.Deps{Name: s.id.name, Store: s.store, Ledger: s.ledger, Release: s.guard.release, Stopped: s.mayAppend,
		Trust: s.trustedLog, Log: s.log.With("component", "anchor"), Now: s.now})
	if err != nil {
		return err
	}
	s.anchor = a
	s.loops = append(s.loops, a.Run)
	return nil
}

// Anchor keeps the anchor log; nil when it is not configured.
func (s *Server) Anchor() *anchor.Anchor { return s.anchor }

// AnchorProofs is what speaks for an organisation's log from outside, the oldest
// first: of each authority and witness the newest, and since a moment that of each
// day. Nothing when the log was never anchored.
func (s *Server) AnchorProofs(ctx context.Context, log ledger.State, since time.Time) ([]anchor.Proof, error) {
	return anchor.Proofs(ctx, s.store.Reader, s.trustedLog, log, since)
}

// RecoverAnchor begins the anchor log anew after the database lost entries of it that
// had left the server. The first entry names the last head of the old one, hidden by
// a nonce of zeros, which is to say not at all.
func (s *Server) RecoverAnchor(ctx context.Context) (old, now evidence.Head, err error) {
	if err := s.guard.read(ctx); err != nil {
		return old, now, err
	}
	var next ledger.State
	err = s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		st, err := tx.LockLog(ctx, store.AnchorOrg)
		if err != nil {
			return err
		}
		held, ok := s.guard.held(st.Origin)
		if !ok || s.mayAppend(ctx, st) == nil {
			return errors.New("nothing speaks against the anchor log: it goes on as it is")
		}
		old = held.Head
		begun, err := s.ledger.Start(evidence.NewID("l_"), store.AnchorOrg, evidence.AnchorOrigin(s.id.name, st.Epoch+1), st.Epoch+1)
		if err == nil {
			err = tx.AddLog(ctx, begun)
		}
		if err != nil {
			return err
		}
		first := evidence.NewAnchorEntry(held.Origin, held.Note, make([]byte, evidence.AnchorNonceSize))
		next, _, err = s.ledger.Anchor(ctx, tx, begun, s.now(), []evidence.AnchorEntry{first})
		return err
	})
	if err != nil {
		return old, now, fmt.Errorf("recovering the anchor log: %w", err)
	}
	return old, next.Head(), s.guard.release(ctx, ledger.State{}, next)
}

// anchors checks the anchor log, epoch by epoch.
func (c *checking) anchors(ctx context.Context, logs []ledger.State) error {
	var roots map[string]*x509.CertPool
	if c.s.anchor != nil {
		roots = c.s.anchor.Roots()
	}
	for i, st := range logs {
		trust, err := c.s.trustedLog(st.Origin)
		if err == nil && i == len(logs)-1 {
			err = c.guarded(ctx, st)
		}
		if err == nil {
			var faults []ledger.Fault
			faults, err = anchor.Check(ctx, c.r, st, trust, roots, c.counted)
			c.done.Faults = append(c.done.Faults, faults...)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			c.fault("log "+st.Origin, "could not be read to its end: %v", err)
		}
		c.done.Logs++
	}
	return nil
}
