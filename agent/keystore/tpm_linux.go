package keystore

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	keyfile "github.com/foxboron/go-tpm-keyfiles"
	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxtpm"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"

	"github.com/attesto/attesto/evidence"
)

// tpmKey is a P-256 key that never leaves the TPM. The file holds it wrapped by the
// TPM's own storage key: useless anywhere else. It can be used by whoever may use
// the TPM on this host; it cannot be copied from it.
type tpmKey struct {
	device string
	key    *keyfile.TPMKey
	public evidence.PublicKey
	mu     sync.Mutex // the TPM does one thing at a time
}

func (s Store) createTPM(path string) (Key, error) {
	t, err := openTPM(s.TPM)
	if err != nil {
		return nil, err
	}
	key, err := keyfile.NewLoadableKey(t, tpm2.TPMAlgECC, 256, nil, keyfile.WithDescription("attesto-agent"))
	if err = errors.Join(err, t.Close()); err != nil {
		return nil, fmt.Errorf("making a key in the TPM %s: %w", s.TPM, err)
	}
	k, err := s.wrap(key)
	if err != nil {
		return nil, err
	}
	return k, write(path, key.Bytes())
}

func (s Store) loadTPM(path string, b []byte) (Key, error) {
	key, err := keyfile.Decode(b)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	k, err := s.wrap(key)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return k, nil
}

func (s Store) wrap(key *keyfile.TPMKey) (*tpmKey, error) {
	raw, err := key.PublicKey()
	if err != nil {
		return nil, err
	}
	public, err := evidence.NewPublicKey(raw)
	return &tpmKey{device: s.TPM, key: key, public: public}, err
}

// openTPM opens a device or, for an emulator, a socket.
func openTPM(path string) (transport.TPMCloser, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no TPM at %s: switch it on in the firmware, or set key_store: file", path)
	}
	var t transport.TPMCloser
	switch {
	case err != nil:
	case info.Mode()&os.ModeSocket != 0:
		t, err = linuxudstpm.Open(path)
	default:
		t, err = linuxtpm.Open(path)
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("opening the TPM: %w; the agent's account must be in the device's group (tss), see the configuration's comment on key_store", err)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the TPM: %w", err)
	}
	return t, nil
}

func (k *tpmKey) KeyID() evidence.KeyID      { return k.public.ID() }
func (k *tpmKey) Public() evidence.PublicKey { return k.public }
func (k *tpmKey) Protection() string         { return evidence.ProtectionTPM }

// Sign has the TPM sign the SHA-256 of msg.
func (k *tpmKey) Sign(msg []byte) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t, err := openTPM(k.device)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(msg)
	signer, err := k.key.Signer(t, nil, nil)
	var sig []byte
	if err == nil {
		sig, err = signer.Sign(rand.Reader, sum[:], crypto.SHA256)
	}
	if err = errors.Join(err, t.Close()); err != nil {
		return nil, fmt.Errorf("signing with the TPM %s: %w", k.device, err)
	}
	if err := k.public.Verify(msg, sig); err != nil {
		return nil, fmt.Errorf("the TPM's signature: %w", err)
	}
	return sig, nil
}
