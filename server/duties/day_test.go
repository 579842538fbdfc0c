package duties_test

import (
	"testing"
	"time"

	"github.com/attesto/attesto/server/duties"
)

// A day has a start in every zone, also where clocks skip midnight (Azores, Santiago,
// Havana, Cairo, Beirut) or see it twice, and a year of windows has each day once.
func TestDaysOfAllZones(t *testing.T) {
	d, _ := builtin(t).Duty("PE-P3")
	for _, name := range []string{"UTC", "Europe/Rome", "Atlantic/Azores", "America/Santiago", "America/Havana", "America/Nuuk", "America/Scoresbysund",
		"Africa/Cairo", "Asia/Beirut", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Auckland", "Pacific/Apia"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		noon := func(n int) time.Time { return time.Date(2026, 1, 1+n, 12, 0, 0, 0, zone) }
		const days = 400
		for n := range days {
			at := noon(n)
			start := duties.Midnight(at, zone, 0)
			if start.Format(time.DateOnly) != at.Format(time.DateOnly) || start.Add(-time.Nanosecond).Format(time.DateOnly) == at.Format(time.DateOnly) {
				t.Errorf("%s: %s starts at %s", name, at.Format(time.DateOnly), start)
			}
			parsed, err := duties.ParseDay(at.Format(time.DateOnly), zone)
			if err != nil || !parsed.Equal(start) || !duties.Midnight(noon(n-7), zone, 7).Equal(start) || !duties.Midnight(noon(n+7), zone, -7).Equal(start) {
				t.Errorf("%s: %s starts at %s, read it starts at %s (%v)", name, at.Format(time.DateOnly), start, parsed, err)
			}
		}
		list := d.Windows(nil, duties.Midnight(noon(0), zone, 0), duties.Midnight(noon(days), zone, 0), noon(days+1), 1, zone)
		if len(list) != days {
			t.Errorf("%s: %d windows of a day in %d days", name, len(list), days)
		}
	}
	if _, err := duties.ParseDay("2026-02-30", time.UTC); err == nil {
		t.Error("a day that there is not was read")
	}
}
