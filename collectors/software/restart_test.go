//go:build linux

package software_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/host/hosttest"
	"github.com/attesto/attesto/evidence"
)

func image(name, version string) string {
	return "Package: " + name + "\nStatus: install ok installed\nArchitecture: amd64\nVersion: " + version + "\n\n"
}

func TestKernel(t *testing.T) {
	const container = "container"
	for name, c := range map[string]struct {
		running   string
		packages  string
		rpm       string
		files     map[string]string
		installed string
		needed    string
		why       string
	}{
		"the newest runs": {running: "6.1.0-41-amd64", packages: image("linux-image-6.1.0-40-amd64", "6.1.140-1") + image("linux-image-6.1.0-41-amd64", "6.1.150-1"),
			installed: "6.1.0-41-amd64", needed: evidence.No},
		"a newer one is installed": {running: "6.1.0-9-amd64", packages: image("linux-image-6.1.0-9-amd64", "6.1.27-1") + image("linux-image-6.1.0-41-amd64", "6.1.150-1"),
			installed: "6.1.0-41-amd64", needed: evidence.Yes, why: "kernel 6.1.0-41-amd64 is installed, 6.1.0-9-amd64 runs"},
		"a newer one of another flavour": {running: "6.1.0-40-cloud-amd64", packages: image("linux-image-6.1.0-40-cloud-amd64", "6.1.140-1") + image("linux-image-6.1.0-41-amd64", "6.1.150-1"),
			installed: "6.1.0-40-cloud-amd64", needed: evidence.No},
		"a newer one that was removed": {running: "6.1.0-40-amd64", packages: image("linux-image-6.1.0-40-amd64", "6.1.140-1") + strings.Replace(image("linux-image-6.1.0-41-amd64", "6.1.150-1"), "install ok installed", "deinstall ok config-files", 1),
			installed: "6.1.0-40-amd64", needed: evidence.No},
		"another build of the same release": {running: "6.1.0-41-amd64", packages: image("linux-image-6.1.0-41-amd64", "6.1.150-2"),
			files:     map[string]string{"/proc/version": "Linux version 6.1.0-41-amd64 (debian-kernel@lists.debian.org) (gcc-12) #1 SMP PREEMPT_DYNAMIC Debian 6.1.150-1 (2025-08-01)\n"},
			installed: "6.1.0-41-amd64", needed: evidence.Yes, why: "installed in build 6.1.150-2, build 6.1.150-1 runs"},
		"the same build": {running: "6.1.0-41-amd64", packages: image("linux-image-6.1.0-41-amd64", "6.1.150-1"),
			files:     map[string]string{"/proc/version": "Linux version 6.1.0-41-amd64 () #1 SMP Debian 6.1.150-1 (2025-08-01)\n"},
			installed: "6.1.0-41-amd64", needed: evidence.No},
		"Ubuntu": {running: "5.15.0-91-generic", packages: image("linux-image-5.15.0-91-generic", "5.15.0-91.101") + image("linux-image-5.15.0-100-generic", "5.15.0-100.110"),
			files:     map[string]string{"/proc/version_signature": "Ubuntu 5.15.0-91.101-generic 5.15.131\n"},
			installed: "5.15.0-100-generic", needed: evidence.Yes, why: "5.15.0-100-generic is installed"},
		"Ubuntu, the newest": {running: "5.15.0-91-generic", packages: image("linux-image-5.15.0-91-generic", "5.15.0-91.101"),
			files:     map[string]string{"/proc/version_signature": "Ubuntu 5.15.0-91.101-generic 5.15.131\n"},
			installed: "5.15.0-91-generic", needed: evidence.No},
		"Proxmox": {running: "6.8.12-1-pve", packages: image("proxmox-kernel-6.8.12-1-pve-signed", "6.8.12-1") + image("proxmox-kernel-6.8.12-15-pve-signed", "6.8.12-15"),
			installed: "6.8.12-15-pve", needed: evidence.Yes, why: "6.8.12-15-pve is installed"},
		"Debian 13": {running: "6.12.43+deb13-amd64", packages: image("linux-image-6.12.43+deb13-amd64", "6.12.43-1") + image("linux-image-6.12.48+deb13-amd64", "6.12.48-1"),
			installed: "6.12.48+deb13-amd64", needed: evidence.Yes, why: "6.12.48+deb13-amd64 is installed"},
		"AlmaLinux": {running: "5.14.0-362.8.1.el9_3.x86_64", rpm: "kernel-core\t(none)\t5.14.0\t362.8.1.el9_3\tx86_64\t1700000000\tAlmaLinux\nkernel-core\t(none)\t5.14.0\t427.13.1.el9_4\tx86_64\t1715000000\tAlmaLinux\n",
			installed: "5.14.0-427.13.1.el9_4.x86_64", needed: evidence.Yes, why: "5.14.0-427.13.1.el9_4.x86_64 is installed"},
		"AlmaLinux, the newest": {running: "5.14.0-427.13.1.el9_4.x86_64", rpm: "kernel-core\t(none)\t5.14.0\t427.13.1.el9_4\tx86_64\t1715000000\tAlmaLinux\n",
			installed: "5.14.0-427.13.1.el9_4.x86_64", needed: evidence.No},
		"a container":                {running: "6.1.0-41-amd64", packages: image("bash", "5"), files: map[string]string{"/run/systemd/container": container}, needed: evidence.No},
		"a kernel from outside":      {running: "6.18.44-fc", packages: image("bash", "5"), needed: evidence.Unknown, why: "supplied from outside"},
		"a machine with a mark only": {running: "6.18.44-fc", packages: image("bash", "5"), files: map[string]string{"/.dockerenv": "", "/proc/2/comm": "kthreadd\n"}, needed: evidence.Unknown, why: "supplied from outside"},
		"asked for by a package": {running: "6.1.0-41-amd64", packages: image("linux-image-6.1.0-41-amd64", "6.1.150-1"),
			files:     map[string]string{"/run/reboot-required": "*** System restart required ***\n", "/run/reboot-required.pkgs": "libc6\nlibc6\nsystemd\n"},
			installed: "6.1.0-41-amd64", needed: evidence.Yes, why: "asked for by updated packages: libc6, systemd"},
	} {
		t.Run(name, func(t *testing.T) {
			a := answers{"policy": {}, "dist-upgrade": {Stdout: []byte(upToDate)}}
			m := newMachine(t, lookAt)
			m.host.Run = a.run
			m.write("/proc/sys/kernel/osrelease", c.running+"\n")
			if c.rpm != "" {
				m.write("/var/lib/rpm/rpmdb.sqlite", "x")
				a["rpm -qa"] = host.Result{Stdout: []byte(c.rpm)}
			} else {
				m.write("/var/lib/dpkg/status", c.packages)
			}
			for path, content := range c.files {
				m.write(path, content)
			}
			f, _, _ := m.look(nil)
			if f.Kernel.Running != c.running || f.Kernel.Installed != c.installed || f.Reboot.Needed != c.needed || !strings.Contains(strings.Join(f.Reboot.Why, "; "), c.why) {
				t.Errorf("%+v, %+v: want %q installed, needed %s because %q", f.Kernel, f.Reboot, c.installed, c.needed, c.why)
			}
			if (f.Reboot.Since != nil) != (c.needed == evidence.Yes) {
				t.Errorf("since %v", f.Reboot.Since)
			}
		})
	}
}

func TestRebootSince(t *testing.T) {
	m := newMachine(t, lookAt)
	m.host.Run = answers{}.run
	m.write("/var/lib/dpkg/status", image("linux-image-6.1.0-42-amd64", "6.1.160-1")+image("bash", "5"))
	m.write("/var/lib/dpkg/info/linux-image-6.1.0-42-amd64.list", "")
	at := lookAt.Add(-50 * time.Hour)
	m.do(os.Chtimes(m.root+"/var/lib/dpkg/info/linux-image-6.1.0-42-amd64.list", at, at))
	f, _, cursor := m.look(nil)
	if f.Reboot.Since == nil || !f.Reboot.Since.Equal(at) {
		t.Errorf("the kernel was installed at %v: since %v", at, f.Reboot.Since)
	}
	m.do(os.Remove(m.root + "/var/lib/dpkg/info/linux-image-6.1.0-42-amd64.list"))
	if f, _, _ = m.look(cursor); !f.Reboot.Since.Equal(at) {
		t.Errorf("remembered: since %v, want %v", f.Reboot.Since, at)
	}
}

const staleMap = "7f0000000000-7f0000001000 r-xp 00000000 fe:01 1234 /usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)\n"

func TestProcesses(t *testing.T) {
	m := newMachine(t, lookAt)
	m.host.Run = answers{}.run
	m.write("/var/lib/dpkg/status", kernelStanza)
	m.write("/proc/self/status", "Name:\tx\nNSpid:\t10\n")
	m.write("/proc/20/maps", staleMap)
	m.write("/proc/20/status", "Name:\tsshd\nNSpid:\t20\n")
	m.do(os.Symlink("/usr/sbin/sshd (deleted)", m.root+"/proc/20/exe"))
	m.write("/proc/30/maps", staleMap)
	m.write("/proc/30/status", "Name:\tnginx\nNSpid:\t30\t1\n") // in a container
	f, _, cursor := m.look(nil)
	if f.Reboot.Needed != evidence.Yes || !slices.Equal(f.Reboot.Why, []string{"sshd still runs replaced libssl.so.3"}) {
		t.Errorf("%+v", f.Reboot)
	}
	m.host.Now = func() time.Time { return lookAt.Add(24 * time.Hour) }
	if f, _, _ = m.look(cursor); f.Reboot.Since == nil || !f.Reboot.Since.Equal(lookAt) {
		t.Errorf("a day later: since %v", f.Reboot.Since)
	}
	m.write("/proc/20/maps", "")
	if f, _, _ = m.look(cursor); f.Reboot.Needed != evidence.No {
		t.Errorf("restarted: %+v", f.Reboot)
	}
}

func TestProcessesOfOthers(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root reads every file")
	}
	m := newMachine(t, lookAt)
	m.host.Run = answers{}.run
	m.write("/var/lib/dpkg/status", kernelStanza)
	m.write("/proc/20/maps", staleMap)
	m.write("/proc/20/stat", "20 (a (b) c) S 1 20 20 0 -1 4194560 1 2\n")
	m.write("/proc/21/maps", "")
	m.write("/proc/21/stat", "21 (kworker/0:0) I 2 0 0 0 -1 69238880 0 0\n")
	for _, pid := range []string{"20", "21"} {
		m.do(os.Chmod(m.root+"/proc/"+pid+"/maps", 0))
	}
	f, gaps, _ := m.look(nil)
	if f.Reboot.Needed != evidence.Unknown || !strings.Contains(gaps, "running programs: 1 processes cannot be read") {
		t.Errorf("%+v, gaps %s", f.Reboot, gaps)
	}
}

// TestRealProcess runs a program, replaces its file as an update does, and finds it.
func TestRealProcess(t *testing.T) {
	hosttest.NeedTool(t, "sleep", "apt-get")
	if os.Getuid() != 0 {
		t.Skip("a program can be put into /opt by root only")
	}
	dir, err := os.MkdirTemp("/opt", "attesto-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	from, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "attesto-sleeper")
	if err := os.WriteFile(program, b, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	m := &machine{t: t, host: host.Real()}
	m.host.Run = answers{}.run
	const why = "attesto-sleeper still runs replaced attesto-sleeper"
	if f, _, _ := m.look(nil); slices.Contains(f.Reboot.Why, why) {
		t.Errorf("before: %v", f.Reboot.Why)
	}
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	if f, _, _ := m.look(nil); f.Reboot.Needed != evidence.Yes || !slices.Contains(f.Reboot.Why, why) {
		t.Errorf("after: %+v", f.Reboot)
	}
}
