package agent_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attesto/attesto/agent"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// TestOnce goes the whole way over real TLS: two kinds become one record, the next
// run is chained to it, and the head that was verified is cosigned.
func TestOnce(t *testing.T) {
	r := newRig(t, counter("alpha", time.Hour), spec("beta", time.Hour, func(context.Context, []byte) (host.Look, error) {
		return host.Look{Facts: seen{"beta", 1}, Gaps: []evidence.Gap{{What: "x", Why: "locked"}}}, nil
	}))
	tls := httptest.NewTLSServer(r.srv)
	defer tls.Close()
	r.cfg.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: tls.Certificate().Raw})
	if err := os.WriteFile(r.cfg.CAFile, ca, 0o644); err != nil {
		t.Fatal(err)
	}
	r.cfg = r.cfg.Over(nil)
	if _, err := agent.Enroll(context.Background(), r.cfg, tls.URL, r.srv.token.String(), "test", r.logger()); err != nil {
		t.Fatal(err)
	}
	r.mustOnce()
	r.mustOnce()
	all := r.srv.all()
	if len(all) != 2 || len(all[0].Items) != 2 {
		t.Fatalf("%d records: %+v", len(all), all)
	}
	if it := all[0].Items[1]; it.Kind != "beta" || it.Outcome != evidence.Partial || it.Reason != "gaps" {
		t.Errorf("item %+v", it)
	}
	if all[1].Collector.SHA256.IsZero() || all[1].Clock.Now.IsZero() || all[1].Log.Size == 0 {
		t.Errorf("record does not say who looked and what log it knew: %+v", all[1])
	}
	r.checkCounts("alpha", 0)
	checkCosignatures(t, r, 2)

	s := r.status()
	if s.Spool.Waiting != 0 || s.Spool.Last != 2 || s.Alarm != nil || s.Running {
		t.Errorf("status %+v", s)
	}
	journal, err := agent.Journal(r.cfg)
	if err != nil || len(journal) != 2 || !journal[1].Proven || journal[1].Index != 3 || len(journal[0].Kinds) != 2 {
		t.Errorf("journal %+v, %v", journal, err)
	}
	sent, err := agent.JournalRecord(r.cfg, 2)
	if err != nil || len(sent.Blobs) != 3 || !json.Valid([]byte(sent.Statement)) {
		t.Errorf("record 2: %+v, %v", sent, err)
	}
	if _, err := agent.JournalRecord(r.cfg, 9); err == nil || !strings.Contains(err.Error(), "there is no record 9") {
		t.Errorf("record 9: %v", err)
	}
}

// checkCosignatures holds that the agent cosigned n times, each a head that the
// server released.
func checkCosignatures(t *testing.T, r *rig, n int) {
	t.Helper()
	if len(r.srv.cosigns) != n {
		t.Errorf("%d cosignatures, want %d", len(r.srv.cosigns), n)
	}
	stated, _, err := evidence.OpenEnrollment(r.srv.enroll)
	if err != nil {
		t.Fatal(err)
	}
	witness, err := base64.StdEncoding.DecodeString(stated.Witness)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range r.srv.cosigns {
		found := false
		for _, note := range r.srv.notes {
			_, err := evidence.VerifyCosignature(ed25519.PublicKey(witness), evidence.WitnessName(r.srv.origin, r.srv.agent), line, note)
			found = found || err == nil
		}
		if !found {
			t.Errorf("cosignature %q is of no released head", line)
		}
	}
}

// TestLogFaults: whatever a log shows that cannot be true, the agent keeps its
// records, raises an alarm with both signed heads, falls silent as a witness, and
// takes up again when the log is sound.
func TestLogFaults(t *testing.T) {
	cases := []struct {
		name  string
		twist func(f *fake) func(*evidence.PushAnswer)
		want  string
	}{
		{"shrunk log", func(f *fake) func(*evidence.PushAnswer) {
			var small tree
			small.add(f.tree.lines[0])
			return func(a *evidence.PushAnswer) { a.Checkpoint, a.Consistency = string(f.checkpoint(&small)), nil }
		}, "shrank"},
		{"two histories", func(f *fake) func(*evidence.PushAnswer) {
			return func(a *evidence.PushAnswer) {
				var forked tree
				forked.add([]byte("another past\n"))
				for _, line := range f.tree.lines[1:] {
					forked.add(line)
				}
				a.Checkpoint = string(f.checkpoint(&forked))
				a.Consistency = f.consistency(&forked, 3)
				last := len(a.Results) - 1
				a.Results[last].Proof = f.proof(&forked, forked.size()-1)
			}
		}, "does not continue"},
		{"two roots at one size", func(f *fake) func(*evidence.PushAnswer) {
			return func(a *evidence.PushAnswer) {
				var forked tree
				for range 3 {
					forked.add([]byte("another past\n"))
				}
				a.Checkpoint, a.Consistency = string(f.checkpoint(&forked)), nil
			}
		}, "two different roots"},
		{"head signed by another key", func(f *fake) func(*evidence.PushAnswer) {
			return func(a *evidence.PushAnswer) {
				note, err := evidence.SignCheckpoint(newKey(f.t).Private(), f.head(&f.tree))
				if err != nil {
					panic(err)
				}
				a.Checkpoint = string(note)
			}
		}, "checkpoint"},
		{"no head", func(*fake) func(*evidence.PushAnswer) {
			return func(a *evidence.PushAnswer) { a.Checkpoint = "" }
		}, "checkpoint"},
		{"no consistency proof", func(*fake) func(*evidence.PushAnswer) {
			return func(a *evidence.PushAnswer) { a.Consistency = []tlog.Hash{} }
		}, "does not continue"},
		{"receipt for another envelope", func(f *fake) func(*evidence.PushAnswer) {
			return func(a *evidence.PushAnswer) {
				a.Results[0].Entry, a.Results[0].Proof = string(f.tree.lines[2]), f.proof(&f.tree, 2)
			}
		}, "another envelope"},
		{"receipt under another head", func(f *fake) func(*evidence.PushAnswer) {
			return func(a *evidence.PushAnswer) {
				proof := f.proof(&f.tree, f.tree.size()-1)
				f.append(evidence.Entry{Type: evidence.EntryWorkflow, Stmt: evidence.Sum(nil), Env: evidence.Sum(nil)})
				a.Checkpoint, a.Consistency = string(f.checkpoint(&f.tree)), f.consistency(&f.tree, 3)
				a.Results[0].Proof = proof
			}
		}, "under another head"},
		{"no receipt", func(*fake) func(*evidence.PushAnswer) {
			return func(a *evidence.PushAnswer) { a.Results[0].Entry, a.Results[0].Proof = "", "" }
		}, "entry"},
		{"flipped bit in a proof", func(*fake) func(*evidence.PushAnswer) {
			return func(a *evidence.PushAnswer) {
				head, rest, _ := strings.Cut(a.Results[0].Proof, "index 3\n")
				a.Results[0].Proof = head + "index 3\n" + "AAAA" + rest[4:]
			}
		}, "inclusion"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, counter("alpha", time.Hour))
			r.enroll()
			r.mustOnce() // record 1; the agent knows a log of 3 entries
			known := string(r.srv.notes[3])
			r.srv.set(func() { r.srv.answer = c.twist(r.srv) })
			err := r.once(bounded(t, 30*time.Second))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %q, want one with %q", err, c.want)
			}
			s := r.status()
			if s.Spool.Waiting != 1 || s.Log.Size != 3 {
				t.Errorf("%d records wait, log of %d is believed: want 1 and 3", s.Spool.Waiting, s.Log.Size)
			}
			if s.Alarm == nil || s.Alarm.Code != "log" || s.Alarm.Known != known || s.Alarm.Cure == "" {
				t.Fatalf("alarm %+v", s.Alarm)
			}
			if c.name == "two histories" && (s.Alarm.Offered == "" || s.Alarm.Offered == known) {
				t.Errorf("the alarm does not hold the second head: %q", s.Alarm.Offered)
			}
			cosigned := len(r.srv.cosigns)
			r.srv.set(func() { r.srv.answer = nil })
			if err := r.once(bounded(t, 30*time.Second)); err == nil || !strings.Contains(err.Error(), "alarm") {
				t.Errorf("the alarm was forgotten: %v", err)
			}
			if n := len(r.srv.cosigns); n != cosigned {
				t.Error("the agent cosigned while it had an alarm about the log")
			}
			if s := r.status(); s.Spool.Waiting != 0 {
				t.Errorf("%d records wait though the log is sound again", s.Spool.Waiting)
			}
			kept, err := agent.ClearAlarm(r.cfg)
			if err != nil || kept == "" {
				t.Fatalf("clearing: %q, %v", kept, err)
			}
			r.mustOnce()
			r.checkCounts("alpha", 0)
		})
	}
}

// TestAlarmAboutLogStays: a later trouble must not overwrite the proof.
func TestAlarmAboutLogStays(t *testing.T) {
	r := newRig(t, counter("alpha", time.Hour))
	r.enroll()
	r.srv.set(func() { r.srv.answer = func(a *evidence.PushAnswer) { a.Checkpoint = "" } })
	if err := r.once(bounded(t, 30*time.Second)); err == nil {
		t.Fatal("no error")
	}
	r.srv.set(func() {
		r.srv.answer = func(a *evidence.PushAnswer) {
			a.Checkpoint = ""
			for i, res := range a.Results {
				a.Results[i] = evidence.PushResult{Seq: res.Seq, Status: evidence.StatusRejected,
					Error: &evidence.Error{Code: evidence.CodeFork, Message: "fork", Cure: "cure"}}
			}
		}
	})
	if err := r.once(bounded(t, 30*time.Second)); err == nil {
		t.Fatal("no error")
	}
	if s := r.status(); s.Alarm == nil || s.Alarm.Code != "log" {
		t.Errorf("alarm %+v", s.Alarm)
	}
}

func TestRefusals(t *testing.T) {
	reject := func(code evidence.Code, expect uint64) func(*evidence.PushAnswer) {
		return func(a *evidence.PushAnswer) {
			for i, res := range a.Results {
				a.Results[i] = evidence.PushResult{Seq: res.Seq, Status: evidence.StatusRejected,
					Error: &evidence.Error{Code: code, Message: "refused", Cure: "the cure", Expect: expect}}
			}
		}
	}
	cases := []struct {
		name, alarm, want string
		answer            func(*evidence.PushAnswer)
		before            func(w http.ResponseWriter, _ *http.Request) bool
	}{
		{name: "fork", alarm: "fork", want: "fork", answer: reject(evidence.CodeFork, 2)},
		{name: "altered record", alarm: "rejected", want: "the cure", answer: reject(evidence.CodeSignature, 0)},
		{name: "records no longer kept", alarm: "lost_records", want: "gap", answer: reject(evidence.CodeGap, 1<<40)},
		{name: "too few answers", want: "answered 0 records", answer: func(a *evidence.PushAnswer) { a.Results = nil }},
		{name: "wrong push token", want: "bad_token", before: func(w http.ResponseWriter, _ *http.Request) bool {
			say(w, http.StatusUnauthorized, &evidence.Error{Code: evidence.CodeBadToken, Message: "token", Cure: "enroll"})
			return true
		}},
		{name: "agent revoked", want: "unknown_agent", before: func(w http.ResponseWriter, _ *http.Request) bool {
			say(w, http.StatusForbidden, &evidence.Error{Code: evidence.CodeUnknownAgent, Message: "revoked", Cure: "enroll anew"})
			return true
		}},
		{name: "redirect", want: "301", before: func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Location", "https://evil.example/")
			return status(w, http.StatusMovedPermanently, 0)
		}},
		{name: "not JSON", want: "answer of", before: func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write([]byte("<html>"))
			return true
		}},
		{name: "endless answer", want: "larger than", before: func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write(make([]byte, 9<<20))
			return true
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, counter("alpha", time.Hour))
				r.enroll()
				r.srv.set(func() { r.srv.answer, r.srv.before = c.answer, c.before })
				err := r.once(bounded(t, time.Minute))
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %q, want one with %q", err, c.want)
				}
				s := r.status()
				if s.Spool.Waiting != 1 {
					t.Errorf("%d records wait, want 1", s.Spool.Waiting)
				}
				if s.Push.LastError == "" {
					t.Error("status says nothing of the failing push")
				}
				switch {
				case c.alarm == "" && s.Alarm != nil:
					t.Errorf("alarm %+v", s.Alarm)
				case c.alarm != "" && (s.Alarm == nil || s.Alarm.Code != c.alarm || s.Alarm.Cure == ""):
					t.Errorf("alarm %+v, want %s with a cure", s.Alarm, c.alarm)
				}
				r.srv.set(func() { r.srv.answer, r.srv.before = nil, nil })
				r.mustOnce()
				if s := r.status(); s.Alarm != nil || s.Spool.Waiting != 0 {
					t.Errorf("the log holds all and the alarm is still there: %+v", s.Alarm)
				}
				r.checkCounts("alpha", 0)
			})
		})
	}
}

// TestServerLostRecords: a server that was restored asks for earlier records, and
// gets those that are still kept.
func TestServerLostRecords(t *testing.T) {
	r := newRig(t, counter("alpha", time.Hour))
	r.enroll()
	for range 4 {
		r.mustOnce()
	}
	r.srv.set(func() {
		r.srv.next = 3
		delete(r.srv.held, 3)
		delete(r.srv.held, 4)
	})
	r.mustOnce()
	if all := r.srv.all(); len(all) != 5 {
		t.Errorf("the server holds %d records, want 5", len(all))
	}
	r.checkCounts("alpha", 0)
	if s := r.status(); s.Spool.Waiting != 0 || s.Alarm != nil {
		t.Errorf("status %+v", s)
	}
}

// TestServerAsksForever: a server that asks for earlier records again and again
// gets pauses, not an endless loop.
func TestServerAsksForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, counter("alpha", time.Hour))
		r.enroll()
		for range 3 {
			r.mustOnce()
		}
		before := r.srv.requests()
		r.srv.set(func() {
			r.srv.answer = func(a *evidence.PushAnswer) {
				last := &a.Results[len(a.Results)-1]
				if last.Seq > 3 {
					*last = evidence.PushResult{Seq: last.Seq, Status: evidence.StatusRejected, Error: &evidence.Error{Code: evidence.CodeGap, Message: "gap", Expect: 2}}
				}
			}
		})
		if err := r.once(bounded(t, time.Hour)); err == nil {
			t.Error("no error")
		}
		if n := r.srv.requests() - before; n > 100 {
			t.Errorf("%d requests in an hour", n)
		}
	})
}

func TestMissingBlobIsSentAgain(t *testing.T) {
	r := newRig(t, counter("alpha", time.Hour))
	r.enroll()
	r.srv.set(func() { r.srv.forget = func(evidence.Digest) bool { return true } })
	r.mustOnce()
	if n := r.checkCounts("alpha", 0); n != 1 {
		t.Errorf("the facts came %d times", n)
	}
}

// TestBatches: a backlog goes in pushes of at most 64 records and 4 MiB, oldest
// first; the fake refuses larger ones.
func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		big := strings.Repeat("x", 300<<10)
		r := newRig(t, spec("alpha", time.Minute, func(context.Context, []byte) (host.Look, error) {
			return host.Look{Facts: seen{"alpha", 1}, Detail: big}, nil
		}))
		r.enroll()
		r.srv.set(func() {
			r.srv.before = func(http.ResponseWriter, *http.Request) bool { return true }
		})
		down(r)
		stop := r.run()
		time.Sleep(2 * time.Hour)
		pushes := r.srv.requests()
		r.srv.set(func() { r.srv.before = nil })
		time.Sleep(time.Hour)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if n := len(r.srv.all()); n < 170 {
			t.Errorf("%d records arrived in three hours", n)
		}
		if n := r.srv.requests() - pushes; n < 15 || n > 90 {
			t.Errorf("%d pushes for a backlog of 36 MiB and an hour", n)
		}
	})
}

// down makes the server unreachable.
func down(r *rig) {
	r.srv.set(func() {
		r.srv.before = func(w http.ResponseWriter, _ *http.Request) bool { return status(w, dropConnection, 0) }
	})
}

func TestRetryAfterIsHeeded(t *testing.T) {
	for _, code := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, counter("alpha", time.Hour))
			r.enroll()
			first := true
			r.srv.set(func() {
				r.srv.times = nil
				r.srv.before = func(w http.ResponseWriter, _ *http.Request) bool {
					if !first {
						return false
					}
					first = false
					return status(w, code, 900)
				}
			})
			if err := r.once(bounded(t, 2*time.Hour)); err != nil {
				t.Fatal(err)
			}
			if len(r.srv.times) != 2 {
				t.Fatalf("%d requests, want 2", len(r.srv.times))
			}
			if waited := r.srv.times[1].Sub(r.srv.times[0]); waited < 15*time.Minute || waited > 17*time.Minute {
				t.Errorf("%d: waited %v, the server asked for 15m", code, waited)
			}
		})
	}
}

// TestRetryAfterIsBounded: no server can put an agent to sleep for days.
func TestRetryAfterIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, counter("alpha", time.Hour))
		r.enroll()
		start, first := time.Now(), true
		r.srv.set(func() {
			r.srv.before = func(w http.ResponseWriter, _ *http.Request) bool {
				if !first {
					return false
				}
				first = false
				return status(w, http.StatusServiceUnavailable, 9e8)
			}
		})
		if err := r.once(bounded(t, 240*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(start); waited > 70*time.Minute {
			t.Errorf("waited %v", waited)
		}
	})
}
