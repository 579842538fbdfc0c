package server_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// BenchmarkGrowth measures the whole path of a record with few and with many records
// stored: its cost must not grow with them. "of-first" is the rate beside that with
// the fewest. ATTESTO_BENCH_STORED sets the many, 100000 without it.
func BenchmarkGrowth(b *testing.B) {
	many := 100_000
	if text := os.Getenv("ATTESTO_BENCH_STORED"); text != "" {
		var err error
		if many, err = strconv.Atoi(text); err != nil {
			b.Fatal("ATTESTO_BENCH_STORED: ", err)
		}
	}
	for _, engine := range []struct {
		name string
		dsn  func(testing.TB) string
	}{{"sqlite", storetest.SQLite}, {"postgres", storetest.Postgres}} {
		b.Run(engine.name, func(b *testing.B) {
			w := newWorld(b, engine.dsn(b))
			ballast := w.enrolled(w.customer)
			have, first := 0, 0.0
			for _, stored := range []int{10_000, many} {
				w.fill(ballast.id, have, stored)
				have = stored
				b.Run(fmt.Sprintf("stored=%d", stored), func(b *testing.B) {
					rate := benchIngest(b, w, 1, 1, 0)
					if first == 0 || stored == 10_000 {
						first = rate
					}
					b.ReportMetric(rate/first, "of-first")
				})
			}
		})
	}
}

// fill puts records from..to of an agent into the store as the server does, with
// random bytes in place of envelopes and blobs.
func (w *world) fill(agent string, from, to int) {
	t := w.t
	t.Helper()
	ctx := context.Background()
	log := ledger.New(w.keys.Log.Private(), nil)
	for from < to {
		n := min(4096, to-from)
		err := w.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
			st, err := tx.LockLog(ctx, w.customer.ID)
			if err != nil {
				return err
			}
			entries := make([]evidence.Entry, n)
			for i := range entries {
				entries[i] = evidence.Entry{Type: evidence.EntryEvidence, Agent: agent, Seq: uint64(from + i + 1),
					Prev: evidence.Digest(random(32)), Stmt: evidence.Digest(random(32)), Env: evidence.Digest(random(32))}
			}
			next, stored, err := log.Append(ctx, tx, st, w.now, entries)
			if err != nil {
				return err
			}
			records, items, blobs := make([]store.Record, n), make([]store.Item, n), make([]store.Blob, 0, 2*n)
			for i, e := range stored {
				records[i] = store.Record{Org: w.customer.ID, Agent: agent, Seq: int64(from + i + 1), Type: evidence.EntryEvidence,
					Stmt: entries[i].Stmt, Envelope: random(1500), Log: next.ID, Index: e.Index, Received: w.now}
				items[i] = store.Item{Org: w.customer.ID, Agent: agent, Kind: evidence.KindDNSBL, Log: next.ID, Index: e.Index, Schema: 1, From: w.now, To: w.now,
					Received: w.now, Outcome: evidence.Failed, Reason: "timeout", Facts: evidence.Digest(random(32)), Detail: evidence.Digest(random(32))}
				blobs = append(blobs, store.Blob{Place: items[i].Place(items[i].Facts), Data: random(400)},
					store.Blob{Place: items[i].Place(items[i].Detail), Data: random(100)})
			}
			if err := tx.AddRecords(ctx, records); err != nil {
				return err
			}
			if err := tx.AddItems(ctx, items); err != nil {
				return err
			}
			return tx.AddBlobs(ctx, blobs)
		})
		if err != nil {
			t.Fatal(err)
		}
		from += n
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// BenchmarkProofs prints how large what an agent gets for a record is, by the size
// of the log.
func BenchmarkProofs(b *testing.B) {
	w := newWorld(b, storetest.SQLite(b))
	h := w.enrolled(w.customer)
	have := 0
	for _, stored := range []int{100, 10_000, 100_000} {
		w.fill("a_ballast", have, stored)
		have = stored
		b.Run(fmt.Sprintf("log=%d", stored), func(b *testing.B) {
			var receipt, consistency int
			for b.Loop() {
				var answer evidence.PushAnswer
				body := evidence.Push{Known: evidence.KnownHead{Size: h.known.Size}, Records: []evidence.PushRecord{h.seal().wire()}}
				if _, refusal := w.call("POST", evidence.PathRecords, h.push, body, &answer); refusal != nil {
					b.Fatal(refusal)
				}
				receipt = len(answer.Results[0].Entry) + len(answer.Results[0].Proof)
				consistency = len(answer.Consistency) * ed25519.PublicKeySize
			}
			b.ReportMetric(float64(receipt), "receipt-bytes")
			b.ReportMetric(float64(consistency), "consistency-bytes")
		})
	}
}
