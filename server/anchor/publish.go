package anchor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// publish brings the folder up to a head: tiles and entries first, the checkpoint
// last, each whole or not at all. Full tiles are written once.
func (a *Anchor) publish(ctx context.Context, st ledger.State) error {
	if a.cfg.Publish == "" {
		return nil
	}
	note, err := Cosigned(ctx, a.Store.Reader, st)
	if err != nil {
		return err
	}
	name := filepath.Join(a.cfg.Publish, "checkpoint")
	there, err := os.ReadFile(name)
	if bytes.Equal(there, note) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("publishing the anchor log: %w", err)
	}
	old, err := a.published(there, st)
	if err == nil && old.Size < st.Size {
		err = ledger.ExportTilesSince(ctx, a.Store.Reader, st.ID, old.Size, st.Size, func(path string, data []byte) error {
			return once(filepath.Join(a.cfg.Publish, filepath.FromSlash(path)), data)
		})
	}
	if err == nil {
		err = replace(name, note)
	}
	if err != nil {
		return fmt.Errorf("publishing the anchor log: %w", err)
	}
	return nil
}

// published is the head that the folder shows; zero when there is none.
func (a *Anchor) published(there []byte, st ledger.State) (evidence.Head, error) {
	if len(there) == 0 {
		return evidence.Head{}, nil
	}
	trust, err := a.Trust(st.Origin)
	if err != nil {
		return evidence.Head{}, err
	}
	old, err := trust.OpenCheckpoint(there)
	switch {
	case err != nil:
		return old, fmt.Errorf("%s shows another log (%w): name an empty folder", a.cfg.Publish, err)
	case old.Size > st.Size:
		return old, fmt.Errorf("%s shows %d entries, the database has %d: it was set back; put back the newest copy", a.cfg.Publish, old.Size, st.Size)
	case old.Size == st.Size && old.Root != st.Root:
		return old, fmt.Errorf("%s shows another root at %d entries: run attesto-server check", a.cfg.Publish, old.Size)
	}
	return old, nil
}

// Cosigned is a head's checkpoint with the lines of the witnesses that cosigned it.
func Cosigned(ctx context.Context, r store.Reader, st ledger.State) ([]byte, error) {
	lines, err := r.CosignaturesAt(ctx, st.ID, st.Size)
	note := bytes.Clone(st.Checkpoint)
	for _, c := range lines {
		note = append(note, c.Line...)
	}
	return note, err
}

// once writes a file that never changes.
func once(name string, data []byte) error {
	there, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return replace(name, data)
	case err != nil:
		return err
	case !bytes.Equal(there, data):
		return fmt.Errorf("%s is there with another content: name an empty folder, and run attesto-server check", name)
	}
	return nil
}

// replace writes a file whole and durably, for all to read.
func replace(name string, data []byte) error {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
