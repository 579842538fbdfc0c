package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// The log's words for silences.
const (
	eventSilenced   = "alert.silenced"
	eventUnsilenced = "alert.unsilenced"
)

// maxSilences bounds how many silences of an organisation hold at once.
const maxSilences = 500

// SilenceRequest keeps messages from the channels of an organisation for a while.
type SilenceRequest struct {
	Org    string
	Alert  string // whose duty, part and asset are silent, however often they fire
	Agent  string // instead: all that this host of the organisation raises
	Hours  int
	Reason string
	User   string
}

// Silence keeps the messages of an alert, or of a host's alerts, from the channels of the
// organisation whose duties they are, and says so in its log. It returns the silence's
// id. Whether the user may say so is the caller's to decide.
func (s *Server) Silence(ctx context.Context, q SilenceRequest) (string, error) {
	q.Reason = strings.TrimSpace(q.Reason)
	length := time.Duration(q.Hours) * time.Hour
	switch {
	case q.Hours < 1 || q.Hours > int(alert.MaxSilence/time.Hour):
		return "", duties.Refusal{Key: "silence_hours", Err: fmt.Errorf("%d hours: want 1 to %d", q.Hours, int(alert.MaxSilence/time.Hour))}
	case q.Reason == "" || len([]rune(q.Reason)) > alert.MaxReason:
		return "", duties.Refusal{Key: "silence_reason", Err: fmt.Errorf("say why, in up to %d characters", alert.MaxReason)}
	}
	now := s.now()
	row := store.Silence{Silence: alert.Silence{ID: evidence.NewID("si_"), Org: q.Org, At: now, Until: now.Add(length)}, User: q.User}
	err := s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		have, err := tx.Silences(ctx, q.Org, now)
		if err != nil {
			return err
		}
		if len(have) >= maxSilences {
			return duties.Refusal{Key: "silence_many", Err: fmt.Errorf("%d silences hold already", len(have))}
		}
		if err := q.subject(ctx, tx, &row); err != nil {
			return err
		}
		entry, err := s.stateTx(ctx, tx, evidence.Workflow{Org: q.Org, Event: eventSilenced, At: evidence.At(now), By: q.User, Duty: row.Duty},
			stated{Silence: row.ID, Duty: row.Duty, Part: row.Part, Asset: row.Asset, Name: row.Name, Until: row.Until.UTC().Format(time.RFC3339), Text: q.Reason})
		if err != nil {
			return err
		}
		row.Log, row.Index, row.Data = entry.log, entry.index, entry.data
		return tx.AddSilence(ctx, row)
	})
	if err != nil {
		return "", fmt.Errorf("silencing: %w", err)
	}
	return row.ID, nil
}

// subject says what a silence is about.
func (q SilenceRequest) subject(ctx context.Context, tx *store.Tx, s *store.Silence) error {
	if q.Agent != "" {
		agent, err := tx.Agent(ctx, q.Agent)
		if err == nil && agent.Org != q.Org {
			err = fmt.Errorf("agent %s: %w", q.Agent, store.ErrNotFound)
		}
		s.Asset, s.Name = agent.ID, agent.Name
		return err
	}
	a, err := tx.Alert(ctx, q.Alert)
	if err == nil && (a.Org != q.Org || a.Duty == "") {
		err = fmt.Errorf("alert %s: %w", q.Alert, store.ErrNotFound)
	}
	s.Duty, s.Part, s.Asset, s.Name = a.Duty, a.Part, a.Asset, a.Name
	return err
}

// Unsilence ends a silence of an organisation before its time, and says so in its log.
// What still fires is told with the next sweep.
func (s *Server) Unsilence(ctx context.Context, org, id, user string) error {
	now := s.now()
	err := s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		have, err := tx.Silences(ctx, org, now)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(have, func(h store.Silence) bool { return h.ID == id })
		if org == "" || i < 0 {
			return fmt.Errorf("silence %s: %w", id, store.ErrNotFound)
		}
		row := have[i]
		entry, err := s.stateTx(ctx, tx, evidence.Workflow{Org: org, Event: eventUnsilenced, At: evidence.At(now), By: user, Duty: row.Duty}, stated{Silence: id, Duty: row.Duty, Name: row.Name})
		if err != nil {
			return err
		}
		row.User, row.Log, row.Index, row.Data = user, entry.log, entry.index, entry.data
		return tx.EndSilence(ctx, row, now)
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		err = fmt.Errorf("ending a silence: %w", err)
	}
	return err
}
