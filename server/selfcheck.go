package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

const (
	selfCheckLook = 10 * time.Minute // how often is looked whether it is time
	quietFrom     = 2                // o'clock where the provider is
	quietTo       = 5
	selfCheckRest = 18 * time.Hour // at least, between two
	keptFaults    = 10             // of the last one
)

// metaSelfCheck holds a SelfCheck; who puts a new one in its place has claimed it.
const metaSelfCheck = "check.last"

// SelfCheck is the newest check that a server made of its own database.
type SelfCheck struct {
	Began   evidence.Time  `json:"began"`
	Ended   *evidence.Time `json:"ended,omitempty"` // absent while it runs, or when it broke off
	Logs    int64          `json:"logs"`
	Entries int64          `json:"entries"`
	Faults  int            `json:"faults"`
	First   []ledger.Fault `json:"first,omitempty"`
}

// LastSelfCheck reads what the newest self-check found; the zero value when there
// was none.
func (s *Server) LastSelfCheck(ctx context.Context) (SelfCheck, error) {
	last, _, err := s.lastSelfCheck(ctx)
	return last, err
}

func (s *Server) lastSelfCheck(ctx context.Context) (last SelfCheck, text string, err error) {
	text, err = s.store.Meta(ctx, metaSelfCheck)
	if errors.Is(err, store.ErrNotFound) {
		return last, "", nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), &last)
	}
	if err != nil {
		err = fmt.Errorf("reading the last self-check: %w", err)
	}
	return last, text, err
}

// nightly checks the database each night until ctx ends; one of the servers that
// share it does.
func (s *Server) nightly(ctx context.Context) error {
	tick := time.NewTicker(selfCheckLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if _, err := s.CheckNightly(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "the self-check broke off", "err", err)
		}
	}
}

// CheckNightly erases what is past its term and checks the whole database, if it is night where the provider is and
// nobody has this night; it reports whether it did. The log and /readyz tell what
// it found.
func (s *Server) CheckNightly(ctx context.Context) (bool, error) {
	now := s.now()
	if h := now.In(s.providerZone(ctx)).Hour(); h < quietFrom || h >= quietTo {
		return false, nil
	}
	last, text, err := s.lastSelfCheck(ctx)
	if err != nil || now.Sub(last.Began.Time) < selfCheckRest {
		return false, err
	}
	mine := SelfCheck{Began: evidence.At(now)}
	if text, err = s.keepSelfCheck(ctx, text, mine); err != nil || text == "" {
		return false, err // another server was faster
	}
	if n, err := s.Retain(ctx); err != nil {
		s.log.ErrorContext(ctx, "erasing what is past its term", "erased", n, "err", err)
	} else if n > 0 {
		s.log.InfoContext(ctx, "erased what is past its term", "blobs", n)
	}
	done, err := s.Check(ctx, nil)
	if err != nil {
		return true, err
	}
	ended := evidence.At(s.now())
	mine.Ended, mine.Logs, mine.Entries, mine.Faults = &ended, done.Logs, done.Entries, len(done.Faults)
	mine.First = done.Faults[:min(len(done.Faults), keptFaults)]
	for _, f := range mine.First {
		s.log.ErrorContext(ctx, "self-check: the database is not sound", "where", f.Where, "what", f.What)
	}
	s.log.InfoContext(ctx, "self-check ended", "logs", done.Logs, "entries", done.Entries, "faults", len(done.Faults))
	_, err = s.keepSelfCheck(ctx, text, mine)
	return true, err
}

// keepSelfCheck puts a self-check in the place of the one whose text is given, and
// returns its text; "" when something else stands there.
func (s *Server) keepSelfCheck(ctx context.Context, instead string, c SelfCheck) (string, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encoding a self-check: %w", err)
	}
	swapped := false
	err = s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		swapped, err = tx.SwapMeta(ctx, metaSelfCheck, instead, string(b))
		return err
	})
	if err != nil || !swapped {
		return "", err
	}
	return string(b), nil
}

// providerZone is where it must be night.
func (s *Server) providerZone(ctx context.Context) *time.Location {
	if p, err := s.store.ProviderOrg(ctx); err == nil {
		if zone, err := time.LoadLocation(p.Zone); err == nil {
			return zone
		}
	}
	return time.UTC
}

// troubles are what /readyz says although requests can be served.
func (s *Server) troubles(ctx context.Context) (list []string, err error) {
	if n := s.guard.lost(); n > 0 {
		list = append(list, fmt.Sprintf("%d logs are read-only, because the database was set back or rewritten: see attesto-server check", n))
	}
	last, err := s.LastSelfCheck(ctx)
	if last.Faults > 0 {
		list = append(list, fmt.Sprintf("the self-check of %s found %d faults: see attesto-server check", last.Began.Format(time.DateOnly), last.Faults))
	}
	return list, err
}
