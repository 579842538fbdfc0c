package health_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/host/hosttest"
	"github.com/attesto/attesto/evidence"
)

var testUnits = map[string]string{
	"good.service":     "[Service]\nExecStart=/bin/sleep 1000\n",
	"broken.service":   "[Service]\nExecStart=/bin/false\n",
	"loop.service":     "StartLimitIntervalSec=0\n[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=1000\n",
	"wrapper.service":  "[Service]\nType=oneshot\nExecStart=/bin/true\nRemainAfterExit=yes\n",
	"wrapper@.service": "PartOf=wrapper.service\n[Service]\nExecStart=/bin/false\n",
	"whole.service":    "[Service]\nType=oneshot\nExecStart=/bin/true\nRemainAfterExit=yes\n",
	"whole@.service":   "PartOf=whole.service\n[Service]\nExecStart=/bin/sleep 1000\n",
	"default.target":   "Wants=good.service broken.service loop.service wrapper.service wrapper@-.service whole.service whole@-.service\n",
}

// bootSystemd starts a systemd of its own in namespaces of its own, with the test's
// units only, and returns its process id and a Run that speaks with it.
func bootSystemd(t *testing.T) (pid int, run func(context.Context, host.Command) (host.Result, error)) {
	t.Helper()
	unshare, systemd := hosttest.NeedTool(t, "unshare"), hosttest.NeedTool(t, "systemd")
	hosttest.NeedTool(t, "nsenter")
	hosttest.NeedTool(t, "systemctl")
	if os.Geteuid() != 0 {
		t.Skip("a systemd in its own namespaces needs root; the recorded outputs in testdata stand for it")
	}
	dir := t.TempDir()
	for name, text := range testUnits {
		text = "[Unit]\nDescription=test\nDefaultDependencies=no\n" + text
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const script = `mount --make-rprivate / && mount -t tmpfs t /run && mount -t proc proc /proc &&
exec env container=test SYSTEMD_UNIT_PATH="$1" SYSTEMD_GENERATOR_PATH=/nonexistent SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/nonexistent \
  "$2" --system --unit=default.target --show-status=no --log-target=null`
	cmd := exec.CommandContext(t.Context(), unshare, "-fpmuinC", "--kill-child", "sh", "-c", script, "sh", dir, systemd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	run = func(ctx context.Context, c host.Command) (host.Result, error) {
		args := append([]string{"-t", strconv.Itoa(pid), "-m", "-p", "-i", "-n", "-u", "-C", c.Name}, c.Args...)
		return host.Exec(ctx, host.Command{Name: "nsenter", Args: args, Limit: c.Limit})
	}
	state := ""
	for range 100 {
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", cmd.Process.Pid, cmd.Process.Pid))
		if pid, _ = strconv.Atoi(strings.TrimSpace(string(children))); pid > 0 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			res, _ := run(ctx, host.Command{Name: "systemctl", Args: []string{"is-system-running"}})
			cancel()
			if state = strings.TrimSpace(string(res.Stdout)); state == "degraded" {
				return pid, run
			}
		}
		time.Sleep(100 * time.Millisecond) // another process starts up
	}
	t.Skipf("no systemd in namespaces here (state %q); the recorded outputs in testdata stand for it", state)
	return 0, nil
}

func TestRealSystemd(t *testing.T) {
	pid, run := bootSystemd(t)
	m := newMachine(t)
	m.Run = run
	c := m.collector("services: [good, whole, wrapper, broken, loop, absent]")
	f, l := m.look(c, nil)
	if want := []string{"broken.service", "wrapper@-.service"}; !slices.Equal(f.Units.Failed, want) || f.Units.Unread {
		t.Errorf("failed %+v, want %v", f.Units, want)
	}
	states := map[string]string{}
	for _, s := range f.Watched {
		states[strings.TrimSuffix(s.Name, ".service")] = s.State
	}
	for name, want := range map[string]string{"good": "running", "whole": "running", "wrapper": "stopped", "broken": "stopped", "loop": "stopped", "absent": "stopped"} {
		if states[name] != want {
			t.Errorf("%s is %q, want %s", name, states[name], want)
		}
	}
	if len(l.Gaps) != 1 || l.Gaps[0].What != "service absent.service" {
		t.Errorf("gaps %v", l.Gaps)
	}

	// A systemd that does not answer is no systemd without failed units.
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	f, l = m.look(c, l.Next)
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("took %v", took)
	}
	if !f.Units.Unread || f.Units.Failed != nil || f.Watched[0].State != evidence.ServiceUnknown || len(l.Gaps) != 2 ||
		!strings.Contains(l.Gaps[0].Why, "did not answer") {
		t.Errorf("a stopped systemd: %+v, gaps %v", f, l.Gaps)
	}
}
