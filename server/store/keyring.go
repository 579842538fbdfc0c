package store

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/attesto/attesto/evidence"
)

// KeyRing holds a data key for each organisation, in a folder beside the database
// and never in it: a copy of the database alone opens no facts and no details, and
// destroying an organisation's key makes its contents unreadable in every copy
// that was ever made. Keys are of 256 bits; blobs are sealed with AES-GCM.
type KeyRing struct {
	dir string
	mu  sync.Mutex
	by  map[string]cipher.AEAD
}

// sealedBlob is the first byte of a sealed blob. A blob itself starts with '{'.
const sealedBlob = 1

// ErrNoDataKey says that an organisation's contents cannot be read: its key was
// destroyed, or is on another machine.
var ErrNoDataKey = errors.New("no data key")

// OpenKeyRing opens the folder of data keys and makes it if it is missing.
func OpenKeyRing(dir string) (*KeyRing, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder for data keys: %w", err)
	}
	return &KeyRing{dir: dir, by: map[string]cipher.AEAD{}}, nil
}

func (k *KeyRing) path(org string) string { return filepath.Join(k.dir, filepath.Base(org)+".key") }

// key is an organisation's key; it is read once.
func (k *KeyRing) key(org string) (cipher.AEAD, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if a, ok := k.by[org]; ok {
		return a, nil
	}
	text, err := os.ReadFile(k.path(org))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w of organisation %s in %s: it was erased, or the folder is not the one that all servers share", ErrNoDataKey, org, k.dir)
	}
	if err != nil {
		return nil, fmt.Errorf("reading a data key: %w", err)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(raw) != 32 {
		return nil, fmt.Errorf("data key %s: not 32 bytes in base64: put back a copy of it", k.path(org))
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, err
	}
	a, err := cipher.NewGCM(block)
	if err == nil {
		k.by[org] = a
	}
	return a, err
}

// Make makes an organisation's key, durably. One that is there stays.
func (k *KeyRing) Make(org string) error {
	f, err := os.OpenFile(k.path(org), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("making a data key: %w", err)
	}
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(raw) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close(), syncFolder(k.dir)); err != nil {
		return errors.Join(fmt.Errorf("making a data key: %w", err), os.Remove(k.path(org)))
	}
	return nil
}

// Digest names an organisation's key without telling it; zero when it is gone.
func (k *KeyRing) Digest(org string) (evidence.Digest, error) {
	text, err := os.ReadFile(k.path(org))
	if errors.Is(err, fs.ErrNotExist) {
		return evidence.Digest{}, nil
	}
	return evidence.Sum(text), err
}

// Destroy overwrites and removes an organisation's key. One that is gone is no
// error.
func (k *KeyRing) Destroy(org string) error {
	k.mu.Lock()
	delete(k.by, org)
	k.mu.Unlock()
	f, err := os.OpenFile(k.path(org), os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		_, err = f.Write(make([]byte, 64))
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err = errors.Join(err, os.Remove(k.path(org)), syncFolder(k.dir)); err != nil {
		return fmt.Errorf("destroying a data key: %w", err)
	}
	return nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// seal encrypts a blob for its place.
func (k *KeyRing) seal(org string, d evidence.Digest, data []byte) ([]byte, error) {
	a, err := k.key(org)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 1+a.NonceSize(), 1+a.NonceSize()+len(data)+a.Overhead())
	out[0] = sealedBlob
	_, _ = rand.Read(out[1:]) // never fails
	return a.Seal(out, out[1:], data, append([]byte(org), d[:]...)), nil
}

// open decrypts what seal made; what was stored without a key ring is as it is.
func (k *KeyRing) open(org string, d evidence.Digest, stored []byte) ([]byte, error) {
	if len(stored) == 0 || stored[0] != sealedBlob {
		return stored, nil
	}
	if k == nil {
		return nil, fmt.Errorf("%w: the database is open without its keys", ErrNoDataKey)
	}
	a, err := k.key(org)
	if err != nil {
		return nil, err
	}
	if len(stored) < 1+a.NonceSize() {
		return nil, fmt.Errorf("blob %s was cut off: run attesto-server check", d)
	}
	nonce := stored[1 : 1+a.NonceSize()]
	data, err := a.Open(nil, nonce, stored[1+a.NonceSize():], append([]byte(org), d[:]...))
	if err != nil {
		return nil, fmt.Errorf("blob %s was changed, or sealed with another key: %w", d, err)
	}
	return data, nil
}

// UseKeys has blobs sealed with the keys of a ring. Call it before anything is
// read or written; without it blobs are stored as they are.
func (s *Store) UseKeys(k *KeyRing) { s.ring.keys = k }

// ring is shared by all readers of a store.
type ring struct{ keys *KeyRing }

// opened decrypts a blob's data. One that cannot be read is Broken.
func (r Reader) opened(b Blob) Blob {
	data, err := r.ring.open(b)
	if err != nil {
		b.Data, b.Broken = nil, err.Error()
		return b
	}
	b.Data = data
	return b
}

func (r *ring) open(b Blob) ([]byte, error) {
	if r == nil {
		return b.Data, nil
	}
	return r.keys.open(b.Place.Org, b.Place.SHA, b.Data)
}

func (t *Tx) sealed(ctx context.Context, org string, d evidence.Digest, data []byte) ([]byte, error) {
	if t.ring.keys == nil {
		return data, nil
	}
	out, err := t.ring.keys.seal(org, d, data)
	if !errors.Is(err, ErrNoDataKey) {
		return out, err
	}
	// An organisation from before there were keys gets one, unless blobs of it are
	// sealed: then its key is elsewhere, and a second one would split its contents.
	var one int64
	missing := t.one(ctx, "looking for sealed blobs", `SELECT 1 FROM blob WHERE org_id = $1 AND substr(data, 1, 1) = $2 LIMIT 1`, []any{org, []byte{sealedBlob}}, &one)
	erased := t.one(ctx, "looking for an erasure", `SELECT 1 FROM org WHERE id = $1 AND erased > 0`, []any{org}, &one)
	if !errors.Is(missing, ErrNotFound) || !errors.Is(erased, ErrNotFound) {
		return nil, err
	}
	if err := t.ring.keys.Make(org); err != nil {
		return nil, err
	}
	return t.ring.keys.seal(org, d, data)
}
