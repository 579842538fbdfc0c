package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// Demo is the whole line on this very host: a server on SQLite, a provider and a
// customer, and a real agent for each that runs every collector.
type Demo struct {
	Listen  string // host:port; port 0 for any that is free
	Keep    string // folder to keep all data in; "" for a temporary one
	Once    bool   // end after the table
	Version string
	Out     io.Writer // address and table
	Tell    io.Writer // progress
}

// DemoSummary is the demo's last line with --json.
type DemoSummary struct {
	URL     string                             `json:"url"`
	Org     string                             `json:"org"`     // the customer
	Token   string                             `json:"token"`   // API token of that organisation
	Data    string                             `json:"data"`    // folder with all data; gone after --once unless kept
	Records int64                              `json:"records"` // of the customer's agent
	Kinds   map[evidence.Kind]evidence.Outcome `json:"kinds"`
	Duties  map[string]string                  `json:"duties"`
}

// demoKinds are the kinds that every agent must have sent before the table is
// printed.
var demoKinds = []evidence.Kind{evidence.KindDNSBL, evidence.KindBackup, evidence.KindEventLog, evidence.KindSoftware, evidence.KindHealth,
	evidence.KindStorage, evidence.KindAccounts, evidence.KindAntivirus, evidence.KindMail}

// demoPatience bounds how long the agents may take for their first record.
const demoPatience = 100 * time.Second

// demoRun is one run of the demo.
type demoRun struct {
	Demo
	dir    string
	url    string
	server *Server
	store  *store.Store
	logs   *os.File
	sides  []*demoSide
	stop   context.CancelFunc
	served chan error
}

// demoSide is one party with its sign-in and its agent.
type demoSide struct {
	org      store.Org
	email    string
	password string
	apiToken string
	agent    *demoAgent
	items    map[evidence.Kind]store.Item
}

// Run shows the demo. With Once it returns after the table, otherwise when ctx
// ends; either way its agents are stopped first. show gets the summary once the
// table is printed.
func (d Demo) Run(ctx context.Context, show func(DemoSummary) error) (err error) {
	agent, err := findAgent()
	if err != nil {
		return err
	}
	r := &demoRun{Demo: d}
	if err := r.folder(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.end(err != nil && ctx.Err() == nil)) }()
	if err := r.serve(ctx); err != nil {
		return err
	}
	if err := r.parties(ctx); err != nil {
		return err
	}
	for _, side := range r.sides {
		r.tell("Enrolling this host in the organisation %s", side.org.Name)
		if side.agent, err = r.startAgent(ctx, agent, side); err != nil {
			return err
		}
	}
	summary, err := r.wait(ctx)
	if err != nil {
		return err
	}
	if err := r.table(ctx, summary); err != nil {
		return err
	}
	if err := show(summary); err != nil || d.Once {
		return err
	}
	r.tell("The agents go on looking. Ctrl-C ends the demo.")
	return r.untilStopped(ctx)
}

func (r *demoRun) tell(format string, args ...any) {
	_, _ = fmt.Fprintf(r.Tell, format+"\n", args...) // a terminal that is gone changes nothing
}

// folder makes the demo's folder; one that is to be kept must be new or empty.
func (r *demoRun) folder() error {
	if r.Keep == "" {
		dir, err := os.MkdirTemp("", "attesto-demo-")
		if err != nil {
			return fmt.Errorf("making the demo's folder: %w", err)
		}
		r.dir = dir
		return nil
	}
	dir, err := filepath.Abs(r.Keep)
	if err != nil {
		return fmt.Errorf("folder %s: %w", r.Keep, err)
	}
	if list, err := os.ReadDir(dir); err == nil && len(list) > 0 {
		return fmt.Errorf("folder %s is not empty: name a new one, the demo starts from nothing", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the demo's folder: %w", err)
	}
	r.dir = dir
	return nil
}

// serve starts the server.
func (r *demoRun) serve(ctx context.Context) error {
	began := time.Now()
	data := filepath.Join(r.dir, "server")
	keys, err := OpenKeys(data)
	if err != nil {
		return err
	}
	if r.logs, err = os.Create(filepath.Join(r.dir, "server.log")); err != nil {
		return fmt.Errorf("making the server's log: %w", err)
	}
	log := slog.New(slog.NewJSONHandler(r.logs, nil))
	cfg := DefaultConfig()
	cfg.Name, cfg.Data, cfg.Listen, cfg.Store = "demo.localhost", data, r.Listen, "sqlite:"+filepath.Join(data, "attesto.db")
	if err := cfg.Complete(); err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", cfg.Listen, err)
	}
	r.url = "http://" + l.Addr().String()
	cfg.PublicURL = r.url
	if r.store, err = store.Open(ctx, cfg.Store, log); err != nil {
		return errors.Join(err, l.Close())
	}
	if r.server, err = New(ctx, cfg, Deps{Store: r.store, Keys: keys, Log: log, Version: r.Version}); err != nil {
		return errors.Join(err, l.Close())
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx)) // the agents are stopped first
	r.stop, r.served = stop, make(chan error, 1)
	go func() { r.served <- r.server.Serve(serving, l) }()
	r.tell("Server at %s, data in %s (%d ms)", r.url, r.dir, time.Since(began).Milliseconds())
	return nil
}

// parties makes provider and customer.
func (r *demoRun) parties(ctx context.Context) error {
	for _, o := range []store.Org{
		{Kind: store.Provider, Name: "Demo Provider"},
		{Kind: store.Customer, Name: "Demo Customer", Services: duties.Services()},
	} {
		org, err := r.server.AddOrg(ctx, o)
		if err != nil {
			return err
		}
		side := &demoSide{org: org, email: o.Kind + "@demo.example", items: map[evidence.Kind]store.Item{}}
		r.sides = append(r.sides, side)
		side.password, err = r.server.AddUser(ctx, UserRequest{Email: side.email, Name: o.Name, Org: org.ID, Role: store.RoleAdmin})
		if err != nil {
			return err
		}
		if side.apiToken, err = r.server.AddAPIToken(ctx, org.ID, "demo", 24*time.Hour, store.Scopes()...); err != nil {
			return err
		}
	}
	return r.server.judge.Sweep(ctx) // a board stands from the first moment
}

// wait returns once every kind of both agents is in the log and judged.
func (r *demoRun) wait(ctx context.Context) (DemoSummary, error) {
	ctx, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	r.tell("Looking at this host with every collector")
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		missing, err := r.look(ctx)
		if err == nil && missing == "" {
			s, ready, serr := r.summary(ctx)
			if serr != nil || ready {
				return s, serr
			}
			missing = "verdicts"
		}
		if err != nil {
			return DemoSummary{}, err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return DemoSummary{}, fmt.Errorf("after %s there are no %s: %w; the logs are in %s", demoPatience, missing, ctx.Err(), r.dir)
		}
		for _, side := range r.sides {
			if err := side.agent.running(); err != nil {
				return DemoSummary{}, err
			}
		}
	}
}

// look reads which items have come and tells of new ones; missing names what has
// not.
func (r *demoRun) look(ctx context.Context) (missing string, err error) {
	for _, side := range r.sides {
		agents, err := r.store.Agents(ctx, side.org.ID)
		if err != nil {
			return "", err
		}
		for _, kind := range demoKinds {
			if _, known := side.items[kind]; known {
				continue
			}
			missing = fmt.Sprintf("%s records of %s", kind, side.org.Name)
			for _, a := range agents {
				list, err := r.store.ItemsOf(ctx, side.org.ID, a.ID, kind, time.Time{}, 1)
				if err != nil {
					return "", err
				}
				if len(list) == 1 {
					side.items[kind] = list[0]
					r.tell("  %-14s %-9s %-11s signed, logged as entry %d, receipted", side.org.Name, kind, list[0].Outcome, list[0].Index)
				}
			}
		}
	}
	for _, side := range r.sides {
		if len(side.items) < len(demoKinds) {
			return missing, nil
		}
	}
	return "", nil
}

// untilStopped watches server and agents until ctx ends.
func (r *demoRun) untilStopped(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-r.served:
			r.served <- nil
			return fmt.Errorf("the server has stopped: %w", err)
		case <-ticker.C:
		}
		for _, side := range r.sides {
			if err := side.agent.running(); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

// end stops agents, server and database, and removes what is not to be kept; the
// logs of a demo that failed are.
func (r *demoRun) end(failed bool) error {
	var errs []error
	for _, side := range r.sides {
		if side.agent != nil {
			errs = append(errs, side.agent.stop())
		}
	}
	if r.stop != nil {
		r.stop()
		errs = append(errs, <-r.served)
	}
	if r.store != nil {
		errs = append(errs, r.store.Close())
	}
	if r.logs != nil {
		errs = append(errs, r.logs.Close())
	}
	if r.Keep == "" && !failed {
		errs = append(errs, os.RemoveAll(r.dir))
	}
	return errors.Join(errs...)
}
