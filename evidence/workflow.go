package evidence

import (
	"errors"
	"fmt"
)

// Workflow is something that happened on the server (an alert was delivered, a
// person confirmed a review), signed with the server's key into the same log.
// What it says stands in a blob beside it, which can be erased.
type Workflow struct {
	Org   string `json:"org"`
	Event string `json:"event"` // "alert.delivered", "alert.refused", "review.confirmed" …
	At    Time   `json:"at"`
	By    string `json:"by"` // id of the user who acted; empty for the server itself
	Duty  string `json:"duty"`
	Data  Digest `json:"-"` // of the blob
}

const workflowSubject = "workflow.detail.json"

// SealWorkflow signs a workflow statement.
func SealWorkflow(s Signer, w Workflow) (Envelope, error) {
	if !validID(w.Org, "o_") || w.Event == "" || w.Data.IsZero() {
		return Envelope{}, fmt.Errorf("workflow: event %q of organisation %q with data %q", w.Event, w.Org, w.Data)
	}
	payload, err := newStatement(PredicateWorkflow, w, []subject{{workflowSubject, subjectDigest{w.Data}}})
	if err != nil {
		return Envelope{}, err
	}
	return SealPayload(s, PayloadInToto, payload)
}

// OpenWorkflow checks the server's signature and reads the statement.
func OpenWorkflow(env Envelope, server PublicKey) (Workflow, error) {
	if err := env.Verify(server, PayloadInToto); err != nil {
		return Workflow{}, fmt.Errorf("workflow: %w", err)
	}
	s, err := parseStatement[Workflow](env.Payload(), PredicateWorkflow)
	if err != nil {
		return Workflow{}, fmt.Errorf("workflow: %w", err)
	}
	if len(s.Subject) != 1 || s.Subject[0].Name != workflowSubject || s.Subject[0].Digest.SHA256.IsZero() {
		return Workflow{}, errors.New("workflow: want one subject, its data")
	}
	w := s.Predicate
	w.Data = s.Subject[0].Digest.SHA256
	return w, nil
}
