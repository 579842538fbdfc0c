package evidence_test

import (
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
)

func TestBackupValidate(t *testing.T) {
	t0 := evidence.At(time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC))
	t1 := evidence.At(time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC))
	good := func() evidence.BackupJob {
		return evidence.BackupJob{Job: "Paghe 2", Tool: "restic", Result: "ok", RunFrom: "repository", Source: "repository", Points: 2,
			NewestRestorable: &t1, OldestRestorable: &t0, Bytes: -1, Files: -1, Errors: -1, Encryption: "aes256",
			Integrity: evidence.Integrity{Result: "unknown"}, Day: []evidence.BackupDay{{Day: "2026-11-22", Points: 1}, {Day: "2026-11-23", Points: 1}}}
	}
	if err := (evidence.Backup{Jobs: []evidence.BackupJob{good()}}).Validate(); err != nil {
		t.Fatalf("a good job: %v", err)
	}
	if err := (evidence.Backup{Jobs: []evidence.BackupJob{good(), good()}}).Validate(); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("one job twice: %v", err)
	}
	for name, c := range map[string]struct {
		spoil func(*evidence.BackupJob)
		says  string
	}{
		"no name":                 {func(j *evidence.BackupJob) { j.Job = "" }, "name"},
		"a path as name":          {func(j *evidence.BackupJob) { j.Job = "/srv/backup" }, "name"},
		"a long name":             {func(j *evidence.BackupJob) { j.Job = strings.Repeat("a", 65) }, "name"},
		"a tool with a path":      {func(j *evidence.BackupJob) { j.Tool = "/bin/x" }, "tool"},
		"an unknown result":       {func(j *evidence.BackupJob) { j.Result = "good" }, "result"},
		"failed without a reason": {func(j *evidence.BackupJob) { j.Result = "failed" }, "reason"},
		"a reason with a path":    {func(j *evidence.BackupJob) { j.Reasons = []string{"no /srv"} }, "reason"},
		"good without points": {func(j *evidence.BackupJob) {
			j.Points, j.NewestRestorable, j.OldestRestorable = 0, nil, nil
		}, "restorable point"},
		"points without times":      {func(j *evidence.BackupJob) { j.NewestRestorable, j.OldestRestorable = nil, nil }, "newest and oldest"},
		"newest before oldest":      {func(j *evidence.BackupJob) { j.NewestRestorable, j.OldestRestorable = &t0, &t1 }, "before the oldest"},
		"an unknown source":         {func(j *evidence.BackupJob) { j.Source = "" }, "source"},
		"an unknown run":            {func(j *evidence.BackupJob) { j.RunFrom = "guess" }, "runFrom"},
		"a negative count":          {func(j *evidence.BackupJob) { j.Files = -2 }, "least"},
		"a name as reporter":        {func(j *evidence.BackupJob) { j.ReportedBy = "mario" }, "uid"},
		"integrity without a time":  {func(j *evidence.BackupJob) { j.Integrity.Result = "ok" }, "time"},
		"integrity without a word":  {func(j *evidence.BackupJob) { j.Integrity.Result = "" }, "integrity"},
		"encryption without a word": {func(j *evidence.BackupJob) { j.Encryption = "" }, "encryption"},
		"days that go back":         {func(j *evidence.BackupJob) { j.Day[1].Day = "2026-11-21" }, "ascend"},
		"a day that is none":        {func(j *evidence.BackupJob) { j.Day[0].Day = "22.11.2026" }, "day"},
		"too many days":             {func(j *evidence.BackupJob) { j.Day = make([]evidence.BackupDay, 401) }, "400"},
	} {
		j := good()
		c.spoil(&j)
		if err := (evidence.Backup{Jobs: []evidence.BackupJob{j}}).Validate(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}
