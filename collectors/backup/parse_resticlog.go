package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// resticLine is any line of `restic backup --json`.
type resticLine struct {
	Type     string          `json:"message_type"`
	Code     int             `json:"code"`
	Message  string          `json:"message"`
	Error    json.RawMessage `json:"error"`
	DryRun   bool            `json:"dry_run"`
	Duration float64         `json:"total_duration"`
	Snapshot string          `json:"snapshot_id"`
	Errors   int             `json:"error_count"` // of a status: so far
	resticSummary
}

// resticLog follows a log of one or more runs, the last of which counts.
type resticLog struct {
	last   Run  // the last run that came to an end
	ended  bool // last is set
	open   bool // lines of a run stand after last
	moved  bool // and one of them tells of progress: it is another run, not last's rest
	warned bool // the open run said at its end that it left something out
	errors int
	marks  []string // reasons seen in the open run
	text   []string
}

// errNoRun is returned for a log without any run.
var errNoRun = errors.New("no line of a backup run: want the output of restic backup, with --json or without")

// ParseResticBackup reads the output of `restic backup`, with --json or without,
// standard error mixed in or not, one run after the other; the last one counts.
// modified is when the log was last written: it stands for the times that
// restic before 0.17 does not print.
func ParseResticBackup(log []byte, modified time.Time) (Run, error) {
	var l resticLog
	for line := range lines(string(log)) {
		var rec resticLine
		if strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &rec) == nil && rec.Type != "" {
			l.json(rec, modified)
			continue
		}
		l.plain(line, modified)
	}
	switch {
	case l.open && l.warned: // its standard error alone
		l.end(Run{Result: evidence.BackupWarning, End: modified})
	case l.open:
		l.end(Run{Result: evidence.BackupFailed, Reasons: []string{evidence.ReasonInterrupted}, End: modified, Open: true})
	}
	if !l.ended {
		return Run{}, errNoRun
	}
	return l.last, nil
}

func (l *resticLog) json(rec resticLine, modified time.Time) {
	switch rec.Type {
	case "status", "verbose_status":
		l.open, l.moved = true, true
		l.errors = max(l.errors, rec.Errors)
	case "error":
		l.open = true
		l.errors++
		l.text = append(l.text, errorText(rec.Error))
	case "summary":
		if rec.DryRun {
			l.open, l.moved, l.errors, l.marks, l.text = false, false, 0, nil, nil
			return
		}
		r := Run{Result: evidence.BackupOK, Start: rec.BackupStart, End: rec.BackupEnd, Skipped: rec.Snapshot == "",
			Size: Size{Bytes: rec.Bytes, Files: rec.Files, By: bySummary}}
		if r.End.IsZero() {
			r.End = modified
			r.Start = modified.Add(-time.Duration(max(0, min(rec.Duration, 1e6)) * float64(time.Second)))
		}
		l.end(r)
	case "exit_error":
		if rec.Code == 3 {
			l.incomplete()
			return
		}
		l.text = append(l.text, rec.Message)
		l.fail(rec.Code, modified)
	}
}

// plain reads a line that is not JSON: restic's text mode, and what it prints
// as text beside JSON.
func (l *resticLog) plain(line string, modified time.Time) {
	switch {
	case strings.HasSuffix(line, " does not exist, skipping"):
		l.open = true
		l.marks = append(l.marks, evidence.ReasonSourceMissing)
		l.text = append(l.text, line)
	case strings.HasPrefix(line, "error: "):
		l.open = true
		l.errors++
		l.text = append(l.text, line)
	case strings.HasPrefix(line, "snapshot ") && strings.HasSuffix(line, " saved"):
		l.end(Run{Result: evidence.BackupOK, End: modified})
	case strings.HasPrefix(line, "Warning: at least one source file could not be read"):
		l.incomplete()
	case strings.HasPrefix(line, "Fatal: "), strings.Contains(line, "unable to create lock in backend"):
		l.text = append(l.text, line)
		l.fail(1, modified)
	}
}

// incomplete is restic's word at its very end (exit code 3) that the snapshot was made
// with something left out. Where standard error stands behind the rest, the errors
// before it are those of the run whose summary is behind.
func (l *resticLog) incomplete() {
	if !l.ended || l.moved {
		l.marks = append(l.marks, evidence.ReasonUnreadSource)
		l.open, l.warned = true, true
		return
	}
	l.last.Result = worse(l.last.Result, evidence.BackupWarning)
	l.last.Errors = max(l.last.Errors, l.errors)
	if l.last.Message == "" {
		l.last.Message = clip(strings.Join(l.text, "\n"))
	}
	l.mark(evidence.ReasonUnreadSource)
	l.open, l.errors, l.marks, l.text = false, 0, nil, nil
}

func (l *resticLog) fail(code int, modified time.Time) {
	f := ResticFault(code, strings.Join(l.text, "\n"))
	l.end(Run{Result: evidence.BackupFailed, Reasons: []string{f.Reason}, End: modified})
}

func (l *resticLog) mark(reason string) {
	for _, r := range l.last.Reasons {
		if r == reason {
			return
		}
	}
	l.last.Reasons = append(l.last.Reasons, reason)
}

// end closes the open run as r, with what was marked in it.
func (l *resticLog) end(r Run) {
	r.From = evidence.FromLog
	r.Errors = l.errors
	if l.errors > 0 && r.Result != evidence.BackupFailed {
		l.marks = append(l.marks, evidence.ReasonUnreadSource)
	}
	if len(l.marks) > 0 {
		r.Result = worse(r.Result, evidence.BackupWarning)
	}
	if empty(r.Size) && r.Result != evidence.BackupFailed {
		r.Result = worse(r.Result, evidence.BackupWarning)
		l.marks = append(l.marks, evidence.ReasonEmpty)
	}
	r.Message = clip(strings.Join(l.text, "\n"))
	l.last, l.ended = r, true
	for _, m := range l.marks {
		l.mark(m)
	}
	l.open, l.moved, l.warned, l.errors, l.marks, l.text = false, false, false, 0, nil, nil
}

// errorText takes the words out of an error object: {"message":…} since 0.16,
// Go's {"Op","Path","Err"} before.
func errorText(raw json.RawMessage) string {
	var e struct {
		Message, Op, Path string
		Err               any
	}
	if json.Unmarshal(raw, &e) != nil {
		return clip(string(raw))
	}
	if e.Message != "" {
		return e.Message
	}
	return fmt.Sprint(e.Op, " ", e.Path, " ", e.Err)
}

// lines yields the lines of s without their ends and without escape sequences
// for a terminal.
func lines(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range strings.Lines(s) {
			line = strings.TrimSpace(strings.TrimPrefix(strings.TrimRight(line, "\r\n"), "\x1b[2K"))
			if line != "" && !yield(line) {
				return
			}
		}
	}
}
