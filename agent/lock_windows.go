package agent

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// lock takes the state folder for this process: the file is opened without
// sharing, and the system closes it with the process.
func (s state) lock() (unlock func(), err error) {
	name, err := windows.UTF16PtrFromString(s.path(lockFile))
	if err != nil {
		return nil, fmt.Errorf("locking state folder: %w", err)
	}
	h, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE, 0, nil, windows.OPEN_ALWAYS, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return nil, fmt.Errorf("another attesto-agent runs on %s, or the folder cannot be written: %w", s.dir, err)
	}
	return func() { _ = windows.CloseHandle(h) }, nil
}

// locked reports whether a process holds the state folder.
func (s state) locked() bool {
	unlock, err := s.lock()
	if err != nil {
		return true
	}
	unlock()
	return false
}
