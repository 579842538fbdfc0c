package main

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cli runs the program as a shell would, on a folder of its own.
type cli struct {
	t   *testing.T
	dir string
}

func newCLI(t *testing.T) cli {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "server.yaml"), []byte("name: proof.example\ndata: "+dir+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return cli{t, dir}
}

func (c cli) run(args ...string) (code int, out, errOut string) {
	c.t.Helper()
	var o, e bytes.Buffer
	args = append(args, "--config", filepath.Join(c.dir, "server.yaml"))
	code = run(context.Background(), args, strings.NewReader("correct horse battery\n"), &o, &e)
	return code, strings.TrimSpace(o.String()), strings.TrimSpace(e.String())
}

func (c cli) must(args ...string) string {
	c.t.Helper()
	code, out, errOut := c.run(args...)
	if code != exitOK {
		c.t.Fatalf("%v: exit %d: %s", args, code, errOut)
	}
	return out
}

func TestFromNothingToAToken(t *testing.T) {
	c := newCLI(t)
	provider := c.must("org", "add", "--kind", "provider", "--name", "Example Hosting")
	customer := c.must("org", "add", "--name", "Example Shop", "--services", "wh,pe", "--lang", "it")
	list := c.must("org", "list")
	if !strings.Contains(list, provider) || !strings.Contains(list, "Example Shop") || !strings.Contains(list, "wh,pe") {
		t.Errorf("list:\n%s", list)
	}
	token := c.must("token", "create", "--org", "example shop", "--ttl", "10m", "--note", "web1")
	if !strings.HasPrefix(token, "att1.") {
		t.Errorf("token %q", token)
	}
	if got := c.must("token", "list", "--org", customer, "--json"); !strings.Contains(got, `"note":"web1"`) || !strings.Contains(got, `"uses":"0/1"`) ||
		strings.Contains(got, strings.Split(token, ".")[2]) {
		t.Errorf("tokens: %s", got)
	}
	if got := c.must("log", "list"); !strings.Contains(got, "proof.example/t/"+customer+"/1") {
		t.Errorf("logs: %s", got)
	}
	c.must("migrate")
	if code, out, errOut := c.run("check"); code != exitOK || out != "" || !strings.Contains(errOut, "Sound: 2 logs") {
		t.Errorf("check: exit %d, %q, %q", code, out, errOut)
	}
	db, err := sql.Open("sqlite", filepath.Join(c.dir, "attesto.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(context.Background(), `DELETE FROM checkpoint WHERE log_id = (SELECT id FROM log WHERE org_id = $1)`, customer); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := c.run("check"); code != exitFailed || !strings.Contains(out, customer+"/1, checkpoint of 0: missing") {
		t.Errorf("check of a changed database: exit %d, %q", code, out)
	}
}

func TestWrongCalls(t *testing.T) {
	c := newCLI(t)
	c.must("org", "add", "--kind", "provider", "--name", "Example Hosting")
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"nonsense"}, exitMisused, "unknown command"},
		{[]string{"org", "add", "--nam", "x"}, exitMisused, "unknown flag"},
		{[]string{"org", "add", "extra"}, exitMisused, "unknown command"},
		{[]string{"org", "add", "--kind", "provider", "--name", "Second"}, exitFailed, "exactly one"},
		{[]string{"org", "add", "--name", " "}, exitFailed, "name"},
		{[]string{"org", "add", "--name", "x", "--services", "sc,xx"}, exitFailed, "sc,wh,pe,bk"},
		{[]string{"org", "add", "--name", "x", "--zone", "Europe/Nowhere"}, exitFailed, "IANA"},
		{[]string{"token", "create"}, exitMisused, "--org"},
		{[]string{"token", "create", "--org", "nobody"}, exitMisused, "org list"},
		{[]string{"token", "create", "--org", "Example Hosting", "--ttl", "200h"}, exitFailed, "168h"},
		{[]string{"token", "create", "--org", "Example Hosting", "--uses", "0"}, exitFailed, "uses"},
		{[]string{"agent", "revoke", "a_x"}, exitMisused, "--reason"},
		{[]string{"agent", "revoke", "a_x", "--reason", "lost"}, exitFailed, "not found; attesto-server agent list --org ORG shows those that there are"},
		{[]string{"channel", "remove", "c_none"}, exitMisused, "channel list"},
		{[]string{"rejudge", "--from", "2026-06-01", "--org", "o_nope"}, exitMisused, "attesto-server org list"},
		{[]string{"rejudge", "--from", "June"}, exitMisused, `--from: "June": want a day such as 2026-06-01`},
		{[]string{"rejudge", "--from", "2026-06-01", "--to", "2026-31-06"}, exitMisused, `--to: "2026-31-06": want a day such as`},
		{[]string{"rejudge", "--from", "2026-06-01", "--duty", "WH-P11"}, exitFailed, `duty "WH-P11" does not exist: there are WH-P1, `},
		{[]string{"param", "set", "--org", "o_nope", "late_counts", "1"}, exitMisused, "attesto-server org list"},
		{[]string{"param", "set", "late_counts", "1"}, exitMisused, "attesto-server org list"},
		{[]string{"param", "list", "--org", "o_nope"}, exitMisused, "attesto-server org list"},
		{[]string{"param", "set", "--org", "Example Hosting", "--duty", "XX-P1", "--part", "backup", "grace", "1"}, exitFailed, `duty "XX-P1" does not exist: there are `},
		{[]string{"param", "set", "--org", "Example Hosting", "--duty", "SC-C1", "--part", "accounts", "age", "30"}, exitFailed, "duty SC-C1: Example Hosting does not owe it: it is the customer's"},
		{[]string{"param", "set", "--org", "Example Hosting", "--duty", "WH-P1", "--part", "backups", "grace", "1"}, exitFailed, "duty WH-P1: there is no part backups: it has backup, review"},
		{[]string{"param", "set", "--org", "Example Hosting", "--duty", "WH-P1", "--part", "backup", "grase", "1"}, exitFailed, `duty WH-P1: part backup: parameter "grase" does not exist: there are grace, `},
		{[]string{"param", "set", "--org", "Example Hosting", "--duty", "WH-P1", "--part", "backup", "retention", "0"}, exitFailed, "duty WH-P1: part backup: retention: 0 days is outside 35 to 3650 days"},
		{[]string{"check", "--store", "mysql://x"}, exitFailed, "sqlite:PATH"},
	} {
		code, _, errOut := c.run(tt.args...)
		if code != tt.code || !strings.Contains(errOut, tt.want) {
			t.Errorf("%v: exit %d, %q; want %d, %q", tt.args, code, errOut, tt.code, tt.want)
		}
	}
}
