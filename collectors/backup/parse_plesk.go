package backup

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

const toolPlesk = "plesk"

// pleskMarker is the path of the empty file by whose name Plesk's backup manager says
// how a backup went; the backup's name holds when it began, by the server's clock:
// "backup_info_2408272149", for an increment with that of its full backup behind it.
var (
	pleskMarker = regexp.MustCompile(`(?:([\w.-]*_(\d{10})(?:_\d{10})?)/)?\b(dumpresult|status)_([A-Z_]+)\s*$`)
	pleskFolder = regexp.MustCompile(`([\w.-]*_(\d{10})(?:_\d{10})?)/?:$`) // of ls -R
)

// pleskBackup is what the markers in one backup's folder say.
type pleskBackup struct{ name, stamp, result, status string }

// ParsePleskMarkers reads a list of paths, as find or ls -R prints them, below a folder
// .discovered of Plesk's dumps (/var/lib/psa/dumps): each backup with its marker
// dumpresult_SUCCESS, dumpresult_WARNINGS or another one, which is a failure
// (docs.plesk.com, "Backup storage"; support.plesk.com on monitoring of backups).
// status_OK says that the files are all there; status_ERROR and others that they are
// not. A folder with a status alone is that of a domain within another backup. The name
// of a lone marker is of a backup that ended when the list was made.
func ParsePleskMarkers(list []byte, modified time.Time, zone *time.Location) ([]JobRun, error) {
	var runs []JobRun
	for _, b := range pleskBackups(string(list)) {
		if b.result == "" {
			continue
		}
		t, err := time.ParseInLocation("0601021504", b.stamp, zone)
		if b.stamp == "" {
			t, err = modified, nil
		}
		if err != nil {
			continue
		}
		r := pleskRun(b.result)
		if b.status != "" && b.status != "OK" && r.Result != evidence.BackupFailed {
			r.Point, r.Result, r.Reasons = false, evidence.BackupFailed, []string{evidence.ReasonCorrupt}
		}
		r.Start, r.End = t, t
		runs = append(runs, r)
	}
	if len(runs) == 0 {
		return nil, errors.New("no backup in it: want paths below Plesk's .discovered, such as .discovered/backup_info_2611230100/dumpresult_SUCCESS")
	}
	return runs, nil
}

func pleskBackups(list string) []*pleskBackup {
	var all []*pleskBackup
	byName := map[string]*pleskBackup{}
	folder, stamp := "", ""
	for line := range lines(list) {
		if m := pleskFolder.FindStringSubmatch(line); m != nil {
			folder, stamp = m[1], m[2]
			continue
		}
		m := pleskMarker.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if m[1] == "" {
			m[1], m[2] = folder, stamp
		}
		b := byName[m[1]]
		if b == nil {
			b = &pleskBackup{name: m[1], stamp: m[2]}
			byName[m[1]], all = b, append(all, b)
		}
		if m[3] == "dumpresult" {
			b.result = m[4]
		} else {
			b.status = m[4]
		}
	}
	return all
}

func pleskRun(word string) JobRun {
	r := JobRun{Job: toolPlesk, Point: true, Run: Run{From: evidence.FromLog, Errors: -1, Result: evidence.BackupOK}}
	switch strings.ToUpper(word) {
	case "SUCCESS":
	case "WARNINGS", "WARNING", "INFO":
		r.Result, r.Reasons = evidence.BackupWarning, []string{evidence.ReasonUnreadSource}
	default:
		r.Point, r.Result, r.Reasons = false, evidence.BackupFailed, []string{evidence.ReasonRunFailed}
	}
	return r
}

// ParsePleskResult reads what a session of Plesk's backup manager leaves in
// PMM/sessions: migration.result, whose root execution-result has the attribute status
// (success, warnings, error) and messages by severity; or dump-status.xml, whose
// agent-dump-status counts the domains done. modified stands for the session's end.
func ParsePleskResult(doc []byte, modified time.Time, _ *time.Location) ([]JobRun, error) {
	dec := xml.NewDecoder(strings.NewReader(string(doc)))
	var run *JobRun
	errorsSeen := 0
	for depth := 0; ; {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) && depth == 0 {
			break
		}
		if err != nil {
			if run != nil {
				run.Result, run.Point, run.Reasons = evidence.BackupUnknown, false, []string{evidence.ReasonBadOutput}
				break
			}
			return nil, fmt.Errorf("not a result of Plesk's backup manager: %w", err)
		}
		switch t := tok.(type) {
		case xml.EndElement:
			depth--
		case xml.StartElement:
			depth++
			switch attr := attributes(t); t.Name.Local {
			case "execution-result":
				r := pleskRun(attr["status"])
				run = &r
			case "agent-dump-status":
				run = pleskProgress(attr)
			case "message":
				if attr["severity"] == "error" {
					errorsSeen++
				}
			}
		}
	}
	if run == nil {
		return nil, errors.New("not a result of Plesk's backup manager: no execution-result and no agent-dump-status in it")
	}
	run.Start, run.End = modified, modified
	if errorsSeen > 0 {
		run.Errors = errorsSeen
	}
	return []JobRun{*run}, nil
}

func attributes(t xml.StartElement) map[string]string {
	attr := map[string]string{}
	for _, a := range t.Attr {
		attr[a.Name.Local] = a.Value
	}
	return attr
}

// pleskProgress judges how many domains, and accounts where they are counted, are done.
func pleskProgress(attr map[string]string) *JobRun {
	r := pleskRun("success")
	for _, what := range []string{"domains", "accounts", "objects"} {
		done, have := attr["completed-"+what]
		if !have {
			continue
		}
		n, err := strconv.Atoi(done)
		total, err2 := strconv.Atoi(attr["total-"+what])
		switch {
		case err != nil || err2 != nil:
			r.Point, r.Result, r.Reasons = false, evidence.BackupUnknown, []string{evidence.ReasonBadOutput}
		case n != total:
			r.Point, r.Result, r.Reasons = false, evidence.BackupFailed, []string{evidence.ReasonInterrupted}
		}
		return &r
	}
	r.Point, r.Result, r.Reasons = false, evidence.BackupUnknown, []string{evidence.ReasonBadOutput}
	return &r
}
