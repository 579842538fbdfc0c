package backup_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/backup"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/host/hosttest"
	"github.com/attesto/attesto/evidence"
)

// answers plays programs that cannot be installed here (kopia, proxmox-backup-client,
// Veeam Agent): by the words of a command what it prints, or the error of running it.
type answers map[string]any

func (a answers) run(_ context.Context, c host.Command) (host.Result, error) {
	line := c.Name + " " + strings.Join(c.Args, " ")
	for begin, answer := range a {
		if !strings.HasPrefix(line, begin) {
			continue
		}
		switch v := answer.(type) {
		case string:
			return host.Result{Stdout: []byte(v)}, nil
		case host.Result:
			return v, nil
		case error:
			return host.Result{}, v
		}
	}
	return host.Result{}, host.ErrNoProgram
}

func storeLook(t *testing.T, config string, a answers, files ...string) (map[string]string, host.Look) {
	t.Helper()
	h := &host.Host{Root: t.TempDir(), Now: func() time.Time { return time.Date(2026, 11, 23, 16, 0, 0, 0, time.UTC) }, Run: a.run, MachineKey: []byte("key")}
	for _, f := range files {
		if err := os.MkdirAll(filepath.Dir(h.Path(f)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(h.Path(f), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, err := backup.New(decodeYAML(config), h)
	if err != nil {
		t.Fatal(err)
	}
	look, err := c.Collect(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	if look.Facts != nil {
		f := look.Facts.(evidence.Backup)
		if err := f.Validate(); err != nil {
			t.Fatal(err)
		}
		for _, j := range f.Jobs {
			got[j.Job] = fmt.Sprintf("%s %v %d %s", j.Result, j.Reasons, j.Points, j.Source)
		}
	}
	return got, look
}

func TestStoresAreAsked(t *testing.T) {
	const one = `{"id":"1","source":{"host":"web1","path":"/srv"},"startTime":"2026-11-23T01:00:00Z","endTime":"2026-11-23T01:01:00Z","rootEntry":{"summ":{"size":9,"files":2,"numFailed":0}}}`
	const config = "{reports: 'off', repositories: [{name: far, tool: kopia, every: 24h}]}"
	denied := host.Result{Exit: 1, Stderr: "unable to open: Permission denied"}
	for _, tt := range []struct {
		name   string
		answer any
		want   string
		why    string
	}{
		{"one", "[" + one + "]", "map[far:ok [] 1 repository]", ""},
		{"none", "[]", "map[far:failed [no_points] 0 repository]", ""},
		{"absent", host.ErrNoProgram, "map[far:unknown [no_program] 0 repository]", "not installed"},
		{"no permission", denied, "map[far:unknown [no_permission] 0 repository]", "may not read"},
		{"wrong password", host.Result{Exit: 1, Stderr: "invalid repository password"}, "map[far:unknown [wrong_password] 0 repository]", "refuses the password"},
		{"another language", host.Result{Exit: 1, Stderr: "errore: archivio non raggiungibile"}, "map[far:unknown [exit_1] 0 repository]", "exit_1"},
		{"hangs", context.DeadlineExceeded, "map[far:unknown [timeout] 0 repository]", "in time"},
		{"cut in the middle", "[" + one[:60], "map[far:unknown [bad_output] 0 repository]", "cut off"},
		{"more than the agent takes", host.Result{Cut: true}, "map[far:unknown [bad_output] 0 repository]", "cut off"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, look := storeLook(t, config, answers{"kopia snapshot list --json --all": tt.answer})
			if fmt.Sprint(got) != tt.want {
				t.Errorf("%v, want %s", got, tt.want)
			}
			if (len(look.Gaps) > 0) != (tt.why != "") || tt.why != "" && !strings.Contains(look.Gaps[0].Why, tt.why) {
				t.Errorf("gaps %v, want %q", look.Gaps, tt.why)
			}
		})
	}
	got, look := storeLook(t, config, answers{"kopia": "[" + one + "," + strings.ReplaceAll(one, "/srv", "/home/mario.rossi") + "]"})
	if len(got) != 2 || strings.Contains(fmt.Sprint(got), "mario") || !strings.Contains(fmt.Sprint(look.Detail), "mario") {
		t.Errorf("facts hold paths, or detail does not: %v", got)
	}
	got, _ = storeLook(t, "{reports: 'off', repositories: [{name: pbs, tool: proxmox-backup, repository: 'a@pbs@host:store'}]}",
		answers{"proxmox-backup-client snapshot list": `[{"backup-type":"host","backup-id":"web1","backup-time":1795446525,"size":99,"files":[{"filename":"a","crypt-mode":"encrypt"}]}]`})
	if fmt.Sprint(got) != "map[pbs:ok [] 1 repository]" {
		t.Errorf("%v", got)
	}
	for text, want := range map[string]string{
		"{repositories: [{name: a, tool: duplicity}]}":                                       "is empty",
		"{repositories: [{name: a, tool: duplicity, repository: 'ftp://me:secret@host/x'}]}": "FTP_PASSWORD",
		"{repositories: [{name: a, tool: kopia, password_file: /x}]}":                        "env_file",
		"{repositories: [{name: a, tool: kopia, log: /x}]}":                                  "log is for",
		"{repositories: [{name: a, tool: tar}]}":                                             "want restic, borg, kopia",
	} {
		_, err := backup.New(decodeYAML(text), &host.Host{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestVeeamIsAsked(t *testing.T) {
	const backups = "Job name    Backup ID  Repository  Created at\nWeb Backup  {b1}       {r1}        2026-11-20 10:00\nTotal amount: 1\n"
	const points = "Job name    OIB ID  Type       Created at        Is corrupt\nWeb Backup  {1}     Full       2026-11-22 01:00  false\nWeb Backup  {2}     Increment  2026-11-23 01:00  false\n"
	ask := func(a answers) (map[string]string, host.Look) {
		return storeLook(t, "{reports: 'off'}", a, "/usr/bin/veeamconfig")
	}
	got, look := ask(answers{"veeamconfig session list": veeam("Success"), "veeamconfig backup list": backups, "veeamconfig point list --backupId {b1}": points})
	if fmt.Sprint(got) != "map[veeam Web Backup:ok [] 2 report]" || len(look.Gaps) != 0 {
		t.Errorf("%v, gaps %v", got, look.Gaps)
	}
	// A session that ended well and left nothing is a failure.
	got, _ = ask(answers{"veeamconfig session list": veeam("Success"), "veeamconfig backup list": backups, "veeamconfig point list": "Job name  Type  Created at\nTotal amount: 0\n"})
	if fmt.Sprint(got) != "map[veeam Web Backup:failed [no_point_made] 0 report]" {
		t.Errorf("%v", got)
	}
	got, look = ask(answers{"veeamconfig": host.Result{Exit: 1, Stderr: "Permission denied"}})
	if len(got) != 0 || len(look.Gaps) == 0 || !strings.Contains(look.Gaps[0].Why, "veeam.conf") {
		t.Errorf("%v, gaps %v", got, look.Gaps)
	}
	for name, answer := range map[string]any{"hangs": context.DeadlineExceeded, "cut": host.Result{Cut: true}, "other words": "Nome processo  Stato\n", "broken": errors.New("x")} {
		if got, look = ask(answers{"veeamconfig": answer}); len(got) != 0 || len(look.Gaps) == 0 {
			t.Errorf("%s: %v, gaps %v", name, got, look.Gaps)
		}
	}
}

func TestPleskIsRead(t *testing.T) {
	const in = "/var/lib/psa/dumps/.discovered/"
	got, look := storeLook(t, "{reports: 'off'}", nil, in+"backup_info_2611220100/dumpresult_SUCCESS", in+"backup_info_2611220100/status_OK", in+"backup_info_2611230100_2611220100/dumpresult_SUCCESS")
	if fmt.Sprint(got) != "map[plesk:ok [] 2 report]" || len(look.Gaps) != 0 {
		t.Errorf("%v, gaps %v", got, look.Gaps)
	}
	// The last session failed, and left nothing here.
	got, look = storeLook(t, "{reports: 'off'}", nil, in+"backup_info_2611220100/dumpresult_SUCCESS", "/opt/psa/PMM/sessions/2026-11-23-010000.1/migration.result")
	if len(got) != 1 || len(look.Gaps) != 1 || !strings.Contains(look.Gaps[0].What, "session") {
		t.Errorf("%v, gaps %v", got, look.Gaps)
	}
}

// A real store of duplicity, in another zone, and one that is gone.
func TestDuplicityIsAsked(t *testing.T) {
	hosttest.NeedTool(t, "duplicity")
	dir := t.TempDir()
	own := []string{"HOME=" + dir, "XDG_CACHE_HOME=" + filepath.Join(dir, "cache"), "PASSPHRASE=" + hosttest.Password, "TZ=Asia/Tokyo"}
	run := func(ctx context.Context, c host.Command) (host.Result, error) {
		c.Env = append(slices.Clone(own), c.Env...)
		return host.Exec(ctx, c)
	}
	if err := os.MkdirAll(filepath.Join(dir, "src"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "src", "a"), []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	res, err := run(t.Context(), host.Command{Name: "duplicity", Args: []string{"full", "--no-encryption", filepath.Join(dir, "src"), "file://" + dir + "/store"}})
	if err != nil || res.Exit != 0 {
		t.Fatal(res.Exit, res.Stderr, err)
	}
	look := func() evidence.BackupJob {
		h := &host.Host{Root: t.TempDir(), Now: time.Now, Run: run}
		c, err := backup.New(decodeYAML("{reports: 'off', repositories: [{name: dup, tool: duplicity, repository: 'file://"+dir+"/store', every: 24h}]}"), h)
		if err != nil {
			t.Fatal(err)
		}
		look, err := c.Collect(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return look.Facts.(evidence.Backup).Jobs[0]
	}
	j := look()
	want(t, j, evidence.BackupOK)
	if j.Points != 1 || time.Since(j.NewestRestorable.Time) > time.Hour {
		t.Errorf("%d points, newest %v: the zone is not taken into account", j.Points, j.NewestRestorable)
	}
	if err := os.RemoveAll(filepath.Join(dir, "store")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "cache")); err != nil {
		t.Fatal(err)
	}
	if j := look(); j.Result == evidence.BackupOK {
		t.Errorf("a store that is gone is ok: %+v", j)
	}
}
