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
	tried time.Time // when the schedule last came by, monotonic
	state KindState
}

// KindState is what status shows of a kind.
type KindState struct {
	LastLook    *time.Time `json:"lastLook,omitempty"`
	LastOutcome string     `json:"lastOutcome,omitempty"`
	Reason      string     `json:"reason,omitempty"`
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

// overdue reports whether the schedule itself forgot this kind: the second look
// comes after one and a half intervals at most.
func (l *looker) overdue(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.tried.IsZero() && !l.busy && now.Sub(l.tried) > 2*l.sched.Every+5*time.Minute
}

// start takes the kind's turn, unless a look is still under way.
func (l *looker) start() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tried = time.Now()
	if l.busy {
		return false
	}
	l.busy = true
	return true
}

// look runs once and hands the result to the sealer.
func (l *looker) look(ctx context.Context) {
	if ctx.Err() != nil || !l.start() {
		return
	}
	cursor := l.agent.sealer.beginLook(l.spec.Kind)
	r, returned := lookOnce(ctx, l.host, l.spec, l.collector, l.sched, cursor)
	if ctx.Err() != nil && r.err != nil {
		// The agent is stopping: an interrupted look is no finding about the host.
		l.agent.sealer.end(nil)
	} else {
		l.report(r)
		l.agent.sealer.end(&r)
	}
	at := r.To.UTC()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = KindState{LastLook: &at, LastOutcome: r.Outcome.String(), Reason: r.Reason, Gaps: len(r.Gaps)}
	select {
	case <-returned:
		l.busy = false
	default:
		l.state.Stuck = errors.Is(r.err, errStuck)
		go l.freeWhen(returned)
	}
}

func (l *looker) freeWhen(returned <-chan struct{}) {
	<-returned
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy, l.state.Stuck = false, false
}

func (l *looker) report(r Result) {
	if r.err == nil {
		l.log.Debug("looked", "outcome", r.Outcome, "gaps", len(r.Gaps), "quiet", r.Quiet)
		return
	}
	l.log.Warn("look failed", "reason", r.Reason, "error", r.err)
	var p panicError
	if errors.As(r.err, &p) {
		l.log.Error("the collector crashed; please report this", "stack", p.stack)
	}
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
	giveBack()
}

// schedule starts all kinds at once, then each at its interval. The second look is
// moved by a hash of agent and kind, so that a fleet that was started together
// does not come back together. stop waits for looks that are under way; they end
// with ctx.
func (a *Agent) schedule(ctx context.Context) (stop func() error, err error) {
	s, err := gocron.NewScheduler(gocron.WithLocation(time.UTC), gocron.WithLogger(quietLogger{a.log}),
		gocron.WithStopTimeout(2*grace))
	if err != nil {
		return nil, fmt.Errorf("making the schedule: %w", err)
	}
	for _, l := range a.looks {
		first := time.Now().Add(splay(a.id.Agent, string(l.spec.Kind), l.sched.Every))
		_, err := s.NewJob(gocron.DurationJob(l.sched.Every), gocron.NewTask(func() {
			l.look(ctx)
			giveBack()
		}),
			gocron.WithName(string(l.spec.Kind)),
			gocron.WithSingletonMode(gocron.LimitModeReschedule),
			gocron.WithStartAt(gocron.WithStartDateTimePast(first))) // past, if the host was held up meanwhile
		if err != nil {
			return nil, errors.Join(fmt.Errorf("scheduling %s: %w", l.spec.Kind, err), s.Shutdown())
		}
	}
	var first sync.WaitGroup
	first.Go(func() { a.lookAll(ctx) })
	s.Start()
	return func() error {
		first.Wait()
		if err := s.Shutdown(); err != nil {
			return fmt.Errorf("stopping the schedule: %w", err)
		}
		return nil
	}, nil
}

// splay is when, within (every/2, 3/2 every], the second look comes.
func splay(agent, kind string, every time.Duration) time.Duration {
	h := fnv.New64a()
	h.Write([]byte(agent + "/" + kind))
	return every/2 + time.Duration(h.Sum64()%uint64(every)) + 1
}
