package server

import (
	"context"
	"fmt"
	"time"

	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// maxFound bounds the cases of a workflow that the server opens in a day: beyond it what
// a check found stands by itself.
const maxFound = 50

// foundHint is what a check found: about what, and when a look showed it.
type foundHint struct {
	subject string
	at      time.Time
}

// openFound opens a case of the provider's about what a check found, from when a look
// showed it, unless one is open or ended since. It reports whether there is one now.
func (s *Server) openFound(ctx context.Context, d duties.Duty, u duties.Undealt) (there bool, err error) {
	provider, err := s.store.ProviderOrg(ctx)
	if err != nil {
		return false, err
	}
	q := CaseRequest{Org: provider.ID, Workflow: u.Workflow.ID, Service: d.Service, Title: clip(u.Workflow.Title.In(provider.Lang)+": "+u.Thing+" ("+u.Host+")", MaxTitle-1),
		found: foundHint{u.Subject, u.Shown}}
	why, cure := s.catalogue.Render(provider.Lang, u.Why)
	q.Text = why + "\n" + cure
	err = s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.LockLog(ctx, provider.ID); err != nil { // another server may find the same
			return err
		}
		if there, err = tx.CaseAbout(ctx, u.Subject, u.Shown); err != nil || there {
			return err
		}
		n, err := tx.CountFound(ctx, provider.ID, u.Workflow.ID, s.now().Add(-24*time.Hour))
		if err == nil && n >= maxFound {
			err = fmt.Errorf("%d were opened within a day", n)
		}
		if err == nil {
			_, err = s.openTx(ctx, tx, u.Workflow, provider, q)
			there = err == nil
		}
		return err
	})
	return there && err == nil, err
}
