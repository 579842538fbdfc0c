package backup

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Formats lists what this kind can read.
func Formats() []host.Format {
	return []host.Format{
		{Name: "restic-snapshots", Title: "restic snapshots --json", Parse: explainSnapshots},
		{Name: "restic-backup", Title: "restic backup, with --json or without, standard error included", Parse: explainResticLog},
		{Name: "restic-check", Title: "restic check, with --json or without, standard error included", Parse: explainCheck},
		{Name: "borg-list", Title: "borg list --json, borgmatic list --json", Parse: explainBorg},
		{Name: "borg-info", Title: "borg info --json, borgmatic info --json", Parse: explainBorg},
		{Name: "borg-check", Title: "borg check, or borg extract --dry-run, standard error included", Parse: explainBorgCheck},
		{Name: "borg-create", Title: "borg create --json --log-json, standard error included", Parse: explainBorgLog},
		{Name: "bacula-job", Title: "job reports of Bacula or Bareos, in the director's log or a mail", Parse: explainRuns(toolBacula, ParseBacula)},
		{Name: "vzdump-log", Title: "a task log of Proxmox VE's vzdump, or /var/log/vzdump/qemu-100.log", Parse: explainRuns(toolVzdump, ParseVzdump)},
		{Name: "bacula-list", Title: "bconsole's list jobs, llist jobs, the same with .api json, or the catalog's table Job as CSV", Parse: explainRuns(toolBacula, ParseBaculaList)},
		{Name: "bacula-status", Title: "bconsole's status dir or status client: terminated jobs", Parse: explainRuns(toolBacula, ParseBaculaStatus)},
		{Name: "pve-tasks", Title: "pvesh get /nodes/NODE/tasks --output-format json: backups of guests", Parse: explainRuns(toolVzdump, ParsePVETasks)},
		{Name: "veeam-sessions", Title: "veeamconfig session list (Veeam Agent for Linux)", Parse: explainRuns(toolVeeam, ParseVeeamSessions)},
		{Name: "veeam-session", Title: "veeamconfig session info --id ID", Parse: explainRuns(toolVeeam, ParseVeeamSession)},
		{Name: "veeam-points", Title: "veeamconfig point list --backupId ID", Parse: explainRuns(toolVeeam, ParseVeeamPoints)},
		{Name: "veeam-job-log", Title: "/var/log/veeam/Backup/JOB/SESSION/Job.log", Parse: explainRuns(toolVeeam, ParseVeeamJobLog)},
		{Name: "plesk-dumpresult", Title: "a list of the markers below /var/lib/psa/dumps/.discovered (find or ls -R)", Parse: explainRuns(toolPlesk, ParsePleskMarkers)},
		{Name: "plesk-migration-result", Title: "PMM/sessions/SESSION/migration.result of Plesk's backup manager", Parse: explainRuns(toolPlesk, ParsePleskResult)},
		{Name: "plesk-dump-status", Title: "PMM/sessions/SESSION/dump-status.xml of Plesk's backup manager", Parse: explainRuns(toolPlesk, ParsePleskResult)},
		{Name: "duplicati-result", Title: "the result of a Duplicati job as JSON (run-script or send-http-json-urls)", Parse: explainRuns("duplicati", ParseDuplicati)},
		{Name: "urbackup-status", Title: "urbackupclientctl status", Parse: explainRuns("urbackup", ParseUrBackup)},
		{Name: "rclone-log", Title: "rclone's log with --use-json-log or --log-format json, at level INFO", Parse: explainRuns("rclone", ParseRclone)},
		{Name: "borgmatic-list", Title: "borgmatic repo-list --json, borgmatic list --json", Parse: explainBorg},
		{Name: "borgmatic-info", Title: "borgmatic info --json", Parse: explainBorg},
		{Name: "borgmatic-run", Title: "what borgmatic printed, with --json or --stats, standard error included", Parse: explainBorgLog},
		{Name: "rsnapshot-log", Title: "rsnapshot's log file", Parse: explainRuns(toolRsnapshot, ParseRsnapshot)},
		{Name: "duplicity-log", Title: "what a run of duplicity printed, standard error included", Parse: explainRuns(toolDuplicity, ParseDuplicity)},
		{Name: "duplicity-status", Title: "duplicity collection-status", Parse: explainDuplicityStatus},
		{Name: "kopia-snapshots", Title: "kopia snapshot list --json --all", Parse: explainListed(toolKopia, ParseKopia)},
		{Name: "pbs-snapshots", Title: "proxmox-backup-client snapshot list --output-format json", Parse: explainListed(toolPBS, ParsePBS)},
		{Name: "sql-dump", Title: "a dump of mysqldump, pg_dump or sqlite3, compressed or not: whether it is whole", Parse: explainDump},
		{Name: "backup-report", Title: "a report of attesto-agent report backup", Parse: explainReport},
	}
}

func explained(jobs []evidence.BackupJob, detail []JobDetail) (host.Look, error) {
	var gaps []evidence.Gap
	for i := range jobs {
		var err error
		if jobs[i], err = sound(jobs[i]); err != nil {
			gaps = append(gaps, evidence.Gap{What: "job " + jobs[i].Job, Why: "the tool's answer cannot be: " + err.Error()})
		}
	}
	return host.Look{Facts: evidence.Backup{Jobs: jobs}, Detail: Detail{Jobs: detail}, Gaps: gaps}, nil
}

// explainPoints makes one job of each host and, for restic, set of sources.
func explainPoints(tool, encryption string, points []Point, now time.Time) (host.Look, error) {
	l := &look{collector: &collector{h: &host.Host{}}}
	groups := groupsOf(points, Repository{Tool: tool})
	var jobs []evidence.BackupJob
	var detail []JobDetail
	for _, g := range groups {
		j := jobOf(l.groupName(tool, g, len(groups)), tool, encryption, g, now, 0)
		jobs = append(jobs, j)
		d := JobDetail{Job: j.Job}
		if len(g) > 0 {
			d.Host, d.Paths = g[len(g)-1].Host, g[len(g)-1].Paths
		}
		detail = append(detail, d)
	}
	return explained(jobs, detail)
}

func explainFault(tool string, f *Fault) (host.Look, error) {
	j := blankJob(tool, tool)
	j.Result, j.Reasons = f.Result, []string{f.Reason}
	return explained([]evidence.BackupJob{j}, []JobDetail{{Job: tool, Message: f.Text}})
}

// exitError finds the code of restic's exit_error line (since 0.18), 1 if there is none.
func exitError(data []byte) int {
	for line := range lines(string(data)) {
		var rec resticLine
		if json.Unmarshal([]byte(line), &rec) == nil && rec.Type == "exit_error" {
			return rec.Code
		}
	}
	return 1
}

func explainSnapshots(data []byte, now time.Time) (host.Look, error) {
	points, err := ParseResticSnapshots(data)
	if err != nil {
		if f := ResticFault(exitError(data), string(data)); f.Reason != exitReason(toolRestic, 1) {
			return explainFault(toolRestic, f)
		}
		return host.Look{}, err
	}
	return explainPoints(toolRestic, "aes256", points, now)
}

func explainBorg(data []byte, now time.Time) (host.Look, error) {
	a, err := ParseBorgList(data, time.UTC)
	if err != nil {
		if signIn(string(data), borgSigns) != "" {
			return explainFault(toolBorg, BorgFault(2, string(data)))
		}
		return host.Look{}, err
	}
	if a.Unlisted {
		j := blankJob(toolBorg, toolBorg)
		j.Encryption, j.Reasons = a.Encryption, []string{evidence.ReasonNotListed}
		return explained([]evidence.BackupJob{j}, nil)
	}
	return explainPoints(toolBorg, a.Encryption, a.Points, now)
}

func explainRun(tool string, run Run, now time.Time) (host.Look, error) {
	j := blankJob(tool, tool)
	j.Source, j.Result = evidence.FromReport, evidence.BackupOK
	applyRun(&j, run, now, 0)
	return explained([]evidence.BackupJob{j}, []JobDetail{{Job: tool, Message: run.Message}})
}

func explainResticLog(data []byte, now time.Time) (host.Look, error) {
	run, err := ParseResticBackup(data, now)
	if err != nil {
		return host.Look{}, err
	}
	return explainRun(toolRestic, run, now)
}

func explainBorgLog(data []byte, now time.Time) (host.Look, error) {
	run, err := ParseBorgCreate(data, now, time.UTC)
	if err != nil {
		return host.Look{}, err
	}
	return explainRun(toolBorg, run, now)
}

// explainCheck judges by the words alone: a file holds no exit code.
func explainCheck(data []byte, now time.Time) (host.Look, error) {
	exit := 1
	if bytes.Contains(data, []byte("no errors were found")) || bytes.Contains(data, []byte(`"num_errors":0`)) {
		exit = 0
	}
	c := ParseResticCheck(exit, string(data), string(data))
	j := blankJob(toolRestic, toolRestic)
	switch {
	case c.Result == evidence.BackupFailed:
		j.Result, j.Reasons = evidence.BackupFailed, []string{evidence.ReasonCorrupt}
		j.Integrity = evidence.Integrity{Result: c.Result, At: at(now)}
	case c.Fault != nil && c.Fault.Reason == exitReason(toolRestic, 1):
		return host.Look{}, errors.New("not the output of restic check: no verdict in it")
	case c.Fault != nil:
		j.Reasons = []string{c.Fault.Reason}
	default:
		j.Reasons = []string{evidence.ReasonNotListed}
		j.Integrity = evidence.Integrity{Result: c.Result, At: at(now)}
	}
	return explained([]evidence.BackupJob{j}, []JobDetail{{Job: toolRestic, Message: c.Text}})
}

// borgTrouble is how the stages of borg check end that found something: those of the
// repository and, with "problems found", of its archives (borg src/borg/repository.py,
// archive.py). "no problems found" is the other end.
var borgTrouble = regexp.MustCompile(`(?:complete|check|is \d+), (?:errors|problems|inconsistencies) found|(?:^|[^o] )inconsistencies found`)

// explainBorgCheck judges by the words alone: borg says at the end of each stage whether
// it found problems, and nothing without --verbose if it found none.
func explainBorgCheck(data []byte, now time.Time) (host.Look, error) {
	text := string(data)
	j := blankJob(toolBorg, toolBorg)
	fault := BorgFault(2, text)
	switch {
	case borgTrouble.MatchString(text) || fault.Reason == evidence.ReasonCorrupt:
		j.Result, j.Reasons = evidence.BackupFailed, []string{evidence.ReasonCorrupt}
		j.Integrity = evidence.Integrity{Result: evidence.BackupFailed, At: at(now)}
	case strings.Contains(text, "no problems found") || strings.Contains(text, ", no errors found"):
		j.Reasons = []string{evidence.ReasonNotListed}
		j.Integrity = evidence.Integrity{Result: evidence.BackupOK, At: at(now)}
	case fault.Reason != exitReason(toolBorg, 2):
		j.Result, j.Reasons = fault.Result, []string{fault.Reason}
	default:
		return host.Look{}, errors.New("not the output of borg check: no verdict in it; use --verbose")
	}
	return explained([]evidence.BackupJob{j}, []JobDetail{{Job: toolBorg, Message: fault.Text}})
}

func explainReport(data []byte, now time.Time) (host.Look, error) {
	r, err := ParseReport(data)
	if err != nil {
		return host.Look{}, err
	}
	j := reportedJob(r.Job, []Report{r}, now)
	return explained([]evidence.BackupJob{j}, []JobDetail{{Job: r.Job, Message: clip(r.Message)}})
}
