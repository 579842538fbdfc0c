package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// certCheck is how often a certificate's files are looked at, at most.
const certCheck = 10 * time.Second

// certFiles is a certificate in files that may be exchanged at any time.
type certFiles struct {
	cert, key string
	log       *slog.Logger
	now       func() time.Time

	mu      sync.Mutex
	loaded  *tls.Certificate
	stamp   string // of the files as they were read
	checked time.Time
}

func newCertFiles(c TLS, log *slog.Logger, now func() time.Time) (*certFiles, error) {
	f := &certFiles{cert: c.Cert, key: c.Key, log: log, now: now}
	stamp, err := f.stampOf()
	if err == nil {
		err = f.load(stamp)
	}
	return f, err
}

// stampOf changes with either file.
func (f *certFiles) stampOf() (string, error) {
	var s strings.Builder
	for _, name := range []string{f.cert, f.key} {
		info, err := os.Stat(name)
		if err != nil {
			return "", fmt.Errorf("certificate: %w", err)
		}
		fmt.Fprintf(&s, "%d %d ", info.Size(), info.ModTime().UnixNano())
	}
	return s.String(), nil
}

func (f *certFiles) load(stamp string) error {
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return CertificateFault(f.cert, f.key, err)
	}
	f.loaded, f.stamp = &pair, stamp
	return nil
}

// CertificateFault says which files of a certificate do not hold, and what to do about
// a key that the service may not read.
func CertificateFault(cert, key string, err error) error {
	err = fmt.Errorf("certificate %s with key %s: %w", cert, key, err)
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w; let the service read both: chgrp attesto-server and chmod 640", err)
	}
	return err
}

// get is the certificate of now. While new files do not fit together, which they may
// not for a moment, the old certificate stays in use.
func (f *certFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.now(); now.Sub(f.checked) >= certCheck {
		f.checked = now
		stamp, err := f.stampOf()
		if err == nil && stamp != f.stamp {
			if err = f.load(stamp); err == nil {
				f.log.Info("the certificate was read anew", "cert", f.cert, "until", f.loaded.Leaf.NotAfter)
			}
		}
		if err != nil {
			f.log.Error("the certificate stays as it was", "err", err)
		}
	}
	return f.loaded, nil
}

// encryption is how the server speaks TLS on a listener; nil for plain HTTP.
func (s *Server) encryption(ctx context.Context, l net.Listener) (*tls.Config, error) {
	c := s.cfg.TLS
	switch {
	case c.Cert != "":
		files, err := newCertFiles(c, s.log, time.Now)
		if err != nil {
			return nil, err
		}
		return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: files.get}, nil
	case c.ACME != nil:
		return s.acme(ctx, l)
	}
	return nil, nil
}

// acme gets certificates for the configured names by ACME (RFC 8555), renews them in
// good time, and keeps them beside the server's keys. The names are proven on the
// server's own listener (RFC 8737) or, where acme.http is set, over plain HTTP.
func (s *Server) acme(ctx context.Context, l net.Listener) (*tls.Config, error) {
	c := s.cfg.TLS.ACME
	log := s.log.With("component", "acme")
	roots, err := c.roots()
	if err != nil {
		return nil, err
	}
	var magic *certmagic.Config
	cache := certmagic.NewCache(certmagic.CacheOptions{Logger: zap.NewNop(), GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return magic, nil }})
	context.AfterFunc(ctx, cache.Stop)
	magic = certmagic.New(cache, certmagic.Config{Logger: zap.NewNop(), Storage: &certmagic.FileStorage{Path: filepath.Join(s.cfg.Data, "acme")},
		OnEvent: func(ctx context.Context, event string, data map[string]any) error {
			switch event {
			case "cert_obtained":
				log.InfoContext(ctx, "certificate obtained", "name", data["identifier"])
			case "cert_failed":
				log.ErrorContext(ctx, "no certificate; is the name's address this server's, and the port reachable from outside?", "name", data["identifier"], "err", data["error"])
			}
			return nil
		}})
	issuer := certmagic.NewACMEIssuer(magic, certmagic.ACMEIssuer{CA: c.Directory, TestCA: c.Directory, Email: c.Email, Agreed: true, TrustedRoots: roots,
		DisableHTTPChallenge: c.HTTP == "", DisableTLSALPNChallenge: c.HTTP != "", Logger: zap.NewNop()})
	if at, ok := l.Addr().(*net.TCPAddr); ok {
		issuer.AltTLSALPNPort = at.Port // it is this listener that answers
	}
	magic.Issuers = []certmagic.Issuer{issuer}
	if c.HTTP != "" {
		if err := s.plain(ctx, c.HTTP, issuer); err != nil {
			return nil, err
		}
	}
	if err := magic.ManageAsync(ctx, c.Domains); err != nil {
		return nil, fmt.Errorf("acme: %w", err)
	}
	return magic.TLSConfig(), nil
}

func (c ACME) roots() (*x509.CertPool, error) {
	if c.CA == "" {
		return nil, nil
	}
	text, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, fmt.Errorf("tls.acme.ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("tls.acme.ca: no certificate in %s", c.CA)
	}
	return pool, nil
}

// plain answers challenges over plain HTTP, and sends everything else to HTTPS.
func (s *Server) plain(ctx context.Context, listen string, issuer *certmagic.ACMEIssuer) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("tls.acme.http: %w", err)
	}
	if at, ok := l.Addr().(*net.TCPAddr); ok {
		issuer.AltHTTPPort = at.Port // else it would listen on port 80 itself
		if !at.IP.IsUnspecified() {
			issuer.ListenHost = at.IP.String()
		}
	}
	redirect := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := s.cfg.PublicURL
		if path := r.URL.RequestURI(); strings.HasPrefix(path, "/") { // else it could go on in the host's name
			to += path
		}
		http.Redirect(w, r, to, http.StatusPermanentRedirect)
	})
	srv := &http.Server{Handler: issuer.HTTPChallengeHandler(redirect), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	go func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.ErrorContext(ctx, "answering over plain HTTP", "err", err)
		}
	}()
	return nil
}
