package keystore_test

import (
	"bytes"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/agent/keystore"
	"github.com/attesto/attesto/evidence"
)

// tpm starts a real TPM emulator (swtpm) with a state folder of its own and returns
// its socket.
func tpm(t *testing.T, state string) string {
	t.Helper()
	if _, err := exec.LookPath("swtpm"); err != nil {
		absent(t, "swtpm")
	}
	dir, err := os.MkdirTemp("", "tpm") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	cmd := exec.CommandContext(t.Context(), "swtpm", "socket", "--tpm2", "--tpmstate", "dir="+state, "--server", "type=unixio,path="+socket, "--flags", "not-need-init,startup-clear")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for range 500 {
		if c, err := (&net.Dialer{}).DialContext(t.Context(), "unix", socket); err == nil {
			_ = c.Close()
			return socket
		}
		time.Sleep(10 * time.Millisecond) // until it listens: its socket is there before that
	}
	t.Fatal("swtpm does not start")
	return ""
}

func absent(t *testing.T, program string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed: make deps", program)
	}
	t.Skipf("%s is not installed: make deps", program)
}

// stores are the ways to keep a key that can run here.
func stores(t *testing.T) map[string]keystore.Store {
	t.Helper()
	list := map[string]keystore.Store{
		evidence.ProtectionFile: {Keep: keystore.File},
		evidence.ProtectionTPM:  {Keep: keystore.TPM, TPM: tpm(t, t.TempDir())},
	}
	if _, err := exec.LookPath("systemd-creds"); err != nil {
		absent(t, "systemd-creds")
	}
	if os.Geteuid() == 0 { // only root may use the host's own key
		list[evidence.ProtectionSystemd] = keystore.Store{Keep: keystore.Systemd}
	}
	return list
}

func TestKeys(t *testing.T) {
	for protection, s := range stores(t) {
		t.Run(protection, func(t *testing.T) {
			if err := s.Check(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "agent.key")
			if _, err := s.Load(path); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("no key: %v", err)
			}
			made, err := s.LoadOrCreate(path)
			if err != nil {
				t.Fatal(err)
			}
			again, err := s.LoadOrCreate(path)
			if err != nil || again.KeyID() != made.KeyID() || again.Protection() != protection {
				t.Fatalf("loaded again: %v, %s and %s", err, again.KeyID(), made.KeyID())
			}
			for _, k := range []keystore.Key{made, again} {
				sig, err := k.Sign([]byte("message"))
				if err != nil {
					t.Fatal(err)
				}
				if err := made.Public().Verify([]byte("message"), sig); err != nil {
					t.Error(err)
				}
				if made.Public().Verify([]byte("another"), sig) == nil {
					t.Error("a signature holds for another message")
				}
			}
			// However new keys are kept, this one says itself how it is.
			other := keystore.Store{Keep: keystore.File, TPM: s.TPM}
			if k, err := other.Load(path); err != nil || k.Protection() != protection {
				t.Errorf("loaded by another setting: %v", err)
			}
			if err := os.Chmod(path, 0o640); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Load(path); err == nil || !strings.Contains(err.Error(), "others can read it") {
				t.Errorf("a file that others can read: %v", err)
			}
			info, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if plain := bytes.Contains(info, []byte("BEGIN PRIVATE KEY")); plain != (protection == evidence.ProtectionFile) {
				t.Errorf("the file holds the plain key: %v", plain)
			}
		})
	}
}

// A copy of the file is useless beside another TPM.
func TestKeyOfAnotherTPM(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.key")
	home := keystore.Store{Keep: keystore.TPM, TPM: tpm(t, t.TempDir())}
	k, err := home.LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	away := keystore.Store{Keep: keystore.TPM, TPM: tpm(t, t.TempDir())}
	copied, err := away.Load(path)
	if err != nil || copied.KeyID() != k.KeyID() {
		t.Fatalf("loading: %v", err)
	}
	if sig, err := copied.Sign([]byte("message")); err == nil {
		t.Errorf("another TPM signed: %x", sig)
	}
}

// Where the means are missing the error says so, and what to do.
func TestMeansMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.key")
	if _, err := (keystore.Store{Keep: keystore.TPM, TPM: filepath.Join(t.TempDir(), "none")}).LoadOrCreate(path); err == nil || !strings.Contains(err.Error(), "key_store: file") {
		t.Errorf("no TPM: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := (keystore.Store{Keep: keystore.Systemd}).LoadOrCreate(path); err == nil || !strings.Contains(err.Error(), "systemd-creds") {
		t.Errorf("no systemd-creds: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was left behind: %v", err)
	}
	if err := (keystore.Store{Keep: "cloud"}).Check(); err == nil {
		t.Error("an unknown store passes")
	}
}

// A unit that has the key handed in by systemd needs no right to open it.
func TestKeyHandedIn(t *testing.T) {
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "agent.key")
	plain, err := evidence.CreateFileKey(filepath.Join(dir, "attesto-agent"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("c2VhbGVkIGJ5IHN5c3RlbWQ=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	k, err := (keystore.Store{Keep: keystore.Systemd}).Load(path)
	if err != nil || k.KeyID() != plain.KeyID() || k.Protection() != evidence.ProtectionSystemd {
		t.Errorf("%v", err)
	}
}

// Whatever stands in a key's file: an error, and no crash.
func FuzzLoad(f *testing.F) {
	f.Add([]byte("-----BEGIN TSS2 PRIVATE KEY-----\nMIHwBgZngQUKAQOgAwEB/wIEQAAAAQRYAFYAIwALAAYAcgAAABAAEAADABAAIHnH\n-----END TSS2 PRIVATE KEY-----\n"))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, b []byte) {
		if !bytes.HasPrefix(bytes.TrimSpace(b), []byte("-----BEGIN")) {
			return // would be given to systemd-creds
		}
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", "")
		_, _ = keystore.Store{Keep: keystore.File, TPM: "/nonexistent"}.Load(path)
	})
}
