package software

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// Advisory is one package of an advisory.
type Advisory struct {
	ID       string
	Type     string // "security", "bugfix", "enhancement", or as the tool writes it
	Severity string // "Important"; empty if none
	Name     string
	Version  string // EPOCH:VERSION-RELEASE without an epoch of zero
	Arch     string
	// Installed says that the package is there already, as --all marks it.
	Installed bool
}

// advisoryID is the shape of an advisory's name in the lists of RHEL and its
// kin, Fedora, EPEL, Oracle, Amazon and SUSE: letters, then a year or number.
var advisoryID = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._]*-[A-Za-z0-9:._-]+$`)

// ParseUpdateinfo reads dnf updateinfo list (dnf(8)) and dnf5 advisory list
// (dnf5-advisory(8)). Lines that are no advisory, such as dnf's notes on
// metadata and subscriptions, are passed over; output of notes alone is an empty
// list, which is not to say that nothing waits.
func ParseUpdateinfo(r io.Reader) ([]Advisory, error) {
	var out []Advisory
	err := eachLine(r, func(_ int, line string) error {
		f := strings.Fields(line)
		installed := len(f) > 0 && f[0] == "i"
		if installed {
			f = f[1:]
		}
		if strings.HasPrefix(line, "Error: ") {
			return fmt.Errorf("dnf failed: %s", show(line[7:]))
		}
		if len(f) < 3 || !advisoryID.MatchString(f[0]) || !strings.ContainsAny(f[0], "0123456789") {
			return nil
		}
		a := Advisory{ID: clip(f[0]), Type: f[1], Installed: installed}
		nevra := f[2]
		switch {
		case strings.HasSuffix(f[1], "/Sec."):
			a.Type, a.Severity = "security", strings.TrimSuffix(f[1], "/Sec.")
		case len(f) >= 4 && slices.Contains([]string{"security", "bugfix", "enhancement", "newpackage", "unspecified"}, f[1]):
			a.Severity, nevra = f[2], f[3] // dnf5: Name Type Severity Package Issued
		}
		var ok bool
		if a.Name, a.Version, a.Arch, ok = splitNEVRA(nevra); !ok {
			return nil
		}
		if len(out) >= maxPackages {
			return fmt.Errorf("more than %d advisories", maxPackages)
		}
		out = append(out, a)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("dnf's advisories: %w", err)
	}
	return out, nil
}

// splitNEVRA parts NAME-[EPOCH:]VERSION-RELEASE.ARCH.
func splitNEVRA(s string) (name, version, arch string, ok bool) {
	rest, arch, ok1 := cutLast(s, ".")
	rest, release, ok2 := cutLast(rest, "-")
	name, ver, ok3 := cutLast(rest, "-")
	if !ok1 || !ok2 || !ok3 || !word(name) || !word(ver) || !word(release) || !word(arch) {
		return "", "", "", false
	}
	epoch, ver := cutEpoch(ver)
	return name, rpmVersion(epoch, ver, release), arch, true
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// Available is one package that dnf could update.
type Available struct{ Name, Arch, Version, Repo string }

var checkRow = regexp.MustCompile(`^\S+\.[A-Za-z0-9_]+$`)

// ParseCheckUpdate reads dnf check-update: rows of NAME.ARCH, version and
// repository, which may be broken over lines, up to the list of obsoletes.
func ParseCheckUpdate(r io.Reader) ([]Available, error) {
	var out []Available
	var row []string
	ended := false
	err := eachLine(r, func(_ int, line string) error {
		switch {
		case strings.HasPrefix(line, "Error: "):
			return fmt.Errorf("dnf failed: %s", show(line[7:]))
		case strings.HasPrefix(line, "Obsoleting Packages") || strings.HasPrefix(line, "Obsoleting packages"):
			ended = true
		}
		f := strings.Fields(line)
		if ended || len(f) == 0 {
			return nil
		}
		begins := line[0] != ' ' && line[0] != '\t'
		switch {
		case begins && len(row) > 0:
			return fmt.Errorf("%s follows a row of %d columns, want 3", show(line), len(row))
		case begins && (len(f) > 3 || !checkRow.MatchString(f[0])), !begins && len(row) == 0:
			return nil // a note, such as on metadata or subscriptions
		}
		row = append(row, f...)
		if len(row) < 3 {
			return nil
		}
		a := row
		row = nil
		name, arch, ok := cutLast(a[0], ".")
		if len(a) != 3 || !ok || !word(name) || !word(a[1]) || !word(a[2]) || len(out) >= maxPackages {
			return fmt.Errorf("%s is no row of name, version and repository", show(line))
		}
		if !strings.Contains(a[1], "-") {
			return nil
		}
		out = append(out, Available{Name: name, Arch: arch, Version: strings.TrimPrefix(a[1], "0:"), Repo: strings.TrimPrefix(a[2], "@")})
		return nil
	})
	if err == nil && len(row) > 0 {
		err = fmt.Errorf("the last row has %d columns, want 3: the output was cut", len(row))
	}
	if err != nil {
		return nil, fmt.Errorf("dnf's updates: %w", err)
	}
	return out, nil
}

// ParseRepolist reads dnf repolist: the ids of the enabled repositories.
func ParseRepolist(r io.Reader) ([]string, error) {
	var out []string
	head := false
	err := eachLine(r, func(_ int, line string) error {
		f := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "Error: "):
			return fmt.Errorf("dnf failed: %s", show(line[7:]))
		case !head:
			head = len(f) >= 2 && f[0] == "repo" && f[1] == "id"
		case len(f) > 0 && len(out) < 10_000 && word(f[0]):
			out = append(out, f[0])
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("dnf's repositories: %w", err)
	}
	return out, nil
}
