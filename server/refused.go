package server

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/web"
)

// eventSigninRefused is the log's word for the sign-ins of an account that were refused
// in an hour.
const eventSigninRefused = "user.signin_refused"

// StateRefused puts the refused sign-ins of each hour that is over into the logs of the
// organisations of the account: one entry for an account and hour, so that nobody who
// guesses from outside can flood a log.
func (s *Server) StateRefused(ctx context.Context) error {
	list, err := s.store.RefusedBefore(ctx, s.now().Truncate(time.Hour), 500)
	errs := []error{err}
	for _, v := range list {
		errs = append(errs, s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return s.stateRefused(ctx, tx, v) }))
	}
	return errors.Join(errs...)
}

func (s *Server) stateRefused(ctx context.Context, tx *store.Tx, v store.Refused) error {
	v, taken, err := tx.TakeRefused(ctx, v.User, v.Hour)
	if err != nil || !taken {
		return err
	}
	u, err := tx.User(ctx, v.User)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	members, err := tx.MembersOf(ctx, v.User)
	if err != nil {
		return err
	}
	d := web.Deed{Event: eventSigninRefused, Detail: map[string]string{"user": u.ID, "email": u.Email, "refused": strconv.Itoa(v.N),
		"first": v.First.UTC().Format(time.RFC3339), "last": v.Last.UTC().Format(time.RFC3339), "from": strings.Join(v.From, ", ")}}
	for _, m := range members {
		if m.Holds(s.now()) {
			d.Orgs = append(d.Orgs, m.Org)
		}
	}
	return s.note(ctx, tx, d)
}
