package alert_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server/alert"
)

// hearers writes channels shortly: "own", "own+4" that hears after four hours, "other" of
// the other party, "new" that came after the alert; after a colon when it was first and
// last told, in hours after the opening, how often reminded, and "waits".
func hearers(t *testing.T, opened time.Time, lines ...string) []alert.Hearer {
	t.Helper()
	var list []alert.Hearer
	for _, line := range lines {
		name, told, _ := strings.Cut(line, ":")
		h := alert.Hearer{Channel: alert.Channel{ID: name, Org: "o_own", Created: opened.Add(-time.Hour)}}
		name, after, _ := strings.Cut(name, "+")
		if after != "" {
			h.Channel.After = hoursOf(t, after)
		}
		switch name {
		case "other":
			h.Channel.Org = "o_other"
		case "new":
			h.Channel.Created = opened.Add(time.Minute)
		}
		if f := strings.Fields(told); len(f) > 0 {
			h.First, h.Last = opened.Add(hoursOf(t, f[0])), opened.Add(hoursOf(t, f[1]))
			if _, err := fmt.Sscan(f[2], &h.Rounds); err != nil {
				t.Fatal(err)
			}
			h.Waits = len(f) > 3
		}
		list = append(list, h)
	}
	return list
}

func hoursOf(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s + "h")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTend(t *testing.T) {
	opened := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	tests := []struct {
		name            string
		hears           []string
		at, acked, loud string // hours after the opening
		posts           string
		next            string
	}{
		{name: "it fires", hears: []string{"own", "other"}, at: "0", posts: "own firing 0, other firing 0", next: "24"},
		{name: "nobody hears", at: "0"},
		{name: "who came later is not told", hears: []string{"new"}, at: "1"},
		{name: "told once", hears: []string{"own:0 0 0"}, at: "23.9", next: "24"},
		{name: "still open", hears: []string{"own:0 0 0"}, at: "24", posts: "own reminder 1", next: "48"},
		{name: "the third day", hears: []string{"own:0 48 2"}, at: "72", posts: "own reminder 3", next: "96"},
		{name: "after an outage once", hears: []string{"own:0 0 0"}, at: "100", posts: "own reminder 1", next: "124"},
		{name: "taken on", hears: []string{"own:0 0 0"}, at: "24", acked: "5", next: "173"},
		{name: "taken on a week ago", hears: []string{"own:0 0 0"}, at: "173", acked: "5", posts: "own reminder 1", next: "341"},
		{name: "not delivered yet", hears: []string{"own:0 0 0 waits"}, at: "24", next: "25"},
		{name: "nobody acts, not yet", hears: []string{"own:0 0 0", "own+4"}, at: "3.9", next: "4"},
		{name: "nobody acts", hears: []string{"own:0 0 0", "own+4"}, at: "4", posts: "own+4 escalated 0", next: "24"},
		{name: "nobody acts, noticed late", hears: []string{"own:0 0 0", "own+4"}, at: "30", posts: "own reminder 1, own+4 escalated 0", next: "54"},
		{name: "somebody acted", hears: []string{"own:0 0 0", "own+4"}, at: "4", acked: "1", next: "169"},
		{name: "taken on after nobody did", hears: []string{"own+4:4 4 0"}, at: "28", acked: "6", next: "174"},
		{name: "silenced", hears: []string{"own", "own+4"}, at: "0", loud: "8", next: "8"},
		{name: "the other party is not", hears: []string{"own", "other"}, at: "0", loud: "8", posts: "other firing 0", next: "8"},
		{name: "the silence is over", hears: []string{"own", "own+4"}, at: "8", loud: "8", posts: "own firing 0", next: "12"},
		{name: "silenced after it was told", hears: []string{"own:0 0 0"}, at: "24", loud: "30", next: "30"},
		{name: "and the silence is over", hears: []string{"own:0 0 0"}, at: "30", loud: "30", posts: "own reminder 1", next: "54"},
		{name: "a short silence", hears: []string{"own:0 0 0"}, at: "2", loud: "2", next: "24"},
		{name: "taken on in the silence", hears: []string{"own+4"}, at: "12", acked: "3", loud: "8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			after := func(s string) (at time.Time) {
				if s != "" {
					at = opened.Add(hoursOf(t, s))
				}
				return at
			}
			a := alert.Alert{Org: "o_own", Opened: opened, Acked: after(tt.acked)}
			posts, next := a.Tend(hearers(t, opened, tt.hears...), after(tt.loud), after(tt.at))
			var got []string
			for _, p := range posts {
				got = append(got, fmt.Sprint(p.Channel.ID, " ", p.Event, " ", p.Round))
			}
			if all := strings.Join(got, ", "); all != tt.posts {
				t.Errorf("posts %q, want %q", all, tt.posts)
			}
			if !next.Equal(after(tt.next)) {
				t.Errorf("asks again %s after the opening, want %s h", next.Sub(opened), tt.next)
			}
		})
	}
}

func TestDamp(t *testing.T) {
	start := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
	tests := []struct {
		name        string
		fired, calm int // calm: since which minute, -1 for not
		order       bool
		at          int
		ends        bool
		want, due   int // since which minute it is calm then, and when to look; -1 for not
	}{
		{"steady, in order", 2, -1, true, 5, true, -1, -1},
		{"steady, not in order", 2, -1, false, 5, false, -1, -1},
		{"unsteady, in order", 3, -1, true, 5, false, 5, 65},
		{"unsteady, still in order", 3, 5, true, 64, false, 5, 65},
		{"unsteady, in order for an hour", 3, 5, true, 65, true, 5, -1},
		{"unsteady, out of order again", 3, 5, false, 64, false, -1, -1},
		{"unsteady, not in order", 4, -1, false, 5, false, -1, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := alert.Alert{ID: "al_1", Fired: tt.fired}
			if tt.calm >= 0 {
				a.Calm = at(tt.calm)
			}
			var resolve []alert.Alert
			if tt.order {
				resolve = []alert.Alert{a}
			}
			ended, turned, due := alert.Damp([]alert.Alert{a}, resolve, at(tt.at))
			if len(ended) == 1 != tt.ends {
				t.Errorf("ended %+v", ended)
			}
			calm := a.Calm
			for _, b := range turned {
				calm = b.Calm
			}
			for what, pair := range map[string]struct {
				got  time.Time
				want int
			}{"calm since": {calm, tt.want}, "due": {due, tt.due}} {
				if pair.want < 0 != pair.got.IsZero() || pair.want >= 0 && !pair.got.Equal(at(pair.want)) {
					t.Errorf("%s %s, want minute %d", what, pair.got, pair.want)
				}
			}
		})
	}
}
