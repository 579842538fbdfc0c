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

type tokensBody struct {
	Tokens []tokenRow
	Scopes []string // that a token may have besides reading
	Text   string   // of a token that was just made, shown this once
	Fault  string
}

type tokenRow struct {
	store.APIToken
	By   string // who made it
	Over bool   // it has expired
}

const (
	eventTokenAdded   = "apitoken.created"
	eventTokenRevoked = "apitoken.revoked"
)

// tokenLives are how long a token for scripts may hold that is made on a page.
var tokenLives = map[string]time.Duration{"month": 30 * 24 * time.Hour, "quarter": 90 * 24 * time.Hour, "year": 365 * 24 * time.Hour}

func (w *Web) tokens(rw http.ResponseWriter, r *http.Request) error {
	return w.tokensPage(rw, r, tokensBody{})
}

func (w *Web) tokensPage(rw http.ResponseWriter, r *http.Request, body tokensBody) error {
	list, err := w.Store.APITokens(r.Context(), orgOf(r.Context()).ID)
	if err != nil {
		return err
	}
	for _, t := range list {
		body.Tokens = append(body.Tokens, tokenRow{t, w.nameOf(r.Context(), t.User), !t.Expires.IsZero() && !w.Now().Before(t.Expires)})
	}
	body.Scopes = store.Scopes()
	status := http.StatusOK
	if body.Fault != "" {
		status = http.StatusBadRequest
	}
	return w.render(rw, r, status, "tokens", "tokens_title", body)
}

// NewAPIToken makes a token for scripts and its text, of which only the digest is kept.
// It may read, and what else may names.
func NewAPIToken(org, name, user string, may []string, now time.Time, life time.Duration) (store.APIToken, string) {
	text := "attapi_" + strings.ToLower(rand.Text())
	t := store.APIToken{ID: evidence.NewID("t_"), Org: org, Name: clip(oneLine(name), 100), Hash: evidence.Sum([]byte(text)), Scopes: store.ScopeRead, Created: now, User: user}
	for _, scope := range common(store.Scopes(), may) {
		t.Scopes += "," + scope
	}
	if life > 0 {
		t.Expires = now.Add(life)
	}
	return t, text
}

// AddAPIToken stores a token, on record.
func AddAPIToken(ctx context.Context, tx *store.Tx, note func(context.Context, *store.Tx, Deed) error, t store.APIToken) error {
	if err := tx.AddAPIToken(ctx, t); err != nil {
		return err
	}
	return note(ctx, tx, Deed{Orgs: []string{t.Org}, Event: eventTokenAdded, By: t.User, Detail: map[string]string{"token": t.ID, "name": t.Name, "scopes": t.Scopes}})
}

// makeToken makes a token for scripts, and shows its text this once.
func (w *Web) makeToken(rw http.ResponseWriter, r *http.Request) error {
	life, ok := tokenLives[r.PostFormValue("life")]
	name := oneLine(r.PostFormValue("name"))
	if !ok || name == "" {
		return w.tokensPage(rw, r, tokensBody{Fault: "token_unnamed"})
	}
	t, text := NewAPIToken(orgOf(r.Context()).ID, name, viewerOf(r.Context()).user.ID, r.PostForm["scope"], w.Now(), life)
	err := w.Store.Tx(r.Context(), func(ctx context.Context, tx *store.Tx) error { return AddAPIToken(ctx, tx, w.Note, t) })
	if err != nil {
		return err
	}
	return w.tokensPage(rw, r, tokensBody{Text: text})
}

func (w *Web) revokeToken(rw http.ResponseWriter, r *http.Request) error {
	org := orgOf(r.Context())
	err := w.Store.Tx(r.Context(), func(ctx context.Context, tx *store.Tx) error {
		return RevokeAPIToken(ctx, tx, w.Note, org.ID, r.PathValue("token"), viewerOf(ctx).user.ID)
	})
	return w.backTo(rw, r, "/orgs/"+org.ID+"/tokens", err)
}

// RevokeAPIToken takes an organisation's token out of use, on record.
func RevokeAPIToken(ctx context.Context, tx *store.Tx, note func(context.Context, *store.Tx, Deed) error, org, id, by string) error {
	was, err := tx.APIToken(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return notFound()
	}
	if err != nil {
		return err
	}
	found, err := tx.DropAPIToken(ctx, org, id)
	if err == nil && !found {
		err = notFound()
	}
	if err != nil {
		return err
	}
	return note(ctx, tx, Deed{Orgs: []string{org}, Event: eventTokenRevoked, By: by, Detail: map[string]string{"token": id, "name": was.Name}})
}
