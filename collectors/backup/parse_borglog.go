package backup

import (
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// ParseBorgCreate reads the output of one `borg create`, best with --json and
// --log-json, standard error mixed in. modified is when the log was last
// written, zone that in which the job ran.
func ParseBorgCreate(log []byte, modified time.Time, zone *time.Location) (Run, error) {
	r := Run{From: evidence.FromLog, Result: evidence.BackupOK, End: modified}
	made, broken, object := false, false, &strings.Builder{}
	var text []string
	for raw := range strings.Lines(string(log)) {
		line := strings.TrimRight(raw, "\r\n")
		switch {
		case line == "{":
			object.Reset()
			object.WriteString(raw)
		case object.Len() > 0:
			object.WriteString(raw)
			if line == "}" {
				made = r.archive([]byte(object.String()), zone) || made
				object.Reset()
			}
		case strings.HasPrefix(line, "Archive name: "): // --stats
			made = true
		case strings.HasPrefix(line, "[{"): // borgmatic's list of such objects
			var docs []json.RawMessage
			if json.NewDecoder(strings.NewReader(line)).Decode(&docs) == nil {
				for _, doc := range docs {
					made = r.archive(doc, zone) || made
				}
			}
		default:
			if bad, final := r.borgLine(strings.TrimSpace(line)); bad != "" {
				text, broken = append(text, bad), broken || final
			}
		}
	}
	if !made && len(text) == 0 {
		return Run{}, errNoRun
	}
	r.Message = clip(strings.Join(text, "\n"))
	// Without --json and --stats a run that ends prints its warnings and nothing else.
	if !made && (broken || r.Result == evidence.BackupOK) {
		r.Result = evidence.BackupFailed
		r.Reasons = []string{BorgFault(2, strings.Join(text, "\n")).Reason}
	}
	return r, nil
}

// archive takes times and size from the object that borg create --json prints.
func (r *Run) archive(object []byte, zone *time.Location) bool {
	var doc borgOutput
	if json.Unmarshal(object, &doc) != nil || doc.Archive == nil {
		return false
	}
	p, err := doc.Archive.point(zone)
	if err != nil {
		return false
	}
	r.Size = p.Size
	if !p.End.IsZero() {
		r.Start, r.End = p.Start, p.End
	}
	if empty(r.Size) {
		r.warn(evidence.ReasonEmpty)
	}
	return true
}

func (r *Run) warn(reason string) {
	r.Result = worse(r.Result, evidence.BackupWarning)
	for _, have := range r.Reasons {
		if have == reason {
			return
		}
	}
	r.Reasons = append(r.Reasons, reason)
}

// borgWarning is a source that could not be read: "PATH: open: [Errno 13] …". A line of
// a Python trace has the name of an exception in place of the path.
var borgWarning = regexp.MustCompile(`: \[Errno \d+\]`)

var pythonError = regexp.MustCompile(`^[\w.]+(?:Error|Exception): `)

// borgLine judges a line of the log and returns its message if it is a warning
// or an error; final says that it is one with which no archive was made.
func (r *Run) borgLine(line string) (message string, final bool) {
	var rec struct {
		Type, Message, Levelname, Msgid string
	}
	if strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &rec) == nil && rec.Type != "" {
		if rec.Type != "log_message" || rec.Levelname == "INFO" || rec.Levelname == "DEBUG" {
			return "", false
		}
		line = rec.Message
		if rec.Levelname == "ERROR" || rec.Levelname == "CRITICAL" {
			return line + ` "` + rec.Msgid + `"`, true
		}
	}
	switch {
	case strings.Contains(line, ": stat: [Errno 2]"), rec.Msgid == "BackupFileNotFoundError":
		r.warn(evidence.ReasonSourceMissing)
		r.Errors++
	case borgWarning.MatchString(line) && !pythonError.MatchString(line), strings.HasPrefix(rec.Msgid, "Backup"), rec.Msgid == "FileChangedWarning":
		r.warn(evidence.ReasonUnreadSource)
		r.Errors++
	case signIn(line, borgSigns) == "":
		return "", false
	default:
		return line, true
	}
	return line, false
}
