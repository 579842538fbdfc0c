package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/store"
)

// activityBody is who did what in an organisation: each line is an entry of its log.
type activityBody struct {
	Rows []activityRow
	More string // where older ones begin; "" when there are none
}

type activityRow struct {
	At           time.Time
	Event        string // the log's word
	By, ByMail   string // "" for the server, or its operator at the command line
	Detail       []string
	Erased       bool // what else was said
	Epoch, Index int64
}

const (
	maxActivity = 50
	scanStated  = 200 // statements that are read at once
	scanMost    = 2000
)

// routine are events that no person causes.
var routine = map[string]bool{"alert.delivered": true, "alert.failed": true, "alert.refused": true}

func (w *Web) activity(rw http.ResponseWriter, r *http.Request) error {
	body, err := w.activityOf(r)
	if err != nil {
		return err
	}
	return w.render(rw, r, http.StatusOK, "activity", "activity_title", body)
}

func (w *Web) activityOf(r *http.Request) (body activityBody, err error) {
	ctx, org := r.Context(), orgOf(r.Context())
	before, index := w.Now().Add(24*time.Hour), int64(math.MaxInt64)
	if text := r.FormValue("before"); text != "" {
		var micros int64
		if n, err := fmt.Sscanf(text, "%d.%d", &micros, &index); err != nil || n != 2 || micros <= 0 || index < 0 {
			return body, &problem{status: http.StatusBadRequest, key: "bad_request"}
		}
		before = store.Time(micros)
	}
	logs, err := w.Store.LogsOf(ctx, org.ID)
	if err != nil {
		return body, err
	}
	epochs := map[string]int64{}
	for _, st := range logs {
		epochs[st.ID] = st.Epoch
	}
	for scanned := 0; scanned < scanMost; scanned += scanStated {
		list, err := w.Store.Stated(ctx, org.ID, before, index, scanStated)
		if err != nil {
			return body, err
		}
		for _, rec := range list {
			before, index = rec.Received, rec.Index
			row, err := w.activityAt(ctx, rec)
			if err != nil {
				return body, err
			}
			if routine[row.Event] || !viewerOf(ctx).shows(org.ID, rec.Received) {
				continue
			}
			row.Epoch = epochs[rec.Log]
			if body.Rows = append(body.Rows, row); len(body.Rows) == maxActivity {
				body.More = fmt.Sprintf("%d.%d", before.UnixMicro(), index)
				return body, nil
			}
		}
		if len(list) < scanStated {
			return body, nil
		}
	}
	body.More = fmt.Sprintf("%d.%d", before.UnixMicro(), index)
	return body, nil
}

// activityAt reads who did what from a signed statement. A statement that cannot be
// read stands with its type; the record's page says what is wrong with it.
func (w *Web) activityAt(ctx context.Context, rec store.Record) (activityRow, error) {
	row := activityRow{At: rec.Received, Index: rec.Index, Event: "log." + string(rec.Type)}
	env, err := evidence.ParseEnvelope(rec.Envelope)
	if err != nil {
		return row, nil //nolint:nilerr // the row says what is known
	}
	var s struct {
		Subject []struct {
			Digest struct {
				SHA256 evidence.Digest `json:"sha256"`
			} `json:"digest"`
		} `json:"subject"`
		Predicate struct{ Event, By, Agent, Reason, Duty, Basis string } `json:"predicate"`
	}
	if err := json.Unmarshal(env.Payload(), &s); err != nil {
		return row, nil //nolint:nilerr // likewise
	}
	p := s.Predicate
	if p.Event != "" {
		row.Event = p.Event
	}
	for _, word := range []string{p.Duty, p.Agent, p.Reason, p.Basis} {
		if word != "" {
			row.Detail = append(row.Detail, word)
		}
	}
	if p.By != "" {
		row.By = p.By
		u, err := w.Store.User(ctx, p.By)
		switch {
		case err == nil:
			row.By, row.ByMail = u.Name, u.Email
		case !errors.Is(err, store.ErrNotFound):
			return row, err
		}
	}
	if rec.Type != evidence.EntryWorkflow || len(s.Subject) != 1 {
		return row, nil
	}
	return row, w.saidIn(ctx, rec.Place(s.Subject[0].Digest.SHA256), &row)
}

// told are the words of a detail that the trail shows, in this order.
var told = []string{"email", "role", "name", "title", "via", "from", "browser", "scopes", "kind", "target", "case", "alert"}

func (w *Web) saidIn(ctx context.Context, at store.Place, row *activityRow) error {
	blob, err := w.Store.Blob(ctx, at)
	if errors.Is(err, store.ErrNotFound) || err == nil && blob.Data == nil {
		row.Erased = err == nil
		return nil
	}
	if err != nil {
		return err
	}
	raw, err := evidence.ParseDetailBlob(blob.Data)
	if err != nil {
		return nil //nolint:nilerr // the row says what is known
	}
	said := map[string]any{}
	if err := json.Unmarshal(raw, &said); err != nil {
		return nil //nolint:nilerr // likewise
	}
	for _, key := range told {
		if text, ok := said[key].(string); ok && strings.TrimSpace(text) != "" {
			row.Detail = append(row.Detail, short(text))
		}
	}
	return nil
}
