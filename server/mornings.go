package server

import (
	"context"
	"errors"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// remindBefore is how long before a statement lapses its party is told; of one that
// holds for a month or less, a quarter of its time.
const remindBefore = 14 * 24 * time.Hour

// mornings mails what is to be looked at, and statements that are about to lapse, and
// states the refused sign-ins of each hour, as the time comes, until ctx ends.
func (s *Server) mornings(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Minute)
	defer tick.Stop()
	for {
		if err := errors.Join(s.MailDigests(ctx), s.MailReminders(ctx), s.StateRefused(ctx)); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "doing what is due", "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// MailReminders tells the parties of statements that are about to lapse, each once.
func (s *Server) MailReminders(ctx context.Context) error {
	now := s.now()
	list, err := s.store.EndingStatements(ctx, now, now.Add(remindBefore), 500)
	errs := []error{err}
	for _, st := range list {
		if st.Kind == duties.StatementRestore || st.Kind == duties.StatementCosigned {
			continue // how long they count is each duty's to say
		}
		if left := st.Until.Sub(now); left > remindBefore || left > st.Until.Sub(st.At)/4 {
			continue
		}
		errs = append(errs, s.remind(ctx, st, now))
	}
	s.alerts.Wake()
	return errors.Join(errs...)
}

func (s *Server) remind(ctx context.Context, st store.Statement, now time.Time) error {
	org := st.Org
	if st.Party == duties.Provider { // it signed on a customer's board
		p, err := s.store.ProviderOrg(ctx)
		if err != nil {
			return err
		}
		org = p.ID
	}
	return s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		first, err := tx.Reminded(ctx, st.ID, now)
		if err != nil || !first {
			return err
		}
		return tx.Notify(ctx, alert.Alert{ID: evidence.NewID("al_"), Org: org, Asset: st.ID, Name: st.Duty, Opened: now,
			Why: duties.Message{Key: alert.StatementEnds, Args: map[string]string{"duty": st.Duty, "kind": st.Kind, "until": st.Until.UTC().Format(time.RFC3339)}}})
	})
}
