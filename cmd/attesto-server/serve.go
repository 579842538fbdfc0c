package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"

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
the program runs, /readyz only while the database answers too.

While nobody can sign in, it prints a link with which the provider and the first
account are made; each start makes a new one, and the first account ends it.`,
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
			if err := a.sayHowToSetUp(ctx, o, l.Addr()); err != nil {
				return errors.Join(err, l.Close())
			}
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

// sayHowToSetUp prints the link for the first account while there is none.
func (a *app) sayHowToSetUp(ctx context.Context, o *opened, at net.Addr) error {
	scheme, host := "http", at.String()
	if o.cfg.TLS.Cert != "" || o.cfg.TLS.ACME != nil {
		scheme = "https"
	}
	if name, port, err := net.SplitHostPort(host); err == nil && net.ParseIP(name).IsUnspecified() {
		if own, err := os.Hostname(); err == nil {
			host = net.JoinHostPort(own, port)
		}
	}
	link, err := o.SetupLink(ctx, scheme+"://"+host)
	if err == nil && link != "" {
		say(a.out, "Nobody can sign in yet. Set this server up, once and within a day, at\n\n  %s\n\nor here, with: attesto-server org add, attesto-server user add\n", link)
		if tcp, ok := at.(*net.TCPAddr); ok && tcp.IP.IsLoopback() && o.cfg.PublicURL == "" {
			say(a.out, "The link works on this host. From your desk: ssh -L %d:%s HOST, and open it there\n", tcp.Port, at)
		}
	}
	return err
}

// checkConfig reads what serve would, and opens nothing.
func (a *app) checkConfig() error {
	cfg, err := a.config()
	if err == nil {
		_, err = a.logger(cfg.Log.Level)
	}
	if err == nil && cfg.TLS.Cert != "" {
		if _, err = tls.LoadX509KeyPair(cfg.TLS.Cert, cfg.TLS.Key); err != nil {
			err = server.CertificateFault(cfg.TLS.Cert, cfg.TLS.Key, err)
		}
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
