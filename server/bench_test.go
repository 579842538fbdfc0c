package server_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
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
// durably, receipted with inclusion proof, judged. Its yardsticks run beside it, on
// the same engine: the same rows are put into the same tables, batch by batch, with
// and without a bare check of the signatures. "of-yardstick" is the share that the
// whole path reaches of the latter. All agents are of one organisation, which has
// one log: the worst case.
func BenchmarkIngest(b *testing.B) {
	b.Run("bare signature check", benchVerify)
	for _, engine := range []struct {
		name string
		dsn  func(testing.TB) string
	}{{"sqlite", storetest.SQLite}, {"postgres", storetest.Postgres}} {
		b.Run(engine.name, func(b *testing.B) {
			b.Run("bare batched insert", func(b *testing.B) { benchInsert(b, engine.dsn, false) })
			var both float64
			b.Run("bare signature check and batched insert", func(b *testing.B) { both = benchInsert(b, engine.dsn, true) })
			for _, agents := range []int{1, 8, 64} {
				b.Run(fmt.Sprintf("whole path, agents=%d", agents), func(b *testing.B) {
					benchIngest(b, newWorld(b, engine.dsn(b)), agents, 1, both)
				})
			}
			b.Run("whole path, agents=8, items=5", func(b *testing.B) { benchIngest(b, newWorld(b, engine.dsn(b)), 8, 5, 0) })
		})
	}
}

// nothing is the facts blob of a look that failed.
var nothing = func() []byte {
	b, err := evidence.FactsBlob(nil, []evidence.Gap{{What: "all", Why: "too slow"}})
	if err != nil {
		panic(err)
	}
	return b
}()

// looks gives a record more looks, of kinds that saw nothing.
func looks(n int) func(*evidence.Record) {
	return func(r *evidence.Record) {
		for _, k := range []evidence.Kind{evidence.KindBackup, evidence.KindEventLog, evidence.KindHealth, evidence.KindSoftware}[:n-1] {
			it := r.Items[0]
			it.Kind, it.Outcome, it.Reason, it.Facts, it.Detail = k, evidence.Failed, "timeout", evidence.Sum(nothing), evidence.Digest{}
			r.Items = append(r.Items, it)
		}
	}
}

func benchIngest(b *testing.B, w *world, pushers, items int, yardstick float64) float64 {
	bodies := make([][][]byte, pushers)
	tokens, answers := make([]string, pushers), make([][][]byte, pushers)
	fleet := w.token(w.customer.ID, 1000) // a benchmark begins anew several times
	for p := range pushers {
		h := w.enrolledBy(fleet)
		tokens[p] = h.push
		for sealed := 0; sealed < b.N/pushers+1; {
			push := evidence.Push{}
			for range min(batch, b.N/pushers+1-sealed) {
				push.Records = append(push.Records, wireOf(h, items))
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
				res, refusal := w.call("POST", evidence.PathRecords, tokens[p], body, nil)
				if refusal != nil {
					b.Error(refusal)
					return
				}
				answers[p] = append(answers[p], res.Body.Bytes())
			}
		})
	}
	wg.Wait()
	if err := w.srv.Judge().Flush(ctx); err != nil {
		b.Fatal(err)
	}
	rate := report(b)
	b.ReportMetric(rate*float64(items), "items/s")
	if yardstick > 0 {
		b.ReportMetric(rate/yardstick, "of-yardstick")
	}
	b.StopTimer()
	stop()
	if err := <-judging; err != nil {
		b.Fatal(err)
	}
	for _, list := range answers {
		for _, body := range list {
			accepted(b, body)
		}
	}
	return rate
}

// accepted reads an answer as an agent does, on its own machine and in its own time.
func accepted(b *testing.B, body []byte) {
	var answer evidence.PushAnswer
	if err := evidence.DecodeAnswer(body, &answer); err != nil {
		b.Fatal(err)
	}
	for _, r := range answer.Results {
		if r.Status != evidence.StatusOK {
			b.Fatal(r.Error)
		}
	}
}

func wireOf(h *host, items int) evidence.PushRecord {
	r := h.seal(looks(items)).wire()
	if items > 1 {
		r.Blobs[evidence.Sum(nothing).String()] = nothing
	}
	return r
}

func report(b *testing.B) float64 {
	rate := float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate, "records/s")
	b.ReportMetric(0, "ns/op")
	return rate
}

// benchVerify checks the signatures of records and nothing else.
func benchVerify(b *testing.B) {
	list := samples(b)
	b.ResetTimer()
	for i := range b.N {
		list[i%batch].verify(b)
	}
	report(b)
}

// sample is what the check of a record's signature needs.
type sample struct {
	key      evidence.PublicKey
	pae, sig []byte
}

func samples(b *testing.B) []sample {
	w := newWorld(b, storetest.SQLite(b))
	h := w.enrolled(w.customer)
	list := make([]sample, batch)
	for i := range list {
		s := h.seal()
		sig, err := h.key.Sign(s.env.PAE())
		if err != nil {
			b.Fatal(err)
		}
		list[i] = sample{h.key.Public(), s.env.PAE(), sig}
	}
	return list
}

func (s sample) verify(b *testing.B) {
	if err := s.key.Verify(s.pae, s.sig); err != nil {
		b.Fatal(err)
	}
}

// benchInsert puts the rows that the whole path has written into another, empty
// database, a transaction for each batch of records.
func benchInsert(b *testing.B, dsn func(testing.TB) string, verifying bool) float64 {
	from, to := dsn(b), dsn(b)
	list := samples(b)
	w := newWorld(b, from)
	h := w.enrolled(w.customer)
	for sealed := 0; sealed < b.N; sealed += batch {
		h.pushes(h.seals(min(batch, b.N-sealed))...)
	}
	newWorld(b, to)
	src, dst := bare(b, from), &inserter{bare(b, to), map[string]*sql.Stmt{}}
	tables := map[string][][]any{}
	for _, name := range []string{"entry", "record", "item", "blob"} {
		tables[name] = rowsOf(b, src, name)
	}
	b.ResetTimer()
	for done := 0; done < b.N; done += batch {
		n := min(batch, b.N-done)
		if verifying {
			for _, s := range list[:n] {
				s.verify(b)
			}
		}
		dst.share(b, tables, done, n, b.N)
	}
	return report(b)
}

// bare opens a store's database without the store.
func bare(b *testing.B, dsn string) *sql.DB {
	driver := "pgx"
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		driver, dsn = "sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=synchronous(FULL)&_txlock=immediate"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	return db
}

func rowsOf(b *testing.B, db *sql.DB, table string) [][]any {
	rows, err := db.QueryContext(context.Background(), `SELECT * FROM `+table)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		b.Fatal(err)
	}
	var all [][]any
	for rows.Next() {
		row, to := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			to[i] = &row[i]
		}
		if err := rows.Scan(to...); err != nil {
			b.Fatal(err)
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
	return all
}

// together is how many rows an insert has, as in the store.
const together = 16 // a larger one is slower on SQLite

// inserter keeps its statements prepared, as the store does.
type inserter struct {
	db    *sql.DB
	stmts map[string]*sql.Stmt
}

// share commits the part of each table's rows that n of all records have.
func (in *inserter) share(b *testing.B, tables map[string][][]any, done, n, all int) {
	ctx := context.Background()
	tx, err := in.db.BeginTx(ctx, nil)
	if err != nil {
		b.Fatal(err)
	}
	for table, rows := range tables {
		rows = rows[len(rows)*done/all : len(rows)*(done+n)/all]
		for len(rows) > 0 {
			k := min(together, len(rows))
			var args []any
			for _, row := range rows[:k] {
				args = append(args, row...)
			}
			stmt := in.prepared(b, tx, table, k, len(rows[0]))
			if _, err := tx.StmtContext(ctx, stmt).ExecContext(ctx, args...); err != nil { //nolint:sqlclosecheck // ends with the transaction
				b.Fatal(table, err)
			}
			rows = rows[k:]
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
}

func (in *inserter) prepared(b *testing.B, tx *sql.Tx, table string, rows, columns int) *sql.Stmt {
	name := fmt.Sprint(table, rows)
	if in.stmts[name] == nil {
		places := make([]string, rows)
		for i := range places {
			marks := make([]string, columns)
			for j := range marks {
				marks[j] = fmt.Sprintf("$%d", i*columns+j+1)
			}
			places[i] = "(" + strings.Join(marks, ", ") + ")"
		}
		stmt, err := tx.PrepareContext(context.Background(), `INSERT INTO `+table+` VALUES `+strings.Join(places, ", ")) //nolint:gosec,sqlclosecheck // names of our own tables; kept for the next time
		if err != nil {
			b.Fatal(table, err)
		}
		in.stmts[name] = stmt
	}
	return in.stmts[name]
}
