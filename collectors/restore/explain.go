package restore

import (
	"bytes"
	"errors"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Formats lists what this kind can read. Of a list it says how many files a test could
// choose from; no test was made.
func Formats() []host.Format {
	return []host.Format{
		{Name: "restic-ls", Title: "restic ls --json SNAPSHOT", Parse: explainList("restic", ParseResticNode)},
		{Name: "borg-ls", Title: "borg list --json-lines REPOSITORY::ARCHIVE", Parse: explainList("borg", func(line []byte) (Entry, bool, error) { return ParseBorgItem(line, time.UTC) })},
	}
}

func explainList(tool string, parse func([]byte) (Entry, bool, error)) func([]byte, time.Time) (host.Look, error) {
	return func(data []byte, _ time.Time) (host.Look, error) {
		s := &sampler{want: 1, maxBytes: 1 << 40}
		n := 0
		r := &lineReader{take: func(line []byte) error {
			e, ok, err := parse(line)
			if err == nil && ok {
				s.add(e)
			}
			n++
			return err
		}}
		if _, err := r.Write(append(bytes.TrimRight(data, "\n"), '\n')); err != nil {
			return host.Look{}, err
		}
		if n == 0 {
			return host.Look{}, errors.New("no line in it: want the list of a state as JSON, a line a file")
		}
		t := evidence.RestoreTest{Job: tool, Tool: tool, Result: evidence.BackupUnknown, Reasons: []string{evidence.ReasonNotListed}, Encryption: "unknown", Held: s.held}
		if s.broken > 0 {
			t.Result, t.Reasons = evidence.BackupFailed, []string{evidence.ReasonCorrupt}
		}
		return host.Look{Facts: evidence.Restore{Tests: []evidence.RestoreTest{t}}, Gaps: []evidence.Gap{{What: "restore test", Why: "a list of files alone: nothing was restored"}}}, nil
	}
}

// untried is why a test could not be made, with its cure.
func untried(reasons []string) string {
	cures := map[string]string{
		evidence.ReasonNoProgram:    "the tool is not installed",
		evidence.ReasonTimeout:      "no time was left: give the kind a longer timeout, or lower files and max_bytes",
		evidence.ReasonNoPassword:   "no password was given: name password_file, password_command or env_file",
		evidence.ReasonNoPermission: "the agent's account may not read the repository: let it, or run the agent as root",
		evidence.ReasonUnreachable:  "the repository's host does not answer",
		evidence.ReasonBadConfig:    "its settings cannot be used; the detail says why",
		evidence.ReasonBadOutput:    "the tool's answer was cut off or not of a known form",
		evidence.ReasonLocked:       "the repository is locked",
		evidence.RestoreNothing:     "the newest state holds no file that fits: raise max_bytes",
		evidence.RestoreLimit:       "the disk of its folder has no room for the sample: name another folder, or lower max_bytes",
	}
	for _, r := range reasons {
		if c := cures[r]; c != "" {
			return c
		}
	}
	if len(reasons) == 0 {
		return "not tried yet"
	}
	return "the tool failed with " + reasons[0]
}
