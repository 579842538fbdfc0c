package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store/storetest"
)

// restart starts the server anew on the same database and guard.
func (w *world) restart() {
	w.t.Helper()
	srv, err := server.New(context.Background(), testConfig(), server.Deps{Store: w.store, Guard: w.guard, Keys: w.keys, Log: discard, Version: "test", Now: func() time.Time { return w.now }})
	if err != nil {
		w.t.Fatal(err)
	}
	w.srv, w.handler = srv, srv.Handler()
}

// An older copy of the database is put back: its log takes nothing more, whoever
// asks, and whether the server noticed at its start or while it ran. Others go on.
func TestDatabaseSetBack(t *testing.T) {
	for _, started := range []string{"while it runs", "before it starts"} {
		t.Run(started, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, dsn string) {
				w := newWorld(t, dsn)
				old, early, other := w.enrolled(w.customer), w.enrolled(w.customer), w.enrolled(w.provider)
				old.pushes(old.seals(3)...)
				restore := save(t, dsn)
				old.pushes(old.seals(2)...)
				lost := old.known
				restore()
				if started != "while it runs" {
					w.restart()
				}
				before, err := w.store.Log(context.Background(), w.customer.ID)
				if err != nil || before.Size >= lost.Size {
					t.Fatalf("%d entries of %d (%v)", before.Size, lost.Size, err)
				}
				var answer evidence.PushAnswer
				w.call("POST", evidence.PathRecords, early.push, evidence.Push{Known: evidence.KnownHead{Size: early.known.Size},
					Records: []evidence.PushRecord{early.seal().wire()}}, &answer)
				if got := outcomes(answer.Results); got != "[unavailable]" || answer.Checkpoint != "" || !strings.Contains(answer.Results[0].Error.Cure, "log recover") {
					t.Errorf("an agent that knows less: %s, %q, %v", got, answer.Checkpoint, answer.Results[0].Error)
				}
				w.call("POST", evidence.PathRecords, old.push, evidence.Push{Known: evidence.KnownHead{Size: lost.Size},
					Records: []evidence.PushRecord{old.seal().wire()}}, &answer)
				if got := outcomes(answer.Results); got != "[unavailable]" || answer.Checkpoint != string(before.Checkpoint) {
					t.Errorf("an agent that knows more: %s, %q", got, answer.Checkpoint)
				}
				if _, err := w.srv.AppendWorkflow(context.Background(), evidence.Workflow{Org: w.customer.ID, Event: "review.confirmed"}, "x"); err == nil {
					t.Error("the server's own statement was appended")
				}
				h, token := w.newHost(), w.token(w.customer.ID, 1)
				offer, refusal := h.begin(token)
				if refusal == nil {
					refusal = h.finish(token, h.statement(token, offer))
				}
				if refusal == nil || refusal.Code != evidence.CodeUnavailable {
					t.Errorf("enrolling: %v", refusal)
				}
				after, err := w.store.Log(context.Background(), w.customer.ID)
				if err != nil || after.Size != before.Size {
					t.Errorf("the log grew from %d to %d (%v)", before.Size, after.Size, err)
				}
				if got := outcomes(other.pushes(other.seals(2)...)); got != "[ok ok]" {
					t.Errorf("another organisation: %s", got)
				}
				if res := w.get("/readyz"); res.Code != 200 || !strings.Contains(res.Body.String(), "1 logs are read-only") {
					t.Errorf("readyz: %d, %q", res.Code, res.Body)
				}
				if lost, err := w.srv.ReadOnly(context.Background(), w.customer.ID); err != nil || !lost {
					t.Errorf("the agents' page says nothing (%v)", err)
				}
				if faults := strings.Join(w.check(t), "\n"); !strings.Contains(faults, "set back") {
					t.Errorf("check: %s", faults)
				}
			})
		})
	}
}

// A guard that is behind, as after a crash of the machine or when another replica
// took the records, catches up once the log is proven to continue its head.
func TestGuardCatchesUp(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := newWorld(t, dsn)
		h := w.enrolled(w.customer)
		h.pushes(h.seals(3)...)
		for range 3 {
			if _, err := w.srv.AppendWorkflow(context.Background(), evidence.Workflow{Org: w.customer.ID, Event: "review.confirmed"}, "x"); err != nil {
				t.Fatal(err)
			}
		}
		if got := outcomes(h.pushes(h.seals(2)...)); got != "[ok ok]" {
			t.Fatal(got)
		}
		heads, err := w.guard.Heads(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range heads {
			if g.Origin == h.known.Origin && (g.Head != h.known || string(g.Note) != string(h.checkpoint)) {
				t.Errorf("guard has %v, released was %v", g.Head, h.known)
			}
		}
		lower := heads[0]
		lower.Size--
		if now, err := w.guard.Raise(context.Background(), lower); err != nil || now.Head != heads[0].Head {
			t.Errorf("lowered to %v (%v)", now.Head, err)
		}
	})
}

// A tree that was rewritten and signed anew, even to more entries than before, is
// not released: it does not continue the head that was.
func TestRewrittenLogIsNotReleased(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := newWorld(t, dsn)
		h := w.enrolled(w.customer)
		h.pushes(h.seals(3)...)
		if _, err := w.srv.AppendWorkflow(context.Background(), evidence.Workflow{Org: w.customer.ID, Event: "review.confirmed"}, "x"); err != nil {
			t.Fatal(err)
		}
		st, err := w.store.Log(context.Background(), w.customer.ID)
		if err != nil || len(st.Edge) != 2 {
			t.Fatalf("edge of %d (%v)", len(st.Edge), err)
		}
		st.Edge[0][0] ^= 1
		root := tlog.NodeHash(st.Edge[0], st.Edge[1])
		literal := map[bool]string{true: "x'%x'", false: `'\x%x'`}[strings.HasPrefix(dsn, "sqlite:")]
		attack(t, dsn, fmt.Sprintf(`UPDATE log SET edge = `+literal+`, root = `+literal+` WHERE id = '%s'`,
			ledger.EncodeEdge(st.Edge), root[:], st.ID))
		_, refusal := w.call("POST", evidence.PathRecords, h.push, evidence.Push{Records: []evidence.PushRecord{h.seal().wire()}}, nil)
		if refusal == nil || refusal.Code != evidence.CodeUnavailable {
			t.Errorf("released: %v", refusal)
		}
	})
}
