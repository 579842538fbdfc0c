package software

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/attesto/attesto/collectors/host"
)

// rpmFormat is the query of which ParseRPM reads the answer.
const rpmFormat = `%{NAME}\t%{EPOCH}\t%{VERSION}\t%{RELEASE}\t%{ARCH}\t%{INSTALLTIME}\t%{VENDOR}\n`

const rpmNone = "(none)"

// ParseRPM reads the answer to rpm -qa --queryformat with name, epoch, version,
// release, architecture, install time and vendor, parted by tabs (rpm(8)). Keys,
// which rpm keeps as packages named gpg-pubkey, are left out. The answer to a
// plain rpm -qa, a line of NAME-VERSION-RELEASE.ARCH each, is read too.
func ParseRPM(r io.Reader) (Inventory, error) {
	var inv Inventory
	err := eachLine(r, func(_ int, line string) error {
		if line == "" || strings.HasPrefix(line, "gpg-pubkey-") || strings.HasPrefix(line, "gpg-pubkey\t") {
			return nil
		}
		f := strings.Split(line, "\t")
		if name, version, arch, ok := splitNEVRA(line); len(f) == 1 && ok {
			epoch, version := cutEpoch(version)
			version, release, _ := cutLast(version, "-")
			f = []string{name, epoch, version, release, arch, "", ""}
		}
		if len(f) != 7 {
			return fmt.Errorf("%s has %d fields, want 7", show(line), len(f))
		}
		for i, v := range f {
			if v == rpmNone {
				f[i] = ""
			}
		}
		if !word(f[0]) || !word(f[2]) || !word(f[3]) {
			return fmt.Errorf("%s has no name, version and release", show(line))
		}
		p := Installed{Name: f[0], Version: rpmVersion(f[1], f[2], f[3]), Arch: f[4], Vendor: clip(f[6])}
		if at, err := strconv.ParseInt(f[5], 10, 64); err == nil && at > 0 {
			p.At = at
		}
		if !word(p.Version) || p.Arch != "" && !word(p.Arch) || len(inv.Packages) >= maxPackages {
			return fmt.Errorf("%s: version, architecture or number of packages is beyond bounds", show(line))
		}
		inv.Packages = append(inv.Packages, p)
		return nil
	})
	if err != nil {
		return Inventory{}, fmt.Errorf("rpm's answer: %w", err)
	}
	return inv, nil
}

// ParseRPMInfo reads rpm -qai: a block of "Field : value" for each package.
func ParseRPMInfo(r io.Reader) (Inventory, error) {
	var inv Inventory
	var name, epoch, version, release, arch, vendor string
	done := func() error {
		if name == "" {
			return nil
		}
		p := Installed{Name: name, Version: rpmVersion(epoch, version, release), Arch: arch, Vendor: clip(vendor)}
		if !word(version) || !word(release) || !word(p.Version) || arch != "" && !word(arch) || len(inv.Packages) >= maxPackages {
			return fmt.Errorf("%s: version, architecture or number of packages is beyond bounds", show(name))
		}
		if name != "gpg-pubkey" {
			inv.Packages = append(inv.Packages, p)
		}
		name, epoch, version, release, arch, vendor = "", "", "", "", "", ""
		return nil
	}
	err := eachLine(r, func(_ int, line string) error {
		key, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if value == rpmNone {
			value = ""
		}
		switch field := strings.TrimSpace(key); {
		case !ok || strings.HasPrefix(line, " "):
		case field == "Name":
			if err := done(); err != nil {
				return err
			}
			if f := strings.Fields(value); len(f) > 0 && word(f[0]) { // older rpm: two columns
				name = f[0]
			}
		case field == "Epoch":
			epoch = value
		case field == "Version":
			version, _, _ = strings.Cut(value, " ")
		case field == "Release":
			release, _, _ = strings.Cut(value, " ")
		case field == "Architecture":
			arch = value
		case field == "Vendor":
			vendor = value
		}
		return nil
	})
	if err == nil {
		err = done()
	}
	if err == nil && len(inv.Packages) == 0 {
		err = errors.New("no block with a Name")
	}
	if err != nil {
		return Inventory{}, fmt.Errorf("rpm's answer: %w", err)
	}
	return inv, nil
}

// rpmVersion is EPOCH:VERSION-RELEASE without an epoch of zero, as dnf writes it.
func rpmVersion(epoch, version, release string) string {
	if epoch == "" || epoch == "0" {
		return version + "-" + release
	}
	return epoch + ":" + version + "-" + release
}

func cutEpoch(version string) (epoch, rest string) {
	if e, v, has := strings.Cut(version, ":"); has {
		return e, v
	}
	return "", version
}

// rpmDatabases are where rpm keeps its database, by age of distribution.
var rpmDatabases = []string{
	"/usr/lib/sysimage/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/Packages.db", "/usr/lib/sysimage/rpm/Packages",
	"/var/lib/rpm/rpmdb.sqlite", "/var/lib/rpm/Packages.db", "/var/lib/rpm/Packages",
}

// hasRPM reports whether this host has a database of rpm.
func hasRPM(h *host.Host) bool {
	for _, path := range rpmDatabases {
		if info, err := h.Stat(path); err == nil && info.Size() > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return false
}

// readRPM asks rpm what is installed. found is false where there is no database,
// or an empty one, as on a Debian with the rpm tool.
func (l *look) readRPM(ctx context.Context) (inv Inventory, found bool, err error) {
	if !hasRPM(l.h) {
		return inv, false, nil
	}
	out, err := l.run(ctx, "rpm", "-qa", "--queryformat", rpmFormat)
	if err != nil {
		return inv, true, err
	}
	inv, err = ParseRPM(strings.NewReader(string(out)))
	return inv, len(inv.Packages) > 0 || err != nil, err
}
