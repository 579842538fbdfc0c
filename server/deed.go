package server

import (
	"context"
	"errors"
	"slices"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/web"
)

// note records what somebody did in the log of each organisation where it counts. A
// log that may not be continued does not keep people out: then the deed is done, and
// only the server's own log tells of it.
func (s *Server) note(ctx context.Context, tx *store.Tx, d web.Deed) error {
	orgs := slices.Clone(d.Orgs)
	slices.Sort(orgs) // logs are locked in one order
	for _, org := range slices.Compact(orgs) {
		_, err := s.AppendWorkflowTx(ctx, tx, evidence.Workflow{Org: org, Event: d.Event, At: evidence.At(s.now()), By: d.By}, d.Detail)
		var readOnly *evidence.Error
		if errors.As(err, &readOnly) {
			s.log.ErrorContext(ctx, "what was done cannot be logged", "org", org, "event", d.Event, "by", d.By, "err", readOnly)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mail sends one mail to a person.
func (s *Server) mail(ctx context.Context, m web.Mail) error {
	return s.mailer().Notify(ctx, alert.Channel{Kind: alert.Email, Target: m.To}, alert.Message{ID: m.ID, Event: "account", Subject: m.Subject, Body: m.Body})
}

func (s *Server) mailer() alert.Mailer {
	c := s.cfg.SMTP
	return alert.Mailer{Host: c.Host, Port: c.Port, User: c.User, PasswordFile: c.PasswordFile, From: c.From, TLS: c.TLS, Domain: s.id.name}
}
