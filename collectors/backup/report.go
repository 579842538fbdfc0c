package backup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// MaxReport bounds a report, in bytes.
const MaxReport = 64 << 10

// Report is what a backup job's hook hands in about one run. In the drop folder
// each report is a file of its own, JOB.HASH.TIME.json, that appears whole
// (written aside, then renamed); WriteReport keeps the last 20 of each job. The
// collector only reads them. The newest report of a job counts; its restorable
// points are those that the reports state, never inferred from success.
type Report struct {
	V       int        `json:"v"`    // 1
	Job     string     `json:"job"`  // evidence.BackupJobName
	Tool    string     `json:"tool"` // a-z, 0-9 and '-'
	Exit    int        `json:"exit"` // exit code of the tool
	Start   *time.Time `json:"start,omitempty"`
	End     *time.Time `json:"end"`
	Bytes   *int64     `json:"bytes,omitempty"`  // read from the source
	Files   *int64     `json:"files,omitempty"`  // likewise
	Errors  *int       `json:"errors,omitempty"` // items that could not be read
	Message string     `json:"message,omitempty"`
	// By is the account that hands in, as uid. Where the system knows the file's owner,
	// a report that names another one is refused, but for those that the agent itself
	// wrote: it has heard on its socket who handed in.
	By string `json:"by,omitempty"`
	// Restorable is the time of the newest state that can be restored, Oldest that
	// of the oldest, Points how many there are.
	Restorable *time.Time `json:"restorable,omitempty"`
	Oldest     *time.Time `json:"oldest,omitempty"`
	Points     *int       `json:"points,omitempty"`

	// ReadLog notes here what the log says beyond the exit code.
	Reasons []string `json:"reasons,omitempty"`
}

// ParseReport reads a report strictly: unknown or doubled keys, missing
// fields and values out of range are errors that name the field.
func ParseReport(b []byte) (Report, error) {
	var r Report
	if len(b) > MaxReport {
		return r, fmt.Errorf("larger than %d bytes", MaxReport)
	}
	if err := evidence.CheckJSON(b); err != nil {
		return r, fmt.Errorf("not a JSON object: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return r, fmt.Errorf("not a report: %w", err)
	}
	return r, r.Validate()
}

// Validate names the first field that breaks the format.
func (r Report) Validate() error {
	switch {
	case r.V != 1:
		return fmt.Errorf("v is %d: this version reads 1", r.V)
	case !evidence.BackupJobName(r.Job):
		return fmt.Errorf("job %q: want 1 to 64 letters, digits, blanks, '.', '_' and '-'", r.Job)
	case r.Tool == "" || codeOf(r.Tool) != r.Tool || strings.Contains(r.Tool, "_"):
		return fmt.Errorf("tool %q: want a-z, 0-9 and '-'", r.Tool)
	case r.End == nil || r.End.Year() < 1970 || r.End.Year() > 9998:
		return errors.New("end: the time at which the run ended is needed, as 2006-01-02T15:04:05Z")
	case r.Start != nil && (r.Start.After(*r.End) || r.Start.Year() < 1970):
		return errors.New("start is after end, or before 1970")
	case r.Bytes != nil && *r.Bytes < 0, r.Files != nil && *r.Files < 0, r.Errors != nil && *r.Errors < 0:
		return errors.New("bytes, files and errors cannot be negative: leave out what is not known")
	case strings.Trim(r.By, "0123456789") != "" || len(r.By) > 10:
		return fmt.Errorf("by %q is not a uid", r.By)
	}
	for _, reason := range r.Reasons {
		if codeOf(reason) != reason || strings.Contains(reason, "-") || len(r.Reasons) > 20 {
			return fmt.Errorf("reason %q: want at most 20 codes of a-z, 0-9 and '_'", reason)
		}
	}
	return r.validatePoints()
}

func (r Report) validatePoints() error {
	if r.Restorable == nil {
		if r.Oldest != nil || r.Points != nil {
			return errors.New("oldest and points need restorable, the time of the newest state that can be restored")
		}
		return nil
	}
	if y := r.Restorable.Year(); y < 1970 || y > 9998 {
		return errors.New("restorable is outside 1970 to 9998")
	}
	if r.Oldest != nil && (r.Oldest.After(*r.Restorable) || r.Oldest.Year() < 1970) {
		return errors.New("oldest is after restorable, or before 1970")
	}
	if r.Points != nil && (*r.Points < 1 || *r.Points > 1e6) {
		return fmt.Errorf("points is %d: want 1 to 1000000", *r.Points)
	}
	return nil
}

// ReadLog adds what the job's own log says of the run: errors, sizes, times and
// reasons that the exit code does not tell. It reads the logs of restic and
// borg; modified is when the log was last written.
func (r *Report) ReadLog(log []byte, modified time.Time) error {
	var run Run
	var err error
	switch r.Tool {
	case toolRestic:
		run, err = ParseResticBackup(log, modified)
	case toolBorg:
		run, err = ParseBorgCreate(log, modified, time.Local)
	default:
		return fmt.Errorf("reading the log of tool %q: only those of restic and borg are known; state --bytes, --files and --errors instead", r.Tool)
	}
	if err != nil {
		return fmt.Errorf("reading the log: %w", err)
	}
	if run.Size.By != "" {
		r.Bytes, r.Files = &run.Size.Bytes, &run.Size.Files
	}
	if run.Errors >= 0 {
		r.Errors = &run.Errors
	}
	if r.Start == nil && !run.Start.IsZero() && r.End != nil && !run.Start.After(*r.End) {
		r.Start = &run.Start
	}
	if r.Message == "" {
		r.Message = run.Message
	}
	r.Reasons = run.Reasons
	return nil
}

// run is the report as a word on the job's last run.
func (r Report) run() Run {
	out := Run{From: evidence.FromReport, End: *r.End, Errors: -1, By: r.By, Message: clip(r.Message)}
	if r.Start != nil {
		out.Start = *r.Start
	}
	if r.Bytes != nil || r.Files != nil {
		out.Size = Size{Bytes: -1, Files: -1, By: evidence.FromReport}
		if r.Bytes != nil {
			out.Size.Bytes = *r.Bytes
		}
		if r.Files != nil {
			out.Size.Files = *r.Files
		}
	}
	out.Result, out.Reasons = ExitResult(r.Tool, r.Exit)
	for _, reason := range r.Reasons {
		out.warn(reason)
	}
	if r.Errors != nil {
		if out.Errors = *r.Errors; out.Errors > 0 && len(out.Reasons) == 0 {
			out.warn(evidence.ReasonUnreadSource)
		}
	}
	if empty(out.Size) {
		out.warn(evidence.ReasonEmpty)
	}
	return out
}

// points are the restorable states that the reports of a job state.
func reportedPoints(reports []Report) []Point {
	seen := map[int64]bool{}
	var points []Point
	for _, r := range reports {
		for _, t := range []*time.Time{r.Oldest, r.Restorable} {
			if t != nil && !seen[t.Unix()] {
				seen[t.Unix()] = true
				points = append(points, Point{Time: *t})
			}
		}
	}
	return points
}

// reportedJob makes the facts of a job that only reports speak of; reports are
// oldest first.
func reportedJob(name string, reports []Report, now time.Time) evidence.BackupJob {
	last := reports[len(reports)-1]
	j := jobOf(name, last.Tool, "unknown", reportedPoints(reports), now, 0)
	j.Source, j.Reasons, j.Result = evidence.FromReport, nil, evidence.BackupOK
	j.LastStart, j.LastEnd, j.LastSuccess = nil, nil, nil
	if last.Points != nil && j.Points > 0 {
		j.Points = max(j.Points, *last.Points)
	}
	run := last.run()
	if run.End.After(now.Add(skew)) {
		j.RunFrom, j.ReportedBy = evidence.FromReport, run.By
		j.Result, j.Reasons = evidence.BackupUnknown, []string{evidence.ReasonFutureTime}
		return j
	}
	newest := j.NewestRestorable
	j.NewestRestorable = nil // its time does not make a newer run old
	applyRun(&j, run, now, 0)
	j.NewestRestorable = newest
	if last.Restorable != nil && last.Restorable.After(now.Add(skew)) {
		j.Result = worse(j.Result, evidence.BackupWarning)
		addReasons(&j, evidence.ReasonFutureTime)
	}
	return j
}
