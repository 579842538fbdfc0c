package server

import (
	"context"
	"errors"
	"strconv"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/store"
)

// eventRules is the log's word for rules that come into force.
const eventRules = "ruleset.in_force"

// metaRules is the number of the rule set that the provider's log states.
const metaRules = "ruleset.stated"

// rules is the rule set in force: the catalogue's files and the program that reads
// them. One that is new gets the next number.
func (s *Server) rules(ctx context.Context) (store.Ruleset, error) {
	want := store.Ruleset{Digest: s.catalogue.Digest().String(), Version: s.version, At: s.now()}
	for {
		list, err := s.store.Rulesets(ctx)
		if err != nil {
			return want, err
		}
		if n := len(list); n > 0 {
			if last := list[n-1]; last.Digest == want.Digest && last.Version == want.Version {
				return last, nil
			}
			want.Number = list[n-1].Number
		}
		want.Number++
		added := false
		err = s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
			var err error
			added, err = tx.AddRuleset(ctx, want)
			return err
		})
		if err != nil || added {
			return want, err
		}
	}
}

// stateRules states the rule set in force in the provider's log, once.
func (s *Server) stateRules(ctx context.Context) error {
	rules, err := s.rules(ctx)
	if err != nil {
		return err
	}
	provider, err := s.store.ProviderOrg(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	stated, err := s.store.Meta(ctx, metaRules)
	number := strconv.FormatInt(rules.Number, 10)
	if err != nil && !errors.Is(err, store.ErrNotFound) || stated == number {
		return err
	}
	return s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		won, err := tx.SwapMeta(ctx, metaRules, stated, number)
		if err != nil || !won {
			return err
		}
		_, err = s.AppendWorkflowTx(ctx, tx, evidence.Workflow{Org: provider.ID, Event: eventRules},
			map[string]string{"number": number, "digest": rules.Digest, "version": rules.Version})
		return err
	})
}

// inForce states the rules once; what keeps it from that is logged and tried again at
// the next start. Figures that the rules do not take are named.
func (s *Server) inForce(ctx context.Context) error {
	s.warnOutside(ctx)
	if err := s.stateRules(ctx); err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "the log does not state which rules are in force", "err", err)
	}
	return nil
}
