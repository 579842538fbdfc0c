//go:build unix

package agent

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lock takes the state folder for this process; two agents on one folder would
// give one number to two records. The lock ends with the process.
func (s state) lock() (unlock func(), err error) {
	f, err := os.OpenFile(s.path(lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking state folder: %w", err)
	}
	for range 20 { // status holds it for a moment to see whether anybody does
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("another attesto-agent runs on %s; stop it first, or see what it does with: attesto-agent status", s.dir)
		}
		return nil, fmt.Errorf("locking state folder: %w", err)
	}
	return func() { _ = f.Close() }, nil
}

// locked reports whether a process holds the state folder.
func (s state) locked() bool {
	f, err := os.Open(s.path(lockFile))
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // opened for reading
	return errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}
