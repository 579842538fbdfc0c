package evidence

import (
	"fmt"
	"slices"
)

// Web is what was found of the sites' own software in the document roots of a host.
type Web struct {
	Roots int    `json:"roots"` // folders that were looked into
	Sites []Site `json:"sites"`
}

// GapWeb begins what a gap of the sites names: it weakens what is said of sites alone.
const GapWeb = "web sites"

// SiteWordPress is the one application that is recognised so far.
const SiteWordPress = "wordpress"

// The answers to whether a site's own files are those of its producer.
const (
	FilesIntact     = "intact"
	FilesChanged    = "changed"
	FilesNotChecked = "not_checked" // there are no checksums of this release and language on the host
)

// Site is one application in a document root.
type Site struct {
	ID      string `json:"id"`  // a pseudonym of its folder that only the host can make, or the folder where the operator asks for names
	App     string `json:"app"` // SiteWordPress
	Version string `json:"version"`
	Locale  string `json:"locale,omitempty"` // of a localised package: "it_IT"
	Files   string `json:"files"`            // FilesIntact …
	// Changed counts files that are not as published, are missing, or should not be there.
	Changed int        `json:"changed,omitempty"`
	Plugins []SitePart `json:"plugins,omitempty"`
	Themes  []SitePart `json:"themes,omitempty"`
	// Unread says that plugins or themes could not all be read: what is listed is not all.
	Unread bool `json:"unread,omitempty"`
}

// SitePart is a plugin or theme that is there, switched on or not: one that is off can
// be reached all the same.
type SitePart struct {
	Name    string `json:"n"`           // of its folder, as the directory of WordPress knows it
	Version string `json:"v,omitempty"` // empty: it states none
}

// MaxSites and MaxSiteParts bound the sites of a look, and the plugins and themes of each.
const (
	MaxSites     = 1000
	MaxSiteParts = 300
)

func (w *Web) validate() error {
	if w == nil {
		return nil
	}
	if w.Roots < 0 || len(w.Sites) > MaxSites {
		return fmt.Errorf("%d sites in %d document roots", len(w.Sites), w.Roots)
	}
	seen := map[string]bool{}
	for _, s := range w.Sites {
		if s.ID == "" || len(s.ID) > 300 || seen[s.ID] || s.App != SiteWordPress || !plainWord(s.Version) || len(s.Locale) > 20 {
			return fmt.Errorf("site %q: %q %q: a name, once, a known application and a version are needed", s.ID, s.App, s.Version)
		}
		seen[s.ID] = true
		if !slices.Contains([]string{FilesIntact, FilesChanged, FilesNotChecked}, s.Files) || s.Changed < 0 || (s.Files == FilesChanged) != (s.Changed > 0) {
			return fmt.Errorf("site %q: files %q, %d changed", s.ID, s.Files, s.Changed)
		}
		if len(s.Plugins)+len(s.Themes) > 2*MaxSiteParts {
			return fmt.Errorf("site %q: %d plugins, %d themes", s.ID, len(s.Plugins), len(s.Themes))
		}
		for _, p := range slices.Concat(s.Plugins, s.Themes) {
			if !plainWord(p.Name) || p.Version != "" && !plainWord(p.Version) {
				return fmt.Errorf("site %q: part %q, version %q", s.ID, p.Name, p.Version)
			}
		}
	}
	return nil
}
