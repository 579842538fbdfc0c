//go:build !windows

package main

import (
	"context"
	"io"
)

// runService reports that no service manager of its own kind started us: systemd
// speaks through signals and sd_notify.
func runService(func(context.Context) error) (asService bool, err error) { return false, nil }

// serviceLog is nil: standard error goes to the journal.
func serviceLog(string) (io.WriteCloser, error) { return nil, nil }
