package backup_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/backup"
	"github.com/attesto/attesto/evidence"
)

// captured is when the recordings were made: "stale" is relative to it.
var captured = time.Date(2026, 11, 23, 16, 0, 0, 0, time.UTC)

// fixtureFormats says which format reads a file of the folder.
var fixtureFormats = []struct{ path, format string }{
	{`^bacula/job.*\.log$`, "bacula-job"}, {`^bareos-docs/`, "bacula-job"},
	{`^bacula/(jobs\.csv|list-jobs\.txt|llist-job-2\.txt)$`, "bacula-list"}, {`^bacula/status-`, "bacula-status"},
	{`^proxmox/vzdump`, "vzdump-log"},
	{`^raw/.*borg.*create`, "borg-create"}, {`^raw/.*borg.*\.04-info`, "borg-info"},
	{`^raw/.*restic.*backup`, "restic-backup"}, {`^raw/.*restic.*snapshots`, "restic-snapshots"},
	{`^raw/.*stderr$`, "restic-backup"},
}

// fixtureExceptions are the files whose stated verdict the format alone cannot give,
// with the reason.
var fixtureExceptions = map[string]string{
	"list-media.txt":                                            "volumes of the store: no job stands in it",
	"README-states.txt":                                         "a table of words, not an output; TestVeeamStates holds it",
	"04-BackupOfThirdPartyDatabases.log":                        "a restore's report: it says nothing of what can be restored next",
	"08-BarriPlugin.log":                                        "a restore's report",
	"12-HyperVPlugin.log":                                       "a restore's report",
	"18-ProxmoxPlugin.log":                                      "a restore's report",
	"deb12.borg-01-good.04-info.stdout":                         "borg info of a whole repository speaks of no archive",
	"deb13.borg-01-good.04-info.stdout":                         "borg info of a whole repository speaks of no archive",
	"deb12.borg-02-warning-unreadable.02-create-logjson.stdout": "the warning stands in the other stream",
	"deb13.borg-02-warning-unreadable.02-create-logjson.stdout": "the warning stands in the other stream",
	"deb12-srv-mail-07/borg-05-killed-sigkill.json":             "killed: nothing was printed, the exit code alone tells",
	"deb13-hosting-it-04/borg-05-killed-sigkill.json":           "killed: nothing was printed, the exit code alone tells",
	"deb12-srv-mail-07/restic-10-wrong-password.json":           "what is stored is unknown; that its own run failed is known",
	"deb13-hosting-it-04/restic-10-wrong-password.json":         "what is stored is unknown; that its own run failed is known",
	"deb12-srv-mail-07/restic-14-shrunk-source.json":            "restic before 0.17 lists no sizes; the collector asks for them",
}

// TestFixtureWalk takes every file of the folder through its format, as attesto-agent
// explain does, and holds the worst result against the stated verdict. A file without a
// format or a reason fails.
func TestFixtureWalk(t *testing.T) {
	root := os.Getenv("ATTESTO_FIXTURES")
	if root == "" {
		t.Skip("ATTESTO_FIXTURES names no folder")
	}
	root = filepath.Join(root, "03-backup")
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	stated := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\| (\S+) \|.*\| ([^|]+) \|$`).FindAllStringSubmatch(string(readme), -1) {
		stated[m[1]] = m[2]
	}
	n := 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(root, path)
		if err != nil || d.IsDir() || name == "README.md" || strings.HasPrefix(name, "windows-server-backup/") {
			return err // the last are of the collector's Windows half
		}
		n++
		t.Run(name, func(t *testing.T) { walkFixture(t, path, name, stated[name]) })
		return nil
	})
	if err != nil || n == 0 {
		t.Fatal(n, err)
	}
}

func walkFixture(t *testing.T, path, name, verdict string) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	if strings.HasPrefix(name, "runs/") {
		got = walkRecording(t, data)
	} else if i := slices.IndexFunc(fixtureFormats, func(f struct{ path, format string }) bool { return regexp.MustCompile(f.path).MatchString(name) }); i >= 0 {
		got = results(fixtureFormats[i].format, string(data), captured)
	}
	want := regexp.MustCompile(`[a-z]+`).FindString(verdict)
	_, short, _ := strings.Cut(name, "/")
	reason := fixtureExceptions[short]
	switch {
	case strings.HasPrefix(verdict, "Termination: Backup OK"):
		want = "ok"
	case strings.HasPrefix(verdict, "Termination: Verify Differences"):
		want = "failed"
	case strings.HasPrefix(verdict, "JobStatus"):
		want = "failed" // the newest jobs of the list are
	}
	if worst(got) == want {
		if reason != "" {
			t.Errorf("%v: gives its verdict %s, so it is no exception", got, want)
		}
		return
	}
	if reason == "" {
		t.Errorf("%v, want %s", got, verdict)
	}
}

// results are those of the jobs that a format finds in a text.
func results(format, text string, now time.Time) []string {
	for _, f := range backup.Formats() {
		if f.Name != format {
			continue
		}
		look, err := f.Parse([]byte(text), now)
		if err != nil {
			return []string{"error"}
		}
		var out []string
		for _, j := range look.Facts.(evidence.Backup).Jobs {
			v := j.Result
			if j.NewestRestorable != nil && j.Source == evidence.FromRepository && now.Sub(j.NewestRestorable.Time) > stale && v != evidence.BackupFailed {
				v = "stale"
			}
			if len(j.Reasons) == 1 && j.Reasons[0] == evidence.ReasonNotListed && j.Integrity.Result == evidence.BackupOK {
				v = evidence.BackupOK // a check that found nothing
			}
			out = append(out, v)
		}
		return out
	}
	return []string{"no format " + format}
}

func worst(got []string) string {
	for _, v := range []string{"failed", "unknown", "stale", "warning", "ok"} {
		if slices.Contains(got, v) {
			return v
		}
	}
	return "none"
}

// stepFormats says which format reads the output of a recorded command.
var stepFormats = []struct{ command, format string }{
	{`restic.* backup `, "restic-backup"}, {`restic.* check`, "restic-check"}, {`restic.* snapshots --json`, "restic-snapshots"},
	{`borg create `, "borg-create"}, {`borg list --json`, "borg-list"}, {`borg info --json .*--last|borg info --json --last|borg info .*::`, "borg-info"}, {`borg (check|extract)`, "borg-check"},
	{`borgmatic .* (list|info|repo-list) --json`, "borgmatic-list"}, {`borgmatic `, "borgmatic-run"},
	{`duplicity collection-status`, "duplicity-status"}, {`duplicity `, "duplicity-log"},
}

func walkRecording(t *testing.T, data []byte) []string {
	var rec struct {
		recording
		Log string `json:"rsnapshot_log"`
	}
	if err := json.Unmarshal(data, &rec); err != nil {
		t.Fatal(err)
	}
	var got []string
	if rec.Log != "" {
		got = append(got, results("rsnapshot-log", rec.Log, captured)...)
	}
	for _, s := range rec.Steps {
		for _, f := range stepFormats {
			if regexp.MustCompile(f.command).MatchString(s.Command) {
				r := results(f.format, s.Stdout+s.Stderr, s.Ended)
				t.Log(s.Step, f.format, r)
				got = append(got, r...)
				break
			}
		}
	}
	return got
}
