package agent_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/agent"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// childEnv names the state folder of an agent that this test binary runs as.
const childEnv = "ATTESTO_TEST_AGENT"

// hurried are collectors that look all the time, so that a kill meets every step.
func hurried() []host.Spec {
	return []host.Spec{counter("alpha", 7*time.Millisecond), counter("beta", 11*time.Millisecond),
		spec("quiet", 5*time.Millisecond, func(_ context.Context, cursor []byte) (host.Look, error) {
			return host.Look{Next: fmt.Append(nil, len(cursor))}, nil
		})}
}

func childConfig(dir string) agent.Config {
	cfg := agent.DefaultConfig()
	cfg.StateDir, cfg.Specs = dir, hurried()
	return cfg
}

func child(dir string) int {
	h := &host.Host{Now: time.Now, MachineKey: []byte("k")}
	err := agent.Run(context.Background(), childConfig(dir), h, "test", slog.New(slog.NewTextHandler(os.Stderr, nil)), agent.Hooks{})
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// TestKill kills a real agent process at points that chance picks: before the
// server took a push, after it took it and before the answer, and some moments
// later. Every record that was pushed is in the log once, none is skipped, the
// chain has no hole (the fake checks it), and every receipt holds.
func TestKill(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 8
	}
	r := newRig(t, hurried()...)
	web := httptest.NewServer(r.srv)
	defer web.Close()
	r.cfg = r.cfg.Over(nil)
	if _, err := agent.Enroll(context.Background(), r.cfg, web.URL, r.srv.token.String(), "test", r.logger()); err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	met := map[string]int{}
	for range rounds {
		moment := []string{"before", "taken", "later"}[rnd.IntN(3)]
		met[moment]++
		killOnce(t, r, moment, 1+rnd.IntN(6), time.Duration(rnd.IntN(20_000))*time.Microsecond)
	}
	if len(met) != 3 {
		t.Errorf("moments met: %v", met)
	}
	r.mustOnce()
	if s := r.status(); s.Spool.Waiting != 0 || s.Alarm != nil || s.Spool.Lost != 0 {
		t.Errorf("status %+v", s)
	}
	journal, err := agent.Journal(r.cfg)
	if err != nil || len(journal) != len(r.srv.all()) {
		t.Errorf("the journal has %d records, the log %d: %v", len(journal), len(r.srv.all()), err)
	}
	if n := r.checkCounts("alpha", 0); n < rounds {
		t.Errorf("only %d looks in %d lives", n, rounds)
	}
	r.checkCounts("beta", 0)
}

// killOnce starts the agent and kills it at its n-th push.
func killOnce(t *testing.T, r *rig, moment string, n int, later time.Duration) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+r.cfg.StateDir)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pushes := 0
	kill := func() { _ = cmd.Process.Kill() } // it may have ended by itself; Wait tells
	r.srv.set(func() {
		r.srv.before = func(_ http.ResponseWriter, req *http.Request) bool {
			if req.URL.Path != evidence.PathRecords {
				return false
			}
			pushes++
			if pushes == n && moment == "later" {
				time.AfterFunc(later, kill)
			}
			if pushes == n && moment == "before" {
				kill()
				_, _ = io.Copy(io.Discard, req.Body)
				return true
			}
			return false
		}
		r.srv.answer = func(*evidence.PushAnswer) {
			if pushes == n && moment == "taken" {
				kill()
			}
		}
	})
	timeout := time.AfterFunc(time.Minute, kill)
	_ = cmd.Wait() // killed, as it should be
	if !timeout.Stop() {
		t.Fatalf("the agent did not push %d times in a minute:\n%s", n, said.String())
	}
	if cmd.ProcessState.Exited() {
		t.Fatalf("the agent ended by itself:\n%s", said.String())
	}
	r.srv.set(func() { r.srv.before, r.srv.answer = nil, nil })
}
