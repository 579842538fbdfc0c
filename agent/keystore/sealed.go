package keystore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// credential is the name under which systemd-creds(1) seals the key: it opens under
// no other.
const credential = "attesto-agent"

// sealTimeout bounds a call of systemd-creds; a TPM behind it may be slow.
const sealTimeout = 30 * time.Second

// seal makes a key whose file only this host can open: systemd-creds encrypts it
// with the host's own key and, where there is one, with the TPM. The agent has the
// key in memory while it runs.
func seal(path string) (Key, error) {
	key, plain, err := newKey()
	if err != nil {
		return nil, err
	}
	sealed, err := creds(plain, "encrypt", "--name="+credential, "-", "-")
	if err != nil {
		return nil, fmt.Errorf("sealing the key: %w", err)
	}
	if err := write(path, sealed); err != nil {
		return nil, err
	}
	return software{key, evidence.ProtectionSystemd}, nil
}

// unseal opens a key that seal made. A unit that has
// LoadCredentialEncrypted=attesto-agent:FILE gets it opened by systemd, so that the
// agent needs no right to do so itself.
func unseal(path string) (Key, error) {
	plain, err := handed()
	if err == nil && plain == nil {
		plain, err = creds(nil, "decrypt", "--name="+credential, path, "-")
	}
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w; it opens only on the host that sealed it, for root or through LoadCredentialEncrypted= in the unit", path, err)
	}
	key, err := parseKey(plain)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return software{key, evidence.ProtectionSystemd}, nil
}

// handed is the key as systemd hands it to a unit; nil when it does not.
func handed() ([]byte, error) {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return nil, nil
	}
	b, err := os.ReadFile(filepath.Join(dir, credential))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// creds runs systemd-creds.
func creds(in []byte, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), sealTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "systemd-creds", args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdin = bytes.NewReader(in)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		if text := strings.TrimSpace(said.String()); text != "" {
			err = fmt.Errorf("%w: %.300s", err, text)
		}
		return nil, fmt.Errorf("systemd-creds %s: %w", args[0], err)
	}
	return out.Bytes(), nil
}
