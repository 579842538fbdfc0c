package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/alexedwards/scs/v2"

	"github.com/attesto/attesto/server/store"
)

const (
	sessionLogin = "login" // what the login's row is found by
	langCookie   = "lang"
)

func (w *Web) newSessions() *scs.SessionManager {
	m := scs.New()
	m.Store = store.Sessions{Store: w.Store}
	m.HashTokenInStore = true // who reads the database cannot take over a session
	m.Lifetime = absolute
	m.IdleTimeout = idle
	m.Cookie.Name = "attesto"
	m.Cookie.HttpOnly = true
	m.Cookie.SameSite = http.SameSiteLaxMode
	if strings.HasPrefix(w.PublicURL, "https://") {
		m.Cookie.Secure = true
		m.Cookie.Name = "__Host-attesto" // browsers take it from this host alone, over TLS alone (RFC 6265bis, 4.1.3.2)
	}
	m.ErrorFunc = func(rw http.ResponseWriter, r *http.Request, err error) {
		w.Log.ErrorContext(r.Context(), "session", "error", err)
		http.Error(rw, "The server could not read the session. Try again in a moment.", http.StatusServiceUnavailable)
	}
	return m
}

func (w *Web) signinPage(rw http.ResponseWriter, r *http.Request) error {
	if viewerOf(r.Context()).known() {
		http.Redirect(rw, r, "/", http.StatusSeeOther)
		return nil
	}
	return w.render(rw, r, http.StatusOK, "signin", "signin_title", signinBody{Next: local(r.FormValue("next")), MayPasskey: w.passkeysWork(r), OIDC: w.oidcName()})
}

type signinBody struct {
	Next, Email, Fault string
	Done               string // what was done just before
	MayPasskey         bool   // passkeys work here
	OIDC               string // name of the identity provider; "" for none
}

// signin checks a password. Unknown users, wrong passwords and disabled accounts
// take the same time and get the same answer.
func (w *Web) signin(rw http.ResponseWriter, r *http.Request) error {
	email, password := strings.ToLower(strings.TrimSpace(r.PostFormValue("email"))), r.PostFormValue("password")
	body := signinBody{Next: local(r.PostFormValue("next")), Email: email, MayPasskey: w.passkeysWork(r), OIDC: w.oidcName()}
	addr := address(r)
	if !w.limits.allow(addr, email) {
		body.Fault = "signin_slow"
		rw.Header().Set("Retry-After", "300")
		return w.render(rw, r, http.StatusTooManyRequests, "signin", "signin_title", body)
	}
	u, err := w.Store.UserByEmail(r.Context(), email)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	hash := u.Hash
	if err != nil || !u.Disabled.IsZero() || u.Hash == "" {
		hash = w.dummy
	}
	if !w.hashes.holds(r.Context(), password, hash) {
		w.Log.WarnContext(r.Context(), "sign-in refused", "from", addr)
		w.refuse(r, email)
		body.Fault = "signin_wrong"
		return w.render(rw, r, http.StatusUnauthorized, "signin", "signin_title", body)
	}
	w.limits.passed(addr, email)
	return w.proceed(rw, r, u, viaPassword, body.Next)
}

// local keeps a redirect on this server.
func local(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n") {
		return "/"
	}
	return next
}

func (w *Web) signout(rw http.ResponseWriter, r *http.Request) error {
	l := viewerOf(r.Context()).login
	err := w.Store.Tx(r.Context(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.EndLogin(ctx, l.User, l.ID)
		return err
	})
	if err = errors.Join(err, w.sessions.Destroy(r.Context())); err != nil {
		return err
	}
	http.Redirect(rw, r, "/signin", http.StatusSeeOther)
	return nil
}

// language keeps the reader's choice in a cookie of its own: it holds before
// signing in, too. Who is signed in gets mails in it from now on.
func (w *Web) language(rw http.ResponseWriter, r *http.Request) error {
	lang := r.PostFormValue("lang")
	if !supported(lang) {
		return &problem{status: http.StatusBadRequest, key: "bad_request"}
	}
	if u := viewerOf(r.Context()).user; u.ID != "" && u.Lang != lang {
		if err := w.Store.Tx(r.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.SetLang(ctx, u.ID, lang) }); err != nil {
			return err
		}
	}
	http.SetCookie(rw, &http.Cookie{Name: langCookie, Value: lang, Path: "/", MaxAge: 365 * 24 * 3600,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: w.sessions.Cookie.Secure})
	http.Redirect(rw, r, local(r.PostFormValue("next")), http.StatusSeeOther)
	return nil
}
