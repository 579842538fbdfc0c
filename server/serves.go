package server

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// The log's words for who proves what, and when.
const (
	eventZone     = "org.zone"     // in which zone an organisation's days are
	eventServices = "org.services" // what an organisation has of the provider
	eventServes   = "agent.serves" // for which services and customers an agent stands
)

// SetOrg changes an organisation's name, language, zone and services; what it has of
// the provider and where its days begin is stated in its log, because boards follow it.
// user is who did it, "" for the operator at the command line.
func (s *Server) SetOrg(ctx context.Context, o store.Org, user string) error {
	if err := s.checkOrg(o); err != nil {
		return err
	}
	was, err := s.store.Org(ctx, o.ID)
	if err != nil {
		return err
	}
	err = s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.SetOrg(ctx, o); err != nil {
			return err
		}
		state := func(event string, detail any) error {
			_, err := s.AppendWorkflowTx(ctx, tx, evidence.Workflow{Org: o.ID, Event: event, At: evidence.At(s.now()), By: user}, detail)
			return errors.Join(err, tx.DueNow(ctx, o.ID))
		}
		if was.Zone != o.Zone {
			if err := state(eventZone, map[string]string{"zone": o.Zone, "before": was.Zone}); err != nil {
				return err
			}
		}
		if slices.Equal(was.Services, o.Services) {
			return nil
		}
		return state(eventServices, map[string][]string{"services": o.Services, "before": was.Services})
	})
	if err != nil {
		return fmt.Errorf("changing organisation %s: %w", o.Name, err)
	}
	return s.judge.Sweep(ctx)
}

// SetServes says for which services an agent stands and, of the provider's, for which
// customers; for all that have the services when none is named. The log says so, too:
// the verdicts from then on rest on it.
func (s *Server) SetServes(ctx context.Context, agent string, services, customers []string, user string) error {
	if err := s.catalogue.CheckServices(services); err != nil {
		return duties.Refusal{Key: "serves", Err: err}
	}
	a, err := s.store.Agent(ctx, agent)
	if err != nil {
		return err
	}
	if err := s.checkCustomers(ctx, a, customers); err != nil {
		return err
	}
	err = s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.SetServes(ctx, a.ID, services, customers); err != nil {
			return err
		}
		_, err := s.AppendWorkflowTx(ctx, tx, evidence.Workflow{Org: a.Org, Event: eventServes, At: evidence.At(s.now()), By: user},
			map[string]any{"agent": a.ID, "services": services, "customers": customers})
		return errors.Join(err, tx.DueNow(ctx, a.Org))
	})
	if err != nil {
		return fmt.Errorf("tagging agent %s: %w", a.ID, err)
	}
	return s.judge.Sweep(ctx)
}

func (s *Server) checkCustomers(ctx context.Context, a store.Agent, customers []string) error {
	if len(customers) == 0 {
		return nil
	}
	owner, err := s.store.Org(ctx, a.Org)
	if err != nil {
		return err
	}
	if owner.Kind != store.Provider {
		return duties.Refusal{Key: "serves", Err: errors.New("a customer's agent stands for that customer: name no others")}
	}
	for _, id := range customers {
		o, err := s.store.Org(ctx, id)
		if err != nil || o.Kind != store.Customer {
			return duties.Refusal{Key: "serves", Err: fmt.Errorf("customer %q: there is none of this id", clip(id, 80))}
		}
	}
	return nil
}

// divided reports whether some agent of a question works for some customers only.
func (b *batch) divided(q duties.Question) bool {
	return slices.ContainsFunc(q.Agents, func(a duties.Agent) bool { return len(b.only[a.ID]) > 0 })
}

// serving is a question about the agents alone that work for a customer.
func (b *batch) serving(q duties.Question, customer string) duties.Question {
	out := func(agent string) bool {
		only := b.only[agent]
		return len(only) > 0 && !slices.Contains(only, customer)
	}
	q.Agents = slices.DeleteFunc(slices.Clone(q.Agents), func(a duties.Agent) bool { return out(a.ID) })
	q.Facts = slices.DeleteFunc(slices.Clone(q.Facts), func(f duties.Seen) bool { return out(f.Agent) })
	return q
}

// Suggested names the services that a host probably runs and is not tagged with, and
// what tells so: its newest facts about software and endpoints.
func (s *Server) Suggested(ctx context.Context, a store.Agent) (services, because []string, err error) {
	software, err := s.newestFacts(ctx, a, evidence.KindSoftware)
	if err != nil {
		return nil, nil, err
	}
	endpoints, err := s.newestFacts(ctx, a, evidence.KindEndpoints)
	if err != nil {
		return nil, nil, err
	}
	services, because = s.catalogue.Suggest(software, endpoints)
	return slices.DeleteFunc(services, func(id string) bool { return slices.Contains(a.Services, id) }), because, nil
}

// newestFacts is the blob of an agent's newest facts of a kind, nil where there are none.
func (s *Server) newestFacts(ctx context.Context, a store.Agent, kind evidence.Kind) ([]byte, error) {
	items, err := s.store.ItemsOf(ctx, a.Org, a.ID, kind, store.Time(0), 1)
	if err != nil || len(items) == 0 {
		return nil, err
	}
	blob, err := s.store.Blob(ctx, items[0].Place(items[0].Facts))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return blob.Data, err
}
