package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Result is the outcome of one look, ready to be sealed.
type Result struct {
	Kind     evidence.Kind
	Outcome  evidence.Outcome
	Reason   string // short code, empty when complete
	Gaps     []evidence.Gap
	From, To time.Time
	Facts    evidence.Facts // nil for a look that failed
	Detail   any
	Next     []byte // cursor to keep once the result is durable
	// Quiet says that there is nothing to seal, only Next to keep.
	Quiet bool

	err error // of a failed look
}

// grace is how long after its deadline, or after the agent was told to stop, a look
// may take to return before it is left behind as stuck.
const grace = 5 * time.Second

// errStuck marks a look that did not return after its deadline.
var errStuck = errors.New("did not stop at its deadline")

// lookOnce runs one look under its deadline. A panic, an error and a look that
// does not return all become a failed result; returned is closed when the look's
// goroutine is really over.
func lookOnce(ctx context.Context, h *host.Host, spec host.Spec, c host.Collector, sched Schedule, cursor []byte) (r Result, returned <-chan struct{}) {
	started := h.Now()
	done := make(chan struct{})
	if !slices.Contains(spec.OS, runtime.GOOS) {
		close(done)
		return expected(unsupported(spec.Kind, started, runtime.GOOS), sched), done
	}
	type outcome struct {
		look host.Look
		err  error
	}
	result := make(chan outcome, 1)
	ctx, cancel := context.WithTimeout(ctx, sched.Timeout)
	go func() {
		defer close(done)
		defer cancel()
		defer func() {
			if p := recover(); p != nil {
				result <- outcome{err: panicError{fmt.Sprint(p), string(debug.Stack())}}
			}
		}()
		look, err := c.Collect(ctx, cursor)
		result <- outcome{look, err}
	}()
	var o outcome
	select {
	case o = <-result:
	case <-ctx.Done():
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case o = <-result:
		case <-timer.C:
			o.err = fmt.Errorf("%w of %v", errStuck, sched.Timeout)
		}
	}
	return expected(resultOf(spec.Kind, o.look, o.err, started, h.Now()), sched), done
}

// expected makes "nothing to see" a failed look where the config says that there is
// something.
func expected(r Result, sched Schedule) Result {
	if sched.Enabled == On && r.Outcome == evidence.Unsupported {
		r.Outcome, r.Reason, r.Facts = evidence.Failed, "nothing_to_see", nil
		r.Gaps = append(r.Gaps, evidence.Gap{What: string(r.Kind), Why: "the config says enabled: on, but nothing was found to look at"})
	}
	return r
}

// panicError is a bug in a collector; its stack goes to the log, not into evidence.
type panicError struct{ what, stack string }

func (p panicError) Error() string { return "the collector crashed: " + p.what }

func unsupported(kind evidence.Kind, at time.Time, goos string) Result {
	return Result{Kind: kind, Outcome: evidence.Unsupported, Reason: "os", From: at, To: at,
		Gaps: []evidence.Gap{{What: string(kind), Why: "this collector does not work on " + goos}}}
}

func resultOf(kind evidence.Kind, l host.Look, err error, started, ended time.Time) Result {
	if err != nil {
		err = quiet{err}
	}
	for i := range l.Gaps {
		l.Gaps[i].Why = host.WithoutSecrets(l.Gaps[i].Why)
	}
	r := Result{Kind: kind, Facts: l.Facts, Detail: l.Detail, Gaps: l.Gaps, Next: l.Next, From: l.From, To: l.To}
	if r.To.IsZero() {
		r.To = ended
	}
	if r.From.IsZero() {
		r.From = r.To
	}
	if r.To.Before(r.From) {
		r.From = r.To
	}
	switch {
	case err != nil:
		r = Result{Kind: kind, Outcome: evidence.Failed, Reason: reasonOf(err), From: started, To: latest(started, ended),
			Gaps: append(l.Gaps, evidence.Gap{What: string(kind), Why: err.Error()}), err: err}
	case l.Unsupported:
		r.Outcome, r.Reason = evidence.Unsupported, "nothing_to_see"
	case len(l.Gaps) > 0:
		r.Outcome, r.Reason, r.Quiet = evidence.Partial, "gaps", l.Facts == nil
	default:
		r.Outcome, r.Quiet = evidence.Complete, l.Facts == nil
	}
	return r
}

// quiet is an error whose words hold no secrets: they go into evidence and into the log.
type quiet struct{ error }

func (q quiet) Error() string { return host.WithoutSecrets(q.error.Error()) }
func (q quiet) Unwrap() error { return q.error }

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func reasonOf(err error) string {
	var p panicError
	switch {
	case errors.As(err, &p):
		return "panic"
	case errors.Is(err, errStuck):
		return "stuck"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, host.ErrNoProgram):
		return "tool_absent"
	}
	return "error"
}

// line is the stable form that collect --json and explain print, one a line.
type line struct {
	Kind    evidence.Kind    `json:"kind"`
	Outcome evidence.Outcome `json:"outcome"`
	From    evidence.Time    `json:"from"`
	To      evidence.Time    `json:"to"`
	Gaps    []evidence.Gap   `json:"gaps"`
	Facts   evidence.Facts   `json:"facts"`
	Detail  any              `json:"detail"`
}

// JSON is the result as one line of JSON.
func (r Result) JSON() ([]byte, error) {
	l := line{r.Kind, r.Outcome, evidence.At(r.From), evidence.At(r.To), r.Gaps, r.Facts, r.Detail}
	if l.Gaps == nil {
		l.Gaps = []evidence.Gap{}
	}
	return json.Marshal(l)
}

// Collect looks once with each kind (all enabled ones if none is named) and
// sends nothing. Results come in the order of collectors.All.
func Collect(ctx context.Context, cfg Config, h *host.Host, kinds []string) ([]Result, error) {
	for _, k := range kinds {
		if _, ok := cfg.spec(evidence.Kind(k)); !ok {
			return nil, fmt.Errorf("no collector %q; there are %s", k, strings.Join(cfg.kindNames(), ", "))
		}
	}
	var waits []chan Result
	for _, spec := range cfg.Specs {
		sched, err := cfg.Schedule(spec.Kind)
		if err != nil {
			return nil, err
		}
		named := slices.Contains(kinds, string(spec.Kind))
		if !named && (len(kinds) > 0 || sched.Enabled == Off) {
			continue
		}
		c, err := spec.New(cfg.decoder(spec.Kind), h)
		if err != nil {
			return nil, fmt.Errorf("collectors.%s: %w", spec.Kind, err)
		}
		wait := make(chan Result, 1)
		waits = append(waits, wait)
		go func() {
			r, _ := lookOnce(ctx, h, spec, c, sched, nil)
			wait <- r
		}()
	}
	results := make([]Result, len(waits))
	for i, wait := range waits {
		results[i] = <-wait
	}
	return results, nil
}
