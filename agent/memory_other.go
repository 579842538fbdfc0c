//go:build !linux

package agent

// dropProgram does nothing here.
func dropProgram() {}
