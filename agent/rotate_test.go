package agent_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/attesto/attesto/agent"
	"github.com/attesto/attesto/evidence"
)

func (r *rig) file(name string) string { return filepath.Join(r.cfg.StateDir, name) }

func (r *rig) keyID() evidence.KeyID {
	r.t.Helper()
	k, err := evidence.LoadFileKey(r.file("agent.key"))
	if err != nil {
		r.t.Fatal(err)
	}
	return k.KeyID()
}

func (r *rig) rotateKey() evidence.KeyID {
	r.t.Helper()
	id, err := agent.RotateKey(bounded(r.t, time.Minute), r.cfg, r.h, "test", r.logger())
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The key changes in the middle of the chain; what comes after is signed with the
// new one, and the server has seen no hole and no old key.
func TestRotateKey(t *testing.T) {
	r := newRig(t, counter("alpha", time.Hour))
	r.enroll()
	r.mustOnce()
	first := r.keyID()
	second := r.rotateKey()
	if second == first || r.keyID() != second {
		t.Fatalf("key %s, was %s, the file has %s", second, first, r.keyID())
	}
	r.mustOnce()
	third := r.rotateKey()
	r.mustOnce()
	if got := r.srv.all(); len(got) != 5 || third == second {
		t.Errorf("%d records", len(got))
	}
	for _, left := range []string{"agent.next.key", "rotating.json", "rotate"} {
		if _, err := os.Stat(r.file(left)); err == nil {
			t.Errorf("%s was left behind", left)
		}
	}
}

// The running agent does it when asked, and by itself when the key is old.
func TestRotateKeyOfRunningAgent(t *testing.T) {
	r := newRig(t, counter("alpha", time.Hour))
	r.enroll()
	stop := r.run()
	first := r.keyID()
	second := r.rotateKey()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	old := time.Now().AddDate(-2, 0, 0)
	if err := os.Chtimes(r.file("agent.key"), old, old); err != nil {
		t.Fatal(err)
	}
	stop = r.run() // keeps house at once
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if third := r.keyID(); second == first || third == second {
		t.Errorf("keys %s, %s, %s", first, second, third)
	}
}

// Wherever a crash breaks a change off, every record is signed with the key of its
// place: the server of this test refuses any other.
func TestRotateKeyCrashes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		crash  func(r *rig, old []byte)
		change bool // the change has happened
	}{
		{"the next key is made", func(r *rig, old []byte) {
			r.undo(old)
			_ = os.Remove(r.file("rotating.json"))
			r.dropNewest()
		}, false},
		{"its number is noted", func(r *rig, old []byte) {
			r.undo(old)
			r.dropNewest()
		}, false},
		{"the record is durable", func(r *rig, old []byte) { r.undo(old) }, true},
		{"the new key is in place", func(r *rig, _ []byte) { r.note() }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, counter("alpha", time.Hour))
			r.enroll()
			r.mustOnce()
			old, err := os.ReadFile(r.file("agent.key"))
			if err != nil {
				t.Fatal(err)
			}
			first := r.keyID()
			r.srv.set(func() { r.srv.before = away })
			if _, err := agent.RotateKey(bounded(t, 10*time.Millisecond), r.cfg, r.h, "test", r.logger()); err == nil {
				t.Fatal("pushed to a server that is away")
			}
			second := r.keyID()
			tt.crash(r, old)
			r.srv.set(func() { r.srv.before = nil })
			r.mustOnce()
			if got := r.keyID(); tt.change && got != second || !tt.change && got != first {
				t.Errorf("key %s; before %s, after %s", got, first, second)
			}
			if third := r.rotateKey(); third == first {
				t.Error("no change afterwards")
			}
			r.mustOnce()
		})
	}
}

// undo puts the files back as they were before the new key took its place.
func (r *rig) undo(old []byte) {
	r.t.Helper()
	copyFile(r.t, r.file("agent.key"), r.file("agent.next.key"))
	r.note()
	if err := os.WriteFile(r.file("agent.key"), old, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) note() {
	r.t.Helper()
	b, err := json.Marshal(map[string]any{"seq": 2, "key": r.keyID()})
	if err == nil {
		err = os.WriteFile(r.file("rotating.json"), b, 0o600)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// dropNewest removes the record of the change, as if it had never become durable.
func (r *rig) dropNewest() {
	r.t.Helper()
	if err := os.Remove(r.file("wait/0000000000000002.rec")); err != nil {
		r.t.Fatal(err)
	}
}

func TestGeneralize(t *testing.T) {
	r := newRig(t, counter("alpha", time.Hour))
	r.enroll()
	stop := r.run()
	if err := agent.Generalize(r.cfg, true); err == nil {
		t.Error("forgot the keys of a running agent")
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	r.srv.set(func() { r.srv.before = away })
	if err := r.once(bounded(t, 2*time.Second)); err == nil {
		t.Fatal("pushed to a server that is away")
	}
	if err := agent.Generalize(r.cfg, false); err == nil {
		t.Error("forgot records that wait")
	}
	if err := agent.Generalize(r.cfg, true); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(r.cfg.StateDir)
	if err != nil || len(left) != 1 || left[0].Name() != "lock" {
		t.Errorf("left: %v, %v", left, err)
	}
	if agent.IsEnrolled(r.cfg) {
		t.Error("still enrolled")
	}
}

// away is a server that takes nothing.
func away(w http.ResponseWriter, _ *http.Request) bool {
	return status(w, http.StatusServiceUnavailable, 0)
}
