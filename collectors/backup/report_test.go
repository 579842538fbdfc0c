package backup_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/backup"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func noonNow() time.Time { return noon }

// dropped collects over a drop folder alone.
func dropped(t *testing.T, dir string) host.Look {
	t.Helper()
	h := &host.Host{Now: func() time.Time { return noon }, Run: host.Exec, Root: t.TempDir()}
	if err := os.Rename(dir, h.Path("/drop")); err != nil {
		t.Fatal(err)
	}
	c, err := backup.Spec().New(func(v any) error { v.(*backup.Config).Reports = "/drop"; return nil }, h)
	if err != nil {
		t.Fatal(err)
	}
	look, err := c.Collect(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return look
}

func when(ago time.Duration) *time.Time { t := noon.Add(-ago); return &t }

func num[T any](v T) *T { return &v }

func TestReportedJobs(t *testing.T) {
	for _, c := range []struct {
		name    string
		reports []backup.Report
		result  string
		reasons []string
		check   func(evidence.BackupJob) bool
	}{
		{"good without points", []backup.Report{{End: when(time.Hour)}}, "ok", nil, func(j evidence.BackupJob) bool {
			return j.Points == 0 && j.NewestRestorable == nil && j.LastSuccess != nil && j.Source == "report"
		}},
		{"good with a point", []backup.Report{{Start: when(2 * time.Hour), End: when(time.Hour), Restorable: when(2 * time.Hour), Oldest: when(900 * time.Hour), Points: num(30)}}, "ok", nil,
			func(j evidence.BackupJob) bool {
				return j.Points == 30 && j.NewestRestorable.Equal(*when(2 * time.Hour)) && j.OldestRestorable.Equal(*when(900 * time.Hour)) && j.LastStart != nil
			}},
		{"failed after good", []backup.Report{{End: when(25 * time.Hour), Restorable: when(25 * time.Hour)}, {End: when(time.Hour), Exit: 1}}, "failed", []string{"exit_1"},
			func(j evidence.BackupJob) bool { return j.Points == 1 && j.LastSuccess == nil }},
		{"good after failed", []backup.Report{{End: when(25 * time.Hour), Exit: 1}, {End: when(time.Hour)}}, "ok", nil, nil},
		{"an unknown code fails", []backup.Report{{End: when(time.Hour), Exit: 77}}, "failed", []string{"exit_77"}, nil},
		{"killed", []backup.Report{{End: when(time.Hour), Exit: 137}}, "failed", []string{"interrupted"}, nil},
		{"errors beside exit 0", []backup.Report{{End: when(time.Hour), Errors: num(1)}}, "warning", []string{"unread_source"}, nil},
		{"nothing saved", []backup.Report{{End: when(time.Hour), Files: num(int64(0)), Bytes: num(int64(0))}}, "warning", []string{"empty"}, nil},
		{"of the future", []backup.Report{{End: when(-48 * time.Hour)}}, "unknown", []string{"future_time"}, nil},
		{"a point of the future", []backup.Report{{End: when(time.Hour), Restorable: when(-48 * time.Hour)}}, "warning", []string{"future_time"},
			func(j evidence.BackupJob) bool { return j.NewestRestorable == nil && j.Points == 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "drop")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			for _, r := range c.reports {
				r.Job, r.Tool, r.Message = "Paghe 2", "mydump", "done in /srv/paghe"
				if _, err := backup.WriteReport(dir, r); err != nil {
					t.Fatal(err)
				}
			}
			look := dropped(t, dir)
			if len(look.Gaps) > 0 {
				t.Errorf("gaps: %v", look.Gaps)
			}
			j := look.Facts.(evidence.Backup).Jobs[0]
			want(t, j, c.result, c.reasons...)
			if c.check != nil && !c.check(j) {
				t.Errorf("facts: %+v", j)
			}
			if err := look.Facts.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestBadReports(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "drop")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	good := `{"v":1,"job":"a","tool":"x","exit":0,"end":"2026-11-23T11:00:00Z"}`
	for name, content := range map[string]string{
		"cut.json":       good[:30],
		"double.json":    strings.Replace(good, `"exit":0`, `"exit":1,"exit":0`, 1),
		"unknown.json":   strings.Replace(good, `"exit":0`, `"exit":0,"exti":0`, 1),
		"noend.json":     `{"v":1,"job":"a","tool":"x","exit":0}`,
		"version.json":   strings.Replace(good, `"v":1`, `"v":2`, 1),
		"path.json":      strings.Replace(good, `"a"`, `"/home/mario.rossi"`, 1),
		"uid.json":       strings.Replace(good, `"v":1`, `"v":1,"by":"4242"`, 1),
		"large.json":     good + strings.Repeat(" ", 64<<10),
		"points.json":    strings.Replace(good, `"v":1`, `"v":1,"points":3`, 1),
		"odd \x01!.json": "{",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/hostname", filepath.Join(dir, "link.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "good.json"), []byte(good), 0o644); err != nil {
		t.Fatal(err)
	}
	faults := []string{"report cut.json", "unusual name", "exti", "twice", "v is 2", "larger than", "not a regular file", "hand it in again"}
	if os.Chown(filepath.Join(dir, "uid.json"), 65534, -1) == nil { // only root can make a file another's
		faults = append(faults, "belongs to")
	} else if err := os.Remove(filepath.Join(dir, "uid.json")); err != nil {
		t.Fatal(err)
	}
	look := dropped(t, dir)
	jobs := look.Facts.(evidence.Backup).Jobs
	if len(jobs) != 1 || jobs[0].ReportedBy != fmt.Sprint(os.Getuid()) {
		t.Errorf("the good report beside the bad ones: %+v", jobs)
	}
	text := fmt.Sprint(look.Gaps)
	if len(look.Gaps) != len(faults)+2 || strings.Contains(text, "mario") {
		t.Errorf("%d gaps: %s", len(look.Gaps), text)
	}
	for _, fault := range faults {
		if !strings.Contains(text, fault) {
			t.Errorf("no gap says %q: %s", fault, text)
		}
	}
}

func TestWriteReport(t *testing.T) {
	dir := t.TempDir()
	var group sync.WaitGroup
	for i := range 30 {
		group.Go(func() {
			if _, err := backup.WriteReport(dir, backup.Report{Job: "a", Tool: "x", End: when(time.Duration(i) * time.Hour)}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if _, err := backup.WriteReport(dir, backup.Report{Job: "other", Tool: "x", End: when(0)}); err != nil {
		t.Error(err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(found) != 21 {
		t.Errorf("%d files kept, want 20 of one job and 1 of the other: %v", len(found), err)
	}
	if _, err := backup.WriteReport(filepath.Join(dir, "none"), backup.Report{Job: "a", Tool: "x", End: when(0)}); err == nil || !strings.Contains(err.Error(), "install the agent") {
		t.Errorf("a missing folder: %v", err)
	}
	for _, r := range []backup.Report{{Job: "a/b", Tool: "x", End: when(0)}, {Job: "a", Tool: "X Y", End: when(0)}, {Job: "a", Tool: "x"}, {Job: "a", Tool: "x", End: when(1), Start: when(0)}} {
		if _, err := backup.WriteReport(dir, r); err == nil {
			t.Errorf("written: %+v", r)
		}
	}
}
