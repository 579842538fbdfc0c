// Package keystore keeps an agent's signing key: in a file, sealed by systemd to
// this host, or in the host's TPM. Each key is one file that says itself how it is
// kept, so that a change of key, by renaming, works the same for all.
package keystore

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/attesto/attesto/evidence"
)

// The ways to keep a key, as the configuration names them.
const (
	File    = "file"
	Systemd = "systemd-creds"
	TPM     = "tpm"
)

// Key is a signing key and how it is kept.
type Key interface {
	evidence.Signer
	// Protection is one of evidence's words for how the key is kept.
	Protection() string
}

// Store makes and loads keys.
type Store struct {
	Keep string // File, Systemd or TPM: how new keys are kept
	TPM  string // the TPM's device, or the socket of an emulator
}

// Check refuses a store that this system cannot have.
func (s Store) Check() error {
	switch s.Keep {
	case File:
		return nil
	case Systemd, TPM:
		if runtime.GOOS == "linux" {
			return nil
		}
		return fmt.Errorf("key_store: %s is for Linux; on %s a key is kept in a file", s.Keep, runtime.GOOS)
	}
	return fmt.Errorf("key_store: %q: want %s, %s or %s", s.Keep, File, Systemd, TPM)
}

// maxKey bounds a key's file, in bytes.
const maxKey = 64 << 10

// tssType is the PEM type of a key that only its TPM can use
// (draft-bottomley-tpm2-keys).
const tssType = "TSS2 PRIVATE KEY"

// Load reads a key, however it is kept. A file that others than its owner can read
// is refused; fs.ErrNotExist when there is none.
func (s Store) Load(path string) (Key, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading key file: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("key file %s has mode %04o: others can read it; chmod 600 it, and enroll anew if it may have been read", path, info.Mode().Perm())
	}
	if info.Size() > maxKey {
		return nil, fmt.Errorf("key file %s: larger than %d bytes", path, maxKey)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading key file: %w", err)
	}
	block, _ := pem.Decode(b)
	switch {
	case block == nil && len(bytes.TrimSpace(b)) > 0:
		return unseal(path)
	case block != nil && block.Type == tssType:
		return s.loadTPM(path, b)
	}
	k, err := evidence.LoadFileKey(path)
	if err != nil {
		return nil, err
	}
	return software{k, evidence.ProtectionFile}, nil
}

// LoadOrCreate loads a key, or makes one when there is none.
func (s Store) LoadOrCreate(path string) (Key, error) {
	k, err := s.Load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	switch s.Keep {
	case TPM:
		return s.createTPM(path)
	case Systemd:
		return seal(path)
	}
	file, err := evidence.CreateFileKey(path)
	if err != nil {
		return nil, err
	}
	return software{file, evidence.ProtectionFile}, nil
}

// software is a key in this process' memory.
type software struct {
	*evidence.FileKey
	protection string
}

func (k software) Protection() string { return k.protection }

// newKey makes an Ed25519 key as PKCS #8 PEM.
func newKey() (*evidence.FileKey, []byte, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding a key: %w", err)
	}
	k, err := evidence.NewFileKey(private)
	return k, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

// parseKey reads what newKey made.
func parseKey(b []byte) (*evidence.FileKey, error) {
	block, rest := pem.Decode(b)
	if block == nil || block.Type != "PRIVATE KEY" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("not one PEM block PRIVATE KEY")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("a key of type %T, want Ed25519", parsed)
	}
	return evidence.NewFileKey(private)
}

// write puts a new key's file in place, whole and durable. It never overwrites one.
func write(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("creating key file: %w", err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil && runtime.GOOS != "windows" {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing key file %s: %w", path, err), os.Remove(path))
	}
	return nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
