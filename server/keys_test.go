package server_test

import (
	"crypto/ed25519"
	"path/filepath"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/store/storetest"
)

// For ninety days both keys sign, then the new one alone; whoever knows the older
// keyset gets the newer one.
func TestLogKeysOverlap(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := newWorld(t, dsn)
		h := w.enrolled(w.customer)
		h.pushes(h.seals(2)...)
		old := h.trusted
		ks, err := w.srv.RotateLogKey(w.data, nil)
		if err != nil || ks.Version != 2 || len(ks.LogKeys) != 2 {
			t.Fatalf("%+v, %v", ks, err)
		}
		if w.keys, err = server.OpenKeys(w.data); err != nil {
			t.Fatal(err)
		}
		w.restart()
		fresh := evidence.TrustedLog{Origin: old.Origin, Keys: []ed25519.PublicKey{w.keys.Log.Private().Public().(ed25519.PublicKey)}}
		push := func(version int) evidence.PushAnswer {
			t.Helper()
			var answer evidence.PushAnswer
			body := evidence.Push{Known: evidence.KnownHead{Size: 0, Keyset: version}, Records: []evidence.PushRecord{h.seal().wire()}}
			if _, refusal := w.call("POST", evidence.PathRecords, h.push, body, &answer); refusal != nil {
				t.Fatal(refusal)
			}
			return answer
		}
		answer := push(0)
		for name, trust := range map[string]evidence.TrustedLog{"former": old, "new": fresh} {
			if _, err := trust.OpenCheckpoint([]byte(answer.Checkpoint)); err != nil {
				t.Errorf("in the overlap, the %s key: %v", name, err)
			}
		}
		env, err := evidence.ParseEnvelope([]byte(answer.Keyset))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := evidence.OpenKeyset(env, w.keys.RootPublic); err != nil || got.Version != 2 {
			t.Errorf("keyset %+v, %v", got, err)
		}
		if answer := push(2); answer.Keyset != "" {
			t.Error("who knows the keyset got it again")
		}
		w.now = w.now.Add(evidence.KeysetOverlap + time.Hour)
		answer = push(2)
		if _, err := old.OpenCheckpoint([]byte(answer.Checkpoint)); err == nil {
			t.Error("after the overlap the former key still signs")
		}
		if _, err := fresh.OpenCheckpoint([]byte(answer.Checkpoint)); err != nil {
			t.Error(err)
		}
		if faults := w.check(t); len(faults) > 0 {
			t.Errorf("check: %v", faults)
		}
		if code, out := verdict(t, w.export()); code != 0 {
			t.Errorf("export: exit %d\n%s", code, out)
		}
	})
}

// The root key leaves the server whole, and only once.
func TestRootKeyKeptElsewhere(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	path := filepath.Join(t.TempDir(), "root.pem")
	id := w.keys.RootPublic.ID()
	if err := w.srv.ExportRoot(w.data, path); err != nil {
		t.Fatal(err)
	}
	keys, err := server.OpenKeys(w.data)
	if err != nil || keys.Root != nil || keys.RootPublic.ID() != id {
		t.Fatalf("%v, root %v", err, keys.RootPublic.ID())
	}
	w.keys = keys
	w.restart()
	w.enrolled(w.customer)
	if err := w.srv.ExportRoot(w.data, path+"2"); err == nil {
		t.Error("exported twice")
	}
	root, err := evidence.LoadFileKey(path)
	if err != nil || root.KeyID() != id {
		t.Fatalf("%v", err)
	}
	if _, err := w.srv.RotateLogKey(w.data, nil); err == nil {
		t.Error("rotated without the root key")
	}
	if ks, err := w.srv.RotateLogKey(w.data, root); err != nil || ks.Version != 2 {
		t.Errorf("%+v, %v", ks, err)
	}
}
