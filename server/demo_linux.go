package server

import "syscall"

// endWithParent has the kernel end a child whose parent is gone in whatever way.
func endWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }
