//go:build unix

package host

import (
	"os/exec"
	"syscall"
)

// ownGroup puts the program into a group of its own and makes cancellation end
// all of it.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
