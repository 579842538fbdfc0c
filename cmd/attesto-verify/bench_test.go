package main

import (
	"crypto/ed25519"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
)

// BenchmarkBundle verifies a bundle whole, beside its bare signature checks on all
// cores. The heap that is left while it runs is printed for two sizes: it must not
// grow with the bundle.
func BenchmarkBundle(b *testing.B) {
	const n = 20_000
	dir := makeBundle(b, n)
	key := seeded(b, 4).Private()
	msg := make([]byte, 900)
	sig := ed25519.Sign(key, msg)
	pub := key.Public().(ed25519.PublicKey)
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
		b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "records/s")
	})
	b.Run("whole", func(b *testing.B) {
		defer debug.SetGCPercent(debug.SetGCPercent(gcPercent)) // as main does
		for b.Loop() {
			if r, err := verify(dir, options{}); err != nil || !r.Proven {
				b.Fatal(err, r.Faults)
			}
		}
		b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "records/s")
	})
}
