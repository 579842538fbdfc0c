package server

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/abuse"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/web"
)

// Reports is where reports of abuse come in by mail; nowhere without an address.
type Reports struct {
	Address string   `yaml:"address"` // the mail address that is taken
	Listen  string   `yaml:"listen"`  // host:port of its SMTP listener
	From    []string `yaml:"from"`    // networks and addresses of the mail servers that may send it
}

func (r Reports) set() bool { return r.Address != "" || r.Listen != "" || len(r.From) > 0 }

func (r Reports) complete() error {
	if !r.set() {
		return nil
	}
	if err := abuse.CheckAddress(r.Address); err != nil {
		return fmt.Errorf("reports.address %q: want a mail address of its own, such as abuse@proof.example.com: it %w", r.Address, err)
	}
	if _, _, err := net.SplitHostPort(r.Listen); err != nil {
		return fmt.Errorf("reports.listen %q: want HOST:PORT, such as :25, where mail for %s comes in: %w", r.Listen, r.Address, err)
	}
	if len(r.From) == 0 {
		return fmt.Errorf("reports.from: name your mail servers, which forward to %s, such as [192.0.2.25]; [0.0.0.0/0, \"::/0\"] is anybody", r.Address)
	}
	if _, err := web.ParseProxies(r.From); err != nil {
		return fmt.Errorf("reports.from: %w", err)
	}
	return nil
}

// listenReports opens the listener for reports by mail, if one is configured.
func (s *Server) listenReports(ctx context.Context, secured *tls.Config) error {
	if !s.cfg.Reports.set() {
		return nil
	}
	from, err := web.ParseProxies(s.cfg.Reports.From)
	if err != nil {
		return fmt.Errorf("reports.from: %w", err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.Reports.Listen)
	if err != nil {
		return fmt.Errorf("reports.listen: %w", err)
	}
	in := abuse.Inbox{Address: s.cfg.Reports.Address, From: from, TLS: secured, Log: s.log.With("component", "reports"), Keep: s.TakeReport}
	s.loops = append(s.loops, func(ctx context.Context) error { return in.Serve(ctx, l) })
	in.Log.Info("reports of abuse are taken by mail", "address", in.Address, "listen", l.Addr().String())
	return nil
}

// eventReported is the log's word for one more report of what a case is open about.
const eventReported = "case.reported"

// TakeReport opens a case of the provider's for a report of abuse that came by itself.
// What is reported again, before anything was done about it, is stated in the provider's
// log, with whomever its case stands by now, and opens none.
func (s *Server) TakeReport(ctx context.Context, r abuse.Report, mail []byte) error {
	provider, err := s.store.ProviderOrg(ctx)
	if err != nil {
		return err
	}
	file, err := NewStatedFile("report.eml", mail)
	if err != nil {
		return err
	}
	q := CaseRequest{Org: provider.ID, Workflow: workflowAbuse, File: file}
	q.fill(r)
	w, ok := s.catalogue.Workflow(q.Workflow)
	if !ok {
		return fmt.Errorf("workflow %s: %w", q.Workflow, store.ErrNotFound)
	}
	if _, err := s.store.ReportedCase(ctx, q.report.subject); errors.Is(err, store.ErrNotFound) {
		err = s.unplaced(ctx, &q, r)
		if err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if err := s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return s.takeTx(ctx, tx, w, provider, q) }); err != nil {
		return fmt.Errorf("taking a report: %w", err)
	}
	return s.caseMoved(ctx, provider.ID)
}

// maxReported bounds the reports that wait for a person at once: a flood must not bury
// what is real under what is not. Senders try again.
const maxReported = 500

func (s *Server) takeTx(ctx context.Context, tx *store.Tx, w duties.Workflow, provider store.Org, q CaseRequest) error {
	if _, err := tx.LockLog(ctx, provider.ID); err != nil { // two of the same at once are one after the other
		return err
	}
	open, err := tx.ReportedCase(ctx, q.report.subject)
	if err == nil {
		at := s.now()
		_, err = s.AppendWorkflowTx(ctx, tx, evidence.Workflow{Org: provider.ID, Event: eventReported, At: evidence.At(at)},
			stated{Case: open.ID, Workflow: q.Workflow, Service: open.Service, Title: q.Title, Text: q.Text, File: q.File})
		return errors.Join(err, tx.ReportedAgain(ctx, open.ID, at))
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	n, err := tx.CountReported(ctx, provider.ID)
	if err != nil {
		return err
	}
	if n >= maxReported {
		return fmt.Errorf("%d reports wait already: decide on them, on the page of cases", n)
	}
	if q.Service == "" { // its case was open a moment ago
		q.Service = s.serviceOf(q, nil)
	}
	_, err = s.openTx(ctx, tx, w, provider, q)
	return err
}

// reportHint is what helps to tell what a report is about and whom it concerns.
type reportHint struct {
	subject string
	hosts   []string
	unread  bool // not all hosts could be asked in time
}

// fill says what a case is about that a report opens: which server or site, what it did,
// when, and who says so.
func (q *CaseRequest) fill(r abuse.Report) {
	q.Title, q.report.subject = r.Title(), r.Subject()
	lines := []string{strings.TrimSpace(q.Text), r.Kind + " (" + r.Format + "), " + r.Reporter}
	if !r.At.IsZero() {
		lines = append(lines, r.At.Format(time.RFC3339))
	}
	lines = append(append(lines, r.Sources...), r.Note)
	q.Text = strings.Join(slices.DeleteFunc(lines, func(l string) bool { return l == "" }), "\n")
	if cut := []rune(q.Text); len(cut) > MaxText {
		q.Text = string(cut[:MaxText])
	}
}

// unplaced adds what helps the provider to tell whom a report concerns, and which service.
// With thousands of hosts that takes its time: a report does not wait for it.
func (s *Server) unplaced(ctx context.Context, q *CaseRequest, r abuse.Report) error {
	limit, cancel := context.WithTimeout(ctx, hostsWithin)
	defer cancel()
	hosts, services, err := s.hostsAt(limit, places(r.Sources))
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
func places(sources []string) []string {
	var list []string
	for _, src := range sources {
		if u, err := url.Parse(src); err == nil && u.Hostname() != "" {
			src = u.Hostname()
		}
		list = append(list, placeOf(src[strings.LastIndexByte(src, '@')+1:]))
	}
	return list
}

// placeOf is an address or host name as it is compared.
func placeOf(s string) string {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().String()
	}
	return strings.TrimSuffix(strings.ToLower(s), ".")
}

// hostsAt names the hosts, each with its organisation, that say of themselves to be at
// one of these places, and their services. Nobody has proven that they are: it is a hint
// for the provider, and opens no report to a customer.
func (s *Server) hostsAt(ctx context.Context, at []string) (hosts, services []string, err error) {
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
			if err != nil || len(hosts) == maxHosts {
				return hosts, services, err
			}
			if slices.ContainsFunc(names, func(n string) bool { return slices.Contains(at, placeOf(n)) }) {
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

// PassRequest opens a case of the provider's with the customer whom it concerns.
type PassRequest struct {
	Org  string // the provider
	Case string
	To   string // the customer
	User string
}

// PassCase opens a case, which was opened before anybody knew whom it concerns, with a
// customer in the same words, and withdraws it where it stood. Its times begin anew.
func (s *Server) PassCase(ctx context.Context, q PassRequest) (id string, err error) {
	err = s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		id, err = s.passTx(ctx, tx, q)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("passing a case on: %w", err)
	}
	return id, errors.Join(s.caseMoved(ctx, q.To), s.caseMoved(ctx, q.Org))
}

func (s *Server) passTx(ctx context.Context, tx *store.Tx, q PassRequest) (string, error) {
	c, err := tx.LockCase(ctx, q.Case)
	if err == nil && c.Org != q.Org {
		err = fmt.Errorf("case %s: %w", q.Case, store.ErrNotFound)
	}
	if err != nil {
		return "", err
	}
	from, err := tx.Org(ctx, c.Org)
	if err != nil {
		return "", err
	}
	to, err := tx.Org(ctx, q.To)
	w, _ := s.catalogue.Workflow(c.Workflow)
	switch {
	case !w.Early || from.Kind != store.Provider || errors.Is(err, store.ErrNotFound) || err == nil && to.Kind != store.Customer:
		return "", duties.Refusal{Key: "case_pass", Err: errors.New("this case concerns nobody else, or there is no such customer")}
	case err != nil:
		return "", err
	case !c.Closed.IsZero() || len(c.Steps) > 0:
		return "", duties.Refusal{Key: "case_closed", Err: errors.New("this case is closed, or under way")}
	}
	service := c.Service
	if theirs := slices.DeleteFunc(w.Services(), func(id string) bool { return !slices.Contains(to.Services, id) }); len(theirs) > 0 && !slices.Contains(theirs, service) {
		service = theirs[0] // it was a guess
	}
	words, err := wordsOf(ctx, tx.Reader, store.Place{Org: c.Org, Log: c.Log, Index: c.Index, SHA: c.Data})
	if err != nil {
		return "", err
	}
	id, err := s.openTx(ctx, tx, w, to, CaseRequest{Org: to.ID, Workflow: c.Workflow, Service: service, Title: c.Title, Text: words.Text, File: words.File, User: q.User,
		report: reportHint{subject: c.Subject}})
	if err != nil {
		return "", err
	}
	return id, s.stepTx(ctx, tx, c, StepRequest{Org: c.Org, Case: c.ID, Withdraw: true, Text: "→ " + to.Name + ", " + id, User: q.User})
}

// wordsOf reads what was said beside a log entry; nothing where that was erased.
func wordsOf(ctx context.Context, r store.Reader, at store.Place) (stated, error) {
	var said struct{ Detail stated }
	blob, err := r.Blob(ctx, at)
	if errors.Is(err, store.ErrNotFound) || err == nil && len(blob.Data) == 0 {
		return said.Detail, nil
	}
	if err == nil {
		err = json.Unmarshal(blob.Data, &said)
	}
	return said.Detail, err
}
