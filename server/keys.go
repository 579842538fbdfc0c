package server

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// Keys are the server's keys and the ring of data keys. The root key signs the list
// of the others and nothing else; tokens pin it. The log key signs checkpoints, the
// server key what the server itself states.
type Keys struct {
	Root       *evidence.FileKey // nil when it is kept elsewhere
	RootPublic evidence.PublicKey
	Log        *evidence.FileKey
	Former     *evidence.FileKey // the log key before; nil for none
	Server     *evidence.FileKey
	Data       *store.KeyRing // of organisations' facts and details
	Sealed     []byte         // the keyset's envelope; nil for the first version, which is made from the keys
}

// Files of the folder for keys.
const (
	rootFile   = "root.pem"
	rootPub    = "root.pub" // stands for the root key when that is kept elsewhere
	keysetFile = "keyset.dsse.json"
)

// OpenKeys loads the keys of a data folder, and makes those that are missing.
func OpenKeys(data string) (Keys, error) {
	dir := filepath.Join(data, "keys")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Keys{}, fmt.Errorf("making the folder for keys: %w", err)
	}
	var k Keys
	if err := k.openRoot(dir); err != nil {
		return k, err
	}
	var err error
	if k.Server, err = evidence.LoadOrCreateFileKey(filepath.Join(dir, "server.pem")); err != nil {
		return k, err
	}
	if err := k.openLog(dir); err != nil {
		return k, err
	}
	k.Data, err = store.OpenKeyRing(filepath.Join(dir, "data"))
	return k, err
}

// openRoot loads the root key or, where that is kept elsewhere, its public part.
func (k *Keys) openRoot(dir string) error {
	_, missing := os.Stat(filepath.Join(dir, rootFile))
	b, err := os.ReadFile(filepath.Join(dir, rootPub))
	if errors.Is(missing, fs.ErrNotExist) && err == nil {
		block, _ := pem.Decode(b)
		if block == nil {
			return fmt.Errorf("%s holds no PEM key", filepath.Join(dir, rootPub))
		}
		k.RootPublic, err = evidence.ParsePublicKey(block.Bytes)
		return err
	}
	if k.Root, err = evidence.LoadOrCreateFileKey(filepath.Join(dir, rootFile)); err != nil {
		return err
	}
	k.RootPublic = k.Root.Public()
	return nil
}

// openLog loads the log keys that the keyset names: the first signs, the second
// beside it for a while. Without a keyset's file there is one.
func (k *Keys) openLog(dir string) error {
	var err error
	if k.Sealed, err = os.ReadFile(filepath.Join(dir, keysetFile)); errors.Is(err, fs.ErrNotExist) {
		k.Log, err = evidence.LoadOrCreateFileKey(filepath.Join(dir, "log.pem"))
		return err
	}
	if err != nil {
		return err
	}
	ks, err := k.keyset()
	if err != nil {
		return fmt.Errorf("reading %s: %w", filepath.Join(dir, keysetFile), err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "log*.pem"))
	if err != nil {
		return err
	}
	have := map[string]*evidence.FileKey{}
	for _, name := range files {
		key, err := evidence.LoadFileKey(name)
		if err != nil {
			return err
		}
		text, err := rawText(key)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		have[text] = key
	}
	if k.Log = have[ks.LogKeys[0]]; k.Log == nil {
		return fmt.Errorf("the log key of version %d of the keyset is not in %s: restore that folder whole", ks.Version, dir)
	}
	if len(ks.LogKeys) > 1 {
		k.Former = have[ks.LogKeys[1]] // without it agents that were away long hear of the keyset first
	}
	return nil
}

func (k *Keys) keyset() (evidence.Keyset, error) {
	env, err := evidence.ParseEnvelope(k.Sealed)
	if err != nil {
		return evidence.Keyset{}, err
	}
	return evidence.OpenKeyset(env, k.RootPublic)
}

func rawText(key *evidence.FileKey) (string, error) {
	raw, ok := key.Private().Public().(ed25519.PublicKey)
	if !ok {
		return "", errors.New("log key is not an Ed25519 key")
	}
	return base64.StdEncoding.EncodeToString(raw), nil
}

// ledger is what signs heads with these keys.
func (k Keys) ledger(ks evidence.Keyset, watch func(context.Context, ledger.State) error) *ledger.Log {
	if k.Former == nil {
		return ledger.New(k.Log.Private(), watch)
	}
	return ledger.New(k.Log.Private(), watch, ledger.Former{Key: k.Former.Private(), Until: ks.Since.Add(evidence.KeysetOverlap)})
}

// identity is what the server says of itself in every enrollment.
type identity struct {
	name   string
	keyset evidence.Keyset
	sealed string // keyset's envelope
}

func (k Keys) identity(name string) (identity, error) {
	if k.Sealed != nil {
		ks, err := k.keyset()
		if err == nil && ks.Server != name {
			err = fmt.Errorf("the keyset in the data folder is of server %q, this one is %q", ks.Server, name)
		}
		return identity{name, ks, string(k.Sealed)}, err
	}
	if k.Root == nil {
		return identity{}, fmt.Errorf("the root key is kept elsewhere and there is no %s: restore the folder for keys whole", keysetFile)
	}
	text, err := rawText(k.Log)
	if err != nil {
		return identity{}, err
	}
	ks := evidence.Keyset{
		Version: 1, Server: name, LogKeys: []string{text},
		ServerKeys: []string{base64.StdEncoding.EncodeToString(k.Server.Public().SPKI())},
	}
	env, err := evidence.SealKeyset(k.Root, ks)
	if err != nil {
		return identity{}, fmt.Errorf("signing the keyset: %w", err)
	}
	return identity{name, ks, string(env.Bytes())}, nil
}

// The settings that tie a database to its keys and name.
const (
	metaName   = "server_name"
	metaKeys   = "server_keys"    // ids of root, first log and server key
	metaKeyset = "keyset_version" // absent for the first
)

// bind sets the server's name and keys in a new database; in one that has them
// they must be the same, because every agent has pinned them. The log key may
// change, by a newer keyset that the root key has signed.
func bind(ctx context.Context, st *store.Store, k Keys, name string) (string, error) {
	prints := strings.Join([]string{string(k.RootPublic.ID()), string(k.Log.KeyID()), string(k.Server.KeyID())}, " ")
	err := st.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		known, err := tx.Meta(ctx, metaName)
		if errors.Is(err, store.ErrNotFound) {
			if name, err = firstName(name); err != nil {
				return err
			}
			return errors.Join(tx.SetMeta(ctx, metaName, name), tx.SetMeta(ctx, metaKeys, prints))
		}
		if err != nil {
			return err
		}
		if name != "" && name != known {
			return fmt.Errorf("the server's name is %q since its first start and stands in every log; the configuration says %q: put the first back", known, name)
		}
		name = known
		have, err := tx.Meta(ctx, metaKeys)
		if err != nil {
			return err
		}
		if !sameKeys(have, prints, k.Sealed != nil) {
			return fmt.Errorf("the keys in the data folder (%s) are not those of this database (%s): point data: at the right folder, or restore its keys", prints, have)
		}
		return k.onward(ctx, tx)
	})
	return name, err
}

// sameKeys compares ids; the log key's only while it is the first.
func sameKeys(have, prints string, rotated bool) bool {
	a, b := strings.Fields(have), strings.Fields(prints)
	if len(a) == 3 && len(b) == 3 && rotated {
		a[1] = b[1]
	}
	return slices.Equal(a, b)
}

// onward refuses an older keyset than the database has seen.
func (k Keys) onward(ctx context.Context, tx *store.Tx) error {
	version := 1
	if k.Sealed != nil {
		ks, err := k.keyset()
		if err != nil {
			return err
		}
		version = ks.Version
	}
	seen := 1
	text, err := tx.Meta(ctx, metaKeyset)
	if err == nil {
		seen, err = strconv.Atoi(text)
	} else if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	switch {
	case err != nil:
		return err
	case version < seen:
		return fmt.Errorf("the keyset in the data folder is version %d, agents know version %d: restore the newest copy of the folder for keys", version, seen)
	case version > seen:
		return tx.SetMeta(ctx, metaKeyset, strconv.Itoa(version))
	}
	return nil
}

// Keyset is the list of the server's keys in force, and the root key that signed it.
func (s *Server) Keyset() (evidence.Keyset, evidence.PublicKey) {
	return s.id.keyset, s.keys.RootPublic
}

// RotateLogKey makes a new log key and the keyset that names it, signed with root:
// the server's own, or one that is kept elsewhere. A running server takes it over
// when it is started again.
func (s *Server) RotateLogKey(data string, root *evidence.FileKey) (evidence.Keyset, error) {
	if root == nil {
		root = s.keys.Root
	}
	if root == nil {
		return evidence.Keyset{}, errors.New("the root key is kept elsewhere: name its file with --root")
	}
	if root.KeyID() != s.keys.RootPublic.ID() {
		return evidence.Keyset{}, fmt.Errorf("the key %s is not this server's root key %s", root.KeyID(), s.keys.RootPublic.ID())
	}
	dir := filepath.Join(data, "keys")
	ks := s.id.keyset
	ks.Version++
	key, err := evidence.LoadOrCreateFileKey(filepath.Join(dir, fmt.Sprintf("log-%d.pem", ks.Version))) // left there by a try that broke off
	if err != nil {
		return ks, err
	}
	text, err := rawText(key)
	if err != nil {
		return ks, err
	}
	ks.LogKeys, ks.Since = append([]string{text}, ks.LogKeys...), evidence.At(s.now())
	env, err := evidence.SealKeyset(root, ks)
	if err != nil {
		return ks, fmt.Errorf("signing the keyset: %w", err)
	}
	return ks, writeWhole(filepath.Join(dir, keysetFile), env.Bytes())
}

// ExportRoot writes the root key to a file of its own and leaves its public part, so
// that it can be kept away from the server. The copy in the data folder is deleted
// once the other was read back.
func (s *Server) ExportRoot(data, path string) error {
	if s.keys.Root == nil {
		return errors.New("the root key is kept elsewhere already")
	}
	dir := filepath.Join(data, "keys")
	b, err := os.ReadFile(filepath.Join(dir, rootFile))
	if err != nil {
		return err
	}
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("writing the root key: %w", err)
	}
	_, err = out.Write(b)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return fmt.Errorf("writing the root key to %s: %w", path, err)
	}
	if again, err := evidence.LoadFileKey(path); err != nil || again.KeyID() != s.keys.Root.KeyID() {
		return fmt.Errorf("the root key in %s cannot be read back: %w", path, err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: s.keys.RootPublic.SPKI()})
	if err := errors.Join(writeWhole(filepath.Join(dir, rootPub), public), writeWhole(filepath.Join(dir, keysetFile), []byte(s.id.sealed))); err != nil {
		return err
	}
	return os.Remove(filepath.Join(dir, rootFile))
}

// writeWhole puts a file in place whole, or leaves it as it was.
func writeWhole(path string, b []byte) error {
	f, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func firstName(name string) (string, error) {
	if name != "" {
		return name, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("finding a name for the server: %w; set name: in the configuration", err)
	}
	if host = strings.ToLower(host); !validName(host) {
		return "", fmt.Errorf("host name %q cannot name the server: set name: in the configuration", host)
	}
	return host, nil
}
