package server

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// problems are the breaches of a service that the provider's hosts showed, open or ended
// since a moment, with the customers whom they concern and who of these was told. Messages
// are read once for all customers.
func (b *batch) problems(ctx context.Context, o store.Org, d duties.Duty, ended time.Time) ([]duties.Problem, error) {
	raised, err := b.store.Problems(ctx, o.ID, strings.ToUpper(d.Service)+"-", ended)
	if err != nil || len(raised) == 0 {
		return nil, err
	}
	if _, err := b.agentsOf(ctx, o.ID); err != nil { // whom each works for
		return nil, err
	}
	orgs, err := b.store.Orgs(ctx)
	if err != nil {
		return nil, err
	}
	var customers []string
	for _, c := range orgs {
		if c.Kind == store.Customer && c.Erased.IsZero() && slices.Contains(c.Services, d.Service) {
			customers = append(customers, c.ID)
		}
	}
	slices.Sort(customers)
	since, err := b.store.OnBoards(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	list := make([]duties.Problem, len(raised))
	for i, r := range raised {
		agent, _, _ := strings.Cut(r.Asset, "/")
		list[i] = duties.Problem{ID: r.ID, Duty: r.Duty, Name: r.Name, Opened: r.Opened, Ended: r.Ended, Told: r.Told, Hearers: customers, Since: since}
		if only := b.only[agent]; len(only) > 0 {
			list[i].Hearers = slices.DeleteFunc(slices.Clone(customers), func(id string) bool { return !slices.Contains(only, id) })
		}
	}
	return list, nil
}
