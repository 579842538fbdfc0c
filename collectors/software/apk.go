package software

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// apkDatabases are where apk keeps its database, older releases last.
var apkDatabases = []string{"/usr/lib/apk/db/installed", "/lib/apk/db/installed"}

// ParseApkInstalled reads apk's database of installed packages: stanzas of
// one-letter fields (https://wiki.alpinelinux.org/wiki/Apk_spec). A package with
// the flag f, s or x (broken files, scripts, or unsupported) is broken.
func ParseApkInstalled(r io.Reader) (Inventory, error) {
	var inv Inventory
	var p Installed
	var broken bool
	done := func() {
		switch {
		case p == Installed{}:
		case !word(p.Name) || !word(p.Version):
			inv.gap("a package in apk's database", "name %s, version %s: one is missing or malformed", show(p.Name), show(p.Version))
		default:
			inv.Packages = append(inv.Packages, p)
			if broken {
				inv.Broken = append(inv.Broken, p.Name)
			}
		}
		p, broken = Installed{}, false
	}
	err := eachLine(r, func(_ int, line string) error {
		if line == "" {
			done()
			return nil
		}
		if len(line) < 2 || line[1] != ':' {
			return fmt.Errorf("%s is no field of a package", show(line))
		}
		switch value := line[2:]; line[0] {
		case 'P':
			p.Name = value
		case 'V':
			p.Version = value
		case 'A':
			p.Arch = value
		case 'f':
			broken = strings.ContainsAny(value, "fsx")
		}
		if len(inv.Packages) > maxPackages {
			return fmt.Errorf("more than %d packages", maxPackages)
		}
		return nil
	})
	if err != nil {
		return Inventory{}, fmt.Errorf("apk's database: %w", err)
	}
	done()
	return inv, nil
}

// readApk reads the host's database. found is false where apk is not in use.
func readApk(h *host.Host) (inv Inventory, found bool, err error) {
	for _, path := range apkDatabases {
		f, err := h.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return inv, true, fmt.Errorf("apk's database: %w", plain(err))
		}
		inv, err = ParseApkInstalled(f)
		_ = f.Close()
		return inv, len(inv.Packages) > 0 || err != nil, err
	}
	return inv, false, nil
}

// ParseApkVersion reads apk version -l '<': rows of NAME-VERSION, a sign, and the
// version that is available.
func ParseApkVersion(r io.Reader) ([]evidence.Update, error) {
	var out []evidence.Update
	err := eachLine(r, func(_ int, line string) error {
		f := strings.Fields(line)
		if strings.HasPrefix(line, "ERROR: ") {
			return fmt.Errorf("apk failed: %s", show(line[7:]))
		}
		if len(f) < 3 || f[1] != "<" {
			return nil
		}
		rest, release, ok1 := cutLast(f[0], "-")
		name, version, ok2 := cutLast(rest, "-")
		if !ok1 || !ok2 || !word(name) || !word(f[2]) || !word(f[0]) || len(out) >= maxPackages {
			return fmt.Errorf("%s is no row of package and version", show(line))
		}
		out = append(out, evidence.Update{Manager: managerApk, Name: name, Installed: version + "-" + release, Candidate: f[2], Unsorted: true})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("apk's versions: %w", err)
	}
	return out, nil
}

// apk asks apk what waits. Without an index of its repositories apk says that
// nothing does. Alpine does not tell security updates from others.
func (l *look) apk(ctx context.Context, m *evidence.Manager) {
	const what = "pending updates of apk packages"
	indexes, err := l.h.Glob("/var/cache/apk/APKINDEX.*")
	if err != nil || len(indexes) == 0 {
		l.gap(what, "there is no index of apk's repositories: run apk update")
		l.keepAges(m.Name)
		return
	}
	var newest time.Time
	for _, file := range indexes {
		if info, err := l.h.Stat(file); err == nil && info.ModTime().After(newest) && !info.ModTime().After(l.now) {
			newest = info.ModTime()
		}
	}
	if !newest.IsZero() {
		at := evidence.At(newest)
		m.Refreshed = &at
	}
	out, err := l.run(ctx, "apk", "--no-network", "version", "-l", "<")
	var updates []evidence.Update
	if err == nil {
		updates, err = ParseApkVersion(bytes.NewReader(out))
	}
	if err != nil {
		l.gap(what, "%v", err)
		l.keepAges(m.Name)
		return
	}
	l.pending = append(l.pending, updates...)
}
