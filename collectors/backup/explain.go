package backup

import (
	"bytes"
	"encoding/json"
	"errors"
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
		{Name: "borg-create", Title: "borg create --json --log-json, standard error included", Parse: explainBorgLog},
		{Name: "bacula-job", Title: "job reports of Bacula or Bareos, in the director's log or a mail", Parse: explainRuns(toolBacula, ParseBacula)},
		{Name: "vzdump-log", Title: "a task log of Proxmox VE's vzdump, or /var/log/vzdump/qemu-100.log", Parse: explainRuns(toolVzdump, ParseVzdump)},
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

func explainReport(data []byte, now time.Time) (host.Look, error) {
	r, err := ParseReport(data)
	if err != nil {
		return host.Look{}, err
	}
	j := reportedJob(r.Job, []Report{r}, now)
	return explained([]evidence.BackupJob{j}, []JobDetail{{Job: r.Job, Message: clip(r.Message)}})
}
