package software

import (
	"context"
	"crypto/md5" //nolint:gosec // the sums that WordPress publishes
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/attesto/attesto/evidence"
)

// unsummed are files of the package that a site changes or takes away rightly
// (developer.wordpress.org/cli/commands/core/verify-checksums/).
func unsummed(name string) bool {
	switch name {
	case "wp-config-sample.php", "readme.html", "license.txt", "index.php", ".htaccess":
		return true
	}
	return strings.HasPrefix(name, "wp-content/")
}

// checksums holds a site's core files to those that were published, where the host
// has the list of this release and language: CHECKSUMS/VERSION-LOCALE.json.
func (w *web) checksums(ctx context.Context, folder string, core Core, s *evidence.Site, d *siteDetail) {
	if w.c.cfg.Sites.Checksums == "" {
		return
	}
	locale := core.Locale
	if locale == "" {
		locale = "en_US"
	}
	b, err := w.c.h.ReadFile(path.Join(w.c.cfg.Sites.Checksums, core.Version+"-"+locale+".json"), 8<<20)
	if err != nil {
		return // not of this release: the facts say "not checked"
	}
	sums, err := ParseChecksums(b)
	if err != nil {
		w.gap("checksums", "%s-%s.json: %v", core.Version, locale, err)
		return
	}
	for name, want := range sums {
		if ctx.Err() != nil {
			w.gap("checksums", "%v", ctx.Err())
			return
		}
		if !unsummed(name) && filepath.IsLocal(name) && !w.sumIs(path.Join(folder, name), want) {
			d.Changed = append(d.Changed, clip(name))
		}
	}
	d.Changed = append(d.Changed, w.strangers(folder, sums)...)
	slices.Sort(d.Changed)
	s.Files, s.Changed = evidence.FilesIntact, len(d.Changed)
	if s.Changed > 0 {
		s.Files = evidence.FilesChanged
	}
	const named = 50
	d.Changed = d.Changed[:min(len(d.Changed), named)]
}

func (w *web) sumIs(file, want string) bool {
	f, err := w.open(file)
	if err != nil {
		return false
	}
	defer f.Close()  //nolint:errcheck // opened for reading
	sum := md5.New() //nolint:gosec // the sums that WordPress publishes
	if _, err := io.Copy(sum, io.LimitReader(f, 64<<20)); err != nil {
		return false
	}
	return hex.EncodeToString(sum.Sum(nil)) == strings.ToLower(want)
}

// strangers are files among WordPress' own that are of no package.
func (w *web) strangers(folder string, sums map[string]string) []string {
	var out []string
	root := w.c.h.Path(folder)
	for _, own := range []string{"wp-admin", "wp-includes"} {
		_ = filepath.WalkDir(filepath.Join(root, own), func(file string, e fs.DirEntry, err error) error {
			if err != nil || len(out) >= 10_000 {
				return filepath.SkipDir
			}
			name, err := filepath.Rel(root, file)
			if name = filepath.ToSlash(name); err == nil && !e.IsDir() && sums[name] == "" {
				out = append(out, clip(name))
			}
			return nil
		})
	}
	return out
}

// notThere reports whether an error says that a file is absent, or no file.
func notThere(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
