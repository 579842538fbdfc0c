package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// files is how the spool changes the disk; tests put faults in its place.
type files interface {
	// writeDurable makes path hold b, whole, or as it was before. When it returns
	// without error the change survives a crash.
	writeDurable(path string, b []byte) error
	// moveDurable renames a file; likewise durable.
	moveDurable(from, to string) error
}

type osFiles struct{}

func (osFiles) writeDurable(path string, b []byte) error {
	temp := path + tempExt
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	if err := rename(temp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func (osFiles) moveDurable(from, to string) error {
	if err := rename(from, to); err != nil {
		return err
	}
	return errors.Join(syncDir(filepath.Dir(to)), syncDir(filepath.Dir(from)))
}

func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	if err := (osFiles{}).writeDurable(path, append(b, '\n')); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

// writeFile writes a file whole, but does not force it to disk.
func writeFile(path string, b []byte) error {
	if err := os.WriteFile(path+tempExt, b, 0o600); err != nil {
		return err
	}
	return rename(path+tempExt, path)
}
