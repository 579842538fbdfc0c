package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// forAll is the duty of statements that concern several duties of an organisation.
const forAll = ""

// The log's words for what a customer needs and tried.
const (
	eventNeed     = "need.declared"
	eventRestore  = "restore.tested"
	eventCosigned = "statement.cosigned"
)

// DeclareNeed records what a customer wants backed up, signed in its log, and judges by
// it from now on. It holds for a year.
func (s *Server) DeclareNeed(ctx context.Context, org string, need duties.Declared, text, user string) error {
	o, err := s.store.Org(ctx, org)
	if err != nil {
		return err
	}
	if err := need.Validate(); err != nil {
		return duties.Refusal{Key: "need", Err: err}
	}
	for _, set := range need.Sets {
		if !slices.Contains(o.Services, set.Service) {
			return duties.Refusal{Key: "need", Err: fmt.Errorf("data set %s: service %q is none of %s", set.Name, set.Service, strings.Join(o.Services, ", "))}
		}
	}
	about, err := json.Marshal(need)
	if err != nil {
		return fmt.Errorf("encoding a need: %w", err)
	}
	now := s.now()
	st := store.Statement{Org: org, Duty: forAll, User: user, Statement: duties.Statement{Kind: duties.StatementNeed, At: now, Until: now.Add(duties.MaxNeed), Good: true, About: string(about)}}
	return s.stateForAll(ctx, eventNeed, st, stated{Text: text, Need: &need}, nil)
}

// RestoreRequest is a restore that people tried.
type RestoreRequest struct {
	Org  string
	Test duties.RestoreTest
	Good bool
	Text string
	File *StatedFile
	User string
}

// RecordRestore records a restore test, signed in the customer's log.
func (s *Server) RecordRestore(ctx context.Context, q RestoreRequest) error {
	o, err := s.store.Org(ctx, q.Org)
	if err != nil {
		return err
	}
	now := s.now()
	switch t := q.Test; {
	case !slices.Contains(o.Services, t.Service):
		return duties.Refusal{Key: "restore", Err: fmt.Errorf("service %q is none of %s", t.Service, strings.Join(o.Services, ", "))}
	case strings.TrimSpace(t.What) == "" || len([]rune(t.What)) > MaxTitle:
		return duties.Refusal{Key: "title_missing", Err: fmt.Errorf("say in up to %d characters what was restored", MaxTitle)}
	case t.Point.IsZero() || t.Point.After(now) || t.Minutes < 0 || t.Minutes > 100_000:
		return duties.Refusal{Key: "restore", Err: errors.New("say which state was restored, one of the past, and in how many minutes")}
	case q.Text == "" || len([]rune(q.Text)) > MaxText:
		return duties.Refusal{Key: "text_missing", Err: fmt.Errorf("say what was restored, how it was compared and what came of it, in up to %d characters", MaxText)}
	}
	about, err := json.Marshal(q.Test)
	if err != nil {
		return fmt.Errorf("encoding a restore test: %w", err)
	}
	st := store.Statement{Org: q.Org, Duty: forAll, User: q.User, Statement: duties.Statement{Kind: duties.StatementRestore, At: now, Until: now.Add(duties.MaxRestore), Good: q.Good, About: string(about)}}
	return s.stateForAll(ctx, eventRestore, st, stated{Text: q.Text, File: q.File, Good: &q.Good, Service: q.Test.Service, Title: q.Test.What, Restore: &q.Test}, nil)
}

// CosignRestore puts the provider's signature under a customer's restore test.
func (s *Server) CosignRestore(ctx context.Context, org, id, text, user string) error {
	test, err := s.store.Statement(ctx, org, id)
	if err == nil && test.Kind != duties.StatementRestore {
		err = fmt.Errorf("restore test %s: %w", id, store.ErrNotFound)
	}
	if err != nil {
		return err
	}
	about := duties.CosignedAbout(id)
	once := func(ctx context.Context, tx *store.Tx) error {
		signed, err := tx.Stating(ctx, org, forAll, duties.StatementCosigned, about)
		if err == nil && signed {
			err = duties.Refusal{Key: "cosigned", Err: errors.New("this restore test is signed by both parties already")}
		}
		return err
	}
	now := s.now()
	st := store.Statement{Org: org, Duty: forAll, User: user, Statement: duties.Statement{Kind: duties.StatementCosigned, At: now, Until: now.Add(duties.MaxRestore), Good: true, Party: duties.Provider, About: about}}
	return s.stateForAll(ctx, eventCosigned, st, stated{Text: text, Of: id}, once)
}

// stateForAll records a statement that concerns several duties, and judges those again.
// may is asked whether it can stand, once nobody else can write to the log; nil for any.
func (s *Server) stateForAll(ctx context.Context, event string, st store.Statement, detail stated, may func(context.Context, *store.Tx) error) error {
	detail.Until, detail.Party = st.Until.UTC().Format(time.RFC3339), &st.Party
	err := s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		entry, err := s.stateTx(ctx, tx, evidence.Workflow{Org: st.Org, Event: event, At: evidence.At(st.At), By: st.User}, detail)
		if err == nil && may != nil {
			err = may(ctx, tx)
		}
		if err != nil {
			return err
		}
		st.ID, st.Log, st.Index, st.Data = evidence.NewID("st_"), entry.log, entry.index, entry.data
		return tx.AddStatement(ctx, st)
	})
	if err != nil {
		return fmt.Errorf("stating %s: %w", event, err)
	}
	o, err := s.store.Org(ctx, st.Org)
	errs := []error{err}
	for _, d := range s.catalogue.Duties() {
		if d.Stated() && owes(o, d) {
			errs = append(errs, s.judge.Again(ctx, st.Org, d))
		}
	}
	return errors.Join(errs...)
}
