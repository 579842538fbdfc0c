// Package backup sees what backup jobs left behind: it asks the repositories of
// restic and borg what can be restored, checks their integrity now and then,
// and joins that to what is known of each job's last run (its log, its systemd
// unit, or the report that its hook handed in). Jobs of other tools are seen in their
// own logs, by their dump files, or through reports.
package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

const (
	lookEvery   = time.Hour
	lookTimeout = time.Hour // an integrity check may take long
	listTimeout = 5 * time.Minute
	maxJobs     = 300
	pathsShown  = 50    // of a job's sources, in detail; the facts have their number
	pathBudget  = 1000  // over all jobs
	dayBudget   = 20000 // days over all jobs, so that the facts stay below evidence.MaxBlob
)

// Spec describes the collector.
func Spec() host.Spec {
	return host.Spec{
		Kind: evidence.KindBackup, Title: "Backups: last run, restorable points, integrity",
		OS:    []string{"linux", "windows", "darwin", "freebsd"},
		Needs: host.NeedExec, Every: lookEvery, Timeout: lookTimeout,
		New: New, Detect: detect, Formats: Formats(),
		About: host.About{
			Reads: []string{
				"settings of restic and borgmatic in their usual places, and repositories that the configuration names",
				"`restic snapshots`, `restic check`, `borg list`, `borg check`, each without taking a lock where the tool can",
				"`kopia snapshot list`, `proxmox-backup-client snapshot list`, `duplicity collection-status`, where the configuration names them",
				"`veeamconfig session list`, `backup list` and `point list` of Veeam Agent for Linux, or else its Job.log",
				"the markers and session results of Plesk's backup manager",
				"systemd's word on the unit that runs the job, and the log that the job writes",
				"the logs of vzdump, Bacula, Bareos and rsnapshot in their usual places, the last 8 MiB of each",
				"dump files that the configuration names: times, sizes, and whether the newest one has its end",
				"reports handed in through `attesto-agent report backup`: by the agent's socket, where the kernel says which account it is, or by the drop folder, where the file's owner does",
			},
			Sends: []string{
				"per job: last start, end and outcome, bytes, files, errors, restorable points and holes between them, encryption, last check",
				"names of jobs, paths and the tools' own words (erasable)",
			},
			Never: []string{
				"passwords and keys of repositories: they stay in the files and variables that the tool itself reads",
				"names of files in a backup, contents of dumps",
			},
			Needs: []string{
				"reading the password file or settings of a repository: give the agent's user a group, or hand in from the job instead",
				"the tool itself, as it is installed",
				"the group `veeam` for Veeam Agent, and the group `psaadm` for Plesk's `/var/lib/psa/dumps/.discovered`: see `veeam.conf` and `plesk.conf` in /usr/share/doc/attesto-agent/examples",
			},
		},
	}
}

// Detail is the erasable side of the facts: names, paths and tools' words.
type Detail struct {
	Jobs []JobDetail `json:"jobs"`
	// Unused are settings files that could not be used, with why.
	Unused []string `json:"unused,omitempty"`
}

// JobDetail says which job a name of the facts stands for.
type JobDetail struct {
	Job        string   `json:"job"`
	Repository string   `json:"repository,omitempty"` // without credentials
	Settings   string   `json:"settings,omitempty"`   // file that the job was found in
	Host       string   `json:"host,omitempty"`
	Paths      []string `json:"paths,omitempty"`
	Message    string   `json:"message,omitempty"` // what the tool, log or hook said
}

type collector struct {
	cfg Config
	h   *host.Host
}

// New makes the collector of what the config file says.
func New(decode func(any) error, h *host.Host) (host.Collector, error) {
	c := &collector{h: h}
	if err := decode(&c.cfg); err != nil {
		return nil, err
	}
	if err := c.cfg.check(); err != nil {
		return nil, err
	}
	return c, nil
}

// look is one look under way.
type look struct {
	*collector
	now     time.Time
	cursor  cursor
	reports map[string][]Report
	used    map[string]bool      // jobs whose reports are joined to a repository
	jobs    []evidence.BackupJob // never nil: an empty list is written as one
	detail  Detail
	gaps    []evidence.Gap
}

// Collect asks every repository in turn, reads the reports, and makes the
// integrity checks that are due in the time that is left.
func (c *collector) Collect(ctx context.Context, cur []byte) (host.Look, error) {
	l := &look{collector: c, now: c.h.Now(), cursor: readCursor(cur), used: map[string]bool{}, jobs: []evidence.BackupJob{}}
	repositories := c.cfg.Repositories
	if len(repositories) == 0 {
		f := discover(c.h)
		repositories, l.gaps, l.detail.Unused = f.jobs, f.gaps, f.files
	}
	l.readReports()
	ctx, cancel := spare(ctx)
	defer cancel()
	var states []*state
	for _, r := range repositories {
		if _, ok := listerOf(r.Tool); ok {
			l.listStore(ctx, r)
			continue
		}
		states = append(states, l.list(ctx, r))
	}
	for _, s := range states {
		l.check(ctx, s)
	}
	for _, s := range states {
		l.add(s)
	}
	l.addReported()
	l.readToolLogs(ctx)
	l.readVeeam(ctx)
	l.readPlesk()
	l.readDumps(ctx)
	if len(l.jobs) == 0 {
		missing := evidence.Gap{What: "backup jobs", Why: "none found: " + howToConfigure}
		if len(l.gaps) == 0 {
			return host.Look{Gaps: []evidence.Gap{missing}, Unsupported: true}, nil
		}
		l.gaps = append(l.gaps, missing)
	}
	l.bound()
	next, err := l.cursor.encode(l.jobNames(repositories))
	if err != nil {
		return host.Look{}, err
	}
	return host.Look{Facts: evidence.Backup{Jobs: l.jobs}, Detail: l.detail, Gaps: l.gaps, Next: next}, nil
}

// spare ends the work a little before the look's own deadline, so that what is
// known by then is still told.
func spare(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	left := time.Until(deadline)
	return context.WithTimeout(ctx, left-min(left/10, 10*time.Second))
}

func (l *look) readReports() {
	if l.cfg.Reports == "off" {
		return
	}
	reports, gaps, err := readReports(l.h.Path(l.cfg.Reports))
	switch {
	case errors.Is(err, fs.ErrNotExist) && l.cfg.Reports == DefaultReports:
		return // nobody was given a place to hand in
	case err != nil:
		l.gaps = append(l.gaps, evidence.Gap{What: "reports", Why: "the drop folder: " + plainPath(err).Error() + "; make it, or let the agent's account read it"})
		return
	}
	l.reports = reports
	l.gaps = append(l.gaps, gaps...)
}

// addReported adds the jobs that only reports speak of.
func (l *look) addReported() {
	names := make([]string, 0, len(l.reports))
	for name := range l.reports {
		if !l.used[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		list := l.reports[name]
		j, err := sound(reportedJob(name, list, l.now))
		if err != nil {
			l.gaps = append(l.gaps, evidence.Gap{What: "job " + name, Why: "its reports cannot be: " + err.Error()})
		}
		l.jobs = append(l.jobs, j)
		l.detail.Jobs = append(l.detail.Jobs, JobDetail{Job: name, Message: clip(list[len(list)-1].Message)})
	}
}

// bound keeps the facts below their limit and says what was left out.
func (l *look) bound() {
	if n := len(l.jobs) - maxJobs; n > 0 {
		l.gaps = append(l.gaps, evidence.Gap{What: "backup jobs", Why: fmt.Sprintf("%d more than the %d that fit: split them over agents, or filter by host and paths", n, maxJobs)})
		l.jobs, l.detail.Jobs = l.jobs[:maxJobs], l.detail.Jobs[:maxJobs]
	}
	days := min(maxDays, dayBudget/max(1, len(l.jobs)))
	for i := range l.jobs {
		d := l.jobs[i].Day
		l.jobs[i].Day = d[max(0, len(d)-days):]
	}
	left := pathBudget
	for i := range l.detail.Jobs {
		paths := l.detail.Jobs[i].Paths
		paths = slices.Clone(paths[:min(len(paths), left, pathsShown)])
		for k := range paths {
			paths[k] = clip(paths[k])
		}
		left -= len(paths)
		l.detail.Jobs[i].Paths = paths
	}
}

func (l *look) jobNames(repositories []Repository) []string {
	names := make([]string, 0, len(repositories))
	for _, r := range repositories {
		names = append(names, r.Name)
	}
	return names
}

// hostName is this host's name as the backup tools see it.
func hostName(h *host.Host) string {
	if b, err := h.ReadFile("/proc/sys/kernel/hostname", 1<<10); err == nil {
		return strings.TrimSpace(string(b))
	}
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}
