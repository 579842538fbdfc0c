package backup

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// ParseBaculaList reads what bconsole prints for "list jobs" (a table of "|"), "llist
// jobs" (a block of lines a job), with ".api json" (Bareos), and the catalog's table Job
// as CSV. JobStatus decides (job_status.h: T well ended, W with warnings, E and f errors,
// A canceled, D differences, I incomplete, e non-fatal errors), but Bacula leaves T for
// a backup with errors, so JobErrors counts too where it is shown. Jobs that are no
// backup, verification, restore or copy (Type B, V, R, C) leave nothing and are passed over.
func ParseBaculaList(out []byte, _ time.Time, zone *time.Location) ([]JobRun, error) {
	var rows []map[string]string
	text := strings.TrimSpace(string(out))
	switch {
	case strings.HasPrefix(text, "{"):
		rows = baculaJSON(text)
	case strings.Contains(text, "|"):
		rows = baculaTable(text)
	case strings.HasPrefix(text, "JobId,"):
		rows = baculaCSV(text)
	default:
		rows = baculaBlocks(text)
	}
	var runs []JobRun
	for _, row := range rows {
		if t := row["type"]; row["jobstatus"] != "" && row["name"] != "" && (t == "" || strings.Contains("BVRC", t)) {
			runs = append(runs, baculaListed(row, zone))
		}
	}
	if len(runs) == 0 {
		return nil, errors.New("no job in it: want the output of bconsole's list jobs or llist jobs")
	}
	return runs, nil
}

func baculaTable(text string) []map[string]string {
	var names []string
	var rows []map[string]string
	for line := range lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if names == nil {
			names = cells
			continue
		}
		row := map[string]string{}
		for i := range min(len(names), len(cells)) {
			row[strings.ToLower(strings.TrimSpace(names[i]))] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, row)
	}
	return rows
}

func baculaBlocks(text string) []map[string]string {
	var rows []map[string]string
	row := map[string]string{}
	for line := range lines(text) {
		k, v, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if k = strings.ToLower(strings.TrimSuffix(k, ":")); strings.Contains(k, " ") || !ok && !strings.HasSuffix(line, ":") {
			continue
		}
		if k == "jobid" {
			row = map[string]string{}
			rows = append(rows, row)
		}
		row[k] = strings.TrimSpace(v)
	}
	return rows
}

func baculaCSV(text string) []map[string]string {
	all, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(all) < 2 {
		return nil
	}
	var rows []map[string]string
	for _, cells := range all[1:] {
		row := map[string]string{}
		for i, cell := range cells {
			row[strings.ToLower(all[0][i])] = cell
		}
		rows = append(rows, row)
	}
	return rows
}

// baculaJSON reads Bareos' {"jsonrpc":"2.0","result":{"jobs":[{"jobid":"1",…}]}}.
func baculaJSON(text string) []map[string]string {
	var doc struct {
		Result struct {
			Jobs []map[string]any `json:"jobs"`
		} `json:"result"`
	}
	if json.Unmarshal([]byte(text), &doc) != nil {
		return nil
	}
	var rows []map[string]string
	for _, job := range doc.Result.Jobs {
		row := map[string]string{}
		for k, v := range job {
			if s, ok := v.(string); ok {
				row[strings.ToLower(k)] = s
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func baculaListed(row map[string]string, zone *time.Location) JobRun {
	r := JobRun{Job: baculaName(row["name"]), Run: Run{From: evidence.FromLog, Errors: -1, Start: baculaTime(row["starttime"], zone), End: baculaTime(row["endtime"], zone)}}
	if r.End.IsZero() {
		r.End = r.Start
	}
	r.Verify, r.Restore = row["type"] == "V", row["type"] == "R"
	if files, bytes := baculaCount(row["jobfiles"]), baculaCount(row["jobbytes"]); files >= 0 && bytes >= 0 {
		r.Size = Size{Bytes: bytes, Files: files, By: "log"}
	}
	if n := baculaCount(row["joberrors"]); n >= 0 {
		r.Errors = int(min(n, 1e9))
	}
	r.Result, r.Reasons = baculaStatus(row["jobstatus"])
	backup := !r.Verify && !r.Restore
	if r.Verify && r.Result == evidence.BackupFailed && r.Reasons[0] == evidence.ReasonRunFailed {
		r.Reasons = []string{evidence.ReasonVerifyFailed}
	}
	if backup && r.Result == evidence.BackupOK && r.Errors > 0 {
		r.Result, r.Reasons = evidence.BackupWarning, []string{evidence.ReasonUnreadSource}
	}
	if backup && r.Result == evidence.BackupOK && row["level"] == "F" && r.Size.By != "" && (r.Size.Bytes == 0 || r.Size.Files == 0) {
		r.Result, r.Reasons = evidence.BackupWarning, []string{evidence.ReasonEmpty}
	}
	r.Running = len(r.Reasons) > 0 && r.Reasons[0] == evidence.ReasonRunning
	if r.Start.IsZero() && !r.Running && r.Result != evidence.BackupFailed {
		r.Result, r.Reasons = evidence.BackupUnknown, []string{evidence.ReasonBadOutput}
	}
	r.Point = backup && (r.Result == evidence.BackupOK || r.Result == evidence.BackupWarning)
	return r
}

func baculaStatus(status string) (string, []string) {
	switch status {
	case "T":
		return evidence.BackupOK, nil
	case "W", "e":
		return evidence.BackupWarning, []string{evidence.ReasonUnreadSource}
	case "A":
		return evidence.BackupFailed, []string{evidence.ReasonCanceled}
	case "D":
		return evidence.BackupFailed, []string{evidence.ReasonVerifyFailed}
	case "E", "f", "I", "B":
		return evidence.BackupFailed, []string{evidence.ReasonRunFailed}
	}
	if len(status) == 1 && strings.Contains("RCFSMmsjcdtpiaqlLu", status) {
		return evidence.BackupUnknown, []string{evidence.ReasonRunning}
	}
	return evidence.BackupUnknown, []string{evidence.ReasonBadOutput}
}

// ParseBaculaStatus reads the table "Terminated Jobs" of bconsole's "status dir" and
// "status client": of each job its last end, without seconds, and its status. What ran
// in zero errors is not told here, and whether it was a backup only by its level.
func ParseBaculaStatus(out []byte, _ time.Time, zone *time.Location) ([]JobRun, error) {
	in := false
	var runs []JobRun
	for line := range lines(string(out)) {
		m := baculaEnded.FindStringSubmatch(line)
		switch {
		case strings.HasPrefix(line, "Terminated Jobs"):
			in = true
		case in && m != nil:
			runs = append(runs, baculaEndedRun(m, zone))
		case in && strings.HasPrefix(line, "====") && len(runs) > 0:
			in = false
		}
	}
	if len(runs) == 0 {
		return nil, errors.New("no ended job in it: want the output of bconsole's status dir or status client, with \"Terminated Jobs\"")
	}
	return runs, nil
}

var baculaEnded = regexp.MustCompile(`^\s*\d+\s+(\w+)\s+([\d,]+)\s+[\d.]+(?: [KMGTkmgt])?\s+(\w+)\s+(\d\d-\w{3}-\d{2,4} \d\d:\d\d)\s+(\S.*?)\s*$`)

func baculaEndedRun(m []string, zone *time.Location) JobRun {
	r := JobRun{Job: m[5], Run: Run{From: evidence.FromLog, Errors: -1}}
	for _, layout := range []string{"02-Jan-06 15:04", "02-Jan-2006 15:04"} {
		if t, err := time.ParseInLocation(layout, m[4], zone); err == nil {
			r.Start, r.End = t, t
		}
	}
	level := strings.ToLower(m[1])
	r.Restore = strings.HasPrefix(level, "rest")
	r.Verify = strings.HasPrefix(level, "volu") || strings.HasPrefix(level, "disk") || strings.HasPrefix(level, "cata") || strings.HasPrefix(level, "init")
	switch m[3] {
	case "OK":
		r.Result = evidence.BackupOK
	case "Cancel":
		r.Result, r.Reasons = evidence.BackupFailed, []string{evidence.ReasonCanceled}
	case "Diffs":
		r.Result, r.Reasons = evidence.BackupFailed, []string{evidence.ReasonVerifyFailed}
	case "Error":
		r.Result, r.Reasons = evidence.BackupFailed, []string{evidence.ReasonRunFailed}
	default: // "OK -- with warnings" reads "OK" here; "Other" is a status without a word
		r.Result, r.Reasons = evidence.BackupUnknown, []string{evidence.ReasonBadOutput}
	}
	if r.Start.IsZero() && r.Result == evidence.BackupOK {
		r.Result, r.Reasons = evidence.BackupUnknown, []string{evidence.ReasonBadOutput}
	}
	r.Point = r.Result == evidence.BackupOK && !r.Verify && !r.Restore
	return r
}
