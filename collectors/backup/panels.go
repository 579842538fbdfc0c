package backup

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

const (
	veeamLogs    = "/var/log/veeam/Backup/*/*/Job.log"
	pleskMarkers = "/var/lib/psa/dumps/.discovered"
	veeamBackups = 20 // backups whose points are asked for
)

// pleskSessions lie below the product's root: /usr/local/psa, and /opt/psa on Debian.
var pleskSessions = []string{"/usr/local/psa/PMM/sessions/*", "/opt/psa/PMM/sessions/*"}

// readVeeam asks Veeam Agent for Linux for its sessions and restore points; where it
// does not let the agent, it reads the newest log of each job.
func (l *look) readVeeam(ctx context.Context) {
	if !found(l.h, "veeamconfig") {
		return
	}
	sessions, why := l.veeam(ctx, ParseVeeamSessions, "session", "list")
	if why != "" {
		l.gaps = append(l.gaps, evidence.Gap{What: "Veeam Agent", Why: why})
		l.addRuns(toolVeeam, l.veeamLogs())
		return
	}
	points, listed := l.veeamPoints(ctx)
	for i := range sessions {
		if slices.Contains(listed, sessions[i].Job) {
			sessions[i].Point = false // what it left is in the list, or gone
		}
	}
	l.addRuns(toolVeeam, append(sessions, points...))
}

// veeam runs veeamconfig and says in words why it gave nothing.
func (l *look) veeam(ctx context.Context, parse func([]byte, time.Time, *time.Location) ([]JobRun, error), args ...string) ([]JobRun, string) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	res, err := l.h.Run(ctx, host.Command{Name: "veeamconfig", Args: args, Limit: 8 << 20})
	switch {
	case err != nil:
		return nil, faultWords(faultFrom(err).Reason)
	case res.Cut:
		return nil, faultWords(evidence.ReasonBadOutput)
	case res.Exit != 0 && signIn(res.Stderr+string(tailOf(res.Stdout)), listerSigns) == evidence.ReasonNoPermission:
		return nil, "veeamconfig may be asked by root and the group veeam only: see veeam.conf in /usr/share/doc/attesto-agent/examples"
	case res.Exit != 0:
		return nil, "veeamconfig " + strings.Join(args[:2], " ") + " failed: " + plainText(res.Stderr)
	}
	runs, err := parse(res.Stdout, l.now, time.Local)
	if err != nil {
		return nil, err.Error()
	}
	return runs, ""
}

// veeamPoints lists the restore points of each backup, and which jobs were answered for.
func (l *look) veeamPoints(ctx context.Context) (points []JobRun, listed []string) {
	var ids, jobs []string
	_, why := l.veeam(ctx, func(out []byte, _ time.Time, _ *time.Location) ([]JobRun, error) {
		for _, row := range textTable(string(out), "id", "job name") {
			if id := firstOf(row, "backup id", "id"); id != "" && len(ids) < veeamBackups {
				ids, jobs = append(ids, id), append(jobs, row["job name"])
			}
		}
		return nil, nil
	}, "backup", "list")
	for i, id := range ids {
		var runs []JobRun
		if runs, why = l.veeam(ctx, ParseVeeamPoints, "point", "list", "--backupId", id); why != "" {
			break
		}
		for k := range runs {
			runs[k].Job = jobs[i]
		}
		points, listed = append(points, runs...), append(listed, jobs[i])
	}
	if why != "" {
		l.gaps = append(l.gaps, evidence.Gap{What: "Veeam Agent's restore points", Why: why})
	}
	return points, listed
}

// veeamLogs reads the newest session's log of each job.
func (l *look) veeamLogs() []JobRun {
	newest := map[string]string{}
	for _, file := range globAll(l.h, []string{veeamLogs}) {
		job := path.Base(path.Dir(path.Dir(file)))
		if have := newest[job]; have == "" || modified(l.h, file).After(modified(l.h, have)) {
			newest[job] = file
		}
	}
	var runs []JobRun
	for job, file := range newest {
		found, err := readToolLog(l.h, file, toolLog{tool: toolVeeam, parse: ParseVeeamJobLog}, l.now)
		if err != nil {
			l.gaps = append(l.gaps, evidence.Gap{What: "Veeam Agent's log of a job", Why: plainPath(err).Error() + cureOf(err)})
			continue
		}
		for _, r := range found {
			r.Job = job
			runs = append(runs, r)
		}
	}
	return runs
}

func modified(h *host.Host, file string) time.Time {
	info, err := h.Stat(file)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// readPlesk reads what Plesk's backup manager left: a marker beside each backup that is
// stored on this server, and the result of the newest session.
func (l *look) readPlesk() {
	entries, err := os.ReadDir(l.h.Path(pleskMarkers))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		l.gaps = append(l.gaps, evidence.Gap{What: "Plesk's backups", Why: plainPath(err).Error() + "; let the agent's account read /var/lib/psa/dumps/.discovered: see plesk.conf in /usr/share/doc/attesto-agent/examples"})
		return
	}
	var list strings.Builder
	for _, e := range entries {
		for _, marker := range globAll(l.h, []string{path.Join(pleskMarkers, e.Name(), "dumpresult_*"), path.Join(pleskMarkers, e.Name(), "status_*")}) {
			list.WriteString(marker + "\n")
		}
	}
	runs, err := ParsePleskMarkers([]byte(list.String()), l.now, time.Local)
	if err != nil && len(entries) > 0 {
		l.gaps = append(l.gaps, evidence.Gap{What: "Plesk's backups", Why: err.Error()})
	}
	l.addRuns(toolPlesk, append(runs, l.pleskSession()...))
}

// pleskSession is the word of the newest session, without a point of its own: what was
// stored elsewhere leaves no marker here.
func (l *look) pleskSession() []JobRun {
	newest := ""
	for _, dir := range globAll(l.h, pleskSessions) {
		if newest == "" || modified(l.h, dir).After(modified(l.h, newest)) {
			newest = dir
		}
	}
	var runs []JobRun
	for _, name := range []string{"migration.result", "dump-status.xml"} {
		b, err := l.h.ReadFile(path.Join(newest, name), 8<<20)
		if newest == "" || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var found []JobRun
		if err == nil {
			found, err = ParsePleskResult(b, modified(l.h, path.Join(newest, name)), time.Local)
		}
		if err != nil {
			l.gaps = append(l.gaps, evidence.Gap{What: "Plesk's last backup session", Why: plainPath(err).Error() + cureOf(err)})
			continue
		}
		for _, r := range found {
			r.Point = false
			runs = append(runs, r)
		}
	}
	return runs
}

// panels names what of these is on this host.
func panels(h *host.Host) []string {
	var list []string
	if found(h, "veeamconfig") {
		list = append(list, "Veeam Agent")
	}
	if _, err := h.Stat(pleskMarkers); err == nil {
		list = append(list, "Plesk's backups")
	}
	return list
}
