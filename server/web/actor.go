package web

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/attesto/attesto/server/store"
)

// actor is who did something, by what the log names: a person, an API token, or the
// holder of a mail's link. The zero one is the server, or its operator at the command
// line.
type actor struct {
	ID, Name, Mail string // Name: the id of who is gone
	How            string // "token" or "link" for what is no person's account, "gone" for what is no more
}

// actorOf finds who an id in the log stands for.
func (w *Web) actorOf(ctx context.Context, id string) (actor, error) {
	a := actor{ID: id, Name: id}
	var err error
	switch {
	case strings.HasPrefix(id, "t_"):
		var t store.APIToken
		if t, err = w.Store.APIToken(ctx, id); err == nil {
			a.Name = cmp.Or(t.Name, id) // not every token was given one
		}
		a.How = "token"
	case strings.HasPrefix(id, "c_"):
		if c, failed := w.Store.Channel(ctx, id); failed == nil {
			a.Name = shownTarget(c, true)
		} else {
			err = failed
		}
		a.How = "link"
	case id != "":
		var u store.User
		if u, err = w.Store.User(ctx, id); err == nil {
			a.Name, a.Mail = u.Name, u.Email
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		err = nil
		if a.How == "" {
			a.How = "gone"
		}
	}
	return a, err
}

// nameOf is who stated something, in one word.
func (w *Web) nameOf(ctx context.Context, id string) string {
	a, err := w.actorOf(ctx, id)
	if err != nil {
		return id
	}
	return cmp.Or(a.Name, a.Mail)
}
