package web

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/store"
)

// Mail is a mail of plain text.
type Mail struct {
	ID      string // made into the Message-ID
	To      string
	Subject string
	Body    string
}

// How long links hold.
const (
	resetLife  = time.Hour
	inviteLife = 7 * 24 * time.Hour
	setupLife  = 24 * time.Hour
)

const (
	maxMailing  = 8 // mails on their way at once
	mailTimeout = 40 * time.Second
)

// newLink makes a link; its text is shown or mailed once, and only its digest kept.
func (w *Web) newLink(l store.Link, life time.Duration) (store.Link, string) {
	text := newLinkText()
	l.ID, l.Hash, l.Created = evidence.NewID("k_"), evidence.Sum([]byte(text)), w.Now()
	l.Expires = l.Created.Add(life)
	return l, text
}

func newLinkText() string { return strings.ToLower(rand.Text()) }

// linkAt is the live link that the path names.
func (w *Web) linkAt(r *http.Request, kind string) (store.Link, error) {
	l, err := w.Store.Link(r.Context(), kind, evidence.Sum([]byte(r.PathValue("link"))), w.Now())
	if errors.Is(err, store.ErrNotFound) {
		err = &problem{status: http.StatusNotFound, key: "link_used"}
	}
	return l, err
}

// base is the server's address as people reach it.
func (w *Web) base(r *http.Request) string {
	if w.PublicURL != "" {
		return strings.TrimSuffix(w.PublicURL, "/")
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

type resetBody struct {
	Email, Fault string
	Asked        bool
	Mails        bool // the server can send mails
}

func (w *Web) resetPage(rw http.ResponseWriter, r *http.Request) error {
	return w.render(rw, r, http.StatusOK, "reset", "reset_title", resetBody{Mails: w.Mail != nil})
}

// askReset mails a link to who has an account, and answers everybody alike: the mail
// is made after the answer, so that neither words nor time tell who has one.
func (w *Web) askReset(rw http.ResponseWriter, r *http.Request) error {
	email := strings.ToLower(strings.TrimSpace(r.PostFormValue("email")))
	body := resetBody{Email: email, Mails: w.Mail != nil}
	if !w.asking.allow(address(r), email) {
		body.Fault = "signin_slow"
		rw.Header().Set("Retry-After", "300")
		return w.render(rw, r, http.StatusTooManyRequests, "reset", "reset_title", body)
	}
	if w.Mail != nil {
		base := w.base(r)
		w.later(r, w.mailing, "sending a mail", func(ctx context.Context) error { return w.sendReset(ctx, email, base) })
	}
	body.Asked = true
	return w.render(rw, r, http.StatusOK, "reset", "reset_title", body)
}

// later does something for a request that goes on when it was answered. When too much
// of its kind is going on it is left out.
func (w *Web) later(r *http.Request, places chan struct{}, what string, do func(ctx context.Context) error) {
	select {
	case places <- struct{}{}:
	default:
		w.Log.WarnContext(r.Context(), "too much is going on: "+what+" was left out")
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), mailTimeout)
	go func() {
		defer func() { <-places }()
		defer cancel()
		if err := do(ctx); err != nil {
			w.Log.ErrorContext(ctx, what, "error", err)
		}
	}()
}

func (w *Web) sendReset(ctx context.Context, email, base string) error {
	u, err := w.Store.UserByEmail(ctx, email)
	if errors.Is(err, store.ErrNotFound) || (err == nil && !u.Disabled.IsZero()) {
		return nil
	}
	if err != nil {
		return err
	}
	l, text := w.newLink(store.Link{Kind: store.LinkReset, Email: u.Email, Lang: u.Lang}, resetLife)
	if err := w.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.AddLink(ctx, l) }); err != nil {
		return err
	}
	return w.mail(ctx, u.Lang, l, "reset", map[string]string{"Link": base + "/reset/" + text, "Server": base})
}

// mail writes a mail of a kind in a language and sends it.
func (w *Web) mail(ctx context.Context, lang string, l store.Link, kind string, args map[string]string) error {
	var pairs []any
	for name, value := range args {
		pairs = append(pairs, name, value)
	}
	p := w.speak(lang)
	subject, errS := p.T("mail_"+kind+"_subject", pairs...)
	body, errB := p.T("mail_"+kind+"_body", pairs...)
	if err := errors.Join(errS, errB); err != nil {
		return err
	}
	return w.Mail(ctx, Mail{ID: l.ID, To: l.Email, Subject: oneLine(subject), Body: body})
}

// speak is a page without a reader, for its words.
func (w *Web) speak(lang string) page {
	if !supported(lang) {
		lang = languages[0]
	}
	return page{Lang: lang, words: w.views.words[lang], plain: w.views.plain[lang], catalogue: w.Catalogue, zone: time.UTC, now: w.Now()}
}

type newPasswordBody struct{ Email, Fault string }

func (w *Web) newPasswordPage(rw http.ResponseWriter, r *http.Request) error {
	l, err := w.linkAt(r, store.LinkReset)
	if err != nil {
		return err
	}
	return w.render(rw, r, http.StatusOK, "new_password", "reset_title", newPasswordBody{Email: l.Email})
}

// newPassword sets the password of who got the link by mail, and ends all their
// logins. It signs nobody in: a second factor is asked for as always.
func (w *Web) newPassword(rw http.ResponseWriter, r *http.Request) error {
	l, err := w.linkAt(r, store.LinkReset)
	if err != nil {
		return err
	}
	hash, fault, err := newHash(r.PostFormValue("password"), r.PostFormValue("again"), l.Email)
	if err != nil {
		return err
	}
	if fault != "" {
		return w.render(rw, r, http.StatusBadRequest, "new_password", "reset_title", newPasswordBody{Email: l.Email, Fault: fault})
	}
	u, err := w.Store.UserByEmail(r.Context(), l.Email)
	if err != nil {
		return err
	}
	orgs, err := w.orgsOf(r.Context(), u.ID)
	if err != nil {
		return err
	}
	err = w.Store.Tx(r.Context(), func(ctx context.Context, tx *store.Tx) error {
		used, err := tx.UseLink(ctx, l.ID)
		if err == nil && !used {
			err = &problem{status: http.StatusNotFound, key: "link_used"}
		}
		if err != nil {
			return err
		}
		if err := errors.Join(tx.SetPassword(ctx, u.ID, hash), tx.EndLogins(ctx, u.ID, "")); err != nil {
			return err
		}
		return w.Note(ctx, tx, Deed{Orgs: orgs, Event: eventReset, By: u.ID, Detail: map[string]string{"from": address(r)}})
	})
	if err != nil {
		return err
	}
	return w.render(rw, r, http.StatusOK, "signin", "signin_title", signinBody{Next: "/", Email: u.Email, Done: "password_changed", MayPasskey: w.passkeysWork(r), OIDC: w.oidcName()})
}
