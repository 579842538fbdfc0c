package eventlog

import (
	"bytes"
	"strings"
	"time"
)

// stamps reads the time at the start of lines of one log, in their order. A
// traditional stamp (RFC 3164, 4.1.2) says neither year nor zone: the year is the
// latest that does not put the line over a day after ref; of an hour that local
// clocks show twice, the second is taken once the first has gone by in the log.
type stamps struct {
	zone *time.Location
	ref  time.Time // no line is later: when the file was last written, or now
	last time.Time // of the line before

	text [15]byte // the last traditional stamp and its time: busy logs repeat it
	at   time.Time
}

func newStamps(ref time.Time) *stamps { return &stamps{zone: ref.Location(), ref: ref} }

// until moves on to another file of the log, which was last written at ref.
func (s *stamps) until(ref time.Time) {
	s.ref, s.zone, s.text = ref, ref.Location(), [15]byte{}
}

// stampLen tells cheaply how long the stamp at the start of a line is, 0 if there is none.
func stampLen(b []byte) int {
	if len(b) < 15 {
		return 0
	}
	if b[3] == ' ' {
		at := wholeLen(b)
		if len(b) <= at || b[at-3] != ':' || b[at-6] != ':' || b[at-9] != ' ' || !isDigit(b[at-1]) {
			return 0
		}
		if b[at] == '.' { // journalctl -o short-precise
			at++
			for at < len(b) && at < 26 && isDigit(b[at]) {
				at++
			}
		}
		if at < len(b) && b[at] == ' ' {
			return at
		}
		return 0
	}
	if len(b) > 17 && b[10] == '.' && b[17] == ' ' && isDigit(b[0]) && isDigit(b[9]) && isDigit(b[16]) {
		return 17 // journalctl -o short-unix
	}
	if len(b) >= 20 && b[4] == '-' && b[7] == '-' && b[13] == ':' && b[16] == ':' && (b[10] == 'T' || b[10] == ' ') {
		return isoLen(b)
	}
	return 0
}

// wholeLen is how long a traditional stamp is without a fraction of a second.
func wholeLen(b []byte) int {
	if b[5] == ' ' && b[4] != ' ' {
		return 14 // "Feb 7 16:01:07"
	}
	return 15
}

func isoLen(b []byte) int {
	n := 19
	for n < len(b) && n < 40 && (isDigit(b[n]) || b[n] == '.' || b[n] == ',') {
		n++
	}
	if n < len(b) && b[n] == ' ' && b[10] == ' ' && n+6 < len(b) && (b[n+1] == '+' || b[n+1] == '-') && isDigit(b[n+2]) && b[n+6] == ' ' {
		return n + 6 // Exim's log_timezone: " +0100"
	}
	if n+7 < len(b) && b[10] == ' ' && b[n] == ' ' && (b[n+1] == '+' || b[n+1] == '-') && b[n+4] == ':' && b[n+7] == ' ' {
		return n + 7 // .NET's "zzz": " +08:00"
	}
	if b[10] == ' ' && bytes.HasPrefix(b[n:], []byte(" UTC ")) {
		return n + 4 // PostgreSQL's %m with log_timezone = UTC
	}
	for n < len(b) && n < 40 && (isDigit(b[n]) || b[n] == '+' || b[n] == '-' || b[n] == ':' || b[n] == 'Z') {
		n++
	}
	if n < len(b) && b[n] == ' ' {
		return n
	}
	return 0
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// read reads the stamp of a line of the form.
func (s *stamps) read(f form, b []byte) (time.Time, bool) {
	var t time.Time
	var ok bool
	switch {
	case f != formSyslog:
		t, ok = s.written(f, b)
	case b[3] == ' ':
		at := wholeLen(b)
		t, ok = s.traditional(b[:at])
		if fraction, read := epoch(append([]byte("0"), b[at:]...)); read {
			t = t.Add(time.Duration(fraction.UnixNano()))
		}
	case b[10] == '.':
		t, ok = epoch(b)
	default:
		t, ok = s.iso(bytes.TrimSuffix(b, []byte(":")))
	}
	if ok {
		s.last = t
	}
	return t, ok
}

func (s *stamps) traditional(b []byte) (time.Time, bool) {
	if len(b) == len(s.text) && bytes.Equal(b, s.text[:]) {
		return s.at, true
	}
	month := monthOf(b[:3])
	day, ok1 := number(bytes.TrimLeft(b[4:6], " "))
	hour, ok2 := number(b[len(b)-8 : len(b)-6])
	minute, ok3 := number(b[len(b)-5 : len(b)-3])
	second, ok4 := number(b[len(b)-2:])
	if len(b) == 14 {
		day, ok1 = number(b[4:5])
	}
	if month < 0 || !ok1 || !ok2 || !ok3 || !ok4 || day < 1 || hour > 23 || minute > 59 || second > 60 {
		return time.Time{}, false
	}
	latest := s.ref.Add(24 * time.Hour)
	for year := latest.Year(); year > latest.Year()-9; year-- { // 29 February may be 8 years away
		wall := time.Date(year, time.Month(month+1), day, hour, minute, second, 0, time.UTC)
		if wall.Day() != day && second < 60 {
			continue // no such day in that year
		}
		if t := s.local(wall); !t.After(latest) {
			if len(b) == len(s.text) {
				copy(s.text[:], b)
				s.at = t
			}
			return t, true
		}
	}
	return time.Time{}, false
}

// months are how journalctl names them, which speaks the language of who runs it:
// English, Italian, Spanish, German, as far as they have three letters.
var months = [12]string{"jan gen ene", "feb", "mar", "apr abr", "may mag mai", "jun giu", "jul lug", "aug ago", "sep set", "oct ott okt", "nov", "dec dic dez"}

// monthOf is the number of a month, 0 for January, -1 for what is none.
func monthOf(b []byte) int {
	var low [3]byte
	for i, c := range b {
		if low[i] = c | 0x20; low[i] < 'a' || low[i] > 'z' {
			return -1
		}
	}
	for i, names := range months {
		if at := strings.Index(names, string(low[:])); at >= 0 && at%4 == 0 {
			return i
		}
	}
	return -1
}

// local is the moment at which clocks of the zone show wall.
func (s *stamps) local(wall time.Time) time.Time {
	t := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), wall.Nanosecond(), s.zone)
	_, before := t.Add(-12 * time.Hour).Zone()
	_, after := t.Add(12 * time.Hour).Zone()
	if before <= after {
		return t
	}
	first := wall.Add(-time.Duration(before) * time.Second).In(s.zone)
	second := wall.Add(-time.Duration(after) * time.Second).In(s.zone)
	if first.Hour() != wall.Hour() || second.Hour() != wall.Hour() || first.Minute() != second.Minute() {
		return t
	}
	// Lines may be out of order by minutes, not by more.
	if !s.last.IsZero() && first.Before(s.last.Add(-5*time.Minute)) && !second.After(s.ref.Add(24*time.Hour)) {
		return second
	}
	return first
}

func (s *stamps) iso(b []byte) (time.Time, bool) {
	text := string(bytes.Replace(b, []byte(","), []byte("."), 1))
	if text[11] == ' ' { // MariaDB: "2021-11-09  5:13:12"
		text = text[:11] + "0" + text[12:]
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, true
	}
	for _, layout := range []string{"2006-01-02T15:04:05.999999999Z0700", "2006-01-02 15:04:05.999999999 -0700", "2006-01-02 15:04:05.999999999 -07:00", "2006-01-02 15:04:05.999999999 UTC", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999Z0700"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	if at := strings.LastIndexByte(text, ' '); at > 18 && text[at+1] >= 'A' {
		text = text[:at] // journalctl -o short-full names the zone, which is the reader's
	}
	for _, layout := range []string{"2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, text); err == nil {
			return s.local(t), true
		}
	}
	return time.Time{}, false
}

// layouts are how each form writes its time, those with a zone first.
var layouts = map[form][]string{
	formAccess: {"_2/Jan/2006:15:04:05 -0700", "_2/Jan/2006:15:04:05"},
	formApache: {"Mon Jan _2 15:04:05 2006"}, // also with a fraction, which Parse takes by itself
	formNginx:  {"2006/01/02 15:04:05"},
	formC:      {"Mon Jan _2 15:04:05 2006"},
	formSquare: {"2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05Z0700", "2006-01-02T15:04:05Z07:00", "02-Jan-2006 15:04:05 -0700", "02/Jan/2006 15:04:05 -0700", "2006-01-02 15:04:05",
		"02-Jan-2006 15:04:05", "02/Jan/2006 15:04:05", "02/Jan/2006:15:04:05 -0700", "2006:01:02-15:04:05"},
	formNamed: {"02-Jan-2006 15:04:05"},
	formMySQL: {"060102 15:04:05"},
}

// zoned says that a layout tells the zone.
func zoned(layout string) bool {
	return strings.Contains(layout, "07") && strings.ContainsAny(layout, "Z-") && strings.HasSuffix(layout, "00")
}

func (s *stamps) written(f form, b []byte) (time.Time, bool) {
	if f == formAudit {
		return epoch(b)
	}
	text := string(b)
	if f == formMySQL {
		text = strings.Replace(text, "  ", " 0", 1)
	}
	for _, layout := range layouts[f] {
		t, err := time.Parse(layout, text)
		switch {
		case err != nil:
		case zoned(layout):
			return t, true
		default:
			return s.local(t), true
		}
	}
	return time.Time{}, false
}

// epoch reads seconds since 1970, with a fraction.
func epoch(b []byte) (time.Time, bool) {
	whole, part, _ := bytes.Cut(b, []byte("."))
	seconds, ok := number(whole)
	if !ok || len(whole) > 11 || len(part) > 9 {
		return time.Time{}, false
	}
	fraction, ok := 0, true
	if len(part) > 0 {
		fraction, ok = number(append(bytes.Clone(part), "000000000"[len(part):]...))
	}
	return time.Unix(int64(seconds), int64(fraction)), ok
}

func number(b []byte) (int, bool) {
	n := 0
	for _, c := range b {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, len(b) > 0
}
