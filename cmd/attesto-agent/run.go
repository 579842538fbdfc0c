package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"strings"
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
			log := p.logger(cfg)
			if out, err := serviceLog(cfg.StateDir); err != nil {
				return err
			} else if out != nil {
				defer out.Close() //nolint:errcheck // the log ends with the process
				log = slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: cfg.LogLevel}))
			}
			if !agent.IsEnrolled(cfg) && fileExists(agent.DropInFile) {
				if err := p.enroll(cmd.Context(), cfg, log, "", ""); err != nil {
					return err
				}
			}
			h := agent.NewHost(cfg)
			if once {
				ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
				defer cancel()
				return agent.Once(ctx, cfg, h, version, log)
			}
			work := func(ctx context.Context) error {
				return agent.Run(ctx, cfg, h, version, log, agent.Hooks{Ready: notifyReady, Progress: notifyProgress})
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

// notifyReady and notifyProgress tell systemd (sd_notify(3)) that the agent is up,
// gets on, and how it stands; outside systemd they do nothing.
func notifyReady() { _, _ = daemon.SdNotify(false, daemon.SdNotifyReady) }

func notifyProgress(status string) {
	_, _ = daemon.SdNotify(false, daemon.SdNotifyWatchdog+"\nSTATUS="+strings.ReplaceAll(status, "\n", " "))
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
