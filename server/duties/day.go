package duties

import "time"

// Midnight is the start of a moment's day in a zone, or of one some days later. Where
// clocks are set forward at midnight, as on the Azores in spring, the day starts as soon
// as they were.
func Midnight(at time.Time, zone *time.Location, days int) time.Time {
	y, m, day := at.In(zone).Date()
	return dayStart(y, m, day+days, zone)
}

// ParseDay reads a day such as 2026-06-30 as its start in a zone.
func ParseDay(text string, zone *time.Location) (time.Time, error) {
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return day, err //nolint:wrapcheck // callers say of what
	}
	return dayStart(day.Year(), day.Month(), day.Day(), zone), nil
}

// dayStart is the first moment of a day. Of one that does not begin at midnight
// [time.Date] gives the hour before or the hour after.
func dayStart(y int, m time.Month, day int, zone *time.Location) time.Time {
	start := time.Date(y, m, day, 0, 0, 0, 0, zone)
	if start.Day() != time.Date(y, m, day, 12, 0, 0, 0, zone).Day() {
		_, start = start.ZoneBounds()
	}
	return start
}
