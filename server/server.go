// Package server is the other side of the agents: it enrolls them, verifies,
// logs and stores what they push, has it judged, and serves the pages. This file
// wires the parts.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/anchor"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/web"
)

// Deps is what a server is made of besides its configuration.
type Deps struct {
	Store   *store.Store
	Guard   *store.Guard // nil: a database that is set back is not noticed here
	Keys    Keys
	Log     *slog.Logger
	Version string
	Now     func() time.Time // time.Now when nil
}

// Server is the whole server behind one http.Handler. Its methods that change
// something are what the command line and the pages call.
type Server struct {
	cfg     Config
	store   *store.Store
	keys    Keys
	id      identity
	ledger  *ledger.Log
	guard   *guard
	log     *slog.Logger
	version string
	now     func() time.Time

	commits *committers
	rates   *rates
	parsed  sync.Map      // agents' keys that were vetted, by SPKI
	busy    chan struct{} // one place for each push that is being read
	hooks   []func(org string, kinds []evidence.Kind)
	loops   []func(context.Context) error
	pages   http.Handler
	proxies web.Proxies

	catalogue *duties.Catalogue
	judge     *Judge
	alerts    *alert.Loop
	anchor    *anchor.Anchor // nil: not configured
}

// maxReading bounds the pushes whose bodies are held in memory at once.
const maxReading = 64

// New makes a server on an open store. The name of a new database is cfg.Name or
// the host's; later the two must agree.
func New(ctx context.Context, cfg Config, d Deps) (*Server, error) {
	d.Store.UseKeys(d.Keys.Data)
	name, err := bind(ctx, d.Store, d.Keys, cfg.Name)
	if err != nil {
		return nil, err
	}
	id, err := d.Keys.identity(name)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, store: d.Store, keys: d.Keys, id: id,
		log: d.Log.With("component", "server"), version: d.Version, now: d.Now,
		rates: newRates(cfg.Limits), busy: make(chan struct{}, maxReading),
	}
	if s.proxies, err = web.ParseProxies(cfg.Proxies); err != nil {
		return nil, fmt.Errorf("trusted_proxies: %w", err)
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.ledger = d.Keys.ledger(id.keyset, s.mayAppend)
	if err := s.openGuard(ctx, d.Guard); err != nil {
		return nil, err
	}
	s.commits = newCommitters(s)
	s.loops = append(s.loops, s.nightly)
	if err := errors.Join(s.startJudging(), s.startAnchor()); err != nil {
		return nil, err
	}
	return s, s.startPages()
}

// OnAccepted has fn called after records or late blobs of these kinds were
// committed for an organisation. fn must return at once. Call it before serving.
func (s *Server) OnAccepted(fn func(org string, kinds []evidence.Kind)) {
	s.hooks = append(s.hooks, fn)
}

func (s *Server) accepted(org string, kinds []evidence.Kind) {
	for _, fn := range s.hooks {
		fn(org, kinds)
	}
}

// Handler serves agents under /v1/, the health probes, and people under /.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+evidence.PathRecords, s.handleRecords)
	mux.HandleFunc("GET "+evidence.PathChain, s.handleChain)
	mux.HandleFunc("PUT "+evidence.PathBlobs+"{sha}", s.handleBlob)
	mux.HandleFunc("POST "+evidence.PathEnrollBegin, s.handleEnrollBegin)
	mux.HandleFunc("POST "+evidence.PathEnroll, s.handleEnroll)
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, http.StatusNotFound, &evidence.Error{Code: evidence.CodeMalformed,
			Message: fmt.Sprintf("no %s %s here", r.Method, clip(r.URL.Path, 80)), Cure: "update the agent or the server: they should be of about the same age"})
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", s.handleReady)
	mux.Handle("/", s.pages)
	return mux
}

// handleReady says whether requests can be served: the database must answer. What
// the operator should look at is told, and does not make the server unready.
func (s *Server) handleReady(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := s.store.Ping(ctx); err != nil {
		s.log.ErrorContext(ctx, "not ready", "err", err)
		writeText(w, http.StatusServiceUnavailable, "the database does not answer\n")
		return
	}
	troubles, err := s.troubles(ctx)
	if err != nil {
		s.log.ErrorContext(ctx, "readiness", "err", err)
	}
	writeText(w, http.StatusOK, strings.Join(append([]string{"ready"}, troubles...), "\n")+"\n")
}

// Run runs the background loops until ctx ends, and then waits for commits that
// are under way.
func (s *Server) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, len(s.loops))
	for i, loop := range s.loops {
		wg.Go(func() {
			if err := loop(ctx); err != nil && !errors.Is(err, context.Canceled) {
				errs[i] = err
			}
		})
	}
	<-ctx.Done()
	wg.Wait()
	s.commits.wait()
	return errors.Join(errs...)
}

// trustedLog is the trust that an auditor of this server has in a log.
func (s *Server) trustedLog(origin string) (evidence.TrustedLog, error) {
	return s.id.keyset.Log(origin)
}
