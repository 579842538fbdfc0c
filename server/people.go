package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/web"
)

// UserRequest says who may sign in, and as what.
type UserRequest struct {
	Email    string
	Name     string
	Org      string
	Role     string    // store.RoleAdmin, RoleOperator, RoleViewer or RoleAuditor
	Password string    // "" to have one made
	Lang     string    // that of the organisation when empty
	Ends     time.Time // of an auditor's access; web.AuditorStay from now when zero
}

// AddUser makes a user, or gives one that is there another role. It returns the
// password that it made, "" when it made none.
func (s *Server) AddUser(ctx context.Context, q UserRequest) (password string, err error) {
	addr, err := mail.ParseAddress(q.Email)
	if err != nil || addr.Address != q.Email {
		return "", fmt.Errorf("address %q: want one such as name@example.com", clip(q.Email, 80))
	}
	org, err := s.store.Org(ctx, q.Org)
	if err != nil {
		return "", err
	}
	roles := []string{store.RoleAdmin, store.RoleViewer, store.RoleAuditor}
	if org.Kind == store.Provider {
		roles = append(roles, store.RoleOperator)
	}
	if !slices.Contains(roles, q.Role) {
		return "", fmt.Errorf("role %q: a %s's user has one of %s", q.Role, org.Kind, strings.Join(roles, ", "))
	}
	if q.Ends, err = q.ends(s.now()); err != nil {
		return "", err
	}
	known, err := s.store.UserByEmail(ctx, q.Email)
	switch {
	case err == nil && q.Password != "":
		return "", fmt.Errorf("%s can sign in already and has a password: leave it out to give them the role", q.Email)
	case err == nil:
		return "", s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
			if err := errors.Join(tx.SetMember(ctx, store.Member{Org: org.ID, User: known.ID, Role: q.Role, Ends: q.Ends}), tx.RenewLogins(ctx, known.ID)); err != nil {
				return err
			}
			return s.note(ctx, tx, q.deed("user.role_changed", known.ID))
		})
	case !errors.Is(err, store.ErrNotFound):
		return "", err
	}
	if q.Password == "" {
		password = strings.ToLower(rand.Text()[:20])
		q.Password = password
	} else if err := web.CheckNewPassword(q.Password, q.Email); err != nil {
		return "", err
	}
	hash, err := web.HashPassword(q.Password)
	if err != nil {
		return "", err
	}
	if q.Lang == "" {
		q.Lang = org.Lang
	}
	u := store.User{ID: evidence.NewID("u_"), Email: q.Email, Name: q.Name, Hash: hash, Lang: q.Lang, Created: s.now()}
	return password, s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.AddUser(ctx, u); err != nil {
			return err
		}
		if err := tx.SetMember(ctx, store.Member{Org: org.ID, User: u.ID, Role: q.Role, Ends: q.Ends}); err != nil {
			return err
		}
		return s.note(ctx, tx, q.deed("user.joined", u.ID))
	})
}

// ends is when the role ends: an auditor's always does, no other.
func (q UserRequest) ends(now time.Time) (time.Time, error) {
	switch {
	case q.Role != store.RoleAuditor && !q.Ends.IsZero():
		return q.Ends, fmt.Errorf("role %s does not end by itself; an auditor's does", q.Role)
	case q.Role != store.RoleAuditor:
		return q.Ends, nil
	case q.Ends.IsZero():
		return now.Add(web.AuditorStay), nil
	case !q.Ends.After(now) || q.Ends.After(now.Add(web.AuditorMost)):
		return q.Ends, fmt.Errorf("an auditor's access must end after now and within %d days", int(web.AuditorMost.Hours()/24))
	}
	return q.Ends, nil
}

// deed is what is recorded of a user who was added or changed at the command line.
func (q UserRequest) deed(event, user string) web.Deed {
	return web.Deed{Orgs: []string{q.Org}, Event: event, Detail: map[string]string{"user": user, "email": q.Email, "role": q.Role}}
}

// DisableUser takes an account out of use at the command line, or brings it back.
func (s *Server) DisableUser(ctx context.Context, u store.User, undo bool) error {
	event, at := "user.disabled", s.now()
	if undo {
		event, at = "user.enabled", time.Time{}
	}
	return s.onUser(ctx, u, event, func(ctx context.Context, tx *store.Tx) error {
		return errors.Join(tx.DisableUser(ctx, u.ID, at), tx.EndLogins(ctx, u.ID, ""))
	})
}

// RemoveFactors takes the second factors from an account whose owner has lost them.
func (s *Server) RemoveFactors(ctx context.Context, u store.User) error {
	return s.onUser(ctx, u, "user.factors_removed", func(ctx context.Context, tx *store.Tx) error { return tx.DropSeconds(ctx, u.ID) })
}

// onUser does something to an account at the command line, on record.
func (s *Server) onUser(ctx context.Context, u store.User, event string, do func(ctx context.Context, tx *store.Tx) error) error {
	return s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		members, err := tx.MembersOf(ctx, u.ID)
		if err != nil {
			return err
		}
		d := web.Deed{Event: event, Detail: map[string]string{"user": u.ID, "email": u.Email}}
		for _, m := range members {
			d.Orgs = append(d.Orgs, m.Org)
		}
		if err := do(ctx, tx); err != nil {
			return err
		}
		return s.note(ctx, tx, d)
	})
}

// NewPassword replaces a user's password by one that it makes, for somebody who
// lost theirs, and signs them out everywhere.
func (s *Server) NewPassword(ctx context.Context, email string) (password string, err error) {
	u, err := s.store.UserByEmail(ctx, email)
	if errors.Is(err, store.ErrNotFound) {
		return "", fmt.Errorf("nobody signs in as %q; see: attesto-server user list", clip(email, 80))
	}
	if err != nil {
		return "", err
	}
	password = strings.ToLower(rand.Text()[:20])
	hash, err := web.HashPassword(password)
	if err != nil {
		return "", err
	}
	return password, s.onUser(ctx, u, "user.password_reset", func(ctx context.Context, tx *store.Tx) error {
		return errors.Join(tx.SetPassword(ctx, u.ID, hash), tx.EndLogins(ctx, u.ID, ""))
	})
}

// AddAPIToken makes a token for scripts that may read and what else may names; its text
// is shown once. life 0 has it never expire.
func (s *Server) AddAPIToken(ctx context.Context, org, name string, life time.Duration, may ...string) (string, error) {
	for _, scope := range may {
		if !slices.Contains(store.Scopes(), scope) {
			return "", fmt.Errorf("scope %q: want some of %s", scope, strings.Join(store.Scopes(), ", "))
		}
	}
	if _, err := s.store.Org(ctx, org); err != nil {
		return "", err
	}
	t, text := web.NewAPIToken(org, name, "", may, s.now(), life)
	return text, s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return web.AddAPIToken(ctx, tx, s.note, t) })
}

// RevokeAPIToken takes an organisation's token out of use.
func (s *Server) RevokeAPIToken(ctx context.Context, org, id string) error {
	return s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return web.RevokeAPIToken(ctx, tx, s.note, org, id, "") })
}

// SetupLink is where a server that has no account yet is set up, once and within a
// day; "" when there is an account. base is the server's address when no public one
// is configured.
func (s *Server) SetupLink(ctx context.Context, base string) (string, error) {
	path, ok, err := web.SetupLink(ctx, s.store, s.now())
	if err != nil || !ok {
		return "", err
	}
	if s.cfg.PublicURL != "" {
		base = s.cfg.PublicURL
	}
	return base + path, nil
}
