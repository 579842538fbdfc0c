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

// What a session holds of somebody who proved one thing and owes the second.
const (
	sessionPending = "pending" // id of the user
	sessionVia     = "pending_via"
	sessionSince   = "pending_since" // in Unix seconds
	sessionNext    = "pending_next"
)

const (
	pendingLife   = 5 * time.Minute
	recoveryCodes = 10
	perSecond     = 10 // tries of second factors of an account in a window, from wherever
)

// secondsOf are the second factors that a user has.
func (w *Web) secondsOf(ctx context.Context, user string) (clock, passkeys bool, err error) {
	codes, errC := w.Store.Factors(ctx, user, store.FactorTOTP)
	keys, errK := w.Store.Factors(ctx, user, store.FactorPasskey)
	return len(codes) > 0, len(keys) > 0, errors.Join(errC, errK)
}

// proceed lets in who has proved one thing, or asks for the second where the account
// has one.
func (w *Web) proceed(rw http.ResponseWriter, r *http.Request, u store.User, via, next string) error {
	ctx := r.Context()
	clock, passkeys, err := w.secondsOf(ctx, u.ID)
	if err != nil {
		return err
	}
	if !clock && !passkeys {
		return w.backTo(rw, r, next, w.enter(r, u, via))
	}
	if err := w.sessions.RenewToken(ctx); err != nil {
		return err
	}
	w.sessions.Put(ctx, sessionPending, u.ID)
	w.sessions.Put(ctx, sessionVia, via)
	w.sessions.Put(ctx, sessionSince, w.Now().Unix())
	w.sessions.Put(ctx, sessionNext, next)
	return w.backTo(rw, r, "/signin/second", nil)
}

// pending is who owes the second factor in this browser; false when nobody does.
func (w *Web) pending(r *http.Request) (u store.User, ok bool, err error) {
	ctx := r.Context()
	id := w.sessions.GetString(ctx, sessionPending)
	since := time.Unix(w.sessions.GetInt64(ctx, sessionSince), 0)
	if id == "" || w.Now().Sub(since) > pendingLife {
		return u, false, nil
	}
	u, err = w.Store.User(ctx, id)
	if errors.Is(err, store.ErrNotFound) || (err == nil && !u.Disabled.IsZero()) {
		return u, false, nil
	}
	return u, err == nil, err
}

// settle ends what was pending.
func (w *Web) settle(ctx context.Context) (via, next string) {
	via, next = w.sessions.GetString(ctx, sessionVia), w.sessions.GetString(ctx, sessionNext)
	for _, key := range []string{sessionPending, sessionVia, sessionSince, sessionNext} {
		w.sessions.Remove(ctx, key)
	}
	return via, local(next)
}

type secondBody struct {
	Fault           string
	Clock, Passkeys bool
}

func (w *Web) secondPage(rw http.ResponseWriter, r *http.Request) error {
	return w.askSecond(rw, r, http.StatusOK, "")
}

func (w *Web) askSecond(rw http.ResponseWriter, r *http.Request, status int, fault string) error {
	u, ok, err := w.pending(r)
	if err != nil {
		return err
	}
	if !ok {
		return w.backTo(rw, r, "/signin", nil)
	}
	body := secondBody{Fault: fault}
	if body.Clock, body.Passkeys, err = w.secondsOf(r.Context(), u.ID); err != nil {
		return err
	}
	return w.render(rw, r, status, "second", "second_title", body)
}

// second checks a clock code or a recovery code.
func (w *Web) second(rw http.ResponseWriter, r *http.Request) error {
	u, ok, err := w.pending(r)
	if err != nil {
		return err
	}
	if !ok {
		return w.backTo(rw, r, "/signin", nil)
	}
	addr := address(r)
	if !w.codes.allow(addr, u.ID) {
		rw.Header().Set("Retry-After", "300")
		return w.askSecond(rw, r, http.StatusTooManyRequests, "signin_slow")
	}
	via, err := w.takeCode(r.Context(), u.ID, r.PostFormValue("code"))
	if err != nil {
		return err
	}
	if via == "" {
		w.Log.WarnContext(r.Context(), "second factor refused", "from", addr)
		w.refuse(r, u.Email)
		return w.askSecond(rw, r, http.StatusUnauthorized, "second_wrong")
	}
	w.codes.passed(addr, u.ID)
	_, next := w.settle(r.Context())
	return w.backTo(rw, r, next, w.enter(r, u, via))
}

// takeCode uses a code up, and says of what kind it was; "" when it is none. Each
// works once: a clock code's step is remembered, a recovery code is removed.
func (w *Web) takeCode(ctx context.Context, user, code string) (via string, err error) {
	code = strings.ToLower(strings.Join(strings.FieldsFunc(code, func(r rune) bool { return r == ' ' || r == '-' }), ""))
	if len(code) != clockDigits {
		var used bool
		err = w.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
			used, err = tx.DropFactor(ctx, user, store.FactorRecovery, recoveryID(user, code))
			return err
		})
		if err != nil || !used {
			return "", err
		}
		return viaRecovery, nil
	}
	list, err := w.Store.Factors(ctx, user, store.FactorTOTP)
	if err != nil || len(list) == 0 {
		return "", err
	}
	step, err := clockStep(string(list[0].Data), code, w.Now())
	if err != nil || step == 0 {
		return "", err
	}
	var fresh bool
	err = w.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		fresh, err = tx.StepFactor(ctx, list[0].ID, step)
		return err
	})
	if err != nil || !fresh {
		return "", err
	}
	return viaClock, nil
}

// recoveryID names a recovery code by its digest. A code has 80 random bits, so
// nothing slower is needed.
func recoveryID(user, code string) string {
	return "r_" + evidence.Sum([]byte(user+" "+code)).String()
}

// newRecovery replaces a user's recovery codes; they are shown this once.
func newRecovery(ctx context.Context, tx *store.Tx, user string, now time.Time) ([]string, error) {
	if err := tx.DropFactors(ctx, user, store.FactorRecovery); err != nil {
		return nil, err
	}
	var codes []string
	for range recoveryCodes {
		code := strings.ToLower(rand.Text()[:16])
		if err := tx.AddFactor(ctx, store.Factor{ID: recoveryID(user, code), User: user, Kind: store.FactorRecovery, Data: []byte("-"), Added: now}); err != nil {
			return nil, err
		}
		codes = append(codes, strings.Join([]string{code[:4], code[4:8], code[8:12], code[12:]}, "-"))
	}
	return codes, nil
}

// setSecond asks an organisation's people for a second factor, or no longer. Who asks
// others has one: they do not lock themselves out.
func (w *Web) setSecond(rw http.ResponseWriter, r *http.Request) error {
	v, org := viewerOf(r.Context()), orgOf(r.Context())
	value := 0.0
	switch r.PostFormValue("ask") {
	case "1":
		value = 1
	case "0":
	default:
		return &problem{status: http.StatusBadRequest, key: "bad_form"}
	}
	clock, passkeys, err := w.secondsOf(r.Context(), v.user.ID)
	if err != nil {
		return err
	}
	if value == 1 && !clock && !passkeys {
		return w.usersPage(rw, r, http.StatusConflict, usersBody{Fault: "second_yours_first"})
	}
	err = w.SetParam(r.Context(), store.Param{Org: org.ID, Name: store.ParamSecond, Value: &value, User: v.user.ID})
	return w.backTo(rw, r, "/orgs/"+org.ID+"/users", err)
}
