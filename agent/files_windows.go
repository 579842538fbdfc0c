package agent

import (
	"os"

	"golang.org/x/sys/windows"
)

// rename moves a file in place of another and returns once the change is on disk
// (MoveFileEx with MOVEFILE_WRITE_THROUGH).
func rename(from, to string) error {
	a, err := windows.UTF16PtrFromString(from)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	b, err := windows.UTF16PtrFromString(to)
	if err == nil {
		err = windows.MoveFileEx(a, b, windows.MOVEFILE_REPLACE_EXISTING|windows.MOVEFILE_WRITE_THROUGH)
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// syncDir has nothing to do: rename writes through, and Windows cannot flush a folder.
func syncDir(string) error { return nil }
