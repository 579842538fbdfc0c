package web

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// tagging is what forms and the API send to say what serves whom.
type tagging struct {
	Services  []string `json:"services"`
	Customers []string `json:"customers"` // all that have the services when empty
}

func tagged(r *http.Request) (tagging, error) {
	var t tagging
	if !isForm(r) {
		return t, decode(r, &t)
	}
	return tagging{r.PostForm["service"], r.PostForm["customer"]}, nil
}

func (w *Web) setServes(rw http.ResponseWriter, r *http.Request) error {
	if err := w.servesFrom(r); err != nil {
		return err
	}
	http.Redirect(rw, r, "/orgs/"+orgOf(r.Context()).ID+"/agents/"+r.PathValue("agent"), http.StatusSeeOther)
	return nil
}

func (w *Web) apiSetServes(rw http.ResponseWriter, r *http.Request) error {
	if err := w.servesFrom(r); err != nil {
		return err
	}
	rw.WriteHeader(http.StatusNoContent)
	return nil
}

func (w *Web) servesFrom(r *http.Request) error {
	a, err := w.agentOf(r, r.PathValue("agent"))
	if err != nil {
		return err
	}
	t, err := tagged(r)
	if err != nil {
		return err
	}
	if extra := slices.ContainsFunc(t.Services, func(s string) bool { return !slices.Contains(w.servicesOf(orgOf(r.Context())), s) }); extra {
		return &problem{status: http.StatusConflict, key: "serves"}
	}
	return refused(w.SetServes(r.Context(), a.ID, t.Services, t.Customers, viewerOf(r.Context()).id()))
}

type servicesBody struct {
	Services []serviceRow
	MayRun   bool
}

// serviceRow is a service, whether the organisation has it, and who proves its duties.
type serviceRow struct {
	ID               string
	Has              bool
	Provider, Agents int // hosts that prove the provider's duties here, and the organisation's own
}

func (w *Web) services(rw http.ResponseWriter, r *http.Request) error {
	body, err := w.servicesPage(r)
	if err != nil {
		return err
	}
	return w.render(rw, r, http.StatusOK, "services", "services", body)
}

func (w *Web) servicesPage(r *http.Request) (servicesBody, error) {
	ctx, org := r.Context(), orgOf(r.Context())
	body := servicesBody{MayRun: viewerOf(ctx).runs() && org.Kind == store.Customer}
	own, err := w.Store.Agents(ctx, org.ID)
	if err != nil {
		return body, err
	}
	var theirs []store.Agent
	customer := ""
	if p, err := w.Store.ProviderOrg(ctx); err == nil && p.ID != org.ID {
		customer = org.ID
		if theirs, err = w.Store.Agents(ctx, p.ID); err != nil {
			return body, err
		}
	} else if err != nil && !errors.Is(err, store.ErrNotFound) {
		return body, err
	}
	for _, id := range w.Catalogue.Services() {
		row := serviceRow{ID: id, Has: org.Kind == store.Provider || slices.Contains(org.Services, id)}
		row.Provider, row.Agents = serving(theirs, id, customer), serving(own, id, "")
		body.Services = append(body.Services, row)
	}
	return body, nil
}

func serving(list []store.Agent, service, customer string) (n int) {
	for _, a := range list {
		if a.State == store.AgentActive && a.Serves(service, customer) {
			n++
		}
	}
	return n
}

func (w *Web) setServices(rw http.ResponseWriter, r *http.Request) error {
	if err := w.servicesFrom(r); err != nil {
		return err
	}
	http.Redirect(rw, r, "/orgs/"+orgOf(r.Context()).ID+"/services", http.StatusSeeOther)
	return nil
}

func (w *Web) apiSetServices(rw http.ResponseWriter, r *http.Request) error {
	if err := w.servicesFrom(r); err != nil {
		return err
	}
	rw.WriteHeader(http.StatusNoContent)
	return nil
}

func (w *Web) servicesFrom(r *http.Request) error {
	org := orgOf(r.Context())
	t, err := tagged(r)
	if err != nil {
		return err
	}
	if org.Kind != store.Customer || w.Catalogue.CheckServices(t.Services) != nil {
		return &problem{status: http.StatusConflict, key: "serves"}
	}
	return refused(w.SetServices(r.Context(), org.ID, t.Services, viewerOf(r.Context()).id()))
}

// concerning leaves out alerts about the provider's hosts that work for others.
func (w *Web) concerning(ctx context.Context, list []store.BoardAlert, org store.Org, provider string) ([]store.BoardAlert, error) {
	agents, err := w.Store.Agents(ctx, provider)
	if err != nil {
		return nil, err
	}
	others := map[string]bool{}
	for _, a := range agents {
		others[a.ID] = len(a.Customers) > 0 && !slices.Contains(a.Customers, org.ID)
	}
	return slices.DeleteFunc(list, func(a store.BoardAlert) bool {
		agent, _, _ := strings.Cut(a.Asset, "/")
		return a.Party == duties.Provider && others[agent]
	}), nil
}

// listOf is a list that is [] in JSON when there is nothing in it.
func listOf(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

type serviceAnswer struct {
	ID            string `json:"id"`
	Title         string `json:"title"`
	Has           bool   `json:"has"`
	ProviderHosts int    `json:"providerHosts"` // that prove the provider's duties here
	OwnHosts      int    `json:"ownHosts"`      // that prove the organisation's
}

func (w *Web) apiServices(rw http.ResponseWriter, r *http.Request) error {
	body, err := w.servicesPage(r)
	if err != nil {
		return err
	}
	out := []serviceAnswer{}
	for _, s := range body.Services {
		out = append(out, serviceAnswer{s.ID, w.Catalogue.ServiceTitle(w.views.lang(r), s.ID), s.Has, s.Provider, s.Agents})
	}
	writeJSON(rw, http.StatusOK, map[string]any{"services": out})
	return nil
}
