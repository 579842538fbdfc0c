package agent

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/attesto/attesto/evidence"
)

// Identity is what enrollment gave this host. It stands in identity.json (0600).
type Identity struct {
	Server    string          `json:"server"`
	Org       string          `json:"org"`
	OrgName   string          `json:"orgName"`
	Agent     string          `json:"agent"`
	PushToken string          `json:"pushToken"`
	RootKey   []byte          `json:"rootKey"` // SPKI
	Keyset    string          `json:"keyset"`  // envelope
	Origin    string          `json:"origin"`
	First     evidence.Digest `json:"first"` // the enrollment statement, to which record 1 is chained
}

// ErrNotEnrolled says that this host has no identity yet.
var ErrNotEnrolled = errors.New("this host is not enrolled; run: attesto-agent enroll --server URL --token TOKEN")

const (
	identityFile = "identity.json"
	keyFile      = "agent.key"
	witnessFile  = "witness.key"
	headFile     = "head.json"
	askedFile    = "enrolling.json"
	machineFile  = "machine.key"
	alarmFile    = "alarm.json"
	epochsFile   = "epochs.json"
	statusFile   = "status.json"
	lockFile     = "lock"
	reportDir    = "report"
)

// state is the agent's folder.
type state struct{ dir string }

func (s state) path(name string) string { return filepath.Join(s.dir, name) }

func (s state) identity() (Identity, error) {
	var id Identity
	err := readJSON(s.path(identityFile), &id)
	if errors.Is(err, fs.ErrNotExist) {
		return id, ErrNotEnrolled
	}
	if errors.Is(err, fs.ErrPermission) {
		return id, fmt.Errorf("%w; run as root or as the agent's own user", err)
	}
	return id, err
}

// IsEnrolled reports whether this host has an identity.
func IsEnrolled(cfg Config) bool {
	_, err := state{cfg.StateDir}.identity()
	return !errors.Is(err, ErrNotEnrolled)
}

// keyset is the trust in the server's keys that enrollment gave.
func (id Identity) keyset() (evidence.Keyset, error) {
	root, err := evidence.ParsePublicKey(id.RootKey)
	if err != nil {
		return evidence.Keyset{}, fmt.Errorf("stored root key: %w", err)
	}
	env, err := evidence.ParseEnvelope([]byte(id.Keyset))
	if err != nil {
		return evidence.Keyset{}, fmt.Errorf("stored keyset: %w", err)
	}
	return evidence.OpenKeyset(env, root)
}

// knownHead is the newest head of the log that this agent verified and made durable.
type knownHead struct {
	evidence.Head
	Checkpoint string `json:"checkpoint"` // signed
}

func (s state) head() (knownHead, error) {
	var h knownHead
	err := readJSON(s.path(headFile), &h)
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	return h, err
}

// machineKey is a secret of this host; it keys pseudonyms and never leaves it.
func (s state) machineKey() ([]byte, error) {
	path := s.path(machineFile)
	b, err := os.ReadFile(path)
	if err == nil && len(b) == 32 {
		return b, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading machine key: %w", err)
	}
	b = make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	if err := (osFiles{}).writeDurable(path, b); err != nil {
		return nil, fmt.Errorf("writing machine key: %w", err)
	}
	return b, nil
}
