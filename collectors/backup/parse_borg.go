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

type borgOutput struct {
	Archives   []borgArchive `json:"archives"`
	Archive    *borgArchive  `json:"archive"` // of borg create
	Encryption struct {
		Mode string `json:"mode"`
	} `json:"encryption"`
	Repository *struct {
		ID string `json:"id"`
	} `json:"repository"`
}

type borgArchive struct {
	Name        string          `json:"name"`
	ID          string          `json:"id"`
	Start       string          `json:"start"`
	Time        string          `json:"time"`
	End         string          `json:"end"`
	Hostname    string          `json:"hostname"`
	CommandLine json.RawMessage `json:"command_line"` // a list; with list --format a text
	Stats       *struct {
		Bytes int64 `json:"original_size"`
		Files int64 `json:"nfiles"`
	} `json:"stats"`
}

// Archives is what a borg repository lists.
type Archives struct {
	Points     []Point
	Names      map[string]string // archive names by id
	Encryption string
	Unlisted   bool // borg info of a whole repository: archives are not spoken of
}

// ParseBorgList reads what `borg list --json` and `borg info --json` print, and
// borgmatic's list of such objects. borg 1.x writes times without a zone, in
// that of the process: zone says which it was (the collector runs borg in UTC).
func ParseBorgList(out []byte, zone *time.Location) (Archives, error) {
	docs, err := borgDocs(out)
	if err != nil {
		return Archives{}, fmt.Errorf("output of borg --json: %w", err)
	}
	a := Archives{Names: map[string]string{}, Encryption: "unknown"}
	for _, doc := range docs {
		if doc.Repository == nil {
			return Archives{}, errors.New("output of borg --json: no repository in it")
		}
		if doc.Encryption.Mode != "" {
			a.Encryption = codeOf(doc.Encryption.Mode)
		}
		a.Unlisted = a.Unlisted || doc.Archives == nil
		for i, arch := range doc.Archives {
			p, err := arch.point(zone)
			if err != nil {
				return Archives{}, fmt.Errorf("output of borg --json: archive %d: %w", i+1, err)
			}
			a.Points = append(a.Points, p)
			a.Names[p.ID] = arch.Name
		}
	}
	return a, nil
}

func borgDocs(out []byte) ([]borgOutput, error) {
	if t := bytes.TrimSpace(out); len(t) > 0 && t[0] == '[' {
		var docs []borgOutput
		err := json.Unmarshal(out, &docs)
		return docs, err
	}
	var doc borgOutput
	err := json.Unmarshal(out, &doc)
	return []borgOutput{doc}, err
}

func (a borgArchive) point(zone *time.Location) (Point, error) {
	if a.ID == "" {
		return Point{}, errors.New("no id")
	}
	start := a.Start
	if start == "" {
		start = a.Time
	}
	from, err := borgTime(start, zone)
	if err != nil {
		return Point{}, err
	}
	p := Point{ID: a.ID, Time: from, Host: a.Hostname, Paths: a.paths()}
	if a.End != "" {
		if p.End, err = borgTime(a.End, zone); err != nil {
			return Point{}, err
		}
		p.Start = from
	}
	if a.Stats != nil {
		p.Size = Size{Bytes: a.Stats.Bytes, Files: a.Stats.Files, By: byInfo}
	}
	return p, nil
}

// borgTime reads a time of borg: ISO 8601, without a zone in 1.x.
func borgTime(s string, zone *time.Location) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	t, err := time.ParseInLocation("2006-01-02T15:04:05.999999", s, zone)
	if err != nil {
		return t, fmt.Errorf("time %q is not of borg's form", s)
	}
	return t, nil
}

// paths are the words after REPO::ARCHIVE on the command line that made the
// archive; none if sources came from a file of patterns.
func (a borgArchive) paths() []string {
	var words []string
	if json.Unmarshal(a.CommandLine, &words) != nil {
		return nil
	}
	var paths []string
	seen := false
	for _, w := range words {
		if seen && !strings.HasPrefix(w, "-") {
			paths = append(paths, w)
		}
		seen = seen || strings.Contains(w, "::")
	}
	return paths
}

// codeOf makes a tool's word fit for facts.
func codeOf(word string) string {
	word = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return -1
	}, strings.ToLower(word))
	if word == "" || len(word) > 40 {
		return "unknown"
	}
	return word
}

// borgSigns are borg's message ids (internals/frontends) and, without
// --log-json, its words. The ids come first: they do not change.
var borgSigns = []sign{
	{`"PassphraseWrong"`, evidence.ReasonWrongPassword},
	{`"PasswordRetriesExceeded"`, evidence.ReasonWrongPassword},
	{`"NoPassphraseFailure"`, evidence.ReasonNoPassword},
	{`"PasscommandFailure"`, evidence.ReasonNoPassword},
	{`"KeyfileNotFoundError"`, evidence.ReasonNoPassword},
	{`"Repository.DoesNotExist"`, evidence.ReasonRepositoryMissing},
	{`"Repository.InvalidRepository"`, evidence.ReasonRepositoryMissing},
	{`"Cache.RepositoryAccessAborted"`, evidence.ReasonAccessRefused},
	{`"Cache.CacheInitAbortedError"`, evidence.ReasonAccessRefused},
	{`"Cache.EncryptionMethodMismatch"`, evidence.ReasonAccessRefused},
	{`"Cache.RepositoryReplay"`, evidence.ReasonAccessRefused},
	{`"LockTimeout"`, evidence.ReasonLocked},
	{`"LockFailed"`, evidence.ReasonNoPermission},
	{`"ConnectionClosed`, evidence.ReasonUnreachable},
	{`"Repository.PathPermissionDenied"`, evidence.ReasonNoPermission},
	{`"Repository.InsufficientFreeSpaceError"`, evidence.ReasonNoSpace},
	{`"IntegrityError"`, evidence.ReasonCorrupt},
	{`"FileIntegrityError"`, evidence.ReasonCorrupt},
	{`"Repository.CheckNeeded"`, evidence.ReasonCorrupt},
	{"passphrase supplied in", evidence.ReasonWrongPassword},
	{"can not acquire a passphrase", evidence.ReasonNoPassword},
	{"Failed to create/acquire the lock", evidence.ReasonLocked},
	{"is not a valid repository", evidence.ReasonRepositoryMissing},
	{"was previously located at", evidence.ReasonAccessRefused},
	{"previously unknown unencrypted repository", evidence.ReasonAccessRefused},
	{"Data integrity error", evidence.ReasonCorrupt},
	{"Connection closed by remote host", evidence.ReasonUnreachable},
	{"No space left on device", evidence.ReasonNoSpace},
	{"Got Ctrl-C", evidence.ReasonInterrupted},
	{"Permission denied", evidence.ReasonNoPermission},
	{"does not exist.", evidence.ReasonRepositoryMissing},
}

// BorgFault says why borg could not be asked.
func BorgFault(exit int, stderr string) *Fault {
	return faultOf(toolBorg, exit, stderr, borgSigns)
}

// ParseBorgCheck judges `borg check`: 0 is sound, 1 is damage found.
func ParseBorgCheck(exit int, stderr string) Check {
	if exit == 0 {
		return Check{Result: evidence.BackupOK}
	}
	f := BorgFault(exit, stderr)
	if exit == 1 || f.Reason == evidence.ReasonCorrupt {
		return Check{Result: evidence.BackupFailed, Text: f.Text}
	}
	return Check{Result: evidence.BackupUnknown, Fault: f, Text: f.Text}
}
