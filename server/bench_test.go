package server_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/store/storetest"
)

// batch is how many records a push of the benchmarks holds: what an agent sends
// after an outage.
const batch = 64

// BenchmarkIngest measures the whole way of a record through the HTTP handler:
// parsed, signature verified, chained, logged, stored with its blobs, committed
// durably, receipted with inclusion proof, judged. Its yardsticks run beside it.
func BenchmarkIngest(b *testing.B) {
	for _, pushers := range []int{1, 4} {
		name := map[int]string{1: "whole path, one agent", 4: "whole path, four agents"}[pushers]
		b.Run(name, func(b *testing.B) { benchIngest(b, storetest.SQLite(b), pushers) })
	}
	b.Run("bare signature check", benchVerify)
	b.Run("bare SQLite group commit", benchCommit)
	b.Run("bare signature check and group commit", benchBoth)
}

func benchIngest(b *testing.B, dsn string, pushers int) {
	w := newWorld(b, dsn)
	bodies := make([][][]byte, pushers)
	tokens := make([]string, pushers)
	for p := range pushers {
		h := w.enrolled(w.customer)
		tokens[p] = h.push
		for sealed := 0; sealed < b.N/pushers+1; {
			push := evidence.Push{}
			for range min(batch, b.N/pushers+1-sealed) {
				push.Records = append(push.Records, h.seal().wire())
			}
			sealed += len(push.Records)
			body, err := json.Marshal(push)
			if err != nil {
				b.Fatal(err)
			}
			bodies[p] = append(bodies[p], body)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	judging := make(chan error, 1)
	go func() { judging <- w.srv.Run(ctx) }()
	b.ResetTimer()
	var wg sync.WaitGroup
	for p := range pushers {
		wg.Go(func() {
			for _, body := range bodies[p] {
				var answer evidence.PushAnswer
				if _, refusal := w.call("POST", evidence.PathRecords, tokens[p], body, &answer); refusal != nil {
					b.Error(refusal)
					return
				}
				for _, r := range answer.Results {
					if r.Status != evidence.StatusOK {
						b.Error(r.Error)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	if err := w.srv.Judge().Flush(ctx); err != nil {
		b.Fatal(err)
	}
	report(b)
	b.StopTimer()
	stop()
	if err := <-judging; err != nil {
		b.Fatal(err)
	}
}

func report(b *testing.B) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(0, "ns/op")
}

// sample is a record as the whole path stores it: the yardsticks check the same
// signature and commit the same bytes.
type sample struct {
	key      evidence.PublicKey
	pae, sig []byte
	rows     [][]byte // envelope, log entry, facts, detail
}

func samples(b *testing.B) []sample {
	h := enrolledHost(b)
	list := make([]sample, batch)
	for i := range list {
		s := h.seal()
		sig, err := h.key.Sign(s.env.PAE())
		if err != nil {
			b.Fatal(err)
		}
		list[i] = sample{key: h.key.Public(), pae: s.env.PAE(), sig: sig, rows: [][]byte{s.env.Bytes(), make([]byte, 300)}}
		for _, blob := range s.blobs {
			list[i].rows = append(list[i].rows, blob)
		}
	}
	return list
}

func enrolledHost(b *testing.B) *host {
	w := newWorld(b, storetest.SQLite(b))
	return w.enrolled(w.customer)
}

func benchVerify(b *testing.B) {
	list := samples(b)
	b.ResetTimer()
	for i := range b.N {
		verify(b, list[i%batch])
	}
	report(b)
}

func verify(b *testing.B, s sample) {
	if err := s.key.Verify(s.pae, s.sig); err != nil {
		b.Fatal(err)
	}
}

// table opens a database with one table, set up as the store sets up its own.
func table(b *testing.B) *sql.DB {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "bare.db")+
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(context.Background(), `CREATE TABLE row (data BLOB NOT NULL) STRICT`); err != nil {
		b.Fatal(err)
	}
	return db
}

// commit stores records in one transaction, a row for each of their parts.
func commit(b *testing.B, db *sql.DB, list []sample) {
	ctx := context.Background()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		b.Fatal(err)
	}
	insert, err := tx.PrepareContext(ctx, `INSERT INTO row (data) VALUES ($1)`)
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range list {
		for _, row := range s.rows {
			if _, err := insert.ExecContext(ctx, row); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := errors.Join(insert.Close(), tx.Commit()); err != nil { //nolint:sqlclosecheck // closed before the commit, its error looked at
		b.Fatal(err)
	}
}

func benchCommit(b *testing.B) {
	db, list := table(b), samples(b)
	b.ResetTimer()
	for done := 0; done < b.N; done += batch {
		commit(b, db, list[:min(batch, b.N-done)])
	}
	report(b)
}

func benchBoth(b *testing.B) {
	db, list := table(b), samples(b)
	b.ResetTimer()
	for done := 0; done < b.N; done += batch {
		n := min(batch, b.N-done)
		for _, s := range list[:n] {
			verify(b, s)
		}
		commit(b, db, list[:n])
	}
	report(b)
}
