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

// How long a login lasts, whatever is done with it, and how long unused.
const (
	absolute = 12 * time.Hour
	idle     = 2 * time.Hour
	seenStep = 5 * time.Minute // reading pages does not write each time
)

// The ways to sign in.
const (
	viaPassword = "password"
	viaLink     = "link" // of an invitation, or of the set-up
)

// Deed is what somebody did that others should be able to find in the log.
type Deed struct {
	Orgs   []string // where it counts
	Event  string
	By     string            // id of the user who acted; "" for nobody who has signed in
	Detail map[string]string // what may be erased later
}

// The log's words for what people do with their accounts.
const (
	eventSignedIn       = "user.signed_in"
	eventPassword       = "user.password_changed"
	eventReset          = "user.password_reset"
	eventInvited        = "user.invited"
	eventWithdrawn      = "user.invitation_withdrawn"
	eventJoined         = "user.joined"
	eventRole           = "user.role_changed"
	eventRemoved        = "user.removed"
	eventDisabled       = "user.disabled"
	eventEnabled        = "user.enabled"
	eventFactorsRemoved = "user.factors_removed"
	eventLoginsEnded    = "user.logins_ended"
)

// enter signs a user in: the session takes a new token, so that one that was planted
// or known before is worth nothing.
func (w *Web) enter(r *http.Request, u store.User, via string) error {
	ctx := r.Context()
	if err := w.sessions.RenewToken(ctx); err != nil {
		return err
	}
	text := rand.Text()
	now := w.Now()
	l := store.Login{ID: evidence.NewID("s_"), Token: evidence.Sum([]byte(text)), User: u.ID, Created: now, Seen: now, Via: via,
		Address: address(r), Browser: browserOf(r.UserAgent())}
	orgs, err := w.orgsOf(ctx, u.ID)
	if err != nil {
		return err
	}
	was, err := w.loginOf(r)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	err = w.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.EndLogin(ctx, was.User, was.ID); err != nil {
			return err
		}
		if err := tx.AddLogin(ctx, l, now.Add(-absolute)); err != nil {
			return err
		}
		return w.Note(ctx, tx, Deed{Orgs: orgs, Event: eventSignedIn, By: u.ID, Detail: map[string]string{"via": via, "from": l.Address, "browser": l.Browser}})
	})
	if err != nil {
		return err
	}
	w.sessions.Put(ctx, sessionLogin, text)
	return nil
}

// loginOf is the login that a request's session names, kept in use; ErrNotFound for a
// stranger, and once it was ended or lasted too long.
func (w *Web) loginOf(r *http.Request) (store.Login, error) {
	ctx := r.Context()
	text := w.sessions.GetString(ctx, sessionLogin)
	if text == "" {
		return store.Login{}, store.ErrNotFound
	}
	l, err := w.Store.LoginByToken(ctx, evidence.Sum([]byte(text)))
	if err != nil {
		return l, err
	}
	now := w.Now()
	if now.Sub(l.Created) >= absolute || now.Sub(l.Seen) >= idle {
		return store.Login{}, store.ErrNotFound
	}
	if l.Renew {
		if err := w.sessions.RenewToken(ctx); err != nil {
			return l, err
		}
	}
	if l.Renew || now.Sub(l.Seen) >= seenStep {
		l.Seen = now
		err = w.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.SeeLogin(ctx, l.ID, now) })
	}
	return l, err
}

// orgsOf are the organisations in which what a user does counts.
func (w *Web) orgsOf(ctx context.Context, user string) ([]string, error) {
	members, err := w.Store.MembersOf(ctx, user)
	var orgs []string
	for _, m := range members {
		if m.Holds(w.Now()) {
			orgs = append(orgs, m.Org)
		}
	}
	return orgs, err
}

// browserOf is what a browser's name for itself says in few words; what says nothing
// known stands as it is.
func browserOf(agent string) string {
	for _, known := range [][2]string{{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}} {
		if !strings.Contains(agent, known[0]) {
			continue
		}
		for _, on := range [][2]string{{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Windows", "Windows"}, {"Macintosh", "macOS"}, {"Linux", "Linux"}} {
			if strings.Contains(agent, on[0]) {
				return known[1] + ", " + on[1]
			}
		}
		return known[1]
	}
	return clip(agent, 200)
}

// clip cuts a text from outside to so many bytes.
func clip(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	return s
}
