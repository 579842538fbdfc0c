package antivirus

import (
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// Freshclam is what a log of freshclam(1) tells.
type Freshclam struct {
	Update evidence.AntivirusUpdate // the last run whose end is known, else the last
	Daily  *evidence.Definitions    // the version of the daily database that it speaks of
}

var (
	// "Sun Nov 22 09:30:00 2026 -> " with LogTime, otherwise nothing.
	stampedLine = regexp.MustCompile(`^(?:(?:WARNING|ERROR): )?(\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}) -> (.*)$`)
	runStart    = regexp.MustCompile(`(?i)update process started at (\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})`)
	// "daily.cld database is up-to-date (version: 27800, …": 0.103 and later say so; before,
	// "daily.cld is up to date (version: …". "daily.cld updated (version: …" after a download.
	databaseLine = regexp.MustCompile(`^([\w.-]{1,60})\.(?:cvd|cld|cud) (?:database )?(is up[- ]to[- ]date|updated) \(version: (\d{1,9})`)
)

// run is one run of freshclam.
type run struct {
	at       time.Time
	good     bool
	failed   bool
	reason   string
	outdated bool
	daily    *evidence.Definitions
}

// ParseFreshclam reads freshclam's log, its lines in the journal, or what it prints. The
// texts are those of libfreshclam and freshclam, which are not translated; times are in the
// host's zone. freshclam writes "update process started" at the start of each run; a run
// whose end is not there proves nothing.
func ParseFreshclam(data []byte, zone *time.Location) (Freshclam, error) {
	var f Freshclam
	var now run
	begun := false
	f.Update.Result = evidence.UpdateUnknown
	for line := range lines(data) {
		at, text := time.Time{}, line
		if m := stampedLine.FindStringSubmatch(line); m != nil {
			at, text = readTime(m[1], zone), m[2]
		}
		if m := runStart.FindStringSubmatch(text); m != nil {
			if begun {
				f.end(now)
			}
			begun, now = true, run{at: readTime(m[1], zone)}
			continue
		}
		if begun {
			now.line(at, text)
		}
	}
	if !begun {
		return f, errors.New(`not a log of freshclam: no line "ClamAV update process started at …"`)
	}
	f.end(now)
	return f, nil
}

func readTime(s string, zone *time.Location) time.Time {
	t, err := time.ParseInLocation("Mon Jan _2 15:04:05 2006", s, zone)
	if err != nil || t.Unix() <= 0 {
		return time.Time{}
	}
	return t
}

// line takes a line of a run.
func (r *run) line(at time.Time, text string) {
	if !at.IsZero() {
		r.at = at
	}
	for _, mark := range []string{"ERROR: ", "WARNING: ", "!", "^"} { // the last two before 0.103
		text = strings.TrimPrefix(text, mark)
	}
	if m := databaseLine.FindStringSubmatch(text); m != nil {
		if m[1] == deciding {
			r.good = true
			r.daily = &evidence.Definitions{Name: deciding, Version: m[3], Decides: true}
		}
		return
	}
	fails := func(reason string) {
		if r.reason == "" || r.reason == evidence.UpdateUnreachable || r.reason == evidence.UpdateBroken {
			r.reason = reason
		}
	}
	switch {
	case strings.Contains(text, "installation is OUTDATED"):
		r.outdated = true
	case strings.Contains(text, "received error code 403"), strings.Contains(text, "403 Forbidden"), strings.Contains(text, "Forbidden; Blocked by CDN"), strings.Contains(text, "Blocked from using server"):
		fails(evidence.UpdateBlocked)
	case strings.Contains(text, "received error code 429"), strings.Contains(text, "429 Too Many"), strings.Contains(text, "cool-down until after"):
		fails(evidence.UpdateLimited)
	case strings.Contains(text, "Can't connect"), strings.Contains(text, "Could not resolve"), strings.Contains(text, "Couldn't connect"),
		strings.Contains(text, "Download failed"), strings.Contains(text, "Can't download"), strings.Contains(text, "Connection"):
		if r.reason == "" {
			r.reason = evidence.UpdateUnreachable
		}
	case strings.HasPrefix(text, "Database update process failed"), strings.HasPrefix(text, "Update failed"), strings.Contains(text, "database update failed"),
		strings.HasPrefix(text, "Update process terminated"):
		r.failed = true
	}
}

// end closes a run: the last one whose result is known counts.
func (f *Freshclam) end(r run) {
	u := &f.Update
	if r.daily != nil {
		f.Daily = r.daily
	}
	known := r.good || r.failed || r.reason == evidence.UpdateBlocked || r.reason == evidence.UpdateLimited
	if !known {
		if u.Result == evidence.UpdateUnknown {
			u.At = moment(r.at)
		}
		return
	}
	u.At, u.Outdated, u.Reason = moment(r.at), r.outdated, ""
	switch {
	case r.failed, !r.good:
		u.Result, u.Reason = evidence.UpdateFailed, r.reason
		if u.Reason == "" {
			u.Reason = evidence.UpdateBroken
		}
	default:
		u.Result, u.Good = evidence.UpdateOK, u.At
	}
}

func moment(t time.Time) *evidence.Time {
	if t.IsZero() {
		return nil
	}
	at := evidence.At(t)
	return &at
}
