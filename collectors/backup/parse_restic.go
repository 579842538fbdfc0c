package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/attesto/attesto/evidence"
)

// How a size was counted.
const (
	bySummary = "summary" // restic's own count of the run: files
	byStats   = "stats"   // restic stats: files and folders
	byInfo    = "info"    // borg info: files
)

// staleAfter is restic's own term after which a lock that nobody refreshed is
// stale (internal/restic/lock.go, staleTimeout; a live lock is refreshed every
// five minutes).
const staleAfter = 30 * time.Minute

type resticSnapshot struct {
	Time     time.Time      `json:"time"`
	Hostname string         `json:"hostname"`
	Paths    []string       `json:"paths"`
	ID       string         `json:"id"`
	Summary  *resticSummary `json:"summary"` // since 0.17.0
	// With --group-by the array holds groups instead.
	Snapshots []resticSnapshot `json:"snapshots"`
}

type resticSummary struct {
	BackupStart time.Time `json:"backup_start"`
	BackupEnd   time.Time `json:"backup_end"`
	Files       int64     `json:"total_files_processed"`
	Bytes       int64     `json:"total_bytes_processed"`
}

// ParseResticSnapshots reads what `restic snapshots --json` prints: an array,
// or null for none.
func ParseResticSnapshots(out []byte) ([]Point, error) {
	var list []resticSnapshot
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, fmt.Errorf("output of restic snapshots --json: %w", err)
	}
	var points []Point
	for i := range list {
		group := list[i].Snapshots
		if group == nil {
			group = list[i : i+1]
		}
		for _, s := range group {
			if s.Time.IsZero() || s.ID == "" {
				return nil, fmt.Errorf("output of restic snapshots --json: element %d has no time or no id", i+1)
			}
			points = append(points, s.point())
		}
	}
	return points, nil
}

func (s resticSnapshot) point() Point {
	p := Point{ID: s.ID, Time: s.Time, Host: s.Hostname, Paths: s.Paths}
	if s.Summary != nil {
		p.Start, p.End = s.Summary.BackupStart, s.Summary.BackupEnd
		p.Size = Size{Bytes: s.Summary.Bytes, Files: s.Summary.Files, By: bySummary}
	}
	return p
}

// ParseResticStats reads what `restic stats --json --mode restore-size ID`
// prints. Its count has folders in it.
func ParseResticStats(out []byte) (Size, error) {
	var s struct {
		Bytes *int64 `json:"total_size"`
		Files *int64 `json:"total_file_count"`
	}
	if err := json.Unmarshal(out, &s); err != nil {
		return Size{}, fmt.Errorf("output of restic stats --json: %w", err)
	}
	if s.Bytes == nil || s.Files == nil || *s.Bytes < 0 || *s.Files < 0 {
		return Size{}, errors.New("output of restic stats --json: total_size or total_file_count is absent or negative")
	}
	return Size{Bytes: *s.Bytes, Files: *s.Files, By: byStats}, nil
}

// Lock is a restic repository's lock.
type Lock struct {
	Time      time.Time `json:"time"` // last refreshed
	Exclusive bool      `json:"exclusive"`
	Hostname  string    `json:"hostname"`
}

// Stale reports whether nobody refreshed the lock for restic's own term.
func (l Lock) Stale(now time.Time) bool { return now.Sub(l.Time) > staleAfter }

// ParseResticLock reads what `restic cat lock ID` prints.
func ParseResticLock(out []byte) (Lock, error) {
	var l Lock
	if err := json.Unmarshal(out, &l); err != nil {
		return l, fmt.Errorf("output of restic cat lock: %w", err)
	}
	if l.Time.IsZero() {
		return l, errors.New("output of restic cat lock: no time")
	}
	return l, nil
}

// resticSigns are restic's own words where its exit code does not tell (before
// 0.17 every fault is 1). The order matters: a connection that is refused also
// asks "Is there a repository at the following location?".
var resticSigns = []sign{
	{"wrong password or no key found", evidence.ReasonWrongPassword},
	{"already locked", evidence.ReasonLocked},
	{"an empty password is not", evidence.ReasonNoPassword},
	{"Resolving password failed", evidence.ReasonNoPassword},
	{"no space left on device", evidence.ReasonNoSpace},
	{"permission denied", evidence.ReasonNoPermission},
	{"Permission denied", evidence.ReasonNoPermission},
	{"connection refused", evidence.ReasonUnreachable},
	{"no such host", evidence.ReasonUnreachable},
	{"i/o timeout", evidence.ReasonUnreachable},
	{"network is unreachable", evidence.ReasonUnreachable},
	{"no route to host", evidence.ReasonUnreachable},
	{"unable to start the sftp session", evidence.ReasonUnreachable},
	{"ciphertext verification failed", evidence.ReasonCorrupt},
	{"invalid data returned", evidence.ReasonCorrupt},
	{"context canceled", evidence.ReasonInterrupted},
	{"signal interrupt received", evidence.ReasonInterrupted},
	{"all target directories/files do not exist", evidence.ReasonSourceMissing},
	{"all source directories/files do not exist", evidence.ReasonSourceMissing},
	{"repository does not exist", evidence.ReasonRepositoryMissing},
	{"unable to open config file", evidence.ReasonRepositoryMissing},
	{"Is there a repository at the following location", evidence.ReasonRepositoryMissing},
}

// ResticFault says why restic could not be asked.
func ResticFault(exit int, stderr string) *Fault {
	return faultOf(toolRestic, exit, stderr, resticSigns)
}

// Check is the result of an integrity check that was tried. Fault is set when it
// could not be made; then Result is unknown.
type Check struct {
	Result string
	Fault  *Fault
	Text   string // for detail
}

// ParseResticCheck judges `restic check`: exit code 0 is sound. Since 0.18 with
// --json a summary counts the errors; before, and on any other code, the words
// tell a damaged repository from one that could not be checked.
func ParseResticCheck(exit int, stdout, stderr string) Check {
	var summary struct {
		Type   string   `json:"message_type"`
		Errors int      `json:"num_errors"`
		Broken []string `json:"broken_packs"`
	}
	counted := false
	for line := range lines(stdout) {
		if json.Unmarshal([]byte(line), &summary) == nil && summary.Type == "summary" {
			counted = true
			break
		}
	}
	damaged := counted && (summary.Errors > 0 || len(summary.Broken) > 0)
	switch {
	case exit == 0 && !damaged:
		return Check{Result: evidence.BackupOK}
	case damaged || signIn(stderr+stdout, checkSigns) != "":
		return Check{Result: evidence.BackupFailed, Text: clip(stderr)}
	}
	f := ResticFault(exit, stderr+"\n"+stdout)
	if f.Reason == evidence.ReasonCorrupt {
		return Check{Result: evidence.BackupFailed, Text: f.Text}
	}
	return Check{Result: evidence.BackupUnknown, Fault: f, Text: f.Text}
}

var checkSigns = []sign{
	{"repository contains errors", evidence.ReasonCorrupt},
	{"repository is damaged", evidence.ReasonCorrupt},
	{"damaged pack files", evidence.ReasonCorrupt},
	{"Pack ID does not match", evidence.ReasonCorrupt},
}
