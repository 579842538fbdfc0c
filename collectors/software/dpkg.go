package software

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/attesto/attesto/collectors/host"
)

const (
	dpkgStatus  = "/var/lib/dpkg/status"
	dpkgFolder  = "/var/lib/dpkg/status.d" // one file a package, as in distroless images
	dpkgUpdates = "/var/lib/dpkg/updates"  // dpkg's journal: not empty while it works, or after it was interrupted
)

// stanza is the fields of one package that are of use.
type stanza struct{ name, version, arch, status string }

// ParseDpkgStatus reads dpkg's status database (dpkg-query(1), deb-control(5)).
// Installed are all packages whose files are on the disk; Broken are those that
// dpkg --audit would name for their state: half-installed, unpacked,
// half-configured, waiting for triggers, or to be reinstalled.
func ParseDpkgStatus(r io.Reader) (Inventory, error) { return parseDpkg(r, "") }

// parseDpkg reads stanzas; implied is the status of one that names none.
func parseDpkg(r io.Reader, implied string) (Inventory, error) {
	var inv Inventory
	var s stanza
	open := false
	done := func() error {
		if open {
			if s.status == "" {
				s.status = implied
			}
			inv.addDpkg(s)
		}
		s, open = stanza{}, false
		if len(inv.Packages) > maxPackages {
			return fmt.Errorf("more than %d packages", maxPackages)
		}
		return nil
	}
	err := eachLine(r, func(_ int, line string) error {
		switch {
		case strings.TrimSpace(line) == "":
			return done()
		case line[0] == ' ' || line[0] == '\t':
			if !open {
				return fmt.Errorf("%s continues nothing", show(line))
			}
			return nil
		}
		field, value, ok := strings.Cut(line, ":")
		if !ok || !word(field) {
			return fmt.Errorf("%s is no field of a package", show(line))
		}
		open = true
		s.set(field, strings.TrimSpace(value))
		return nil
	})
	if err == nil {
		err = done()
	}
	if err != nil {
		return Inventory{}, fmt.Errorf("dpkg's database: %w", err)
	}
	inv.nameForeign()
	return inv, nil
}

func (s *stanza) set(field, value string) {
	switch strings.ToLower(field) {
	case "package":
		s.name = value
	case "version":
		s.version = value
	case "architecture":
		s.arch = value
	case "status":
		s.status = value
	}
}

// addDpkg takes a stanza by its Status: what is wanted, an error flag, the state.
func (i *Inventory) addDpkg(s stanza) {
	if s.name == "" {
		i.gap("a package in dpkg's database", "has no name")
		return
	}
	state := strings.Fields(s.status)
	if len(state) == 0 {
		return // dpkg takes a package without a status for not installed
	}
	if !word(s.name) {
		i.gap("a package in dpkg's database", "its name %s is malformed", show(s.name))
		return
	}
	if len(state) != 3 {
		i.gap("package "+s.name, "its status %s is not of three words", show(s.status))
		return
	}
	broken := state[1] != "ok"
	switch state[2] {
	case "not-installed", "config-files":
		if broken {
			i.Broken = append(i.Broken, s.name)
		}
		return
	case "installed":
	case "half-installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending":
		broken = true
	default:
		i.gap("package "+s.name, "its state %s is not known", show(state[2]))
		return
	}
	if broken {
		i.Broken = append(i.Broken, s.name)
	}
	if !word(s.version) {
		if state[2] != "half-installed" {
			i.gap("package "+s.name, "its version %s is missing or malformed", show(s.version))
		}
		return
	}
	if s.arch != "" && !word(s.arch) {
		s.arch = ""
	}
	i.Packages = append(i.Packages, Installed{Name: s.name, Version: s.version, Arch: s.arch, State: state[2]})
}

// nameForeign writes packages of another architecture than dpkg's own as apt
// does: libc6:i386.
func (i *Inventory) nameForeign() {
	native := ""
	for _, p := range i.Packages {
		if p.Name == "dpkg" {
			native = p.Arch
		}
	}
	for n, p := range i.Packages {
		if native != "" && p.Arch != "" && p.Arch != "all" && p.Arch != native {
			i.Packages[n].Name += ":" + p.Arch
		}
	}
}

// readDpkg reads the host's database. found is false where dpkg is not in use.
func readDpkg(ctx context.Context, h *host.Host) (inv Inventory, found bool, err error) {
	f, err := h.Open(dpkgStatus)
	switch {
	case err == nil:
		defer f.Close() //nolint:errcheck // opened for reading
		inv, err = ParseDpkgStatus(f)
		if err != nil {
			return inv, true, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return inv, true, fmt.Errorf("dpkg's database: %w", plain(err))
	}
	files, err := h.Glob(dpkgFolder + "/*")
	if err != nil {
		return inv, true, err
	}
	for _, file := range files {
		if ctx.Err() != nil {
			return inv, true, ctx.Err()
		}
		if strings.HasSuffix(file, ".md5sums") {
			continue
		}
		inv.addFile(h, file)
	}
	if pending, err := h.Glob(dpkgUpdates + "/[0-9]*"); err == nil && len(pending) > 0 {
		inv.gap("dpkg's database", "dpkg is at work or was interrupted: if it is not at work, run dpkg --configure -a")
	}
	return inv, len(inv.Packages) > 0, nil
}

func (i *Inventory) addFile(h *host.Host, file string) {
	b, err := h.ReadFile(file, 1<<20)
	if err == nil {
		var one Inventory
		if one, err = parseDpkg(bytes.NewReader(b), "install ok installed"); err == nil {
			i.Packages = append(i.Packages, one.Packages...)
			i.Broken = append(i.Broken, one.Broken...)
			i.Gaps = append(i.Gaps, one.Gaps...)
			return
		}
	}
	i.gap("package file "+path.Base(file), "%v", plain(err))
}

// plain takes the path out of an error, for facts.
func plain(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
