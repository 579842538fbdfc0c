package mail_test

import (
	"context"
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

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/host/hosttest"
	"github.com/attesto/attesto/collectors/mail"
	"github.com/attesto/attesto/evidence"
)

const masterCf = `pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
smtp unix - - n - - smtp
showq unix n - n - - showq
retry unix - - n - - error
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`

// TestRealPostfix has a Postfix of its own take messages that it cannot hand on, since
// nothing listens where it must send them, and sees its queue and its log.
func TestRealPostfix(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("Postfix is started as root only")
	}
	hosttest.NeedTool(t, "postfix")
	dir, err := os.MkdirTemp("", "pf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	h := &host.Host{Root: dir, Now: time.Now, MachineKey: []byte("key")}
	h.Run = func(ctx context.Context, c host.Command) (host.Result, error) {
		if !strings.HasSuffix(c.Name, "postqueue") {
			return host.Result{}, fmt.Errorf("%s: %w", c.Name, host.ErrNoProgram)
		}
		c.Args = append([]string{"-c", dir + "/etc"}, c.Args...)
		return host.Exec(ctx, c)
	}
	put(t, h, "/usr/sbin/postqueue", "")
	put(t, h, "/var/log/maillog", "")
	put(t, h, "/etc/master.cf", masterCf)
	put(t, h, "/etc/main.cf", "compatibility_level = 3.6\nqueue_directory = "+dir+"/spool\ndata_directory = "+dir+"/data\nmaillog_file = "+dir+
		"/var/log/maillog\nmaillog_file_prefixes = "+dir+"\nmyhostname = mx.example.org\nmydestination =\ninet_interfaces = loopback-only\nrelayhost = [127.0.0.1]:1\nalias_maps =\nalias_database =\n")
	owner, err := user.Lookup("postfix")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(owner.Uid)
	if err = errors.Join(err, os.Mkdir(dir+"/spool", 0o755), os.Mkdir(dir+"/data", 0o755), os.Chown(dir+"/data", uid, -1), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	run := func(stdin string, name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Stdin = strings.NewReader(stdin)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
	}
	run("", "postfix", "-c", dir+"/etc", "start")
	t.Cleanup(func() { _ = exec.Command("postfix", "-c", dir+"/etc", "stop").Run() })
	for range 3 {
		run("Subject: top secret\n\nhello\n", "sendmail", "-C", filepath.Join(dir, "etc"), "-f", "anna@example.org", "bruno@example.net", "clara@example.net")
	}
	for range 100 {
		if log, err := os.ReadFile(h.Path("/var/log/maillog")); err != nil || strings.Count(string(log), "status=deferred") >= 6 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	f, l := look(t, newCollector(t, h, mail.Config{}), nil)
	q := f.Queue
	if q == nil || q.Messages != 3 || q.Deferred != 3 || q.Bytes == 0 || q.Oldest == nil || time.Since(q.Oldest.Time) > time.Minute || fmt.Sprint(q.Reasons) != "[{unreachable 6}]" {
		t.Errorf("queue %+v, gaps %v", q, l.Gaps)
	}
	if len(q.Senders) != 1 || q.Senders[0].Messages != 3 || q.Senders[0].Recipients != 6 || !strings.HasPrefix(q.Senders[0].Name, "account-") {
		t.Errorf("senders %+v", q.Senders)
	}
	if f.Deferred < 6 || len(l.Gaps) != 0 || f.Seen != 0 {
		t.Errorf("%+v, gaps %v", f, l.Gaps)
	}
	all, err := json.Marshal(struct {
		F evidence.Mail
		N []byte
	}{f, l.Next})
	for _, secret := range []string{"top secret", "bruno", "anna", "clara"} {
		if err != nil || strings.Contains(string(all), secret) || strings.Contains(string(l.Next), secret) {
			t.Errorf("%q left the host: %s (%v)", secret, all, err)
		}
	}
}
