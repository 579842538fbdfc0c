package duties_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server/duties"
)

// TestDeclaredNeed refuses needs that nobody could judge by, and takes the widest.
func TestDeclaredNeed(t *testing.T) {
	set := func(change func(*duties.DataSet)) []duties.DataSet {
		s := duties.DataSet{Service: "bk", Name: "Database", Job: "db", Hours: 24, Days: 30}
		change(&s)
		return []duties.DataSet{s}
	}
	many := func(n int) (list []duties.DataSet) {
		for i := range n {
			list = append(list, set(func(s *duties.DataSet) { s.Name = fmt.Sprint("Set ", i) })...)
		}
		return list
	}
	for _, tt := range []struct {
		name, want string
		sets       []duties.DataSet
	}{
		{"none", "0 data sets: want 1 to 100", nil},
		{"one", "", many(1)},
		{"a hundred", "", many(100)},
		{"more", "101 data sets: want 1 to 100", many(101)},
		{"no name", "has no name", set(func(s *duties.DataSet) { s.Name = " " })},
		{"longest name", "", set(func(s *duties.DataSet) { s.Name = strings.Repeat("è", 100) })},
		{"a longer name", "over 100 characters", set(func(s *duties.DataSet) { s.Name = strings.Repeat("è", 101) })},
		{"one name twice", "data set Database stands twice", append(set(func(*duties.DataSet) {}), set(func(s *duties.DataSet) { s.Job = "db2" })...)},
		{"one name in two services", "", append(set(func(*duties.DataSet) {}), set(func(s *duties.DataSet) { s.Service = "sc" })...)},
		{"no job", "data set Database: name the backup job", set(func(s *duties.DataSet) { s.Job = " " })},
		{"longest job and host", "", set(func(s *duties.DataSet) { s.Job, s.Host = strings.Repeat("j", 64), strings.Repeat("h", 255) })},
		{"a longer job", "name the backup job", set(func(s *duties.DataSet) { s.Job = strings.Repeat("j", 65) })},
		{"a longer host", "name the backup job", set(func(s *duties.DataSet) { s.Host = strings.Repeat("h", 256) })},
		{"every hour, nothing kept", "", set(func(s *duties.DataSet) { s.Hours, s.Days = 1, 0 })},
		{"in no time", "every 0 hours", set(func(s *duties.DataSet) { s.Hours = 0 })},
		{"once in a leap year, kept ten years", "", set(func(s *duties.DataSet) { s.Hours, s.Days = 8784, 3660 })},
		{"more rarely", "every 8785 hours", set(func(s *duties.DataSet) { s.Hours = 8785 })},
		{"kept for longer", "kept 3661 days", set(func(s *duties.DataSet) { s.Days = 3661 })},
		{"kept before it is made", "kept -1 days", set(func(s *duties.DataSet) { s.Days = -1 })},
	} {
		err := duties.Declared{Sets: tt.sets}.Validate()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestHolds says how long a statement about a duty holds at most.
func TestHolds(t *testing.T) {
	c := builtin(t)
	year, leap := now.AddDate(1, 0, 0).Sub(now), 366*24*time.Hour
	for id, want := range map[string]time.Duration{
		"SC-C5": year,                 // daily
		"SC-P2": year,                 // continuous
		"SC-C3": duties.Recall,        // at each event: none in this month
		"WH-C5": 31 * 24 * time.Hour,  // monthly
		"BK-C3": 61 * 24 * time.Hour,  // every 31 to 61 days
		"SC-C7": 180 * 24 * time.Hour, // periodic, set to half a year
	} {
		if d, ok := c.Duty(id); !ok || d.Holds() != want {
			t.Errorf("%s (%s): a statement holds %s, want %s", id, d.Cadence, d.Holds(), want)
		}
	}
	for what, tt := range map[string]struct{ got, want time.Duration }{
		"a standing instruction": {duties.MaxStanding, year}, "a waiver": {duties.MaxWaiver, year},
		"a need":         {duties.MaxNeed, leap},    // in which a data set is backed up once at least
		"a restore test": {duties.MaxRestore, leap}, // the longest cadence that an operator can set
	} {
		if tt.got != tt.want {
			t.Errorf("%s holds %s, want %s", what, tt.got, tt.want)
		}
	}
}

// TestStated names the duties that are judged by what a customer states for all of them.
func TestStated(t *testing.T) {
	var got []string
	for _, d := range builtin(t).Duties() {
		if d.Stated() {
			got = append(got, d.ID)
		}
	}
	if want := "SC-C4 SC-C7 WH-C5 WH-C6 PE-C5 BK-C2 BK-C3 BK-C6"; strings.Join(got, " ") != want {
		t.Errorf("stated are %v, want %s", got, want)
	}
}

// What people left undone is told apart from what was seen, and what was not seen from
// what is not in order.
func TestCauses(t *testing.T) {
	for key, want := range map[string]duties.Cause{"need_never": duties.CausePeople, "need_lapsed": duties.CausePeople, "need_none": duties.CausePeople,
		"tested_old": duties.CausePeople, "tested_unsigned": duties.CausePeople, "need_unseen": duties.CauseFacts, "tested_failed": duties.CauseFacts,
		"mail_hole": duties.CauseCollector, "trend_none": duties.CauseCollector, "trend_short": duties.CauseAgentOff, "trend_outlier": duties.CauseFacts} {
		if got := (duties.Finding{Why: duties.Message{Key: key}}).Cause(); got != want {
			t.Errorf("%s has the cause %s, want %s", key, got, want)
		}
	}
	for _, why := range []string{"need_blind", "standing_not_run"} { // what kept something else from being judged
		m := duties.Message{Key: why, Args: map[string]string{"cause": "clock"}}
		if got := (duties.Finding{Why: m}).Cause(); got != duties.CauseClock {
			t.Errorf("%s for a clock that was set has the cause %s", why, got)
		}
	}
}
