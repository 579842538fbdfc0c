package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/attesto/attesto/server/store"
)

// retainAtOnce is how many items are looked at before what was found due is
// erased.
const retainAtOnce = 2048

// Retain erases the facts and details whose term is over and says so in each log.
// It goes on where the last run ended, and returns how many blobs it erased.
// Verdicts and what days were rolled up to stay.
func (s *Server) Retain(ctx context.Context) (int, error) {
	orgs, err := s.store.Orgs(ctx)
	if err != nil {
		return 0, err
	}
	total := 0
	var errs []error
	for _, o := range orgs {
		if !o.Erased.IsZero() {
			continue
		}
		for class, days := range map[string]int{store.ClassFacts: s.cfg.Retention.FactsDays, store.ClassDetail: s.cfg.Retention.DetailDays} {
			if days == 0 {
				continue
			}
			n, err := s.retain(ctx, o.ID, class, s.now().AddDate(0, 0, -days))
			if total += n; err != nil {
				errs = append(errs, fmt.Errorf("erasing %s of %s whose term is over: %w", class, o.Name, err))
			}
		}
	}
	return total, errors.Join(errs...)
}

func (s *Server) retain(ctx context.Context, org, class string, before time.Time) (int, error) {
	series, err := s.store.Series(ctx, org)
	if err != nil {
		return 0, err
	}
	total := 0
	for _, one := range series {
		for more := true; more; {
			var n int
			if n, more, err = s.retainSome(ctx, one, class, before); err != nil {
				return total, err
			}
			total += n
		}
	}
	return total, nil
}

// retainSome erases what is due among the next items of a series.
func (s *Server) retainSome(ctx context.Context, one store.Series, class string, before time.Time) (n int, more bool, err error) {
	from, err := s.store.Retained(ctx, one, class)
	if err != nil {
		return 0, false, err
	}
	blobs, upto, more, err := s.store.DueBlobs(ctx, one, class, from, before, retainAtOnce)
	if err != nil {
		return 0, false, err
	}
	var due []store.Place
	for _, p := range blobs {
		b, err := s.store.Blob(ctx, p)
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return 0, false, err
		case b.Erased.IsZero():
			due = append(due, p)
		}
	}
	if len(due) > 0 {
		if _, err := s.erase(ctx, one.Org, due, basisRetention, ""); err != nil {
			return 0, false, err
		}
	}
	return len(due), more, s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.SetRetained(ctx, one, class, upto) })
}
