package web

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/store"
)

type invitationBody struct {
	Link        string
	Email       string
	OrgName     string
	Role        string
	Known       bool // the address has an account
	Here        bool // and its user is the one who reads
	Name, Fault string
}

func (w *Web) invitationPage(rw http.ResponseWriter, r *http.Request) error {
	_, body, err := w.invitationAt(r)
	if err != nil {
		return err
	}
	return w.render(rw, r, http.StatusOK, "invitation", "invitation_title", body)
}

func (w *Web) invitationAt(r *http.Request) (store.Link, invitationBody, error) {
	l, err := w.linkAt(r, store.LinkInvite)
	if err != nil {
		return l, invitationBody{}, err
	}
	org, err := w.Store.Org(r.Context(), l.Member.Org)
	if err != nil {
		return l, invitationBody{}, err
	}
	u, err := w.Store.UserByEmail(r.Context(), l.Email)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return l, invitationBody{}, err
	}
	return l, invitationBody{Link: r.PathValue("link"), Email: l.Email, OrgName: org.Name, Role: l.Member.Role,
		Known: err == nil, Here: err == nil && u.ID == viewerOf(r.Context()).user.ID}, nil
}

// acceptInvitation makes the account that was invited. Who has one accepts signed in:
// a link alone gives no role to an account that perhaps somebody else made.
func (w *Web) acceptInvitation(rw http.ResponseWriter, r *http.Request) error {
	l, body, err := w.invitationAt(r)
	if err != nil {
		return err
	}
	if body.Known && !body.Here {
		return w.render(rw, r, http.StatusForbidden, "invitation", "invitation_title", body)
	}
	u := viewerOf(r.Context()).user
	if !body.Known {
		var fault string
		if u, fault, err = w.newUser(r, l.Email, l.Lang); err != nil {
			return err
		}
		if fault != "" {
			body.Name, body.Fault = u.Name, fault
			return w.render(rw, r, http.StatusBadRequest, "invitation", "invitation_title", body)
		}
	}
	l.Member.User = u.ID
	err = w.Store.Tx(r.Context(), func(ctx context.Context, tx *store.Tx) error {
		used, err := tx.UseLink(ctx, l.ID)
		if err == nil && !used {
			err = &problem{status: http.StatusNotFound, key: "link_used"}
		}
		if err == nil && !body.Known {
			err = tx.AddUser(ctx, u)
		}
		if err != nil {
			return err
		}
		return w.join(ctx, tx, u, l.Member)
	})
	if err != nil {
		return err
	}
	if !body.Known {
		err = w.enter(r, u, viaLink)
	}
	return w.backTo(rw, r, "/", err)
}

// join gives a user a role, on record; their sessions take new tokens.
func (w *Web) join(ctx context.Context, tx *store.Tx, u store.User, m store.Member) error {
	if err := errors.Join(tx.SetMember(ctx, m), tx.RenewLogins(ctx, u.ID)); err != nil {
		return err
	}
	return w.Note(ctx, tx, Deed{Orgs: []string{m.Org}, Event: eventJoined, By: u.ID, Detail: map[string]string{"email": u.Email, "role": m.Role}})
}

// newUser reads a form that makes an account; fault says what is wrong with it.
func (w *Web) newUser(r *http.Request, email, lang string) (u store.User, fault string, err error) {
	u = store.User{ID: evidence.NewID("u_"), Email: email, Name: clip(oneLine(r.PostFormValue("name")), 200), Lang: lang, Created: w.Now()}
	if c, err := r.Cookie(langCookie); err == nil && supported(c.Value) {
		u.Lang = c.Value
	}
	if strings.TrimSpace(u.Name) == "" {
		return u, "name_missing", nil
	}
	u.Hash, fault, err = newHash(r.PostFormValue("password"), r.PostFormValue("again"), email)
	return u, fault, err
}
