package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// toolLog is a log in which a tool tells of its own jobs.
type toolLog struct {
	tool  string
	globs []string
	parse func(log []byte, modified time.Time, zone *time.Location) ([]JobRun, error)
}

// toolLogs lie where the tools' packages put them.
var toolLogs = []toolLog{
	{toolVzdump, []string{"/var/log/vzdump/qemu-*.log", "/var/log/vzdump/lxc-*.log"}, ParseVzdump},
	{toolBacula, []string{"/var/log/bacula/bacula.log", "/var/log/bacula/log", "/var/log/bareos/bareos.log"}, ParseBacula},
	{toolRsnapshot, []string{"/var/log/rsnapshot.log", "/var/log/rsnapshot"}, ParseRsnapshot},
}

const (
	// logTail is how much of a log's end is read: the newest runs are there.
	logTail = 8 << 20
	// runningFor is how long a run without an end may still be under way: its log was
	// written to within it.
	runningFor = 6 * time.Hour
)

// readToolLogs adds the jobs that other tools' logs speak of.
func (l *look) readToolLogs(ctx context.Context) {
	for _, t := range toolLogs {
		var runs []JobRun
		if len(l.h.Unlisted(t.globs...)) > 0 {
			l.gaps = append(l.gaps, evidence.Gap{What: "the log of " + t.tool, Why: "its folder may not be listed" + cureOf(fs.ErrPermission)})
		}
		for _, path := range globAll(l.h, t.globs) {
			if ctx.Err() != nil {
				l.gaps = append(l.gaps, evidence.Gap{What: "the log of " + t.tool, Why: "no time was left to read it"})
				break
			}
			found, err := readToolLog(l.h, path, t, l.now)
			if err != nil {
				l.gaps = append(l.gaps, evidence.Gap{What: "the log of " + t.tool, Why: plainPath(err).Error() + cureOf(err)})
				continue
			}
			runs = append(runs, found...)
		}
		l.addRuns(t.tool, runs)
	}
}

// addRuns adds the jobs of a tool's runs, each named after the tool.
func (l *look) addRuns(tool string, runs []JobRun) {
	for i := range runs {
		if runs[i].Job != tool {
			runs[i].Job = tool + " " + runs[i].Job
		}
	}
	jobs, detail := jobsOfRuns(tool, runs, l.now)
	for i, j := range jobs {
		if slices.ContainsFunc(l.jobs, func(o evidence.BackupJob) bool { return o.Job == j.Job }) {
			continue // configured under this name
		}
		j, err := sound(j)
		if err != nil {
			l.gaps = append(l.gaps, evidence.Gap{What: "job " + j.Job, Why: "its log cannot be: " + err.Error()})
		}
		l.jobs, l.detail.Jobs = append(l.jobs, j), append(l.detail.Jobs, detail[i])
	}
}

// readToolLog reads the end of a log. What was never used is no gap.
func readToolLog(h *host.Host, path string, t toolLog, now time.Time) ([]JobRun, error) {
	f, err := h.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	info, err := f.Stat()
	if err != nil || info.IsDir() || info.Size() == 0 {
		return nil, err
	}
	if _, err := f.Seek(max(0, info.Size()-logTail), io.SeekStart); err != nil {
		return nil, err
	}
	log, err := io.ReadAll(io.LimitReader(f, logTail))
	if err != nil {
		return nil, err
	}
	runs, err := t.parse(log, info.ModTime(), time.Local)
	for i := range runs {
		if runs[i].Open && now.Sub(info.ModTime()) < runningFor {
			runs[i].Running, runs[i].Result, runs[i].Reasons = true, evidence.BackupUnknown, []string{evidence.ReasonRunning}
		}
	}
	return runs, err
}

// Dump is a set of dump files that a job writes, one after the other.
type Dump struct {
	Name  string        `yaml:"name"`
	Files string        `yaml:"files"` // such as /var/backups/mysql/*.sql.gz
	Every time.Duration `yaml:"every"` // between two dumps
}

func (d Dump) check() error {
	if !evidence.BackupJobName(d.Name) {
		return fmt.Errorf("name %q: want 1 to 64 letters, digits, blanks, '.', '_' and '-'", d.Name)
	}
	if _, err := filepath.Match(d.Files, ""); err != nil || !strings.HasPrefix(d.Files, "/") && filepath.VolumeName(d.Files) == "" {
		return fmt.Errorf("files %q: want a whole path with *, such as /var/backups/mysql/*.sql.gz", d.Files)
	}
	if d.Every < 0 {
		return errors.New("every: below zero")
	}
	return nil
}

// maxDumps bounds the files of a set that are looked at, the newest ones.
const maxDumps = 400

// readDumps looks at each set: when its files were written, how large they are, and
// whether the newest one is whole.
func (l *look) readDumps(ctx context.Context) {
	for _, d := range l.cfg.Dumps {
		j, message := l.dump(ctx, d)
		l.jobs, l.detail.Jobs = append(l.jobs, j), append(l.detail.Jobs, JobDetail{Job: d.Name, Repository: d.Files, Message: clip(message)})
	}
}

type dumpFile struct {
	path string
	info fs.FileInfo
}

func (l *look) dump(ctx context.Context, d Dump) (evidence.BackupJob, string) {
	var files []dumpFile
	for _, path := range globAll(l.h, []string{d.Files}) {
		if info, err := l.h.Stat(path); err == nil && info.Mode().IsRegular() {
			files = append(files, dumpFile{path, info})
		}
	}
	host.SortFunc(files, func(a, b dumpFile) int { return a.info.ModTime().Compare(b.info.ModTime()) })
	files = files[max(0, len(files)-maxDumps):]
	var points []Point
	for _, f := range files {
		points = append(points, Point{Time: f.info.ModTime(), Size: Size{Bytes: f.info.Size(), Files: 1, By: "file"}})
	}
	whole := true
	reason, message := "", ""
	if n := len(files); n > 0 {
		if reason, message = checkFile(ctx, l.h, files[n-1].path); reason != "" {
			points, whole = points[:n-1], false
		}
	}
	j := jobOf(d.Name, toolDump, "unknown", points, l.now, d.Every)
	if !whole {
		j.Result = evidence.BackupFailed
		if reason == evidence.ReasonNoPermission || reason == evidence.ReasonTimeout || reason == evidence.ReasonBadOutput {
			j.Result = evidence.BackupUnknown
		}
		j.Reasons = slices.DeleteFunc(j.Reasons, func(r string) bool { return r == evidence.ReasonNoPoints && j.Result == evidence.BackupUnknown })
		addReasons(&j, reason)
		j.LastEnd = at(files[len(files)-1].info.ModTime())
	}
	return j, message
}

// checkFile says why the newest dump does not count, "" if it does. A file of a form
// that has no end of its own counts by its age and size.
func checkFile(ctx context.Context, h *host.Host, path string) (reason, message string) {
	f, err := h.Open(path)
	if err != nil {
		return evidence.ReasonNoPermission, plainPath(err).Error()
	}
	defer f.Close() //nolint:errcheck // opened for reading
	stop := context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	_, reason, err = CheckDump(&watched{ctx, f})
	switch {
	case ctx.Err() != nil:
		return evidence.ReasonTimeout, "no time was left to read it to its end"
	case errors.Is(err, ErrDumpForm) && sqlName(path):
		return evidence.ReasonBadOutput, err.Error()
	case errors.Is(err, ErrDumpForm):
		return "", ""
	case err != nil:
		return evidence.ReasonNoPermission, err.Error()
	case reason == evidence.ReasonIncompleteDump && !sqlName(path):
		return "", ""
	}
	return reason, ""
}

// sqlName reports whether a file is named as a dump of SQL, whose end is known.
func sqlName(path string) bool {
	base := strings.ToLower(filepath.Base(path))
	for _, packed := range []string{".gz", ".bz2", ".xz", ".zst"} {
		base = strings.TrimSuffix(base, packed)
	}
	return strings.HasSuffix(base, ".sql") || strings.HasSuffix(base, ".dump") || strings.Contains(base, ".sql.") || strings.Contains(base, ".sql-")
}

// watched ends a long read with the look.
type watched struct {
	ctx context.Context
	f   *os.File
}

func (w *watched) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.f.Read(p)
}
