package web

import (
	"context"
	"errors"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

type usersBody struct {
	Users       []userRow
	Invitations []store.Link
	Roles       []string
	Mails       bool   // the server can send mails
	Ends        string // when a new auditor's access ends, as the form proposes it
	Sent        *sentBody
	Fault       string
	Asks        bool // a second factor of everybody
	Bare        int  // how many have none
}

// sentBody is an invitation that was just made; its link is shown where no mail took
// it along.
type sentBody struct{ Email, Link string }

type userRow struct {
	store.User
	Member  store.Member
	Guarded bool // has a second factor
	Self    bool
	Whole   bool // belongs here alone: the account itself is this organisation's
}

// How long an auditor's access lasts where nobody says otherwise, and how long it may.
const (
	AuditorStay = 30 * 24 * time.Hour
	AuditorMost = 366 * 24 * time.Hour
)

// rolesOf are the roles that an organisation has.
func rolesOf(o store.Org) []string {
	roles := []string{store.RoleAdmin, store.RoleViewer, store.RoleAuditor}
	if o.Kind == store.Provider {
		roles = []string{store.RoleAdmin, store.RoleOperator, store.RoleViewer, store.RoleAuditor}
	}
	return roles
}

func (w *Web) users(rw http.ResponseWriter, r *http.Request) error {
	return w.usersPage(rw, r, http.StatusOK, usersBody{})
}

func (w *Web) usersPage(rw http.ResponseWriter, r *http.Request, status int, body usersBody) error {
	ctx, org := r.Context(), orgOf(r.Context())
	users, err := w.Store.UsersOf(ctx, org.ID)
	if err != nil {
		return err
	}
	members, err := w.Store.MembersIn(ctx, org.ID)
	if err != nil {
		return err
	}
	guarded, err := w.Store.Guarded(ctx, org.ID)
	if err != nil {
		return err
	}
	by := map[string]store.Member{}
	for _, m := range members {
		by[m.User] = m
	}
	for _, u := range users {
		whole, err := w.owns(ctx, u.ID)
		if err != nil {
			return err
		}
		if !guarded[u.ID] && u.Disabled.IsZero() {
			body.Bare++
		}
		body.Users = append(body.Users, userRow{u, by[u.ID], guarded[u.ID], u.ID == viewerOf(ctx).user.ID, whole})
	}
	if body.Invitations, err = w.Store.Invitations(ctx, org.ID, w.Now()); err != nil {
		return err
	}
	if body.Asks, err = w.Store.AsksSecond(ctx, org.ID); err != nil {
		return err
	}
	body.Roles, body.Mails = rolesOf(org), w.Mail != nil
	body.Ends = w.Now().Add(AuditorStay).In(org.Location()).Format(time.DateOnly)
	return w.render(rw, r, status, "users", "users_title", body)
}

// owns reports whether the viewer may act on an account itself: the provider's admins
// on any, others on one that belongs to nobody else.
func (w *Web) owns(ctx context.Context, user string) (bool, error) {
	if viewerOf(ctx).all == store.RoleAdmin {
		return true, nil
	}
	members, err := w.Store.MembersOf(ctx, user)
	return err == nil && !slices.ContainsFunc(members, func(m store.Member) bool { return m.Org != orgOf(ctx).ID }), err
}

// memberForm reads a role with an auditor's bounds; fault says what is wrong.
func (w *Web) memberForm(r *http.Request) (m store.Member, fault string) {
	org := orgOf(r.Context())
	m = store.Member{Org: org.ID, Role: r.PostFormValue("role")}
	if !slices.Contains(rolesOf(org), m.Role) {
		return m, "role_unknown"
	}
	if m.Role != store.RoleAuditor {
		return m, ""
	}
	zone := org.Location()
	for name, to := range map[string]*time.Time{"ends": &m.Ends, "from": &m.From, "until": &m.Until} {
		text := r.PostFormValue(name)
		if text == "" {
			continue
		}
		day, err := duties.ParseDay(text, zone)
		if err != nil {
			return m, "dates_wrong"
		}
		if *to = day; name != "from" {
			*to = duties.Midnight(day, zone, 1) // the day itself is included
		}
	}
	now := w.Now()
	if m.Ends.IsZero() || !m.Ends.After(now) || m.Ends.After(now.Add(AuditorMost)) || !m.Until.IsZero() && !m.From.Before(m.Until) {
		return m, "dates_wrong"
	}
	return m, ""
}

// invite mails an invitation, or shows its link where the server sends no mails.
func (w *Web) invite(rw http.ResponseWriter, r *http.Request) error {
	ctx, org, v := r.Context(), orgOf(r.Context()), viewerOf(r.Context())
	email := strings.ToLower(strings.TrimSpace(r.PostFormValue("email")))
	m, fault := w.memberForm(r)
	if !isAddress(email) {
		fault = "email_wrong"
	}
	if fault == "" {
		switch already, err := w.isMember(ctx, email, org.ID); {
		case err != nil:
			return err
		case already:
			fault = "member_already"
		case !w.asking.allow("org "+org.ID, email):
			fault = "signin_slow"
		}
	}
	if fault != "" {
		return w.usersPage(rw, r, http.StatusBadRequest, usersBody{Fault: fault})
	}
	l, text := w.newLink(store.Link{Kind: store.LinkInvite, Email: email, Member: m, Lang: org.Lang, By: v.user.ID}, inviteLife)
	err := w.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.AddLink(ctx, l); err != nil {
			return err
		}
		return w.Note(ctx, tx, Deed{Orgs: []string{org.ID}, Event: eventInvited, By: v.user.ID, Detail: map[string]string{"email": email, "role": m.Role}})
	})
	if err != nil {
		return err
	}
	body := usersBody{Sent: &sentBody{Email: email}}
	address := w.base(r) + "/invitation/" + text
	if w.Mail == nil {
		body.Sent.Link = address
		return w.usersPage(rw, r, http.StatusOK, body)
	}
	sending, cancel := context.WithTimeout(ctx, mailTimeout)
	defer cancel()
	role, err := w.speak(l.Lang).T("role_" + m.Role)
	if err == nil {
		err = w.mail(sending, l.Lang, l, "invite", map[string]string{"Link": address, "Org": org.Name, "Role": role, "By": v.user.Email})
	}
	if err != nil {
		w.Log.ErrorContext(ctx, "sending an invitation", "error", err)
		return w.usersPage(rw, r, http.StatusBadGateway, usersBody{Fault: "mail_failed"})
	}
	return w.usersPage(rw, r, http.StatusOK, body)
}

// isAddress reports whether a text is a mail address and nothing else, of no more than
// the 254 bytes that can be delivered to (RFC 5321).
func isAddress(email string) bool {
	addr, err := mail.ParseAddress(email)
	return err == nil && addr.Address == email && len(email) <= 254
}

func (w *Web) isMember(ctx context.Context, email, org string) (bool, error) {
	u, err := w.Store.UserByEmail(ctx, email)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	members, err := w.Store.MembersOf(ctx, u.ID)
	return slices.ContainsFunc(members, func(m store.Member) bool { return m.Org == org }), err
}

func (w *Web) withdrawInvitation(rw http.ResponseWriter, r *http.Request) error {
	org := orgOf(r.Context())
	err := w.Store.Tx(r.Context(), func(ctx context.Context, tx *store.Tx) error {
		found, err := tx.DropInvitation(ctx, org.ID, r.PathValue("link"))
		if err == nil && !found {
			err = notFound()
		}
		if err != nil {
			return err
		}
		return w.Note(ctx, tx, Deed{Orgs: []string{org.ID}, Event: eventWithdrawn, By: viewerOf(ctx).user.ID})
	})
	return w.backTo(rw, r, "/orgs/"+org.ID+"/users", err)
}

// memberAt is the user whom the path names, a member of the organisation and not the
// viewer: nobody takes away their own rights, so that an administrator stays.
func (w *Web) memberAt(r *http.Request) (store.User, error) {
	u, err := w.Store.User(r.Context(), r.PathValue("user"))
	if errors.Is(err, store.ErrNotFound) {
		return u, notFound()
	}
	if err != nil {
		return u, err
	}
	members, err := w.Store.MembersOf(r.Context(), u.ID)
	switch {
	case err != nil:
	case !slices.ContainsFunc(members, func(m store.Member) bool { return m.Org == orgOf(r.Context()).ID }):
		err = notFound()
	case u.ID == viewerOf(r.Context()).user.ID:
		err = &problem{status: http.StatusConflict, key: "yourself"}
	}
	return u, err
}

// onMember does something to a member, on record.
func (w *Web) onMember(rw http.ResponseWriter, r *http.Request, event string, account bool, detail map[string]string, do func(ctx context.Context, tx *store.Tx, u store.User) error) error {
	org := orgOf(r.Context())
	u, err := w.memberAt(r)
	if err != nil {
		return err
	}
	if account {
		switch owned, err := w.owns(r.Context(), u.ID); {
		case err != nil:
			return err
		case !owned:
			return &problem{status: http.StatusConflict, key: "not_yours"}
		}
	}
	d := Deed{Orgs: []string{org.ID}, Event: event, By: viewerOf(r.Context()).user.ID, Detail: map[string]string{"user": u.ID, "email": u.Email}}
	for name, value := range detail {
		d.Detail[name] = value
	}
	err = w.Store.Tx(r.Context(), func(ctx context.Context, tx *store.Tx) error {
		if err := do(ctx, tx, u); err != nil {
			return err
		}
		return w.Note(ctx, tx, d)
	})
	return w.backTo(rw, r, "/orgs/"+org.ID+"/users", err)
}

func (w *Web) changeRole(rw http.ResponseWriter, r *http.Request) error {
	m, fault := w.memberForm(r)
	if fault != "" {
		return w.usersPage(rw, r, http.StatusBadRequest, usersBody{Fault: fault})
	}
	return w.onMember(rw, r, eventRole, false, map[string]string{"role": m.Role}, func(ctx context.Context, tx *store.Tx, u store.User) error {
		m.User = u.ID
		return errors.Join(tx.SetMember(ctx, m), tx.RenewLogins(ctx, u.ID))
	})
}

func (w *Web) removeUser(rw http.ResponseWriter, r *http.Request) error {
	return w.onMember(rw, r, eventRemoved, false, nil, func(ctx context.Context, tx *store.Tx, u store.User) error {
		_, err := tx.DropMember(ctx, orgOf(ctx).ID, u.ID)
		return errors.Join(err, tx.RenewLogins(ctx, u.ID))
	})
}

// disableUser takes an account out of use, or back into it.
func (w *Web) disableUser(rw http.ResponseWriter, r *http.Request) error {
	event, at := eventDisabled, w.Now()
	if r.PostFormValue("undo") != "" {
		event, at = eventEnabled, time.Time{}
	}
	return w.onMember(rw, r, event, true, nil, func(ctx context.Context, tx *store.Tx, u store.User) error {
		return errors.Join(tx.DisableUser(ctx, u.ID, at), tx.EndLogins(ctx, u.ID, ""))
	})
}

func (w *Web) endUsersLogins(rw http.ResponseWriter, r *http.Request) error {
	return w.onMember(rw, r, eventLoginsEnded, true, nil, func(ctx context.Context, tx *store.Tx, u store.User) error { return tx.EndLogins(ctx, u.ID, "") })
}

// removeFactors takes the second factors from an account whose owner has lost them.
func (w *Web) removeFactors(rw http.ResponseWriter, r *http.Request) error {
	return w.onMember(rw, r, eventFactorsRemoved, true, nil, func(ctx context.Context, tx *store.Tx, u store.User) error {
		return tx.DropSeconds(ctx, u.ID)
	})
}
