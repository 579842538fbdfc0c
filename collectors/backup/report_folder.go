package backup

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

const (
	keepReports = 20   // of each job
	maxReports  = 4096 // read in one look
	maxBad      = 20   // bad ones named in one look
)

// WriteReport hands a report in: it writes r into the drop folder dir in one
// durable step, removes this job's reports beyond the last 20, and returns the
// file's path. By is filled in with the caller's uid where the system has such.
func WriteReport(dir string, r Report) (string, error) {
	r.V, r.By = 1, ownUID()
	return writeReport(dir, r)
}

// KeepReport checks a report that another account handed in, as JSON, and keeps it in
// the drop folder under that account's uid, whatever it says of itself.
func KeepReport(dir string, report []byte, uid string) (string, error) {
	r, err := ParseReport(report)
	if err != nil {
		return "", err
	}
	r.By = uid
	return writeReport(dir, r)
}

func writeReport(dir string, r Report) (string, error) {
	r.Message = clip(r.Message)
	if err := r.Validate(); err != nil {
		return "", fmt.Errorf("report of job %q: %w", r.Job, err)
	}
	b, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("report of job %q: %w", r.Job, err)
	}
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("drop folder %s: %w; install the agent, or name its folder (reports: in the agent's config)", dir, err)
	}
	prefix := reportPrefix(r.Job)
	path := filepath.Join(dir, prefix+time.Now().UTC().Format("20060102T150405.000000Z")+"-"+strings.ToLower(rand.Text()[:6])+".json")
	if err := writeDurably(dir, path, b); err != nil {
		return "", fmt.Errorf("handing in a report to %s: %w", dir, err)
	}
	return path, pruneReports(dir, prefix)
}

// reportPrefix starts the file names of a job's reports.
func reportPrefix(job string) string {
	sum := sha256.Sum256([]byte(job))
	return fileWord(job) + "." + hex.EncodeToString(sum[:6]) + "."
}

func fileWord(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, s)
}

func writeDurably(dir, path string, b []byte) (err error) {
	f, err := os.CreateTemp(dir, ".report-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(b)
	if err == nil {
		err = f.Chmod(0o644) // the agent may run as another account; a report holds no secret
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(dir)
}

// pruneReports removes a job's oldest reports. Those of another account, in a
// sticky folder, stay.
func pruneReports(dir, prefix string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrPermission) { // a folder for handing in only
		return nil
	}
	if err != nil {
		return fmt.Errorf("the report is handed in, but old ones in %s could not be listed: %w", dir, err)
	}
	var own []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) && strings.HasSuffix(e.Name(), ".json") {
			own = append(own, e.Name())
		}
	}
	slices.Sort(own)
	for _, name := range own[:max(0, len(own)-keepReports)] {
		err := os.Remove(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the report is handed in, but an old one could not be removed: %w", err)
		}
	}
	return nil
}

// readReports reads the drop folder: the good reports of each job, oldest
// first, and a gap for each bad one, which stays where it is.
func readReports(dir string) (map[string][]Report, []evidence.Gap, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close() //nolint:errcheck // opened for reading
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, nil, err
	}
	jobs := map[string][]Report{}
	var gaps []evidence.Gap
	bad, read := 0, 0
	for i := len(entries) - 1; i >= 0; i-- {
		name := entries[i].Name()
		if strings.HasPrefix(name, ".") || !strings.HasSuffix(name, ".json") {
			continue
		}
		if read++; read > maxReports {
			gaps = append(gaps, evidence.Gap{What: "reports", Why: fmt.Sprintf("more than %d in the drop folder: remove old ones", maxReports)})
			break
		}
		r, err := readReport(root, name)
		switch {
		case err == nil:
			jobs[r.Job] = append(jobs[r.Job], r)
		case errors.Is(err, fs.ErrNotExist): // its job's own hook just removed it
		default:
			if bad++; bad <= maxBad {
				gaps = append(gaps, badReport(name, err))
			}
		}
	}
	if bad > maxBad {
		gaps = append(gaps, evidence.Gap{What: "reports", Why: fmt.Sprintf("%d more bad ones in the drop folder", bad-maxBad)})
	}
	for _, list := range jobs {
		sort.SliceStable(list, func(a, b int) bool { return list[a].End.Before(*list[b].End) })
	}
	return jobs, gaps, nil
}

// quoted finds what an error quotes from a file; fieldWord what of it may stand
// in a gap.
var (
	quoted     = regexp.MustCompile(`"(\\.|[^"\\])*"?`)
	fieldWord  = regexp.MustCompile(`^"[A-Za-z0-9_]{1,32}"$`)
	reportFile = regexp.MustCompile(`^[A-Za-z0-9._-]{1,120}$`)
)

// badReport names file, fault and cure, without words that the file put there:
// gaps are facts.
func badReport(name string, err error) evidence.Gap {
	what := "report in a file with an unusual name"
	if reportFile.MatchString(name) {
		what = "report " + name
	}
	why := quoted.ReplaceAllStringFunc(err.Error(), func(q string) string {
		if fieldWord.MatchString(q) {
			return q
		}
		return `"…"`
	})
	return evidence.Gap{What: what, Why: why + "; hand it in again with attesto-agent report backup, and remove the file"}
}

// readReport reads one file, which must be a regular one of bounded size. The
// folder is open to accounts that the agent does not trust: no link is followed.
func readReport(root *os.Root, name string) (Report, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return Report{}, plainPath(err)
	}
	if !info.Mode().IsRegular() {
		return Report{}, errors.New("not a regular file")
	}
	f, err := root.OpenFile(name, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return Report{}, plainPath(err)
	}
	defer f.Close() //nolint:errcheck // opened for reading
	opened, err := f.Stat()
	if err != nil {
		return Report{}, plainPath(err)
	}
	if !os.SameFile(info, opened) {
		return Report{}, errors.New("changed while it was opened")
	}
	b, err := io.ReadAll(io.LimitReader(f, MaxReport+1))
	if err != nil {
		return Report{}, plainPath(err)
	}
	r, err := ParseReport(b)
	if err != nil {
		return r, err
	}
	if owner := ownerOf(opened); owner != "" {
		switch {
		case r.By != "" && owner == ownUID(): // written by the agent, which heard on its socket who it was
			return r, nil
		case r.By != "" && r.By != owner:
			return r, fmt.Errorf("says that account %s handed it in, but the file belongs to %s", r.By, owner)
		}
		r.By = owner
	}
	return r, nil
}

// plainPath takes the path out of an error: gaps are facts and hold none.
func plainPath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
