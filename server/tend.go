package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// noService keeps an alert from those who hear of a service.
const noService = "-"

// alert opens and ends alerts as the findings ask for, and counts both. due is when one
// may end by time alone; zero for never.
func (b *batch) alert(ctx context.Context, tx *store.Tx, org string, d duties.Duty, at time.Time, parts []duties.PartFinding) (n int, due time.Time, err error) {
	open, err := tx.OpenAlerts(ctx, org, d.ID)
	if err != nil {
		return 0, due, err
	}
	fire, resolve := alert.Plan(open, parts)
	ended, turned, due := alert.Damp(open, resolve, at)
	for _, a := range turned {
		if err := tx.CalmAlert(ctx, a); err != nil {
			return n, due, err
		}
	}
	for _, a := range ended {
		done, err := tx.ResolveAlert(ctx, a, at)
		if err != nil {
			return n, due, err
		}
		if done {
			n++
		}
	}
	for _, a := range fire {
		if a.Verdict != duties.Breached && at.Before(b.mercy) {
			continue
		}
		a.ID, a.Org, a.Duty, a.Party, a.Opened = evidence.NewID("al_"), org, d.ID, d.Party, at
		fired, err := tx.FireAlert(ctx, a, b.reach(a, d))
		if err != nil {
			return n, due, err
		}
		if fired {
			n++
		}
	}
	return n, due, nil
}

// reach is who beyond its organisation can hear of an alert. The organisation's agents
// must have been read.
func (b *batch) reach(a alert.Alert, d duties.Duty) store.Reach {
	agent, _, _ := strings.Cut(a.Asset, "/")
	to := store.Reach{Service: d.Service, Only: b.only[agent]}
	if a.Part == duties.ProofWorkflow && d.Party == duties.Provider {
		to.Service = noService // about one customer, and no other's to hear
	}
	return to
}

// maxTended is how many alerts are tended in one sweep.
const maxTended = 5000

// tend has told what is due of the alerts that fire: to whom a silence has ended, that it
// still fires, and that nobody acts. After an outage of the server people and agents get
// their time first.
func (b *batch) tend(ctx context.Context) error {
	if b.at.Before(b.mercy) {
		return nil
	}
	due, err := b.store.DueAlerts(ctx, b.at, maxTended)
	errs := []error{err}
	for _, a := range due {
		if err := b.tendOne(ctx, a); err != nil {
			errs = append(errs, fmt.Errorf("tending alert %s: %w", a.ID, err))
		}
	}
	return errors.Join(errs...)
}

func (b *batch) tendOne(ctx context.Context, a alert.Alert) error {
	o, err := b.org(ctx, a.Org)
	if err == nil {
		_, err = b.agentsOf(ctx, a.Org)
	}
	if err != nil {
		return err
	}
	n := 0
	d, ok := b.catalogue.Duty(a.Duty)
	err = b.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		if !ok || !owes(o, d) { // nobody judges it any more, so nothing else would end it
			_, err = tx.ResolveAlert(ctx, a, b.at)
			return err
		}
		n, err = tx.TendAlert(ctx, a.ID, b.reach(a, d), b.at)
		return err
	})
	if b.alerts += n; n > 0 {
		b.noticed(ctx, a.Org, d)
	}
	return err
}
