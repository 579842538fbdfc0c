package agent_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/attesto/attesto/agent"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// TestSchedule: all kinds at once at the start, as one record; each again after
// half to one and a half intervals, then at its interval.
func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var times []time.Time
		r := newRig(t, counter("alpha", 6*time.Hour), spec("beta", time.Hour, func(context.Context, []byte) (host.Look, error) {
			times = append(times, time.Now())
			return host.Look{Facts: seen{"beta", 1}}, nil
		}))
		r.enroll()
		start := time.Now()
		stop := r.run()
		time.Sleep(48 * time.Hour)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if len(times) < 47 || len(times) > 49 {
			t.Fatalf("%d looks in 48 hours", len(times))
		}
		if d := times[0].Sub(start); d > time.Second {
			t.Errorf("first look after %v", d)
		}
		if d := times[1].Sub(times[0]); d < 30*time.Minute || d > 90*time.Minute {
			t.Errorf("second look after %v", d)
		}
		for i, at := range times[2:] {
			if d := at.Sub(times[i+1]); d < 59*time.Minute || d > 61*time.Minute {
				t.Errorf("look %d after %v", i+3, d)
			}
		}
		all := r.srv.all()
		if len(all[0].Items) != 2 {
			t.Errorf("first record has %d items, want both kinds", len(all[0].Items))
		}
		if n := r.checkCounts("alpha", 0); n < 8 || n > 9 {
			t.Errorf("%d looks of alpha in 48 hours at 6 hours' interval", n)
		}
	})
}

func TestSplaySpreadsAFleet(t *testing.T) {
	const every = time.Hour
	var early int
	for range 1000 {
		d := agent.Splay(evidence.NewID("a_"), "alpha", every)
		if d <= every/2 || d > every*3/2 {
			t.Fatalf("splay of %v", d)
		}
		if d < every {
			early++
		}
	}
	if early < 400 || early > 600 {
		t.Errorf("%d of 1000 agents come in the first half", early)
	}
	if agent.Splay("a", "alpha", every) == agent.Splay("a", "beta", every) {
		t.Error("two kinds of one agent come at the same moment")
	}
}

// TestBadCollectors: each way in which a collector can misbehave becomes a failed
// item that says why, and holds up no other kind.
func TestBadCollectors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var stuckLooks atomic.Int32
		r := newRig(t, counter("good", time.Hour),
			spec("crashes", time.Hour, func(context.Context, []byte) (host.Look, error) { panic("index out of range") }),
			spec("fails", time.Hour, func(context.Context, []byte) (host.Look, error) {
				return host.Look{Gaps: []evidence.Gap{{What: "db", Why: "locked"}}}, errors.New("nothing to be read")
			}),
			spec("late", time.Hour, func(ctx context.Context, _ []byte) (host.Look, error) {
				<-ctx.Done()
				return host.Look{}, ctx.Err()
			}),
			spec("lies", time.Hour, func(context.Context, []byte) (host.Look, error) { return host.Look{Facts: seen{"lies", -1}}, nil }),
			spec("none", time.Hour, func(context.Context, []byte) (host.Look, error) {
				return host.Look{Unsupported: true, Gaps: []evidence.Gap{{What: "tools", Why: "none here"}}}, nil
			}),
			spec("stuck", time.Hour, func(context.Context, []byte) (host.Look, error) {
				stuckLooks.Add(1)
				<-release
				return host.Look{Facts: seen{"stuck", 1}}, nil
			}),
			spec("vast", time.Hour, func(context.Context, []byte) (host.Look, error) {
				return host.Look{Facts: seen{"vast", 1}, Detail: strings.Repeat("x", evidence.MaxBlob)}, nil
			}))
		r.enroll()
		stop := r.run()
		time.Sleep(5 * time.Hour)
		s := r.status()
		if !s.Kinds["stuck"].Stuck || !s.Kinds["stuck"].Running {
			t.Errorf("status does not say that a collector is stuck: %+v", s.Kinds["stuck"])
		}
		if !strings.Contains(strings.Join(s.Problems, "\n"), "the stuck collector is stuck") {
			t.Errorf("problems %q", s.Problems)
		}
		if n := stuckLooks.Load(); n != 1 {
			t.Errorf("the stuck collector was started %d times", n)
		}
		close(release)
		time.Sleep(3 * time.Hour)
		if n := stuckLooks.Load(); n < 3 {
			t.Errorf("after it returned, the collector was started %d times in 3 hours", n)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		want := map[evidence.Kind][3]string{
			"crashes": {"failed", "panic", "the collector crashed: index out of range"},
			"fails":   {"failed", "error", "nothing to be read"},
			"late":    {"failed", "timeout", "context deadline exceeded"},
			"lies":    {"failed", "facts", "n is -1"},
			"none":    {"unsupported", "nothing_to_see", "none here"},
			"stuck":   {"failed", "stuck", "did not stop at its deadline of 1m0s"},
			"vast":    {"partial", "gaps", "over the limit"},
		}
		found := map[evidence.Kind]int{}
		for _, rec := range r.srv.all() {
			for i, it := range rec.Items {
				w, bad := want[it.Kind]
				if !bad || (it.Kind == "stuck" && it.Outcome == evidence.Complete) {
					continue
				}
				found[it.Kind]++
				_, gaps := r.facts(rec, i)
				if it.Outcome.String() != w[0] || it.Reason != w[1] || len(gaps) == 0 || !strings.Contains(gaps[len(gaps)-1].Why, w[2]) {
					t.Errorf("%s: %s, %q, gaps %v: want %v", it.Kind, it.Outcome, it.Reason, gaps, w)
				}
			}
		}
		for kind := range want {
			if found[kind] == 0 {
				t.Errorf("nothing was recorded of %s", kind)
			}
		}
		if found["stuck"] != 1 {
			t.Errorf("the stuck look was recorded %d times", found["stuck"])
		}
		if n := r.checkCounts("good", 0); n < 8 {
			t.Errorf("the good collector looked %d times in 8 hours", n)
		}
		if !strings.Contains(r.log.String(), "run_test.go") {
			t.Error("the crash's stack is not in the log")
		}
	})
}

// TestEnabledOn: where the config says that there is something, finding nothing is a fault.
func TestEnabledOn(t *testing.T) {
	r := newRig(t, spec("none", time.Hour, func(context.Context, []byte) (host.Look, error) {
		return host.Look{Unsupported: true, Facts: seen{"none", 0}}, nil
	}), counter("other", time.Hour))
	cfg, err := agent.LoadConfigInto(r.cfg, write(t, "collectors:\n  none: {enabled: on}\n  other: {enabled: off}\n"))
	if err != nil {
		t.Fatal(err)
	}
	results, err := agent.Collect(context.Background(), cfg, r.h, nil)
	if err != nil || len(results) != 1 {
		t.Fatalf("%d results, %v", len(results), err)
	}
	if got := results[0]; got.Outcome != evidence.Failed || got.Reason != "nothing_to_see" || len(got.Gaps) != 1 {
		t.Errorf("result %+v", got)
	}
}

// TestOutage: three days without the server lose nothing, and it is not hammered.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, counter("alpha", time.Hour))
		r.enroll()
		down(r)
		stop := r.run()
		time.Sleep(72 * time.Hour)
		s := r.status()
		if !s.Running || s.Spool.Waiting < 71 || s.Push.Failing == nil {
			t.Errorf("status in the outage: %+v", s)
		}
		problems := strings.Join(s.Problems, "\n")
		if !strings.Contains(problems, "pushing has failed since") || !strings.Contains(problems, "are not lost") {
			t.Errorf("problems %q", s.Problems)
		}
		if n := r.srv.requests(); n > 72*4*8 {
			t.Errorf("%d requests in three days", n)
		}
		r.srv.set(func() { r.srv.before = nil })
		time.Sleep(16 * time.Minute)
		if s := r.status(); s.Spool.Waiting != 0 || s.Push.LastError != "" {
			t.Errorf("16 minutes after the outage: %+v", s)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		r.checkCounts("alpha", 0)
		for _, rec := range r.srv.all() {
			if rec.Lost != 0 {
				t.Errorf("record %d says that %d looks were lost", rec.Seq, rec.Lost)
			}
		}
	})
}

// TestStorm: four of five answers are refusals of every sort; records still arrive in
// order, each once.
func TestStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, counter("alpha", time.Hour))
		r.enroll()
		rnd := rand.New(rand.NewPCG(1, 2))
		codes := []int{500, 502, 503, 504, 429, 403, 404, dropConnection}
		r.srv.set(func() {
			r.srv.before = func(w http.ResponseWriter, _ *http.Request) bool {
				return rnd.IntN(5) > 0 && status(w, codes[rnd.IntN(len(codes))], rnd.IntN(3)*20)
			}
			// And of the answers that came through, every third is lost.
			r.srv.answer = func(a *evidence.PushAnswer) {
				if rnd.IntN(3) == 0 {
					a.Results = nil
				}
			}
		})
		stop := r.run()
		time.Sleep(48 * time.Hour)
		r.srv.set(func() { r.srv.before, r.srv.answer = nil, nil })
		time.Sleep(time.Hour)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if n := r.checkCounts("alpha", 0); n < 47 {
			t.Errorf("%d looks arrived of two days", n)
		}
		if s := r.status(); s.Alarm != nil || s.Spool.Waiting != 0 {
			t.Errorf("status %+v", s)
		}
	})
}

// TestClockWrongByADay: evidence flows on, and both sides are told.
func TestClockWrongByADay(t *testing.T) {
	for _, wrong := range []time.Duration{24 * time.Hour, -24 * time.Hour} {
		r := newRig(t, counter("alpha", time.Hour))
		r.h.Now = func() time.Time { return time.Now().Add(wrong) }
		r.enroll()
		r.mustOnce()
		s := r.status()
		if !strings.Contains(strings.Join(s.Problems, "\n"), "clock differs from the server's by") {
			t.Errorf("%v: problems %q", wrong, s.Problems)
		}
		if s.Spool.Waiting != 0 || s.Alarm != nil {
			t.Errorf("%v: status %+v", wrong, s)
		}
	}
}

// TestDeltaIsStated: the second record tells the difference that the first push showed.
func TestDeltaIsStated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, counter("alpha", time.Hour))
		r.h.Now = func() time.Time { return time.Now().Add(24 * time.Hour) }
		r.enroll()
		stop := r.run()
		time.Sleep(2 * time.Hour)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		all := r.srv.all()
		if d := time.Duration(all[1].Clock.ServerDeltaMs) * time.Millisecond; d.Round(time.Minute) != -24*time.Hour {
			t.Errorf("the record states a difference of %v", d)
		}
	})
}

// TestSpoolFull: when too much waits, looks are not sealed, are counted, and the
// next record says how many; what has a cursor is looked at again.
func TestSpoolFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		big := strings.Repeat("x", 200<<10)
		r := newRig(t, counter("alpha", time.Hour), spec("big", time.Hour, func(context.Context, []byte) (host.Look, error) {
			return host.Look{Facts: seen{"big", 1}, Detail: big}, nil
		}))
		r.cfg.Spool.MaxBytes = 1 << 20
		r.enroll()
		down(r)
		stop := r.run()
		time.Sleep(24 * time.Hour)
		s := r.status()
		if s.Spool.Lost == 0 || s.Spool.Bytes > 2<<20 || !strings.Contains(strings.Join(s.Problems, "\n"), "the spool is full") {
			t.Errorf("status with a full spool: %+v", s)
		}
		lost := s.Spool.Lost
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		stop = r.run() // the count survives a restart
		time.Sleep(time.Second)
		r.srv.set(func() { r.srv.before = nil })
		time.Sleep(3 * time.Hour)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		stated := 0
		for _, rec := range r.srv.all() {
			stated += rec.Lost
		}
		if stated < lost || stated > lost+4 {
			t.Errorf("records state that %d looks were lost, status said %d", stated, lost)
		}
		r.checkCounts("alpha", 0)
		if s := r.status(); s.Spool.Lost != 0 || s.SealError != "" {
			t.Errorf("status after: %+v", s)
		}
	})
}

// TestDiskFull: the agent goes on, says so, keeps trying, and loses no record.
func TestDiskFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, counter("alpha", time.Hour))
		var full atomic.Bool
		r.cfg = r.cfg.WithDisk(func(string) error {
			if full.Load() {
				return syscall.ENOSPC
			}
			return nil
		})
		r.enroll()
		stop := r.run()
		time.Sleep(3 * time.Hour)
		full.Store(true)
		time.Sleep(5 * time.Hour)
		s := r.status()
		if !strings.Contains(strings.Join(s.Problems, "\n"), "no space left on device") || s.Spool.Lost == 0 {
			t.Errorf("status with a full disk: %+v", s)
		}
		full.Store(false)
		time.Sleep(time.Minute)
		if s := r.status(); s.SealError != "" {
			t.Errorf("a minute after: %+v", s)
		}
		time.Sleep(3 * time.Hour)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if n := r.checkCounts("alpha", 0); n < 6 {
			t.Errorf("%d looks arrived", n)
		}
		if !strings.Contains(r.log.String(), "records can be kept again") {
			t.Error("the log does not say that it is over")
		}
	})
}

// TestStop: a look that is under way ends, is no finding, and what was found
// before is pushed.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Bool
		r := newRig(t, counter("alpha", time.Hour), spec("slow", time.Hour, func(ctx context.Context, _ []byte) (host.Look, error) {
			<-ctx.Done()
			ended.Store(true)
			return host.Look{}, ctx.Err()
		}))
		r.enroll()
		stop := r.run()
		time.Sleep(time.Second) // alpha is done and waits for slow
		at := time.Now()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(at); d > 10*time.Second {
			t.Errorf("stopping took %v", d)
		}
		if !ended.Load() {
			t.Error("the slow look is still under way")
		}
		all := r.srv.all()
		if len(all) != 1 || len(all[0].Items) != 1 || all[0].Items[0].Kind != "alpha" {
			t.Errorf("records %+v: want alpha alone", all)
		}
	})
}

// TestStopWhileDown: an unreachable server does not hold up the end.
func TestStopWhileDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, counter("alpha", time.Hour))
		r.enroll()
		down(r)
		stop := r.run()
		time.Sleep(30 * time.Hour)
		at := time.Now()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(at); d > 20*time.Second {
			t.Errorf("stopping took %v", d)
		}
	})
}

// TestQuietLooks: a look that has nothing to report moves only its cursor, durably.
func TestQuietLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, spec("alpha", 5*time.Minute, func(_ context.Context, cursor []byte) (host.Look, error) {
			if n := len(cursor); n < 11 {
				return host.Look{Next: append(cursor, 'x')}, nil
			}
			return host.Look{Facts: seen{"alpha", len(cursor) + 1}, Next: []byte{}}, nil
		}))
		r.enroll()
		for range 6 { // restarts do not start the hour anew
			stop := r.run()
			time.Sleep(12 * time.Minute)
			if err := stop(); err != nil {
				t.Fatal(err)
			}
		}
		all := r.srv.all()
		if len(all) < 1 || len(all) > 2 {
			t.Fatalf("%d records of 12 looks each", len(all))
		}
		if n, _ := r.facts(all[0], 0); n != 12 {
			t.Errorf("%d looks in the record", n)
		}
	})
}

func TestTwoAgentsOnOneFolder(t *testing.T) {
	r := newRig(t, counter("alpha", time.Hour))
	r.enroll()
	stop := r.run()
	if err := r.once(bounded(t, time.Minute)); err == nil || !strings.Contains(err.Error(), "another attesto-agent runs") {
		t.Errorf("a second agent: %v", err)
	}
	if s := r.status(); !s.Running {
		t.Error("status does not see the running agent")
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestNotEnrolled(t *testing.T) {
	r := newRig(t, counter("alpha", time.Hour))
	if err := r.once(bounded(t, time.Minute)); !errors.Is(err, agent.ErrNotEnrolled) {
		t.Errorf("error %v", err)
	}
	if s := r.status(); s.Enrolled || len(s.Problems) != 1 || !strings.Contains(s.Problems[0], "attesto-agent enroll") {
		t.Errorf("status %+v", s)
	}
}

// TestDoctor: what is amiss is named with its cure, before enrollment and after.
func TestDoctor(t *testing.T) {
	useful := counter("alpha", time.Hour)
	useful.Detect = func(context.Context, *host.Host) host.Detection {
		return host.Detection{Useful: true, Found: "a thing", Missing: []host.Missing{{What: "the right to read it", Cure: "chmod it"}}}
	}
	r := newRig(t, useful)
	for _, enrolled := range []bool{false, true} {
		if enrolled {
			r.enroll()
		}
		d, err := agent.Doctor(bounded(t, time.Minute), r.cfg, r.h, r.logger())
		if err != nil {
			t.Fatal(err)
		}
		if d.Healthy() || len(d.Kinds) != 1 || d.Kinds[0].Found != "a thing" || d.Kinds[0].Missing[0].Cure != "chmod it" {
			t.Errorf("kinds %+v", d.Kinds)
		}
		names := map[string]bool{}
		for _, f := range d.General {
			names[f.What] = true
			if !f.OK && f.Cure == "" {
				t.Errorf("%s is amiss without a cure: %q", f.What, f.Says)
			}
		}
		for _, what := range []string{"state folder", "clock", "enrollment"} {
			if !names[what] {
				t.Errorf("enrolled %v: the doctor says nothing of %s", enrolled, what)
			}
		}
		if enrolled != names["server"] {
			t.Errorf("enrolled %v: server named %v", enrolled, names["server"])
		}
	}
}

// TestLateLook: a collector that ignores its end must not seal anything once the
// state folder may be another agent's.
func TestLateLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := newRig(t, spec("deaf", time.Hour, func(context.Context, []byte) (host.Look, error) {
			<-release
			return host.Look{Facts: seen{"deaf", 1}}, nil
		}))
		r.enroll()
		stop := r.run()
		time.Sleep(time.Second)
		at := time.Now()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(at); d > 20*time.Second {
			t.Errorf("stopping took %v", d)
		}
		close(release)
		synctest.Wait()
		if s := r.status(); s.Spool.Last != 0 || len(r.srv.all()) != 0 {
			t.Errorf("a record was sealed after the end: %+v", s.Spool)
		}
	})
}

// TestLookAgainBeforeSealed: while a slow look holds up the record, another kind's
// next look goes on from where its last one ended.
func TestLookAgainBeforeSealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, counter("alpha", 10*time.Second), spec("slow", time.Hour, func(context.Context, []byte) (host.Look, error) {
			time.Sleep(50 * time.Second)
			return host.Look{Facts: seen{"slow", 1}}, nil
		}))
		r.enroll()
		stop := r.run()
		time.Sleep(2 * time.Minute)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if n := r.checkCounts("alpha", 0); n < 10 {
			t.Errorf("%d looks in two minutes", n)
		}
	})
}

// deaf never answers, whatever the request's context says.
type deaf struct{ release chan struct{} }

func (d deaf) RoundTrip(*http.Request) (*http.Response, error) {
	<-d.release
	return nil, errors.New("connection reset by peer")
}

// TestWatchdog: the service manager hears that all is well while the agent gets on,
// an outage included, and not when a part of it hangs.
func TestWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, counter("alpha", time.Hour))
		r.enroll()
		var said []string
		watch := func(cfg agent.Config, life time.Duration, last func()) {
			said = nil
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() {
				done <- agent.Run(ctx, cfg, r.h, "test", r.logger(), agent.Hooks{Progress: func(s string) { said = append(said, s) }})
			}()
			time.Sleep(life)
			cancel()
			last()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		watch(r.cfg, 30*time.Minute, func() {})
		if n := len(said); n < 170 || said[n-1] != "1 records sealed, 0 wait for the server" {
			t.Errorf("said %d times, at last %q", n, said[n-1])
		}
		down(r)
		watch(r.cfg, 12*time.Hour, func() {})
		if n := len(said); n < 4300 || !strings.Contains(said[n-1], "not reached since") {
			t.Errorf("in an outage: said %d times, at last %q", n, said[n-1])
		}
		d := deaf{make(chan struct{})}
		watch(r.cfg.Over(d), 4*time.Hour, func() { close(d.release) })
		if n := len(said); n < 340 || n > 380 {
			t.Errorf("with a push that hangs: said %d times in four hours, want one hour's worth", n)
		}
	})
}
