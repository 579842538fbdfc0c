package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// jam makes the database refuse to write the rows of a table that cond describes, as
// a full disk or a broken index would; the returned function ends it.
func jam(t *testing.T, dsn, write, table, cond string) func() {
	t.Helper()
	if strings.HasPrefix(dsn, "sqlite:") {
		statement(t, dsn, fmt.Sprintf(`CREATE TRIGGER jam BEFORE %s ON %s WHEN %s BEGIN SELECT RAISE(ABORT, 'jammed'); END`, write, table, cond))
		return func() { statement(t, dsn, `DROP TRIGGER jam`) }
	}
	statement(t, dsn, fmt.Sprintf(`CREATE FUNCTION jam() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'jammed'; END $$ LANGUAGE plpgsql;
		CREATE TRIGGER jam BEFORE %s ON %s FOR EACH ROW WHEN (%s) EXECUTE FUNCTION jam()`, write, table, cond))
	return func() { statement(t, dsn, `DROP FUNCTION jam CASCADE`) }
}

// Whatever part of a commit fails: nothing is acknowledged, nothing is there, and the
// same push is taken once the fault is over.
func TestFailedCommitLeavesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := newWorld(t, dsn)
		h := w.enrolled(w.customer)
		for range 3 {
			h.pushes(h.seals(60)...) // so that one more push can fill a tile
		}
		for _, c := range []struct{ write, table, cond string }{
			{"INSERT", "entry", "true"}, {"INSERT", "checkpoint", "true"}, {"INSERT", "record", "true"}, {"INSERT", "item", "true"},
			{"INSERT", "blob", "true"}, {"INSERT", "cosignature", "true"}, {"INSERT", "tile", "true"},
			{"UPDATE", "log", "NEW.size <> OLD.size"}, {"UPDATE", "agent", "NEW.seq <> OLD.seq"},
		} {
			t.Run(c.table, func(t *testing.T) {
				list := h.seals(3)
				if c.table == "tile" {
					h.pushes(list...)
					list = h.seals(int(256 - h.known.Size))
				}
				end := jam(t, dsn, c.write, c.table, c.cond)
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
				if got := outcomes(h.pushes(list...)); strings.Trim(got, "[ok ]") != "" {
					t.Fatalf("sent again: %s", got)
				}
			})
		}
		if faults := w.check(t); len(faults) > 0 {
			t.Errorf("faults:\n%s", strings.Join(faults, "\n"))
		}
	})
}

// lineCut is PostgreSQL behind a line that is cut in the midst of the next commit.
type lineCut struct {
	mu   sync.Mutex
	next string // "before", "torn" or "after"; "" for not at all
}

func (l *lineCut) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	how := l.next
	l.next = ""
	return how
}

// listen passes connections on to the socket of a server, and returns the DSN by
// which they come in.
func (l *lineCut) listen(t *testing.T, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	const name = ".s.PGSQL.5432"
	behind := filepath.Join(q.Get("host"), name)
	if _, err := os.Stat(behind); err != nil {
		t.Skip("the database is not reached by a socket: ", err)
	}
	dir, err := os.MkdirTemp("", "cut") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	front, err := net.Listen("unix", filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = front.Close(), os.RemoveAll(dir) })
	go func() {
		for {
			client, err := front.Accept()
			if err != nil {
				return
			}
			if server, err := net.Dial("unix", behind); err == nil {
				go l.pass(client, server)
			}
		}
	}()
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	return u.String()
}

func (l *lineCut) pass(client, server net.Conn) {
	var mute atomic.Bool
	go func() {
		defer func() { _ = client.Close() }()
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil || mute.Load() { // what it answers to the commit is lost
				return
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	defer func() { _ = server.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		b := buf[:n]
		if at := bytes.Index(b, []byte("commit")); at >= 0 {
			switch l.take() {
			case "before":
				_ = client.Close()
				return
			case "torn":
				_, _ = server.Write(b[:at+3])
				_ = client.Close()
				return
			case "after":
				mute.Store(true)
			}
		}
		if _, err := server.Write(b); err != nil {
			return
		}
	}
}

// The commit itself fails, arrives in part, or is done and its answer lost: nothing is
// acknowledged, and sent again the records are there once, whatever it was.
func TestCommitOfUnknownOutcome(t *testing.T) {
	dsn := storetest.Postgres(t)
	line := &lineCut{}
	w := newWorld(t, line.listen(t, dsn))
	h := w.enrolled(w.customer)
	for _, c := range []struct{ cut, want string }{{"before", "[ok ok]"}, {"torn", "[ok ok]"}, {"after", "[duplicate duplicate]"}} {
		t.Run(c.cut, func(t *testing.T) {
			h.pushes(h.seals(2)...)
			list := h.seals(2)
			body := evidence.Push{Known: h.knows(), Records: []evidence.PushRecord{list[0].wire(), list[1].wire()}}
			line.mu.Lock()
			line.next = c.cut
			line.mu.Unlock()
			if _, refusal := w.call("POST", evidence.PathRecords, h.push, body, nil); refusal == nil || refusal.Code != evidence.CodeUnavailable {
				t.Fatalf("acknowledged: %v", refusal)
			}
			if line.take() != "" {
				t.Fatal("nothing was cut")
			}
			if got := outcomes(h.pushes(list...)); got != c.want {
				t.Errorf("sent again: %s, want %s", got, c.want)
			}
		})
	}
	if faults := w.check(t); len(faults) > 0 {
		t.Errorf("faults:\n%s", strings.Join(faults, "\n"))
	}
}

// SQLite's journal is torn at any byte, as when the power fails on a disk that lied:
// what is there is a whole state of before, all of it holds, and the guard knows
// whether anything that was confirmed is gone.
func TestTornJournal(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "attesto.db")
	w := newWorld(t, "sqlite:"+path)
	h := w.enrolled(w.customer)
	heads := map[tlog.Hash]bool{h.known.Root: true}
	for range 4 {
		h.pushes(h.seals(2)...)
		heads[h.known.Root] = true
	}
	db, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	wal, err := os.ReadFile(path + "-wal")
	if err != nil || len(wal) == 0 {
		t.Fatalf("journal of %d bytes (%v)", len(wal), err)
	}
	whole := w.customer.ID
	seen := map[int64]bool{}
	for i := range 24 {
		cut := len(wal) - i*(len(wal)/60) - i%7
		copied := filepath.Join(dir, fmt.Sprintf("torn%d.db", i))
		if err := errors.Join(os.WriteFile(copied, db, 0o600), os.WriteFile(copied+"-wal", wal[:cut], 0o600)); err != nil {
			t.Fatal(err)
		}
		st, err := store.Open(context.Background(), "sqlite:"+copied, discard)
		if err != nil {
			t.Fatalf("cut at %d of %d: %v", cut, len(wal), err)
		}
		srv, err := server.New(context.Background(), testConfig(), server.Deps{Store: st, Guard: w.guard, Keys: w.keys, Log: discard})
		if err != nil {
			t.Fatalf("cut at %d of %d: %v", cut, len(wal), err)
		}
		log, err := st.Log(context.Background(), whole)
		if err != nil && !errors.Is(err, store.ErrNotFound) { // not found: cut before the organisation was made
			t.Fatal(err)
		}
		seen[log.Size] = true
		if !heads[log.Root] && log.Size > 0 {
			t.Errorf("cut at %d: a head of %d entries that was never given out", cut, log.Size)
		}
		done, err := srv.Check(context.Background(), nil)
		if err != nil {
			t.Fatal(err)
		}
		lost := log.Size < h.known.Size
		guarded := len(done.Faults) > 0 && !slices.ContainsFunc(done.Faults, func(f ledger.Fault) bool { return !strings.Contains(f.What, "set back") })
		if lost != guarded || !lost && len(done.Faults) > 0 {
			t.Errorf("cut at %d: %d of %d entries, faults %v", cut, log.Size, h.known.Size, done.Faults)
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) < 3 {
		t.Errorf("the cuts met only %d states", len(seen))
	}
}

// The guard's own write fails, or is done and nobody hears of it, or is torn.
func TestGuardFaults(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		ctx := context.Background()
		w := newWorld(t, dsn)
		h := w.enrolled(w.customer)
		h.pushes(h.seals(2)...)
		path := filepath.Join(t.TempDir(), "guard.db")
		reopen := func() {
			t.Helper()
			guard, err := store.OpenGuard(ctx, path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = guard.Close() })
			w.guard = guard
			w.restart()
		}
		reopen()
		list := h.seals(2)
		if err := w.guard.Close(); err != nil {
			t.Fatal(err)
		}
		body := evidence.Push{Known: h.knows(), Records: []evidence.PushRecord{list[0].wire(), list[1].wire()}}
		if _, refusal := w.call("POST", evidence.PathRecords, h.push, body, nil); refusal == nil || refusal.Code != evidence.CodeUnavailable {
			t.Fatalf("released without the guard: %v", refusal)
		}
		reopen()
		if got := outcomes(h.pushes(list...)); got != "[duplicate duplicate]" {
			t.Errorf("failed: %s", got)
		}
		st, err := w.store.Log(ctx, w.customer.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.guard.Raise(ctx, store.Guarded{Head: st.Head(), Note: st.Checkpoint}); err != nil { // done twice
			t.Fatal(err)
		}
		if got := outcomes(h.pushes(h.seals(2)...)); got != "[ok ok]" {
			t.Errorf("done and not heard of: %s", got)
		}
		wal, err := os.ReadFile(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		main, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 8 {
			path = filepath.Join(t.TempDir(), "torn.db")
			if err := errors.Join(os.WriteFile(path, main, 0o600), os.WriteFile(path+"-wal", wal[:len(wal)*(8-i)/8-i], 0o600)); err != nil {
				t.Fatal(err)
			}
			reopen()
			if got := outcomes(h.pushes(h.seals(1)...)); got != "[ok]" {
				t.Errorf("torn: %s", got)
			}
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
		end := jam(t, dsn, "INSERT", "item", fmt.Sprintf("NEW.agent_id = '%s'", bad.id))
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
