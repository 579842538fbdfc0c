package agent

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"sync"
	"time"

	"github.com/go-co-op/gocron/v2"

	"github.com/attesto/attesto/collectors/host"
)

// looker runs one kind's looks: never two at a time, and not again before a
// stuck one returned.
type looker struct {
	spec      host.Spec
	collector host.Collector
	sched     Schedule
	host      *host.Host
	agent     *Agent
	log       *slog.Logger

	mu    sync.Mutex
	busy  bool
	state KindState
}

// KindState is what status shows of a kind.
type KindState struct {
	LastLook    *time.Time `json:"lastLook,omitempty"`
	LastOutcome string     `json:"lastOutcome,omitempty"`
	Gaps        int        `json:"gaps"`
	Running     bool       `json:"running,omitempty"`
	Stuck       bool       `json:"stuck,omitempty"` // the last look has not returned since its deadline
}

func (l *looker) stateNow() KindState {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.state
	s.Running = l.busy
	return s
}

// look runs once and hands the result to the sealer.
func (l *looker) look(ctx context.Context) {
	l.mu.Lock()
	if l.busy {
		l.mu.Unlock()
		return
	}
	l.busy = true
	l.mu.Unlock()
	l.agent.sealer.begin()
	r, returned := lookOnce(ctx, l.host, l.spec, l.collector, l.sched.Timeout, l.agent.spool.Cursor(l.spec.Kind))
	if ctx.Err() != nil && r.Facts == nil && !r.Quiet {
		// The agent is stopping: an interrupted look is no finding about the host.
		l.agent.sealer.end(nil)
	} else {
		l.agent.sealer.end(&r)
	}
	at := r.To.UTC()
	l.mu.Lock()
	l.state = KindState{LastLook: &at, LastOutcome: r.Outcome.String(), Gaps: len(r.Gaps)}
	if r.Quiet {
		l.state.LastOutcome = "complete"
	}
	select {
	case <-returned:
		l.busy = false
	default:
		l.state.Stuck = true
		go l.freeWhen(returned)
	}
	l.mu.Unlock()
	l.report(r)
}

func (l *looker) freeWhen(returned <-chan struct{}) {
	<-returned
	l.mu.Lock()
	l.busy, l.state.Stuck = false, false
	l.mu.Unlock()
}

func (l *looker) report(r Result) {
	if r.Facts == nil && !r.Quiet && r.Reason != "nothing_to_see" {
		why := ""
		if len(r.Gaps) > 0 {
			why = r.Gaps[len(r.Gaps)-1].Why
		}
		l.log.Warn("look failed", "reason", r.Reason, "why", why)
		return
	}
	l.log.Debug("looked", "outcome", r.Outcome, "gaps", len(r.Gaps), "quiet", r.Quiet)
}

// lookAll runs every kind once, side by side, and waits for all of them.
func (a *Agent) lookAll(ctx context.Context) {
	var wg sync.WaitGroup
	a.sealer.begin() // holds the seal until the last has ended: one record for all
	for _, l := range a.looks {
		wg.Go(func() { l.look(ctx) })
	}
	wg.Wait()
	a.sealer.end(nil)
}

// schedule starts all kinds at once, then each at its interval. The first
// scheduled look is moved by a hash of agent and kind, so that a fleet that was
// started together does not come back together.
func (a *Agent) schedule(ctx context.Context) (gocron.Scheduler, error) {
	s, err := gocron.NewScheduler(gocron.WithLocation(time.UTC), gocron.WithLogger(quietLogger{a.log}),
		gocron.WithStopTimeout(10*time.Second))
	if err != nil {
		return nil, fmt.Errorf("making the schedule: %w", err)
	}
	for _, l := range a.looks {
		first := time.Now().Add(splay(a.id.Agent, string(l.spec.Kind), l.sched.Every))
		_, err := s.NewJob(gocron.DurationJob(l.sched.Every), gocron.NewTask(func() { l.look(ctx) }),
			gocron.WithName(string(l.spec.Kind)),
			gocron.WithSingletonMode(gocron.LimitModeReschedule),
			gocron.WithStartAt(gocron.WithStartDateTime(first)))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("scheduling %s: %w", l.spec.Kind, err), s.Shutdown())
		}
	}
	go a.lookAll(ctx)
	s.Start()
	return s, nil
}

// splay is when, within (every/2, 3/2 every], the second look comes.
func splay(agent, kind string, every time.Duration) time.Duration {
	h := fnv.New64a()
	h.Write([]byte(agent + "/" + kind))
	return every/2 + time.Duration(h.Sum64()%uint64(every)) + 1
}
