package backup

import (
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

const toolVeeam = "veeam"

// veeamStates puts the words of Veeam Agent for Linux for a session's state into a
// result (User Guide, "Viewing Session Status"; the agent's screen shows the same).
var veeamStates = map[string]string{
	"success": evidence.BackupOK, "warning": evidence.BackupWarning, "failed": evidence.BackupFailed, "error": evidence.BackupFailed,
	"stopped": evidence.BackupFailed, "canceled": evidence.BackupFailed, "cancelled": evidence.BackupFailed,
}

var veeamUnderWay = []string{"running", "starting", "working", "pending", "postprocessing", "stopping", "waitingtape", "resuming"}

// veeamRun makes a run of a session's state. A word that is not documented is nothing
// that one can rest on.
func veeamRun(job, state string) JobRun {
	r := JobRun{Job: job, Run: Run{From: evidence.FromLog, Errors: -1}}
	word := strings.ToLower(strings.Trim(state, " ."))
	switch r.Result = veeamStates[word]; {
	case r.Result == evidence.BackupOK:
	case r.Result == evidence.BackupWarning:
		r.Reasons = []string{evidence.ReasonUnreadSource}
	case word == "stopped" || word == "canceled" || word == "cancelled":
		r.Reasons = []string{evidence.ReasonCanceled}
	case r.Result == evidence.BackupFailed:
		r.Reasons = []string{evidence.ReasonRunFailed}
	case strings.Contains(" "+strings.Join(veeamUnderWay, " ")+" ", " "+word+" ") && word != "":
		r.Running, r.Result, r.Reasons = true, evidence.BackupUnknown, []string{evidence.ReasonRunning}
	default:
		r.Result, r.Reasons = evidence.BackupUnknown, []string{evidence.ReasonBadOutput}
	}
	r.Point = r.Result == evidence.BackupOK || r.Result == evidence.BackupWarning
	return r
}

// ParseVeeamSessions reads `veeamconfig session list` (Veeam Agent for Linux User Guide,
// "Viewing Backup Job Sessions"): a table with the columns Job name, Type, ID, State,
// Created at, Started at and Finished at, times in the host's zone without seconds.
// Sessions of other types (Restore, RescanRepository, ...) are not runs of a backup.
func ParseVeeamSessions(out []byte, _ time.Time, zone *time.Location) ([]JobRun, error) {
	rows := textTable(string(out), "job name", "type", "state", "id")
	if rows == nil && !strings.Contains(strings.ToLower(string(out)), "job name") && !strings.Contains(string(out), "Total amount: 0") {
		return nil, errors.New("no sessions in it: want the output of veeamconfig session list, with the headings Job name and State")
	}
	var runs []JobRun
	for _, row := range rows {
		kind := strings.ToLower(row["type"])
		if !strings.Contains(kind, "backup") || strings.Contains(kind, "delete") {
			continue
		}
		r := veeamRun(row["job name"], row["state"])
		r.Start, r.End = veeamTime(firstOf(row, "started at", "start time", "created at"), zone), veeamTime(firstOf(row, "finished at", "end time"), zone)
		if r.End.IsZero() {
			r.End = r.Start
		}
		if r.Start.IsZero() {
			r.Point, r.Result, r.Reasons = false, evidence.BackupUnknown, []string{evidence.ReasonBadOutput}
		}
		runs = append(runs, r)
	}
	return runs, nil
}

func firstOf(row map[string]string, keys ...string) string {
	for _, k := range keys {
		if row[k] != "" {
			return row[k]
		}
	}
	return ""
}

// ParseVeeamSession reads `veeamconfig session info --id ID`: lines "Job name: …",
// "State: …", "Start time: …".
func ParseVeeamSession(out []byte, _ time.Time, zone *time.Location) ([]JobRun, error) {
	f := map[string]string{}
	for line := range lines(string(out)) {
		if k, v, ok := strings.Cut(line, ":"); ok {
			f[strings.ToLower(strings.TrimSpace(k))] = strings.TrimSpace(v)
		}
	}
	if f["state"] == "" {
		return nil, errors.New("no session in it: want the output of veeamconfig session info, with the line State")
	}
	r := veeamRun(firstOf(f, "job name", "name", "job"), f["state"])
	r.Start, r.End = veeamTime(firstOf(f, "start time", "started at", "created at"), zone), veeamTime(firstOf(f, "end time", "finished at"), zone)
	if r.End.IsZero() {
		r.End = r.Start
	}
	if r.Start.IsZero() {
		r.Point, r.Result, r.Reasons = false, evidence.BackupUnknown, []string{evidence.ReasonBadOutput}
	}
	r.Message = firstOf(f, "error", "details", "last error")
	return []JobRun{r}, nil
}

// ParseVeeamPoints reads `veeamconfig point list --backupId ID` (User Guide, "Viewing
// Restore Points"): what can be restored. A point that is marked as corrupt cannot.
func ParseVeeamPoints(out []byte, _ time.Time, zone *time.Location) ([]JobRun, error) {
	rows := textTable(string(out), "type", "created at")
	if rows == nil && !strings.Contains(strings.ToLower(string(out)), "created at") && !strings.Contains(string(out), "Total amount: 0") {
		return nil, errors.New("no restore points in it: want the output of veeamconfig point list, with the headings Type and Created at")
	}
	var runs []JobRun
	for _, row := range rows {
		r := veeamRun(firstOf(row, "job name", "backup job", "backup name", "name"), "success")
		r.From = evidence.FromRepository
		r.Start = veeamTime(row["created at"], zone)
		r.End = r.Start
		if strings.HasPrefix(strings.ToLower(firstOf(row, "is corrupt", "corrupt", "is corrupted")), "true") {
			r.Point, r.Result, r.Reasons = false, evidence.BackupFailed, []string{evidence.ReasonCorrupt}
		}
		if r.Start.IsZero() {
			r.Point, r.Result, r.Reasons = false, evidence.BackupUnknown, []string{evidence.ReasonBadOutput}
		}
		runs = append(runs, r)
	}
	return runs, nil
}

var (
	veeamStamp  = regexp.MustCompile(`^\[(\d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d)(?:\.\d+)?\]`)
	veeamStatus = regexp.MustCompile(`JOB STATUS: ([A-Za-z]+)`)
	veeamName   = regexp.MustCompile(`(?i)\bjob(?: name)?: \[([^\]]{1,100})\]`)
	veeamError  = regexp.MustCompile(`\|\s*(?:ERR|Error) \|(.*)$`)
)

// ParseVeeamJobLog reads /var/log/veeam/Backup/JOB/SESSION/Job.log: lines
// "[25.07.2018 02:04:01] <140529559693056> lpbcore| JOB STATUS: SUCCESS." A log without
// that line is of a session that is under way or was cut off.
func ParseVeeamJobLog(log []byte, modified time.Time, zone *time.Location) ([]JobRun, error) {
	var start, end time.Time
	name, state, message := toolVeeam, "", ""
	for line := range lines(string(log)) {
		m := veeamStamp.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if t, err := time.ParseInLocation("02.01.2006 15:04:05", m[1], zone); err == nil {
			if start.IsZero() {
				start = t
			}
			end = t
		}
		if s := veeamStatus.FindStringSubmatch(line); s != nil {
			state = s[1]
		}
		if s := veeamName.FindStringSubmatch(line); s != nil && name == toolVeeam {
			name = s[1]
		}
		if s := veeamError.FindStringSubmatch(line); s != nil {
			message = strings.TrimSpace(s[1])
		}
	}
	if start.IsZero() {
		return nil, errors.New("no log of a session: want Veeam Agent's Job.log, whose lines begin with [25.07.2018 02:04:01]")
	}
	r := veeamRun(name, state)
	r.Start, r.End, r.Message = start, end, message
	if state == "" {
		r.Result, r.Reasons, r.Open, r.End = evidence.BackupFailed, []string{evidence.ReasonInterrupted}, true, modified
	}
	return []JobRun{r}, nil
}

// veeamTime reads the times of veeamconfig: without seconds in tables, with them and a
// zone in the details.
func veeamTime(s string, zone *time.Location) time.Time {
	for _, layout := range []string{"2006-01-02 15:04", time.DateTime, "2006-01-02 15:04:05 MST", "2006-01-02 15:04 MST", "2006-01-02 15:04:05 -0700", time.RFC3339, "02.01.2006 15:04:05", "02.01.2006 15:04"} {
		if t, err := time.ParseInLocation(layout, strings.TrimSpace(s), zone); err == nil {
			return t
		}
	}
	return time.Time{}
}
