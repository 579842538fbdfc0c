package web

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// Silencing keeps messages from the channels of an organisation for a while.
type Silencing struct {
	Org, User string
	Alert     string // whose duty, part and asset are silent
	Agent     string // instead: all that this host raises
	Hours     int
	Reason    string
}

// silenceBody is a silence that holds, as pages show it.
type silenceBody struct {
	alert.Silence
	By     actor
	Reason string // empty when its words were erased
	MayEnd bool
}

// silenceForm is what a page needs to ask for a silence.
type silenceForm struct {
	Action string
	Hours  []int
	Most   int  // characters of the reason
	Either bool // one alert, or all of its host
	Host   bool // all of a host
}

// Days are hours in days.
func (silenceForm) Days(hours int) int { return hours / 24 }

func newSilenceForm(action string) *silenceForm {
	return &silenceForm{Action: action, Hours: alert.Silences(), Most: alert.MaxReason}
}

// silencing shows the silences that hold, and reads the words of each once.
type silencing struct {
	w     *Web
	held  []store.Silence
	shown map[string]silenceBody
}

// silences reads the silences of an organisation that hold; of all where org is empty.
func (w *Web) silences(ctx context.Context, org string) (*silencing, error) {
	held, err := w.Store.Silences(ctx, org, w.Now())
	return &silencing{w, held, map[string]silenceBody{}}, err
}

// that lists those for which a condition holds.
func (s *silencing) that(ctx context.Context, holds func(alert.Silence) bool) ([]silenceBody, error) {
	var out []silenceBody
	for _, h := range s.held {
		if !holds(h.Silence) {
			continue
		}
		b, ok := s.shown[h.ID]
		if !ok {
			said, _, err := s.w.spokenAt(ctx, store.Place{Org: h.Org, Log: h.Log, Index: h.Index, SHA: h.Data})
			if err != nil {
				return nil, err
			}
			b = silenceBody{Silence: h.Silence, Reason: said.Text}
			if b.By, err = s.w.actorOf(ctx, h.User); err != nil {
				return nil, err
			}
			if o, err := s.w.Store.Org(ctx, h.Org); err == nil {
				b.MayEnd = viewerOf(ctx).actsFor(o.ID, o.Kind)
			}
			s.shown[h.ID] = b
		}
		out = append(out, b)
	}
	return out, nil
}

// of lists those that cover an alert.
func (s *silencing) of(ctx context.Context, a store.BoardAlert) ([]silenceBody, error) {
	about := alert.Alert{Org: a.Org, Duty: a.Duty, Part: a.Part, Asset: a.Asset}
	return s.that(ctx, func(h alert.Silence) bool { return h.Covers(about) })
}

// silenced adds to open alerts the silences that cover them.
func (w *Web) silenced(ctx context.Context, org string, list []alertBody) error {
	if !slices.ContainsFunc(list, func(a alertBody) bool { return a.State == alert.Firing }) {
		return nil
	}
	held, err := w.silences(ctx, org)
	for i := range list {
		if err != nil {
			return err
		}
		if list[i].State == alert.Firing {
			list[i].Silences, err = held.of(ctx, list[i].BoardAlert)
		}
	}
	return err
}

// silencedDuty lists the open alerts of a duty, as far as the reader sees them, about which
// its party is not told.
func (w *Web) silencedDuty(r *http.Request, d duties.Duty) ([]alertBody, error) {
	ctx, org := r.Context(), orgOf(r.Context())
	owner := org
	if d.Party == duties.Provider && org.Kind != store.Provider {
		var err error
		if owner, err = w.Store.ProviderOrg(ctx); err != nil {
			return nil, err
		}
	}
	held, err := w.silences(ctx, owner.ID)
	if err != nil || len(held.held) == 0 {
		return nil, err
	}
	open, err := w.Store.OpenAlerts(ctx, owner.ID, d.ID)
	var out []alertBody
	for _, a := range open {
		row := alertRow(a)
		silences, err := held.of(ctx, row)
		if err != nil {
			return nil, err
		}
		if len(silences) == 0 {
			continue
		}
		seen, err := w.concerns(r, row)
		if err != nil {
			return nil, err
		}
		if seen {
			out = append(out, alertBody{BoardAlert: row, Silences: silences})
		}
	}
	return out, err
}

// silence is what a form or the API sends.
type silence struct {
	Hours  int    `json:"hours" about:"1 to 720"`
	Reason string `json:"reason"`
	Host   bool   `json:"host" about:"all that the alert's host raises"`
}

// silenceFrom sets the silence that a request asks for.
func (w *Web) silenceFrom(r *http.Request, alertID, agent string) (string, error) {
	var f silence
	bad := &problem{status: http.StatusBadRequest, key: "bad_form"}
	if !isForm(r) {
		if err := decode(r, &f); err != nil {
			return "", err
		}
	} else {
		if f.Hours, bad.cause = strconv.Atoi(r.PostFormValue("hours")); bad.cause != nil {
			return "", bad
		}
		f.Reason, f.Host = r.PostFormValue("reason"), r.PostFormValue("host") != ""
	}
	q := Silencing{Org: orgOf(r.Context()).ID, User: viewerOf(r.Context()).id(), Alert: alertID, Agent: agent, Hours: f.Hours, Reason: f.Reason}
	if f.Host && alertID != "" {
		a, err := w.Store.Alert(r.Context(), alertID)
		if err != nil {
			return "", refused(err)
		}
		if q.Agent, _, _ = strings.Cut(a.Asset, "/"); a.Part == duties.ProofWorkflow {
			return "", bad
		}
	}
	id, err := w.Silence(r.Context(), q)
	return id, refused(err)
}

func (w *Web) silenceAlert(rw http.ResponseWriter, r *http.Request) error {
	if _, err := w.silenceFrom(r, r.PathValue("alert"), ""); err != nil {
		return err
	}
	http.Redirect(rw, r, back(r), http.StatusSeeOther)
	return nil
}

func (w *Web) silenceHost(rw http.ResponseWriter, r *http.Request) error {
	if _, err := w.silenceFrom(r, "", r.PathValue("agent")); err != nil {
		return err
	}
	http.Redirect(rw, r, back(r), http.StatusSeeOther)
	return nil
}

func (w *Web) unsilence(rw http.ResponseWriter, r *http.Request) error {
	if err := refused(w.Unsilence(r.Context(), orgOf(r.Context()).ID, r.PathValue("silence"), viewerOf(r.Context()).id())); err != nil {
		return err
	}
	http.Redirect(rw, r, back(r), http.StatusSeeOther)
	return nil
}

// silenceAnswer is a silence in the API.
type silenceAnswer struct {
	ID     string        `json:"id"`
	Org    string        `json:"org"`
	Duty   string        `json:"duty"` // empty for all of a host
	Part   string        `json:"part"`
	Asset  string        `json:"asset"`
	At     evidence.Time `json:"at"`
	Until  evidence.Time `json:"until"`
	By     string        `json:"by"`
	Reason string        `json:"reason"` // empty when its words were erased
}

func silenceAnswers(list []silenceBody) []silenceAnswer {
	out := []silenceAnswer{}
	for _, s := range list {
		out = append(out, silenceAnswer{s.ID, s.Org, s.Duty, s.Part, s.Name, moment(s.At), moment(s.Until), s.By.ID, s.Reason})
	}
	return out
}

func (w *Web) apiSilences(rw http.ResponseWriter, r *http.Request) error {
	held, err := w.silences(r.Context(), orgOf(r.Context()).ID)
	if err != nil {
		return err
	}
	list, err := held.that(r.Context(), func(alert.Silence) bool { return true })
	if err != nil {
		return err
	}
	writeJSON(rw, http.StatusOK, map[string]any{"silences": silenceAnswers(list)})
	return nil
}

func (w *Web) apiSilenceAlert(rw http.ResponseWriter, r *http.Request) error {
	id, err := w.silenceFrom(r, r.PathValue("alert"), "")
	if err != nil {
		return err
	}
	writeJSON(rw, http.StatusCreated, opened{id})
	return nil
}

func (w *Web) apiSilenceHost(rw http.ResponseWriter, r *http.Request) error {
	id, err := w.silenceFrom(r, "", r.PathValue("agent"))
	if err != nil {
		return err
	}
	writeJSON(rw, http.StatusCreated, opened{id})
	return nil
}

func (w *Web) apiUnsilence(rw http.ResponseWriter, r *http.Request) error {
	if err := refused(w.Unsilence(r.Context(), orgOf(r.Context()).ID, r.PathValue("silence"), viewerOf(r.Context()).id())); err != nil {
		return err
	}
	rw.WriteHeader(http.StatusNoContent)
	return nil
}
