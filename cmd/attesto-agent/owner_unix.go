//go:build unix

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// serviceUser runs the packaged agent.
const serviceUser = "attesto"

// ownedByService gives the state folder to the service's account when root
// enrolled the packaged agent, so that the service can read its keys.
func ownedByService(dir string) error {
	u, err := user.Lookup(serviceUser)
	var absent user.UnknownUserError
	if errors.As(err, &absent) {
		return nil // not the packaged agent
	}
	if err != nil {
		return fmt.Errorf("looking up user %s: %w", serviceUser, err)
	}
	if os.Geteuid() != 0 || filepath.Clean(dir) != u.HomeDir {
		return nil
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return fmt.Errorf("user %s: %w", serviceUser, err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return fmt.Errorf("user %s: %w", serviceUser, err)
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
}
