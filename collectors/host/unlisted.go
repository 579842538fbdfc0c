package host

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// maxListed bounds how many folders of one step of a pattern are tried.
const maxListed = 1000

// Unlisted names the folders on the way of patterns (whole paths, as for Glob) that this
// process may not list or enter. Glob passes over them in silence (path/filepath: "ignores
// file system errors"), so that what lies in them would be taken for not there.
func (h *Host) Unlisted(patterns ...string) []string {
	var out []string
	for _, pattern := range patterns {
		level := []string{"/"}
		for part := range strings.SplitSeq(strings.Trim(pattern, "/"), "/") {
			var next []string
			for _, dir := range level[:min(len(level), maxListed)] {
				found, err := h.step(dir, part)
				if errors.Is(err, fs.ErrPermission) {
					out = append(out, dir)
				}
				next = append(next, found...)
			}
			level = next
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// step is what one part of a pattern matches in a folder.
func (h *Host) step(dir, part string) (found []string, err error) {
	if !strings.ContainsAny(part, `*?[\`) {
		full := path.Join(dir, part)
		_, err := os.Lstat(h.Path(full))
		if err != nil {
			return nil, err
		}
		return []string{full}, nil
	}
	entries, err := os.ReadDir(h.Path(dir))
	for _, e := range entries {
		if ok, bad := path.Match(part, e.Name()); ok && bad == nil {
			found = append(found, path.Join(dir, e.Name()))
		}
	}
	return found, err
}

// maxUnread bounds what Unread names: who cures these finds the others next.
const maxUnread = 8

// Unread names the files that match patterns and may not be read, and the folders on the
// way to them that may not be listed, each with the command that cures it.
func (h *Host) Unread(patterns ...string) (missing []Missing) {
	for _, dir := range h.Unlisted(patterns...) {
		missing = append(missing, Missing{What: "permission to list " + dir, Cure: CureFolder(dir)})
	}
	for _, pattern := range patterns {
		files, err := h.Glob(pattern)
		if err != nil { // only a malformed pattern is an error
			continue
		}
		for _, file := range files[:min(len(files), maxListed)] {
			if info, err := h.Stat(file); err != nil || !info.Mode().IsRegular() {
				continue
			}
			f, err := h.Open(file)
			if errors.Is(err, fs.ErrPermission) {
				missing = append(missing, Missing{What: "permission to read " + file, Cure: CureFile(file)})
			}
			if err == nil {
				_ = f.Close()
			}
		}
	}
	return missing[:min(len(missing), maxUnread)]
}

// Owned reports whether a folder lets in nobody but its owner (and root): no other user
// reads what lies in it, no web server hands it out.
func (h *Host) Owned(dir string) bool {
	info, err := h.Stat(dir)
	return err == nil && info.Mode().Perm()&0o011 == 0
}

// CureFile and CureFolder are the commands that let the agent's user read a file, or list
// a folder (setfacl(1)).
func CureFile(file string) string { return "setfacl -m u:attesto:r " + file }

// CureFolder is CureFile for a folder.
func CureFolder(dir string) string { return "setfacl -m u:attesto:rx " + dir }
