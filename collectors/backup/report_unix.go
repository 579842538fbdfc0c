//go:build unix

package backup

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"syscall"
)

// DefaultReports is the drop folder that the packages make.
const DefaultReports = "/var/lib/attesto/report"

// openFlags keep the opening of a named pipe from waiting.
const openFlags = syscall.O_NONBLOCK

func ownUID() string { return strconv.Itoa(os.Getuid()) }

// ownerOf is the uid of a file's owner.
func ownerOf(info fs.FileInfo) string {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return strconv.FormatUint(uint64(st.Uid), 10)
	}
	return ""
}

// syncFolder makes a rename in dir durable. A folder that may only be written
// cannot be opened; then the file system's own order has to do.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// othersMayChange tells whether an account other than root and the agent's own
// can change the file.
func othersMayChange(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (st.Uid != 0 && int(st.Uid) != os.Getuid() || info.Mode().Perm()&0o022 != 0)
}
