package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows/svc"
)

const serviceName = "attesto-agent"

// runService runs work under the Windows service manager, if that started us.
func runService(work func(context.Context) error) (asService bool, err error) {
	if is, err := svc.IsWindowsService(); err != nil || !is {
		return false, err
	}
	s := &service{work: work}
	if err := svc.Run(serviceName, s); err != nil {
		return true, err
	}
	return true, s.err
}

type service struct {
	work func(context.Context) error
	err  error
}

// Execute answers the service manager until it says stop.
func (s *service) Execute(_ []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (bool, uint32) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.work(ctx) }()
	status <- svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown}
	for {
		select {
		case s.err = <-done:
			if s.err != nil {
				return false, 1
			}
			return false, 0
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				status <- r.CurrentStatus
			case svc.Stop, svc.Shutdown:
				status <- svc.Status{State: svc.StopPending}
				cancel()
			}
		}
	}
}

// maxServiceLog is the size over which the log of the run before is set aside.
const maxServiceLog = 10 << 20

// serviceLog opens agent.log in the state folder when the service manager started
// us: a service has no standard error. It is nil otherwise.
func serviceLog(dir string) (io.WriteCloser, error) {
	if is, err := svc.IsWindowsService(); err != nil || !is {
		return nil, err
	}
	path := filepath.Join(dir, "agent.log")
	if info, err := os.Stat(path); err == nil && info.Size() > maxServiceLog {
		if err := os.Rename(path, path+".1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("setting the old log aside: %w", err)
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	return f, nil
}
