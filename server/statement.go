package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// StatementRequest is what a person states about a duty.
type StatementRequest struct {
	Board string // the organisation on whose board it was made
	Party string // who signs a waiver on a customer's board
	Duty  string
	Kind  string // duties.StatementAttestation, StatementWaiver or StatementStanding
	Good  bool   // of an attestation: the duty is met
	Until time.Time
	Text  string
	File  *StatedFile
	User  string
}

// StatedFile is a file that belongs to a statement or a step.
type StatedFile struct {
	Name   string          `json:"name"`
	SHA256 evidence.Digest `json:"sha256"`
	Data   []byte          `json:"data"` // base64 in JSON
}

// The bounds of what people write.
const (
	MaxText  = 4000       // characters of a statement's or a step's text
	MaxTitle = 120        // characters of a case's title
	MaxFile  = 700 * 1024 // bytes of a file: a blob holds it in base64
)

// NewStatedFile takes a file in; nil for none.
func NewStatedFile(name string, data []byte) (*StatedFile, error) {
	if len(data) == 0 {
		return nil, nil
	}
	if len(data) > MaxFile {
		return nil, duties.Refusal{Key: "file_big", Err: fmt.Errorf("file of %d bytes, at most %d are kept", len(data), MaxFile)}
	}
	return &StatedFile{Name: clip(name, 200), SHA256: evidence.Sum(data), Data: data}, nil
}

// The log's words for statements.
const (
	eventAttested = "statement.attested"
	eventWaived   = "statement.waived"
	eventStanding = "statement.standing"
)

// stated is the blob of a statement or a step: what can be erased.
type stated struct {
	Duty    string              `json:"duty,omitempty"`
	Party   *string             `json:"party,omitempty"` // who signed a waiver or a second signature, "" where that is plain; nil: not said yet then
	Good    *bool               `json:"good,omitempty"`
	Until   string              `json:"until,omitempty"`
	Text    string              `json:"text"`
	File    *StatedFile         `json:"file,omitempty"`
	Need    *duties.Declared    `json:"need,omitempty"`
	Restore *duties.RestoreTest `json:"restore,omitempty"`
	Of      string              `json:"of,omitempty"`   // of a second signature: the statement
	Rule    []string            `json:"rule,omitempty"` // of a standing instruction: the checks whose alerts stand in for looking

	Case     string `json:"case,omitempty"`
	Workflow string `json:"workflow,omitempty"`
	Service  string `json:"service,omitempty"`
	Title    string `json:"title,omitempty"`
	Step     string `json:"step,omitempty"`
	Skipped  bool   `json:"skipped,omitempty"`
	Closes   *bool  `json:"closes,omitempty"` // the case, with this step; nil: not said yet then

	Silence string `json:"silence,omitempty"` // the id of one
	Part    string `json:"part,omitempty"`    // of what is silent
	Asset   string `json:"asset,omitempty"`   // likewise
	Name    string `json:"name,omitempty"`    // of the asset, for people

	Since string `json:"since,omitempty"` // of a case that was passed on: when its first term began

	Hosts       []string `json:"hosts,omitempty"`       // of a report that nobody placed yet: who says to be at what it speaks of
	HostsMore   bool     `json:"hostsMore,omitempty"`   // than these
	HostsUnread bool     `json:"hostsUnread,omitempty"` // not all hosts could be asked

	Mail *evidence.Digest `json:"mail,omitempty"` // of a report that came again, and is not kept whole
}

// State records what a person states about a duty, signed in the log of the
// organisation whose duty it is, and judges the duty again at once. Whether the user
// may say so is the caller's to decide.
func (s *Server) State(ctx context.Context, q StatementRequest) error {
	d, owner, err := s.dutyOn(ctx, q.Board, q.Duty)
	if err != nil {
		return err
	}
	now := s.now()
	if err := q.check(d, now); err != nil {
		return err
	}
	in, party, err := s.signedIn(ctx, q, owner)
	if err != nil {
		return err
	}
	event := eventAttested
	detail := stated{Duty: d.ID, Party: &party, Good: &q.Good, Until: q.Until.UTC().Format(time.RFC3339), Text: q.Text, File: q.File}
	switch q.Kind {
	case duties.StatementWaiver:
		event, detail.Good = eventWaived, nil
	case duties.StatementStanding:
		event, detail.Good, detail.Rule = eventStanding, nil, d.Checks()
	}
	err = s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		entry, err := s.stateTx(ctx, tx, evidence.Workflow{Org: in, Event: event, At: evidence.At(now), By: q.User, Duty: d.ID}, detail)
		if err != nil {
			return err
		}
		return tx.AddStatement(ctx, store.Statement{ID: evidence.NewID("st_"), Org: in, Duty: d.ID, User: q.User, Data: entry.data,
			Statement: duties.Statement{Kind: q.Kind, Party: party, At: now, Until: q.Until, Good: q.Good, Log: entry.log, Index: entry.index}})
	})
	if err != nil {
		return fmt.Errorf("stating %s: %w", d.ID, err)
	}
	return s.judge.Again(ctx, owner, d)
}

// signedIn is the organisation in whose log a statement stands, and who signed it where
// that is to be said. A waiver on a customer's board is between the two: either gives up
// what the duty would bring it, or declares that it does not apply there.
func (s *Server) signedIn(ctx context.Context, q StatementRequest, owner string) (org, party string, err error) {
	if q.Kind != duties.StatementWaiver {
		return owner, "", nil
	}
	o, err := s.store.Org(ctx, q.Board)
	if err != nil || o.Kind == store.Provider {
		return owner, "", err
	}
	return o.ID, q.Party, nil
}

// check refuses what a statement may not be.
func (q StatementRequest) check(d duties.Duty, now time.Time) error {
	longest := d.Holds()
	switch q.Kind {
	case duties.StatementWaiver:
		longest = duties.MaxWaiver
	case duties.StatementStanding:
		longest = duties.MaxStanding
	}
	switch {
	case q.Kind == duties.StatementStanding && !d.Has(duties.ProofReview):
		return duties.Refusal{Key: "no_review", Err: errors.New("this duty asks for no review")}
	case q.Kind == duties.StatementAttestation && !d.Has(duties.ProofAttestation):
		return duties.Refusal{Key: "no_statement", Err: errors.New("this duty is not proven by a statement")}
	case q.Text == "" || len([]rune(q.Text)) > MaxText:
		return duties.Refusal{Key: "text_missing", Err: fmt.Errorf("say what was looked at and found, in up to %d characters", MaxText)}
	case !q.Until.After(now) || q.Until.After(now.Add(longest+24*time.Hour)):
		return duties.Refusal{Key: "review_date", Err: fmt.Errorf("review date %s: want one after now and at most %d days ahead", q.Until.Format(time.DateOnly), int(longest.Hours()/24))}
	}
	return nil
}

// dutyOn is a duty on a board, and the organisation whose it is.
func (s *Server) dutyOn(ctx context.Context, board, id string) (d duties.Duty, owner string, err error) {
	d, ok := s.catalogue.Duty(id)
	if !ok {
		return d, "", fmt.Errorf("duty %s: %w", id, store.ErrNotFound)
	}
	owner, err = s.ownerOf(ctx, board, d)
	return d, owner, err
}

// ownerOf is the organisation whose duty it is on a board.
func (s *Server) ownerOf(ctx context.Context, board string, d duties.Duty) (string, error) {
	if d.Party != duties.Provider {
		return board, nil
	}
	provider, err := s.store.ProviderOrg(ctx)
	return provider.ID, err
}

// entered is where a statement came to stand.
type entered struct {
	log   string
	index int64
	data  evidence.Digest
}

func (s *Server) stateTx(ctx context.Context, tx *store.Tx, w evidence.Workflow, detail any) (entered, error) {
	index, err := s.AppendWorkflowTx(ctx, tx, w, detail)
	if err != nil {
		return entered{}, err
	}
	st, err := tx.Log(ctx, w.Org)
	if err != nil {
		return entered{}, err
	}
	items, err := tx.ItemsAt(ctx, w.Org, st.ID, index, index+1)
	if err != nil || len(items) != 1 {
		return entered{}, fmt.Errorf("reading entry %d: %d items: %w", index, len(items), err)
	}
	return entered{st.ID, index, items[0].Detail}, nil
}
