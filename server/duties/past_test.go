package duties_test

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server/duties"
)

// hour is a moment of the day on which these tests take place.
func hour(n int) time.Time { return time.Date(2026, 10, 5, n, 0, 0, 0, time.UTC) }

// verdictOf reads a verdict's letter, as letters writes it.
func verdictOf(letter byte) duties.Verdict { return duties.Verdict(strings.IndexByte("ubfnx", letter)) }

// turned reads "0f 5b 9u:why": hours with a verdict, and the message's key where it
// matters.
func turned(t *testing.T, text string) (list []duties.Turn) {
	t.Helper()
	for _, word := range strings.Fields(text) {
		word, key, _ := strings.Cut(word, ":")
		n, err := strconv.Atoi(word[:len(word)-1])
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, duties.Turn{At: hour(n), Verdict: verdictOf(word[len(word)-1]), Why: duties.Message{Key: key}})
	}
	return list
}

// stretched reads "2-5fb:why": from hour 2 to 5 it was fulfilled and is breached.
func stretched(t *testing.T, text string) (list []duties.Stretch) {
	t.Helper()
	for _, word := range strings.Fields(text) {
		word, key, _ := strings.Cut(word, ":")
		s, from, to := duties.Stretch{Why: duties.Message{Key: key}}, 0, 0
		if _, err := fmt.Sscanf(word[:len(word)-2], "%d-%d", &from, &to); err != nil {
			t.Fatal(err)
		}
		s.From, s.To, s.Was, s.Verdict = hour(from), hour(to), verdictOf(word[len(word)-2]), verdictOf(word[len(word)-1])
		list = append(list, s)
	}
	return list
}

func keyed(key string) string {
	if key == "" {
		return ""
	}
	return ":" + key
}

func hours(at time.Time) int { return int(at.Sub(hour(0)) / time.Hour) }

func writtenTurns(list []duties.Turn) string {
	var words []string
	for _, t := range list {
		words = append(words, fmt.Sprintf("%d%c%s", hours(t.At), "ubfnx"[t.Verdict], keyed(t.Why.Key)))
	}
	return strings.Join(words, " ")
}

func writtenStretches(list []duties.Stretch) string {
	var words []string
	for _, s := range list {
		words = append(words, fmt.Sprintf("%d-%d%c%c%s", hours(s.From), hours(s.To), "ubfnx"[s.Was], "ubfnx"[s.Verdict], keyed(s.Why.Key)))
	}
	return strings.Join(words, " ")
}

// TestDiffer compares how a duty was judged with how it is judged now.
func TestDiffer(t *testing.T) {
	for _, tt := range []struct{ name, was, is, want string }{
		{"nothing was", "", "0f", ""},
		{"nothing is", "0f", "", ""},
		{"the same", "0f 5b 9f", "0f 5b 9f", ""},
		{"the same verdict for another reason", "0f 5b:a 9f", "0f 5b:c 9f", ""},
		{"all of it", "0f", "0b:why", "0-20fb:why"},
		{"a breach that nobody saw", "0f", "0f 5b 9f", "5-9fb"},
		{"a breach that was none", "0f 5b 9f", "0f", "5-9bf"},
		{"to the end", "0f", "0f 5b", "5-20fb"},
		{"was to the end", "0f 5b", "0f", "5-20bf"},
		{"earlier", "0f 9b", "0f 5b", "5-9fb"},
		{"later", "0f 5b", "0f 9b", "5-9bf"},
		{"both turn at one moment", "0f 5u 9f", "0f 5b 9f", "5-9ub"},
		{"turns that cross", "0f 5b 9f 13b", "0f 7b 11f 15b", "5-7bf 9-11fb 13-15bf"},
		{"what was changes beneath", "0f 5u 9f", "0b", "0-5fb 5-9ub 9-20fb"},
		{"one stretch of two reasons", "0f", "0f 5b:a 7b:c 9f", "5-7fb:a 7-9fb:c"},
		{"one stretch of two verdicts", "0f", "0f 5b 7u 9f", "5-7fb 7-9fu"},
		{"one stretch of turns alike", "0f", "0f 5b:a 7b:a 9f", "5-9fb:a"},
		{"two stretches alike", "0f", "0f 5b:a 7f 9b:a 11f", "5-7fb:a 9-11fb:a"},
		{"turns of the end and after count no more", "0f 20b", "0f 20u 22b", ""},
		{"a turn after the end", "0f 25b", "0b", "0-20fb"},
		{"two turns of one moment: the second counts", "0f 5b 5u", "0f", "5-20uf"},
		{"two turns of one moment now", "0f", "0f 5b 5u", "5-20fu"},
		{"all after the end", "25f", "25b", ""},
	} {
		if got := writtenStretches(duties.Differ(turned(t, tt.was), turned(t, tt.is), hour(20))); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestOverlay lays over turns what was judged again: laid over what was, the difference
// gives what is.
func TestOverlay(t *testing.T) {
	for _, tt := range []struct{ name, turns, laid, want string }{
		{"nothing", "0f 5b", "", "0f 5b"},
		{"in the middle", "0f:a", "5-9fb:c", "0f:a 5b:c 9f:a"},
		{"over the first turn", "0f 5b", "0-5fu", "0u 5b"},
		{"over a turn", "0f 5b:a 7f:c", "4-6fn", "0f 4n 6b:a 7f:c"},
		{"over several turns", "0f 5b 7u 8f:c 15n", "4-9fx", "0f 4x 9f:c 15n"},
		{"up to a turn", "0f 5b 9n", "6-9bf", "0f 5b 6f 9n"},
		{"from a turn on", "0f 5b 9n", "5-7bf", "0f 5f 7b 9n"},
		{"after the last turn", "0f 5b", "6-9bf", "0f 5b 6f 9b"},
		{"one after the other", "0f", "5-7fb 7-9fu", "0f 5b 7u 9f"},
		{"one after the other, over a turn", "0f 7n", "5-7fb 7-9nu", "0f 5b 7u 9n"},
		{"apart", "0f", "5-7fb 9-11fb", "0f 5b 7f 9b 11f"},
	} {
		if got := writtenTurns(duties.Overlay(turned(t, tt.turns), stretched(t, tt.laid))); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	for _, pair := range [][2]string{{"0f 5b 9f 13b", "0f 7b 11f 15b"}, {"0f 5u 9f", "0b"}, {"0f", "0f 5b 7u 9f"}, {"0f 5b", "0u 3n 5x 8b 12f"}} {
		was, is := turned(t, pair[0]), turned(t, pair[1])
		if left := duties.Differ(duties.Overlay(was, duties.Differ(was, is, hour(30))), is, hour(30)); len(left) > 0 {
			t.Errorf("%s over %s differs still: %s", pair[1], pair[0], writtenStretches(left))
		}
	}
}

func TestSince(t *testing.T) {
	for _, tt := range []struct {
		name, turns string
		at          int
		want        string
	}{
		{"none", "", 5, ""},
		{"before the first", "6f 9b", 5, "6f 9b"},
		{"at the first", "6f 9b", 6, "6f 9b"},
		{"between", "0f 6b 9f", 7, "7b 9f"},
		{"at one", "0f 6b 9f", 6, "6b 9f"},
		{"after the last", "0f 6b 9f", 12, "12f"},
	} {
		turns := turned(t, tt.turns)
		if got := writtenTurns(duties.Since(turns, hour(tt.at))); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if writtenTurns(turns) != tt.turns {
			t.Errorf("%s: the turns themselves are %q now", tt.name, writtenTurns(turns))
		}
	}
}

// TestPastAt asks how a duty stood: as it was known, and by what came later.
func TestPastAt(t *testing.T) {
	p := duties.Past{Turns: turned(t, "2f:a 6u:b 12f:c"), Rules: stretched(t, "3-4fb:d"), Late: stretched(t, "7-9uf:e")}
	for at, want := range map[int]string{0: "", 1: "", 2: "2f:a 2f:a", 3: "3b:d 3b:d", 4: "4f:a 4f:a", 5: "4f:a 4f:a", 7: "6u:b 7f:e", 8: "6u:b 7f:e", 9: "6u:b 9u:b", 11: "6u:b 9u:b", 12: "12f:c 12f:c", 20: "12f:c 12f:c"} {
		known, facts, ok := p.At(hour(at))
		got := ""
		if ok {
			got = writtenTurns([]duties.Turn{known, facts})
		}
		if got != want {
			t.Errorf("at %d: %q, want %q", at, got, want)
		}
	}
}

// TestRoll rolls up days of which some were judged again, and some by evidence that came
// late.
func TestRoll(t *testing.T) {
	const quiet = "0f"
	d := duties.Duty{Every: 24 * time.Hour}
	roll := func(p duties.Past, lateCounts bool) []duties.Window {
		return d.Roll(p, hour(0), hour(72), hour(96), 1, time.UTC, lateCounts)
	}
	if turns := turned(t, "0f 30b 31f"); !reflect.DeepEqual(roll(duties.Past{Turns: turns}, true), d.Windows(turns, hour(0), hour(72), hour(96), 1, time.UTC)) {
		t.Error("what was never judged again is other than it was")
	}
	for _, tt := range []struct {
		name, turns, rules, late string
		lateCounts               bool
		want                     string // of each day the verdict, its reason, what it was first, what it is by the facts
	}{
		{"rules that find a breach", quiet, "30-31fb:r", "", false, "f b:r(first f) f"},
		{"rules that find none", "0f 30b:a 31f", "30-31bf:r", "", false, "f f(first b) f"},
		{"rules that find the same", "0f 30b:a 31f", "30-31bb:r", "", false, "f b:r f"},
		{"late evidence that all was well", "0f 24u:s 48f", "", "24-48uf:l", false, "f u:s(late f:l) f"},
		{"the same where it counts", "0f 24u:s 48f", "", "24-48uf:l", true, "f f:l(late f:l) f"},
		{"late evidence of a breach", "0f 24u:s 48f", "", "24-30ub:l", false, "f b:l(late b:l) f"},
		{"late evidence of a breach in a day that was fine", quiet, "", "30-31fb:l", false, "f b:l(late b:l) f"},
		{"late evidence does not undo a breach", "0f 24b:s 48f", "", "24-48bf:l", true, "f b:s(late f:l) f"},
		{"late evidence makes nothing unproven", quiet, "", "24-48fu:l", true, "f f(late u:l) f"},
		{"late evidence that says the same", "0f 24u:s 48f", "", "24-48uu:l", true, "f u:s f"},
		{"rules, then late evidence", "0f 24u:s 48f", "24-48un:r", "24-48nb:l", false, "f b:l(first u)(late b:l) f"},
		{"before anybody judged", "24f", "", "", true, ". f f"},
	} {
		var days []string
		for _, w := range roll(duties.Past{Turns: turned(t, tt.turns), Rules: stretched(t, tt.rules), Late: stretched(t, tt.late)}, tt.lateCounts) {
			day := letters([]duties.Window{w}) + keyed(w.Why.Key)
			if w.Rules {
				day += fmt.Sprintf("(first %c)", "ubfnx"[w.First])
			}
			if w.Late {
				day += fmt.Sprintf("(late %c%s)", "ubfnx"[w.Facts], keyed(w.FactsWhy.Key))
			}
			days = append(days, day)
		}
		if got := strings.Join(days, " "); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
