package agent_test

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
)

// keyset seals a list of the fake server's keys.
func (f *fake) keyset(root evidence.Signer, change func(*evidence.Keyset)) string {
	ks := evidence.Keyset{Version: 2, Server: "proof.example", LogKeys: []string{base64Of(f.logKey.Public().(ed25519.PublicKey))},
		ServerKeys: []string{base64Of(f.root.Public().SPKI())}, Since: evidence.At(f.now())}
	if change != nil {
		change(&ks)
	}
	env, err := evidence.SealKeyset(root, ks)
	if err != nil {
		panic(err)
	}
	return string(env.Bytes())
}

// A host that was away while the log key changed, for longer than both keys sign,
// hears of the new one with the first answer, and believes it for the root key that
// it has pinned.
func TestNewLogKeyIsTakenOver(t *testing.T) {
	r := newRig(t, counter("alpha", time.Hour))
	r.enroll()
	r.mustOnce()
	r.srv.set(func() {
		r.srv.logKey = newKey(t).Private()
		r.srv.answer = func(a *evidence.PushAnswer) { a.Keyset = r.srv.keyset(r.srv.root, nil) }
	})
	r.mustOnce()
	r.srv.set(func() { r.srv.answer = nil })
	r.mustOnce() // it was kept
	if s := r.status(); s.Alarm != nil || s.Spool.Waiting != 0 {
		t.Errorf("status %+v", s)
	}
}

// Whatever else calls itself a new keyset is refused, and nothing is forgotten.
func TestForgedKeysetIsRefused(t *testing.T) {
	stranger := newKey(t)
	for name, forge := range map[string]func(f *fake) string{
		"another root key": func(f *fake) string { return f.keyset(stranger, nil) },
		"another server": func(f *fake) string {
			return f.keyset(f.root, func(k *evidence.Keyset) { k.Server = "elsewhere.example" })
		},
		"an older version": func(f *fake) string { return f.keyset(f.root, func(k *evidence.Keyset) { k.Version = 1 }) },
		"no log key":       func(f *fake) string { return f.keyset(f.root, func(k *evidence.Keyset) { k.LogKeys = nil }) },
		"no envelope":      func(*fake) string { return "keyset" },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, counter("alpha", time.Hour))
			r.enroll()
			r.mustOnce()
			r.srv.set(func() {
				honest := r.srv.logKey
				r.srv.logKey = newKey(t).Private()
				r.srv.answer = func(a *evidence.PushAnswer) { a.Keyset = forge(r.srv) }
				t.Cleanup(func() { r.srv.set(func() { r.srv.logKey = honest }) })
			})
			if err := r.once(bounded(t, 3*time.Second)); err == nil || !strings.Contains(err.Error(), "new keyset") {
				t.Errorf("error %v", err)
			}
			if s := r.status(); s.Spool.Waiting != 1 || s.Log.Size != 3 {
				t.Errorf("%d records wait, log of %d is believed", s.Spool.Waiting, s.Log.Size)
			}
		})
	}
}
