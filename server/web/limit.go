package web

import (
	"sync"
	"time"
)

// limits slows guessing. Tries are counted per address, per account, and per both
// together, before the password is looked at, so that many at once gain nothing.
// The limit of an account does not hold for an address from which its owner has
// signed in: guessing from elsewhere locks nobody out there.
type limits struct {
	now    func() time.Time
	most   int // tries of an account, from wherever
	mu     sync.Mutex
	turned time.Time      // when the current window began
	counts map[string]int // tries in this window and the last one
	older  map[string]int // of the last one only
	known  map[string]bool
}

const (
	limitWindow     = 5 * time.Minute
	perAddress      = 30
	perAccount      = 50
	perBoth         = 5
	limitsRemembers = 50_000 // tries, and known addresses
)

func newLimits(now func() time.Time) *limits {
	return &limits{now: now, most: perAccount, turned: now(), counts: map[string]int{}, older: map[string]int{}, known: map[string]bool{}}
}

// turn forgets what is older than a window. When too much comes it turns early:
// memory is bounded, and tries are forgotten sooner.
func (l *limits) turn() {
	if l.now().Sub(l.turned) < limitWindow && len(l.counts) < limitsRemembers {
		return
	}
	if l.now().Sub(l.turned) > 2*limitWindow {
		l.counts = map[string]int{}
	}
	l.older, l.counts, l.turned = l.counts, map[string]int{}, l.now()
}

// allow counts a try and reports whether it may go on.
func (l *limits) allow(addr, email string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn()
	both := addr + " " + email
	ok := true
	for key, most := range map[string]int{"a " + addr: perAddress, "e " + email: l.most, "b " + both: perBoth} {
		if key[0] == 'e' && l.known[both] {
			continue
		}
		if l.counts[key]+l.older[key] >= most {
			ok = false
			continue
		}
		l.counts[key]++
	}
	return ok
}

// passed forgets the tries of someone who knew the password, and remembers where
// they came from.
func (l *limits) passed(addr, email string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	both := addr + " " + email
	for _, key := range []string{"a " + addr, "e " + email} {
		l.counts[key] = max(0, l.counts[key]-1)
	}
	delete(l.counts, "b "+both)
	delete(l.older, "b "+both)
	if len(l.known) >= limitsRemembers {
		clear(l.known)
	}
	l.known[both] = true
}
