package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/attesto/attesto/server/store"
)

// drain is how long requests under way may take to end once the server is told
// to stop.
const drain = 20 * time.Second

// Serve answers on l and runs the background loops until ctx ends; then it lets
// requests under way finish. It closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	secured, err := s.encryption(ctx, l)
	if err == nil {
		err = s.checkNewOrg(ctx)
	}
	if err == nil {
		err = s.listenReports(ctx, secured)
	}
	if err != nil {
		return errors.Join(err, l.Close())
	}
	srv := &http.Server{
		TLSConfig:         secured,
		Handler:           s.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	loops := make(chan error, 1)
	go func() { loops <- s.Run(background) }()
	served := make(chan error, 1)
	go func() {
		if secured != nil {
			served <- srv.ServeTLS(l, "", "")
			return
		}
		served <- srv.Serve(l)
	}()
	select {
	case err = <-served:
		err = fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
		if err = srv.Shutdown(limit); err != nil {
			err = fmt.Errorf("stopping: some requests did not end in %s: %w", drain, errors.Join(err, srv.Close()))
		}
		cancel()
		if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
			err = errors.Join(err, ended)
		}
	}
	stop()
	return errors.Join(err, <-loops)
}

// checkNewOrg refuses to let people into an organisation that is not. Other commands
// than serve still run, so that its id can be looked up.
func (s *Server) checkNewOrg(ctx context.Context) error {
	if s.cfg.OIDC == nil || s.cfg.OIDC.NewOrg == "" {
		return nil
	}
	_, err := s.store.Org(ctx, s.cfg.OIDC.NewOrg)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("oidc.new_people_org %q: no such organisation; attesto-server org list shows the ids", clip(s.cfg.OIDC.NewOrg, 80))
	}
	return err
}
