package web

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/store"
)

// OIDC is the identity provider by which people may sign in (OpenID Connect Core 1.0).
type OIDC struct {
	Name     string // as the button says it
	Issuer   string
	ClientID string
	Secret   func() (string, error)
	NewOrg   string // where people come in whom nobody invited; "" for nowhere
	NewRole  string
}

const (
	sessionOIDC = "oidc" // what was asked of the identity provider, once
	viaOIDC     = "oidc"
	oidcTimeout = 15 * time.Second
)

// identityProvider keeps what the issuer says of itself, once it has answered.
type identityProvider struct {
	mu    sync.Mutex
	found *oidc.Provider
}

func (p *identityProvider) get(ctx context.Context, issuer string) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return p.found, nil
	}
	// Keys are fetched with this context later on, too.
	found, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), &http.Client{Timeout: oidcTimeout}), issuer)
	if err != nil {
		return nil, &problem{status: http.StatusBadGateway, key: "oidc_down", cause: err}
	}
	p.found = found
	return found, nil
}

// oidcAsked is what was asked of the identity provider by a browser.
type oidcAsked struct{ State, Nonce, Verifier, Next string }

func (w *Web) oidcClient(r *http.Request) (*oidc.Provider, *oauth2.Config, error) {
	if w.OIDC == nil {
		return nil, nil, notFound()
	}
	p, err := w.idp.get(r.Context(), w.OIDC.Issuer)
	if err != nil {
		return nil, nil, err
	}
	secret, err := w.OIDC.Secret()
	if err != nil {
		return nil, nil, fmt.Errorf("oidc: %w", err)
	}
	return p, &oauth2.Config{ClientID: w.OIDC.ClientID, ClientSecret: secret, Endpoint: p.Endpoint(), RedirectURL: w.base(r) + "/signin/oidc/callback",
		Scopes: []string{oidc.ScopeOpenID, "email", "profile"}}, nil
}

// askOIDC sends the browser to the identity provider.
func (w *Web) askOIDC(rw http.ResponseWriter, r *http.Request) error {
	_, client, err := w.oidcClient(r)
	if err != nil {
		return err
	}
	asked := oidcAsked{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Next: local(r.FormValue("next"))}
	b, err := json.Marshal(asked)
	if err != nil {
		return err
	}
	w.sessions.Put(r.Context(), sessionOIDC, b)
	http.Redirect(rw, r, client.AuthCodeURL(asked.State, oidc.Nonce(asked.Nonce), oauth2.S256ChallengeOption(asked.Verifier)), http.StatusSeeOther)
	return nil
}

// oidcBack takes the browser back with what the identity provider says. An answer counts
// once, in the browser that asked (state), to what it asked (nonce), for who holds the
// verifier (PKCE, RFC 7636).
func (w *Web) oidcBack(rw http.ResponseWriter, r *http.Request) error {
	p, client, err := w.oidcClient(r)
	if err != nil {
		return err
	}
	b, _ := w.sessions.Pop(r.Context(), sessionOIDC).([]byte)
	var asked oidcAsked
	if json.Unmarshal(b, &asked) != nil || asked.State == "" || subtle.ConstantTimeCompare([]byte(r.FormValue("state")), []byte(asked.State)) != 1 {
		return &problem{status: http.StatusBadRequest, key: "oidc_refused"}
	}
	who, err := w.claims(r, p, client, asked)
	if err != nil {
		w.Log.WarnContext(r.Context(), "sign-in by the identity provider refused", "from", address(r), "error", err)
		return &problem{status: http.StatusUnauthorized, key: "oidc_refused", cause: err}
	}
	u, err := w.userOf(r, who)
	if err != nil {
		return err
	}
	return w.proceed(rw, r, u, viaOIDC, local(asked.Next))
}

// claim is who the identity provider says that somebody is.
type claim struct {
	Subject  string `json:"-"`
	Email    string `json:"email"`
	Verified bool   `json:"email_verified"`
	Name     string `json:"name"`
}

func (w *Web) claims(r *http.Request, p *oidc.Provider, client *oauth2.Config, asked oidcAsked) (who claim, err error) {
	if said := r.FormValue("error"); said != "" {
		return who, fmt.Errorf("it answered %q", clip(said, 100))
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(r.Context(), &http.Client{Timeout: oidcTimeout}), oidcTimeout)
	defer cancel()
	token, err := client.Exchange(ctx, r.FormValue("code"), oauth2.VerifierOption(asked.Verifier))
	if err != nil {
		return who, fmt.Errorf("exchanging the code: %w", err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return who, errors.New("no ID token came")
	}
	id, err := p.Verifier(&oidc.Config{ClientID: w.OIDC.ClientID, Now: w.Now}).Verify(ctx, raw)
	if err != nil {
		return who, err
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(asked.Nonce)) != 1 {
		return who, errors.New("the ID token answers another question")
	}
	if err := id.Claims(&who); err != nil {
		return who, err
	}
	if who.Subject = id.Subject; who.Email != "" {
		return who, nil
	}
	info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return who, fmt.Errorf("asking who it is: %w", err)
	}
	if info.Subject != id.Subject {
		return who, errors.New("it speaks of two people")
	}
	err = info.Claims(&who)
	return who, err
}

// userOf is whose account somebody's at the identity provider is: the one that it was
// used for before; else, if the address is verified, the one of that address, or who
// was invited by it. Nobody else comes in, unless the configuration says where.
func (w *Web) userOf(r *http.Request, who claim) (store.User, error) {
	ctx := r.Context()
	id := "o_" + evidence.Sum([]byte(w.OIDC.Issuer+" "+who.Subject)).String()
	f, err := w.Store.FactorByID(ctx, store.FactorOIDC, id)
	if err == nil {
		u, err := w.Store.User(ctx, f.User)
		if err == nil && !u.Disabled.IsZero() {
			err = &problem{status: http.StatusForbidden, key: "oidc_unknown"}
		}
		return u, err
	}
	if !errors.Is(err, store.ErrNotFound) {
		return store.User{}, err
	}
	email := strings.ToLower(who.Email)
	if !who.Verified || !isAddress(email) {
		return store.User{}, &problem{status: http.StatusForbidden, key: "oidc_unverified"}
	}
	u, err := w.Store.UserByEmail(ctx, email)
	known := err == nil
	if known && !u.Disabled.IsZero() {
		return u, &problem{status: http.StatusForbidden, key: "oidc_unknown"}
	}
	var roles []store.Member
	var links []store.Link
	if errors.Is(err, store.ErrNotFound) {
		u = store.User{ID: evidence.NewID("u_"), Email: email, Name: clip(oneLine(who.Name), 200), Lang: w.views.lang(r), Created: w.Now()}
		roles, links, err = w.newcomer(ctx, email)
	}
	if err != nil {
		return u, err
	}
	return u, w.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if !known {
			if err := tx.AddUser(ctx, u); err != nil {
				return err
			}
		}
		for _, l := range links {
			if _, err := tx.UseLink(ctx, l.ID); err != nil {
				return err
			}
		}
		for _, m := range roles {
			m.User = u.ID
			if err := w.join(ctx, tx, u, m); err != nil {
				return err
			}
		}
		return tx.AddFactor(ctx, store.Factor{ID: id, User: u.ID, Kind: store.FactorOIDC, Name: w.OIDC.Name, Data: []byte("-"), Added: w.Now()})
	})
}

// newcomer is what somebody without an account becomes: what the invitations to the
// address say, else what the configuration does, an auditor as long as pages propose.
func (w *Web) newcomer(ctx context.Context, email string) (roles []store.Member, links []store.Link, err error) {
	if links, err = w.Store.InvitationsOf(ctx, email, w.Now()); err != nil {
		return nil, nil, err
	}
	for _, l := range links {
		roles = append(roles, l.Member)
	}
	if len(roles) == 0 && w.OIDC.NewOrg != "" {
		m := store.Member{Org: w.OIDC.NewOrg, Role: w.OIDC.NewRole}
		if m.Role == store.RoleAuditor {
			m.Ends = w.Now().Add(AuditorStay)
		}
		roles = append(roles, m)
	}
	if len(roles) == 0 {
		return nil, nil, &problem{status: http.StatusForbidden, key: "oidc_unknown"}
	}
	return roles, links, nil
}

func (w *Web) oidcName() string {
	if w.OIDC == nil {
		return ""
	}
	return w.OIDC.Name
}
