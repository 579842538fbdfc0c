package backup_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/backup"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// recording is a real tool's session: command lines, what they printed, exit codes.
type recording struct {
	Case     string
	Expected string `json:"expected_verdict"`
	Steps    []struct {
		Step, Command  string
		Ended          time.Time
		Exit           int `json:"exit_code"`
		Stdout, Stderr string
	}
}

// stale is the age at which the recordings call a newest point stale.
const stale = 48 * time.Hour

// TestFixtureRecordings holds the parsers against recorded sessions of restic 0.14 and
// 0.18, borg 1.2 and 1.4: each step's word counts, the worst of them is the
// verdict. Folders of more recordings: ATTESTO_FIXTURES.
func TestFixtureRecordings(t *testing.T) {
	dirs := []string{"testdata/recordings"}
	if more := os.Getenv("ATTESTO_FIXTURES"); more != "" {
		dirs = append(dirs, filepath.Join(more, "03-backup/runs/*"))
	}
	n := 0
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			base := filepath.Base(file)
			if !strings.HasPrefix(base, "restic-") && !strings.HasPrefix(base, "borg-") {
				continue
			}
			n++
			t.Run(filepath.Base(filepath.Dir(file))+"/"+base, func(t *testing.T) { replay(t, file) })
		}
	}
	if n == 0 {
		t.Fatal("no recordings")
	}
}

func replay(t *testing.T, file string) {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rec recording
	if err := json.Unmarshal(b, &rec); err != nil {
		t.Fatal(err)
	}
	verdicts := map[string]bool{}
	for _, s := range rec.Steps {
		for _, v := range verdictsOf(t, s.Command, s.Stdout, s.Stderr, s.Exit, s.Ended) {
			verdicts[v] = true
		}
	}
	got := "none"
	for _, v := range []string{"failed", "unknown", "stale", "warning", "ok"} {
		if verdicts[v] {
			got = v
			break
		}
	}
	want := strings.Fields(rec.Expected)[0]
	switch rec.Case {
	case "restic-10-wrong-password", "borg-08-wrong-passphrase":
		// The session's own run failed; what the repository holds is not known.
		if !verdicts["unknown"] {
			t.Errorf("no step is unknown: %v", verdicts)
		}
		return
	case "restic-14-shrunk-source":
		// restic before 0.17 lists no sizes; the collector asks restic stats for
		// them (TestRestic/shrunk), which the session does not have.
		if got == "ok" && !strings.Contains(rec.Steps[len(rec.Steps)-1].Stdout, "summary") {
			return
		}
	}
	if got != want {
		t.Errorf("verdict %s of %v, want %s", got, verdicts, rec.Expected)
	}
}

func verdictsOf(t *testing.T, command, stdout, stderr string, exit int, at time.Time) []string {
	switch {
	case strings.Contains(command, "restic") && strings.Contains(command, " backup "):
		return []string{runVerdict("restic", stdout+stderr, exit, at)}
	case strings.Contains(command, "borg create "):
		return []string{runVerdict("borg", stdout+stderr, exit, at)}
	case strings.Contains(command, "restic") && strings.Contains(command, " check"):
		return []string{backup.ParseResticCheck(exit, stdout, stderr).Result}
	case strings.Contains(command, "borg check"):
		return []string{backup.ParseBorgCheck(exit, stderr).Result}
	case strings.Contains(command, " snapshots --json") && exit == 0:
		return lookVerdicts(t, explain(t, "restic-snapshots", stdout, at), at)
	case strings.Contains(command, " snapshots --json"):
		return []string{backup.ResticFault(exit, stderr).Result}
	case strings.Contains(command, "borg list --json") && exit == 0:
		return lookVerdicts(t, explain(t, "borg-list", stdout, at), at)
	case strings.Contains(command, "borg list --json"):
		return []string{backup.BorgFault(exit, stderr).Result}
	}
	return nil
}

// runVerdict is what a hook would hand in: exit code and log.
func runVerdict(tool, log string, exit int, at time.Time) string {
	worst, _ := backup.ExitResult(tool, exit)
	r := backup.Report{Tool: tool, Exit: exit, End: &at}
	if err := r.ReadLog([]byte(log), at); err == nil && len(r.Reasons) > 0 && worst == evidence.BackupOK {
		worst = evidence.BackupWarning
	}
	return worst
}

func lookVerdicts(t *testing.T, look host.Look, at time.Time) []string {
	t.Helper()
	var out []string
	for _, j := range look.Facts.(evidence.Backup).Jobs {
		v := j.Result
		if j.NewestRestorable != nil && at.Sub(j.NewestRestorable.Time) > stale {
			v = "stale"
		}
		out = append(out, v)
	}
	return out
}

func explain(t *testing.T, format, data string, at time.Time) host.Look {
	t.Helper()
	for _, f := range backup.Formats() {
		if f.Name == format {
			look, err := f.Parse([]byte(data), at)
			if err != nil {
				t.Fatalf("%s: %v", format, err)
			}
			return look
		}
	}
	t.Fatalf("no format %s", format)
	return host.Look{}
}
