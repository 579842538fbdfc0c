package backup

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// JobRun is one run of a job as a tool's own log tells it.
type JobRun struct {
	Run
	Job        string
	Point      bool   // left something that can be restored
	Verify     bool   // was a verification, not a backup
	Restore    bool   // was a restore, not a backup
	Encryption string // "" if the log does not tell
	// Verified is when the tool last proved that the point can be read, and found it so.
	Verified time.Time
}

// jobsOfRuns makes one job of the runs that bear its name. What can be restored is
// what a run in the log left: whether it is still there only the tool could say.
func jobsOfRuns(tool string, runs []JobRun, now time.Time) ([]evidence.BackupJob, []JobDetail) {
	names := map[string][]JobRun{}
	var order []string
	for _, r := range runs {
		r.Job = safeName(r.Job, tool)
		if names[r.Job] == nil {
			order = append(order, r.Job)
		}
		names[r.Job] = append(names[r.Job], r)
	}
	var jobs []evidence.BackupJob
	var detail []JobDetail
	for _, name := range order {
		j, message := jobOfRuns(name, tool, names[name], now)
		jobs, detail = append(jobs, j), append(detail, JobDetail{Job: name, Message: clip(message)})
	}
	return jobs, detail
}

func jobOfRuns(name, tool string, runs []JobRun, now time.Time) (evidence.BackupJob, string) {
	host.SortFunc(runs, func(a, b JobRun) int { return a.End.Compare(b.End) })
	var points []Point
	encryption := ""
	for _, r := range runs {
		if r.Encryption != "" {
			encryption = r.Encryption
		}
		if r.Point {
			points = append(points, Point{Time: r.Start, Start: r.Start, End: r.End, Size: r.Size})
		}
	}
	last := runs[len(runs)-1]
	j := blankJob(name, tool)
	switch {
	case last.Verify || last.Restore:
		return checked(j, last), last.Message
	case len(points) > 0:
		j = jobOf(name, tool, cmp.Or(encryption, "unknown"), points, now, 0)
		// A log does not hold what the points of earlier runs were measured by.
		j.Result, j.Reasons = evidence.BackupOK, slices.DeleteFunc(j.Reasons, func(r string) bool { return r == evidence.ReasonEmpty || r == evidence.ReasonShrunk })
		if len(j.Reasons) > 0 {
			j.Result = evidence.BackupWarning
		}
	default:
		j.Encryption, j.Result = cmp.Or(encryption, "unknown"), evidence.BackupOK
	}
	if last.From != evidence.FromRepository {
		j.Source = evidence.FromReport // the tool's log, not what its store holds
	}
	last.From = cmp.Or(last.From, evidence.FromLog)
	applyRun(&j, last.Run, now, 0)
	for _, r := range runs {
		if t := at(r.Verified); t != nil && r.Point && !r.Verified.After(now.Add(skew)) {
			j.Integrity = evidence.Integrity{Result: evidence.BackupOK, At: t, Depth: "data"}
		}
	}
	if last.Running && j.Points == 0 {
		j.Result = evidence.BackupUnknown
	}
	if j.Points == 0 && (j.Result == evidence.BackupOK || j.Result == evidence.BackupWarning) {
		j.Result = evidence.BackupFailed
		addReasons(&j, evidence.ReasonNoPointMade)
	}
	return j, last.Message
}

// checked is what a verification or a restore says about a job: nothing that can be
// restored, but whether what is stored could be read.
func checked(j evidence.BackupJob, r JobRun) evidence.BackupJob {
	j.RunFrom, j.LastStart, j.LastEnd, j.Errors = evidence.FromLog, at(r.Start), at(r.End), r.Errors
	j.Reasons = slices.Clone(r.Reasons)
	if r.Result == evidence.BackupFailed {
		j.Result = evidence.BackupFailed
	} else {
		addReasons(&j, evidence.ReasonNotListed)
	}
	if r.Verify && at(r.End) != nil {
		j.Integrity = evidence.Integrity{Result: r.Result, At: at(r.End), Depth: "data"}
		if r.Result != evidence.BackupOK && r.Result != evidence.BackupFailed {
			j.Integrity = evidence.Integrity{Result: evidence.BackupUnknown}
		}
	}
	return j
}

// safeName makes a name that facts may hold of one that a tool uses.
func safeName(name, fallback string) string {
	name = strings.Map(func(r rune) rune {
		if evidence.BackupJobName("a" + string(r) + "a") {
			return r
		}
		return '-'
	}, name)
	if runes := []rune(name); len(runes) > 64 {
		name = string(runes[:64])
	}
	if name = strings.Trim(name, " -_."); !evidence.BackupJobName(name) {
		return fallback
	}
	return name
}

// explainRuns makes a format of a parser of runs.
func explainRuns(tool string, parse func(log []byte, modified time.Time, zone *time.Location) ([]JobRun, error)) func([]byte, time.Time) (host.Look, error) {
	return func(data []byte, now time.Time) (host.Look, error) {
		runs, err := parse(data, now, time.UTC)
		if err != nil {
			return host.Look{}, err
		}
		jobs, detail := jobsOfRuns(tool, runs, now)
		return explained(jobs, detail)
	}
}
