//go:build !windows

package agent

import (
	"errors"
	"os"
)

func rename(from, to string) error { return os.Rename(from, to) }

// syncDir makes the names in a folder durable (fsync(2)).
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
