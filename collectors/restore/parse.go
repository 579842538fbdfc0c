package restore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Entry is a regular file as a state lists it.
type Entry struct {
	Path   string // as the tool names it
	Size   int64
	Mod    time.Time
	Broken bool // the tool knows that it cannot be read back
}

// resticNode is a line of `restic ls --json SNAPSHOT` (restic cmd/restic/cmd_ls.go): the
// first describes the snapshot, the others a node each; message_type in place of
// struct_type since 0.18, both until then.
type resticNode struct {
	Struct  string    `json:"struct_type"`
	Message string    `json:"message_type"`
	Type    string    `json:"type"`
	Path    string    `json:"path"`
	Size    int64     `json:"size"`
	Mod     time.Time `json:"mtime"`
}

// ParseResticNode reads a line of `restic ls --json`. ok is false for what is no regular
// file.
func ParseResticNode(line []byte) (e Entry, ok bool, err error) {
	var n resticNode
	if err := json.Unmarshal(line, &n); err != nil {
		return e, false, fmt.Errorf("a line of restic ls --json: %w", err)
	}
	switch {
	case n.Struct != "node" && n.Message != "node":
		return e, false, nil
	case n.Path == "" || n.Size < 0:
		return e, false, errors.New("a line of restic ls --json: a node without a path, or of negative size")
	}
	return Entry{Path: n.Path, Size: n.Size, Mod: n.Mod}, n.Type == "file", nil
}

// borgItem is a line of `borg list --json-lines ::ARCHIVE` (internals/frontends, "Standalone
// JSON"); type is the first letter of ls -l's mode.
type borgItem struct {
	Type    string `json:"type"`
	Path    string `json:"path"`
	Healthy *bool  `json:"healthy"`
	Source  string `json:"source"` // of a hard link: it has no content of its own
	Size    int64  `json:"size"`
	Mod     string `json:"mtime"` // in the process' zone, without saying so
}

// ParseBorgItem reads a line of `borg list --json-lines` of a process in zone.
func ParseBorgItem(line []byte, zone *time.Location) (e Entry, ok bool, err error) {
	var n borgItem
	if err := json.Unmarshal(line, &n); err != nil {
		return e, false, fmt.Errorf("a line of borg list --json-lines: %w", err)
	}
	if n.Path == "" || n.Type == "" || n.Size < 0 {
		return e, false, errors.New("a line of borg list --json-lines: an item without path or type, or of negative size")
	}
	mod, err := time.Parse(time.RFC3339Nano, n.Mod)
	if err != nil {
		mod, err = time.ParseInLocation("2006-01-02T15:04:05.999999", n.Mod, zone)
	}
	if err != nil {
		return e, false, fmt.Errorf("a line of borg list --json-lines: time %q", n.Mod)
	}
	return Entry{Path: n.Path, Size: n.Size, Mod: mod, Broken: n.Healthy != nil && !*n.Healthy}, n.Type == "-" && n.Source == "", nil
}

const maxLine = 256 << 10

// lineReader hands each line that is written to it on to take. A line that is longer
// than the longest path can make it is passed over and counted.
type lineReader struct {
	take func(line []byte) error
	rest []byte
	long int
	skip bool
}

// Write takes output in as it comes.
func (l *lineReader) Write(p []byte) (int, error) {
	n := len(p)
	for {
		line, after, whole := bytes.Cut(p, []byte("\n"))
		if !whole {
			if l.skip {
				return n, nil
			}
			if l.rest = append(l.rest, p...); len(l.rest) > maxLine {
				l.rest, l.skip = nil, true
				l.long++
			}
			return n, nil
		}
		if !l.skip {
			l.rest = append(l.rest, line...)
			if len(bytes.TrimSpace(l.rest)) > 0 {
				if err := l.take(l.rest); err != nil {
					return n, err
				}
			}
		}
		l.rest, l.skip = l.rest[:0], false
		p = after
	}
}

// nameable tells whether a path can be handed to the tool and found again: without
// control characters, and not out of the folder.
func nameable(path string) bool {
	if len(path) > 4000 || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }) {
		return false
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == ".." {
			return false
		}
	}
	return true
}
