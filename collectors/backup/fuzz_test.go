package backup_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/attesto/attesto/collectors/backup"
	"github.com/attesto/attesto/evidence"
)

// FuzzFormats feeds every parser foreign bytes: what comes out must be valid
// facts or an error.
func FuzzFormats(f *testing.F) {
	files, err := filepath.Glob("testdata/recordings/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var rec recording
		if err := json.Unmarshal(b, &rec); err != nil {
			f.Fatal(err)
		}
		for _, s := range rec.Steps {
			f.Add([]byte(s.Stdout))
			f.Add([]byte(s.Stdout + s.Stderr))
		}
	}
	f.Add([]byte(`{"v":1,"job":"a","tool":"x","exit":0,"end":"2026-11-23T11:00:00Z","restorable":"2026-11-23T10:00:00Z"}`))
	f.Add([]byte("LoadState=loaded\nActiveState=inactive\nResult=success\nExecMainStatus=0\nExecMainExitTimestamp=Mon 2026-11-23 02:10:00 UTC\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, format := range backup.Formats() {
			look, err := format.Parse(data, noon)
			if err != nil {
				continue
			}
			if _, err := evidence.FactsBlob(look.Facts, look.Gaps); err != nil {
				t.Errorf("%s: %v", format.Name, err)
			}
			if _, err := evidence.DetailBlob(look.Detail); err != nil && len(data) < 1<<16 {
				t.Errorf("%s: detail: %v", format.Name, err)
			}
		}
		_, _ = backup.ParseUnit(data, "restic")
		_, _ = backup.ParseResticLock(data)
		_, _ = backup.ParseResticStats(data)
		backup.ParseBorgCheck(2, string(data))
	})
}
