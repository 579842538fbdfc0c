package backup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

const (
	toolKopia = "kopia"
	toolPBS   = "proxmox-backup"
	toolDump  = "dump"
)

// kopiaSnapshot is an element of `kopia snapshot list --json --all` (kopia
// snapshot/manifest.go).
type kopiaSnapshot struct {
	ID     string `json:"id"`
	Source struct {
		Host string `json:"host"`
		Path string `json:"path"`
	} `json:"source"`
	Start      time.Time `json:"startTime"`
	End        time.Time `json:"endTime"`
	Incomplete string    `json:"incomplete"`
	Root       *struct {
		Summary *struct {
			Size    int64 `json:"size"`
			Files   int64 `json:"files"`
			Failed  int   `json:"numFailed"`
			Ignored int   `json:"numIgnoredErrors"`
		} `json:"summ"`
	} `json:"rootEntry"`
}

// ParseKopia reads `kopia snapshot list --json --all`: snapshots that are whole, and
// per host and path how the newest one went.
func ParseKopia(out []byte) ([]JobRun, error) {
	var list []kopiaSnapshot
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, fmt.Errorf("not the output of kopia snapshot list --json: %w", err)
	}
	var runs []JobRun
	for _, s := range list {
		if s.Start.IsZero() {
			return nil, errors.New("not the output of kopia snapshot list --json: a snapshot without startTime")
		}
		r := JobRun{Job: s.Source.Host + " " + strings.Trim(s.Source.Path, "/\\"), Point: true, Encryption: "aes-256",
			Run: Run{From: evidence.FromRepository, Result: evidence.BackupOK, Start: s.Start, End: s.End, Errors: 0}}
		if s.Root != nil && s.Root.Summary != nil {
			sum := s.Root.Summary
			r.Size, r.Errors = Size{Bytes: sum.Size, Files: sum.Files, By: "summary"}, sum.Failed+sum.Ignored
			switch {
			case sum.Failed > 0 || sum.Ignored > 0:
				r.Result, r.Reasons = evidence.BackupWarning, []string{evidence.ReasonUnreadSource}
			case sum.Files == 0:
				r.Result, r.Reasons = evidence.BackupWarning, []string{evidence.ReasonEmpty}
			}
		}
		if s.Incomplete != "" {
			r.Point, r.Result, r.Reasons = false, evidence.BackupFailed, []string{evidence.ReasonInterrupted}
		}
		runs = append(runs, r)
	}
	return runs, nil
}

// pbsSnapshot is an element of `proxmox-backup-client snapshot list --output-format
// json` (pbs-api-types/src/datastore.rs).
type pbsSnapshot struct {
	Type         string    `json:"backup-type"`
	ID           string    `json:"backup-id"`
	Time         int64     `json:"backup-time"` // seconds since 1970
	Size         *int64    `json:"size"`        // absent until the backup is finished
	Files        []pbsFile `json:"files"`
	Verification *struct {
		State string `json:"state"`
		UPID  string `json:"upid"`
	} `json:"verification"`
}

// pbsFile is a file of a snapshot, or as `snapshot files` has it, its name alone.
type pbsFile struct {
	Crypt string `json:"crypt-mode"`
}

// UnmarshalJSON reads both forms.
func (f *pbsFile) UnmarshalJSON(b []byte) error {
	type object pbsFile
	if len(b) > 0 && b[0] == '"' {
		return nil
	}
	return json.Unmarshal(b, (*object)(f))
}

// ParsePBS reads `proxmox-backup-client snapshot list --output-format json`. A
// snapshot without a size is not finished.
func ParsePBS(out []byte) ([]JobRun, error) {
	var list []pbsSnapshot
	if err := json.Unmarshal(pveData(out), &list); err != nil {
		return nil, fmt.Errorf("not the output of proxmox-backup-client snapshot list --output-format json: %w", err)
	}
	var runs []JobRun
	for _, s := range list {
		if s.Type == "" || s.Time <= 0 {
			return nil, errors.New("not the output of proxmox-backup-client snapshot list: an element without backup-type or backup-time")
		}
		taken := time.Unix(s.Time, 0).UTC()
		r := JobRun{Job: s.Type + "-" + s.ID, Point: true, Encryption: pbsEncryption(s), Run: Run{From: evidence.FromRepository, Result: evidence.BackupOK, Start: taken, End: taken, Errors: -1}}
		switch {
		case s.Size == nil || len(s.Files) == 0:
			r.Point, r.Result, r.Reasons = false, evidence.BackupFailed, []string{evidence.ReasonInterrupted}
		case s.Verification != nil && s.Verification.State == "failed":
			r.Point, r.Result, r.Reasons = false, evidence.BackupFailed, []string{evidence.ReasonCorrupt}
		default:
			r.Size = Size{Bytes: *s.Size, Files: -1, By: "summary"}
			if s.Verification != nil && s.Verification.State == "ok" {
				r.Verified = upidTime(s.Verification.UPID)
			}
		}
		runs = append(runs, r)
	}
	return runs, nil
}

// upidTime is when a task of Proxmox began, by the sixth field of its name in Proxmox
// Backup (UPID:node:pid:pstart:task:starttime:type:id:user:), in hexadecimal seconds.
func upidTime(upid string) time.Time {
	f := strings.Split(upid, ":")
	if len(f) < 8 {
		return time.Time{}
	}
	n, err := strconv.ParseInt(f[5], 16, 64)
	if err != nil || n <= 0 || n > 1e11 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

func pbsEncryption(s pbsSnapshot) string {
	for _, f := range s.Files {
		switch f.Crypt {
		case "encrypt":
			return "aes-256-gcm"
		case "none", "sign-only":
			return "none"
		}
	}
	return "unknown"
}

func explainListed(tool string, parse func([]byte) ([]JobRun, error)) func([]byte, time.Time) (host.Look, error) {
	return func(data []byte, now time.Time) (host.Look, error) {
		runs, err := parse(data)
		if err != nil {
			return host.Look{}, err
		}
		if len(runs) == 0 {
			return explainPoints(tool, "unknown", nil, now)
		}
		jobs, detail := jobsOfRuns(tool, runs, now)
		return explained(jobs, detail)
	}
}

func explainDump(data []byte, now time.Time) (host.Look, error) {
	size, reason, err := CheckDump(bytes.NewReader(data))
	if err != nil {
		return host.Look{}, err
	}
	r := JobRun{Job: toolDump, Point: reason == "", Run: Run{From: evidence.FromRepository, Result: evidence.BackupOK, Start: now, End: now, Errors: -1, Size: Size{Bytes: size, Files: 1, By: "summary"}}}
	if reason != "" {
		r.Result, r.Reasons = evidence.BackupFailed, []string{reason}
	}
	jobs, detail := jobsOfRuns(toolDump, []JobRun{r}, now)
	return explained(jobs, detail)
}
