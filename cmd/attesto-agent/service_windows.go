package main

import (
	"context"

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
