package server

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// maxLooks bounds how many looks of one kind of one agent are read.
const maxLooks = 2000

// question gathers what a duty is judged on.
func (b *batch) question(ctx context.Context, org string, d duties.Duty) (duties.Question, error) {
	o, err := b.org(ctx, org)
	if err != nil {
		return duties.Question{}, err
	}
	q := duties.Question{At: b.at, Zone: o.Location()}
	if q.Params, err = b.paramsOf(ctx, org, d.ID); err != nil {
		return q, err
	}
	agents, err := b.agentsOf(ctx, org)
	if err != nil {
		return q, err
	}
	for _, a := range agents {
		if a.State == store.AgentRevoked || a.Standing() == store.AgentWaiting || !a.Serves(d.Service, "") {
			continue
		}
		q.Agents = append(q.Agents, duties.Agent{ID: a.ID, Name: a.Name, Enrolled: a.Enrolled, Forked: a.State == store.AgentForked, Skew: a.Skew, Talked: a.Seen})
		for _, need := range b.catalogue.Needs(d, q.Params) {
			looks, err := b.looksOf(ctx, a, need)
			if err != nil {
				return q, err
			}
			q.Facts = append(q.Facts, looks...)
		}
	}
	return q, b.people(ctx, o, d, &q)
}

// people adds what people confirmed, stated and did.
func (b *batch) people(ctx context.Context, o store.Org, d duties.Duty, q *duties.Question) (err error) {
	if d.Has(duties.ProofReview) {
		reviews, err := b.store.Reviews(ctx, o.ID, d.ID, 10)
		if err != nil {
			return err
		}
		for _, r := range reviews {
			q.Reviews = append(q.Reviews, duties.Review{At: r.At, Log: r.Log, Index: r.Index})
		}
	}
	q.Statements, err = statements(d, func(duty string) ([]store.Statement, error) { return b.store.StatementsAt(ctx, o.ID, duty, b.at) })
	if err != nil {
		return err
	}
	standing := stands(q.Statements)
	if standing || d.Acknowledged {
		if q.Alerts, err = b.store.RaisedAlerts(ctx, o.ID, d.Party, d.ID, b.at.Add(-duties.Recall)); err != nil {
			return err
		}
	}
	if !d.Has(duties.ProofWorkflow) && !standing {
		return nil
	}
	if q.Watched, err = b.store.Reachable(ctx, o.ID); err != nil {
		return err
	}
	if d.Has(duties.ProofWorkflow) {
		q.Cases, err = b.casesOf(ctx, o)
		q.Dealt = b.dealt(q.Cases)
	}
	if err == nil && b.catalogue.TellsProblems(d) {
		q.Problems, err = b.problems(ctx, o, d, b.at.Add(-duties.Recall))
	}
	return err
}

// statements are those about a duty and, where it is judged by them, about all.
func statements(d duties.Duty, read func(duty string) ([]store.Statement, error)) ([]duties.Statement, error) {
	about := []string{d.ID}
	if d.Stated() {
		about = append(about, forAll)
	}
	var list []duties.Statement
	for _, duty := range about {
		stored, err := read(duty)
		if err != nil {
			return nil, err
		}
		for _, s := range stored {
			list = append(list, s.Statement)
		}
	}
	return list, nil
}

// stands reports whether a party has ever signed a standing instruction: what its alerts
// came to is a part of the question then.
func stands(list []duties.Statement) bool {
	return slices.ContainsFunc(list, func(s duties.Statement) bool { return s.Kind == duties.StatementStanding })
}

// casesOf reads what happened with an organisation; with all of them for the provider.
func (b *batch) casesOf(ctx context.Context, o store.Org) ([]duties.Case, error) {
	if list, ok := b.cases[o.ID]; ok {
		return list, nil
	}
	list, err := b.casesSince(ctx, o, b.at)
	if err == nil {
		b.cases[o.ID] = list
	}
	return list, err
}

// casesSince reads those that were open at a moment, had ended not long before, or
// came later.
func (b *batch) casesSince(ctx context.Context, o store.Org, at time.Time) ([]duties.Case, error) {
	orgs, err := b.store.Orgs(ctx)
	if err != nil {
		return nil, err
	}
	of, whose := map[string]store.Org{}, o.ID
	for _, each := range orgs {
		of[each.ID] = each
	}
	if o.Kind == store.Provider {
		whose = ""
	}
	list, err := casesFor(ctx, b.store.Reader, whose, of, at)
	for i, c := range list {
		w, _ := b.catalogue.Workflow(c.Workflow)
		list[i].Unplaced = c.Org == o.ID && w.Early && o.Kind == store.Provider
		if c.Org == o.ID && w.Own {
			list[i].Org = "" // the provider's own affairs count on every board
		}
	}
	return list, err
}

// dealt are the cases that were opened about what checks found.
func (b *batch) dealt(list []duties.Case) (out []duties.Case) {
	for _, c := range list {
		if w, _ := b.catalogue.Workflow(c.Workflow); w.Found != "" && c.Subject != "" {
			out = append(out, c)
		}
	}
	return out
}

// paramsOf are the figures that an organisation has set for a duty of its.
func (b *batch) paramsOf(ctx context.Context, org, duty string) (map[string]duties.Params, error) {
	set, ok := b.params[org]
	if !ok {
		var err error
		if set, err = b.store.Params(ctx, org); err != nil {
			return nil, err
		}
		b.params[org] = set
	}
	return set[duty], nil
}

func (b *batch) agentsOf(ctx context.Context, org string) ([]store.Agent, error) {
	if list, ok := b.agents[org]; ok {
		return list, nil
	}
	list, err := b.store.Agents(ctx, org)
	if err != nil {
		return nil, err
	}
	b.agents[org] = list
	for _, a := range list {
		if len(a.Customers) > 0 {
			b.only[a.ID] = a.Customers
		}
	}
	return list, nil
}

// looksOf reads an agent's looks of a kind as a check needs them, oldest first.
func (b *batch) looksOf(ctx context.Context, a store.Agent, need duties.Need) ([]duties.Seen, error) {
	key := lookKey{a.ID, need}
	if list, ok := b.looks[key]; ok {
		return list, nil
	}
	items, err := b.store.ItemsOf(ctx, a.Org, a.ID, need.Kind, b.at.Add(-duties.Lookback), maxLooks)
	if err == nil && len(items) == 0 {
		items, err = b.store.ItemsOf(ctx, a.Org, a.ID, need.Kind, time.Time{}, 1)
	}
	if err != nil {
		return nil, err
	}
	list := make([]duties.Seen, len(items))
	for i, it := range items {
		list[i] = seenOf(it)
	}
	for _, i := range factsNeeded(list, need, b.at) {
		blob, err := b.store.Blob(ctx, items[i].Place(items[i].Facts))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		list[i].Blob = blob.Data
	}
	b.looks[key] = list
	return list, nil
}

// factsNeeded picks the looks whose facts a check needs: the newest by receipt
// and by when it was made, and what was received within the need's time, of earlier
// days one a day where that is enough.
func factsNeeded(list []duties.Seen, need duties.Need, at time.Time) []int {
	if len(list) == 0 {
		return nil
	}
	latest := -1
	for i := range list {
		if !list[i].Ahead(at) && (latest < 0 || !list[i].Moment().Before(list[latest].Moment())) {
			latest = i
		}
	}
	var picked []int
	days := map[string]bool{}
	for i := len(list) - 1; i >= 0; i-- {
		age := at.Sub(list[i].Received)
		wanted := i == len(list)-1 || i == latest || need.Facts > 0 && age <= need.Facts
		if wanted && need.Thin && age > 24*time.Hour && i != latest && i != len(list)-1 {
			day := list[i].Received.UTC().Format(time.DateOnly)
			wanted, days[day] = !days[day], true
		}
		if wanted {
			picked = append(picked, i)
		}
	}
	return picked
}
