package backup_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/attesto/attesto/collectors/backup"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/host/hosttest"
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
	f.Add([]byte(baculaReport("Nightly", "Full", "1", "2", "0", "Backup OK")))
	f.Add([]byte("INFO: Starting Backup of VM 100 (qemu)\nINFO: Backup started at 2026-11-23 01:00:00\nERROR: Backup of VM 100 failed - x\n"))
	f.Add([]byte("[2026-11-23T01:00:00] /usr/bin/rsnapshot daily: started\n"))
	f.Add([]byte("StartTime 1795446525.19\nErrors 0\n"))
	f.Add([]byte(bconsole("T", "60", "771810")))
	f.Add([]byte(veeam("Success")))
	f.Add([]byte(".discovered/backup_info_2611230100:\ndumpresult_ERROR\n"))
	f.Add([]byte(`<execution-result status="warnings"><message severity="error"/></execution-result>`))
	f.Add([]byte(duplicati("Success", "true")))
	f.Add([]byte(rclone(1)))
	f.Add([]byte(`[{"type":"vzdump","id":"100","status":"OK","starttime":1795446500,"endtime":1795446525,"upid":"UPID:pve1:0"}]`))
	f.Add([]byte("Terminated Jobs:\n====\n    14  Full          60    771.8 K  OK       23-Nov-26 15:23 BackupIncr\n"))
	hosttest.FuzzFormats(f, backup.Formats(), noon)
}

func FuzzParsers(f *testing.F) {
	f.Add([]byte("LoadState=loaded\nActiveState=inactive\nResult=success\nExecMainStatus=0\nExecMainExitTimestamp=Mon 2026-11-23 02:10:00 UTC\n"))
	f.Add([]byte(`{"total_size":1,"snapshots_count":2}`))
	f.Add([]byte(`{"time":"2026-11-23T02:10:00Z","hostname":"h","pid":1}`))
	bound := hosttest.NewBound("unit, lock, stats and check", func(b []byte) {
		_, _ = backup.ParseUnit(b, "restic")
		_, _ = backup.ParseResticLock(b)
		_, _ = backup.ParseResticStats(b)
		backup.ParseBorgCheck(2, string(b))
	})
	f.Fuzz(func(t *testing.T, b []byte) { bound.Check(t, b) })
}

// FuzzDiscovery feeds what tools' own settings are read from.
func FuzzDiscovery(f *testing.F) {
	f.Add([]byte("repositories:\n    - path: ssh://b@h/./r\n      label: off-site\n    - /srv/borg\nencryption_passcommand: cat /etc/k\nkeep_daily: 7\n"))
	f.Add([]byte("location:\n    repositories: [/srv/old]\nstorage: {encryption_passphrase: x}\n"))
	f.Add([]byte("export RESTIC_REPOSITORY=\"sftp:u@h:/r\"\nRESTIC_PASSWORD='a$b'\nif true; then\n"))
	f.Add([]byte(strings.Repeat("location:\n", 900)))
	h := &host.Host{Root: f.TempDir(), Now: noonNow, Run: func(context.Context, host.Command) (host.Result, error) { return host.Result{}, host.ErrNoProgram }}
	paths := []string{h.Path("/etc/borgmatic/config.yaml"), h.Path("/etc/restic/job.env")}
	for _, path := range paths {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			f.Fatal(err)
		}
	}
	var failed error
	bound := hosttest.NewBound("settings of tools", func(b []byte) {
		failed = errors.Join(os.WriteFile(paths[0], b, 0o600), os.WriteFile(paths[1], b, 0o600))
		backup.Spec().Detect(context.Background(), h)
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		if bound.Check(t, b); failed != nil {
			t.Fatal(failed)
		}
	})
}
