package evidence

import (
	"fmt"
	"slices"
)

// Restore says, per backup job, how the agent's last restore of a sample of files went. It
// is a sample, taken at random and restored into a folder of the agent's own: that a
// whole system comes up again, it does not show.
type Restore struct {
	Tests []RestoreTest `json:"tests"`
}

// Reasons of a test's result, besides those of a backup job (ReasonCorrupt …).
const (
	RestoreFailed  = "restore_failed"     // the tool could not read what it lists
	RestoreMissing = "missing"            // files of the list did not come back
	RestoreDiffers = "differs"            // they came back with another size or content
	RestoreNothing = "nothing_to_restore" // the point holds no file that fits the limits
	RestoreLimit   = "disk_limit"         // the folder's disk has no room for the sample
)

// RestoreTest is the last test of one job. Times are absent when there was none.
type RestoreTest struct {
	Job        string   `json:"job"` // as BackupJob.Job
	Tool       string   `json:"tool"`
	Result     string   `json:"result"` // BackupOK, BackupFailed, or BackupUnknown: it could not be tried
	Reasons    []string `json:"reasons,omitempty"`
	At         *Time    `json:"at,omitempty"`       // when it ended
	LastGood   *Time    `json:"lastGood,omitempty"` // when the last one that went well ended
	Point      *Time    `json:"point,omitempty"`    // the state that was restored
	Millis     int64    `json:"millis"`             // that the restore took
	Held       int64    `json:"held"`               // files in that state
	Files      int64    `json:"files"`              // chosen and restored whole
	Bytes      int64    `json:"bytes"`              // in them
	Compared   int64    `json:"compared"`           // of them, with a file on this host that had not changed since, byte for byte
	Encryption string   `json:"encryption"`         // of the repository, as BackupJob.Encryption
}

// MaxRestore bounds the tests of a look.
const MaxRestore = 100

// Kind returns KindRestore.
func (Restore) Kind() Kind { return KindRestore }

// Validate checks words and bounds, and that a good test restored something.
func (r Restore) Validate() error {
	if len(r.Tests) == 0 || len(r.Tests) > MaxRestore {
		return fmt.Errorf("%d tests: want 1 to %d", len(r.Tests), MaxRestore)
	}
	seen := map[string]bool{}
	for _, t := range r.Tests {
		if seen[t.Job] {
			return fmt.Errorf("job %q stated twice", t.Job)
		}
		seen[t.Job] = true
		if err := t.validate(); err != nil {
			return fmt.Errorf("job %q: %w", t.Job, err)
		}
	}
	return nil
}

func (t RestoreTest) validate() error {
	switch {
	case !BackupJobName(t.Job) || !codeWord(t.Tool, "-") || !codeWord(t.Encryption, "-_"):
		return fmt.Errorf("name, tool %q or encryption %q is not of the form of a backup job's", t.Tool, t.Encryption)
	case !slices.Contains([]string{BackupOK, BackupFailed, BackupUnknown}, t.Result):
		return fmt.Errorf("result %q", t.Result)
	case t.Result != BackupOK && len(t.Reasons) == 0:
		return fmt.Errorf("%s without a reason", t.Result)
	case t.Result == BackupOK && (t.Files < 1 || t.At == nil || t.LastGood == nil || t.Point == nil || len(t.Reasons) > 0):
		return fmt.Errorf("ok, with %d files, a time missing or reasons %v", t.Files, t.Reasons)
	case t.Millis < 0 || t.Held < 0 || t.Files < 0 || t.Bytes < 0 || t.Compared < 0 || t.Compared > t.Files || t.Files > t.Held:
		return fmt.Errorf("counts that cannot be: held %d, files %d, bytes %d, compared %d, millis %d", t.Held, t.Files, t.Bytes, t.Compared, t.Millis)
	case t.LastGood != nil && (t.At == nil || t.LastGood.After(t.At.Time)):
		return fmt.Errorf("last good test after the last one")
	}
	for _, r := range t.Reasons {
		if !codeWord(r, "_") {
			return fmt.Errorf("reason %q is not a code of a-z, 0-9 and '_'", r)
		}
	}
	return nil
}
