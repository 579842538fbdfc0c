//go:build unix

package eventlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"github.com/attesto/attesto/collectors/host"
)

// readers are this system's ways to its logs, in their order: what the journal
// carries is not read from files again, nor what files keep from the kernel.
func readers() []func(context.Context, *look) {
	return []func(context.Context, *look){readJournal, readFiles, readKernel}
}

// identity tells files apart even when they are renamed.
func identity(info fs.FileInfo) (dev, inode uint64) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Dev), uint64(st.Ino) //nolint:unconvert // their types differ between systems
	}
	return 0, 0
}

func detect(_ context.Context, h *host.Host) host.Detection {
	var d host.Detection
	var found []string
	if dir := journalDir(h); dir != "" {
		d.Useful, d.Found = true, "journald in "+dir
		if !canRead(h, dir) {
			d.Missing = append(d.Missing, host.Missing{What: "permission to read the journal",
				Cure: "usermod -aG systemd-journal,adm attesto, then restart the agent"})
		}
	}
	paths := ownFiles
	if !d.Useful {
		paths = append(append([]string{}, syslogFiles...), ownFiles...)
	}
	for _, path := range expand(h, paths) {
		f, err := h.Open(path)
		switch {
		case err == nil:
			_ = f.Close()
			d.Useful = true
			found = append(found, path)
		case errors.Is(err, fs.ErrPermission):
			d.Missing = append(d.Missing, host.Missing{What: "permission to read " + path, Cure: "usermod -aG adm attesto, then restart the agent"})
		}
	}
	for _, dir := range h.Unlisted(patternsOf(ownFiles)...) {
		d.Missing = append(d.Missing, host.Missing{What: "permission to list " + dir, Cure: host.CureFolder(dir)})
	}
	if len(found) > 8 {
		found = append(found[:8], fmt.Sprintf("%d more", len(found)-8))
	}
	d.Found = strings.Join(slices.DeleteFunc(append([]string{d.Found}, found...), func(s string) bool { return s == "" }), ", ")
	if !d.Useful && len(d.Missing) == 0 {
		d.Missing = []host.Missing{{What: "a journal or syslog files", Cure: "install systemd-journald or rsyslog, or name files in collectors.eventlog.files"}}
	}
	return d
}

func canRead(h *host.Host, dir string) bool {
	found, err := h.Glob(dir + "/*/system*.journal")
	if err != nil || len(found) == 0 {
		return false
	}
	f, err := h.Open(found[0])
	return err == nil && f.Close() == nil
}
