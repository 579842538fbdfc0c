package backup_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/attesto/attesto/collectors/backup"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// etc is a host whose files are given and whose tools answer with nothing
// stored; it notes what they were started with.
type etc struct {
	host.Host
	commands []host.Command
}

func newEtc(t *testing.T, files map[string]string) *etc {
	t.Helper()
	e := &etc{}
	e.Root, e.Now = t.TempDir(), noonNow
	e.Run = func(_ context.Context, c host.Command) (host.Result, error) {
		e.commands = append(e.commands, c)
		out := "[]"
		if c.Name == "borg" {
			out = `{"archives":[],"encryption":{"mode":"none"},"repository":{"id":"x"}}`
		}
		if c.Args[0] == "list" && c.Name == "restic" {
			out = ""
		}
		return host.Result{Stdout: []byte(out)}, nil
	}
	for name, content := range files {
		path := e.Path(name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func (e *etc) look(t *testing.T, config string) host.Look {
	t.Helper()
	c, err := backup.Spec().New(decodeYAML(config), &e.Host)
	if err != nil {
		t.Fatal(err)
	}
	look, err := c.Collect(context.Background(), []byte("not a cursor"))
	if err != nil {
		t.Fatal(err)
	}
	return look
}

func decodeYAML(config string) func(any) error {
	return func(v any) error {
		if config == "" {
			return nil
		}
		dec := yaml.NewDecoder(strings.NewReader(config))
		dec.KnownFields(true)
		return dec.Decode(v)
	}
}

func (e *etc) saw(name, setting string) bool {
	return slices.ContainsFunc(e.commands, func(c host.Command) bool { return c.Name == name && slices.Contains(c.Env, setting) })
}

func TestNothingFound(t *testing.T) {
	e := newEtc(t, nil)
	look := e.look(t, "")
	if !look.Unsupported || look.Facts != nil || len(look.Gaps) != 1 || !strings.Contains(look.Gaps[0].Why, "attesto-agent report backup") {
		t.Errorf("look: %+v", look)
	}
	if d := backup.Spec().Detect(context.Background(), &e.Host); d.Useful || len(d.Missing) != 1 {
		t.Errorf("detection: %+v", d)
	}
}

func TestDiscovery(t *testing.T) {
	e := newEtc(t, map[string]string{
		"/etc/restic/paghe.env":      "# the job's own\nexport RESTIC_REPOSITORY=\"sftp:u@h:/r\"\nRESTIC_PASSWORD='a$b'\nLD_PRELOAD=/evil.so\nif true; then\n",
		"/etc/restic/web01.a.it.env": "RESTIC_REPOSITORY=/srv/web\n",
		"/etc/default/restic":        "OTHER=1\n",
		"/etc/restic/bad.env":        "RESTIC_REPOSITORY=$(cat /x)\n",
		"/etc/borgmatic/config.yaml": "repositories:\n    - path: ssh://b@h/./r\n      label: off-site\n    - /srv/borg\nencryption_passcommand: cat /etc/k\nssh_command: ssh -i /k\narchive_name_format: 'web-{now}'\nkeep_daily: 7\n",
		"/etc/borgmatic.d/old.yaml":  "location:\n    repositories:\n        - /srv/old\nstorage:\n    encryption_passphrase: hunter22\n",
		"/etc/borgmatic.d/bad.yaml":  "repositories: [\n",
	})
	d := backup.Spec().Detect(context.Background(), &e.Host)
	if !d.Useful || len(d.Missing) != 2 || !strings.Contains(d.Found, "/etc/restic/paghe.env") {
		t.Errorf("detection: %+v", d)
	}
	look := e.look(t, "")
	var names []string
	for _, j := range look.Facts.(evidence.Backup).Jobs {
		want(t, j, "failed", evidence.ReasonNoPoints)
		names = append(names, j.Job)
	}
	if !slices.Equal(names, []string{"paghe", "restic", "old", "off-site", "borgmatic"}) {
		t.Errorf("jobs: %v", names)
	}
	for _, s := range []struct{ name, setting string }{
		{"restic", "RESTIC_REPOSITORY=sftp:u@h:/r"}, {"restic", "RESTIC_PASSWORD=a$b"}, {"restic", "RESTIC_REPOSITORY=/srv/web"},
		{"borg", "BORG_REPO=ssh://b@h/./r"}, {"borg", "BORG_PASSCOMMAND=cat /etc/k"}, {"borg", "BORG_RSH=ssh -i /k"}, {"borg", "TZ=UTC"},
		{"borg", "BORG_REPO=/srv/old"}, {"borg", "BORG_PASSPHRASE=hunter22"},
	} {
		if !e.saw(s.name, s.setting) {
			t.Errorf("%s was not started with %s", s.name, s.setting)
		}
	}
	if e.saw("restic", "LD_PRELOAD=/evil.so") {
		t.Error("a setting that is no concern of restic was passed on")
	}
	if !slices.ContainsFunc(e.commands, func(c host.Command) bool { return slices.Contains(c.Args, "web-*") }) {
		t.Error("archive_name_format does not choose the archives")
	}
	facts, err := evidence.FactsBlob(look.Facts, look.Gaps)
	if err != nil {
		t.Fatal(err)
	}
	for _, private := range []string{"/etc/", "/srv", "web01", "hunter22", "a$b", "b@h"} {
		if strings.Contains(string(facts), private) {
			t.Errorf("facts hold %q: %s", private, facts)
		}
	}
	if len(look.Gaps) < 2 {
		t.Errorf("the unusable files make no gaps: %v", look.Gaps)
	}
}

func TestRedaction(t *testing.T) {
	e := newEtc(t, map[string]string{"/job.env": "AWS_SECRET_ACCESS_KEY=sAlTeD-key-1\nRESTIC_PASSWORD=sAlTeD-pass-2\n"})
	e.Run = func(_ context.Context, c host.Command) (host.Result, error) {
		return host.Result{Exit: 1, Stderr: "Fatal: " + strings.Join(c.Env, " ") + " rest:https://mario:sAlT%40ed-url-3@h.example/r sAlT@ed-url-3"}, nil
	}
	look := e.look(t, "repositories:\n  - {name: a, tool: restic, repository: 'rest:https://mario:sAlT%40ed-url-3@h.example/r?sig=sAlT', env_file: /job.env}\n")
	all, err := json.Marshal(look)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(all), "sAlT") {
		t.Errorf("a secret left the host: %s", all)
	}
	if !strings.Contains(string(all), "rest:https://h.example/r") {
		t.Errorf("the repository cannot be told: %s", all)
	}
}

func TestConfigRefused(t *testing.T) {
	const job = "repositories:\n  - {name: a, tool: restic, repository: /r, "
	for _, c := range []struct{ config, says string }{
		{"repositories:\n  - {name: a/b, tool: restic, repository: /r}\n", "letters"},
		{"repositories:\n  - {name: a, tool: tar, repository: /r}\n", "attesto-agent report"},
		{"repositories:\n  - {name: a, tool: restic}\n", "env_file"},
		{"repositories:\n  - {name: a, tool: borg, repository: /r}\n  - {name: a, tool: borg, repository: /s}\n", "twice"},
		{job + "check: always}\n", "structure, data or off"},
		{job + "check_every: 1m}\n", "1h"},
		{job + "check_subset: some}\n", "1/7"},
		{job + "archives: x}\n", "borg"},
		{job + "unit: '--help'}\n", "unit"},
		{job + "password_file: /a, password_command: b}\n", "give one"},
		{job + "evry: 24h}\n", "evry"},
	} {
		if _, err := backup.Spec().New(decodeYAML(c.config), host.Real()); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.config, err, c.says)
		}
	}
}

// TestUnit has the words of systemctl from its manual: no systemd runs where
// the tests do.
func TestUnit(t *testing.T) {
	const started = "ExecMainStartTimestamp=Mon 2026-11-23 02:00:00 UTC\n"
	const ended = "ExecMainExitTimestamp=Mon 2026-11-23 02:10:00 UTC\n"
	for _, c := range []struct{ name, out, result, reason string }{
		{"good", "LoadState=loaded\nActiveState=inactive\nResult=success\nExecMainStatus=0\n" + started + ended, "ok", ""},
		{"unread", "ActiveState=inactive\nResult=success\nExecMainStatus=3\n" + started + ended, "warning", "unread_source"},
		{"failed", "ActiveState=failed\nResult=exit-code\nExecMainStatus=1\n" + started + ended, "failed", "exit_1"},
		{"killed", "ActiveState=failed\nResult=signal\nExecMainStatus=9\n" + started + ended, "failed", "interrupted"},
		{"unknown", "LoadState=not-found\nActiveState=inactive\nResult=success\nExecMainStatus=0\n", "error", ""},
		{"never ran", "LoadState=loaded\nActiveState=inactive\nResult=success\nExecMainStatus=0\nExecMainExitTimestamp=\n", "error", ""},
		{"other zone", "ActiveState=inactive\nResult=success\nExecMainStatus=0\nExecMainExitTimestamp=Mon 2026-11-23 02:10:00 CET\n", "error", ""},
		{"no systemd", "", "error", ""},
	} {
		run, err := backup.ParseUnit([]byte(c.out), "restic")
		if (err != nil) != (c.result == "error") || err == nil && (run.Result != c.result || strings.Join(run.Reasons, "") != c.reason) {
			t.Errorf("%s: %+v, %v", c.name, run, err)
		}
	}
	run, err := backup.ParseUnit([]byte("ActiveState=activating\nResult=success\nExecMainStatus=0\n"), "restic")
	if err != nil || !run.Running {
		t.Errorf("under way: %+v, %v", run, err)
	}
}

func TestLogOfSeveralRuns(t *testing.T) {
	const good = `{"message_type":"summary","total_files_processed":3,"total_bytes_processed":9,"total_duration":60,"snapshot_id":"ab"}` + "\n"
	const unread = `{"message_type":"error","error":{"Op":"open","Path":"/x","Err":13},"during":"archival","item":"/x"}` + "\n" + good +
		`{"message_type":"exit_error","code":3,"message":"Warning: at least one source file could not be read"}` + "\n"
	const fatal = `{"message_type":"exit_error","code":12,"message":"Fatal: wrong password or no key found"}` + "\n"
	const status = `{"message_type":"status","percent_done":0.1}` + "\n"
	for _, c := range []struct{ name, log, result, reasons string }{
		{"good", status + good, "ok", ""},
		{"good after unread", unread + status + good, "ok", ""},
		{"unread after good", good + unread, "warning", "unread_source"},
		{"fatal after good", good + fatal, "failed", "wrong_password"},
		{"good after fatal", fatal + good, "ok", ""},
		{"stopped", good + status, "failed", "interrupted"},
		{"a try-out after unread", unread + strings.Replace(good, `"total_files`, `"dry_run":true,"total_files`, 1), "warning", "unread_source"},
		{"text", "error: open /x: permission denied\nFiles: 1 new\nsnapshot 1dbb3e0d saved\nWarning: at least one source file could not be read\n", "warning", "unread_source"},
		{"full", "Fatal: unable to save snapshot: write /r/x: no space left on device\n", "failed", "no_space"},
	} {
		run, err := backup.ParseResticBackup([]byte(c.log), noon)
		if err != nil || run.Result != c.result || strings.Join(run.Reasons, " ") != c.reasons {
			t.Errorf("%s: %+v, %v", c.name, run, err)
		}
	}
	if _, err := backup.ParseResticBackup([]byte("hello\n"), noon); err == nil {
		t.Error("a log without a run is accepted")
	}
}
