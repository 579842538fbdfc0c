package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// handleChain tells an agent where its chain stands in the log, with the proof: for
// a host that was set back to an earlier state of its disk.
func (s *Server) handleChain(w http.ResponseWriter, r *http.Request) {
	agent, ok := s.authenticate(w, r)
	if !ok {
		return
	}
	known, err := strconv.ParseInt(r.URL.Query().Get("known"), 10, 64)
	if err != nil || known < 0 {
		s.refuse(w, r, http.StatusBadRequest, malformed("known %q: want the size of the log that the agent knows", clip(r.URL.Query().Get("known"), 40)))
		return
	}
	c, err := s.chainOf(r.Context(), agent, r.URL.Query().Get("origin"), known)
	var refusal *evidence.Error
	switch {
	case errors.As(err, &refusal):
		s.refuse(w, r, http.StatusConflict, refusal)
	case err != nil:
		s.fail(w, r, err)
	default:
		s.answer(w, r, http.StatusOK, c)
	}
}

func (s *Server) chainOf(ctx context.Context, agent store.Agent, origin string, known int64) (evidence.Chain, error) {
	st, err := s.store.Log(ctx, agent.Org)
	if err != nil {
		return evidence.Chain{}, err
	}
	rec, err := s.store.RecordBySeq(ctx, agent.Org, agent.ID, agent.Seq)
	if err != nil {
		return evidence.Chain{}, err
	}
	if rec.Log != st.ID || origin != st.Origin || known > st.Size {
		return evidence.Chain{}, &evidence.Error{Code: evidence.CodeUnavailable, Message: "the log has begun anew since this host's last record, or since what it knows",
			Cure: "enroll the host anew; what it proved stays proven"}
	}
	entries, err := s.store.Entries(ctx, st.ID, rec.Index, 1)
	if err == nil && (len(entries) != 1 || entries[0].Index != rec.Index) {
		err = fmt.Errorf("entry %d of log %s is missing: run attesto-server check", rec.Index, st.Origin)
	}
	if err != nil {
		return evidence.Chain{}, err
	}
	tree := ledger.At(ctx, s.store.Reader, st.ID, st.Size)
	receipt, err := tree.Receipt(rec.Index, entries[0].Line, st.Checkpoint)
	if err != nil {
		return evidence.Chain{}, err
	}
	c := evidence.Chain{Seq: uint64(agent.Seq), Envelope: string(rec.Envelope), Entry: string(receipt.Entry), Proof: string(receipt.Proof)}
	c.Consistency, err = tree.Consistency(known)
	return c, err
}

// RejoinAgent lets an agent prove again whose chain had two continuations, once
// somebody has found out why: its host was restored and has rejoined, or a copy is
// gone. Both halves stay on record, and the log says who decided.
func (s *Server) RejoinAgent(ctx context.Context, id, by string) (index int64, err error) {
	err = s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		agent, err := tx.Agent(ctx, id)
		if err != nil {
			return err
		}
		if agent.State != store.AgentForked {
			return fmt.Errorf("agent %s is %s: only one whose chain has forked rejoins", id, agent.State)
		}
		index, err = s.AppendWorkflowTx(ctx, tx, evidence.Workflow{Org: agent.Org, Event: "agent.rejoined", By: by}, map[string]string{"agent": id})
		if err != nil {
			return err
		}
		return errors.Join(tx.SetAgentState(ctx, id, store.AgentActive), tx.DueNow(ctx, agent.Org))
	})
	return index, err
}
