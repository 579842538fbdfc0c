//go:build !linux

package host

func kernelClock() (KernelClock, error) { return KernelClock{}, ErrUnknown }
