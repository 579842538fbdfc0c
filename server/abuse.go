package server

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/abuse"
	"github.com/attesto/attesto/server/alert"
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
	if err := s.nameReports(ctx); err != nil {
		return err
	}
	in := abuse.Inbox{Address: s.cfg.Reports.Address, From: from, TLS: secured, Log: s.log.With("component", "reports"), Keep: s.TakeReport}
	s.loops = append(s.loops, func(ctx context.Context) error { return in.Serve(ctx, l) })
	in.Log.Info("reports of abuse are taken by mail", "address", in.Address, "listen", l.Addr().String())
	return nil
}

// eventReported is the log's word for one more report of what a case is open about.
const eventReported = "case.reported"

// The bounds of reports: a flood must not bury what is real under what is not, nor fill
// the disk. Past them senders are told to try again.
const (
	maxUndecided = 500  // that nobody decided on
	maxNew       = 200  // in an hour, of what no case is open about
	maxAgain     = 1000 // in an hour, of what a case is open about
	maxMails     = 3    // kept whole of the reports that come again to one case
)

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
	if err := s.fill(&q, r); err != nil {
		return err
	}
	w, ok := s.catalogue.Workflow(q.Workflow)
	if !ok {
		return fmt.Errorf("workflow %s: %w", q.Workflow, store.ErrNotFound)
	}
	if _, err := s.store.ReportedCase(ctx, q.report.among(provider), q.report.subject); errors.Is(err, store.ErrNotFound) {
		err = s.unplaced(ctx, &q, r)
		if err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	err = errOvertaken
	for try := 0; try < 3 && errors.Is(err, errOvertaken); try++ {
		err = s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return s.takeTx(ctx, tx, w, provider, q) })
	}
	if full := (fullError{}); errors.As(err, &full) {
		return errors.Join(err, s.putOff(ctx, provider, full))
	}
	if err != nil {
		return fmt.Errorf("taking a report: %w", err)
	}
	return s.caseMoved(ctx, provider.ID)
}

// errOvertaken says that a case about the same was opened between two looks.
var errOvertaken = errors.New("a case about the same was opened at that moment")

func (s *Server) takeTx(ctx context.Context, tx *store.Tx, w duties.Workflow, provider store.Org, q CaseRequest) error {
	open, err := s.waitingFor(ctx, tx, provider, q.report)
	if err != nil {
		return err
	}
	if _, err := tx.LockLog(ctx, provider.ID); err != nil { // two of the same at once are one after the other
		return err
	}
	have, err := tx.CountReports(ctx, provider.ID, s.now().Add(-time.Hour))
	if err != nil {
		return err
	}
	if open.ID != "" {
		return s.againTx(ctx, tx, open, q, have)
	}
	switch _, err := tx.ReportedCase(ctx, q.report.among(provider), q.report.subject); {
	case err == nil:
		return errOvertaken
	case !errors.Is(err, store.ErrNotFound):
		return err
	case have.Waiting >= maxUndecided:
		return fullError{alert.ManyWait, maxUndecided}
	case have.New >= maxNew:
		return fullError{alert.ManyNew, maxNew}
	}
	if q.Service == "" { // its case was open a moment ago, so nobody was asked
		q.Service, q.report.unread = s.serviceOf(q, nil), true
	}
	_, err = s.openTx(ctx, tx, w, provider, q)
	return err
}

// waitingFor reads and locks the case that waits for a decision on what is reported; one
// without an id when there is none.
func (s *Server) waitingFor(ctx context.Context, tx *store.Tx, provider store.Org, hint reportHint) (store.Case, error) {
	c, err := tx.ReportedCase(ctx, hint.among(provider), hint.subject)
	if err == nil {
		c, err = tx.LockCase(ctx, c.ID)
	}
	if errors.Is(err, store.ErrNotFound) || err == nil && !c.Undecided() { // somebody was faster
		return store.Case{}, nil
	}
	return c, err
}

// againTx keeps a report of what a case waits for a decision about: in the log of the
// provider, whomever the case concerns.
func (s *Server) againTx(ctx context.Context, tx *store.Tx, open store.Case, q CaseRequest, have store.Reports) error {
	if have.Again >= maxAgain {
		return fullError{alert.ManyAgain, maxAgain}
	}
	at := s.now()
	said := stated{Case: open.ID, Workflow: q.Workflow, Service: open.Service, Title: q.Title, Text: q.Text, File: q.File}
	if open.Again >= maxMails && q.File != nil {
		said.File, said.Mail = nil, &q.File.SHA256
	}
	entry, err := s.stateTx(ctx, tx, evidence.Workflow{Org: q.Org, Event: eventReported, At: evidence.At(at)}, said)
	if err != nil {
		return err
	}
	return tx.AddAgain(ctx, store.ReportedAgain{Case: open.ID, At: at, Place: store.Place{Org: q.Org, Log: entry.log, Index: entry.index, SHA: entry.data}})
}

// fullError says which bound of reports is reached.
type fullError struct {
	bound string
	most  int
}

// Error says it to the operator.
func (e fullError) Error() string {
	return fmt.Sprintf("%s (%d): %v", e.bound, e.most, abuse.ErrFull)
}

// Is reports that the inbox is full.
func (fullError) Is(target error) bool { return target == abuse.ErrFull }

// eventPutOff is the log's word for reports that are told to come again later.
const eventPutOff = "reports.put_off"

// putOff tells the provider, once a day, that reports are put off: what they would say is
// not known meanwhile.
func (s *Server) putOff(ctx context.Context, provider store.Org, full fullError) error {
	now := s.now()
	args := map[string]string{"bound": full.bound, "most": fmt.Sprint(full.most)}
	err := s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.LockLog(ctx, provider.ID); err != nil {
			return err
		}
		if told, err := tx.Noticed(ctx, provider.ID, alert.ReportsPutOff, now.Add(-24*time.Hour)); told || err != nil {
			return err
		}
		if _, err := s.AppendWorkflowTx(ctx, tx, evidence.Workflow{Org: provider.ID, Event: eventPutOff, At: evidence.At(now)}, args); err != nil {
			return err
		}
		return tx.Notify(ctx, alert.Alert{ID: evidence.NewID("al_"), Org: provider.ID, Asset: alert.ReportsPutOff, Name: s.cfg.Reports.Address, Opened: now,
			Why: duties.Message{Key: alert.ReportsPutOff, Args: args}})
	})
	s.alerts.Wake()
	if err != nil {
		return fmt.Errorf("telling that reports are put off: %w", err)
	}
	return nil
}

// reportHint is what helps to tell what a report is about and whom it concerns.
type reportHint struct {
	subject string // sealed with a key of the server's: addresses are few enough to try; "" for what is like no other
	whose   bool   // it tells more than addresses, which customers can share
	hosts   []string
	more    bool // hosts than these
	unread  bool // not all hosts could be asked

	since  time.Time // of a case that is passed on: when its first term began
	origin string    // likewise: where it stood
}

// among is the organisation among whose cases the same is looked for, or "" for all: what
// names an address alone says nothing of a case that was passed on to a customer.
func (h reportHint) among(provider store.Org) string {
	if h.whose {
		return ""
	}
	return provider.ID
}

// fill says what a case is about that a report opens: which server or site, what it did,
// when, and who says so.
func (s *Server) fill(q *CaseRequest, r abuse.Report) (err error) {
	q.Title = r.Title()
	if q.report.subject, q.report.whose, err = s.subjectOf(r); err != nil {
		return err
	}
	lines := []string{strings.TrimSpace(q.Text), r.Kind + " (" + r.Format + "), " + r.Reporter}
	if !r.At.IsZero() {
		lines = append(lines, r.At.Format(time.RFC3339))
	}
	lines = append(append(lines, r.Shown()...), r.Note)
	q.Text = strings.Join(slices.DeleteFunc(lines, func(l string) bool { return l == "" }), "\n")
	if cut := []rune(q.Text); len(cut) > MaxText {
		q.Text = string(cut[:MaxText-1]) + "…"
	}
	return nil
}

// subjectOf is what a report is about as it is kept.
func (s *Server) subjectOf(r abuse.Report) (subject string, whose bool, err error) {
	about, whose := r.About()
	if about == "" {
		return "", false, nil
	}
	mac, err := s.mac("report", []byte(about))
	return hex.EncodeToString(mac), whose, err
}

// nameReports notes what reports are about that came before that was kept as it is now.
func (s *Server) nameReports(ctx context.Context) error {
	list, err := s.store.Unnamed(ctx, workflowAbuse)
	if err != nil {
		return err
	}
	for _, c := range list {
		words, err := wordsOf(ctx, s.store.Reader, store.Place{Org: c.Org, Log: c.Log, Index: c.Index, SHA: c.Data})
		if err != nil {
			return fmt.Errorf("case %s: %w", c.ID, err)
		}
		if words.File == nil {
			continue
		}
		r, err := abuse.Parse(words.File.Data)
		if err != nil {
			continue // a file of another kind
		}
		subject, _, err := s.subjectOf(r)
		if err == nil && subject != "" {
			err = s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.NameCase(ctx, c.ID, subject) })
		}
		if err != nil {
			return fmt.Errorf("case %s: %w", c.ID, err)
		}
	}
	return nil
}
