//go:build linux

package mail_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/eventlog"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/mail"
	"github.com/attesto/attesto/evidence"
)

// eximConf lets root send, and hands everything to where nothing listens.
const eximConf = `primary_hostname = mx.example.org
exim_user = mail
exim_group = mail
exim_path = DIR/exim4
spool_directory = DIR/spool
log_file_path = DIR/var/log/exim4/%slog
keep_environment =
never_users =
trusted_users = root
acl_smtp_auth = accept
acl_smtp_rcpt = accept
auth_advertise_hosts = *
begin routers
out:
  driver = manualroute
  transport = smtp
  route_list = * 127.0.0.1::1
  self = send
begin transports
smtp:
  driver = smtp
begin retry
* * F,2h,15m
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_set_id = $auth2
  server_condition = ${if eq{$auth3}{right}}
`

// eximRun starts Exim where its user is there: the program looks for the account that its
// package would have made, so files with that account are laid over the host's own, in a
// mount namespace that ends with it.
const eximRun = `#!/bin/sh
exec unshare --mount sh -c 'mount --bind DIR/passwd /etc/passwd && mount --bind DIR/group /etc/group && exec DIR/exim4 -C DIR/exim.conf "$@"' exim "$@"
`

// exim makes a host with a real Exim: its Debian package conflicts with Postfix's, so
// "make deps" unpacks it into the cache.
func exim(t *testing.T) (h *host.Host, run func(stdin string, args ...string) string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("Exim is started as root only")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(filepath.Join(cache, "attesto-tests/exim4-daemon-light/usr/sbin/exim4"))
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("Exim is missing: make deps: %v", err)
		}
		t.Skip("Exim is not there: make deps")
	}
	dir, err := os.MkdirTemp("", "exim") // its user must come to it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	h = &host.Host{Root: dir, Now: time.Now, MachineKey: []byte("key")}
	put(t, h, "/usr/sbin/exim4", "")
	put(t, h, "/exim.conf", strings.ReplaceAll(eximConf, "DIR", dir))
	put(t, h, "/run", strings.ReplaceAll(eximRun, "DIR", dir))
	put(t, h, "/exim4", string(program))
	for _, name := range []string{"passwd", "group"} {
		text, err := os.ReadFile("/etc/" + name)
		if err != nil {
			t.Fatal(err)
		}
		put(t, h, "/"+name, string(text)+map[string]string{"passwd": "Debian-exim:x:64999:64999::/nonexistent:/usr/sbin/nologin\n", "group": "Debian-exim:x:64999:\n"}[name])
	}
	owner, err := user.Lookup("mail")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(owner.Uid)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.Atoi(owner.Gid)
	for _, folder := range []string{"/spool", "/var/log/exim4"} {
		err = errors.Join(err, os.MkdirAll(dir+folder, 0o755), os.Chown(dir+folder, uid, gid))
	}
	if err = errors.Join(err, os.Chmod(dir, 0o755), os.Chmod(dir+"/exim4", 0o755|os.ModeSetuid), os.Chmod(dir+"/run", 0o755)); err != nil {
		t.Fatal(err)
	}
	h.Run = func(ctx context.Context, c host.Command) (host.Result, error) {
		if !strings.HasSuffix(c.Name, "/exim4") {
			return host.Result{}, fmt.Errorf("%s: %w", c.Name, host.ErrNoProgram)
		}
		c.Name = dir + "/run"
		return host.Exec(ctx, c)
	}
	return h, func(stdin string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), dir+"/run", args...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil && args[0] != "-M" { // a delivery that must wait ends with 1
			t.Fatalf("exim %v: %v: %s", args, err, out)
		}
		return string(out)
	}
}

// TestRealExim has an Exim of its own take messages that it cannot hand on, freezes one,
// and sees its queue, and by its main log who sent and who gave a wrong password.
func TestRealExim(t *testing.T) {
	h, run := exim(t)
	run("Subject: top secret\n\nhello\n", "-odq", "-f", "anna@example.org", "bruno@example.net", "clara@example.net")
	run("Subject: top secret\n\nhello\n", "-odq", "-f", "anna@example.org", "bruno@example.net")
	auth := func(password string) string {
		return "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00anna\x00"+password)) + "\r\n"
	}
	run("EHLO x\r\n"+auth("wrong")+auth("right")+"MAIL FROM:<anna@example.org>\r\nRCPT TO:<bruno@example.net>\r\nDATA\r\nSubject: top secret\r\n\r\nhi\r\n.\r\nQUIT\r\n",
		"-odq", "-bs", "-oMa", "192.0.2.7")
	var ids []string
	for line := range strings.Lines(run("", "-bp")) {
		if f := strings.Fields(line); len(f) == 4 {
			ids = append(ids, f[2])
		}
	}
	if len(ids) != 3 {
		t.Fatalf("queue %q", run("", "-bp"))
	}
	for _, id := range ids {
		run("", "-M", id)
	}
	run("", "-Mf", ids[1])
	f, l := look(t, newCollector(t, h, mail.Config{}), nil)
	log, err := os.ReadFile(h.Path("/var/log/exim4/mainlog"))
	if err != nil {
		t.Fatal(err)
	}
	if q := f.Queue; q == nil || q.Messages != 3 || q.Bytes == 0 || q.Oldest == nil || time.Since(q.Oldest.Time) > time.Hour || q.Held != 1 {
		t.Errorf("queue %s, gaps %v", text(t, q), l.Gaps)
	}
	// A recipient counts once its message is through: the log names none before.
	if f.Messages != 1 || f.Recipients != 0 || f.Deferred != 4 || len(l.Gaps) != 0 || f.Seen != 1 {
		t.Errorf("%s, gaps %v, of the log\n%s", text(t, f), l.Gaps, log)
	}
	all := text(t, struct {
		F evidence.Mail
		N string
	}{f, string(l.Next)})
	for _, secret := range []string{"top secret", "bruno", "anna", "clara", "wrong", "right"} {
		if strings.Contains(all, secret) {
			t.Errorf("%q left the host: %s", secret, all)
		}
	}
	rules(t, h)
}

// rules has the event log's rules read the same log.
func rules(t *testing.T, h *host.Host) {
	t.Helper()
	c, err := eventlog.Spec().New(func(any) error { return nil }, h)
	if err != nil {
		t.Fatal(err)
	}
	l, err := c.Collect(t.Context(), nil)
	if err != nil {
		t.Fatalf("%v, gaps %v", err, l.Gaps)
	}
	b, err := json.Marshal(l.Facts)
	if err != nil || !strings.Contains(string(b), `"sasl_failed"`) || !strings.Contains(string(b), "exim4/mainlog") {
		t.Errorf("%s (%v), gaps %v", b, err, l.Gaps)
	}
}
