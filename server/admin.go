package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// AddOrg makes an organisation with its log and fills in its id. Language and zone
// default to en and Europe/Rome.
func (s *Server) AddOrg(ctx context.Context, o store.Org) (store.Org, error) {
	if o.Lang == "" {
		o.Lang = "en"
	}
	if o.Zone == "" {
		o.Zone = "Europe/Rome"
	}
	if err := s.checkOrg(o); err != nil {
		return o, err
	}
	o.ID, o.Created = evidence.NewID("o_"), s.now()
	st, err := s.ledger.Start(evidence.NewID("l_"), o.ID, evidence.Origin(s.id.name, o.ID, 1), 1)
	if err != nil {
		return o, err
	}
	if err := s.keys.Data.Make(o.ID); err != nil { // before its first blob can come
		return o, err
	}
	err = s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if o.Kind == store.Provider {
			p, err := tx.ProviderOrg(ctx)
			if err == nil {
				return fmt.Errorf("there is a provider already: %s (%s); a server has exactly one", p.Name, p.ID)
			}
			if !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		if err := tx.AddOrg(ctx, o); err != nil {
			return err
		}
		return tx.AddLog(ctx, st)
	})
	return o, err
}

func (s *Server) checkOrg(o store.Org) error {
	if strings.TrimSpace(o.Name) == "" || len(o.Name) > 200 {
		return fmt.Errorf("organisation's name %q: want 1 to 200 bytes", clip(o.Name, 40))
	}
	if o.Kind != store.Provider && o.Kind != store.Customer {
		return fmt.Errorf("kind %q: want provider or customer", o.Kind)
	}
	if o.Lang != "en" && o.Lang != "it" {
		return fmt.Errorf("language %q: want en or it", o.Lang)
	}
	if _, err := time.LoadLocation(o.Zone); err != nil {
		return fmt.Errorf("zone %q: want an IANA name, such as Europe/Rome: %w", o.Zone, err)
	}
	return s.catalogue.CheckServices(o.Services)
}

// TokenRequest says what an enrollment token is for.
type TokenRequest struct {
	Org      string
	Services []string // that the agents prove; all when empty
	Uses     int64
	TTL      time.Duration
	Note     string
	From     []string // networks (CIDR) or addresses that hosts may enroll from; anywhere when empty
	Hold     bool     // agents wait for approval
	Replaces string   // the agent whose host is set up anew: it is revoked when its successor enrolls
}

// maxTTL bounds the life of an enrollment token (EVIDENCE 3: fleet tokens).
const maxTTL = 7 * 24 * time.Hour

// AddToken makes an enrollment token. Its text is shown once: the server keeps
// only the key of its MAC.
func (s *Server) AddToken(ctx context.Context, q TokenRequest) (evidence.Token, error) {
	if len(q.Services) == 0 {
		q.Services = s.catalogue.Services()
	}
	if err := s.catalogue.CheckServices(q.Services); err != nil {
		return evidence.Token{}, err
	}
	if q.Uses < 1 || q.Uses > 10_000 {
		return evidence.Token{}, fmt.Errorf("%d uses: want 1 to 10000", q.Uses)
	}
	if q.TTL <= 0 || q.TTL > maxTTL {
		return evidence.Token{}, fmt.Errorf("life of %s: want more than nothing and at most %s", q.TTL, maxTTL)
	}
	if _, err := s.store.Org(ctx, q.Org); err != nil {
		return evidence.Token{}, err
	}
	if err := s.checkReplaced(ctx, q); err != nil {
		return evidence.Token{}, err
	}
	from, err := networks(q.From)
	if err != nil {
		return evidence.Token{}, err
	}
	t := evidence.NewToken(s.keys.RootPublic)
	mac, err := t.MACKey()
	if err != nil {
		return t, fmt.Errorf("deriving the token's key: %w", err)
	}
	now := s.now()
	return t, s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.AddEnrollToken(ctx, store.EnrollToken{ID: t.ID, Org: q.Org, MACKey: mac, Services: q.Services, MaxUses: q.Uses,
			Created: now, Expires: now.Add(q.TTL), Note: clip(q.Note, 200), From: from, Hold: q.Hold, Replaces: q.Replaces})
	})
}

// revokeReasons say why an agent's key is not to be trusted any more.
var revokeReasons = []string{"stolen", "lost", "cloned", "replaced", "retired"}

// RevokeAgent refuses an agent's key from now on, and says so in the log. What was
// received since distrust, if that is not zero, stays there and is marked. by is the
// user who did it, "" for the operator at the command line. It returns the entry's
// index.
func (s *Server) RevokeAgent(ctx context.Context, id, reason, by string, distrust time.Time) (index int64, err error) {
	if !slices.Contains(revokeReasons, reason) {
		return 0, fmt.Errorf("reason %q: want one of %s", reason, strings.Join(revokeReasons, ", "))
	}
	if distrust.After(s.now()) {
		return 0, fmt.Errorf("distrust from %s: want a moment that has passed", distrust.Format(time.RFC3339))
	}
	err = s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		agent, err := tx.Agent(ctx, id)
		if err != nil {
			return err
		}
		st, err := tx.LockLog(ctx, agent.Org)
		if err == nil {
			_, index, err = s.revoke(ctx, tx, st, agent, reason, by, distrust)
		}
		return err
	})
	return index, err
}

// revoke is RevokeAgent within a transaction that has locked the log.
func (s *Server) revoke(ctx context.Context, tx *store.Tx, st ledger.State, agent store.Agent, reason, by string, distrust time.Time) (ledger.State, int64, error) {
	if agent.State == store.AgentRevoked {
		return st, 0, fmt.Errorf("agent %s is revoked already", agent.ID)
	}
	r := evidence.Revocation{Org: agent.Org, Agent: agent.ID, At: evidence.At(s.now()), By: by, Reason: reason, Key: evidence.Sum(agent.SPKI)}
	if !distrust.IsZero() {
		from := evidence.At(distrust)
		r.DistrustFrom = &from
	}
	env, err := evidence.SealRevocation(s.keys.Server, r)
	if err != nil {
		return st, 0, err
	}
	st, rec, err := s.appendStated(ctx, tx, st, evidence.EntryRevocation, env)
	if err != nil {
		return st, 0, err
	}
	return st, rec.Index, errors.Join(tx.Distrust(ctx, agent.ID, distrust), tx.SetAgentState(ctx, agent.ID, store.AgentRevoked), tx.DueNow(ctx, agent.Org))
}
