package web

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"html/template"
	"image/png"
	"net/http"
	"net/url"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"github.com/attesto/attesto/server/store"
)

// Clock codes are RFC 6238's with what every app takes: SHA-1, six digits, half a
// minute, and a neighbouring step for clocks that are off.
const (
	clockDigits = 6
	clockPeriod = 30 // seconds
	clockSkew   = 1  // steps
	secretLife  = 15 * time.Minute
)

const (
	viaClock    = "totp"
	viaRecovery = "recovery"

	eventClockOn  = "user.totp_on"
	eventClockOff = "user.totp_off"
	eventRecovery = "user.recovery_codes"
)

// clockStep is the step that a code belongs to; 0 when it is wrong.
func clockStep(secret, code string, now time.Time) (int64, error) {
	at, found := now.Unix()/clockPeriod, int64(0)
	for step := at - clockSkew; step <= at+clockSkew; step++ {
		want, err := hotp.GenerateCodeCustom(secret, uint64(step), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			return 0, fmt.Errorf("clock code: %w", err)
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			found = step
		}
	}
	return found, nil
}

// clockBody is a secret that is to be taken into an app.
type clockBody struct {
	Secret string // in groups, for typing
	QR     template.URL
}

// newClock shows a new secret. It holds once a code of it was typed.
func (w *Web) newClock(rw http.ResponseWriter, r *http.Request) error {
	v := viewerOf(r.Context())
	if !w.sure(r) {
		return w.settingsPage(rw, r, settingsBody{Fault: "password_not_yours"})
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "Attesto " + w.host(r), AccountName: v.user.Email, Period: clockPeriod, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		return fmt.Errorf("making a secret: %w", err)
	}
	err = w.Store.Tx(r.Context(), func(ctx context.Context, tx *store.Tx) error {
		return tx.AddFactor(ctx, store.Factor{ID: "new." + v.user.ID, User: v.user.ID, Kind: store.FactorTOTPNew, Data: []byte(key.URL()), Added: w.Now()})
	})
	if err != nil {
		return err
	}
	return w.clockPage(rw, r, key, "")
}

func (w *Web) clockPage(rw http.ResponseWriter, r *http.Request, key *otp.Key, fault string) error {
	img, err := key.Image(220, 220)
	if err != nil {
		return fmt.Errorf("drawing the code: %w", err)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return fmt.Errorf("drawing the code: %w", err)
	}
	body := settingsBody{Fault: fault, New: &clockBody{QR: template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes()))}}
	for i, c := range key.Secret() {
		if i > 0 && i%4 == 0 {
			body.New.Secret += " "
		}
		body.New.Secret += string(c)
	}
	return w.settingsPage(rw, r, body)
}

// host is the server's name as people know it.
func (w *Web) host(r *http.Request) string {
	if u, err := url.Parse(w.base(r)); err == nil {
		return u.Hostname()
	}
	return ""
}

// confirmClock takes the new secret into use: from now on its codes are asked for. The
// user's other browsers, which were let in without, are signed out.
func (w *Web) confirmClock(rw http.ResponseWriter, r *http.Request) error {
	ctx, v := r.Context(), viewerOf(r.Context())
	list, err := w.Store.Factors(ctx, v.user.ID, store.FactorTOTPNew)
	if err != nil {
		return err
	}
	if len(list) == 0 || w.Now().Sub(list[0].Added) > secretLife {
		return w.settingsPage(rw, r, settingsBody{Fault: "totp_late"})
	}
	key, err := otp.NewKeyFromURL(string(list[0].Data))
	if err != nil {
		return fmt.Errorf("reading a secret: %w", err)
	}
	if !w.codes.allow(address(r), v.user.ID) {
		return w.clockPage(rw, r, key, "signin_slow")
	}
	step, err := clockStep(key.Secret(), r.PostFormValue("code"), w.Now())
	if err != nil {
		return err
	}
	if step == 0 {
		return w.clockPage(rw, r, key, "second_wrong")
	}
	w.codes.passed(address(r), v.user.ID)
	if err := w.sessions.RenewToken(ctx); err != nil {
		return err
	}
	var codes []string
	err = w.change(r, Deed{Event: eventClockOn}, func(ctx context.Context, tx *store.Tx) (err error) {
		if err := tx.DropFactors(ctx, v.user.ID, store.FactorTOTPNew); err != nil {
			return err
		}
		if err := tx.AddFactor(ctx, store.Factor{ID: "totp." + v.user.ID, User: v.user.ID, Kind: store.FactorTOTP, Data: []byte(key.Secret()), Added: w.Now(), Used: step}); err != nil {
			return err
		}
		if err := tx.EndLogins(ctx, v.user.ID, v.login.ID); err != nil {
			return err
		}
		codes, err = newRecovery(ctx, tx, v.user.ID, w.Now())
		return err
	})
	if err != nil {
		return err
	}
	return w.settingsPage(rw, r, settingsBody{Done: "totp_on", Codes: codes})
}

// dropClock stops asking for clock codes.
func (w *Web) dropClock(rw http.ResponseWriter, r *http.Request) error {
	v := viewerOf(r.Context())
	if !w.sure(r) {
		return w.settingsPage(rw, r, settingsBody{Fault: "password_not_yours"})
	}
	if err := w.sessions.RenewToken(r.Context()); err != nil {
		return err
	}
	err := w.change(r, Deed{Event: eventClockOff}, func(ctx context.Context, tx *store.Tx) error { return dropKind(ctx, tx, v.user.ID, store.FactorTOTP) })
	return w.backTo(rw, r, "/settings", err)
}

// dropKind removes a kind of second factor; recovery codes go with the last one.
func dropKind(ctx context.Context, tx *store.Tx, user, kind string) error {
	if err := tx.DropFactors(ctx, user, kind); err != nil {
		return err
	}
	return dropIdle(ctx, tx, user)
}

// dropIdle removes recovery codes that stand in for nothing any more.
func dropIdle(ctx context.Context, tx *store.Tx, user string) error {
	for _, other := range []string{store.FactorTOTP, store.FactorPasskey} {
		if left, err := tx.Factors(ctx, user, other); err != nil || len(left) > 0 {
			return err
		}
	}
	return tx.DropFactors(ctx, user, store.FactorRecovery)
}

// renewRecovery shows new recovery codes; the old ones work no more.
func (w *Web) renewRecovery(rw http.ResponseWriter, r *http.Request) error {
	v := viewerOf(r.Context())
	if !w.sure(r) {
		return w.settingsPage(rw, r, settingsBody{Fault: "password_not_yours"})
	}
	var codes []string
	err := w.change(r, Deed{Event: eventRecovery}, func(ctx context.Context, tx *store.Tx) (err error) {
		codes, err = newRecovery(ctx, tx, v.user.ID, w.Now())
		return err
	})
	if err != nil {
		return err
	}
	return w.settingsPage(rw, r, settingsBody{Codes: codes})
}
