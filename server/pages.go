package server

import (
	"context"
	"crypto/ed25519"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/web"
)

// startPages makes the handler for people and scripts.
func (s *Server) startPages() error {
	deps := web.Deps{
		Store: s.store, Catalogue: s.catalogue, Log: s.log.With("component", "web"), Now: s.now, PublicURL: s.cfg.PublicURL,
		Digest: s.Digest, ConfirmDigest: s.ConfirmDigest, ReviewLink: s.ReviewLink, FollowReviewLink: s.FollowReviewLink,
		DeclareNeed: s.DeclareNeed, RecordRestore: s.pageRestore, CosignRestore: s.CosignRestore,
		SetServices: s.pageServices, SetServes: s.SetServes, Suggested: s.Suggested,
		State: s.pageStatement, OpenCase: s.pageCase, StepCase: s.pageStep, PassCase: s.pagePass, ReadCase: s.ReadCase, AckAlert: s.AckAlert,
		Silence: s.pageSilence, Unsilence: s.Unsilence,
		Verify: s.VerifyRecord, AddToken: s.pageToken, ApproveAgent: s.ApproveAgent, RevokeAgent: s.RevokeAgent, Confirm: s.ConfirmReview, ReviewSeal: s.ReviewSeal, ConfirmShown: s.ConfirmShown, LogKey: s.LogKey, Released: s.Released, ReadOnly: s.ReadOnly,
		SetOrg: s.SetOrg, SetParam: s.SetParam, TestChannel: s.TestChannel,
		Keyset:  func() (sealed, root []byte) { return []byte(s.id.sealed), s.keys.RootPublic.SPKI() },
		Proxies: s.proxies, Note: s.note, AddOrg: s.pageOrg,
	}
	if o := s.cfg.OIDC; o != nil {
		deps.OIDC = &web.OIDC{Name: o.Name, Issuer: o.Issuer, ClientID: o.ClientID, NewOrg: o.NewOrg, NewRole: o.NewRole, Secret: func() (string, error) {
			b, err := os.ReadFile(o.SecretFile)
			return strings.TrimSpace(string(b)), err
		}}
	}
	if s.cfg.SMTP.Host != "" {
		deps.Mail = s.mail
	}
	pages, err := web.New(deps)
	s.pages = pages
	return err
}

// pageOrg makes an organisation, whose board stands from the first moment.
func (s *Server) pageOrg(ctx context.Context, o store.Org) (store.Org, error) {
	o, err := s.AddOrg(ctx, o)
	if err != nil {
		return o, err
	}
	if err := s.judge.Sweep(ctx); err != nil { // Run does it within a minute
		s.log.ErrorContext(ctx, "judging a new organisation", "org", o.ID, "err", err)
	}
	return o, nil
}

func (s *Server) pageToken(ctx context.Context, ask web.TokenAsk) (string, time.Time, error) {
	t, err := s.AddToken(ctx, TokenRequest{Org: ask.Org, Services: ask.Services, Uses: ask.Hosts, TTL: ask.Life, Hold: ask.Hold, Replaces: ask.Replaces, Note: ask.Note})
	return t.String(), s.now().Add(ask.Life), err
}

func (s *Server) pageRestore(ctx context.Context, q web.Restoring) error {
	file, err := NewStatedFile(q.FileName, q.File)
	if err != nil {
		return err
	}
	return s.RecordRestore(ctx, RestoreRequest{Org: q.Org, Test: q.Test, Good: q.Good, Text: q.Text, File: file, User: q.User})
}

func (s *Server) pageServices(ctx context.Context, org string, services []string, user string) error {
	o, err := s.store.Org(ctx, org)
	if err != nil {
		return err
	}
	o.Services = services
	return s.SetOrg(ctx, o, user)
}

func (s *Server) pageStatement(ctx context.Context, q web.Stating) error {
	file, err := NewStatedFile(q.FileName, q.File)
	if err != nil {
		return err
	}
	return s.State(ctx, StatementRequest{Board: q.Org, Party: q.Party, Duty: q.Duty, Kind: q.Kind, Good: q.Good, Until: q.Until, Text: q.Text, File: file, User: q.User})
}

func (s *Server) pageCase(ctx context.Context, q web.Opening) (string, error) {
	file, err := NewStatedFile(q.FileName, q.File)
	if err != nil {
		return "", err
	}
	return s.OpenCase(ctx, CaseRequest{Org: q.Org, Workflow: q.Workflow, Service: q.Service, Title: q.Title, Text: q.Text, File: file, User: q.User})
}

func (s *Server) pageStep(ctx context.Context, q web.Stepping) error {
	file, err := NewStatedFile(q.FileName, q.File)
	if err != nil {
		return err
	}
	return s.StepCase(ctx, StepRequest{Org: q.Org, Case: q.Case, Step: q.Step, Skip: q.Skip, Withdraw: q.Withdraw, Text: q.Text, File: file, User: q.User})
}

func (s *Server) pageSilence(ctx context.Context, q web.Silencing) (string, error) {
	return s.Silence(ctx, SilenceRequest{Org: q.Org, Alert: q.Alert, Agent: q.Agent, Hours: q.Hours, Reason: q.Reason, User: q.User})
}

func (s *Server) pagePass(ctx context.Context, q web.Passing) (string, error) {
	return s.PassCase(ctx, PassRequest{Org: q.Org, Case: q.Case, To: q.To, Mail: q.Mail, User: q.User})
}

// LogKey is the key of a log as other tools take it (c2sp.org/signed-note).
func (s *Server) LogKey(origin string) (string, error) {
	trust, err := s.trustedLog(origin)
	if err != nil {
		return "", err
	}
	key, ok := s.keys.Log.Private().Public().(ed25519.PublicKey)
	if !ok {
		return "", errors.New("log key is not an Ed25519 key")
	}
	return trust.VKey(key)
}
