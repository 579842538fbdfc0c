package evidence

import "fmt"

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

// BackupJob is one job of one tool. Times are absent when not known; judging
// freshness rests on NewestRestorable, never on LastEnd alone.
type BackupJob struct {
	Job              string      `json:"job"`  // the configured name, else the tool's own id for it
	Tool             string      `json:"tool"` // "restic", "borg", or what a report names
	Result           string      `json:"result"`
	Reasons          []string    `json:"reasons,omitempty"` // codes: "unread_source", "repository_missing", "wrong_password", "locked", "empty", "shrunk", "future_time", "corrupt", "exit_3" …
	LastStart        *Time       `json:"lastStart,omitempty"`
	LastEnd          *Time       `json:"lastEnd,omitempty"`
	LastSuccess      *Time       `json:"lastSuccess,omitempty"`
	NewestRestorable *Time       `json:"newestRestorable,omitempty"`
	OldestRestorable *Time       `json:"oldestRestorable,omitempty"`
	Points           int         `json:"points"`     // restorable points
	Bytes            int64       `json:"bytes"`      // of the source in the newest point; -1 if unknown
	Files            int64       `json:"files"`      // likewise
	Errors           int         `json:"errors"`     // items that the last run could not read; -1 if unknown
	Encryption       string      `json:"encryption"` // "none", "unknown", or the tool's word for it
	Integrity        Integrity   `json:"integrity"`
	Day              []BackupDay `json:"days,omitempty"`       // restorable points per UTC day, oldest first, at most 400
	Source           string      `json:"source"`               // "repository" (asked by the agent), "report" (handed in)
	ReportedBy       string      `json:"reportedBy,omitempty"` // for "report": the account that handed it in, as uid
	CoversRoot       bool        `json:"coversRoot,omitempty"` // the whole file system is in the source
	Paths            int         `json:"paths"`                // how many source paths; their names stand in detail
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

// Validate checks words, the order of times, and that a job stated as good has
// a restorable point.
func (b Backup) Validate() error {
	seen := map[string]bool{}
	for _, j := range b.Jobs {
		if j.Job == "" || j.Tool == "" {
			return fmt.Errorf("job %q of tool %q: both need a name", j.Job, j.Tool)
		}
		if seen[j.Job] {
			return fmt.Errorf("job %q stated twice", j.Job)
		}
		seen[j.Job] = true
		switch j.Result {
		case BackupOK, BackupWarning:
			if j.Points == 0 && j.Source == "repository" {
				return fmt.Errorf("job %q is %s without a restorable point", j.Job, j.Result)
			}
		case BackupFailed, BackupUnknown:
			if len(j.Reasons) == 0 {
				return fmt.Errorf("job %q is %s without a reason", j.Job, j.Result)
			}
		default:
			return fmt.Errorf("job %q: result %q", j.Job, j.Result)
		}
		switch j.Integrity.Result {
		case BackupOK, BackupFailed, BackupUnknown:
		default:
			return fmt.Errorf("job %q: integrity %q", j.Job, j.Integrity.Result)
		}
		if j.OldestRestorable != nil && j.NewestRestorable != nil && j.NewestRestorable.Before(j.OldestRestorable.Time) {
			return fmt.Errorf("job %q: newest point before the oldest", j.Job)
		}
	}
	return nil
}
