package evidence_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
)

func healthFacts() evidence.Health {
	boot := evidence.At(testTime.Add(-time.Hour))
	return evidence.Health{
		Samples: []evidence.Sample{
			{At: evidence.At(testTime.Add(-5 * time.Minute)), CPU: -1, Load1: -1, MemUsed: -1, SwapUsed: -1, UptimeS: -1},
			{At: evidence.At(testTime), CPU: 12.5, Load1: 0.3, MemUsed: 40, SwapUsed: 0, UptimeS: 3600},
		},
		Disks: []evidence.Disk{
			{Mount: "/", FS: "ext4", Size: 1 << 30, UsedPct: 50, InodesPct: -1},
			{Mount: "/srv", FS: "xfs", UsedPct: -1, InodesPct: -1, Unreadable: true},
		},
		Units:   evidence.Units{Manager: evidence.ManagerSystemd, Failed: []string{"a.service"}},
		Watched: []evidence.Service{{Name: "postfix.service", State: evidence.ServiceRunning}},
		BootAt:  &boot, CPUs: 2, Memory: 1 << 30,
	}
}

func TestHealthRules(t *testing.T) {
	blob, err := evidence.FactsBlob(healthFacts(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := evidence.DecodeFacts[evidence.Health](blob); err != nil || len(got.Samples) != 2 || !got.Disks[1].Unreadable {
		t.Fatalf("%+v, %v", got, err)
	}
	for want, spoil := range map[string]func(*evidence.Health){
		"no sample":                     func(h *evidence.Health) { h.Samples = nil },
		"sample 1 is before":            func(h *evidence.Health) { h.Samples[0], h.Samples[1] = h.Samples[1], h.Samples[0] },
		"sample 1: no time":             func(h *evidence.Health) { h.Samples[1].At = evidence.Time{} },
		"sample 1: cpu 101":             func(h *evidence.Health) { h.Samples[1].CPU = 101 },
		"sample 1: cpu NaN":             func(h *evidence.Health) { h.Samples[1].CPU = math.NaN() },
		"memory -2":                     func(h *evidence.Health) { h.Samples[1].MemUsed = -2 },
		"load -3":                       func(h *evidence.Health) { h.Samples[1].Load1 = -3 },
		`disk 0: "/"`:                   func(h *evidence.Health) { h.Disks[0].UsedPct = 120 },
		`disk 0: ""`:                    func(h *evidence.Health) { h.Disks[0].Mount = "" },
		`"/": unreadable is false`:      func(h *evidence.Health) { h.Disks[0].UsedPct = -1 },
		`"/srv": unreadable is true`:    func(h *evidence.Health) { h.Disks[1].UsedPct = 0 },
		`service manager ""`:            func(h *evidence.Health) { h.Units = evidence.Units{} },
		"1 failed units of a service":   func(h *evidence.Health) { h.Units.Unread = true },
		`service "postfix.service" is `: func(h *evidence.Health) { h.Watched[0].State = "fine" },
		"-1 CPUs":                       func(h *evidence.Health) { h.CPUs = -1 },
	} {
		h := healthFacts()
		spoil(&h)
		if err := h.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
