package server

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// rates holds one token bucket per agent.
type rates struct {
	limits Limits
	mu     sync.Mutex
	agents map[string]*bucket
}

type bucket struct {
	*rate.Limiter
	used time.Time
}

// idle is how long a bucket is kept; a full one holds nothing to remember.
const idle = 10 * time.Minute

func newRates(l Limits) *rates { return &rates{limits: l, agents: map[string]*bucket{}} }

// wait is how long an agent must wait before its request may be served, 0 for not
// at all.
func (r *rates) wait(agent string, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	b, ok := r.agents[agent]
	if !ok {
		r.forget(now)
		b = &bucket{Limiter: rate.NewLimiter(rate.Limit(r.limits.PushesPerSecond), r.limits.PushBurst)}
		r.agents[agent] = b
	}
	b.used = now
	res := b.ReserveN(now, 1)
	delay := res.DelayFrom(now)
	if delay > 0 {
		res.CancelAt(now)
	}
	return delay
}

// forget drops buckets that nobody used for long, once there are many.
func (r *rates) forget(now time.Time) {
	if len(r.agents) < 4096 {
		return
	}
	for id, b := range r.agents {
		if now.Sub(b.used) > idle {
			delete(r.agents, id)
		}
	}
}
