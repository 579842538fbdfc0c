package evidence_test

import (
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func after(d time.Duration) time.Time { return noon.Add(d) }

func TestExistence(t *testing.T) {
	for _, tt := range []struct {
		name          string
		named, index  int64
		newest, entry time.Duration
		lower         bool
		err           string
	}{
		{"an hour wide", 10, 20, -time.Hour, 0, true, ""},
		{"at once", 20, 20, 0, 0, true, ""},
		{"empty log", 0, 0, 0, 0, false, ""},
		{"its own entry", 21, 20, 0, 0, false, "cannot have seen itself"},
		{"log ended later", 10, 20, time.Second, 0, false, "ended later"},
		{"negative", -1, 20, 0, 0, false, "-1 entries"},
	} {
		x, err := evidence.ExistenceOf(evidence.Head{Size: tt.named}, evidence.At(after(tt.newest)), tt.index, evidence.At(after(tt.entry)))
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: %v, want %q", tt.name, err, tt.err)
			}
			continue
		}
		if err != nil || !x.NotAfter.Equal(after(tt.entry)) || x.NotBefore.IsZero() == tt.lower || tt.lower && !x.NotBefore.Equal(after(tt.newest)) {
			t.Errorf("%s: %+v (%v)", tt.name, x, err)
		}
	}
	x := evidence.Existence{NotBefore: noon, NotAfter: after(time.Hour)}
	for at, want := range map[time.Duration][2]time.Duration{
		-time.Minute: {0, -time.Minute}, time.Minute: {time.Minute, 0}, 2 * time.Hour: {time.Hour, time.Hour},
	} {
		if got, off := x.Place(after(at)); !got.Equal(after(want[0])) || off != want[1] {
			t.Errorf("a clock at %s: %s, off by %s", at, got, off)
		}
	}
}

func TestClockStep(t *testing.T) {
	clock := func(boot string, wall, up time.Duration) evidence.Clock {
		return evidence.Clock{Now: evidence.At(after(wall)), BootID: boot, UptimeMs: up.Milliseconds()}
	}
	first := clock("b1", 0, time.Hour)
	for _, tt := range []struct {
		name  string
		next  evidence.Clock
		step  time.Duration
		known bool
	}{
		{"steady", clock("b1", time.Hour, 2*time.Hour), 0, true},
		{"set forward", clock("b1", 3*time.Hour, 2*time.Hour), 2 * time.Hour, true},
		{"set back", clock("b1", 0, 2*time.Hour), -time.Hour, true},
		{"drift", clock("b1", time.Hour+time.Second, 2*time.Hour), time.Second, true},
		{"machine set back to a snapshot", clock("b1", time.Hour, 0), 2 * time.Hour, true},
		{"restart", clock("b2", time.Hour, time.Minute), 0, false},
		{"no boot id", clock("", time.Hour, 2*time.Hour), 0, false},
		{"no clock", evidence.Clock{BootID: "b1"}, 0, false},
	} {
		if step, known := evidence.ClockStep(first, tt.next); step != tt.step || known != tt.known {
			t.Errorf("%s: %s %v, want %s %v", tt.name, step, known, tt.step, tt.known)
		}
	}
}

func TestStamps(t *testing.T) {
	const slack = time.Minute
	stamp := func(size int64, anchored, stamped time.Duration) evidence.Stamp {
		return evidence.Stamp{Size: size, Anchored: after(anchored), Stamped: after(stamped)}
	}
	// Anchored at noon and at one, stamped five minutes later by one authority and ten
	// by another.
	s, err := evidence.NewStamps([]evidence.Stamp{stamp(20, time.Hour, time.Hour+10*time.Minute), stamp(10, 0, 10*time.Minute), stamp(10, 0, 5*time.Minute),
		stamp(20, time.Hour, time.Hour+5*time.Minute)}, slack)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		index int64
		at    time.Duration
		want  string
	}{
		{"before all", 9, -time.Hour, ""},
		{"younger than its stamp", 9, 7 * time.Minute, "was there at 2026-11-23T12:05:00.000Z"},
		{"within the slack", 9, 5*time.Minute + 30*time.Second, ""},
		{"logged while the stamp was on its way", 10, 2 * time.Minute, ""},
		{"between", 15, 30 * time.Minute, ""},
		{"dated back", 15, -30 * time.Minute, "was not there at 2026-11-23T12:00:00.000Z"},
		{"dated ahead", 19, 2 * time.Hour, "was there at 2026-11-23T13:05:00.000Z"},
		{"after all", 25, 48 * time.Hour, ""},
		{"after all, dated back", 25, 30 * time.Minute, "log of 20 entries was anchored"},
	} {
		err := s.Check(tt.index, after(tt.at), slack)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	if from, to := s.Bounds(15); !from.Equal(noon) || !to.Equal(after(time.Hour+5*time.Minute)) {
		t.Errorf("bounds of 15: %s to %s", from, to)
	}
	if from, to := s.Bounds(3); !from.IsZero() || !to.Equal(after(5*time.Minute)) {
		t.Errorf("bounds of 3: %s to %s", from, to)
	}
	for name, list := range map[string][]evidence.Stamp{
		"stamped before it was anchored": {stamp(10, time.Hour, 0)},
		"anchored backwards":             {stamp(10, time.Hour, 2*time.Hour), stamp(20, 0, 3*time.Hour)},
		"no time":                        {{Size: 10, Anchored: noon}},
	} {
		if _, err := evidence.NewStamps(list, slack); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
