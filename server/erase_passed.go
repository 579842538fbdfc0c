package server

import (
	"context"
	"errors"

	"github.com/attesto/attesto/server/store"
)

// erasePassed erases what the provider's log has of reports that concerned a customer that
// has left, and nobody else who is still there.
func (s *Server) erasePassed(ctx context.Context, org, by string) error {
	list, err := s.store.PassedLast(ctx, org)
	if err != nil {
		return err
	}
	for _, c := range list {
		passed, err := s.store.PassedOn(ctx, c.ID)
		if err != nil {
			return err
		}
		places := []store.Place{{Org: c.Org, Log: c.Log, Index: c.Index, SHA: c.Data}}
		for _, stood := range append(passed, c) {
			again, err := s.store.Again(ctx, stood.ID)
			if err != nil {
				return err
			}
			for _, a := range again {
				places = append(places, a.Place)
			}
		}
		if err := s.eraseThere(ctx, c.Org, places, by); err != nil {
			return err
		}
	}
	return nil
}

// eraseThere erases what is not erased yet.
func (s *Server) eraseThere(ctx context.Context, org string, places []store.Place, by string) error {
	var there []store.Place
	for _, p := range places {
		switch b, err := s.store.Blob(ctx, p); {
		case errors.Is(err, store.ErrNotFound), err == nil && !b.Erased.IsZero():
		case err != nil:
			return err
		default:
			there = append(there, p)
		}
	}
	_, err := s.erase(ctx, org, there, basisOffboarding, by)
	return err
}
