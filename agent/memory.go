package agent

import (
	"runtime"
	"runtime/debug"
)

// resting is how much heap an agent may hold between looks, in bytes: about twice
// what it needs to wait.
const resting = 6 << 20

// giveBack returns what a look needed to the system. Looks are minutes apart, so the
// collection costs less than the memory would; where little is held it does nothing.
func giveBack() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapSys-m.HeapReleased > resting {
		debug.FreeOSMemory()
		dropProgram()
	}
}
