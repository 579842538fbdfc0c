package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/attesto/attesto/agent"
)

func (p *program) runCmd() *cobra.Command {
	var once bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Look, seal and push until stopped",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.config()
			if err != nil {
				return err
			}
			h := agent.NewHost(cfg)
			log := p.logger(cfg)
			if once {
				ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
				defer cancel()
				return agent.Once(ctx, cfg, h, version, log)
			}
			work := func(ctx context.Context) error {
				return agent.Run(ctx, cfg, h, version, log, notifyReady, notifyProgress)
			}
			if asService, err := runService(work); asService {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			err = work(ctx)
			_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping) // nobody listens outside systemd
			return err
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "look once with every collector, push until all is receipted, and end")
	cmd.Flags().DurationVar(&timeout, "timeout", 5*time.Minute, "with --once: give up after this time; what waits is kept")
	return cmd
}

// notifyReady and notifyProgress tell systemd (sd_notify(3)) that the agent is up
// and gets on; outside systemd they do nothing.
func notifyReady() { _, _ = daemon.SdNotify(false, daemon.SdNotifyReady) }

func notifyProgress() { _, _ = daemon.SdNotify(false, daemon.SdNotifyWatchdog) }
