package agent

import (
	"golang.org/x/sys/windows"

	"github.com/attesto/attesto/evidence"
)

// readClock gives the time since boot (GetTickCount64); Windows has no call that
// bounds the clock's error.
func readClock(c *evidence.Clock) {
	c.UptimeMs = windows.DurationSinceBoot().Milliseconds()
}
