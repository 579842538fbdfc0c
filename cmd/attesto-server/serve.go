package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/anchor"
)

func (a *app) serveCommand() *cobra.Command {
	var listen string
	var checkConfig bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve agents and people until told to stop",
		Long: `Serve agents and people until SIGINT or SIGTERM; then requests under way are
finished.

Agents speak to /v1/, people to /, scripts to /api/v1/; /healthz answers as long as
the program runs, /readyz only while the database answers too.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			ctx := cmd.Context()
			if checkConfig {
				return a.checkConfig()
			}
			o, err := a.open(ctx, func(c *server.Config) {
				if listen != "" {
					c.Listen = listen
				}
			})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, o.close()) }()
			l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.cfg.Listen)
			if err != nil {
				return fmt.Errorf("listening on %s: %w; set listen: or --listen", o.cfg.Listen, err)
			}
			o.log.InfoContext(ctx, "serving", "listen", l.Addr().String(), "version", version)
			notify(ctx, o, daemon.SdNotifyReady)
			err = o.Serve(ctx, l)
			notify(ctx, o, daemon.SdNotifyStopping)
			return err
		},
	}
	cmd.Flags().BoolVar(&checkConfig, "check-config", false, "read the configuration and the files that it names, say what is wrong, and end")
	cmd.Flags().StringVar(&listen, "listen", "", "`HOST:PORT` to listen on, instead of the configured one")
	return cmd
}

// checkConfig reads what serve would, and opens nothing.
func (a *app) checkConfig() error {
	cfg, err := a.config()
	if err == nil {
		_, err = a.logger(cfg.Log.Level)
	}
	if err == nil && cfg.TLS.Cert != "" {
		_, err = tls.LoadX509KeyPair(cfg.TLS.Cert, cfg.TLS.Key)
	}
	if err == nil && cfg.Anchor != nil {
		_, err = anchor.New(*cfg.Anchor, anchor.Deps{})
	}
	if err != nil {
		return err
	}
	say(a.out, "The configuration has no faults.\n")
	return nil
}

// notify tells systemd, where it asked to be told.
func notify(ctx context.Context, o *opened, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		o.log.WarnContext(ctx, "telling systemd", "err", err)
	}
}

func (a *app) migrateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schema up to date (serve does it too)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(context.Context, *opened) error {
				say(a.out, "The schema is up to date.\n")
				return nil
			})
		},
	}
}
