package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/attesto/attesto/agent/keystore"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

const (
	nextKeyFile  = "agent.next.key" // made for a change that is under way
	rotatingFile = "rotating.json"  // with which record it comes into force
	rotateFile   = "rotate"         // somebody asks the running agent for a change
)

// rotating names the record that changes the key. It is durable before that record
// is, so that a crash at any point leaves no doubt about who signs what.
type rotating struct {
	Seq uint64         `json:"seq"`
	Key evidence.KeyID `json:"key"` // the next one
}

// keyring holds the key that signs and, while it is changed, the next one, which
// signs what follows the change.
type keyring struct {
	store keystore.Store
	st    state
	mu    sync.Mutex
	key   keystore.Key
	next  keystore.Key // nil when no change is under way
	from  uint64       // the change's record; 0 while it has no number
}

// openKeyring loads the keys and ends a change that a crash broke off: forward if
// its record is durable, else it is begun anew.
func openKeyring(store keystore.Store, st state, spool *Spool) (*keyring, error) {
	k := &keyring{store: store, st: st}
	var err error
	if k.key, err = store.Load(st.path(keyFile)); err != nil {
		return nil, err
	}
	next, err := store.Load(st.path(nextKeyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return nil, err
	}
	k.next = next
	var r rotating
	if err := readJSON(st.path(rotatingFile), &r); errors.Is(err, fs.ErrNotExist) {
		return k, nil
	} else if err != nil {
		return nil, err
	}
	if r.Key == next.KeyID() && spool.rotates(r.Seq) {
		k.from = r.Seq
		return k, k.promote()
	}
	return k, nil
}

// rotates reports whether a record is here and changes the key.
func (s *Spool) rotates(seq uint64) bool {
	for _, sub := range []string{waitDir, sentDir} {
		if _, env, err := s.read(sub, seq); err == nil {
			return evidence.PredicateType(env.Payload()) == evidence.PredicateRotation
		}
	}
	return false
}

// signer is who signs the record of a number.
func (k *keyring) signer(seq uint64) evidence.Signer {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.from > 0 && seq > k.from {
		return k.next
	}
	return k.key
}

// KeyID is the fingerprint of the key in use.
func (k *keyring) keyID() evidence.KeyID {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.key.KeyID()
}

// prepare makes the next key.
func (k *keyring) prepare() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.from > 0 {
		return errors.New("a change of key is under way already")
	}
	if k.next != nil {
		return nil // made before a crash, and never used
	}
	next, err := k.store.LoadOrCreate(k.st.path(nextKeyFile))
	if err == nil {
		k.next = next
	}
	return err
}

// change makes the envelope of the change, as the record of a number.
func (k *keyring) change(r evidence.Rotation) (evidence.Envelope, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r.KeyProtection = k.next.Protection()
	env, err := evidence.SealRotation(k.key, k.next, r)
	if err == nil {
		err = writeJSON(k.st.path(rotatingFile), rotating{r.Seq, k.next.KeyID()})
	}
	if err == nil {
		k.from = r.Seq
	}
	return env, err
}

// promote puts the next key in the place of the old one, which is gone then.
func (k *keyring) promote() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.from == 0 {
		return nil
	}
	if err := (osFiles{}).moveDurable(k.st.path(nextKeyFile), k.st.path(keyFile)); err != nil {
		return fmt.Errorf("putting the new key in place: %w", err)
	}
	k.key, k.next, k.from = k.next, nil, 0
	if err := os.Remove(k.st.path(rotatingFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// rotateKey changes the agent's key: the change is the next record of its chain.
func (s *sealer) rotateKey() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.agent
	if err := a.keys.prepare(); err != nil {
		return fmt.Errorf("changing the key: %w", err)
	}
	err := a.spool.seal(nil, nil, nil, a.now(), func(seq uint64, prev evidence.Digest, _ int) (evidence.Envelope, error) {
		return a.keys.change(evidence.Rotation{Org: a.id.Org, Agent: a.id.Agent, Seq: seq, Prev: prev, Log: a.pusher.knownHead().Head,
			Clock: clockNow(a.now(), a.pusher.delta())})
	})
	if err == nil {
		err = a.keys.promote()
	}
	if err != nil {
		return fmt.Errorf("changing the key: %w", err)
	}
	a.log.Info("the key was changed; the next push tells the server", "key", a.keys.keyID())
	a.pusher.nudge()
	return nil
}

// keepKey changes the key when its time has come, or when somebody asks for it.
func (a *Agent) keepKey() {
	asked := a.st.path(rotateFile)
	_, err := os.Stat(asked)
	due := err == nil
	if info, err := os.Stat(a.st.path(keyFile)); err == nil && a.cfg.KeyDays > 0 && a.now().Sub(info.ModTime()) > time.Duration(a.cfg.KeyDays)*24*time.Hour {
		due = true
	}
	if !due {
		return
	}
	if err := a.sealer.rotateKey(); err != nil {
		a.log.Error("changing the key; it is tried again", "error", err)
		return
	}
	if err := os.Remove(asked); err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.log.Error("ending the request for a new key", "error", err)
	}
}

// RotateKey changes the key of this host's agent. A running agent is asked to do
// so, and waited for until ctx ends; else it is done here and pushed. It returns the
// new key's fingerprint.
func RotateKey(ctx context.Context, cfg Config, h *host.Host, version string, log *slog.Logger) (evidence.KeyID, error) {
	st := state{cfg.StateDir}
	if !st.locked() {
		a, release, err := open(cfg, h, version, log)
		if err != nil {
			return "", err
		}
		defer release()
		if err := a.sealer.rotateKey(); err != nil {
			return "", err
		}
		return a.keys.keyID(), a.pusher.insist(ctx)
	}
	before, err := cfg.keys().Load(st.path(keyFile))
	if err != nil {
		return "", err
	}
	if err := writeFile(st.path(rotateFile), nil); err != nil {
		return "", fmt.Errorf("asking the running agent: %w", err)
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if now, err := cfg.keys().Load(st.path(keyFile)); err == nil && now.KeyID() != before.KeyID() {
			return now.KeyID(), nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("the running agent has not changed its key yet (%w); it will when it can: see attesto-agent status", ctx.Err())
		case <-tick.C:
		}
	}
}
