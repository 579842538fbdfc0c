package agent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/agent"
	"github.com/attesto/attesto/evidence"
)

// loses makes the server a copy of itself with one record less, whose log begins
// anew. change may twist what it states, sign who states it.
func (f *fake) loses(signer evidence.Signer, change func(*evidence.Epoch)) {
	old, last, note := f.tree, f.head(&f.tree), f.checkpoint(&f.tree)
	var kept tree
	for _, line := range old.lines[:old.size()-1] {
		kept.add(line)
	}
	if h := f.held[f.next-1]; h.index == old.size()-1 {
		f.next--
		delete(f.held, f.next)
	}
	e := evidence.Epoch{Org: f.org, Epoch: 2, At: evidence.At(f.now()), Reason: "restored", Last: last, Kept: f.head(&kept), Checkpoint: string(note)}
	change(&e)
	env, err := evidence.SealEpoch(signer, e)
	if err != nil {
		f.t.Fatal(err)
	}
	f.origin, f.tree = evidence.Origin("proof.example", f.org, e.Epoch), tree{}
	f.append(evidence.Entry{Type: evidence.EntryEpoch, Stmt: env.StatementDigest(), Env: env.Digest()})
	f.epochs = func(known int64) []evidence.NewEpoch {
		return []evidence.NewEpoch{{Envelope: string(env.Bytes()), Entry: string(f.tree.lines[0]), Proof: f.proof(&f.tree, 0),
			Consistency: f.consistency(&kept, known)}}
	}
}

// A server that lost records says so, signed: the agent checks it, tells the story,
// ends its alarm, sends again what is missing, and witnesses the new log.
func TestLogBeginsAnew(t *testing.T) {
	r := newRig(t, counter("alpha", time.Hour))
	r.enroll()
	r.mustOnce()
	r.mustOnce()
	known := r.status().Log
	alarmed := func(a *evidence.PushAnswer) { // the copy, before anybody has recovered it
		var small tree
		small.add(r.srv.tree.lines[0])
		a.Checkpoint, a.Consistency = string(r.srv.checkpoint(&small)), nil
		for i, res := range a.Results {
			a.Results[i] = evidence.PushResult{Seq: res.Seq, Status: evidence.StatusRejected, Error: &evidence.Error{Code: evidence.CodeUnavailable, Message: "read-only"}}
		}
	}
	r.srv.set(func() { r.srv.answer = alarmed; r.srv.next = 1 << 30 })
	if err := r.once(bounded(t, 30*time.Second)); err == nil {
		t.Fatal("no alarm")
	}
	if err := r.once(bounded(t, 30*time.Second)); err == nil {
		t.Fatal("no alarm")
	}
	for i, k := range r.srv.known {
		if claims := i == len(r.srv.known)-1; claims != (k.Checkpoint != "") || k.Origin != known.Origin {
			t.Errorf("push %d says it knows %+v", i, k)
		}
	}
	r.srv.set(func() {
		r.srv.answer, r.srv.next = nil, 3
		r.srv.loses(r.srv.root, func(*evidence.Epoch) {})
	})
	r.mustOnce()
	s := r.status()
	if s.Alarm != nil || len(s.Began) != 1 || s.Spool.Waiting != 0 || !strings.HasSuffix(s.Log.Origin, "/2") {
		t.Fatalf("status %+v", s)
	}
	b := s.Began[0]
	if b.Known != known || b.Last != known || b.Kept.Size != known.Size-1 || !strings.Contains(b.Story(), "entries 3 to 3 were lost") {
		t.Errorf("story %+v: %s", b, b.Story())
	}
	if _, err := os.Stat(filepath.Join(r.cfg.StateDir, b.Alarm)); b.Alarm == "" || err != nil {
		t.Errorf("the alarm %q is not kept: %v", b.Alarm, err)
	}
	r.checkCounts("alpha", 0)
	if all := r.srv.all(); len(all) != 5 {
		t.Errorf("%d records, want 5", len(all))
	}
	r.srv.set(func() { r.srv.cosigns = nil })
	r.mustOnce()
	checkCosignatures(t, r, 1)
	if story, err := agent.LogStory(r.cfg); err != nil || len(story) != 1 {
		t.Errorf("%d stories (%v)", len(story), err)
	}
}

// The answer to a record was lost, then the log began anew after that record: its
// receipt is of the old log as it is kept, and of no other head.
func TestReceiptOfTheOldLog(t *testing.T) {
	for _, sound := range []bool{true, false} {
		r := newRig(t, counter("alpha", time.Hour))
		r.enroll()
		r.mustOnce()
		r.srv.set(func() {
			r.srv.answer = func(a *evidence.PushAnswer) { // as good as none
				a.Checkpoint, a.Results[0] = "", evidence.PushResult{Seq: 2, Status: evidence.StatusRejected}
			}
		})
		if err := r.once(bounded(t, 30*time.Second)); err == nil {
			t.Fatal("receipted")
		}
		f := r.srv
		f.set(func() {
			old := f.held[2]
			line := f.tree.lines[old.index]
			proof := f.proof(&f.tree, old.index)
			f.append(evidence.Entry{Type: evidence.EntryWorkflow, Stmt: evidence.Sum([]byte("s")), Env: evidence.Sum([]byte("lost"))})
			if !sound { // under a head that the statement does not call kept
				proof = f.proof(&f.tree, old.index)
			}
			f.loses(f.root, func(*evidence.Epoch) {})
			old.index = 0 // its place in the old log is put into the answer here
			f.held[2] = old
			f.answer = func(a *evidence.PushAnswer) {
				for i, res := range a.Results {
					if res.Seq == 2 {
						a.Results[i].Entry, a.Results[i].Proof = string(line), proof
					}
				}
			}
		})
		if err := r.once(bounded(t, 30*time.Second)); (err == nil) != sound {
			t.Errorf("sound %v: %v", sound, err)
		}
		if s := r.status(); (s.Spool.Waiting == 0) != sound || (s.Alarm == nil) != sound {
			t.Errorf("sound %v: %+v", sound, s)
		}
	}
}

// A statement that does not hold is an alarm, and nothing is let go of.
func TestFalseEpochs(t *testing.T) {
	for _, c := range []struct {
		name, want string
		change     func(f *fake, e *evidence.Epoch)
		foreign    bool // signed with another key
	}{
		{name: "of another key", want: "no server key", foreign: true},
		{name: "of another organisation", want: "takes the place", change: func(_ *fake, e *evidence.Epoch) { e.Org = evidence.NewID("o_") }},
		{name: "of another log", want: "takes the place", change: func(f *fake, e *evidence.Epoch) {
			e.Epoch = 3
			e.Last.Origin = evidence.Origin("proof.example", f.org, 2)
			e.Kept.Origin = e.Last.Origin
		}},
		{name: "hides a part of the loss", want: "this host verified", change: func(f *fake, e *evidence.Epoch) {
			var small tree
			for _, line := range f.tree.lines[:f.tree.size()-1] {
				small.add(line)
			}
			e.Last, e.Checkpoint = f.head(&small), string(f.checkpoint(&small))
		}},
		{name: "another root", want: "another root", change: func(f *fake, e *evidence.Epoch) {
			var forked tree
			for range f.tree.size() {
				forked.add([]byte("another past\n"))
			}
			e.Last, e.Checkpoint = f.head(&forked), string(f.checkpoint(&forked))
		}},
		{name: "a larger head that nobody signed", want: "the last head", change: func(f *fake, e *evidence.Epoch) {
			note, err := evidence.SignCheckpoint(newKey(f.t).Private(), e.Last)
			if err != nil {
				f.t.Fatal(err)
			}
			e.Checkpoint = string(note)
		}},
		{name: "names more than its checkpoint", want: "the checkpoint in it", change: func(_ *fake, e *evidence.Epoch) { e.Last.Size += 5 }},
		{name: "keeps another past", want: "what is kept", change: func(f *fake, e *evidence.Epoch) {
			var forked tree
			for range f.tree.size() + 2 {
				forked.add([]byte("another past\n"))
			}
			e.Kept, e.Last, e.Checkpoint = f.head(&forked), f.head(&forked), string(f.checkpoint(&forked))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, counter("alpha", time.Hour))
			r.enroll()
			r.mustOnce()
			r.mustOnce()
			known := r.status().Log
			r.srv.set(func() {
				signer := r.srv.root
				if c.foreign {
					signer = newKey(t)
				}
				r.srv.loses(signer, func(e *evidence.Epoch) {
					if c.change != nil {
						c.change(r.srv, e)
					}
				})
			})
			if err := r.once(bounded(t, 30*time.Second)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q, got %v", c.want, err)
			}
			s := r.status()
			if s.Alarm == nil || s.Alarm.Code != "log" || s.Alarm.Known == "" || s.Alarm.Offered == "" || s.Log != known || len(s.Began) != 0 || s.Spool.Waiting == 0 {
				t.Errorf("status %+v", s)
			}
		})
	}
}
