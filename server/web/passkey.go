package web

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/attesto/attesto/server/store"
)

const (
	sessionPasskey = "passkey" // what a browser was asked, once
	viaPasskey     = "passkey"

	eventPasskeyAdded   = "user.passkey_added"
	eventPasskeyRemoved = "user.passkey_removed"
)

// passkeysWork reports whether browsers take passkeys here: WebAuthn wants a name, not
// a number, and https everywhere but on this very machine.
func (w *Web) passkeysWork(r *http.Request) bool {
	u, err := url.Parse(w.base(r))
	if err != nil {
		return false
	}
	_, notIP := netip.ParseAddr(u.Hostname())
	return notIP != nil && (u.Scheme == "https" || u.Hostname() == "localhost")
}

// authn is the relying party, by the server's public address.
func (w *Web) authn(r *http.Request) (*webauthn.WebAuthn, error) {
	if !w.passkeysWork(r) {
		return nil, &problem{status: http.StatusConflict, key: "no_passkeys"}
	}
	base := w.base(r)
	a, err := webauthn.New(&webauthn.Config{RPID: w.host(r), RPDisplayName: "Attesto", RPOrigins: []string{base}})
	if err != nil {
		return nil, fmt.Errorf("passkeys at %s: %w", base, err)
	}
	return a, nil
}

// holder is a user with their passkeys, as the library asks for one.
type holder struct {
	store.User
	keys []webauthn.Credential
}

func (h holder) WebAuthnID() []byte                         { return []byte(h.ID) }
func (h holder) WebAuthnName() string                       { return h.Email }
func (h holder) WebAuthnDisplayName() string                { return h.Name }
func (h holder) WebAuthnCredentials() []webauthn.Credential { return h.keys }

func (w *Web) holderOf(ctx context.Context, u store.User) (holder, error) {
	h := holder{User: u}
	list, err := w.Store.Factors(ctx, u.ID, store.FactorPasskey)
	if err != nil {
		return h, err
	}
	for _, f := range list {
		var c webauthn.Credential
		if err := json.Unmarshal(f.Data, &c); err != nil {
			return h, fmt.Errorf("passkey %s: %w", f.ID, err)
		}
		h.keys = append(h.keys, c)
	}
	return h, nil
}

func passkeyID(raw []byte) string { return "p_" + base64.RawURLEncoding.EncodeToString(raw) }

// ask remembers what the browser is asked, and tells it.
func (w *Web) ask(rw http.ResponseWriter, r *http.Request, options any, session *webauthn.SessionData) error {
	b, err := json.Marshal(session)
	if err != nil {
		return err
	}
	w.sessions.Put(r.Context(), sessionPasskey, b)
	writeJSON(rw, http.StatusOK, options)
	return nil
}

// asked is what the browser was asked; it is forgotten, so that an answer counts once.
func (w *Web) asked(r *http.Request) (s webauthn.SessionData, err error) {
	b, ok := w.sessions.Pop(r.Context(), sessionPasskey).([]byte)
	if !ok {
		return s, &problem{status: http.StatusBadRequest, key: "bad_request"}
	}
	if err = json.Unmarshal(b, &s); err == nil && s.Expires.IsZero() {
		s.Expires = time.Now().Add(pendingLife) // the library judges by the real clock
	}
	return s, err
}

// newPasskey begins to add a passkey to the viewer's account.
func (w *Web) newPasskey(rw http.ResponseWriter, r *http.Request) error {
	if !w.sure(r) {
		return forbidden()
	}
	a, err := w.authn(r)
	if err != nil {
		return err
	}
	h, err := w.holderOf(r.Context(), viewerOf(r.Context()).user)
	if err != nil {
		return err
	}
	options, session, err := a.BeginRegistration(h, webauthn.WithResidentKeyRequirement(protocol.ResidentKeyRequirementPreferred),
		webauthn.WithExclusions(webauthn.Credentials(h.keys).CredentialDescriptors()), webauthn.WithConveyancePreference(protocol.PreferNoAttestation))
	if err != nil {
		return fmt.Errorf("beginning a passkey: %w", err)
	}
	return w.ask(rw, r, options, session)
}

// addPasskey takes a new passkey into use. The user's other browsers, which were let in
// without, are signed out.
func (w *Web) addPasskey(rw http.ResponseWriter, r *http.Request) error {
	ctx, v := r.Context(), viewerOf(r.Context())
	a, err := w.authn(r)
	if err != nil {
		return err
	}
	session, err := w.asked(r)
	if err != nil {
		return err
	}
	h, err := w.holderOf(ctx, v.user)
	if err != nil {
		return err
	}
	c, err := a.FinishRegistration(h, session, r)
	if err != nil {
		return w.passkeyRefused(r, err)
	}
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := w.sessions.RenewToken(ctx); err != nil {
		return err
	}
	f := store.Factor{ID: passkeyID(c.ID), User: v.user.ID, Kind: store.FactorPasskey, Name: browserOf(r.UserAgent()), Data: data, Added: w.Now()}
	err = w.change(r, Deed{Event: eventPasskeyAdded, Detail: map[string]string{"name": f.Name}}, func(ctx context.Context, tx *store.Tx) error {
		return errors.Join(tx.AddFactor(ctx, f), tx.EndLogins(ctx, v.user.ID, v.login.ID))
	})
	if err == nil {
		writeJSON(rw, http.StatusOK, map[string]string{"next": "/settings"})
	}
	return err
}

// passkeyRefused says in the log why; the browser's user only that it did not work.
func (w *Web) passkeyRefused(r *http.Request, err error) error {
	var p *protocol.Error
	if errors.As(err, &p) && p.DevInfo != "" {
		err = fmt.Errorf("%w: %s", err, p.DevInfo)
	}
	w.Log.WarnContext(r.Context(), "passkey refused", "from", address(r), "error", err)
	return &problem{status: http.StatusUnauthorized, key: "passkey_refused", cause: err}
}

func (w *Web) removePasskey(rw http.ResponseWriter, r *http.Request) error {
	v := viewerOf(r.Context())
	if !w.sure(r) {
		return w.settingsPage(rw, r, settingsBody{Fault: "password_not_yours"})
	}
	err := w.change(r, Deed{Event: eventPasskeyRemoved}, func(ctx context.Context, tx *store.Tx) error {
		found, err := tx.DropFactor(ctx, v.user.ID, store.FactorPasskey, r.PathValue("key"))
		if err == nil && !found {
			err = notFound()
		}
		if err != nil {
			return err
		}
		return dropIdle(ctx, tx, v.user.ID)
	})
	return w.backTo(rw, r, "/settings", err)
}

// askPasskey begins to sign in with a passkey: as the second factor of who said their
// password, else alone; then the device must know its user, by PIN or by body.
func (w *Web) askPasskey(rw http.ResponseWriter, r *http.Request) error {
	a, err := w.authn(r)
	if err != nil {
		return err
	}
	u, second, err := w.pending(r)
	if err != nil {
		return err
	}
	if !second {
		options, session, err := a.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
		if err != nil {
			return fmt.Errorf("asking for a passkey: %w", err)
		}
		return w.ask(rw, r, options, session)
	}
	h, err := w.holderOf(r.Context(), u)
	if err != nil {
		return err
	}
	options, session, err := a.BeginLogin(h, webauthn.WithUserVerification(protocol.VerificationPreferred))
	if err != nil {
		return w.passkeyRefused(r, err)
	}
	return w.ask(rw, r, options, session)
}

// passkey signs in whose passkey answered what was asked.
func (w *Web) passkey(rw http.ResponseWriter, r *http.Request) error {
	ctx, addr := r.Context(), address(r)
	if !w.codes.allow(addr, "passkey "+addr) {
		return &problem{status: http.StatusTooManyRequests, key: "passkey_refused"}
	}
	a, err := w.authn(r)
	if err != nil {
		return err
	}
	session, err := w.asked(r)
	if err != nil {
		return err
	}
	u, second, err := w.pending(r)
	if err != nil {
		return err
	}
	var c *webauthn.Credential
	if second && len(session.UserID) > 0 {
		h, err := w.holderOf(ctx, u)
		if err != nil {
			return err
		}
		c, err = a.FinishLogin(h, session, r)
		if err != nil {
			w.refuse(r, u.Email)
			return w.passkeyRefused(r, err)
		}
	} else if c, err = a.FinishDiscoverableLogin(func(_, handle []byte) (webauthn.User, error) {
		if u, err = w.Store.User(ctx, string(handle)); err != nil {
			return nil, err
		}
		return w.holderOf(ctx, u)
	}, session, r); err != nil {
		w.refuse(r, u.Email)
		return w.passkeyRefused(r, err)
	}
	if !u.Disabled.IsZero() || c.Authenticator.CloneWarning {
		w.refuse(r, u.Email)
		return w.passkeyRefused(r, errors.New("the account is disabled, or the passkey was copied"))
	}
	if err := w.usedPasskey(ctx, c); err != nil {
		return err
	}
	w.codes.passed(addr, "passkey "+addr)
	_, next := w.settle(ctx)
	if err := w.enter(r, u, viaPasskey); err != nil {
		return err
	}
	if !second {
		next = local(r.URL.Query().Get("next"))
	}
	writeJSON(rw, http.StatusOK, map[string]string{"next": next})
	return nil
}

// usedPasskey keeps a passkey's counter, by which a copy is noticed.
func (w *Web) usedPasskey(ctx context.Context, c *webauthn.Credential) error {
	f, err := w.Store.FactorByID(ctx, store.FactorPasskey, passkeyID(c.ID))
	if err != nil {
		return err
	}
	if f.Data, err = json.Marshal(c); err != nil {
		return err
	}
	f.Used = store.Micros(w.Now())
	return w.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.AddFactor(ctx, f) })
}

// passkeyRow is a passkey as its owner sees it.
type passkeyRow struct {
	ID, Name    string
	Added, Used time.Time
}

func (w *Web) passkeysOf(ctx context.Context, user string) ([]passkeyRow, error) {
	list, err := w.Store.Factors(ctx, user, store.FactorPasskey)
	var rows []passkeyRow
	for _, f := range list {
		rows = append(rows, passkeyRow{f.ID, strings.TrimSpace(f.Name), f.Added, store.Time(f.Used)})
	}
	return rows, err
}
