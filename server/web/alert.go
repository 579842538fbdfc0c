package web

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// alertPage is one alert with all that became of it.
type alertPage struct {
	alertBody
	Over      string // why it ended
	AckedBy   actor
	Told      []deliveryBody
	Silencing *silenceForm // where the reader may silence it
}

// deliveryBody is one message of an alert to one channel.
type deliveryBody struct {
	store.DeliveryState
	OrgName string
	Hidden  bool // of the other party: only that it was told is the reader's to see
	Tries   []tryBody
}

type tryBody struct {
	store.TryState
	Epoch int64
}

// Again reports whether it was tried and waits to be tried again.
func (d deliveryBody) Again() bool { return d.State == "waiting" && d.Attempts > 0 }

func (w *Web) alert(rw http.ResponseWriter, r *http.Request) error {
	body, err := w.alertPageOf(r)
	if err != nil {
		return err
	}
	return w.render(rw, r, http.StatusOK, "alert", "alert_title", body)
}

// alertRow is an alert as lists have it, without why it was raised.
func alertRow(a alert.Alert) store.BoardAlert {
	return store.BoardAlert{ID: a.ID, Org: a.Org, Duty: a.Duty, Part: a.Part, Asset: a.Asset, Name: a.Name, State: a.State, Party: a.Party,
		Verdict: a.Verdict.String(), Opened: a.Opened, Acked: a.Acked, Resolved: a.Resolved, Fired: a.Fired, Calm: a.Calm}
}

func (w *Web) alertPageOf(r *http.Request) (alertPage, error) {
	ctx, org := r.Context(), orgOf(r.Context())
	a, err := w.Store.Alert(ctx, r.PathValue("alert"))
	if errors.Is(err, store.ErrNotFound) {
		return alertPage{}, notFound()
	}
	if err != nil {
		return alertPage{}, err
	}
	row := alertRow(a)
	concerns, err := w.concerns(r, row)
	if err == nil && !concerns {
		err = notFound()
	}
	if err != nil {
		return alertPage{}, err
	}
	owner, err := w.Store.Org(ctx, a.Org)
	if err != nil {
		return alertPage{}, err
	}
	lang := w.views.lang(r)
	page := alertPage{alertBody: alertBody{BoardAlert: row, Board: a.Org, OrgName: owner.Name}}
	if org.Kind == store.Customer {
		page.Board = org.ID
	}
	if d, ok := w.Catalogue.Duty(a.Duty); ok {
		page.Title = d.Title.In(lang)
	}
	page.Why, page.Cure = w.Catalogue.Shown(lang, a.Why)
	page.Over, _ = w.Catalogue.Shown(lang, a.Ended)
	page.MayAck = a.State == alert.Firing && a.Acked.IsZero() && viewerOf(ctx).actsFor(a.Org, a.Party)
	if a.State == alert.Firing && viewerOf(ctx).actsFor(a.Org, a.Party) {
		page.Silencing = newSilenceForm("/orgs/" + a.Org + "/alerts/" + a.ID + "/silence")
		page.Silencing.Either = a.Part != duties.ProofWorkflow
	}
	one := []alertBody{page.alertBody}
	if err := w.silenced(ctx, a.Org, one); err != nil {
		return page, err
	}
	page.alertBody = one[0]
	if page.AckedBy, err = w.actorOf(ctx, a.AckedBy); err != nil {
		return page, err
	}
	page.Told, err = w.deliveriesOf(r, a)
	return page, err
}

// concerns reports whether an alert is one of those that the organisation's list shows
// the reader.
func (w *Web) concerns(r *http.Request, a store.BoardAlert) (bool, error) {
	ctx, org := r.Context(), orgOf(r.Context())
	v := viewerOf(ctx)
	if a.Duty == "" || !v.shows(org.ID, a.Opened) {
		return false, nil
	}
	switch {
	case a.Org == org.ID:
		return true, nil
	case org.Kind == store.Provider:
		return v.all != "", nil
	}
	provider, err := w.Store.ProviderOrg(ctx)
	service := strings.ToLower(a.Duty[:min(2, len(a.Duty))])
	if err != nil || a.Org != provider.ID || a.Part == "workflow" || !slices.Contains(org.Services, service) {
		return false, err
	}
	list, err := w.concerning(ctx, []store.BoardAlert{a}, org, provider.ID)
	return len(list) == 1, err
}

// deliveriesOf lists who was told of an alert, as far as it is the reader's to see: all
// of the organisations that they see, of the other party that it was told, and of other
// customers nothing.
func (w *Web) deliveriesOf(r *http.Request, a alert.Alert) ([]deliveryBody, error) {
	ctx, v := r.Context(), viewerOf(r.Context())
	list, err := w.Store.Deliveries(ctx, a.ID)
	if err != nil {
		return nil, err
	}
	tries, err := w.Store.Tries(ctx, a.ID)
	if err != nil {
		return nil, err
	}
	out := []deliveryBody{}
	orgs := map[string]store.Org{}
	epochs := map[string]int64{} // by log
	for _, d := range list {
		o, known := orgs[d.Org]
		if !known {
			if o, err = w.Store.Org(ctx, d.Org); err != nil {
				return nil, err
			}
			orgs[d.Org] = o
		}
		b := deliveryBody{DeliveryState: d, OrgName: o.Name, Hidden: !v.sees(o.ID)}
		if b.Hidden {
			if o.Kind != store.Provider && o.ID != a.Org {
				continue
			}
			b.Kind, b.Target, b.Error, b.ID = "", "", "", ""
			out = append(out, b)
			continue
		}
		b.Target = shownTarget(alert.Channel{Kind: d.Kind, Target: d.Target}, v.manages(o.ID))
		if b.Tries, err = w.triesOf(r, d, tries, epochs); err != nil {
			return nil, err
		}
		b.hide(d.Target)
		out = append(out, b)
	}
	return out, nil
}

// hide has errors name a channel no further than the reader may see it.
func (d *deliveryBody) hide(target string) {
	if target == "" || d.Target == target {
		return
	}
	d.Error = strings.ReplaceAll(d.Error, target, d.Target)
	for i := range d.Tries {
		d.Tries[i].Error = strings.ReplaceAll(d.Tries[i].Error, target, d.Target)
	}
}

func (w *Web) triesOf(r *http.Request, d store.DeliveryState, all []store.TryState, epochs map[string]int64) ([]tryBody, error) {
	out := []tryBody{}
	for _, t := range all {
		if t.Delivery != d.ID {
			continue
		}
		if t.Log != "" && epochs[t.Log] == 0 {
			var err error
			if epochs[t.Log], err = w.epochOf(r.Context(), t.Org, t.Log); err != nil {
				return nil, err
			}
		}
		out = append(out, tryBody{t, epochs[t.Log]})
	}
	return out, nil
}

// Undone is why something was not delivered, in the reader's words where it is the
// server's own word, else as the receiver said it.
func (p page) Undone(why string) string {
	var words string
	switch {
	case why == store.ChannelGone:
		words, _ = p.T("delivery_gone")
	case strings.HasPrefix(why, alert.NoWay):
		words, _ = p.T("delivery_no_way")
	case strings.Contains(why, alert.NotPublic):
		words, _ = p.T("delivery_private")
	default:
		words = short(why)
	}
	return words
}

// The answers of the API about one alert.
type (
	alertTold struct {
		alertAnswer
		Cure    string           `json:"cure"`
		Over    string           `json:"over"` // why it ended
		Acked   *evidence.Time   `json:"acked"`
		AckedBy string           `json:"ackedBy"`
		Told    []deliveryAnswer `json:"told"`
	}
	deliveryAnswer struct {
		Org      string         `json:"org"`    // who was told
		Kind     string         `json:"kind"`   // email, webhook or chat; empty when the channel is gone, or is the other party's
		Target   string         `json:"target"` // likewise
		Event    string         `json:"event"`  // firing, reminder, escalated or resolved
		State    string         `json:"state"`  // waiting, delivered, refused or withdrawn
		Attempts int            `json:"attempts"`
		Error    string         `json:"error"` // of the last attempt
		Created  evidence.Time  `json:"created"`
		Next     *evidence.Time `json:"next"` // when it is tried again
		Done     *evidence.Time `json:"done"`
		Tries    []tryAnswer    `json:"tries"`
	}
	tryAnswer struct {
		N     int           `json:"n"`
		At    evidence.Time `json:"at"`
		State string        `json:"state"` // delivered, failed or refused
		Error string        `json:"error"`
		Epoch int64         `json:"epoch"` // of the record that proves it; 0 for none
		Index int64         `json:"index"`
	}
)

func (w *Web) apiAlert(rw http.ResponseWriter, r *http.Request) error {
	p, err := w.alertPageOf(r)
	if err != nil {
		return err
	}
	out := alertTold{alertAnswer: alertAnswerOf(p.alertBody), Cure: p.Cure, Over: p.Over, Acked: since(p.Acked), AckedBy: p.AckedBy.ID, Told: []deliveryAnswer{}}
	for _, d := range p.Told {
		b := deliveryAnswer{Org: d.Org, Kind: d.Kind, Target: d.Target, Event: d.Event, State: d.State, Attempts: d.Attempts, Error: d.Error,
			Created: moment(d.Created), Done: since(d.Done), Tries: []tryAnswer{}}
		if d.State == "waiting" {
			b.Next = since(d.Due)
		}
		for _, t := range d.Tries {
			b.Tries = append(b.Tries, tryAnswer{t.N, moment(t.At), t.State, t.Error, t.Epoch, t.Index})
		}
		out.Told = append(out.Told, b)
	}
	writeJSON(rw, http.StatusOK, out)
	return nil
}

// since is a moment, or null where there is none yet.
func since(t time.Time) *evidence.Time {
	if t.IsZero() || t.Unix() == 0 {
		return nil
	}
	at := moment(t)
	return &at
}
