package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Lease is how long a claimed delivery belongs to one server. It is longer than
// an attempt may take, so that two servers never deliver the same one unless the
// first has died: then the second attempt carries the same id.
const Lease = 5 * time.Minute

const (
	attemptTimeout = 90 * time.Second
	batch          = 64
	workers        = 4
	firstWait      = 30 * time.Second
	longestWait    = time.Hour
	// GiveUp is how long a delivery is tried before it counts as refused.
	GiveUp = 7 * 24 * time.Hour
)

// NoWay begins the error of a delivery by a kind of channel that is not configured.
const NoWay = "no way to deliver by "

// Loop delivers what the queue holds.
//
// A delivery happens at least once: when the server dies between the receiver's
// yes and the settling of it, it is made again with the same id (Message-ID of a
// mail, webhook-id of a webhook), by which a receiver can tell.
type Loop struct {
	Queue     Queue
	Notifiers map[string]Notifier // by kind of channel
	Writer    Writer
	// Head is the newest size and root of an organisation's log.
	Head func(ctx context.Context, org string) (size int64, root string, err error)
	Log  *slog.Logger
	Now  func() time.Time
	wake chan struct{}
	once sync.Once
}

func (l *Loop) bell() chan struct{} {
	l.once.Do(func() { l.wake = make(chan struct{}, 1) })
	return l.wake
}

// Wake has the loop look at the queue now.
func (l *Loop) Wake() {
	select {
	case l.bell() <- struct{}{}:
	default:
	}
}

// Run delivers until ctx ends. It looks at the queue when it is woken and every
// so often.
func (l *Loop) Run(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		if _, err := l.Once(ctx); err != nil && ctx.Err() == nil {
			l.Log.ErrorContext(ctx, "delivering alerts", "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-l.bell():
		}
	}
}

// Once attempts every delivery that is due and says how many that were.
func (l *Loop) Once(ctx context.Context) (n int, err error) {
	for ctx.Err() == nil {
		list, err := l.Queue.Claim(ctx, l.Now(), Lease, batch)
		if err != nil {
			return n, fmt.Errorf("claiming deliveries: %w", err)
		}
		if len(list) == 0 {
			return n, nil
		}
		n += len(list)
		if err := l.attemptAll(ctx, list); err != nil {
			return n, err
		}
	}
	return n, ctx.Err()
}

// parcel is what one message carries: one delivery, or several that tell one
// person the same of one asset for several duties.
type parcel []Delivery

// parcels puts deliveries together that one mail can carry, or one message of a chat.
// Webhooks are for programs: each alert has its own.
func parcels(list []Delivery) []parcel {
	var out []parcel
	at := map[string]int{}
	for _, d := range list {
		why := d.Alert.Why
		if d.Event == Resolved {
			why = d.Alert.Ended
		}
		key := strings.Join([]string{d.Channel.ID, d.Event, strconv.Itoa(d.Round), d.Alert.often(), d.Alert.Org, d.Alert.Asset, d.Alert.Verdict.String(), why.String()}, "\n")
		if i, ok := at[key]; ok && gathers(d.Channel) {
			out[i] = append(out[i], d)
			continue
		}
		at[key] = len(out)
		out = append(out, parcel{d})
	}
	return out
}

func (l *Loop) attemptAll(ctx context.Context, list []Delivery) error {
	var wg sync.WaitGroup
	places := make(chan struct{}, workers)
	all := parcels(list)
	errs := make([]error, len(all))
	for i, p := range all {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			errs[i] = l.attempt(ctx, p)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (l *Loop) attempt(ctx context.Context, p parcel) error {
	err := l.deliver(ctx, p)
	if err != nil && ctx.Err() != nil {
		return ctx.Err() // the server stops; the lease ends by itself
	}
	var errs []error
	for _, d := range p {
		errs = append(errs, l.settle(ctx, d, err))
	}
	return errors.Join(errs...)
}

// settle records how an attempt at a delivery went.
func (l *Loop) settle(ctx context.Context, d Delivery, err error) error {
	a := Attempt{Delivery: d, At: l.Now(), Err: err, Refused: refused(err)}
	if err != nil && !a.Refused {
		if a.At.Sub(d.Created) > GiveUp {
			a.Refused, a.Err = true, fmt.Errorf("given up after %d attempts: %w", d.Attempts, err)
		} else {
			a.Next = a.At.Add(pause(d.Attempts, err))
		}
	}
	log := l.Log.With("delivery", d.ID, "alert", d.Alert.ID, "event", d.Event, "duty", d.Alert.Duty, "channel", d.Channel.Kind, "attempt", d.Attempts)
	switch {
	case err == nil:
		log.InfoContext(ctx, "alert delivered")
	case a.Refused:
		log.ErrorContext(ctx, "alert refused", "err", a.Err)
	default:
		log.WarnContext(ctx, "alert not delivered, will be tried again", "next", a.Next, "err", err)
	}
	// What was delivered is settled even if the server is told to stop.
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if err := l.Queue.Settle(settle, a); err != nil {
		return fmt.Errorf("settling delivery %s (%s): %w", d.ID, a.Event(), err)
	}
	return nil
}

func (l *Loop) deliver(ctx context.Context, p parcel) error {
	d := p[0]
	n, ok := l.Notifiers[d.Channel.Kind]
	if !ok {
		return fmt.Errorf(NoWay+"%s is configured; for e-mail set smtp.host in the server's configuration", d.Channel.Kind)
	}
	size, root, err := l.Head(ctx, d.To.ID)
	if err != nil {
		return fmt.Errorf("reading the head of the log: %w", err)
	}
	m, err := l.Writer.Write(p, size, root)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	return n.Notify(ctx, d.Channel, m)
}

// pause is how long to wait after a failed attempt: doubling from half a minute
// to an hour, a quarter of it at random, or what the receiver asked for.
func pause(attempts int, err error) time.Duration {
	wait := longestWait
	if attempts < 8 {
		wait = min(firstWait<<max(attempts-1, 0), longestWait)
	}
	wait -= time.Duration(rand.Int64N(int64(wait / 4)))
	var later Later
	if errors.As(err, &later) && later.After > wait {
		wait = min(later.After, 24*time.Hour)
	}
	return wait
}
