package software

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

const (
	maxRoots    = 5000
	siteDepth   = 3 // folders below a document root in which a site may lie
	maxFolders  = 30_000
	webPatience = 4 * time.Minute // document roots may lie on a file system that hangs
	webGap      = evidence.GapWeb
)

// siteDetail names a site that the facts call by a pseudonym.
type siteDetail struct {
	ID      string   `json:"id"`
	Folder  string   `json:"folder"`
	Changed []string `json:"changed,omitempty"` // files that are not as published
}

// web is the search for sites. It runs beside the look, which goes on without it when
// a file system hangs.
type web struct {
	c       *collector
	facts   evidence.Web
	detail  []siteDetail
	gaps    []evidence.Gap
	folders int
	served  bool           // a web server has settings here
	seen    map[string]int // folders, and how deep below them was searched
}

// lookWeb looks for sites, unless an earlier search still hangs.
func (c *collector) lookWeb(ctx context.Context, l *look) []siteDetail {
	if c.cfg.Sites.off() {
		return nil
	}
	if !c.searching.CompareAndSwap(false, true) {
		l.gap(webGap, "the last search still waits for a file system")
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, webPatience)
	defer cancel()
	done := make(chan *web, 1)
	go func() {
		defer c.searching.Store(false)
		w := &web{c: c, seen: map[string]int{}}
		w.search(ctx)
		done <- w
	}()
	select {
	case w := <-done:
		l.web = &w.facts
		l.gaps = append(l.gaps, w.gaps...)
		return w.detail
	case <-ctx.Done():
		l.gap(webGap, "the search did not end in time: a file system may hang")
	}
	return nil
}

func (w *web) gap(what, format string, args ...any) {
	const most = 20
	if len(w.gaps) < most {
		w.gaps = append(w.gaps, evidence.Gap{What: webGap + ": " + what, Why: clip(fmt.Sprintf(format, args...))})
	}
}

func (w *web) search(ctx context.Context) {
	h, cfg := w.c.h, w.c.cfg.Sites
	patterns := slices.Clone(cfg.Folders)
	if cfg.Discover {
		patterns = slices.Concat(patterns, w.configuredRoots(), webFolders)
	}
	w.unlisted(cfg)
	roots := documentRoots(h, patterns)
	w.facts = evidence.Web{Roots: len(roots), Sites: []evidence.Site{}}
	for _, root := range roots {
		w.walk(ctx, root, 0)
	}
	host.SortFunc(w.facts.Sites, func(a, b evidence.Site) int { return cmp.Compare(a.ID, b.ID) })
}

// walk looks for sites in a folder and below it. What a site itself holds is not
// searched for others, but for folders beside WordPress' own.
func (w *web) walk(ctx context.Context, folder string, depth int) {
	real := w.real(folder)
	below, again := w.seen[real]
	if ctx.Err() != nil || again && below >= siteDepth-depth {
		return
	}
	w.seen[real] = siteDepth - depth
	if w.folders++; w.folders > maxFolders {
		if w.folders == maxFolders+1 {
			w.gap("folders", "more than %d: the rest was not searched", maxFolders)
		}
		return
	}
	if !again {
		w.site(ctx, folder)
	}
	if depth == siteDepth {
		return
	}
	entries, err := os.ReadDir(w.c.h.Path(folder))
	if err != nil {
		w.gap("a document root", "%v: run the agent with CAP_DAC_READ_SEARCH to see its sites", plain(err))
		return
	}
	for _, e := range entries[:min(len(entries), maxRoots)] {
		if e.IsDir() && !skipped[e.Name()] && !strings.HasPrefix(e.Name(), ".") {
			w.walk(ctx, path.Join(folder, e.Name()), depth+1)
		}
	}
}

// skipped are folders in which no site lies.
var skipped = map[string]bool{"wp-admin": true, "wp-includes": true, "wp-content": true, "node_modules": true, "vendor": true, "cgi-bin": true,
	"logs": true, "statistics": true, "error_docs": true, "system": true, "chroot": true, "lost+found": true}

// real follows links, so that a site that is reached by two ways counts once.
func (w *web) real(folder string) string {
	if real, err := filepath.EvalSymlinks(w.c.h.Path(folder)); err == nil {
		return real
	}
	return folder
}

// site reads the WordPress that lies in folder, if one does.
func (w *web) site(ctx context.Context, folder string) {
	php, err := w.read(path.Join(folder, "wp-includes/version.php"), 64<<10)
	if err != nil {
		if !notThere(err) {
			w.gap("a site", "its version cannot be read: %v", plain(err))
		}
		return
	}
	core, err := ParseWordPressVersion(php)
	if err != nil {
		w.gap("a site", "%v", err)
		return
	}
	if len(w.facts.Sites) == evidence.MaxSites {
		w.gap("sites", "more than %d: the rest was left out", evidence.MaxSites)
		return
	}
	s := evidence.Site{ID: w.name(folder), App: evidence.SiteWordPress, Version: core.Version, Locale: core.Locale, Files: evidence.FilesNotChecked}
	for _, content := range []string{"wp-content", "../wp-content", "../app"} { // the second and third as in Bedrock
		if w.content(&s, path.Join(folder, content)) {
			break
		}
	}
	d := siteDetail{ID: s.ID, Folder: folder}
	w.checksums(ctx, folder, core, &s, &d)
	w.facts.Sites = append(w.facts.Sites, s)
	w.detail = append(w.detail, d)
}

// name is a pseudonym of the site, the same in every look of this host, or its folder.
func (w *web) name(folder string) string {
	if w.c.cfg.Sites.Names {
		return clip(folder)
	}
	mac := hmac.New(sha256.New, w.c.h.MachineKey)
	mac.Write([]byte("site\x00" + folder))
	return "site-" + hex.EncodeToString(mac.Sum(nil)[:5])
}

// content reads the plugins and themes of a wp-content folder.
func (w *web) content(s *evidence.Site, folder string) bool {
	themes, err := os.ReadDir(w.c.h.Path(path.Join(folder, "themes")))
	if err != nil {
		return false
	}
	for _, e := range themes {
		file := path.Join(folder, "themes", e.Name(), "style.css")
		if v, ok := w.header(s, file, ParseThemeHeader); ok {
			w.part(s, &s.Themes, e.Name(), v)
		}
	}
	for _, sub := range []string{"plugins", "mu-plugins"} {
		entries, err := os.ReadDir(w.c.h.Path(path.Join(folder, sub)))
		if err != nil {
			s.Unread = s.Unread || !notThere(err)
			continue
		}
		for _, e := range entries {
			w.plugin(s, path.Join(folder, sub), e)
		}
	}
	return true
}

// plugin reads a plugin: a file of its own, or a folder with one file that has the head.
func (w *web) plugin(s *evidence.Site, folder string, e fs.DirEntry) {
	file := path.Join(folder, e.Name())
	if strings.HasSuffix(e.Name(), ".php") {
		if v, ok := w.header(s, file, ParsePluginHeader); ok {
			w.part(s, &s.Plugins, strings.TrimSuffix(e.Name(), ".php"), v)
		}
		return
	}
	info, err := w.c.h.Stat(file)
	if err != nil || !info.IsDir() {
		return
	}
	entries, err := os.ReadDir(w.c.h.Path(file))
	if err != nil {
		s.Unread = true
		return
	}
	// The main file mostly bears the folder's name: it is tried first.
	host.SortFunc(entries, func(a, b fs.DirEntry) int {
		main := func(d fs.DirEntry) int { return map[bool]int{true: 0, false: 1}[d.Name() == e.Name()+".php"] }
		return main(a) - main(b)
	})
	const most = 200
	for _, f := range entries[:min(len(entries), most)] {
		if !strings.HasSuffix(f.Name(), ".php") {
			continue
		}
		if v, ok := w.header(s, path.Join(file, f.Name()), ParsePluginHeader); ok {
			w.part(s, &s.Plugins, e.Name(), v)
			return
		}
	}
}

func (w *web) part(s *evidence.Site, list *[]evidence.SitePart, name, version string) {
	if !word(name) || len(*list) == evidence.MaxSiteParts {
		s.Unread = true
		return
	}
	*list = append(*list, evidence.SitePart{Name: name, Version: version})
}

func (w *web) header(s *evidence.Site, file string, parse func([]byte) (title, version string, ok bool)) (version string, ok bool) {
	f, err := w.open(file)
	if err != nil {
		s.Unread = s.Unread || !notThere(err)
		return "", false
	}
	defer f.Close() //nolint:errcheck // opened for reading
	b, err := io.ReadAll(io.LimitReader(f, headBytes))
	if err != nil {
		s.Unread = true
		return "", false
	}
	_, version, ok = parse(b)
	return version, ok
}

// open opens a plain file: a site's owner could have put a pipe or a device there.
func (w *web) open(file string) (*os.File, error) {
	info, err := w.c.h.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fs.ErrNotExist
	}
	return w.c.h.Open(file)
}

func (w *web) read(file string, limit int64) ([]byte, error) {
	if info, err := w.c.h.Stat(file); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fs.ErrNotExist
	}
	return w.c.h.ReadFile(file, limit)
}
