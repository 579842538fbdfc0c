package backup

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

const toolBacula = "bacula"

var (
	// baculaField is a line of a job report: "  FD Files Written:       60".
	baculaField = regexp.MustCompile(`^\s*([A-Z][A-Za-z/() .-]{1,40}?):\s+(\S.*?)\s*$`)
	// baculaJob is the unique name of a run: the job's name and when it was queued.
	baculaJob = regexp.MustCompile(`^(.+?)\.\d{4}-\d{2}-\d{2}[._T]\d{2}[.:]\d{2}[.:]\d{2}(?:_\d+)?$`)
	// baculaStart is the message with which a run begins.
	baculaStart = regexp.MustCompile(`Start (?:Backup|Verify|Restore|Migration|Copy)?\s*(?:Backup )?JobId \d+, Job=(\S+)`)
	baculaFatal = regexp.MustCompile(`(?:Fatal error|Error): (.*)$`)
)

// ParseBacula reads the reports of finished jobs from the log of Bacula's or Bareos'
// director, or from mails with them (Bacula Main Reference, "Messages Resource";
// bareos core/src/dird/backup.cc). The line "Termination" decides: Bacula leaves the
// job's status T for a backup with warnings. A job that began and has no report is not
// over, or was cut off; modified stands for its end.
func ParseBacula(log []byte, modified time.Time, zone *time.Location) ([]JobRun, error) {
	var runs []JobRun
	fields := map[string]string{}
	started, fatal := "", ""
	for line := range lines(string(log)) {
		if m := baculaStart.FindStringSubmatch(line); m != nil {
			started = baculaName(m[1])
		}
		if m := baculaFatal.FindStringSubmatch(line); m != nil && !strings.HasSuffix(m[1], "):") {
			fatal = m[1]
		}
		m := baculaField.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if m[1] == "JobId" {
			fields = map[string]string{}
		}
		fields[m[1]] = m[2]
		if m[1] == "Termination" {
			run := baculaRun(fields, zone)
			run.Message = fatal
			runs = append(runs, run)
			fields, started, fatal = map[string]string{}, "", ""
		}
	}
	if started != "" {
		runs = append(runs, JobRun{Job: started, Run: Run{From: evidence.FromLog, Result: evidence.BackupFailed, Reasons: []string{evidence.ReasonInterrupted},
			End: modified, Errors: -1, Open: true, Message: fatal}})
	}
	if len(runs) == 0 {
		return nil, errors.New("no job report in it: want the log of a Bacula or Bareos director, with the line \"Termination\"")
	}
	return runs, nil
}

func baculaName(unique string) string {
	if m := baculaJob.FindStringSubmatch(unique); m != nil {
		return m[1]
	}
	return unique
}

func baculaRun(f map[string]string, zone *time.Location) JobRun {
	r := JobRun{Job: baculaName(f["Job"]), Run: Run{From: evidence.FromLog, Errors: -1, Start: baculaTime(f["Start time"], zone), End: baculaTime(f["End time"], zone)}}
	if r.End.IsZero() {
		r.End = r.Start
	}
	switch strings.ToLower(f["Encryption"]) {
	case "no":
		r.Encryption = "none"
	case "yes":
		r.Encryption = "pki"
	}
	words := strings.ToLower(strings.Trim(f["Termination"], "* "))
	files, bytes := baculaCount(f["FD Files Written"]), baculaCount(f["FD Bytes Written"])
	if files < 0 {
		files, bytes = baculaCount(f["SD Files Written"]), baculaCount(f["SD Bytes Written"])
	}
	if bytes >= 0 {
		r.Size = Size{Bytes: bytes, Files: files, By: "log"}
	}
	for _, name := range []string{"Non-fatal FD errors", "SD Errors", "FD Errors", "Errors"} {
		if n := baculaCount(f[name]); n >= 0 {
			r.Errors = max(r.Errors, 0) + int(n)
		}
	}
	r.Verify, r.Restore = strings.HasPrefix(words, "verify"), strings.HasPrefix(words, "restore")
	r.Result, r.Reasons = baculaResult(words)
	backup := !r.Verify && !r.Restore
	if backup && r.Result == evidence.BackupOK && r.Errors > 0 {
		r.Result, r.Reasons = evidence.BackupWarning, []string{evidence.ReasonUnreadSource}
	}
	if backup && r.Result != evidence.BackupFailed && strings.HasPrefix(f["Backup Level"], "Full") && (files == 0 || bytes == 0) {
		r.Result, r.Reasons = worse(r.Result, evidence.BackupWarning), append(r.Reasons, evidence.ReasonEmpty)
	}
	if backup && r.Start.IsZero() && r.Result != evidence.BackupFailed {
		r.Result, r.Reasons = evidence.BackupUnknown, []string{evidence.ReasonBadOutput} // a report that does not say when
	}
	r.Point = backup && (r.Result == evidence.BackupOK || r.Result == evidence.BackupWarning) && !r.Start.IsZero()
	return r
}

// baculaKinds are the jobs that leave data, or look whether it is there: what "Termination"
// begins with (bareos core/src/dird: backup.cc, verify.cc, restore.cc, migrate.cc, archive.cc).
var baculaKinds = map[string]bool{"backup": true, "verify": true, "restore": true, "copying": true, "copy": true, "migration": true, "archive": true}

// baculaResult puts the words of "Termination" into a result. Others than those that
// the directors print are nothing that one can rest on.
func baculaResult(words string) (string, []string) {
	kind, rest, _ := strings.Cut(words, " ")
	switch {
	case !baculaKinds[kind]: // of a director in another language, or of a job that saves nothing
		return evidence.BackupUnknown, []string{evidence.ReasonBadOutput}
	case words == "verify warnings":
		return evidence.BackupWarning, []string{evidence.ReasonVerifyFailed}
	case rest == "ok":
		return evidence.BackupOK, nil
	case strings.HasPrefix(rest, "ok --"), rest == "ok, with warnings":
		return evidence.BackupWarning, []string{evidence.ReasonUnreadSource}
	case strings.HasPrefix(rest, "cancel"):
		return evidence.BackupFailed, []string{evidence.ReasonCanceled}
	case kind == "verify" && (strings.HasPrefix(rest, "error") || strings.HasPrefix(rest, "differences")):
		return evidence.BackupFailed, []string{evidence.ReasonVerifyFailed}
	case strings.HasPrefix(rest, "error"), strings.HasPrefix(rest, "failed"), strings.HasPrefix(rest, "incomplete"):
		return evidence.BackupFailed, []string{evidence.ReasonRunFailed}
	}
	return evidence.BackupUnknown, []string{evidence.ReasonBadOutput}
}

// baculaTime reads the times of reports: ISO 8601, and Bacula's and Bareos' old form with
// the month's name, which is in the language in which the director runs.
func baculaTime(s string, zone *time.Location) time.Time {
	if m := monthNamed.FindStringSubmatch(s); m != nil {
		if n := slices.IndexFunc(monthNames[:], func(names string) bool { return strings.Contains(names, " "+strings.ToLower(m[2])+" ") }); n >= 0 {
			s = fmt.Sprintf("%s-%s-%s %s", m[1], time.Month(n + 1).String()[:3], m[3], m[4])
		}
	}
	for _, layout := range []string{"2-Jan-2006 15:04:05", "2006-01-02T15:04:05-0700", "2006-01-02 15:04:05", "2-Jan-2006 15:04"} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return t
		}
	}
	return time.Time{}
}

var monthNamed = regexp.MustCompile(`^(\d{1,2})-(\pL{3,5})\.?-(\d{4}) (\d\d:\d\d(?::\d\d)?)$`)

// monthNames are the short names of months in the languages of C, it, de, fr, es, pt, nl
// (glibc's localedata, LC_TIME abmon).
var monthNames = [12]string{
	" jan gen jän janv ene ", " feb fév févr fev ", " mar mär mars mrt ", " apr avr abr ", " may mag mai mei ", " jun giu juin ",
	" jul lug juil ", " aug ago août ", " sep set sept ", " oct ott okt out ", " nov ", " dec dic dez déc ",
}

// baculaCount reads "771,810 (771.8 KB)"; -1 where there is no number.
func baculaCount(s string) int64 {
	first, _, _ := strings.Cut(s, " ")
	n, err := strconv.ParseInt(strings.ReplaceAll(first, ",", ""), 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}
