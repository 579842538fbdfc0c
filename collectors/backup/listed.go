package backup

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// lister is a tool that lists in one answer all that its store holds. It is asked where
// the configuration names it, with the settings of the job's env_file.
type lister struct {
	program string
	args    []string
	address string // the variable that holds the store's address; "" if it is an argument
	env     []string
	parse   func(out []byte) ([]JobRun, error)
}

func listerOf(tool string) (lister, bool) {
	switch tool {
	case toolKopia:
		return lister{program: "kopia", args: []string{"snapshot", "list", "--json", "--all"}, address: "KOPIA_CONFIG_PATH",
			env: []string{"KOPIA_CHECK_FOR_UPDATES=false"}, parse: ParseKopia}, true
	case toolPBS:
		return lister{program: "proxmox-backup-client", args: []string{"snapshot", "list", "--output-format", "json"}, address: "PBS_REPOSITORY", parse: ParsePBS}, true
	case toolDuplicity:
		return lister{program: "duplicity", args: []string{"collection-status"}, env: []string{"TZ=UTC"}, parse: duplicityRuns}, true
	}
	return lister{}, false
}

// duplicityRuns makes runs of the points that `duplicity collection-status` lists. A
// chain with a hole in it damns the newest.
func duplicityRuns(out []byte) ([]JobRun, error) {
	points, broken, err := ParseDuplicityStatus(out, time.UTC)
	if err != nil {
		return nil, err
	}
	var runs []JobRun
	for _, p := range points {
		runs = append(runs, JobRun{Job: toolDuplicity, Point: true, Run: Run{From: evidence.FromRepository, Result: evidence.BackupOK, Errors: -1, Start: p.Time, End: p.Time}})
	}
	if n := len(runs); broken && n > 0 {
		runs[n-1].Result, runs[n-1].Reasons = evidence.BackupFailed, []string{evidence.ReasonCorrupt}
	}
	return runs, nil
}

// listerSigns are words of these tools; their exit codes tell little.
var listerSigns = []sign{
	{"invalid repository password", evidence.ReasonWrongPassword},
	{"authentication failed", evidence.ReasonWrongPassword},
	{"permission check failed", evidence.ReasonNoPermission},
	{"not connected to a repository", evidence.ReasonBadConfig},
	{"repository is not connected", evidence.ReasonBadConfig},
	{"Permission denied", evidence.ReasonNoPermission},
	{"permission denied", evidence.ReasonNoPermission},
	{"No such file or directory", evidence.ReasonRepositoryMissing},
	{"no such file or directory", evidence.ReasonRepositoryMissing},
	{"onnection refused", evidence.ReasonUnreachable},
	{"No route to host", evidence.ReasonUnreachable},
	{"timed out", evidence.ReasonUnreachable},
}

// listStore asks such a tool and adds the jobs in its store.
func (l *look) listStore(ctx context.Context, r Repository) {
	t, _ := listerOf(r.Tool)
	s := &state{cfg: r}
	s.run, s.ran = l.lastRun(ctx, r)
	var runs []JobRun
	var err error
	if s.set, err = settingsOf(l.h, r); err != nil {
		s.fault = &Fault{Result: evidence.BackupUnknown, Reason: evidence.ReasonBadConfig, Text: err.Error() + cureOf(err)}
	} else {
		runs, s.fault = t.list(ctx, runner{h: l.h, set: s.set, timeout: listTimeout}, r)
	}
	if s.fault != nil {
		l.add(s)
		return
	}
	l.used[r.Name] = true
	jobs, detail := jobsOfRuns(r.Tool, runs, l.now)
	if len(jobs) == 0 {
		jobs, detail = []evidence.BackupJob{jobOf(r.Name, r.Tool, "unknown", nil, l.now, r.Every)}, []JobDetail{{}}
	}
	for i, j := range jobs {
		integrity := j.Integrity
		detail[i].Host = j.Job
		if len(jobs) > 1 { // kopia names them by host and path: no word for facts
			r.Name = l.apart(s.cfg.Name, j.Job)
		}
		j.Job = r.Name
		if j.ExpectedMinutes = int(r.Every / time.Minute); r.Every > 0 {
			j.Reasons = slices.DeleteFunc(j.Reasons, func(s string) bool { return s == evidence.ReasonHole })
			if longest(j.Day) > r.Every+24*time.Hour {
				addReasons(&j, evidence.ReasonHole)
			}
		}
		l.finish(s, j, detail[i], len(jobs) == 1)
		l.jobs[len(l.jobs)-1].Integrity = integrity
	}
}

// longest is the longest stretch without a point, by whole days.
func longest(days []evidence.BackupDay) time.Duration {
	var gap time.Duration
	for i := 1; i < len(days); i++ {
		a, err := time.Parse(time.DateOnly, days[i-1].Day)
		b, err2 := time.Parse(time.DateOnly, days[i].Day)
		if err == nil && err2 == nil {
			gap = max(gap, b.Sub(a))
		}
	}
	return gap
}

func (t lister) list(ctx context.Context, run runner, r Repository) ([]JobRun, *Fault) {
	args := slices.Clone(t.args)
	if t.address == "" {
		args = append(args, r.Repository)
	}
	res, fault := run.run(ctx, run.timeout, t.env, t.program, args...)
	if fault == nil && res.Exit != 0 {
		fault = faultOf(r.Tool, res.Exit, run.set.redact(string(tailOf(res.Stdout)))+"\n"+res.Stderr, listerSigns)
	}
	if fault != nil {
		return nil, fault
	}
	runs, err := t.parse(res.Stdout)
	if err != nil {
		return nil, faultFrom(err)
	}
	return runs, nil
}

func tailOf(b []byte) []byte { return b[max(0, len(b)-maxTail):] }

// checkListed names the setting that such a tool cannot use. duplicity takes its address
// as an argument, which the list of processes shows.
func (r *Repository) checkListed() error {
	switch {
	case r.Tool == toolDuplicity && r.Repository == "":
		return errors.New("repository is empty: want duplicity's address of the store, such as file:///srv/backup")
	case r.Tool == toolDuplicity && len(credentialsIn(r.Repository)) > 1:
		return errors.New("repository holds a password, which other accounts could see while duplicity runs: put it into env_file as FTP_PASSWORD or the variable of its kind")
	case r.Log != "":
		return errors.New("log is for restic and borg; give unit, or have the job hand in its result")
	case r.PasswordFile != "" || r.PasswordCommand != "" || r.Archives != "" || len(r.Paths) > 0:
		return errors.New("password_file, password_command, archives and paths are for restic and borg; put the tool's own settings into env_file")
	case r.Unit != "" && !unitForm.MatchString(r.Unit):
		return errors.New("unit: want a unit's name such as kopia-snapshot.service")
	case r.Every < 0:
		return errors.New("every must not be negative")
	}
	return nil
}

// found tells whether a program lies where packages put it, without running anything.
func found(h *host.Host, program string) bool {
	for _, dir := range []string{"/usr/bin/", "/usr/sbin/", "/usr/local/bin/", "/opt/veeam/bin/"} {
		if _, err := h.Stat(dir + program); err == nil {
			return true
		}
	}
	return false
}

// plainText is a tool's first line of words, for a gap.
func plainText(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return clip(s)
}
