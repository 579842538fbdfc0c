package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/alert"
)

// Silence is a silence with who set it and where the log says so.
type Silence struct {
	alert.Silence
	User  string // id
	Data  evidence.Digest
	Log   string
	Index int64
}

const silenceColumns = `id, org_id, duty, part, asset, name, at, until, ended, user_id, data, log_id, idx`

func scanSilence(row func(...any) error) (s Silence, err error) {
	var at, until, ended int64
	var data string
	if err = row(&s.ID, &s.Org, &s.Duty, &s.Part, &s.Asset, &s.Name, &at, &until, &ended, &s.User, &data, &s.Log, &s.Index); err != nil {
		return s, err
	}
	s.At, s.Until, s.Ended = Time(at), Time(until), Time(ended)
	s.Data, err = evidence.ParseDigest(data)
	return s, err
}

// AddSilence inserts a silence that begins.
func (t *Tx) AddSilence(ctx context.Context, s Silence) error {
	_, err := t.exec(ctx, "adding a silence", `INSERT INTO silence (`+silenceColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10, $11, $12)`,
		s.ID, s.Org, s.Duty, s.Part, s.Asset, s.Name, Micros(s.At), Micros(s.Until), s.User, s.Data.String(), s.Log, s.Index)
	return err
}

// Silences lists an organisation's silences that hold at a moment, the last to end first;
// of all organisations when org is empty.
func (r Reader) Silences(ctx context.Context, org string, at time.Time) ([]Silence, error) {
	return all(ctx, r, "listing silences", `SELECT `+silenceColumns+` FROM silence WHERE (org_id = $1 OR $1 = '') AND until > $2 AND ended = 0
		ORDER BY until DESC, id`, []any{org, Micros(at)}, scanSilence)
}

// EndSilence ends a silence before its time, and has looked at what its organisation's
// alerts have to tell; ErrNotFound when it does not hold.
func (t *Tx) EndSilence(ctx context.Context, s Silence, at time.Time) error {
	n, err := t.exec(ctx, "ending silence "+s.ID, `UPDATE silence SET ended = $3, ended_by = $4, ended_data = $5, ended_log = $6, ended_idx = $7
		WHERE id = $1 AND org_id = $2 AND ended = 0 AND until > $3`, s.ID, s.Org, Micros(at), s.User, s.Data.String(), s.Log, s.Index)
	if err == nil && n == 0 {
		err = fmt.Errorf("silence %s: %w", s.ID, ErrNotFound)
	}
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, "ending silence "+s.ID, `UPDATE alert SET next = 1 WHERE org_id = $1 AND state = 'firing' AND duty <> ''`, s.Org)
	return err
}

// loud is from when on the channels of an alert's organisation may be told, and by which
// silence.
func (t *Tx) loud(ctx context.Context, a alert.Alert) (time.Time, string, error) {
	agent, _, _ := strings.Cut(a.Asset, "/")
	list, err := all(ctx, t.Reader, "finding silences", `SELECT `+silenceColumns+` FROM silence WHERE org_id = $1 AND until > $2
		AND (duty = '' AND asset = $3 OR duty = $4 AND part = $5 AND asset = $6)`,
		[]any{a.Org, Micros(a.Opened), agent, a.Duty, a.Part, a.Asset}, func(row func(...any) error) (alert.Silence, error) {
			s, err := scanSilence(row)
			return s.Silence, err
		})
	at, by := alert.Loud(list, a)
	return at, by, err
}
