package backup

import (
	"slices"
	"time"

	"github.com/attesto/attesto/evidence"
)

// Run is what somebody who saw a job's last run says of it: its log, its unit
// or its hook.
type Run struct {
	From       string // evidence.FromLog, FromUnit or FromReport
	Result     string
	Reasons    []string
	Start, End time.Time // zero if not known
	Size       Size
	Errors     int    // -1 if not known
	By         string // uid of who handed the report in
	Message    string // for detail
	Running    bool   // a run is under way; Result is of no meaning
	Open       bool   // the log stops in the middle of the run
	Skipped    bool   // ended well and made no point on purpose: nothing had changed
}

// Fault is why a tool could not be asked, as a job's result and reason.
type Fault struct {
	Result, Reason string
	Text           string // what the tool said, for detail; may hold paths
}

// Error returns the reason and what the tool said.
func (f *Fault) Error() string { return f.Reason + ": " + f.Text }

// worse orders results: ok, warning, unknown, failed.
func worse(a, b string) string {
	order := []string{evidence.BackupOK, evidence.BackupWarning, evidence.BackupUnknown, evidence.BackupFailed}
	if slices.Index(order, b) > slices.Index(order, a) {
		return b
	}
	return a
}

func addReasons(j *evidence.BackupJob, reasons ...string) {
	for _, r := range reasons {
		if r != "" && !slices.Contains(j.Reasons, r) {
			j.Reasons = append(j.Reasons, r)
		}
	}
}

// settle is how long a tool may take from the start of a run, as its hook sees
// it, to the time that it writes on the point, and from there to the end.
const settle = 2 * time.Minute

// applyRun joins the word on the last run to what the repository shows. A point
// newer than the run that the word is about makes the word old: then the
// repository alone speaks. A run that claims success without a point of its
// time is a failure.
func applyRun(j *evidence.BackupJob, run Run, now time.Time, every time.Duration) {
	if run.Running {
		addReasons(j, evidence.ReasonRunning)
		return
	}
	if run.End.After(now.Add(skew)) {
		j.Result = worse(j.Result, evidence.BackupWarning)
		addReasons(j, evidence.ReasonFutureTime)
		return
	}
	if j.NewestRestorable != nil && j.NewestRestorable.After(run.End.Add(settle)) {
		return
	}
	j.RunFrom = run.From
	j.ReportedBy = run.By
	j.Errors = run.Errors
	j.LastStart, j.LastEnd = at(run.Start), at(run.End)
	if j.Bytes < 0 && run.Size.By != "" {
		j.Bytes, j.Files = run.Size.Bytes, run.Size.Files
	}
	addReasons(j, run.Reasons...)
	good := run.Result == evidence.BackupOK || run.Result == evidence.BackupWarning
	if good && !run.Skipped && j.Source == evidence.FromRepository && !madePoint(*j, run, every) {
		j.Result = evidence.BackupFailed
		addReasons(j, evidence.ReasonNoPointMade)
		return
	}
	if good {
		j.LastSuccess = at(run.End)
	}
	j.Result = worse(j.Result, run.Result)
}

// madePoint tells whether the newest point is of the run. When the repository
// could not be asked there is nothing to hold against the run's word.
func madePoint(j evidence.BackupJob, run Run, every time.Duration) bool {
	if j.Result == evidence.BackupUnknown {
		return true
	}
	if j.NewestRestorable == nil {
		return false
	}
	start := run.Start
	if start.IsZero() {
		start = run.End.Add(-max(every, 24*time.Hour))
	}
	return !j.NewestRestorable.Before(start.Add(-settle))
}
