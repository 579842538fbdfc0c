package web

import (
	"net/http"
	"strings"

	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/store"
)

func (w *Web) alerts(rw http.ResponseWriter, r *http.Request) error {
	list, err := w.alertsOf(r)
	if err != nil {
		return err
	}
	body := alertsBody{Show: r.FormValue("show"), Query: strings.TrimSpace(r.FormValue("q")), Service: r.FormValue("service"), Services: w.Catalogue.Services()}
	body.pick(list)
	if err := w.undelivered(r, body.Alerts); err != nil {
		return err
	}
	if err := w.silenced(r.Context(), "", body.Alerts); err != nil {
		return err
	}
	return w.render(rw, r, http.StatusOK, "alerts", "alerts_title", body)
}

// alertsBody are the alerts that were asked for.
type alertsBody struct {
	Show, Query, Service   string // Show: "open", "taken" or "resolved", "" for all
	Services               []string
	Alerts                 []alertBody
	Open, Taken, Done, All int // of all: nobody has taken it on; somebody has; it is over
	More                   int // that fit and are not shown
}

// maxShownAlerts is how many alerts stand on the page.
const maxShownAlerts = 100

// pick keeps the alerts that are asked for, and counts them all.
func (b *alertsBody) pick(list []alertBody) {
	find := strings.ToLower(b.Query)
	for _, a := range list {
		state := "open"
		switch {
		case a.State != alert.Firing:
			state = "resolved"
			b.Done++
		case !a.Acked.IsZero():
			state = "taken"
			b.Taken++
		default:
			b.Open++
		}
		b.All++
		fits := (b.Show == "" || b.Show == state) && (b.Service == "" || strings.HasPrefix(strings.ToLower(a.Duty), b.Service+"-"))
		if fits && strings.Contains(strings.ToLower(a.Duty+" "+a.Title+" "+a.Name+" "+a.OrgName), find) {
			b.Alerts = append(b.Alerts, a)
		}
	}
	if len(b.Alerts) > maxShownAlerts {
		b.More, b.Alerts = len(b.Alerts)-maxShownAlerts, b.Alerts[:maxShownAlerts]
	}
}

// With is the address of the same list with other states.
func (b alertsBody) With(show string) string {
	return asking(map[string]string{"q": b.Query, "service": b.Service}, "show", show)
}

type alertBody struct {
	store.BoardAlert
	Board            string // the organisation on whose board the reader finds the duty
	OrgName          string
	Title, Why, Cure string
	MayAck           bool
	Silences         []silenceBody // that cover it while it fires
	Undelivered      int           // messages that did not reach whom they were for, of those that the reader may see
}

// undelivered counts what did not reach whom it was for.
func (w *Web) undelivered(r *http.Request, list []alertBody) error {
	org, ids := orgOf(r.Context()).ID, make([]string, len(list))
	if viewerOf(r.Context()).all != "" {
		org = ""
	}
	for i, a := range list {
		ids[i] = a.ID
	}
	n, err := w.Store.Undelivered(r.Context(), org, ids)
	for i := range list {
		list[i].Undelivered = n[list[i].ID]
	}
	return err
}

// maxAlerts is how many alerts are looked through, the newest of those that fire first.
const maxAlerts = 1000

// alertsOf lists an organisation's alerts and, for a customer, those of the
// provider's duties towards it. Whoever sees all customers sees all alerts on the
// provider's page.
func (w *Web) alertsOf(r *http.Request) ([]alertBody, error) {
	ctx, org := r.Context(), orgOf(r.Context())
	orgs, err := w.Store.Orgs(ctx)
	if err != nil {
		return nil, err
	}
	names, provider := map[string]string{}, ""
	for _, o := range orgs {
		names[o.ID] = o.Name
		if o.Kind == store.Provider {
			provider = o.ID
		}
	}
	var stored []store.BoardAlert
	switch {
	case org.Kind == store.Customer:
		stored, err = w.Store.CustomerAlerts(ctx, org, provider, maxAlerts)
	case viewerOf(ctx).all != "":
		stored, err = w.Store.BoardAlerts(ctx, "", maxAlerts)
	default:
		stored, err = w.Store.BoardAlerts(ctx, org.ID, maxAlerts)
	}
	if err != nil {
		return nil, err
	}
	if org.Kind == store.Customer {
		if stored, err = w.concerning(ctx, stored, org, provider); err != nil {
			return nil, err
		}
	}
	return w.alertBodies(r, stored, names), nil
}

// alertBodies are those of the alerts that the reader may see; names are those of
// organisations.
func (w *Web) alertBodies(r *http.Request, stored []store.BoardAlert, names map[string]string) []alertBody {
	ctx, org, lang := r.Context(), orgOf(r.Context()), w.views.lang(r)
	out := []alertBody{}
	for _, a := range stored {
		if !viewerOf(ctx).shows(org.ID, a.Opened) {
			continue
		}
		b := alertBody{BoardAlert: a, Board: a.Org, OrgName: names[a.Org]}
		if org.Kind == store.Customer {
			b.Board = org.ID
		}
		if d, ok := w.Catalogue.Duty(a.Duty); ok {
			b.Title = d.Title.In(lang)
		}
		b.Why, b.Cure = w.words(lang, a.Why)
		b.MayAck = a.State == "firing" && a.Acked.IsZero() && viewerOf(ctx).actsFor(a.Org, a.Party)
		out = append(out, b)
	}
	return out
}
