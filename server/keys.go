package server

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/store"
)

// Keys are the server's three keys and the ring of data keys. The root key signs the list of the others and
// nothing else; tokens pin it. The log key signs checkpoints, the server key what
// the server itself states.
type Keys struct {
	Root   *evidence.FileKey
	Log    *evidence.FileKey
	Server *evidence.FileKey
	Data   *store.KeyRing // of organisations' facts and details
}

// OpenKeys loads the keys of a data folder, and makes those that are missing.
func OpenKeys(data string) (Keys, error) {
	dir := filepath.Join(data, "keys")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Keys{}, fmt.Errorf("making the folder for keys: %w", err)
	}
	var k Keys
	for name, to := range map[string]**evidence.FileKey{"root": &k.Root, "log": &k.Log, "server": &k.Server} {
		key, err := evidence.LoadOrCreateFileKey(filepath.Join(dir, name+".pem"))
		if err != nil {
			return Keys{}, err
		}
		*to = key
	}
	var err error
	k.Data, err = store.OpenKeyRing(filepath.Join(dir, "data"))
	return k, err
}

// identity is what the server says of itself in every enrollment.
type identity struct {
	name   string
	keyset evidence.Keyset
	sealed string // keyset's envelope
}

func (k Keys) identity(name string) (identity, error) {
	logKey, ok := k.Log.Private().Public().(ed25519.PublicKey)
	if !ok {
		return identity{}, errors.New("log key is not an Ed25519 key")
	}
	ks := evidence.Keyset{
		Version: 1, Server: name,
		LogKeys:    []string{base64.StdEncoding.EncodeToString(logKey)},
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
	metaName = "server_name"
	metaKeys = "server_keys"
)

// bind sets the server's name and keys in a new database; in one that has them
// they must be the same, because every agent has pinned them.
func bind(ctx context.Context, st *store.Store, k Keys, name string) (string, error) {
	prints := strings.Join([]string{string(k.Root.KeyID()), string(k.Log.KeyID()), string(k.Server.KeyID())}, " ")
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
		if have != prints {
			return fmt.Errorf("the keys in the data folder (%s) are not those of this database (%s): point data: at the right folder, or restore its keys", prints, have)
		}
		return nil
	})
	return name, err
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
