package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
)

// BenchmarkBundle verifies a bundle whole, beside its bare signature checks on all
// cores: "of-bare" is how many times as long it takes. The most heap that was in use
// meanwhile is printed for a tenth of the records, too: it must not grow with the
// bundle. ATTESTO_BENCH_BUNDLE sets the records, 20000 without it.
func BenchmarkBundle(b *testing.B) {
	n := 20_000
	if text := os.Getenv("ATTESTO_BENCH_BUNDLE"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			b.Fatal("ATTESTO_BENCH_BUNDLE: ", err)
		}
	}
	dirs := map[int]string{n / 10: makeBundle(b, n/10), n: makeBundle(b, n)}
	list := signatures(b, dirs[n/10])
	var bare time.Duration // for each record
	b.Run("bare signatures", func(b *testing.B) {
		for b.Loop() {
			var wg sync.WaitGroup
			cores := runtime.GOMAXPROCS(0)
			for core := range cores {
				wg.Go(func() {
					for i := core; i < n; i += cores {
						if list[i%len(list)].check() != nil {
							panic("a signature of the bundle does not hold")
						}
					}
				})
			}
			wg.Wait()
		}
		bare = b.Elapsed() / time.Duration(b.N*n)
		b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "records/s")
	})
	for _, n := range []int{n / 10, n} {
		b.Run("whole, records="+strconv.Itoa(n), func(b *testing.B) {
			defer debug.SetGCPercent(debug.SetGCPercent(gcPercent)) // as main does
			peak := heapPeak()
			for b.Loop() {
				if r, err := verify(dirs[n], options{}); err != nil || !r.Proven {
					b.Fatal(err, r.Faults)
				}
			}
			b.ReportMetric(float64(peak())/1e6, "heap-MB")
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64(b.Elapsed()/time.Duration(b.N*n))/float64(bare), "of-bare")
		})
	}
}

// signature is what the bare check of a record's signature needs.
type signature struct {
	key      evidence.PublicKey
	pae, sig []byte
}

func (s signature) check() error { return s.key.Verify(s.pae, s.sig) }

// signatures are those of a bundle's records.
func signatures(b *testing.B, dir string) (list []signature) {
	files, err := filepath.Glob(filepath.Join(dir, "records", "*.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		for line := range bytes.Lines(raw) {
			p, err := evidence.ParsePackedRecord(line)
			if err != nil {
				b.Fatal(err)
			}
			var env struct {
				Signatures []struct {
					Sig []byte `json:"sig"`
				} `json:"signatures"`
			}
			if err := json.Unmarshal(p.Envelope, &env); err != nil {
				b.Fatal(err)
			}
			parsed, err := evidence.ParseEnvelope(bytes.Clone(p.Envelope))
			if err != nil {
				b.Fatal(err)
			}
			list = append(list, signature{seeded(b, 4).Public(), parsed.PAE(), env.Signatures[0].Sig})
		}
	}
	return list
}

// heapPeak watches the heap until the function that it returns is called, which says
// how many bytes were in use at most.
func heapPeak() (stop func() uint64) {
	end, peak := make(chan struct{}), make(chan uint64)
	go func() {
		used := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		most := uint64(0)
		for {
			metrics.Read(used)
			most = max(most, used[0].Value.Uint64())
			select {
			case <-tick.C:
			case <-end:
				peak <- most
				return
			}
		}
	}()
	return func() uint64 { close(end); return <-peak }
}
