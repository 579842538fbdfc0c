//go:build !linux

package agent

import (
	"context"
	"errors"
)

// takeReports does nothing here: hooks hand in by the drop folder.
func (a *Agent) takeReports(context.Context) (wait func()) { return func() {} }

// ErrNoAgent says that no agent takes reports on a socket.
var ErrNoAgent = errors.New("no agent answers on a socket on this system")

// HandIn is for systems whose sockets tell who connects.
func HandIn(context.Context, Config, []byte) (string, error) { return "", ErrNoAgent }
