package software

import (
	"context"
	"errors"
	"io/fs"
	"runtime"
	"strings"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

func (l *look) managerNamed(name string) (evidence.Manager, bool) {
	for _, m := range l.managers {
		if m.Name == name {
			return m, true
		}
	}
	return evidence.Manager{}, false
}

// detect says which package managers the host has, for doctor.
func detect(_ context.Context, h *host.Host) host.Detection {
	if runtime.GOOS != "linux" {
		return host.Detection{Missing: []host.Missing{{What: "a package manager of Linux", Cure: "none: this build reads dpkg, rpm and apk"}}}
	}
	var found []string
	var d host.Detection
	if info, err := h.Stat(dpkgStatus); err == nil && info.Size() > 0 {
		found = append(found, "dpkg")
		d.Missing = append(d.Missing, aptMissing(h)...)
	}
	if hasRPM(h) {
		found = append(found, "rpm")
	}
	for _, path := range apkDatabases {
		if _, err := h.Stat(path); err == nil {
			found = append(found, "apk")
			break
		}
	}
	d.Useful, d.Found = len(found) > 0, strings.Join(found, ", ")
	if !d.Useful {
		d.Missing = append(d.Missing, host.Missing{What: "a database of dpkg, rpm or apk", Cure: "none: this host has no package manager that the agent knows"})
	}
	d.Missing = append(d.Missing, h.Unread(webConfigs...)...)
	if f, err := h.Open("/proc/1/maps"); errors.Is(err, fs.ErrPermission) {
		d.Missing = append(d.Missing, host.Missing{
			What: "leave to see which programs still run replaced files",
			Cure: "add AmbientCapabilities=CAP_SYS_PTRACE to the agent's unit (systemctl edit attesto-agent), or run it as root",
		})
	} else if err == nil {
		_ = f.Close()
	}
	return d
}

// aptMissing says what apt needs for its answers to be worth something.
func aptMissing(h *host.Host) []host.Missing {
	if lists, err := h.Glob(aptLists + "/*Release"); err == nil && len(lists) == 0 {
		return []host.Missing{{What: "apt's lists: what waits cannot be told without them", Cure: "apt-get update"}}
	}
	if _, err := h.Stat(aptStamp); errors.Is(err, fs.ErrNotExist) {
		return []host.Missing{{
			What: "a sign of each successful apt-get update: without it the lists look as old as their last change",
			Cure: `echo 'APT::Update::Post-Invoke-Success {"touch ` + aptStamp + ` 2>/dev/null || true";};' > /etc/apt/apt.conf.d/15attesto-update-stamp`,
		}}
	}
	return nil
}
