//go:build unix

package eventlog

import (
	"io/fs"
	"syscall"
)

// identity tells files apart even when they are renamed.
func identity(info fs.FileInfo) (dev, inode uint64) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Dev), uint64(st.Ino) //nolint:unconvert // their types differ between systems
	}
	return 0, 0
}
