package server

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/abuse"
	"github.com/attesto/attesto/server/store"
)

// unplaced adds what helps the provider to tell whom a report concerns, and which service.
// With thousands of hosts that takes its time: a report does not wait for it.
func (s *Server) unplaced(ctx context.Context, q *CaseRequest, r abuse.Report) error {
	limit, cancel := context.WithTimeout(ctx, hostsWithin)
	defer cancel()
	hosts, services, err := s.hostsAt(limit, places(r.Sources))
	if q.report.more = len(hosts) > maxHosts; q.report.more {
		hosts = hosts[:maxHosts]
	}
	q.report.hosts, q.report.unread = hosts, limit.Err() != nil
	if q.Service == "" {
		q.Service = s.serviceOf(*q, services)
	}
	if q.report.unread && ctx.Err() == nil {
		return nil
	}
	return err
}

// hostsWithin is how long it may take to ask who is where a report speaks of.
const hostsWithin = 15 * time.Second

// serviceOf is the first service that a case can be of and that is among those wanted,
// or the first at all.
func (s *Server) serviceOf(q CaseRequest, wanted []string) string {
	w, _ := s.catalogue.Workflow(q.Workflow)
	all := w.Services()
	if i := slices.IndexFunc(all, func(id string) bool { return slices.Contains(wanted, id) }); i >= 0 {
		return all[i]
	}
	return all[0]
}

// places are the addresses and host names of what a report speaks of.
func places(sources []string) map[string]bool {
	at := map[string]bool{}
	for _, src := range sources {
		if u, err := url.Parse(src); err == nil && u.Hostname() != "" {
			src = u.Hostname()
		}
		at[abuse.Place(src[strings.LastIndexByte(src, '@')+1:])] = true
	}
	return at
}

// hostsAt names the hosts, each with its organisation, that say of themselves to be at
// one of these places, and their services. Nobody has proven that they are: it is a hint
// for the provider, and opens no report to a customer. It stops at more than a case names.
func (s *Server) hostsAt(ctx context.Context, at map[string]bool) (hosts, services []string, err error) {
	orgs, err := s.store.Orgs(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, o := range orgs {
		agents, err := s.store.Agents(ctx, o.ID)
		if err != nil {
			return hosts, services, err
		}
		for _, a := range agents {
			names, err := s.knownBy(ctx, a)
			if err != nil || len(hosts) > maxHosts {
				return hosts, services, err
			}
			if slices.ContainsFunc(names, func(n string) bool { return at[abuse.Place(n)] }) {
				hosts, services = append(hosts, a.Name+" ("+o.Name+")"), append(services, a.Services...)
			}
		}
	}
	return hosts, services, nil
}

// maxHosts bounds the hosts that a case names.
const maxHosts = 10

// knownBy are the names and addresses that a host is known by: its own name, what it
// sends mail from, and the services that it was told to watch.
func (s *Server) knownBy(ctx context.Context, a store.Agent) ([]string, error) {
	lists, err := s.newestFacts(ctx, a, evidence.KindDNSBL)
	if err != nil {
		return nil, err
	}
	ends, err := s.newestFacts(ctx, a, evidence.KindEndpoints)
	if err != nil {
		return nil, err
	}
	names := []string{a.Name}
	listed, _, _ := evidence.DecodeFacts[evidence.DNSBL](lists)
	for _, t := range listed.Targets {
		names = append(names, t.Target)
	}
	watched, _, _ := evidence.DecodeFacts[evidence.Endpoints](ends)
	for _, e := range watched.Endpoints {
		if u, err := url.Parse(e.Name); err == nil && e.Found == evidence.EndpointConfigured {
			names = append(names, u.Hostname())
		}
	}
	return names, nil
}
