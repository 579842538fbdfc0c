package evidence

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Backup says, per job, how the last run went and what could be restored now.
type Backup struct {
	Jobs []BackupJob `json:"jobs"`
}

// The results of a backup job's last run, and of an integrity check.
// Unknown is neither good nor bad: the tool could not be asked.
const (
	BackupOK      = "ok"
	BackupWarning = "warning" // ran, with something left out
	BackupFailed  = "failed"
	BackupUnknown = "unknown"
)

// Where the facts of a job come from, and where the result of its last run does.
const (
	FromRepository = "repository" // asked by the agent; as RunFrom: only inferred from the newest point
	FromReport     = "report"     // handed in by the job's own hook
	FromLog        = "log"        // RunFrom: read in the job's log
	FromUnit       = "unit"       // RunFrom: the service manager's word on the job's unit
)

// Reasons of a job's result. A tool's exit code that has no word here is
// "exit_" and the code. The first group makes a run failed, the second unknown,
// the third a warning; the last group stands beside any result.
const (
	ReasonRepositoryMissing = "repository_missing"
	ReasonNoPoints          = "no_points"      // the repository holds nothing of this job
	ReasonNoPointMade       = "no_point_made"  // a run ended well and left nothing restorable
	ReasonInterrupted       = "interrupted"    // killed, or a log without its end
	ReasonCorrupt           = "corrupt"        // the integrity check failed
	ReasonNoSpace           = "no_space"       // the repository's disk is full
	ReasonLocked            = "locked"         // a lock kept the tool out; beside a good result: held while looked
	ReasonSourceMissing     = "source_missing" // a source is gone: failed if all are, else a warning
	ReasonCanceled          = "canceled"       // by a person or the tool itself
	ReasonVerifyFailed      = "verify_failed"  // what is stored differs, or could not be read
	ReasonRunFailed         = "run_failed"     // the tool's log says so and names no reason that has a word here
	ReasonIncompleteDump    = "incomplete"     // a dump without its last line: it was cut off

	ReasonWrongPassword = "wrong_password"
	ReasonNoPassword    = "no_password"
	ReasonNoPermission  = "no_permission" // the agent's account may not read the repository
	ReasonUnreachable   = "unreachable"   // network or login to the repository's host
	ReasonAccessRefused = "access_refused"
	ReasonNoProgram     = "no_program"
	ReasonTimeout       = "timeout"
	ReasonBadOutput     = "bad_output"
	ReasonBadConfig     = "bad_config"  // the job's own settings could not be read
	ReasonNotListed     = "not_listed"  // nobody asked what the repository holds
	ReasonFutureTime    = "future_time" // dated after now: not counted; unknown if nothing else is there

	ReasonUnreadSource = "unread_source" // items of the source were not read
	ReasonEmpty        = "empty"         // the newest point holds nothing
	ReasonShrunk       = "shrunk"        // under half the files, or a quarter of the bytes, of the points before it
	ReasonStaleLock    = "stale_lock"    // left by a run that was killed

	ReasonHole         = "hole"          // a run of the last seven days is missing between two points
	ReasonHostMismatch = "host_mismatch" // points of other hosts only
	ReasonRunning      = "running"       // a run was under way
	ReasonCheckLate    = "check_late"    // the integrity check was due and could not be made
)

// BackupJob is one job of one tool. Times are absent when not known; judging
// freshness rests on NewestRestorable, never on LastEnd alone.
type BackupJob struct {
	Job              string      `json:"job"`  // the configured name, else a pseudonym
	Tool             string      `json:"tool"` // "restic", "borg", or what a report names
	Result           string      `json:"result"`
	Reasons          []string    `json:"reasons,omitempty"` // codes as above
	RunFrom          string      `json:"runFrom"`           // where Result, LastStart, LastEnd and Errors come from
	LastStart        *Time       `json:"lastStart,omitempty"`
	LastEnd          *Time       `json:"lastEnd,omitempty"`
	LastSuccess      *Time       `json:"lastSuccess,omitempty"`      // end of the last run that left a restorable point
	NewestRestorable *Time       `json:"newestRestorable,omitempty"` // when the newest point's state was taken; never in the future
	OldestRestorable *Time       `json:"oldestRestorable,omitempty"`
	Points           int         `json:"points"`                    // restorable points
	ExpectedMinutes  int         `json:"expectedMinutes,omitempty"` // between two points, as the host's config declares; absent: not declared
	Bytes            int64       `json:"bytes"`                     // of the source in the newest point; -1 if unknown
	Files            int64       `json:"files"`                     // likewise; folders included where the tool counts them (restic before 0.17)
	Errors           int         `json:"errors"`                    // items that the last run could not read; -1 if unknown
	Encryption       string      `json:"encryption"`                // "none", "unknown", or the tool's word for it
	Integrity        Integrity   `json:"integrity"`
	Day              []BackupDay `json:"days,omitempty"`       // restorable points per UTC day, oldest first, at most 400
	Source           string      `json:"source"`               // "repository" (asked by the agent), "report" (handed in)
	ReportedBy       string      `json:"reportedBy,omitempty"` // the account that handed in the report used, as uid; empty if the system does not tell
	CoversRoot       bool        `json:"coversRoot,omitempty"` // the whole file system is in the source
	Paths            int         `json:"paths"`                // how many source paths, 0 if the tool does not tell; their names stand in detail
}

// BackupDay counts the points made on one day.
type BackupDay struct {
	Day    string `json:"day"` // 2006-01-02
	Points int    `json:"points"`
}

// Integrity is the last integrity check of the repository.
type Integrity struct {
	Result string `json:"result"` // ok, failed, unknown
	At     *Time  `json:"at,omitempty"`
	Depth  string `json:"depth,omitempty"` // "structure" or "data"
}

// Kind returns KindBackup.
func (Backup) Kind() Kind { return KindBackup }

// Validate checks words, the order of times, that a job stated as good has a
// restorable point, and that names cannot carry paths.
func (b Backup) Validate() error {
	seen := map[string]bool{}
	for _, j := range b.Jobs {
		if seen[j.Job] {
			return fmt.Errorf("job %q stated twice", j.Job)
		}
		seen[j.Job] = true
		if err := j.validate(); err != nil {
			return fmt.Errorf("job %q: %w", j.Job, err)
		}
	}
	return nil
}

func (j BackupJob) validate() error {
	if !BackupJobName(j.Job) || !codeWord(j.Tool, "-") {
		return fmt.Errorf("name and tool %q: want a name of letters, digits, blank, '.', '_', '-' (1 to 64) and a tool of a-z, 0-9, '-'", j.Tool)
	}
	switch j.Source {
	case FromRepository, FromReport:
	default:
		return fmt.Errorf("source %q", j.Source)
	}
	switch j.RunFrom {
	case FromRepository, FromReport, FromLog, FromUnit:
	default:
		return fmt.Errorf("runFrom %q", j.RunFrom)
	}
	if err := j.validateResult(); err != nil {
		return err
	}
	if j.Points < 0 || j.Paths < 0 || j.ExpectedMinutes < 0 || j.Bytes < -1 || j.Files < -1 || j.Errors < -1 {
		return fmt.Errorf("a count below its least value: points %d, paths %d, expectedMinutes %d, bytes %d, files %d, errors %d",
			j.Points, j.Paths, j.ExpectedMinutes, j.Bytes, j.Files, j.Errors)
	}
	if strings.Trim(j.ReportedBy, "0123456789") != "" {
		return fmt.Errorf("reportedBy %q is not a uid", j.ReportedBy)
	}
	if !codeWord(j.Encryption, "-_") {
		return fmt.Errorf("encryption %q", j.Encryption)
	}
	return j.validatePoints()
}

func (j BackupJob) validateResult() error {
	for _, r := range j.Reasons {
		if !codeWord(r, "_") {
			return fmt.Errorf("reason %q is not a code of a-z, 0-9 and '_'", r)
		}
	}
	switch j.Result {
	case BackupOK, BackupWarning:
		if j.Points == 0 && j.Source == FromRepository {
			return fmt.Errorf("%s without a restorable point", j.Result)
		}
	case BackupFailed, BackupUnknown:
		if len(j.Reasons) == 0 {
			return fmt.Errorf("%s without a reason", j.Result)
		}
	default:
		return fmt.Errorf("result %q", j.Result)
	}
	switch j.Integrity.Result {
	case BackupOK, BackupFailed:
		if j.Integrity.At == nil {
			return fmt.Errorf("integrity %s without a time", j.Integrity.Result)
		}
	case BackupUnknown:
	default:
		return fmt.Errorf("integrity %q", j.Integrity.Result)
	}
	return nil
}

func (j BackupJob) validatePoints() error {
	if (j.OldestRestorable == nil) != (j.NewestRestorable == nil) || (j.Points > 0) != (j.NewestRestorable != nil) {
		return fmt.Errorf("%d points: newest and oldest belong to one or more points", j.Points)
	}
	if j.NewestRestorable != nil && j.NewestRestorable.Before(j.OldestRestorable.Time) {
		return fmt.Errorf("newest point %s before the oldest %s", j.NewestRestorable.UTC(), j.OldestRestorable.UTC())
	}
	if len(j.Day) > 400 {
		return fmt.Errorf("%d days: at most 400", len(j.Day))
	}
	for i, d := range j.Day {
		if _, err := time.Parse(time.DateOnly, d.Day); err != nil || d.Points < 1 {
			return fmt.Errorf("day %q with %d points", d.Day, d.Points)
		}
		if i > 0 && d.Day <= j.Day[i-1].Day {
			return fmt.Errorf("day %s after %s: days ascend", d.Day, j.Day[i-1].Day)
		}
	}
	return nil
}

// BackupJobName reports whether s can name a job: 1 to 64 letters, digits,
// blanks, '.', '_' and '-', starting with a letter or digit.
func BackupJobName(s string) bool {
	if s == "" || utf8.RuneCountInString(s) > 64 || strings.TrimSpace(s) != s {
		return false
	}
	for i, r := range s {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
		case i > 0 && strings.ContainsRune(" ._-", r):
		default:
			return false
		}
	}
	return true
}

// codeWord reports whether s is 1 to 40 of a-z, 0-9 and the characters in more.
func codeWord(s, more string) bool {
	if s == "" || len(s) > 40 {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune(more, r) {
			return false
		}
	}
	return true
}
