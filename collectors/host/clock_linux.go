package host

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// The bits of adjtimex(2) that matter here, and its state of an unsynchronised clock.
const (
	staUnsync = 0x0040
	staNano   = 0x2000
	timeError = 5
)

// kernelClock asks the kernel, which whoever disciplines the clock tells (adjtimex(2)).
func kernelClock() (KernelClock, error) {
	var t unix.Timex // no mode: nothing is changed
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return KernelClock{}, fmt.Errorf("adjtimex: %w", err)
	}
	unit := time.Microsecond
	if t.Status&staNano != 0 {
		unit = time.Nanosecond
	}
	return KernelClock{Synced: state != timeError && t.Status&staUnsync == 0, Offset: time.Duration(t.Offset) * unit, MaxError: time.Duration(t.Maxerror) * time.Microsecond}, nil
}
