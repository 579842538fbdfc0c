package backup

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

const toolVzdump = "vzdump"

var (
	vzBegin  = regexp.MustCompile(`^INFO: Starting Backup of VM (\d+) \((qemu|lxc|openvz)\)`)
	vzTime   = regexp.MustCompile(`^INFO: (?:Backup (?:started|finished)|Failed) at (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)`)
	vzEnd    = regexp.MustCompile(`^INFO: Finished Backup of VM (\d+) \((\d+):(\d\d):(\d\d)\)`)
	vzFail   = regexp.MustCompile(`^ERROR: Backup of VM (\d+) failed - (.*)$`)
	vzBytes  = regexp.MustCompile(`^INFO: Total bytes written: (\d+)`)
	vzMoved  = regexp.MustCompile(`^INFO: transferred ([\d.]+) (B|KiB|MiB|GiB|TiB) in`)
	vzPrefix = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d `)
	vzCrypt  = regexp.MustCompile(`enabling encryption|encryption mode|using encryption key`)
)

// ParseVzdump reads the log of a task of Proxmox VE's vzdump, or that of one guest in
// /var/log/vzdump (pve-manager PVE/VZDump.pm): for each guest the lines from "Starting
// Backup of VM" to "Finished Backup" or "ERROR: Backup of VM … failed". A guest
// without either was cut off; modified stands for its end.
func ParseVzdump(log []byte, modified time.Time, zone *time.Location) ([]JobRun, error) {
	var runs []JobRun
	var open *JobRun
	job := "" // what the task as a whole ended with
	seal := func(result string, reasons ...string) {
		if open != nil {
			open.Result, open.Reasons = worse(open.Result, result), append(open.Reasons, reasons...)
			runs, open = append(runs, *open), nil
		}
	}
	for line := range lines(string(log)) {
		line = vzPrefix.ReplaceAllString(line, "")
		if m := vzBegin.FindStringSubmatch(line); m != nil {
			seal(evidence.BackupFailed, evidence.ReasonInterrupted)
			open = vzRun(m[1])
			continue
		}
		if m := vzFail.FindStringSubmatch(line); m != nil {
			if open == nil {
				open = vzRun(m[1])
			}
			open.Message = m[2]
			open.Result, open.Reasons = evidence.BackupFailed, []string{vzReason(m[2])}
			continue
		}
		if m := vzTime.FindStringSubmatch(line); m != nil {
			t, _ := time.ParseInLocation(time.DateTime, m[1], zone)
			switch {
			case open != nil && strings.Contains(line, "started at"):
				open.Start = t
			case open != nil:
				open.End = t
				seal(evidence.BackupOK)
			case len(runs) > 0 && runs[len(runs)-1].End.IsZero():
				runs[len(runs)-1].End = t
			}
			continue
		}
		if m := vzEnd.FindStringSubmatch(line); m != nil && open != nil {
			open.Point = open.Result != evidence.BackupFailed
			h, _ := strconv.Atoi(m[2])
			mins, _ := strconv.Atoi(m[3])
			s, _ := strconv.Atoi(m[4])
			if !open.Start.IsZero() && h < 10000 {
				open.End = open.Start.Add(time.Duration(h)*time.Hour + time.Duration(mins)*time.Minute + time.Duration(s)*time.Second)
			}
			continue
		}
		if open != nil {
			open.vzLine(line)
		}
		if end, ok := strings.CutPrefix(line, "TASK "); ok {
			job = end
		} else if strings.HasPrefix(line, "INFO: Backup job finished") {
			job = strings.TrimPrefix(line, "INFO: Backup job ")
		}
	}
	if open != nil && (open.Point || open.Result == evidence.BackupFailed) {
		seal(evidence.BackupOK) // the last line is missing, the result is not
	}
	if open != nil {
		open.End, open.Open = modified, true
		seal(evidence.BackupFailed, evidence.ReasonInterrupted)
	}
	for i := range runs {
		if runs[i].End.IsZero() {
			runs[i].End = modified
		}
	}
	runs = vzTask(runs, job, modified)
	if len(runs) == 0 {
		return nil, errors.New("no guest's backup in it: want a log of vzdump, with \"Starting Backup of VM\"")
	}
	return runs, nil
}

// vzTask holds the guests' results against what the task as a whole ended with: an
// error or a warning that no guest shows is the task's own.
func vzTask(runs []JobRun, end string, modified time.Time) []JobRun {
	worst := evidence.BackupOK
	for _, r := range runs {
		worst = worse(worst, r.Result)
	}
	switch {
	case (strings.HasPrefix(end, "ERROR") || strings.Contains(end, "with errors")) && worst != evidence.BackupFailed:
		run := JobRun{Job: toolVzdump, Run: Run{From: evidence.FromLog, Result: evidence.BackupFailed, Reasons: []string{vzReason(end)}, End: modified, Errors: -1, Message: end}}
		return append(runs, run)
	case strings.HasPrefix(end, "WARNINGS") && worst == evidence.BackupOK:
		for i := range runs { // which of them it was is not told
			runs[i].Result, runs[i].Reasons = evidence.BackupWarning, []string{evidence.ReasonUnreadSource}
		}
	}
	return runs
}

func vzRun(id string) *JobRun {
	return &JobRun{Job: "vm-" + id, Run: Run{From: evidence.FromLog, Result: evidence.BackupOK, Errors: -1}}
}

func (r *JobRun) vzLine(line string) {
	if m := vzBytes.FindStringSubmatch(line); m != nil {
		if n, err := strconv.ParseInt(m[1], 10, 64); err == nil {
			r.Size = Size{Bytes: n, Files: -1, By: "log"}
		}
	}
	if m := vzMoved.FindStringSubmatch(line); m != nil {
		if n, err := strconv.ParseFloat(m[1], 64); err == nil && n < 1e9 {
			unit := map[string]float64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}[m[2]]
			r.Size = Size{Bytes: int64(n * unit), Files: -1, By: "log"}
		}
	}
	if vzCrypt.MatchString(line) {
		r.Encryption = "aes-256-gcm"
	}
	if strings.HasPrefix(line, "WARN") && r.Result == evidence.BackupOK {
		r.Result, r.Reasons = evidence.BackupWarning, []string{evidence.ReasonUnreadSource}
	}
}

// vzReason is why a guest's backup failed, by the words that PVE itself uses.
func vzReason(text string) string {
	switch text = strings.ToLower(text); {
	case strings.Contains(text, "no space left"):
		return evidence.ReasonNoSpace
	case strings.Contains(text, "interrupted by signal"), strings.Contains(text, "aborted"):
		return evidence.ReasonInterrupted
	case strings.Contains(text, "can't acquire lock"), strings.Contains(text, "is locked"), strings.Contains(text, "unable to acquire"):
		return evidence.ReasonLocked
	case strings.Contains(text, "connection refused"), strings.Contains(text, "connection timed out"), strings.Contains(text, "no route to host"):
		return evidence.ReasonUnreachable
	case strings.Contains(text, "permission denied"):
		return evidence.ReasonNoPermission
	}
	return evidence.ReasonRunFailed
}
