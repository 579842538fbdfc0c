package web_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// A passkey in a real browser, on a virtual device: it is added, lets in alone, is asked
// for after the password, and is refused when its signature, its user or its answer is
// not right.
func TestPasskeysInChromium(t *testing.T) {
	needTool(t, "chromium", "chromium-browser", "google-chrome")
	s := newSite(t, storetest.SQLite(t))
	p := s.add(s.customer, store.RoleAdmin)
	b := newTab(t)
	b.as(view{1280, 860, "light", "en"})
	v := visitor{b, "1280-light", strings.Replace(s.http.URL, "127.0.0.1", "localhost", 1)}
	_, err := chromedp.Call(b.ctx, webauthn.Enable, webauthn.EnableParams{})
	b.must(err)
	device, err := chromedp.Call(b.ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal, HasResidentKey: true, HasUserVerification: true,
		IsUserVerified: true, AutomaticPresenceSimulation: true}})
	b.must(err)
	until := func(condition string) { // across pages, too
		t.Helper()
		for range 200 {
			if ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](condition)); err == nil && ok {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Fatalf("it never came to %s", condition)
	}
	enter := func(lets bool) {
		t.Helper()
		before := v.at()
		b.must(chromedp.Do(b.ctx, chromedp.Click(chromedp.CSS("form[data-passkey=enter] button"))))
		wait := `location.pathname !== "` + before + `"`
		if !lets {
			wait = `!document.querySelector("form[data-passkey] [role=alert]").hidden`
		}
		until(wait)
	}
	verified := func(yes bool) {
		_, err := chromedp.Call(b.ctx, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: device.AuthenticatorID, IsUserVerified: yes})
		b.must(err)
	}
	elsewhere := s.signedIn(p)

	v.signIn(v.base, p)
	v.open(v.base+"/settings", 200)
	b.must(chromedp.Do(b.ctx, chromedp.Click(chromedp.CSS("details:has(form[action='/settings/passkeys']) summary"))))
	v.fill("sure-passkey", "not the password")
	b.must(chromedp.Do(b.ctx, chromedp.Click(chromedp.CSS("form[action='/settings/passkeys'] button"))))
	until(`!document.querySelector("form[data-passkey] [role=alert]").hidden`)
	b.must(chromedp.Do(b.ctx, chromedp.Evaluate[chromedp.Void](`document.getElementById("sure-passkey").value = ""`)))
	v.fill("sure-passkey", p.password)
	b.must(chromedp.Do(b.ctx, chromedp.Click(chromedp.CSS("form[action='/settings/passkeys'] button"))))
	until(`!!document.querySelector("form[action$='/remove']")`)
	v.look("passkeys")
	if s.in(elsewhere) {
		t.Error("a browser that was let in without the passkey stays in")
	}

	b.must(dropCookies(b))
	v.open(v.base+"/signin?next=/settings", 200)
	v.look("signin-passkey")
	verified(false) // a device that does not know its user is not enough alone
	enter(false)
	verified(true)
	_, err = chromedp.Call(b.ctx, webauthn.SetResponseOverrideBits, webauthn.SetResponseOverrideBitsParams{AuthenticatorID: device.AuthenticatorID, IsBogusSignature: new(true)})
	b.must(err)
	enter(false)
	_, err = chromedp.Call(b.ctx, webauthn.SetResponseOverrideBits, webauthn.SetResponseOverrideBitsParams{AuthenticatorID: device.AuthenticatorID})
	b.must(err)
	enter(true)
	if at := v.at(); at != "/settings" {
		t.Errorf("signed in with a passkey, at %s", at)
	}

	b.must(dropCookies(b))
	v.signIn(v.base, p)
	if at := v.at(); at != "/signin/second" {
		t.Fatalf("after the password at %s", at)
	}
	enter(true)
	if at := v.at(); at != "/orgs/"+s.customer.ID+"/board" {
		t.Errorf("after the second factor at %s", at)
	}

	// An answer counts once, and only to what was asked.
	answer, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`(async () => {
		const asked = await (await fetch("/signin/passkey/ask", {method: "POST"})).json();
		const key = await navigator.credentials.get({publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(asked.publicKey)});
		const send = () => fetch("/signin/passkey", {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(key.toJSON())});
		const list = [(await send()).status, (await send()).status];
		await fetch("/signin/passkey/ask", {method: "POST"});
		list.push((await send()).status);
		return list.join(" ");
	})()`, chromedp.EvalAwaitPromise))
	b.must(err)
	if answer != "200 400 401" {
		t.Errorf("an answer, the same again, and to another question: %s", answer)
	}

	u := s.user(p.email)
	if err := s.store.Tx(context.Background(), func(ctx context.Context, tx *store.Tx) error { return tx.DisableUser(ctx, u.ID, s.now) }); err != nil {
		t.Fatal(err)
	}
	b.must(dropCookies(b))
	v.open(v.base+"/signin", 200)
	enter(false)
	_, err = chromedp.Call(b.ctx, webauthn.Disable, cdp.Empty{})
	b.must(err)
	b.calm("passkeys", "401 (Unauthorized)", "403 (Forbidden)", "400 (Bad Request)", "Autofocus processing was blocked")
}

// By number, and over http elsewhere, browsers have no passkeys: nothing is offered.
func TestNoPasskeysByNumber(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	if _, body := s.get(s.browser(), "/signin"); strings.Contains(body, "data-passkey") {
		t.Error("the page offers passkeys at a number")
	}
	if res, _ := s.send(s.browser(), "POST", "/signin/passkey/ask", nil, nil); res.StatusCode != http.StatusConflict {
		t.Errorf("asking for one: status %d", res.StatusCode)
	}
}
