package server_test

import (
	"context"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/anchor"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// A provider who holds every key and the database takes a record out of the log,
// builds the tree anew, signs it and removes the guard. The next agent that pushes
// gets a head that does not continue the one it holds.
func TestRewrittenDatabaseIsNoticedByAgents(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		ctx := context.Background()
		w := newWorld(t, dsn)
		h := w.enrolled(w.customer)
		h.pushes(h.seals(3)...)
		st, err := w.store.Log(ctx, w.customer.ID)
		if err != nil {
			t.Fatal(err)
		}
		entries, err := w.store.Entries(ctx, st.ID, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		var edge evidence.CompactRange
		for i, e := range entries {
			leaf := e.Leaf
			if i == 2 {
				leaf = evidence.LeafHash([]byte("a nicer record\n"))
			}
			edge = edge.Push(int64(i), leaf)
		}
		head := evidence.Head{Origin: st.Origin, Size: st.Size, Root: edge.Root()}
		note, err := evidence.SignCheckpoint(w.keys.Log.Private(), head)
		if err != nil {
			t.Fatal(err)
		}
		blob := func(b []byte) string {
			if strings.HasPrefix(dsn, "sqlite:") {
				return "x'" + hex.EncodeToString(b) + "'"
			}
			return `'\x` + hex.EncodeToString(b) + "'"
		}
		leaf := evidence.LeafHash([]byte("a nicer record\n"))
		attack(t, dsn, "UPDATE entry SET body = "+blob([]byte("a nicer record\n"))+", leaf = "+blob(leaf[:])+" WHERE idx = 2 AND log_id = '"+st.ID+"'")
		root := edge.Root()
		attack(t, dsn, "UPDATE log SET root = "+blob(root[:])+", edge = "+blob(ledger.EncodeEdge(edge))+", checkpoint = "+blob(note)+" WHERE id = '"+st.ID+"'")
		forged, err := server.New(ctx, testConfig(), server.Deps{Store: w.store, Keys: w.keys, Log: discard, Version: "test", Now: func() time.Time { return w.now }})
		if err != nil {
			t.Fatal(err)
		}
		w.handler = forged.Handler() // without the guard
		s := h.seal()
		var answer evidence.PushAnswer
		_, refusal := w.call("POST", evidence.PathRecords, h.push, evidence.Push{Known: evidence.KnownHead{Origin: h.known.Origin, Size: h.known.Size},
			Records: []evidence.PushRecord{s.wire()}}, &answer)
		if refusal != nil {
			t.Fatal(refusal)
		}
		next, err := h.trusted.OpenCheckpoint([]byte(answer.Checkpoint))
		if err != nil {
			t.Fatal(err)
		}
		if err := evidence.CheckConsistency(h.known, next, answer.Consistency); err == nil {
			t.Error("the rewritten log was proven to continue the one that the agent knows")
		}
	})
}

// Somebody prepares a record for later, or claims to have seen what was not there
// yet: the head that it names gives it away.
func TestForeseenHead(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	h := w.enrolled(w.customer)
	h.pushes(h.seal(func(r *evidence.Record) { r.Log.Size, r.Log.Root[0] = 9, 1 }))
	if code, out := verdict(t, w.export()); code != 1 || !strings.Contains(out, "which the log did not have yet") {
		t.Errorf("exit %d:\n%s", code, out)
	}
}

// A host's clock is set back and forth; its records say so themselves.
func TestHostClockIsSet(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	h := w.enrolled(w.customer)
	ran := int64(0)
	at := func(off time.Duration) func(*evidence.Record) {
		return func(r *evidence.Record) {
			ran += time.Minute.Milliseconds()
			r.Clock = evidence.Clock{Now: evidence.At(w.now.Add(off)), BootID: "b", UptimeMs: ran}
		}
	}
	for _, off := range []time.Duration{0, 0, -48 * time.Hour, -48 * time.Hour, 0} {
		w.now = w.now.Add(time.Minute)
		h.pushes(h.seal(at(off)))
	}
	code, out := verdict(t, w.export())
	if code != 0 || !strings.Contains(out, "its clock was set 2 times") || !strings.Contains(out, "wrong by more than five minutes in 2 records") {
		t.Errorf("exit %d:\n%s", code, out)
	}
}

// The server's clock is two days ahead: the outside stamps contradict it.
func TestServerClockIsWrong(t *testing.T) {
	tsa := newTSA(t)
	w := anchoring(t, storetest.SQLite(t), anchor.Config{TSA: []anchor.TSA{tsa.config()}})
	h := w.enrolled(w.customer)
	w.now = w.now.Add(48 * time.Hour)
	h.pushes(h.seals(2)...)
	w.once(0)
	if code, out := verdict(t, w.export()); code != 1 || !strings.Contains(out, "time stamp") {
		t.Errorf("exit %d:\n%s", code, out)
	}
}

// A record of one organisation is pushed by an agent of another; what is signed
// says whose it is, and what is asked for is found only in one's own log.
func TestRecordsStayInTheirOrganisation(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, storetest.SQLite(t))
	other, err := w.srv.AddOrg(ctx, store.Org{Kind: store.Customer, Name: "Other"})
	if err != nil {
		t.Fatal(err)
	}
	mine, theirs := w.enrolled(w.customer), w.enrolled(other)
	s := mine.seal()
	mine.pushes(s)
	if got := outcomes(theirs.pushes(s)); got != "[signature]" {
		t.Errorf("another agent's record: %s", got)
	}
	forged := theirs.seal(func(r *evidence.Record) { r.Org = mine.org })
	if got := outcomes(theirs.pushes(forged)); got != "[foreign]" {
		t.Errorf("a record in another organisation's name: %s", got)
	}
	var facts evidence.Digest
	for d := range s.blobs {
		facts = d
	}
	p := w.placeOf(mine, 1, facts)
	if _, err := w.store.Blob(ctx, p); err != nil {
		t.Fatal(err)
	}
	p.Org = other.ID
	if _, err := w.store.Blob(ctx, p); err == nil {
		t.Error("another organisation's blob can be read")
	}
}
