package agent

import (
	"bytes"
	"os"

	"golang.org/x/sys/unix"

	"github.com/attesto/attesto/evidence"
)

// readClock asks the kernel: adjtimex(2) for discipline and error bound,
// CLOCK_BOOTTIME for the time since boot with suspend, and the boot id.
func readClock(c *evidence.Clock) {
	var tx unix.Timex
	if state, err := unix.Adjtimex(&tx); err == nil {
		c.Synced = state != unix.TIME_ERROR && tx.Status&unix.STA_UNSYNC == 0
		c.MaxErrorMs = tx.Maxerror / 1000
	}
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err == nil {
		c.UptimeMs = ts.Nano() / 1e6
	}
	if b, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		c.BootID = string(bytes.TrimSpace(b))
	}
}
