package web

import (
	"context"
	"net/http"
	"time"

	"github.com/attesto/attesto/server/store"
)

// settingsBody is what people find about their own account.
type settingsBody struct {
	Fault, Done string // what became of the form that was sent
	Logins      []loginBody
	Own         bool // signs in with a password of its own
	Clock       bool // clock codes are asked for
	Passkeys    []passkeyRow
	MayPasskey  bool       // passkeys work here
	Guarded     bool       // there is a second factor
	Recovery    int        // codes that are left
	New         *clockBody // a secret that is to be confirmed
	Codes       []string   // new recovery codes, shown this once
	Asks        string     // name of the organisation that asks for a second factor which is not set up yet
	Settled     bool       // it was set up just now
}

type loginBody struct {
	store.Login
	Here bool // the browser that asks
}

func (w *Web) settings(rw http.ResponseWriter, r *http.Request) error {
	return w.settingsPage(rw, r, settingsBody{})
}

func (w *Web) settingsPage(rw http.ResponseWriter, r *http.Request, body settingsBody) error {
	v := viewerOf(r.Context())
	body.Own = v.user.Hash != ""
	var passkeys bool
	var err error
	if body.Clock, passkeys, err = w.secondsOf(r.Context(), v.user.ID); err != nil {
		return err
	}
	body.Guarded, body.MayPasskey = body.Clock || passkeys, w.passkeysWork(r)
	if body.Passkeys, err = w.passkeysOf(r.Context(), v.user.ID); err != nil {
		return err
	}
	if v.owes != "" {
		asks, err := w.Store.Org(r.Context(), v.owes)
		if err != nil {
			return err
		}
		if body.Settled = body.Guarded; !body.Guarded {
			body.Asks = asks.Name
		}
	}
	left, err := w.Store.Factors(r.Context(), v.user.ID, store.FactorRecovery)
	if err != nil {
		return err
	}
	body.Recovery = len(left)
	logins, err := w.Store.Logins(r.Context(), v.user.ID, w.Now().Add(-absolute))
	if err != nil {
		return err
	}
	for _, l := range logins {
		if w.Now().Sub(l.Seen) < idle || l.ID == v.login.ID {
			body.Logins = append(body.Logins, loginBody{l, l.ID == v.login.ID})
		}
	}
	status := http.StatusOK
	if body.Fault != "" {
		status = http.StatusBadRequest
	}
	return w.render(rw, r, status, "settings", "settings_title", body)
}

// fresh is how young a login must be to change how its user signs in, for who has no
// password to say again.
const fresh = 15 * time.Minute

// sure reports whether the person at the browser is still the one who signed in: they
// say the password again.
func (w *Web) sure(r *http.Request) bool {
	v := viewerOf(r.Context())
	if v.user.Hash == "" {
		return w.Now().Sub(v.login.Created) < fresh
	}
	if !w.limits.allow(address(r), v.user.Email) {
		return false
	}
	if !w.hashes.holds(r.Context(), r.PostFormValue("current"), v.user.Hash) {
		return false
	}
	w.limits.passed(address(r), v.user.Email)
	return true
}

// changePassword sets a new password; the user's other browsers are signed out.
func (w *Web) changePassword(rw http.ResponseWriter, r *http.Request) error {
	v := viewerOf(r.Context())
	if !w.sure(r) {
		return w.settingsPage(rw, r, settingsBody{Fault: "password_not_yours"})
	}
	hash, fault, err := newHash(r.PostFormValue("password"), r.PostFormValue("again"), v.user.Email)
	if err != nil {
		return err
	}
	if fault != "" {
		return w.settingsPage(rw, r, settingsBody{Fault: fault})
	}
	if err := w.sessions.RenewToken(r.Context()); err != nil {
		return err
	}
	err = w.change(r, Deed{Event: eventPassword}, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.EndLogins(ctx, v.user.ID, v.login.ID); err != nil {
			return err
		}
		if err := tx.DropLinks(ctx, store.LinkReset, v.user.Email); err != nil {
			return err
		}
		return tx.SetPassword(ctx, v.user.ID, hash)
	})
	if err != nil {
		return err
	}
	return w.settingsPage(rw, r, settingsBody{Done: "password_changed"})
}

// change does what a user does to their own account, on record in all of their
// organisations.
func (w *Web) change(r *http.Request, d Deed, do func(ctx context.Context, tx *store.Tx) error) error {
	v := viewerOf(r.Context())
	d.Orgs, d.By = v.orgs(), v.user.ID
	return w.Store.Tx(r.Context(), func(ctx context.Context, tx *store.Tx) error {
		if err := do(ctx, tx); err != nil {
			return err
		}
		return w.Note(ctx, tx, d)
	})
}

func (w *Web) endLogin(rw http.ResponseWriter, r *http.Request) error {
	v, found := viewerOf(r.Context()), false
	err := w.change(r, Deed{Event: eventLoginsEnded}, func(ctx context.Context, tx *store.Tx) (err error) {
		if found, err = tx.EndLogin(ctx, v.user.ID, r.PathValue("login")); err == nil && !found {
			err = notFound()
		}
		return err
	})
	return w.backTo(rw, r, "/settings", err)
}

// endLogins signs the user's other browsers out.
func (w *Web) endLogins(rw http.ResponseWriter, r *http.Request) error {
	v := viewerOf(r.Context())
	err := w.change(r, Deed{Event: eventLoginsEnded}, func(ctx context.Context, tx *store.Tx) error { return tx.EndLogins(ctx, v.user.ID, v.login.ID) })
	return w.backTo(rw, r, "/settings", err)
}

func (w *Web) backTo(rw http.ResponseWriter, r *http.Request, path string, err error) error {
	if err == nil {
		http.Redirect(rw, r, path, http.StatusSeeOther)
	}
	return err
}
