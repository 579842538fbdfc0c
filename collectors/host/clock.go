package host

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// KernelClock is what the kernel knows of its own clock.
type KernelClock struct {
	Synced   bool          // somebody disciplines it
	Offset   time.Duration // what is still to be corrected
	MaxError time.Duration // at most
}

// KernelClock asks the kernel about its clock; ErrUnknown where it cannot tell.
func (h *Host) KernelClock() (KernelClock, error) {
	if h.Clock != nil {
		return h.Clock()
	}
	return kernelClock()
}

// Zone is the name of the host's time zone, "Europe/Rome", by /etc/localtime or
// /etc/timezone; empty where neither names one.
func (h *Host) Zone() string {
	if target, err := os.Readlink(h.Path("/etc/localtime")); err == nil {
		if _, name, ok := strings.Cut(filepath.ToSlash(target), "zoneinfo/"); ok && zoneName(name) {
			return name
		}
	}
	if b, err := h.ReadFile("/etc/timezone", 1<<10); err == nil {
		if name := strings.TrimSpace(string(b)); zoneName(name) {
			return name
		}
	}
	return ""
}

func zoneName(s string) bool {
	return s != "" && len(s) <= 60 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("/_+-", r)
	})
}
