package duties_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server/duties"
)

func rome(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// turnsOf reads "day hour verdict, …" with days from 1 in a month.
func turnsOf(t *testing.T, zone *time.Location, text string) (list []duties.Turn) {
	t.Helper()
	for _, part := range strings.Split(text, ", ") {
		var day, hour int
		var word string
		if _, err := fmt.Sscanf(part, "%d %d %s", &day, &hour, &word); err != nil {
			t.Fatal(err)
		}
		v, err := duties.ParseVerdict(word)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, duties.Turn{At: time.Date(2026, 10, day, hour, 0, 0, 0, zone), Verdict: v, Why: duties.Message{Key: word + fmt.Sprint(day)}})
	}
	return list
}

func letters(list []duties.Window) string {
	var b strings.Builder
	for _, w := range list {
		switch {
		case !w.Judged:
			b.WriteByte('.')
		case w.Open:
			b.WriteByte("ubfnx"[w.Verdict] - 'a' + 'A')
		default:
			b.WriteByte("ubfnx"[w.Verdict])
		}
	}
	return b.String()
}

func TestWindows(t *testing.T) {
	zone := rome(t)
	daily, fiveMinutes, weekly := duties.Duty{Every: 24 * time.Hour}, duties.Duty{Every: 5 * time.Minute}, duties.Duty{Every: 168 * time.Hour}
	quarterly := duties.Duty{Every: 90 * 24 * time.Hour}
	for _, tt := range []struct {
		name, turns string
		duty        duties.Duty
		now         int // day of the month, at noon
		want        string
		covered     int
		gaps        string
	}{
		{"nothing judged", "20 0 fulfilled", daily, 5, ".......", 0, "[]"},
		{"judged since the third", "3 10 fulfilled", daily, 9, "..fffff", 5, "[]"},
		{"today is open", "1 0 fulfilled", daily, 4, "fffF...", 3, "[]"},
		{"a breach of an hour is the day's", "1 0 fulfilled, 3 10 breached, 3 11 fulfilled", daily, 9, "ffbffff", 6, "[breached3 1]"},
		{"a breach over midnight is both days'", "1 0 fulfilled, 3 23 breached, 4 1 fulfilled", daily, 9, "ffbbfff", 5, "[breached3 2]"},
		{"late in the day is in time", "1 0 fulfilled, 3 2 unproven, 3 22 fulfilled", daily, 9, "fffffff", 7, "[]"},
		{"not by the day's end", "1 0 fulfilled, 3 2 unproven, 4 1 fulfilled", daily, 9, "ffuffff", 6, "[unproven3 1]"},
		{"two days without", "1 0 fulfilled, 3 2 unproven, 5 1 fulfilled", daily, 9, "ffuufff", 5, "[unproven3 2]"},
		{"breach, then unproven", "1 0 fulfilled, 3 2 breached, 4 1 unproven, 6 0 fulfilled", daily, 9, "ffbbuff", 4, "[breached3 2 unproven4 1]"},
		{"watched continuously: an hour is missing", "1 0 fulfilled, 3 2 unproven, 3 3 fulfilled", fiveMinutes, 9, "ffuffff", 6, "[unproven3 1]"},
		{"no occasion covers", "1 0 no_occasion, 3 2 not_applicable, 5 1 no_occasion", daily, 9, "nnnxnnn", 6, "[]"},
		{"waived at the last minute: what was owed until then counts", "1 0 unproven, 3 23 not_applicable, 5 0 fulfilled", daily, 9, "uuuxfff", 3, "[unproven1 3]"},
		{"a waiver that ends in the day", "1 0 not_applicable, 3 2 unproven, 3 22 fulfilled, 4 3 unproven", daily, 9, "xxfuuuu", 1, "[unproven4 4]"},
		{"owed between two waivers", "1 0 not_applicable, 3 2 unproven, 3 22 not_applicable", daily, 9, "xxuxxxx", 0, "[unproven3 1]"},
		{"waived for an hour of a breach", "1 0 fulfilled, 3 2 breached, 3 3 not_applicable, 3 4 fulfilled", daily, 9, "ffbffff", 6, "[breached3 1]"},
		{"watched continuously, and waived in the day", "1 0 fulfilled, 3 2 unproven, 3 3 fulfilled, 3 4 not_applicable", fiveMinutes, 9, "ffuxxxx", 2, "[unproven3 1]"},
		{"two verdicts of one moment: the second counts", "1 0 fulfilled, 3 2 unproven, 3 2 breached, 3 3 fulfilled", daily, 9, "ffbffff", 6, "[breached3 1]"},
		{"of two reasons that weighed alike the first is told", "1 0 fulfilled, 3 2 breached, 3 4 fulfilled, 4 2 breached, 4 4 breached, 4 6 fulfilled", daily, 9, "ffbbfff", 5, "[breached3 1 breached4 1]"},
		{"what waits for an event is as it stood", "1 0 no_occasion, 3 2 unproven, 3 22 no_occasion", duties.Duty{}, 9, "nnnnnnn", 7, "[]"},
		{"a week's end", "1 0 unproven, 6 2 fulfilled", weekly, 9, "f", 1, "[]"},
		{"a week that is not over counts up to last night", "1 0 unproven", weekly, 5, "uU", 0, "[unproven1 1]"},
		{"a week on its first day", "1 0 unproven", weekly, 1, "U", 0, "[]"},
		{"the state of last night is not that of now", "1 0 unproven, 5 9 fulfilled", weekly, 5, "uF", 0, "[unproven1 1]"},
		{"a quarter of which a week is asked", "1 0 unproven, 8 9 fulfilled", quarterly, 20, "u", 0, "[unproven1 1]"},
		{"a quarter, waived on the last day of the week", "1 0 unproven, 7 9 not_applicable", quarterly, 20, "u", 0, "[unproven1 1]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from := time.Date(2026, 10, 1, 0, 0, 0, 0, zone)
			list := tt.duty.Windows(turnsOf(t, zone, tt.turns), from, from.AddDate(0, 0, 7), time.Date(2026, 10, tt.now, 12, 0, 0, 0, zone), tt.duty.Rhythm(), zone)
			if got := letters(list); got != tt.want {
				t.Errorf("windows %s, want %s", got, tt.want)
			}
			c := duties.Sum(list)
			before := 0
			for _, w := range list {
				if !w.Judged && !w.Open {
					before++
				}
			}
			if c.Before != before {
				t.Errorf("%d windows before the first judgement, want %d", c.Before, before)
			}
			gaps := []string{}
			for _, g := range c.Gaps {
				gaps = append(gaps, fmt.Sprint(g.Why.Key, " ", g.Windows))
			}
			if c.Covered != tt.covered || fmt.Sprint(gaps) != tt.gaps {
				t.Errorf("%d covered, gaps %v, want %d and %s", c.Covered, gaps, tt.covered, tt.gaps)
			}
		})
	}
}

// TestWindowCause tells why windows were not proven, and which were met all the same.
func TestWindowCause(t *testing.T) {
	off, failed := duties.Message{Key: "stale"}, duties.Message{Key: "look_failed"}
	for _, tt := range []struct {
		w    duties.Window
		want duties.Cause
		good bool
	}{
		{duties.Window{Why: off}, duties.CauseAgentOff, false},
		{duties.Window{Why: off, Late: true, Facts: duties.Fulfilled}, duties.CauseNetwork, true},
		{duties.Window{Why: off, Late: true, Facts: duties.NoOccasion}, duties.CauseNetwork, true},
		{duties.Window{Why: off, Late: true, Facts: duties.Breached}, duties.CauseAgentOff, false},
		{duties.Window{Why: off, Facts: duties.NoOccasion}, duties.CauseAgentOff, false},
		{duties.Window{Why: failed, Late: true, Facts: duties.Fulfilled}, duties.CauseCollector, true},
		{duties.Window{Verdict: duties.Fulfilled, Why: off}, "", false},
	} {
		if tt.w.Cause() != tt.want || tt.w.Good() != tt.good {
			t.Errorf("%+v: %q, %t; want %q, %t", tt.w, tt.w.Cause(), tt.w.Good(), tt.want, tt.good)
		}
	}
}

// TestWindowWhy asks which of several reasons a window tells.
func TestWindowWhy(t *testing.T) {
	day := time.Date(2026, 10, 5, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ name, turns, want string }{
		{"the longest", "-3 fulfilled a, 3 breached b, 4 fulfilled c, 6 breached d, 9 fulfilled e", "d"},
		{"the longest comes first", "-3 fulfilled a, 3 breached b, 6 fulfilled c, 8 breached d, 9 fulfilled e", "b"},
		{"the first of equals", "-3 fulfilled a, 2 breached b, 4 breached c, 6 fulfilled d", "b"},
		{"what lies before the window counts for nothing", "-30 breached a, 1 breached b, 4 fulfilled c", "b"},
		{"the last one lasts until the window's end", "-3 fulfilled a, 1 breached b, 9 fulfilled c, 12 breached d", "d"},
		{"what lies after the window counts for nothing", "-3 fulfilled a, 1 breached b, 9 fulfilled c, 23 breached d, 60 fulfilled e", "b"},
		{"only those of the window's own verdict", "-3 fulfilled a, 3 breached b, 4 unproven c, 20 unproven d", "b"},
	} {
		var turns []duties.Turn
		for _, part := range strings.Split(tt.turns, ", ") {
			var hour int
			var word, key string
			if _, err := fmt.Sscanf(part, "%d %s %s", &hour, &word, &key); err != nil {
				t.Fatal(err)
			}
			v, err := duties.ParseVerdict(word)
			if err != nil {
				t.Fatal(err)
			}
			turns = append(turns, duties.Turn{At: day.Add(time.Duration(hour) * time.Hour), Verdict: v, Why: duties.Message{Key: key}})
		}
		list := duties.Duty{Every: 24 * time.Hour}.Windows(turns, day, day.AddDate(0, 0, 1), day.AddDate(0, 0, 9), 1, time.UTC)
		if len(list) != 1 || list[0].Why.Key != tt.want {
			t.Errorf("%s: %+v, want reason %s", tt.name, list, tt.want)
		}
	}
}

// TestGaps counts windows, and puts those together that were not covered one after the
// other, for one reason.
func TestGaps(t *testing.T) {
	day := func(n int, v duties.Verdict, why string) duties.Window {
		return duties.Window{From: now.AddDate(0, 0, n), To: now.AddDate(0, 0, n+1), Judged: true, Verdict: v, Why: duties.Message{Key: why}}
	}
	late := func(w duties.Window) duties.Window {
		w.Late, w.Facts = true, duties.Fulfilled
		return w
	}
	off := func(n int) duties.Window { return day(n, duties.Unproven, "stale") }
	unrun := func(n int, cause duties.Cause) duties.Window {
		w := day(n, duties.Unproven, "standing_not_run")
		w.Why.Args = map[string]string{"cause": string(cause)}
		return w
	}
	for _, tt := range []struct {
		name    string
		windows []duties.Window
		late    int
		gaps    string
	}{
		{"one reason", []duties.Window{off(0), off(1), off(2)}, 0, "3 agent_off"},
		{"two reasons", []duties.Window{off(0), day(1, duties.Unproven, "look_failed")}, 0, "1 agent_off, 1 collector"},
		{"a rule that did not run for two reasons", []duties.Window{unrun(0, duties.CauseAgentOff), unrun(1, duties.CauseCollector), unrun(2, duties.CauseCollector)}, 0, "1 agent_off, 2 collector"},
		{"two verdicts for one reason", []duties.Window{off(0), day(1, duties.Breached, "stale")}, 0, "1 agent_off, 1 agent_off"},
		{"a good day between them", []duties.Window{off(0), day(1, duties.Fulfilled, "stale"), off(2)}, 0, "1 agent_off, 1 agent_off"},
		{"a day on which it did not apply", []duties.Window{off(0), day(1, duties.NotApplicable, "waived"), off(2)}, 0, "1 agent_off, 1 agent_off"},
		{"evidence came late for the second", []duties.Window{off(0), late(off(1))}, 1, "1 agent_off, 1 network"},
		{"the look failed at first on the second", []duties.Window{day(0, duties.Unproven, "look_failed"), late(day(1, duties.Unproven, "look_failed"))}, 1, "1 collector, 1 collector"},
		{"evidence came late for both", []duties.Window{late(off(0)), late(off(1))}, 2, "2 network"},
		{"a breach is one whatever came late", []duties.Window{late(day(0, duties.Breached, "backup_failed"))}, 0, "1 facts"},
	} {
		c := duties.Sum(tt.windows)
		gaps, missed := []string{}, 0
		for _, g := range c.Gaps {
			gaps = append(gaps, fmt.Sprint(g.Windows, " ", g.Cause))
			missed += g.Windows
			if int(g.To.Sub(g.From).Hours()) != 24*g.Windows {
				t.Errorf("%s: %d windows from %s to %s", tt.name, g.Windows, g.From, g.To)
			}
		}
		if got := strings.Join(gaps, ", "); got != tt.gaps || c.Late != tt.late || c.Windows != len(tt.windows) || c.Expected != c.Covered+missed {
			t.Errorf("%s: gaps %s, %+v; want %s, %d late", tt.name, got, c, tt.gaps, tt.late)
		}
	}
}

// Days of a zone have 23, 24 or 25 hours, and all of their time is counted.
func TestDaysOfSummerTime(t *testing.T) {
	zone := rome(t)
	d := duties.Duty{Every: 24 * time.Hour}
	for day, hours := range map[time.Time]int{time.Date(2026, 3, 29, 0, 0, 0, 0, zone): 23, time.Date(2026, 10, 25, 0, 0, 0, 0, zone): 25, time.Date(2026, 6, 1, 0, 0, 0, 0, zone): 24} {
		list := d.Windows([]duties.Turn{{At: day.AddDate(0, 0, -9), Verdict: duties.Fulfilled}}, day, day.AddDate(0, 0, 1), day.AddDate(0, 1, 0), 1, zone)
		if len(list) != 1 || list[0].Time[duties.Fulfilled] != time.Duration(hours)*time.Hour {
			t.Errorf("%s: %+v, want %d hours", day, list, hours)
		}
	}
}

// TestWindowsAgainstMinutes compares a year of random turns with a reference that
// looks at every minute.
func TestWindowsAgainstMinutes(t *testing.T) {
	zone := rome(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, zone)
	now := from.AddDate(1, 0, 0).Add(-30 * time.Hour)
	for _, every := range []time.Duration{5 * time.Minute, 24 * time.Hour, 7 * 24 * time.Hour, 31 * 24 * time.Hour} {
		d := duties.Duty{Every: every}
		var turns []duties.Turn
		for at := from.Add(50 * time.Hour); at.Before(now); at = at.Add(time.Duration(1+rnd.IntN(4000)) * time.Minute) {
			turns = append(turns, duties.Turn{At: at, Verdict: duties.Verdicts()[rnd.IntN(5)]})
		}
		list := d.Windows(turns, from, from.AddDate(1, 0, 0), now, d.Rhythm(), zone)
		stretches := stretchesOf(from, from.AddDate(1, 0, 0), now, d.Rhythm())
		if len(list) != len(stretches) {
			t.Fatalf("every %s: %d windows, want %d", every, len(list), len(stretches))
		}
		for i, w := range list {
			want := slowly(d, turns, stretches[i], now)
			want.Why = w.Why
			if fmt.Sprint(w) != fmt.Sprint(want) {
				t.Fatalf("every %s: %+v, want %+v", every, w, want)
			}
		}
	}
}

// stretchesOf deals the days of a period out, so many each; those of more than a day
// begin anew today. from and to are the starts of days.
func stretchesOf(from, to, now time.Time, days int) (list []duties.Window) {
	for n := 0; from.Before(to); from = from.AddDate(0, 0, 1) {
		today := !now.Before(from) && now.Before(from.AddDate(0, 0, 1))
		if n == 0 || n == days || today && days > 1 {
			list, n = append(list, duties.Window{From: from}), 0
		}
		list[len(list)-1].To, n = from.AddDate(0, 0, 1), n+1
	}
	return list
}

// slowly judges a window minute by minute.
func slowly(d duties.Duty, turns []duties.Turn, w duties.Window, now time.Time) duties.Window {
	out := duties.Window{From: w.From, To: w.To, Open: now.Before(w.To)}
	weakness := map[duties.Verdict]int{duties.Breached: 5, duties.Unproven: 4, duties.NoOccasion: 3, duties.Fulfilled: 2, duties.NotApplicable: 1}
	var worst, last duties.Verdict
	breached, applied := false, false
	i := -1
	for at := w.From; at.Before(w.To) && at.Before(now); at = at.Add(time.Minute) {
		for i+1 < len(turns) && !turns[i+1].At.After(at) {
			i++
		}
		if i < 0 {
			continue
		}
		v := turns[i].Verdict
		out.Judged = true
		out.Time[v] += time.Minute
		if v == duties.NotApplicable {
			continue
		}
		if !applied || weakness[v] > weakness[worst] {
			worst = v
		}
		last, applied = v, true
		breached = breached || v == duties.Breached
	}
	switch {
	case !out.Judged:
	case !applied:
		out.Verdict = duties.NotApplicable
	case breached:
		out.Verdict = duties.Breached
	case d.Every < 24*time.Hour:
		out.Verdict = worst
	default:
		out.Verdict = last
	}
	return out
}

// TestMonthOfALongCadence asks for June of duties that are due every three months, of
// which nothing was proven from January to the end of August: neither what came after
// June nor the day on which somebody asks says anything else of it.
func TestMonthOfALongCadence(t *testing.T) {
	zone := rome(t)
	list := builtin(t)
	day := func(m, d int) time.Time { return time.Date(2026, time.Month(m), d, 0, 0, 0, 0, zone) }
	turns := []duties.Turn{{At: day(1, 1), Verdict: duties.Unproven, Why: duties.Message{Key: "attestation_never"}}, {At: day(8, 29), Verdict: duties.Fulfilled}}
	for _, id := range []string{"SC-C1", "SC-C2", "BK-C3", "WH-C5", "WH-C7"} {
		d, _ := list.Duty(id)
		for _, asked := range []time.Time{day(7, 1), day(7, 5), day(11, 27)} {
			windows := d.Windows(turns, day(6, 1), day(7, 1), asked, d.Rhythm(), zone)
			sum := duties.Sum(windows)
			if last := windows[len(windows)-1].To; sum.Expected == 0 || sum.Covered > 0 || len(sum.Gaps) != 1 || !last.Equal(day(7, 1)) {
				t.Errorf("%s, asked at %s: %+v up to %s", id, asked, sum, last)
			}
		}
	}
}
