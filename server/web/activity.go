package web

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
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
	By           actor
	Told         []toldWord
	Erased       bool // what else was said
	Epoch, Index int64
}

// The log's words that the trail reads more of than a name.
const (
	eventFigure = "parameter.set"
	eventAnew   = "log.epoch"
)

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
	row.tell("duty", p.Duty)
	row.tell("agent", p.Agent)
	row.tell("reason", p.Reason)
	row.tell("basis", p.Basis)
	row.By.ID = p.By
	if rec.Type == evidence.EntryWorkflow && len(s.Subject) == 1 {
		if err := w.saidIn(ctx, rec.Place(s.Subject[0].Digest.SHA256), &row); err != nil {
			return row, err
		}
	}
	return row, w.named(ctx, &row)
}

// The answer of the API: the lines of the trail, and where older ones begin.
type (
	activityAnswer struct {
		Activity []deedAnswer `json:"activity"`
		More     string       `json:"more"` // before=… of the next request; empty at the end
	}
	deedAnswer struct {
		At     evidence.Time     `json:"at"`
		Event  string            `json:"event"`
		By     string            `json:"by"` // id of a user, a token, or the channel of a mail's link; empty for the server
		Name   string            `json:"name"`
		Email  string            `json:"email"`
		Detail map[string]string `json:"detail"` // codes and names, as the log has them
		Erased bool              `json:"erased"`
		Epoch  int64             `json:"epoch"`
		Index  int64             `json:"index"`
	}
)

func (w *Web) apiActivity(rw http.ResponseWriter, r *http.Request) error {
	body, err := w.activityOf(r)
	if err != nil {
		return err
	}
	out := activityAnswer{Activity: []deedAnswer{}, More: body.More}
	for _, row := range body.Rows {
		d := deedAnswer{At: moment(row.At), Event: row.Event, By: row.By.ID, Name: row.By.Name, Email: row.By.Mail, Detail: map[string]string{},
			Erased: row.Erased, Epoch: row.Epoch, Index: row.Index}
		for _, t := range row.Told {
			d.Detail[t.Key] = t.Text
		}
		out.Activity = append(out.Activity, d)
	}
	writeJSON(rw, http.StatusOK, out)
	return nil
}
