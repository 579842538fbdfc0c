package web

import (
	"context"
	"errors"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// firstBody is the first step of setting a server up: the provider, and the account
// of who sets it up.
type firstBody struct {
	Fault                            string
	OrgName, Zone, PersonName, Email string
	There                            bool // the provider is there already
}

func (w *Web) firstPage(rw http.ResponseWriter, r *http.Request) error {
	_, body, err := w.firstAt(r)
	if err != nil {
		return err
	}
	return w.render(rw, r, http.StatusOK, "first", "first_title", body)
}

// firstAt is the link that sets the server up, which works until there is an account.
func (w *Web) firstAt(r *http.Request) (store.Link, firstBody, error) {
	l, err := w.linkAt(r, store.LinkSetup)
	if err != nil {
		return l, firstBody{}, err
	}
	any, err := w.Store.AnyUser(r.Context())
	if err == nil && any {
		err = &problem{status: http.StatusNotFound, key: "link_used"}
	}
	if err != nil {
		return l, firstBody{}, err
	}
	body := firstBody{Zone: "Europe/Rome"}
	p, err := w.Store.ProviderOrg(r.Context())
	switch {
	case err == nil:
		body.OrgName, body.Zone, body.There = p.Name, p.Zone, true
	case errors.Is(err, store.ErrNotFound):
		err = nil
	}
	return l, body, err
}

// setup makes the provider and its first administrator, and signs them in.
func (w *Web) first(rw http.ResponseWriter, r *http.Request) error {
	l, body, err := w.firstAt(r)
	if err != nil {
		return err
	}
	body.Email, body.PersonName = strings.ToLower(strings.TrimSpace(r.PostFormValue("email"))), oneLine(r.PostFormValue("name"))
	org := store.Org{Kind: store.Provider, Name: clip(oneLine(r.PostFormValue("org")), 200), Lang: w.views.lang(r), Zone: r.PostFormValue("zone")}
	if !body.There {
		body.OrgName, body.Zone = org.Name, org.Zone
	}
	u, fault, err := w.newUser(r, body.Email, org.Lang)
	if err != nil {
		return err
	}
	if addr, err := mail.ParseAddress(body.Email); err != nil || addr.Address != body.Email {
		fault = "email_wrong"
	}
	if !body.There {
		fault = orgFault(org, fault)
	}
	if fault != "" {
		body.Fault = fault
		return w.render(rw, r, http.StatusBadRequest, "first", "first_title", body)
	}
	if !body.There {
		if _, err := w.AddOrg(r.Context(), org); err != nil {
			return err
		}
	}
	p, err := w.Store.ProviderOrg(r.Context())
	if err != nil {
		return err
	}
	err = w.Store.Tx(r.Context(), func(ctx context.Context, tx *store.Tx) error {
		used, err := tx.UseLink(ctx, l.ID)
		if err != nil {
			return err
		}
		if any, err := tx.AnyUser(ctx); err != nil || any || !used {
			return errors.Join(err, &problem{status: http.StatusNotFound, key: "link_used"})
		}
		if err := tx.AddUser(ctx, u); err != nil {
			return err
		}
		return w.join(ctx, tx, u, store.Member{Org: p.ID, User: u.ID, Role: store.RoleAdmin})
	})
	if err != nil {
		return err
	}
	return w.backTo(rw, r, "/customers/new", w.enter(r, u, viaLink))
}

// orgFault says what is wrong with an organisation that a form describes; an older
// fault goes first.
func orgFault(o store.Org, fault string) string {
	_, err := time.LoadLocation(o.Zone)
	switch {
	case fault != "":
	case o.Name == "":
		fault = "org_name_missing"
	case err != nil || o.Zone == "" || o.Zone == "Local":
		fault = "zone_wrong"
	}
	return fault
}

type customerBody struct {
	Fault, OrgName, Zone string
	Services             []string
	First                bool // there is no customer yet: the second step of the set-up
	Token                *tokenBody
}

func (w *Web) customerPage(rw http.ResponseWriter, r *http.Request) error {
	return w.askCustomer(rw, r, customerBody{Zone: viewerOf(r.Context()).zone})
}

func (w *Web) askCustomer(rw http.ResponseWriter, r *http.Request, body customerBody) error {
	orgs, err := w.Store.Orgs(r.Context())
	if err != nil {
		return err
	}
	body.Services = duties.Services()
	body.First = !slices.ContainsFunc(orgs, func(o store.Org) bool { return o.Kind == store.Customer })
	status := http.StatusOK
	if body.Fault != "" {
		status = http.StatusBadRequest
	}
	return w.render(rw, r, status, "customer", "customer_new", body)
}

const eventOrgAdded = "org.added"

// addCustomer makes a customer, and shows a token with which its first host is
// enrolled.
func (w *Web) addCustomer(rw http.ResponseWriter, r *http.Request) error {
	ctx, v := r.Context(), viewerOf(r.Context())
	if err := r.ParseForm(); err != nil {
		return &problem{status: http.StatusBadRequest, key: "bad_form"}
	}
	org := store.Org{Kind: store.Customer, Name: clip(oneLine(r.PostFormValue("org")), 200), Lang: r.PostFormValue("lang"), Zone: r.PostFormValue("zone"), Services: r.PostForm["service"]}
	fault := ""
	if len(org.Services) == 0 || slices.ContainsFunc(org.Services, func(s string) bool { return !slices.Contains(duties.Services(), s) }) {
		fault = "services_missing"
	}
	if !supported(org.Lang) {
		org.Lang = w.views.lang(r)
	}
	if fault = orgFault(org, fault); fault != "" {
		return w.askCustomer(rw, r, customerBody{Fault: fault, OrgName: org.Name, Zone: org.Zone})
	}
	org, err := w.AddOrg(ctx, org)
	if err != nil {
		return err
	}
	err = w.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return w.Note(ctx, tx, Deed{Orgs: []string{org.ID, v.provider}, Event: eventOrgAdded, By: v.user.ID, Detail: map[string]string{"org": org.ID, "name": org.Name}})
	})
	if err != nil {
		return err
	}
	token, expires, err := w.AddToken(ctx, TokenAsk{Org: org.ID, Services: org.Services, Hosts: 1, Life: time.Hour, Note: "made on the board by " + v.id()})
	if err != nil {
		return err
	}
	r = r.WithContext(context.WithValue(ctx, orgKey, org))
	return w.render(rw, r, http.StatusOK, "customer_added", "customer_added", customerBody{OrgName: org.Name, Token: &tokenBody{token, w.base(r), 1, expires}})
}

// SetupLink makes the link with which a server that has no account is set up, in
// place of an older one; ok is false when there is an account.
func SetupLink(ctx context.Context, st *store.Store, now time.Time) (path string, ok bool, err error) {
	any, err := st.AnyUser(ctx)
	if err != nil || any {
		return "", false, err
	}
	text := newLinkText()
	l := store.Link{ID: evidence.NewID("k_"), Hash: evidence.Sum([]byte(text)), Kind: store.LinkSetup, Created: now, Expires: now.Add(setupLife)}
	err = st.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.AddLink(ctx, l) })
	return "/setup/" + text, err == nil, err
}
