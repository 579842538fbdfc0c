package web

import (
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/store"
)

type agentsBody struct {
	Agents               []agentBody
	Sending, Silent, Out int // Out: forked or revoked
	MayManage            bool
	ReadOnly             bool // the log lost what was confirmed and is not continued
	Token                *tokenBody
}

type agentBody struct {
	store.Agent
	KeyID  string
	Silent bool // nothing was heard for longer than an hour and a half
	Skewed bool
	Looks  []store.Newest
}

type tokenBody struct {
	Token, Server string
	Expires       time.Time
}

const (
	silentAfter = 90 * time.Minute
	skewLimit   = 5 * time.Minute
)

func (w *Web) agents(rw http.ResponseWriter, r *http.Request) error {
	return w.agentsPage(rw, r, nil)
}

func (w *Web) agentsPage(rw http.ResponseWriter, r *http.Request, token *tokenBody) error {
	list, err := w.agentsOf(r)
	if err != nil {
		return err
	}
	body := agentsBody{Agents: list, MayManage: viewerOf(r.Context()).manages(orgOf(r.Context()).ID), Token: token}
	if body.ReadOnly, err = w.ReadOnly(r.Context(), orgOf(r.Context()).ID); err != nil {
		return err
	}
	for _, a := range list {
		switch {
		case a.State != store.AgentActive:
			body.Out++
		case a.Silent:
			body.Silent++
		default:
			body.Sending++
		}
	}
	return w.render(rw, r, http.StatusOK, "agents", "agents_title", body)
}

func (w *Web) agentsOf(r *http.Request) ([]agentBody, error) {
	org := orgOf(r.Context())
	agents, err := w.Store.Agents(r.Context(), org.ID)
	if err != nil {
		return nil, err
	}
	looks, err := w.Store.NewestLooks(r.Context(), org.ID)
	if err != nil {
		return nil, err
	}
	byAgent := map[string][]store.Newest{}
	for _, l := range looks {
		byAgent[l.Agent] = append(byAgent[l.Agent], l)
	}
	out := []agentBody{}
	for _, a := range agents {
		b := agentBody{Agent: a, Looks: byAgent[a.ID], Skewed: a.Skew.Abs() > skewLimit,
			Silent: a.State == store.AgentActive && w.Now().Sub(later(a.Seen, a.Enrolled)) > silentAfter}
		if key, err := evidence.ParsePublicKey(a.SPKI); err == nil {
			b.KeyID = string(key.ID())
		}
		out = append(out, b)
	}
	return out, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// addToken makes a one-time token and shows it once, with the commands to use it.
func (w *Web) addToken(rw http.ResponseWriter, r *http.Request) error {
	org := orgOf(r.Context())
	token, expires, err := w.AddToken(r.Context(), org.ID, org.Services, "made on the board by "+viewerOf(r.Context()).id())
	if err != nil {
		return err
	}
	server := strings.TrimSuffix(w.PublicURL, "/")
	if server == "" {
		server = "https://" + r.Host
		if host, _, err := net.SplitHostPort(r.Host); r.TLS == nil && err == nil && net.ParseIP(host).IsLoopback() {
			server = "http://" + r.Host
		}
	}
	return w.agentsPage(rw, r, &tokenBody{token, server, expires})
}

func (w *Web) alerts(rw http.ResponseWriter, r *http.Request) error {
	list, err := w.alertsOf(r)
	if err != nil {
		return err
	}
	return w.render(rw, r, http.StatusOK, "alerts", "alerts_title", list)
}

type alertBody struct {
	store.BoardAlert
	Board            string // the organisation on whose board the reader finds the duty
	OrgName          string
	Title, Why, Cure string
}

const maxAlerts = 200

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
	lang := w.views.lang(r)
	out := []alertBody{}
	for _, a := range stored {
		b := alertBody{BoardAlert: a, Board: a.Org, OrgName: names[a.Org]}
		if org.Kind == store.Customer {
			b.Board = org.ID
		}
		if d, ok := w.Catalogue.Duty(a.Duty); ok {
			b.Title = d.Title.In(lang)
		}
		b.Why, b.Cure = w.words(lang, a.Why)
		out = append(out, b)
	}
	return out, nil
}
