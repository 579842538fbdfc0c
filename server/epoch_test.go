package server_test

import (
	"context"
	"strings"
	"testing"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/store/storetest"
)

// push sends what an agent says it knows and records, and returns the answer.
func (h *host) push1(known evidence.KnownHead, list ...sealed) evidence.PushAnswer {
	t := h.w.t
	t.Helper()
	body := evidence.Push{Known: known}
	for _, s := range list {
		body.Records = append(body.Records, s.wire())
	}
	var answer evidence.PushAnswer
	if _, refusal := h.w.call("POST", evidence.PathRecords, h.push, body, &answer); refusal != nil {
		t.Fatal(refusal)
	}
	return answer
}

func (h *host) knows() evidence.KnownHead {
	return evidence.KnownHead{Origin: h.known.Origin, Size: h.known.Size}
}

// The log begins anew after a loss: what is kept stays provable, what was lost comes
// again, the statement says how much it was, and everything is sound.
func TestRecover(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		ctx := context.Background()
		w := newWorld(t, dsn)
		h, quiet := w.enrolled(w.customer), w.enrolled(w.customer)
		early := h.seals(3)
		h.pushes(early...)
		quiet.pushes(quiet.seals(2)...)
		kept, restore := h.known.Size+2, save(t, dsn)
		late := h.seals(4)
		h.pushes(late...)
		lost := h.known
		restore()

		if _, err := w.srv.RecoverLog(ctx, w.customer.ID, "because", ""); err == nil {
			t.Error("any reason will do")
		}
		if _, err := w.srv.RecoverLog(ctx, w.provider.ID, "restored", ""); err == nil || !strings.Contains(err.Error(), "nothing speaks against") {
			t.Errorf("a sound log was begun anew: %v", err)
		}
		e, err := w.srv.RecoverLog(ctx, w.customer.ID, "restored", "")
		if err != nil {
			t.Fatal(err)
		}
		if e.Epoch != 2 || e.Last != lost || e.Kept.Size != kept || e.Checkpoint != string(h.checkpoint) {
			t.Fatalf("epoch %+v, lost %v", e, lost)
		}
		if faults := w.check(t); len(faults) > 0 {
			t.Fatalf("faults:\n%s", strings.Join(faults, "\n"))
		}

		if ready := w.get("/readyz").Body.String(); ready != "ready\n" {
			t.Errorf("readyz: %q", ready)
		}

		fresh := h.seal()
		a := h.push1(h.knows(), fresh)
		if got := outcomes(a.Results); got != "[gap]" || a.Results[0].Error.Expect != 4 || len(a.Epochs) != 1 || a.Epochs[0].Consistency != nil {
			t.Fatalf("%s, %+v, %d epochs", got, a.Results[0].Error, len(a.Epochs))
		}
		h.follows(a.Epochs[0], e)
		// The newest kept record comes again as well: its receipt is of the old log.
		a = h.push1(h.knows(), append([]sealed{early[2]}, append(late, fresh)...)...)
		if got := outcomes(a.Results); got != "[duplicate ok ok ok ok ok]" || len(a.Epochs) != 0 {
			t.Fatalf("%s, %d epochs", got, len(a.Epochs))
		}
		old, trusted := h.trusted, h.trusted
		old.Origin = lost.Origin
		if _, _, under, err := a.Results[0].Receipt().Verify(early[2].env, old); err != nil || under != e.Kept {
			t.Errorf("receipt of a kept record under %v: %v", under, err)
		}
		if _, _, _, err := a.Results[5].Receipt().Verify(fresh.env, trusted); err != nil {
			t.Error(err)
		}

		// An agent that lost nothing gets the proof that what it knows is kept.
		a = quiet.push1(quiet.knows(), quiet.seal())
		if got := outcomes(a.Results); got != "[ok]" || len(a.Epochs) != 1 {
			t.Fatalf("%s, %d epochs", got, len(a.Epochs))
		}
		if err := evidence.CheckConsistency(quiet.known, e.Kept, a.Epochs[0].Consistency); err != nil {
			t.Error(err)
		}
		if got := outcomes(w.enrolled(w.customer).pushes()); got != "[]" {
			t.Error(got)
		}
		if _, err := w.srv.AppendWorkflow(ctx, evidence.Workflow{Org: w.customer.ID, Event: "review.confirmed"}, "x"); err != nil {
			t.Error(err)
		}
		w.restart()
		for epoch, indexes := range map[int64][]int64{1: {0, 3}, 2: {0, 1, 6}} {
			for _, index := range indexes {
				proofs, err := w.srv.VerifyRecord(ctx, w.customer.ID, epoch, index)
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range proofs {
					if !p.OK {
						t.Errorf("epoch %d, record %d: %s: %s", epoch, index, p.Name, p.Why)
					}
				}
			}
		}
		if faults := w.check(t); len(faults) > 0 {
			t.Fatalf("faults:\n%s", strings.Join(faults, "\n"))
		}
		if code, out := verdict(t, w.export()); code != 0 || !strings.Contains(out, "anew") {
			t.Errorf("the exported bundle: exit %d\n%s", code, out)
		}
	})
}

// follows checks a new epoch as an agent must and moves on to its head.
func (h *host) follows(n evidence.NewEpoch, want evidence.Epoch) {
	t := h.w.t
	t.Helper()
	env, err := evidence.ParseEnvelope([]byte(n.Envelope))
	if err != nil {
		t.Fatal(err)
	}
	e, err := evidence.OpenEpoch(env, h.w.keys.Server.Public())
	if err != nil || e.Last != want.Last || e.Kept != want.Kept {
		t.Fatalf("%+v (%v)", e, err)
	}
	h.trusted.Origin = evidence.Origin("proof.example", h.org, e.Epoch)
	h.known = evidence.Head{Origin: h.trusted.Origin}
	h.receive(env, n.Entry, n.Proof, nil)
}

// Guard and database were lost together. The first agent that knows more shows what
// it holds; from then on nobody's records are taken, on no server, until the log was
// begun anew from the head that the agent showed.
func TestAgentsShowWhatWasLost(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		ctx := context.Background()
		w := newWorld(t, dsn)
		h, other := w.enrolled(w.customer), w.enrolled(w.customer)
		h.pushes(h.seals(2)...)
		restore := save(t, dsn)
		h.pushes(h.seals(3)...)
		restore()
		w.guard = nil
		w.restart()
		if got := outcomes(other.push1(other.knows(), other.seal()).Results); got != "[ok]" {
			t.Fatalf("nobody can know yet, but %s", got)
		}
		known := h.knows()
		if got := outcomes(h.push1(known, h.seal()).Results); got != "[unavailable]" {
			t.Fatal(got)
		}
		if _, err := w.srv.RecoverLog(ctx, w.customer.ID, "restored", ""); err == nil {
			t.Error("recovered from a head that nobody has shown")
		}
		forged := known
		forged.Checkpoint = strings.Replace(string(h.checkpoint), "\n", "\n9", 1)
		if got := outcomes(h.push1(forged, h.seal()).Results); got != "[unavailable]" {
			t.Fatal(got)
		}
		if got := outcomes(other.push1(other.knows(), other.seal()).Results); got != "[ok]" {
			t.Fatalf("a forged head stops the log: %s", got)
		}
		known.Checkpoint = string(h.checkpoint)
		if got := outcomes(h.push1(known, h.seal()).Results); got != "[unavailable]" {
			t.Fatal(got)
		}
		w.restart()
		if got := outcomes(other.push1(other.knows(), other.seal()).Results); got != "[unavailable]" {
			t.Errorf("goes on although an agent holds more: %s", got)
		}
		if faults := strings.Join(w.check(t), "\n"); !strings.Contains(faults, "does not continue") {
			t.Errorf("check: %s", faults)
		}
		e, err := w.srv.RecoverLog(ctx, w.customer.ID, "restored", "")
		if err != nil || e.Last.Size < h.known.Size {
			t.Fatalf("%+v (%v)", e, err)
		}
		if faults := w.check(t); len(faults) > 0 {
			t.Errorf("faults:\n%s", strings.Join(faults, "\n"))
		}
	})
}
