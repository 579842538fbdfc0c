package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/abuse"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// CaseRequest opens a workflow.
type CaseRequest struct {
	Org      string // the customer concerned; the provider for its own affairs
	Workflow string
	Service  string
	Title    string
	Text     string
	File     *StatedFile
	User     string

	report reportHint // of a report of abuse
	found  foundHint  // of what a check found
}

// StepRequest records a step of a case, or withdraws the case.
type StepRequest struct {
	Org      string
	Case     string
	Step     string
	Skip     bool
	Withdraw bool
	Text     string
	File     *StatedFile
	User     string
}

// The log's words for cases.
const (
	eventOpened    = "case.opened"
	eventStep      = "case.step"
	eventWithdrawn = "case.withdrawn"
	eventRead      = "case.read"
	eventPassed    = "case.passed" // to one more customer
)

// OpenCase opens a workflow, signed in the log of the organisation concerned, and
// returns the case's id. A notice is sent to the customer's mail channels at once.
func (s *Server) OpenCase(ctx context.Context, q CaseRequest) (string, error) {
	w, ok := s.catalogue.Workflow(q.Workflow)
	if !ok {
		return "", fmt.Errorf("workflow %s: %w", q.Workflow, store.ErrNotFound)
	}
	org, err := s.store.Org(ctx, q.Org)
	if err != nil {
		return "", err
	}
	if q.Workflow == workflowAbuse && strings.TrimSpace(q.Title) == "" && q.File != nil {
		r, err := abuse.Parse(q.File.Data)
		if err != nil {
			return "", duties.Refusal{Key: "abuse_report", Err: err}
		}
		if err := s.fill(&q, r); err != nil {
			return "", err
		}
		if org.Kind == store.Provider {
			if err := s.unplaced(ctx, &q, r); err != nil {
				return "", err
			}
		}
	}
	var id string
	err = s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		id, err = s.openTx(ctx, tx, w, org, q)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("opening a case: %w", err)
	}
	s.alerts.Wake()
	return id, s.caseMoved(ctx, org.ID)
}

func (s *Server) openTx(ctx context.Context, tx *store.Tx, w duties.Workflow, org store.Org, q CaseRequest) (id string, err error) {
	if err := q.check(w, org); err != nil {
		return "", err
	}
	q.Title = strings.ToValidUTF8(q.Title, "\uFFFD") // as the log's entry has it
	c := store.Case{ID: evidence.NewID("k_"), Org: org.ID, Workflow: w.ID, Service: q.Service, Title: q.Title, Opened: s.now(), OpenedBy: q.User,
		Subject: cmp.Or(q.report.subject, q.found.subject), Since: q.report.since, Origin: q.report.origin}
	if !q.found.at.IsZero() && q.found.at.Before(c.Opened) {
		c.Opened = q.found.at
	}
	entry, err := s.stateTx(ctx, tx, evidence.Workflow{Org: org.ID, Event: eventOpened, At: evidence.At(c.Opened), By: q.User},
		stated{Case: c.ID, Workflow: w.ID, Service: q.Service, Title: q.Title, Text: q.Text, File: q.File, Since: sinceText(c.Since), Hosts: q.report.hosts, HostsMore: q.report.more, HostsUnread: q.report.unread})
	if err != nil {
		return "", err
	}
	c.Log, c.Index, c.Data = entry.log, entry.index, entry.data
	if err := tx.AddCase(ctx, c); err != nil {
		return "", err
	}
	if w.Steps[0].AtOnce {
		if err := s.stepTx(ctx, tx, c, StepRequest{Step: w.Steps[0].ID, User: q.User}); err != nil {
			return "", err
		}
	}
	if !w.Steps[0].Delivery {
		return c.ID, s.hearsOf(ctx, tx, w, org, c, q.Text)
	}
	return c.ID, tx.Notify(ctx, alert.Alert{ID: evidence.NewID("al_"), Org: org.ID, Asset: c.ID, Name: q.Title, Opened: c.Opened,
		Why: duties.Message{Key: alert.CaseOpened, Args: map[string]string{"case": c.ID, "title": q.Title, "text": q.Text, "service": q.Service}}})
}

// hearsOf has the provider told, on its mail channels, of a case that a customer opened:
// what the customer reports there it reports to somebody.
func (s *Server) hearsOf(ctx context.Context, tx *store.Tx, w duties.Workflow, org store.Org, c store.Case, text string) error {
	if w.Opens == duties.Provider || org.Kind == store.Provider {
		return nil
	}
	provider, err := tx.ProviderOrg(ctx)
	if err != nil {
		return err
	}
	members, err := tx.MembersOf(ctx, c.OpenedBy)
	if err != nil || slices.ContainsFunc(members, func(m store.Member) bool { return m.Org == provider.ID }) {
		return err
	}
	return tx.Notify(ctx, alert.Alert{ID: evidence.NewID("al_"), Org: provider.ID, Asset: c.ID, Name: c.Title, Opened: c.Opened,
		Why: duties.Message{Key: alert.CaseReported, Args: map[string]string{"case": c.ID, "org": org.ID, "customer": org.Name, "title": c.Title, "text": text, "service": c.Service}}})
}

// workflowAbuse is the workflow that a report of abuse opens.
const workflowAbuse = "abuse"

func (q CaseRequest) check(w duties.Workflow, org store.Org) error {
	switch {
	case !w.With(org.Kind == store.Provider):
		return duties.Refusal{Key: "case_party", Err: errors.New("this workflow is not of this organisation")}
	case !slices.Contains(w.Services(), q.Service) || org.Kind == store.Customer && !slices.Contains(org.Services, q.Service):
		return duties.Refusal{Key: "case_service", Err: fmt.Errorf("service %q: want one of %s that the organisation has", q.Service, strings.Join(w.Services(), ", "))}
	case strings.TrimSpace(q.Title) == "" || len([]rune(q.Title)) > MaxTitle:
		return duties.Refusal{Key: "title_missing", Err: fmt.Errorf("say in up to %d characters what it is about", MaxTitle)}
	case len([]rune(q.Text)) > MaxText:
		return duties.Refusal{Key: "text_missing", Err: fmt.Errorf("text of over %d characters", MaxText)}
	}
	return nil
}

// StepCase records that the next step of a case was taken, or left out, or withdraws
// the case.
func (s *Server) StepCase(ctx context.Context, q StepRequest) error {
	err := s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		c, err := tx.LockCase(ctx, q.Case)
		if err == nil && c.Org != q.Org {
			err = fmt.Errorf("case %s: %w", q.Case, store.ErrNotFound)
		}
		if err != nil {
			return err
		}
		return s.stepTx(ctx, tx, c, q)
	})
	if err != nil {
		return fmt.Errorf("recording a step: %w", err)
	}
	return s.caseMoved(ctx, q.Org)
}

func (s *Server) stepTx(ctx context.Context, tx *store.Tx, c store.Case, q StepRequest) error {
	w, ok := s.catalogue.Workflow(c.Workflow)
	if !ok || !c.Closed.IsZero() || len(c.Steps) >= len(w.Steps) {
		return duties.Refusal{Key: "case_closed", Err: errors.New("this case is closed")}
	}
	step, now := w.Steps[len(c.Steps)], s.now()
	closes := len(c.Steps)+1 == len(w.Steps)
	detail := stated{Case: c.ID, Workflow: w.ID, Service: c.Service, Step: step.ID, Skipped: q.Skip, Closes: &closes, Text: q.Text, File: q.File}
	switch {
	case q.Withdraw:
	case q.Step != step.ID:
		return duties.Refusal{Key: "case_order", Err: fmt.Errorf("step %q: the case waits for %q", q.Step, step.ID)}
	case q.Skip && !step.MaySkip:
		return duties.Refusal{Key: "case_skip", Err: fmt.Errorf("step %q cannot be left out", step.ID)}
	}
	if (q.Skip || q.Withdraw) && strings.TrimSpace(q.Text) == "" || len([]rune(q.Text)) > MaxText {
		return duties.Refusal{Key: "text_missing", Err: fmt.Errorf("say why, in up to %d characters", MaxText)}
	}
	if q.Withdraw {
		return s.withdrawTx(ctx, tx, c, q)
	}
	entry, err := s.stateTx(ctx, tx, evidence.Workflow{Org: c.Org, Event: eventStep, At: evidence.At(now), By: q.User}, detail)
	if err != nil {
		return err
	}
	if _, err := tx.AddCaseStep(ctx, c.ID, len(c.Steps), store.CaseStep{Step: step.ID, At: now, User: q.User, Skipped: q.Skip, Log: entry.log, Index: entry.index, Data: entry.data}); err != nil {
		return err
	}
	if closes {
		return tx.CloseCase(ctx, c.ID, now, false)
	}
	return nil
}

// withdrawTx ends a case that is not to be gone through with.
func (s *Server) withdrawTx(ctx context.Context, tx *store.Tx, c store.Case, q StepRequest) error {
	now := s.now()
	detail := stated{Case: c.ID, Workflow: c.Workflow, Service: c.Service, Text: q.Text, File: q.File}
	if _, err := s.stateTx(ctx, tx, evidence.Workflow{Org: c.Org, Event: eventWithdrawn, At: evidence.At(now), By: q.User}, detail); err != nil {
		return err
	}
	return tx.CloseCase(ctx, c.ID, now, true)
}

// endCases withdraws what is open with a customer that leaves: nobody can end it later.
func (s *Server) endCases(ctx context.Context, tx *store.Tx, org, by string) error {
	open, err := tx.OpenCases(ctx, org)
	if err != nil {
		return err
	}
	for _, c := range open {
		if c, err = tx.LockCase(ctx, c.ID); err == nil && c.Closed.IsZero() {
			err = s.withdrawTx(ctx, tx, c, StepRequest{Text: basisOffboarding, User: by})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ReadCase records that somebody of the party that did not open a case read it, the first
// time.
func (s *Server) ReadCase(ctx context.Context, org, id, user string) error {
	return s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		c, err := tx.LockCase(ctx, id)
		if err != nil || c.Org != org || !c.Read.At.IsZero() || !c.Closed.IsZero() {
			return err
		}
		now := s.now()
		entry, err := s.stateTx(ctx, tx, evidence.Workflow{Org: org, Event: eventRead, At: evidence.At(now), By: user}, stated{Case: id, Workflow: c.Workflow, Service: c.Service})
		if err != nil {
			return err
		}
		_, err = tx.ReadCase(ctx, id, store.CaseStep{At: now, User: user, Log: entry.log, Index: entry.index, Data: entry.data})
		return err
	})
}

// noticeDelivered records that the notice of a case reached the customer, the first
// time that a channel accepts it.
func (s *Server) noticeDelivered(ctx context.Context, tx *store.Tx, id string) error {
	c, err := tx.LockCase(ctx, id)
	if err != nil {
		return err
	}
	w, ok := s.catalogue.Workflow(c.Workflow)
	if !ok || len(c.Steps) > 0 || !c.Closed.IsZero() {
		return nil
	}
	return s.stepTx(ctx, tx, c, StepRequest{Step: w.Steps[0].ID})
}

// caseMoved has the duties judged again that cases can prove: the organisation's and
// the provider's.
func (s *Server) caseMoved(ctx context.Context, org string) error {
	s.judge.Arrived(org, []evidence.Kind{kindWorkflow})
	provider, err := s.store.ProviderOrg(ctx)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err == nil && provider.ID != org:
		s.judge.Arrived(provider.ID, []evidence.Kind{kindWorkflow})
	}
	return err
}

// eventAcked is the log's word for an alert that somebody has taken on.
const eventAcked = "alert.acknowledged"

// AckAlert records that a person has taken an alert on.
func (s *Server) AckAlert(ctx context.Context, org, id, user string) error {
	at := s.now()
	err := s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.AckAlert(ctx, org, id, user, at); err != nil {
			return err
		}
		if _, err := s.AppendWorkflowTx(ctx, tx, evidence.Workflow{Org: org, Event: eventAcked, At: evidence.At(at), By: user}, map[string]string{"alert": id}); err != nil {
			return err
		}
		a, err := tx.Alert(ctx, id)
		if err != nil {
			return err
		}
		return tx.DueSoon(ctx, org, a.Duty)
	})
	if err != nil {
		return err
	}
	return s.caseMoved(ctx, org)
}

// casesFor are the cases that duties are judged on: those of an organisation, or of
// all when org is empty, and the alerts that their customers were told of, which are
// notices of the server itself. What was open with a customer when it was erased ended
// with that, in one transaction.
func casesFor(ctx context.Context, r store.Reader, org string, of map[string]store.Org, at time.Time) ([]duties.Case, error) {
	stored, err := r.Cases(ctx, org, at.Add(-duties.Recall))
	if err != nil {
		return nil, err
	}
	var list []duties.Case
	for _, c := range stored {
		k := duties.Case{ID: c.ID, Org: c.Org, Workflow: c.Workflow, Service: c.Service, Customer: of[c.Org].Name, Title: c.Title, Opened: c.Opened, Since: c.Since, Closed: c.Closed,
			Withdrawn: c.Withdrawn, Subject: c.Subject, Cites: []duties.Cite{{Log: c.Log, Index: c.Index}}}
		for _, s := range c.Steps {
			k.Steps = append(k.Steps, duties.Done{Step: s.Step, At: s.At, Skipped: s.Skipped, Cites: []duties.Cite{{Log: s.Log, Index: s.Index}}})
		}
		list = append(list, k)
	}
	told, err := r.ToldAlerts(ctx, org, duties.Customer, at.Add(-duties.Recall))
	for _, a := range told {
		list = append(list, duties.NoticeOf(a.ID, a.Org, a.Duty, of[a.Org].Name, a.Name, a.Silenced, a.Opened, a.Delivered, a.Acked, a.Resolved))
	}
	for i, k := range list {
		if left := of[k.Org].Erased; !left.IsZero() && (k.Closed.IsZero() || !k.Closed.Before(left.Add(-time.Minute))) {
			list[i].Closed, list[i].Left = left, true
		}
	}
	return list, err
}
