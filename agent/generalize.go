package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Generalize removes from this host all that makes it one agent: keys, identity,
// what was sent and what waits. A template or an image that is made afterwards can
// be started many times, and each copy enrolls as a host of its own. It refuses
// while the agent runs, and, unless forced, while records wait that the server has
// not confirmed.
func Generalize(cfg Config, force bool) error {
	st := state{cfg.StateDir}
	if _, err := os.Stat(st.dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	release, err := st.lock()
	if err != nil {
		return err
	}
	defer release()
	if !force {
		if id, err := st.identity(); err == nil {
			s, err := readSpool(st.dir, cfg.Spool, id.First, osFiles{})
			if err != nil {
				return fmt.Errorf("%w; --force removes it all the same", err)
			}
			if n := s.State().Waiting; n > 0 {
				return fmt.Errorf("%d records wait that the server has not confirmed: push them first (attesto-agent run --once), or give them up with --force", n)
			}
		}
	}
	list, err := os.ReadDir(st.dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.Name() == lockFile {
			continue // held by this process; it says nothing
		}
		if err := os.RemoveAll(filepath.Join(st.dir, e.Name())); err != nil {
			return fmt.Errorf("removing the agent's state: %w", err)
		}
	}
	return syncDir(st.dir)
}
