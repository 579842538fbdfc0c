package server_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// BenchmarkGrowth measures the whole path of a record with few and with many records
// stored, by turns: its cost must not grow with them. "of-few" is the rate with many
// beside the one with few of the same turn, "median-of-few" that of all turns.
// ATTESTO_BENCH_STORED sets the many, 100000 without it.
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
			few, full := stocked(b, engine.dsn(b), 10_000), stocked(b, engine.dsn(b), many)
			var ratios []float64
			for turn := range turns {
				var first float64
				b.Run(fmt.Sprintf("stored=10000/turn=%d", turn), func(b *testing.B) { first = benchIngest(b, few, 1, 1, 0) })
				b.Run(fmt.Sprintf("stored=%d/turn=%d", many, turn), func(b *testing.B) {
					ratio := benchIngest(b, full, 1, 1, 0) / first
					b.ReportMetric(ratio, "of-few")
					if b.N > 1 { // the first call of a benchmark only tries
						ratios = append(ratios, ratio)
					}
					b.ReportMetric(median(ratios), "median-of-few")
				})
			}
		})
	}
}

// turns is how often few and many are measured.
const turns = 7

func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(list))[len(list)/2]
}

// stocked is a world with so many records of one agent stored.
func stocked(b *testing.B, dsn string, records int) *world {
	w := newWorld(b, dsn)
	w.fill(w.enrolled(w.customer).id, 0, records)
	return w
}

// fill puts records from..to of an agent into the store as the server does, one a
// second until now, with random bytes in place of envelopes and blobs.
func (w *world) fill(agent string, from, to int) {
	t := w.t
	t.Helper()
	ctx := context.Background()
	log := ledger.New(w.keys.Log.Private(), nil)
	for from < to {
		n := min(4096, to-from)
		at := w.now.Add(time.Duration(from-to) * time.Second)
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
			next, stored, err := log.Append(ctx, tx, st, at, entries)
			if err != nil {
				return err
			}
			records, items, blobs := make([]store.Record, n), make([]store.Item, n), make([]store.Blob, 0, 2*n)
			for i, e := range stored {
				records[i] = store.Record{Org: w.customer.ID, Agent: agent, Seq: int64(from + i + 1), Type: evidence.EntryEvidence,
					Stmt: entries[i].Stmt, Envelope: random(1500), Log: next.ID, Index: e.Index, Received: at.Add(time.Duration(i) * time.Second)}
				items[i] = store.Item{Org: w.customer.ID, Agent: agent, Kind: evidence.KindDNSBL, Log: next.ID, Index: e.Index, Schema: 1, From: records[i].Received, To: records[i].Received,
					Received: records[i].Received, Outcome: evidence.Failed, Reason: "timeout", Facts: evidence.Digest(random(32)), Detail: evidence.Digest(random(32))}
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
