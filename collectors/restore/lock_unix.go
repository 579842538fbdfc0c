//go:build unix

package restore

import (
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

func tryLock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

func unlock(f *os.File) { _ = unix.Flock(int(f.Fd()), unix.LOCK_UN) }

// ownedAsState gives a file that root made by hand (attesto-agent collect restore) to the
// account that owns the folder above, which is the agent's.
func ownedAsState(path string) {
	if os.Geteuid() != 0 {
		return
	}
	info, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		_ = os.Lchown(path, int(s.Uid), int(s.Gid)) // if not, the agent itself says that it may not
	}
}
