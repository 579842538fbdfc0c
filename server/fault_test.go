package server_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/store/storetest"
)

// jam makes the database refuse the rows of a table that cond describes, as a full
// disk or a broken index would; the returned function ends it.
func jam(t *testing.T, dsn, table, cond string) func() {
	t.Helper()
	if strings.HasPrefix(dsn, "sqlite:") {
		statement(t, dsn, fmt.Sprintf(`CREATE TRIGGER jam BEFORE INSERT ON %s WHEN %s BEGIN SELECT RAISE(ABORT, 'jammed'); END`, table, cond))
		return func() { statement(t, dsn, `DROP TRIGGER jam`) }
	}
	statement(t, dsn, fmt.Sprintf(`CREATE FUNCTION jam() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'jammed'; END $$ LANGUAGE plpgsql;
		CREATE TRIGGER jam BEFORE INSERT ON %s FOR EACH ROW WHEN (%s) EXECUTE FUNCTION jam()`, table, cond))
	return func() { statement(t, dsn, `DROP FUNCTION jam CASCADE`) }
}

// Whatever part of a commit fails: nothing is acknowledged, nothing is there, and the
// same push is taken once the fault is over.
func TestFailedCommitLeavesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := newWorld(t, dsn)
		h := w.enrolled(w.customer)
		for _, table := range []string{"entry", "checkpoint", "record", "item", "blob", "cosignature"} {
			t.Run(table, func(t *testing.T) {
				list := h.seals(3)
				end := jam(t, dsn, table, "true")
				body := evidence.Push{Known: evidence.KnownHead{Size: h.known.Size}}
				for _, s := range list {
					body.Records = append(body.Records, s.wire())
				}
				var err error
				if body.Cosign, err = evidence.Cosign(h.witness, evidence.WitnessName(h.known.Origin, h.id), h.checkpoint, w.now); err != nil {
					t.Fatal(err)
				}
				res, refusal := w.call("POST", evidence.PathRecords, h.push, body, nil)
				if refusal == nil || refusal.Code != evidence.CodeUnavailable || res.Code != http.StatusServiceUnavailable || res.Header().Get("Retry-After") == "" {
					t.Fatalf("status %d: %v", res.Code, refusal)
				}
				if strings.Contains(res.Body.String(), "jammed") {
					t.Error("the answer tells the database's own error")
				}
				end()
				st, err := w.store.Log(context.Background(), w.customer.ID)
				if err != nil || st.Size != h.known.Size {
					t.Fatalf("log of %d entries, was %d (%v)", st.Size, h.known.Size, err)
				}
				if got := outcomes(h.pushes(list...)); got != "[ok ok ok]" {
					t.Fatalf("sent again: %s", got)
				}
			})
		}
		if faults := w.check(t); len(faults) > 0 {
			t.Errorf("faults:\n%s", strings.Join(faults, "\n"))
		}
	})
}

// One agent's push that cannot be stored does not keep others, with which it
// shares a transaction, from being stored.
func TestOneBadPushInAGroup(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := newWorld(t, dsn)
		bad := w.enrolled(w.customer)
		end := jam(t, dsn, "item", fmt.Sprintf("NEW.agent_id = '%s'", bad.id))
		defer end()
		body := evidence.Push{Records: []evidence.PushRecord{bad.seal().wire()}}
		good := make([]*host, 4)
		for i := range good {
			good[i] = w.enrolled(w.customer)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 20 {
					w.call("POST", evidence.PathRecords, bad.push, body, nil)
				}
			})
		}
		for _, h := range good {
			wg.Go(func() {
				for range 10 {
					if got := outcomes(h.pushes(h.seals(2)...)); got != "[ok ok]" {
						t.Errorf("a good push: %s", got)
					}
				}
			})
		}
		wg.Wait()
		if faults := w.check(t); len(faults) > 0 {
			t.Errorf("faults:\n%s", strings.Join(faults, "\n"))
		}
	})
}

// What an agent has sent whole is committed even when it goes away before its
// answer; it finds its records to be duplicates.
func TestHangingUpLosesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := newWorld(t, dsn)
		h := w.enrolled(w.customer)
		list := h.seals(5)
		for _, s := range list {
			w.hangUp(h, s)
		}
		st, err := w.store.Log(context.Background(), w.customer.ID)
		if err != nil || st.Size != 6 {
			t.Fatalf("log of %d entries, want 6 (%v)", st.Size, err)
		}
		if got := outcomes(h.pushes(list...)); got != "[duplicate duplicate duplicate duplicate duplicate]" {
			t.Errorf("sent again: %s", got)
		}
	})
}
