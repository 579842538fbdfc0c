package main

import (
	"crypto/ed25519"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"sync"
	"testing"
	"time"
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
	key := seeded(b, 4).Private()
	msg := make([]byte, 1100) // as long as what is signed of a record of the bundle
	sig := ed25519.Sign(key, msg)
	pub := key.Public().(ed25519.PublicKey)
	var bare time.Duration // for each record
	b.Run("bare signatures", func(b *testing.B) {
		for b.Loop() {
			var wg sync.WaitGroup
			cores := runtime.GOMAXPROCS(0)
			for range cores {
				wg.Go(func() {
					for range n / cores {
						ed25519.Verify(pub, msg, sig)
					}
				})
			}
			wg.Wait()
		}
		bare = b.Elapsed() / time.Duration(b.N*n)
		b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "records/s")
	})
	for _, n := range []int{n / 10, n} {
		dir := makeBundle(b, n)
		b.Run("whole, records="+strconv.Itoa(n), func(b *testing.B) {
			defer debug.SetGCPercent(debug.SetGCPercent(gcPercent)) // as main does
			peak := heapPeak()
			for b.Loop() {
				if r, err := verify(dir, options{}); err != nil || !r.Proven {
					b.Fatal(err, r.Faults)
				}
			}
			b.ReportMetric(float64(peak())/1e6, "heap-MB")
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64(b.Elapsed()/time.Duration(b.N*n))/float64(bare), "of-bare")
		})
	}
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
