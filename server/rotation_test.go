package server_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/bundle"
	"github.com/attesto/attesto/server/store/storetest"
)

// rotate makes the change to a new key, the next record of the host's chain.
func (h *host) rotate() sealed {
	t := h.w.t
	t.Helper()
	next := newKey(t)
	env, err := evidence.SealRotation(h.key, next, evidence.Rotation{Org: h.org, Agent: h.id, Seq: h.seq + 1, Prev: h.prev, Log: h.known,
		Clock: evidence.Clock{Now: evidence.At(h.w.now)}, KeyProtection: evidence.ProtectionFile})
	if err != nil {
		t.Fatal(err)
	}
	h.seq, h.prev, h.key = h.seq+1, env.StatementDigest(), next
	return sealed{env: env}
}

// An agent changes its key in the middle of its chain; each record is proven by the
// key of its place, in the database and in an export.
func TestKeyRotation(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		ctx := context.Background()
		w := newWorld(t, dsn)
		h := w.enrolled(w.customer)
		first, before := h.key, h.seals(2)
		h.pushes(before...)
		old := *h
		// All in one push: before, the change, after, another change, after.
		batch := append(h.seals(1), h.rotate())
		batch = append(append(batch, h.seals(2)...), h.rotate())
		batch = append(batch, h.seals(1)...)
		if got := outcomes(h.pushes(batch...)); got != "[ok ok ok ok ok ok]" {
			t.Fatal(got)
		}
		// Sent again, whoever signed it.
		if got := outcomes(h.pushes(before[0], batch[0], batch[1], batch[2], batch[5])); got != "[duplicate duplicate duplicate duplicate duplicate]" {
			t.Error(got)
		}
		for seq := int64(1); seq <= 8; seq++ {
			proofs, err := w.srv.VerifyRecord(ctx, w.customer.ID, 1, w.indexOf(h, seq))
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range proofs {
				if !p.OK {
					t.Errorf("record %d: %s: %s", seq, p.Name, p.Why)
				}
			}
		}
		if faults := w.sound(); faults != "" {
			t.Error(faults)
		}
		for _, packed := range []bool{false, true} {
			dir := w.export(func(q *bundle.Request) { q.Packed = packed })
			if code, out := verdict(t, dir); code != 0 || strings.Count(out, "          key SHA256:") != 3 {
				t.Errorf("exit %d:\n%s", code, out)
			}
			if code, out := second(t, dir); code != 0 {
				t.Errorf("verify.py: exit %d:\n%s", code, out)
			}
		}
		// The old key is worth nothing any more, not even for the next number.
		old.seq, old.prev, old.known = h.seq, h.prev, h.known
		if got := outcomes(old.pushes(old.seal())); got != "[signature]" {
			t.Errorf("a record signed with the old key: %s", got)
		}
		if got := outcomes(old.pushes(old.rotate())); got != "[gap]" && got != "[signature]" {
			t.Errorf("a change of key signed with the old key: %s", got)
		}
		if got := outcomes(h.pushes(h.seal())); got != "[ok]" {
			t.Errorf("the agent itself, afterwards: %s", got)
		}
		// Nor can a key that was used before be enrolled.
		again := w.newHost()
		again.key = first
		token := w.token(w.customer.ID, 1)
		offer, refusal := again.begin(token)
		if refusal == nil {
			refusal = again.finish(token, again.statement(token, offer))
		}
		if refusal == nil || refusal.Code != evidence.CodeKeyInUse {
			t.Errorf("a key that was used before was enrolled: %v", refusal)
		}
	})
}

// A change of key without the new key's own proof, or with a forged place, is
// refused; a key in the row that the log does not lead to is found by check.
func TestForgedRotation(t *testing.T) {
	dsn := storetest.SQLite(t)
	w := newWorld(t, dsn)
	h := w.enrolled(w.customer)
	h.pushes(h.seals(1)...)
	next := newKey(t)
	env, err := evidence.SealRotation(h.key, next, evidence.Rotation{Org: h.org, Agent: h.id, Seq: 2, Prev: h.prev, Clock: evidence.Clock{Now: evidence.At(w.now)}, KeyProtection: "file"})
	if err != nil {
		t.Fatal(err)
	}
	stranger := newKey(t)
	text := strings.Replace(string(env.Payload()), base64.StdEncoding.EncodeToString(next.Public().SPKI()), base64.StdEncoding.EncodeToString(stranger.Public().SPKI()), 1)
	forged, err := evidence.SealPayload(h.key, evidence.PayloadInToto, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if got := outcomes(h.pushes(sealed{env: forged})); got == "[ok]" {
		t.Error("a change to somebody else's key was accepted")
	}
	attack(t, dsn, `UPDATE agent SET spki = x'`+hex.EncodeToString(stranger.Public().SPKI())+`'`)
	if faults := w.sound(); !strings.Contains(faults, "is not the one that its enrollment and changes of key lead to") {
		t.Errorf("another key in the agent's row:\n%s", faults)
	}
}

// A key was stolen some time ago: what came since is marked, what came before stays
// as it was, and nothing comes after.
func TestDistrustedKey(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		ctx := context.Background()
		w := newWorld(t, dsn)
		h := w.enrolled(w.customer)
		h.pushes(h.seals(2)...)
		w.now = w.now.Add(time.Hour)
		stolen := w.now
		w.now = w.now.Add(time.Hour)
		h.pushes(h.seals(2)...)
		if _, err := w.srv.RevokeAgent(ctx, h.id, "he lost it", "", stolen); err == nil {
			t.Error("free text went into the log")
		}
		if _, err := w.srv.RevokeAgent(ctx, h.id, "stolen", "", w.now.Add(time.Hour)); err == nil {
			t.Error("distrusted from the future on")
		}
		index, err := w.srv.RevokeAgent(ctx, h.id, "stolen", "", stolen)
		if err != nil {
			t.Fatal(err)
		}
		for seq, suspect := range map[int64]bool{1: false, 2: false, 3: true, 4: true} {
			proofs, err := w.srv.VerifyRecord(ctx, w.customer.ID, 1, w.indexOf(h, seq))
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range proofs {
				if !p.OK || p.Name == "signature" && strings.Contains(p.Why, "SUSPECT") != suspect {
					t.Errorf("record %d: %+v, suspect %v", seq, p, suspect)
				}
			}
		}
		if rec, err := w.store.RecordAt(ctx, w.customer.ID, w.logID(), index); err != nil || rec.Type != evidence.EntryRevocation {
			t.Errorf("entry %d: %v, %v", index, rec.Type, err)
		}
		if refusal := w.try(h, h.seal()); refusal == nil {
			t.Error("a revoked agent may still push")
		}
		if faults := w.sound(); faults != "" {
			t.Error(faults)
		}
		dir := w.export()
		if code, out := verdict(t, dir); code != 0 || !strings.Contains(out, "SUSPECT") {
			t.Errorf("exit %d:\n%s", code, out)
		}
		if code, out := second(t, dir); code != 0 {
			t.Errorf("verify.py: exit %d:\n%s", code, out)
		}
	})
}

func (w *world) logID() string {
	w.t.Helper()
	st, err := w.store.Log(context.Background(), w.customer.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return st.ID
}
