package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// pveTask is an element of `pvesh get /nodes/NODE/tasks --output-format json` and of
// `pvesh get /cluster/tasks` (pve-manager PVE/API2/Tasks.pm). A task without endtime, or
// without status, is under way.
type pveTask struct {
	Type   string `json:"type"`
	ID     string `json:"id"` // of the guest; empty for a job of several
	Status string `json:"status"`
	Start  int64  `json:"starttime"` // seconds since 1970
	End    int64  `json:"endtime"`
	UPID   string `json:"upid"`
}

var pveWarned = regexp.MustCompile(`^WARNINGS: \d+`)

// ParsePVETasks reads a node's list of tasks and keeps the backups (type vzdump). Status
// is OK, "WARNINGS: n", or the error.
func ParsePVETasks(out []byte, _ time.Time, _ *time.Location) ([]JobRun, error) {
	var list []pveTask
	if err := json.Unmarshal(pveData(out), &list); err != nil {
		return nil, fmt.Errorf("not a list of Proxmox VE's tasks: %w", err)
	}
	var runs []JobRun
	for _, t := range list {
		if t.Type == "" || t.Start <= 0 || !strings.HasPrefix(t.UPID, "UPID:") {
			return nil, errors.New("not a list of Proxmox VE's tasks: an element without upid, type or starttime")
		}
		if t.Type == "vzdump" {
			runs = append(runs, t.run())
		}
	}
	return runs, nil
}

func (t pveTask) run() JobRun {
	r := JobRun{Job: toolVzdump, Run: Run{From: evidence.FromLog, Result: evidence.BackupOK, Errors: -1, Start: time.Unix(t.Start, 0).UTC(), End: time.Unix(max(t.End, t.Start), 0).UTC()}}
	if t.ID != "" {
		r.Job = "vm-" + t.ID
	}
	switch {
	case t.End == 0 || t.Status == "" || t.Status == "RUNNING":
		r.Running, r.Result, r.Reasons = true, evidence.BackupUnknown, []string{evidence.ReasonRunning}
	case t.Status == "OK":
	case pveWarned.MatchString(t.Status):
		r.Result, r.Reasons = evidence.BackupWarning, []string{evidence.ReasonUnreadSource}
	case t.Status == "unexpected status":
		r.Result, r.Reasons = evidence.BackupFailed, []string{evidence.ReasonInterrupted}
	default:
		r.Result, r.Reasons, r.Message = evidence.BackupFailed, []string{vzReason(t.Status)}, t.Status
	}
	r.Point = r.Result == evidence.BackupOK || r.Result == evidence.BackupWarning
	return r
}

// pveData takes a list out of the answer of the API itself, {"data":[…]}, which the
// command line tools leave away.
func pveData(out []byte) []byte {
	var answer struct {
		Data json.RawMessage `json:"data"`
	}
	if json.Unmarshal(out, &answer) == nil && answer.Data != nil {
		return answer.Data
	}
	return out
}
