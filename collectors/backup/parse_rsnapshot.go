package backup

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

const toolRsnapshot = "rsnapshot"

// rsnapshotLine is a line that rsnapshot itself writes: "[2026-11-23T15:08:49]
// /usr/bin/rsnapshot -c FILE daily: started". Up to 1.3 the stamp was local text.
var rsnapshotLine = regexp.MustCompile(`^\[([^\]]+)\] \S*rsnapshot (?:.*? )?(\S+?): (.*)$`)

// ParseRsnapshot reads rsnapshot's log file (rsnapshot-program.pl, exit_with_status):
// per interval the runs from "started" to one of "completed successfully",
// "completed, but with some errors" or "warnings", or an ERROR. A run that started
// and did not end was cut off, unless it began within the last hours.
func ParseRsnapshot(log []byte, modified time.Time, zone *time.Location) ([]JobRun, error) {
	var runs []JobRun
	open := map[string]*JobRun{}
	seal := func(name string, end time.Time, result string, point bool, reasons ...string) {
		r := open[name]
		if r == nil {
			r = &JobRun{Job: name, Run: Run{From: evidence.FromLog, Errors: -1, Start: end}}
		}
		delete(open, name)
		r.End, r.Result, r.Point = end, result, point
		for _, reason := range reasons {
			if !slices.Contains(r.Reasons, reason) {
				r.Reasons = append(r.Reasons, reason)
			}
		}
		runs = append(runs, *r)
	}
	known := false
	for line := range lines(string(log)) {
		m := rsnapshotLine.FindStringSubmatch(line)
		if m == nil {
			if text, ok := strings.CutPrefix(line, "ERROR: "); ok { // as it prints it
				known = true
				rsnapshotError(open, &runs, toolRsnapshot, modified, text)
			}
			continue
		}
		stamp, name, text := rsnapshotTime(m[1], zone, modified), m[2], m[3]
		known = true
		switch {
		case text == "started":
			if open[name] != nil {
				seal(name, stamp, evidence.BackupFailed, false, evidence.ReasonInterrupted)
			}
			open[name] = &JobRun{Job: name, Run: Run{From: evidence.FromLog, Errors: -1, Start: stamp}}
		case text == "completed successfully":
			seal(name, stamp, evidence.BackupOK, true)
		case strings.HasPrefix(text, "completed, but with some warnings"):
			seal(name, stamp, evidence.BackupWarning, true, evidence.ReasonUnreadSource)
		case strings.HasPrefix(text, "completed, but with"):
			seal(name, stamp, evidence.BackupFailed, false, evidence.ReasonRunFailed)
		case strings.HasPrefix(text, "ERROR:"):
			rsnapshotError(open, &runs, name, stamp, strings.TrimSpace(strings.TrimPrefix(text, "ERROR:")))
		}
	}
	for name := range open {
		open[name].Open = true
		seal(name, modified, evidence.BackupFailed, false, evidence.ReasonInterrupted)
	}
	if !known {
		return nil, errors.New("no line of rsnapshot in it: want its log file, with \"rsnapshot INTERVAL: started\"")
	}
	return runs, nil
}

// rsnapshotError notes an error: of a run that goes on, its text; of one that was
// refused before it started, the run. Several lines are one error.
func rsnapshotError(open map[string]*JobRun, runs *[]JobRun, name string, stamp time.Time, text string) {
	if r := open[name]; r != nil {
		r.Message = text
		return
	}
	reason := evidence.ReasonRunFailed
	switch {
	case strings.Contains(text, "doesn't exist"):
		reason = evidence.ReasonSourceMissing
	case strings.Contains(text, "No space left"):
		reason = evidence.ReasonNoSpace
	case strings.Contains(text, "Could not write lockfile"), strings.Contains(text, "lockfile"):
		reason = evidence.ReasonLocked
	case strings.Contains(text, " on line "), strings.Contains(text, "Errors were found in"):
		reason = evidence.ReasonBadConfig
	}
	if n := len(*runs); n > 0 && (*runs)[n-1].Job == name && (*runs)[n-1].Result == evidence.BackupFailed && stamp.Sub((*runs)[n-1].End) < time.Minute {
		last := &(*runs)[n-1]
		if reason != evidence.ReasonRunFailed && !slices.Contains(last.Reasons, reason) {
			last.Reasons = append(slices.DeleteFunc(last.Reasons, func(r string) bool { return r == evidence.ReasonRunFailed }), reason)
		}
		return
	}
	*runs = append(*runs, JobRun{Job: name, Run: Run{From: evidence.FromLog, Result: evidence.BackupFailed, Reasons: []string{reason}, Errors: -1, Start: stamp, End: stamp, Message: text}})
}

func rsnapshotTime(s string, zone *time.Location, otherwise time.Time) time.Time {
	for _, layout := range []string{"2006-01-02T15:04:05", "02/Jan/2006:15:04:05", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return t
		}
	}
	return otherwise
}
