package server

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// rushLimit is how many agents an organisation may get in an hour before the next
// ones wait for approval, if their token is not for more: a token that fell into
// wrong hands must not fill a board.
const rushLimit = 20

// networks checks the networks of a token; an address stands for itself.
func networks(list []string) ([]string, error) {
	var out []string
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if addr, addrErr := netip.ParseAddr(text); err != nil && addrErr == nil {
			p, err = addr.Prefix(addr.BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("network %q: want one as 203.0.113.0/24 or 2001:db8::/32", text)
		}
		out = append(out, p.Masked().String())
	}
	return out, nil
}

// checkReplaced refuses a token for the successor of an agent that is not there.
func (s *Server) checkReplaced(ctx context.Context, q TokenRequest) error {
	if q.Replaces == "" {
		return nil
	}
	a, err := s.store.Agent(ctx, q.Replaces)
	if err == nil && a.Org != q.Org {
		err = store.ErrNotFound // another organisation's agent is nobody's business here
	}
	switch {
	case err != nil:
		return fmt.Errorf("agent %s, which is to be replaced: %w", q.Replaces, err)
	case q.Uses != 1:
		return errors.New("a token that replaces an agent is for one host: leave out --uses")
	}
	return nil
}

// within refuses an enrollment from outside of the token's networks.
func within(t store.EnrollToken, from netip.Addr) *evidence.Error {
	if len(t.From) == 0 {
		return nil
	}
	for _, text := range t.From {
		if p, err := netip.ParsePrefix(text); err == nil && p.Contains(from) {
			return nil
		}
	}
	return &evidence.Error{Code: evidence.CodeEnrollToken, Message: fmt.Sprintf("this enrollment token does not hold for hosts at %s", from),
		Cure: "make a token for that network (attesto-server token create --from), or enroll from where this one holds: " + strings.Join(t.From, ", ")}
}

// held reports since when a new agent waits for approval; zero when it does not.
func (s *Server) held(ctx context.Context, tx *store.Tx, t store.EnrollToken) (time.Time, error) {
	n, err := tx.EnrolledSince(ctx, t.Org, s.now().Add(-time.Hour))
	if err != nil {
		return time.Time{}, err
	}
	if t.Hold || n >= rushLimit && t.MaxUses <= rushLimit {
		return s.now(), nil
	}
	return time.Time{}, nil
}

// replace revokes the agent that a token's host had before.
func (s *Server) replace(ctx context.Context, tx *store.Tx, st ledger.State, t store.EnrollToken) (ledger.State, error) {
	if t.Replaces == "" {
		return st, nil
	}
	old, err := tx.Agent(ctx, t.Replaces)
	if err != nil || old.State == store.AgentRevoked || old.Org != t.Org {
		return st, err
	}
	st, _, err = s.revoke(ctx, tx, st, old, "replaced", "", time.Time{})
	return st, err
}

// announce tells the organisation that an agent has enrolled.
func (s *Server) announce(ctx context.Context, tx *store.Tx, a store.Agent, key evidence.KeyID, token string) error {
	args := map[string]string{"key": string(key), "from": a.From, "os": a.OS, "token": token}
	if !a.Held.IsZero() {
		args["waits"] = "1"
	}
	return tx.Notify(ctx, alert.Alert{ID: evidence.NewID("n_"), Org: a.Org, Asset: a.ID, Name: clip(a.Name, 80), Opened: s.now(),
		Why: duties.Message{Key: alert.NewAgent, Args: args}})
}

var errWaits = &evidence.Error{Code: evidence.CodePending, Message: "this host is enrolled and waits for approval",
	Cure: "compare attesto-agent status with what the page of agents shows, and approve it there or with attesto-server agent approve; until then records wait here, none is lost"}

// eventApproved is the log's word for an approval.
const eventApproved = "agent.approved"

// ApproveAgent lets an agent prove that waited for it, and says so in the log. by is
// the user who did it, "" for the operator at the command line.
func (s *Server) ApproveAgent(ctx context.Context, id, by string) (index int64, err error) {
	err = s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		a, err := tx.Agent(ctx, id)
		if err != nil {
			return err
		}
		if a.Standing() != store.AgentWaiting {
			return fmt.Errorf("agent %s is %s: only one that waits is approved", id, a.Standing())
		}
		detail := map[string]string{"agent": a.ID, "host": a.Name, "key": evidence.Sum(a.SPKI).String()}
		if index, err = s.AppendWorkflowTx(ctx, tx, evidence.Workflow{Org: a.Org, Event: eventApproved, By: by}, detail); err != nil {
			return err
		}
		return errors.Join(tx.Release(ctx, id), tx.DueNow(ctx, a.Org))
	})
	return index, err
}
