package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// PassRequest opens a case of the provider's with the customer whom it concerns.
type PassRequest struct {
	Org  string // the provider
	Case string
	To   string // the customer
	Mail bool   // the file, too: a whole mail may speak of others
	User string
}

// PassCase opens a case, which was opened before anybody knew whom it concerns, with a
// customer in the same words, and withdraws it where it stood. It can be passed on to more
// customers then, once to each. Its times go on.
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
	passed, err := tx.PassedOn(ctx, c.ID)
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
	case slices.ContainsFunc(passed, func(p store.Case) bool { return p.Org == q.To }):
		return "", duties.Refusal{Key: "case_passed", Err: errors.New("this case was passed on to this customer")}
	case !c.Undecided() && len(passed) == 0:
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
	if !q.Mail {
		words.File = nil
	}
	id, err := s.openTx(ctx, tx, w, to, CaseRequest{Org: to.ID, Workflow: c.Workflow, Service: service, Title: c.Title, Text: words.Text, File: words.File, User: q.User,
		report: reportHint{subject: c.Subject, since: c.Since, origin: c.ID}})
	if err != nil {
		return "", err
	}
	whither := "→ " + to.Name + ", " + id
	if len(passed) == 0 {
		return id, s.stepTx(ctx, tx, c, StepRequest{Org: c.Org, Case: c.ID, Withdraw: true, Text: whither, User: q.User})
	}
	_, err = s.AppendWorkflowTx(ctx, tx, evidence.Workflow{Org: c.Org, Event: eventPassed, At: evidence.At(s.now()), By: q.User},
		stated{Case: c.ID, Workflow: c.Workflow, Service: c.Service, Text: whither})
	return id, err
}

// sinceText is when the first term of a case began as it is signed; empty where that is
// when it was opened.
func sinceText(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339Nano)
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
