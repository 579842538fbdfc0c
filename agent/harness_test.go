package agent_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/attesto/attesto/agent"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		os.Exit(child(dir))
	}
	goleak.VerifyTestMain(m)
}

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// seen are facts of kinds that exist in these tests only.
type seen struct {
	kind evidence.Kind
	N    int `json:"n"`
}

func (s seen) Kind() evidence.Kind { return s.kind }
func (s seen) Validate() error {
	if s.N < 0 {
		return fmt.Errorf("n is %d", s.N)
	}
	return nil
}

type lookFunc func(ctx context.Context, cursor []byte) (host.Look, error)

func (f lookFunc) Collect(ctx context.Context, cursor []byte) (host.Look, error) {
	return f(ctx, cursor)
}

func spec(kind evidence.Kind, every time.Duration, look lookFunc) host.Spec {
	return host.Spec{Kind: kind, Title: "test", OS: []string{runtime.GOOS}, Every: every, Timeout: time.Minute,
		New: func(func(any) error, *host.Host) (host.Collector, error) { return look, nil }}
}

// counter sees N = cursor + 1 and moves the cursor on, so that a skipped or
// repeated look shows.
func counter(kind evidence.Kind, every time.Duration) host.Spec {
	return spec(kind, every, func(_ context.Context, cursor []byte) (host.Look, error) {
		n := 0
		if cursor != nil {
			if err := json.Unmarshal(cursor, &n); err != nil {
				return host.Look{}, err
			}
		}
		n++
		return host.Look{Facts: seen{kind, n}, Detail: map[string]int{"n": n}, Next: fmt.Append(nil, n)}, nil
	})
}

// rig is an agent's state folder and the server that it talks to.
type rig struct {
	t   testing.TB
	srv *fake
	cfg agent.Config
	h   *host.Host
	log *logged
}

// logged keeps what was logged.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newRig(t testing.TB, specs ...host.Spec) *rig {
	f := newFake(t)
	cfg := agent.DefaultConfig()
	cfg.StateDir = filepath.Join(t.TempDir(), "state")
	cfg.Specs = specs
	r := &rig{t: t, srv: f, cfg: cfg.Over(f), h: &host.Host{Now: time.Now, MachineKey: []byte("k")}, log: &logged{}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(r.log.String())
		}
	})
	return r
}

func (r *rig) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (r *rig) enroll() agent.EnrollResult {
	r.t.Helper()
	res, err := agent.Enroll(context.Background(), r.cfg, "https://proof.example", r.srv.token.String(), "test", r.logger())
	if err != nil {
		r.t.Fatalf("enrolling: %v", err)
	}
	return res
}

func (r *rig) once(ctx context.Context) error {
	return agent.Once(ctx, r.cfg, r.h, "test", r.logger())
}

func (r *rig) mustOnce() {
	r.t.Helper()
	if err := r.once(bounded(r.t, time.Minute)); err != nil {
		r.t.Fatalf("run --once: %v", err)
	}
}

func (r *rig) status() agent.Status {
	r.t.Helper()
	s, err := agent.ReadStatus(r.cfg, r.h.Now())
	if err != nil {
		r.t.Fatalf("status: %v", err)
	}
	return s
}

// run starts the agent; stop ends it and waits.
func (r *rig) run() (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	ready := make(chan struct{})
	go func() {
		done <- agent.Run(ctx, r.cfg, r.h, "test", r.logger(), agent.Hooks{Ready: func() { close(ready) }})
	}()
	select {
	case <-ready:
	case err := <-done:
		r.t.Fatalf("run: %v", err)
	}
	return func() error {
		cancel()
		return <-done
	}
}

// facts reads what item i of a record that the server holds saw.
func (r *rig) facts(rec evidence.Record, i int) (n int, gaps []evidence.Gap) {
	r.t.Helper()
	blob, ok := r.srv.blobs[rec.Items[i].Facts.String()]
	if !ok {
		r.t.Fatalf("record %d: blob of item %d is missing", rec.Seq, i)
	}
	raw, gaps, err := evidence.ParseFactsBlob(blob)
	if err != nil {
		r.t.Fatal(err)
	}
	if raw == nil {
		return 0, gaps
	}
	var s seen
	if err := json.Unmarshal(raw, &s); err != nil {
		r.t.Fatal(err)
	}
	return s.N, gaps
}

// checkCounts holds the counter kind's looks in the log to: none skipped, and none
// repeated beyond allowed.
func (r *rig) checkCounts(kind evidence.Kind, allowed int) int {
	r.t.Helper()
	last, repeated := 0, 0
	for _, rec := range r.srv.all() {
		for i, it := range rec.Items {
			if it.Kind != kind || it.Outcome != evidence.Complete {
				continue
			}
			n, _ := r.facts(rec, i)
			switch {
			case n == last+1:
				last = n
			case n <= last:
				repeated++
			default:
				r.t.Errorf("record %d: look %d follows look %d: looks were skipped", rec.Seq, n, last)
				last = n
			}
		}
	}
	if repeated > allowed {
		r.t.Errorf("%d looks were repeated, at most %d may be", repeated, allowed)
	}
	return last
}
