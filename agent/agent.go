// Package agent runs collectors on a host, seals what they saw, keeps it safe
// until the server's log has proven that it holds it, and says how it stands.
//
// Read this file first: Run wires schedule, sealing and pushing together.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/attesto/attesto/collectors"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Agent is one running agent.
type Agent struct {
	cfg    Config
	st     state
	id     Identity
	key    evidence.Signer
	spool  *Spool
	pusher *pusher
	sealer *sealer
	looks  []*looker
	log    *slog.Logger
	now    func() time.Time
}

// NewHost is the machine as this agent's collectors see it. Without a readable
// state folder (a look by hand) pseudonyms are keyed anew each time.
func NewHost(cfg Config) *host.Host {
	h := host.Real()
	key, err := state{cfg.StateDir}.machineKey()
	if err != nil {
		key = []byte(evidence.NewID(""))
	}
	h.MachineKey = key
	return h
}

// open prepares an enrolled agent; release lets go of the state folder.
func open(cfg Config, h *host.Host, version string, log *slog.Logger) (a *Agent, release func(), err error) {
	st := state{cfg.StateDir}
	id, err := st.identity()
	if err != nil {
		return nil, nil, err
	}
	release, err = st.lock()
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			release()
		}
	}()
	key, err := evidence.LoadFileKey(st.path(keyFile))
	if err != nil {
		return nil, nil, err
	}
	spool, err := OpenSpool(st.dir, cfg.Spool, id.First)
	if err != nil {
		return nil, nil, err
	}
	c, err := newClient(cfg, id.Server, id.PushToken, log.With("part", "push"))
	if err != nil {
		return nil, nil, err
	}
	p, err := newPusher(c, spool, st, id, h.Now, log.With("part", "push"))
	if err != nil {
		return nil, nil, err
	}
	a = &Agent{cfg: cfg, st: st, id: id, key: key, spool: spool, pusher: p, log: log, now: h.Now}
	a.sealer = newSealer(a, build(version))
	for _, spec := range collectors.All() {
		sched, err := cfg.Schedule(spec.Kind)
		if err != nil {
			return nil, nil, err
		}
		if !sched.Enabled {
			continue
		}
		col, err := spec.New(cfg.decoder(spec.Kind), h)
		if err != nil {
			return nil, nil, fmt.Errorf("collectors.%s: %w", spec.Kind, err)
		}
		a.looks = append(a.looks, &looker{spec: spec, collector: col, sched: sched, host: h, agent: a,
			log: log.With("collector", string(spec.Kind))})
	}
	return a, release, nil
}

// Run looks, seals and pushes until ctx ends. ready is called once it is under
// way; progress whenever it got on, for a watchdog.
func Run(ctx context.Context, cfg Config, h *host.Host, version string, log *slog.Logger, ready, progress func()) error {
	a, release, err := open(cfg, h, version, log)
	if err != nil {
		return err
	}
	defer release()
	log.Info("agent started", "agent", a.id.Agent, "organisation", a.id.OrgName, "server", a.id.Server, "waiting", a.spool.State().Waiting)

	pushing, stopPushing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopPushing()
	var push sync.WaitGroup
	push.Go(func() { a.pusher.run(pushing) })

	sched, err := a.schedule(ctx)
	if err != nil {
		return err
	}
	ready()
	a.keepHouse(ctx, progress)

	// ctx has ended: looks stop, what they found is sealed, and one last push
	// is tried within a short time.
	err = sched.Shutdown()
	a.sealer.flush()
	stopPushing()
	push.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if pushErr := a.pusher.drain(last); pushErr != nil {
		log.Info("the last push did not get through; what waits is kept", "waiting", a.spool.State().Waiting)
	}
	a.writeStatus()
	return err
}

// keepHouse writes the status for other processes and prunes the spool until
// ctx ends.
func (a *Agent) keepHouse(ctx context.Context, progress func()) {
	ticker := time.NewTicker(10 * time.Second)
	defer ticker.Stop()
	for n := 0; ; n++ {
		a.writeStatus()
		progress()
		if n%360 == 0 {
			if err := a.spool.prune(a.now()); err != nil {
				a.log.Error("pruning the spool", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Once looks once with every enabled kind, seals, and pushes until everything
// that waits was receipted or ctx ends.
func Once(ctx context.Context, cfg Config, h *host.Host, version string, log *slog.Logger) error {
	a, release, err := open(cfg, h, version, log)
	if err != nil {
		return err
	}
	defer release()
	a.lookAll(ctx)
	a.sealer.flush()
	err = a.pusher.drain(ctx)
	a.writeStatus()
	if err != nil {
		return fmt.Errorf("%d records wait for the server: %w", a.spool.State().Waiting, err)
	}
	if alarm, _ := a.st.alarm(); alarm != nil {
		return fmt.Errorf("alarm: %s; %s", alarm.Message, alarm.Cure)
	}
	return nil
}

func (a *Agent) writeStatus() {
	a.pusher.mu.Lock()
	s := statusFileContent{At: a.now().UTC(), PID: os.Getpid(), Push: a.pusher.state, SealError: a.sealer.lastError(),
		Kinds: map[evidence.Kind]KindState{}}
	a.pusher.mu.Unlock()
	for _, l := range a.looks {
		s.Kinds[l.spec.Kind] = l.stateNow()
	}
	if err := writeStatusFile(a.st, s); err != nil && !errors.Is(err, context.Canceled) {
		a.log.Error("writing status", "error", err)
	}
}
