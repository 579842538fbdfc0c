package backup

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

const toolDuplicity = "duplicity"

var (
	duplicityStat = regexp.MustCompile(`^\W{0,3}(StartTime|EndTime|SourceFiles|SourceFileSize|Errors|TotalDestinationSizeChange) ([\d.]+)`)
	duplicitySet  = regexp.MustCompile(`^\s*(Full|Incremental)\s+(\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})\s+(\d+)\s*$`)
	duplicityOops = regexp.MustCompile(`^(?:\. )?(?:Traceback \(|CommandLineError|Backup source directory .* does not exist|\w*(?:Exception|Error): |Fatal Error|ERROR \d+)`)
	duplicityTrue = regexp.MustCompile(`Verify complete: \d+ file(?:\(s\)|s)? compared, (\d+) difference`)
	duplicityNone = regexp.MustCompile(`does not exist`)
)

// ParseDuplicity reads what duplicity prints, standard error and --log-file included:
// the blocks "Backup Statistics" (duplicity(1)). Version 0.8 exits 0 with "Errors 1",
// so the count decides. What ends in a Python trace has left nothing.
func ParseDuplicity(log []byte, modified time.Time, _ *time.Location) ([]JobRun, error) {
	var runs []JobRun
	stats := map[string]float64{}
	oops, missing := "", false
	for line := range lines(string(log)) {
		if m := duplicityStat.FindStringSubmatch(line); m != nil {
			if n, err := strconv.ParseFloat(m[2], 64); err == nil {
				stats[m[1]] = n
			}
			if m[1] == "Errors" {
				runs = append(runs, duplicityRun(stats))
				stats, oops = map[string]float64{}, ""
			}
			continue
		}
		if m := duplicityTrue.FindStringSubmatch(line); m != nil {
			v := JobRun{Job: toolDuplicity, Verify: true, Run: Run{From: evidence.FromLog, Result: evidence.BackupOK, Errors: -1, End: modified}}
			if m[1] != "0" {
				v.Result, v.Reasons = evidence.BackupFailed, []string{evidence.ReasonVerifyFailed}
			}
			runs, oops = append(runs, v), ""
			continue
		}
		if duplicityOops.MatchString(line) {
			oops = line
			missing = missing || duplicityNone.MatchString(line)
		}
	}
	if oops != "" || len(stats) > 0 {
		reason := evidence.ReasonRunFailed
		switch {
		case missing:
			reason = evidence.ReasonSourceMissing
		case oops == "":
			reason = evidence.ReasonInterrupted
		}
		runs = append(runs, JobRun{Job: toolDuplicity, Run: Run{From: evidence.FromLog, Result: evidence.BackupFailed, Reasons: []string{reason}, Errors: -1, End: modified, Message: oops}})
	}
	if len(runs) == 0 {
		return nil, errors.New("no run in it: want what duplicity printed, with \"Backup Statistics\"")
	}
	return runs, nil
}

func duplicityRun(stats map[string]float64) JobRun {
	r := JobRun{Job: toolDuplicity, Point: true, Run: Run{From: evidence.FromLog, Result: evidence.BackupOK, Errors: int(min(stats["Errors"], 1e9)),
		Start: epoch(stats["StartTime"]), End: epoch(stats["EndTime"]), Size: Size{Bytes: int64(min(stats["SourceFileSize"], 1e18)), Files: int64(min(stats["SourceFiles"], 1e15)), By: "log"}}}
	if r.Errors > 0 {
		r.Result, r.Reasons = evidence.BackupWarning, []string{evidence.ReasonUnreadSource}
	}
	if stats["SourceFiles"] == 0 {
		r.Result, r.Reasons = evidence.BackupWarning, append(r.Reasons, evidence.ReasonEmpty)
	}
	return r
}

func epoch(seconds float64) time.Time {
	if seconds <= 0 || seconds > 1e11 {
		return time.Time{}
	}
	return time.UnixMilli(int64(seconds * 1000)).UTC()
}

// ParseDuplicityStatus reads `duplicity collection-status`: what each chain holds. An
// increment without the full backup before it in its chain cannot be restored, whatever
// the exit code; broken says that there is such a one.
func ParseDuplicityStatus(out []byte, zone *time.Location) (points []Point, broken bool, err error) {
	whole, known := false, false
	for line := range lines(string(out)) {
		switch {
		case strings.HasPrefix(line, "Chain start time:"), strings.Contains(line, "backup chain"):
			whole = false
			known = true
		case strings.HasPrefix(line, "Collection Status"), strings.Contains(line, "No orphaned or incomplete"):
			known = true
		case strings.Contains(line, "orphaned") || strings.Contains(line, "incomplete backup set"):
			broken = true
		}
		m := duplicitySet.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		t, err := time.ParseInLocation(time.ANSIC, m[2], zone)
		volumes, bad := strconv.Atoi(m[3])
		if err != nil || bad != nil {
			continue
		}
		whole = (whole || m[1] == "Full") && volumes > 0
		if !whole {
			broken = true
			continue
		}
		points = append(points, Point{Time: t})
	}
	if !known {
		return nil, false, errors.New("not the output of duplicity collection-status")
	}
	return points, broken, nil
}

func explainDuplicityStatus(data []byte, now time.Time) (host.Look, error) {
	points, broken, err := ParseDuplicityStatus(data, time.UTC)
	if err != nil {
		return host.Look{}, err
	}
	j := jobOf(toolDuplicity, toolDuplicity, "unknown", points, now, 0)
	if broken {
		j.Result = evidence.BackupFailed
		addReasons(&j, evidence.ReasonCorrupt)
	}
	return explained([]evidence.BackupJob{j}, nil)
}
