// Package agent runs collectors on a host, seals what they saw, keeps it safe
// until the server's log has proven that it holds it, and says how it stands.
//
// Read this file first: Run wires schedule, sealing and pushing together.
package agent

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"sync"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Agent is one running agent.
type Agent struct {
	cfg    Config
	st     state
	id     Identity
	keys   *keyring
	spool  *Spool
	pusher *pusher
	sealer *sealer
	looks  []*looker
	log    *slog.Logger
	now    func() time.Time
	wrote  statusFileContent // the last status that was written
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
	if _, err := st.machineKey(); err != nil {
		return nil, nil, err // pseudonyms must stay the same from one start to the next
	}
	if err := os.MkdirAll(st.path(reportDir), 0o700); err != nil {
		return nil, nil, fmt.Errorf("making the drop folder for reports: %w", err)
	}
	spool, err := openSpool(st.dir, cfg.Spool, id.First, cfg.files())
	if err != nil {
		return nil, nil, err
	}
	keys, err := openKeyring(cfg.keys(), st, spool)
	if err != nil {
		return nil, nil, err
	}
	for _, said := range spool.repaired {
		log.Warn("spool: " + said)
	}
	unlock := release
	c, err := newClient(cfg, cmp.Or(cfg.Server, id.Server), id.PushToken, version, log.With("part", "push"))
	if err != nil {
		return nil, nil, err
	}
	release = func() { c.close(); unlock() }
	p, err := newPusher(c, spool, st, id, h.Now, log.With("part", "push"))
	if err != nil {
		return nil, nil, err
	}
	a = &Agent{cfg: cfg, st: st, id: id, keys: keys, spool: spool, pusher: p, log: log, now: h.Now}
	a.sealer = newSealer(a, build(version))
	return a, release, a.addLooks(h)
}

func (a *Agent) addLooks(h *host.Host) error {
	for _, spec := range a.cfg.Specs {
		sched, err := a.cfg.Schedule(spec.Kind)
		if err != nil {
			return err
		}
		if sched.Enabled == Off {
			continue
		}
		col, err := spec.New(a.cfg.decoder(spec.Kind), h)
		if err != nil {
			return fmt.Errorf("collectors.%s: %w", spec.Kind, err)
		}
		a.looks = append(a.looks, &looker{spec: spec, collector: col, sched: sched, host: h, agent: a,
			log: a.log.With("collector", string(spec.Kind))})
	}
	return nil
}

// Hooks tell who started the agent how it gets on.
type Hooks struct {
	Ready    func()              // under way
	Progress func(status string) // every ten seconds, unless schedule or push hang
}

// Run looks, seals and pushes until ctx ends.
func Run(ctx context.Context, cfg Config, h *host.Host, version string, log *slog.Logger, hooks Hooks) error {
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
	defer push.Wait()
	defer stopPushing()

	defer a.takeReports(ctx)()
	stopSchedule, err := a.schedule(ctx)
	if err != nil {
		return err
	}
	if hooks.Ready != nil {
		hooks.Ready()
	}
	a.keepHouse(ctx, hooks)

	// ctx has ended: looks stop, what they found is sealed, and one last push
	// is tried within a short time.
	err = stopSchedule()
	a.sealer.close()
	stopPushing()
	push.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if pushErr := a.pusher.drain(last); pushErr != nil {
		log.Info("the last push did not get through; what waits is kept", "waiting", a.spool.State().Waiting)
	}
	a.writeStatus()
	log.Info("agent stopped", "waiting", a.spool.State().Waiting)
	return err
}

// houseEvery is how often the status is written and a refused record is tried again.
const houseEvery = 10 * time.Second

// keepHouse writes the status for other processes, tries again to keep what the
// disk refused and prunes the spool, until ctx ends.
func (a *Agent) keepHouse(ctx context.Context, hooks Hooks) {
	ticker := time.NewTicker(houseEvery)
	defer ticker.Stop()
	for n := 0; ; n++ {
		a.sealer.retry()
		a.keepKey()
		a.writeStatus()
		if hung := a.hung(time.Now()); hung != "" {
			a.log.Error("no progress; the service manager is not told that all is well", "in", hung)
		} else if hooks.Progress != nil {
			hooks.Progress(a.summary())
		}
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

// hung names what has not got on for far longer than it may take.
func (a *Agent) hung(now time.Time) string {
	if a.pusher.hung(now) {
		return "push"
	}
	for _, l := range a.looks {
		if l.overdue(now) {
			return "schedule of " + string(l.spec.Kind)
		}
	}
	return ""
}

// summary is one line for systemctl status.
func (a *Agent) summary() string {
	s := a.spool.State()
	text := fmt.Sprintf("%d records sealed, %d wait for the server", s.Last, s.Waiting)
	if p := a.pusher.stateNow(); p.Failing != nil {
		text += ", not reached since " + p.Failing.Format(time.RFC3339)
	}
	if alarm, _ := a.st.alarm(); alarm != nil {
		text = "ALARM: " + alarm.Message
	}
	return text
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
	a.sealer.close()
	if err := a.spool.retry(); err != nil {
		return err
	}
	err = a.pusher.insist(ctx)
	a.writeStatus()
	if err != nil {
		return fmt.Errorf("%d records wait for the server: %w", a.spool.State().Waiting, err)
	}
	alarm, err := a.st.alarm()
	if err == nil && alarm != nil {
		err = fmt.Errorf("alarm: %s; %s", alarm.Message, alarm.Cure)
	}
	if said := a.sealer.lastError(); err == nil && said != "" {
		err = fmt.Errorf("what was seen could not be kept: %s", said)
	}
	return err
}

// statusEvery is how often the status is written when nothing has changed.
const statusEvery = time.Minute

func (a *Agent) writeStatus() {
	s := statusFileContent{PID: os.Getpid(), Push: a.pusher.stateNow(), SealError: a.sealer.lastError(),
		Lost: a.spool.State().Lost, Kinds: map[evidence.Kind]KindState{}}
	for _, l := range a.looks {
		s.Kinds[l.spec.Kind] = l.stateNow()
	}
	now := a.now().UTC()
	if age := now.Sub(a.wrote.At); age >= 0 && age < statusEvery {
		s.At = a.wrote.At
		if reflect.DeepEqual(s, a.wrote) {
			return
		}
	}
	s.At = now
	if err := writeStatusFile(a.st, s); err != nil {
		a.log.Error("writing status", "error", err)
		return
	}
	a.wrote = s
}
