package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// duplicatiResult is what Duplicati hands to a script or an address after a run
// (duplicati Library/Main/ResultClasses.cs), either bare or within Data.
type duplicatiResult struct {
	Operation  string    `json:"MainOperation"`
	Parsed     string    `json:"ParsedResult"` // Success, Warning, Error, Fatal, Unknown
	Begin      time.Time `json:"BeginTime"`
	End        time.Time `json:"EndTime"`
	Examined   *int64    `json:"ExaminedFiles"`
	Size       *int64    `json:"SizeOfExaminedFiles"`
	WithError  int       `json:"FilesWithError"`
	Partial    bool      `json:"PartialBackup"`
	Interrupts bool      `json:"Interrupted"`
}

// ParseDuplicati reads a job's result as JSON. ParsedResult decides; a partial backup
// (its CLI's exit code 50) is one that was interrupted.
func ParseDuplicati(doc []byte, _ time.Time, _ *time.Location) ([]JobRun, error) {
	var outer struct {
		Data  *duplicatiResult  `json:"Data"`
		Extra map[string]string `json:"Extra"`
		duplicatiResult
	}
	if err := json.Unmarshal(doc, &outer); err != nil {
		return nil, fmt.Errorf("not a result of Duplicati: %w", err)
	}
	d := outer.duplicatiResult
	if outer.Data != nil {
		d = *outer.Data
	}
	if d.Parsed == "" {
		return nil, errors.New("not a result of Duplicati: no ParsedResult in it")
	}
	r := JobRun{Job: outer.Extra["backup-name"], Run: Run{From: evidence.FromLog, Start: d.Begin, End: d.End, Errors: max(d.WithError, 0)}}
	r.Verify, r.Restore = d.Operation == "Test", d.Operation == "Restore"
	if d.Examined != nil && d.Size != nil && *d.Examined >= 0 && *d.Size >= 0 {
		r.Size = Size{Bytes: *d.Size, Files: *d.Examined, By: "summary"}
	}
	switch d.Parsed {
	case "Success":
		r.Result = evidence.BackupOK
	case "Warning":
		r.Result, r.Reasons = evidence.BackupWarning, []string{evidence.ReasonUnreadSource}
	case "Error", "Fatal":
		r.Result, r.Reasons = evidence.BackupFailed, []string{evidence.ReasonRunFailed}
	default:
		r.Result, r.Reasons = evidence.BackupUnknown, []string{evidence.ReasonBadOutput}
	}
	if d.Partial || d.Interrupts {
		r.Result, r.Reasons = evidence.BackupFailed, []string{evidence.ReasonInterrupted}
	}
	r.seal()
	return []JobRun{r}, nil
}

// seal settles what a run left: a point if it ended well and says when, and a warning
// if that holds nothing.
func (r *JobRun) seal() {
	if r.Result != evidence.BackupFailed && at(r.Start) == nil {
		r.Result, r.Reasons = evidence.BackupUnknown, []string{evidence.ReasonBadOutput}
	}
	r.Point = (r.Result == evidence.BackupOK || r.Result == evidence.BackupWarning) && !r.Verify && !r.Restore
	if r.Point && empty(r.Size) {
		r.warn(evidence.ReasonEmpty)
	}
}

// ParseUrBackup reads `urbackupclientctl status` (urbackup clientctl/main.cpp): when the
// last backup ended, as seconds since 1970, 0 for never, and how those that ended since
// the service began went. The server has the rest.
func ParseUrBackup(doc []byte, _ time.Time, _ *time.Location) ([]JobRun, error) {
	var d struct {
		Last     *int64 `json:"last_backup_time"`
		Finished []struct {
			Success bool `json:"success"`
		} `json:"finished_processes"`
	}
	if err := json.Unmarshal(doc, &d); err != nil {
		return nil, fmt.Errorf("not the output of urbackupclientctl status: %w", err)
	}
	if d.Last == nil {
		return nil, errors.New("not the output of urbackupclientctl status: no last_backup_time in it")
	}
	r := JobRun{Job: "urbackup", Run: Run{From: evidence.FromLog, Errors: -1, Result: evidence.BackupOK, Start: epoch(float64(*d.Last)), End: epoch(float64(*d.Last))}}
	if *d.Last <= 0 {
		r.Result, r.Reasons = evidence.BackupFailed, []string{evidence.ReasonNoPoints}
		return []JobRun{r}, nil
	}
	r.seal()
	runs := []JobRun{r}
	if n := len(d.Finished); n > 0 && !d.Finished[n-1].Success {
		runs = append(runs, JobRun{Job: "urbackup", Run: Run{From: evidence.FromLog, Errors: -1, Result: evidence.BackupFailed, Reasons: []string{evidence.ReasonRunFailed}, End: r.End}})
	}
	return runs, nil
}

// rcloneLine is a line of rclone's log as JSON (rclone docs, "Logging"). The last one
// with stats counts the run.
type rcloneLine struct {
	Level string    `json:"level"`
	Msg   string    `json:"msg"`
	Time  time.Time `json:"time"`
	Stats *struct {
		Errors int   `json:"errors"`
		Fatal  bool  `json:"fatalError"`
		Bytes  int64 `json:"totalBytes"`
		Checks int64 `json:"totalChecks"`
		Moved  int64 `json:"totalTransfers"`
	} `json:"stats"`
}

// ParseRclone reads the log of one run. What a run left is one state, that of its start:
// a sync keeps no older ones unless it is told to. Without stats nothing says that the
// run came to its end.
func ParseRclone(log []byte, modified time.Time, _ *time.Location) ([]JobRun, error) {
	r := JobRun{Job: "rclone", Run: Run{From: evidence.FromLog, Errors: -1, Result: evidence.BackupOK}}
	known, ended, bad := false, false, 0
	for line := range lines(string(log)) {
		var rec rcloneLine
		if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &rec) != nil || rec.Level == "" {
			continue
		}
		known = true
		if !rec.Time.IsZero() {
			if r.Start.IsZero() {
				r.Start = rec.Time
			}
			r.End = rec.Time
		}
		if rec.Level == "error" || rec.Level == "critical" {
			bad++
			r.Message = rec.Msg
		}
		if s := rec.Stats; s != nil {
			ended = true
			r.Errors = max(s.Errors, 0)
			if s.Fatal {
				bad++
			}
			if s.Bytes >= 0 && s.Checks >= 0 && s.Moved >= 0 {
				r.Size = Size{Bytes: s.Bytes, Files: s.Checks + s.Moved, By: "log"}
			}
		}
	}
	switch {
	case !known:
		return nil, errors.New("no line of rclone's log as JSON in it: want one written with --use-json-log")
	case bad > 0 || r.Errors > 0:
		r.Result, r.Reasons = evidence.BackupFailed, []string{evidence.ReasonRunFailed}
	case !ended:
		r.Result, r.Reasons, r.Open, r.End = evidence.BackupFailed, []string{evidence.ReasonInterrupted}, true, modified
	}
	r.seal()
	return []JobRun{r}, nil
}
