package software

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// kernelImage is an installed kernel: its release as uname -r would say it.
type kernelImage struct {
	release, pkg, version string
	at                    time.Time // when it was installed; zero: not known
}

// debianKernel are the packages of Debian's, Ubuntu's and Proxmox's kernels.
var debianKernel = regexp.MustCompile(`^(?:linux-image(?:-unsigned)?|proxmox-kernel|pve-kernel)-(\d\S*?)(?:-unsigned|-signed)?$`)

// rpmKernel are the packages of the kernels of RHEL and its kin; kernel-core is
// the image where it is split off.
var rpmKernel = regexp.MustCompile(`^kernel(-core|-rt-core|-rt|-uek|-uek-core|-lt|-ml|-64k-core|-plus)?$`)

func kernels(manager string, packages []Installed) []kernelImage {
	var out []kernelImage
	for _, p := range packages {
		switch {
		case manager == managerDpkg:
			if m := debianKernel.FindStringSubmatch(p.Name); m != nil && p.State == "installed" {
				out = append(out, kernelImage{release: m[1], pkg: p.Name, version: p.Version})
			}
		case manager == managerRPM && rpmKernel.MatchString(p.Name) && p.Arch != "":
			k := kernelImage{release: p.Version + "." + p.Arch, pkg: p.Name, version: p.Version}
			if _, v, ok := strings.Cut(p.Version, ":"); ok {
				k.release = v + "." + p.Arch
			}
			for _, suffix := range []string{"rt", "64k"} {
				if strings.HasPrefix(p.Name, "kernel-"+suffix) {
					k.release += "+" + suffix
				}
			}
			if p.At > 0 {
				k.at = time.Unix(p.At, 0)
			}
			out = append(out, k)
		}
	}
	return out
}

// flavour is what follows the numbers of a kernel's release: of
// 6.1.0-25-cloud-amd64 it is cloud-amd64, of 5.14.0-362.el9_3.x86_64 the
// distribution's mark and x86_64.
func flavour(release string) string {
	parts := strings.Split(release, "-")
	for i, p := range parts {
		if i > 0 && p != "" && (p[0] < '0' || p[0] > '9') {
			return strings.Join(parts[i:], "-")
		}
	}
	if i := strings.LastIndexByte(release, '.'); i > 0 { // rpm's: VERSION-RELEASE.ARCH[+FLAVOUR]
		mark := ""
		if strings.Contains(release, "uek") {
			mark = "uek."
		}
		return mark + release[i+1:]
	}
	return ""
}

var (
	debianBuild = regexp.MustCompile(` Debian (\S+) \(`)        // in /proc/version
	ubuntuBuild = regexp.MustCompile(`^Ubuntu (\S+?)-[a-z]\S*`) // in /proc/version_signature
)

// kernel compares the running kernel with the newest one installed of its flavour.
func (l *look) kernel(images []kernelImage) {
	running := strings.TrimSpace(l.small("/proc/sys/kernel/osrelease"))
	l.kernelFacts.Running = clip(running)
	if running == "" {
		l.unknown("the running kernel", "its release cannot be read")
		return
	}
	var newest, same kernelImage
	for _, k := range images {
		if k.release == running {
			same = k
		}
		if flavour(k.release) == flavour(running) && (newest.release == "" || compareVersions(k.release, newest.release) > 0) {
			newest = k
		}
	}
	l.kernelFacts.Installed = newest.release
	switch {
	case newest.release == "" && l.container():
		return // the kernel is the container's host's
	case newest.release == "":
		l.unknown("the running kernel", clip(running)+" is of no installed package: it is supplied from outside, and whether it is current cannot be told here")
	case l.kernelFacts.Patched, l.kernelFacts.Effective != "" && compareVersions(l.kernelFacts.Effective, newest.release) >= 0:
		// live patches: what runs is older by its name alone
	case compareVersions(newest.release, running) > 0:
		l.restart("kernel", "kernel "+clip(newest.release)+" is installed, "+clip(running)+" runs", l.installedAt(newest))
	case same.pkg != "":
		if build := l.build(); build != "" && build != same.version && !strings.HasPrefix(same.version, build) {
			l.restart("kernel", "kernel "+clip(running)+" is installed in build "+clip(same.version)+", build "+clip(build)+" runs", l.installedAt(same))
		}
	}
}

// build is the version of the package that the running kernel was built as, where
// the kernel tells: one release is built more than once.
func (l *look) build() string {
	if m := ubuntuBuild.FindStringSubmatch(l.small("/proc/version_signature")); m != nil {
		return m[1]
	}
	if m := debianBuild.FindStringSubmatch(l.small("/proc/version")); m != nil {
		return m[1]
	}
	return ""
}

// installedAt is when a kernel was installed: by rpm's word, or by the time of
// dpkg's list of its files.
func (l *look) installedAt(k kernelImage) time.Time {
	if !k.at.IsZero() {
		return k.at
	}
	if info, err := l.h.Stat("/var/lib/dpkg/info/" + k.pkg + ".list"); err == nil {
		return info.ModTime()
	}
	return time.Time{}
}

// container reports whether this is a container, whose kernel is its host's: it
// has the mark of one, and no kernel thread of its own.
func (l *look) container() bool {
	if strings.TrimSpace(l.small("/proc/2/comm")) == "kthreadd" {
		return false
	}
	return slices.ContainsFunc([]string{"/run/systemd/container", "/.dockerenv", "/run/.containerenv", "/proc/vz/veinfo"}, func(path string) bool {
		_, err := l.h.Stat(path)
		return err == nil
	})
}

// small reads a file of a few lines; empty if it cannot.
func (l *look) small(path string) string {
	b, err := l.h.ReadFile(path, 64<<10)
	if err != nil {
		return ""
	}
	return string(b)
}

// rebootFiles are left by packages whose update needs a reboot (Debian,
// Ubuntu: update-notifier, unattended-upgrades' hooks).
var rebootFiles = []string{"/run/reboot-required", "/var/run/reboot-required"}

func (l *look) rebootFile() {
	for _, path := range rebootFiles {
		info, err := l.h.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			l.unknown("reboot-required", plain(err).Error())
			return
		}
		why := "asked for by updated packages"
		if names := packageNames(l.small(path + ".pkgs")); len(names) > 0 {
			why += ": " + strings.Join(names, ", ")
		}
		l.restart("reboot-required", clip(why), info.ModTime())
		return
	}
}

func packageNames(list string) []string {
	const most = 10
	var out []string
	for name := range strings.FieldsSeq(list) {
		if word(name) && !slices.Contains(out, name) && len(out) < most {
			out = append(out, name)
		}
	}
	return out
}

// restart notes a reason to restart, and since when it holds.
func (l *look) restart(key, why string, since time.Time) {
	first := l.cursor.first("restart "+key, l.now)
	if !since.IsZero() && since.Before(first) {
		first = since
		l.cursor.next["restart "+key] = since.UnixMilli()
	}
	l.reboot.Why = append(l.reboot.Why, why)
	if at := evidence.At(first); l.reboot.Since == nil || at.Before(l.reboot.Since.Time) {
		l.reboot.Since = &at
	}
}

// unknown notes a part of the question that has no answer.
func (l *look) unknown(what, why string) {
	l.gap(what, "%s", why)
	l.unsure = append(l.unsure, fmt.Sprintf("%s: %s", what, why))
}

// rebootFacts is the answer: a reason decides, then whether anything stayed open.
func (l *look) rebootFacts() evidence.Reboot {
	r := l.reboot
	switch {
	case len(r.Why) > 0:
		r.Needed = evidence.Yes
	case len(l.unsure) > 0:
		r.Needed, r.Why = evidence.Unknown, l.unsure
	default:
		r.Needed = evidence.No
	}
	return r
}
