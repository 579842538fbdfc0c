package antivirus_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/antivirus"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/host/hosttest"
	"github.com/attesto/attesto/evidence"
)

// TestRealClamAV has the real tools make a database, load it, fail to update it, and scan.
// Nothing is fetched: the mirror is this host, where nothing listens.
func TestRealClamAV(t *testing.T) {
	hosttest.NeedTool(t, "sigtool", "clamd", "clamscan", "freshclam")
	root, err := os.MkdirTemp("", "av") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	h := &host.Host{Root: root, Now: time.Now, Run: host.Exec, MachineKey: []byte("key")}
	put := func(path, text string) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(h.Path(path)), 0o755), os.WriteFile(h.Path(path), []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	run := func(dir string, ok func(int) bool, name string, args ...string) {
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Stdin = h.Path(dir), strings.NewReader("attesto\n")
		if out, err := cmd.CombinedOutput(); !ok(cmd.ProcessState.ExitCode()) {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
	}
	is := func(want int) func(int) bool { return func(got int) bool { return got == want } }

	put("/build/COPYING", "")
	put("/build/daily.ndb", "Attesto.Test:0:*:617474657374616d616c77617265\n")
	run("/build", is(0), "sigtool", "--unsigned", "--build=daily.cud", "--cvd-version=27800")
	made, err := os.ReadFile(h.Path("/build/daily.cud"))
	if err != nil {
		t.Fatal(err)
	}
	put("/var/lib/clamav/daily.cud", string(made))
	put("/srv/bad", "attestamalware")
	put("/usr/sbin/clamd", "")
	put("/proc/1/comm", "init\n")
	put("/etc/clamav/clamd.conf", "DatabaseDirectory /var/lib/clamav\nLocalSocket /clamd.sock\n") // as the host sees it
	put("/clamd.conf", "DatabaseDirectory "+h.Path("/var/lib/clamav")+"\nLocalSocket "+h.Path("/clamd.sock")+"\nForeground yes\n")
	put("/freshclam.conf", "DatabaseDirectory "+h.Path("/build")+"\nUpdateLogFile "+h.Path("/var/log/clamav/freshclam.log")+
		"\nLogTime yes\nDatabaseMirror 127.0.0.1\nDNSDatabaseInfo no\nConnectTimeout 2\nMaxAttempts 1\nDatabaseOwner root\n")
	put("/var/log/clamav/freshclam.log", "")
	run("/", is(1), "clamscan", "--database="+h.Path("/var/lib/clamav"), "--log="+h.Path("/var/log/clamav/clamscan.log"), h.Path("/srv"))
	if os.Getuid() == 0 {
		run("/", func(code int) bool { return code != 0 }, "freshclam", "--config-file="+h.Path("/freshclam.conf"), "--user=root")
	}
	clamd := exec.Command("clamd", "--config-file="+h.Path("/clamd.conf"))
	if err := clamd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = clamd.Process.Kill(); _ = clamd.Wait() })
	for range 200 {
		if conn, err := net.Dial("unix", h.Path("/clamd.sock")); err == nil {
			_ = conn.Close()
			break
		}
		time.Sleep(50 * time.Millisecond)
	}

	f, l := look(t, h, antivirus.Config{})
	p := f.Products[0]
	if p.Engine == "" || p.Served == "" || len(p.Definitions) != 1 || p.Definitions[0].Version != "27800" || p.Definitions[0].Built == nil {
		t.Errorf("%+v, gaps %v", p, l.Gaps)
	}
	if age, ok := p.Age(time.Now(), time.Now()); !ok || age < 0 || age > time.Hour {
		t.Errorf("age %s %t", age, ok)
	}
	if p.Running != evidence.Yes || p.Loaded == nil || p.Loaded.Version != "27800" {
		t.Errorf("running %s, loaded %+v, gaps %v", p.Running, p.Loaded, l.Gaps)
	}
	if p.Scan == nil || *p.Scan.Infected != 1 || p.Scan.At == nil {
		t.Errorf("scan %+v", p.Scan)
	}
	if os.Getuid() == 0 && (p.Update.Result != evidence.UpdateFailed || p.Update.Reason != evidence.UpdateUnreachable || p.Update.At == nil) {
		t.Errorf("update %+v, gaps %v", p.Update, l.Gaps)
	}
	if err := clamd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = clamd.Wait()
	if f, _ := look(t, h, antivirus.Config{}); f.Products[0].Running != evidence.No || f.Products[0].Loaded != nil {
		t.Errorf("after its end: %+v", f.Products[0])
	}
}
