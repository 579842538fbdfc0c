package eventlog

import (
	"cmp"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
)

// rotation is what logrotate(8) and newsyslog(8) add to a log's name: a number or a
// date, before or after its extension, and that of a compressor.
var rotation = regexp.MustCompile(`^(?:\.(\d{1,6})|[.-]\d{4}-?\d\d-?\d\d[\d._-]*|\.old)(?:\.log)?(\.(?:gz|bz2|xz|zst|lz4|Z))?$`)

var anyRotated = regexp.MustCompile(`(?:\.\d{1,6}|[.-]\d{4}-?\d\d-?\d\d[\d._-]*(?:\.log)?|\.old)?(?:\.(?:gz|bz2|xz|zst|lz4|Z))$|(?:\.\d{1,6}|[.-]\d{4}-?\d\d-?\d\d[\d._-]*(?:\.log)?|\.old)$`)

// rotatedName reports whether a name is that of a rotated log, which is read with
// the log that it comes from.
func rotatedName(name string) bool { return anyRotated.MatchString(path.Base(name)) }

// rotated is one file that rotation may have made of a log.
type rotated struct {
	name   string
	info   fs.FileInfo
	number int // "log.2" has 2, dates have 0
	packed string
}

// predecessors lists what rotation may have made of the log, the oldest first.
func (f *file) predecessors() []rotated {
	dir, base := path.Split(f.path)
	stem := strings.TrimSuffix(base, ".log")
	names, err := f.host.Glob(dir + stem + "*")
	if err != nil {
		return nil
	}
	var out []rotated
	for _, name := range names {
		rest, ok := strings.CutPrefix(path.Base(name), base)
		parts := rotation.FindStringSubmatch(rest)
		if !ok || parts == nil {
			parts = rotation.FindStringSubmatch(strings.TrimPrefix(path.Base(name), stem))
		}
		if parts == nil || name == f.path || parts[2] != "" && slices.Contains(names, strings.TrimSuffix(name, parts[2])) {
			continue // being compressed: the plain one is still there
		}
		info, err := f.host.Stat(name)
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		number, _ := strconv.Atoi(parts[1]) // none is 0
		out = append(out, rotated{name, info, number, parts[2]})
	}
	host.SortFunc(out, func(a, b rotated) int {
		if a.number > 0 && b.number > 0 {
			return cmp.Compare(b.number, a.number)
		}
		return cmp.Or(a.info.ModTime().Compare(b.info.ModTime()), cmp.Compare(a.name, b.name))
	})
	return out
}

var errPacked = errors.New("compressed in a way that this agent cannot read; use gzip or bzip2, or delaycompress")

// openRotated opens a rotated file as a stream of its lines.
func (f *file) openRotated(ctx context.Context, r rotated) (*os.File, io.Reader, error) {
	in, _, err := f.open(r.name)
	if err != nil {
		return nil, nil, err
	}
	var stream io.Reader = in
	switch r.packed {
	case "":
	case ".gz":
		if stream, err = gzip.NewReader(in); err != nil {
			return nil, nil, errors.Join(err, in.Close())
		}
	case ".bz2":
		stream = bzip2.NewReader(in)
	default:
		return nil, nil, errors.Join(errPacked, in.Close())
	}
	return in, patient{ctx, stream}, nil
}

// holds reports whether a rotated file holds what the mark remembers.
func (f *file) holds(ctx context.Context, r rotated, m fileMark) bool {
	if m.Offset == 0 {
		return r.packed == "" && m.is(r.info)
	}
	in, stream, err := f.openRotated(ctx, r)
	if err != nil {
		return false
	}
	defer in.Close() //nolint:errcheck // opened for reading
	if r.packed == "" {
		return m.in(in, r.info.Size())
	}
	return m.skip(stream)
}

// find looks for the file that the mark remembers: first by its number, then by content.
func (f *file) find(ctx context.Context, all []rotated, m fileMark) int {
	for _, byNumber := range []bool{true, false} {
		for i, r := range slices.Backward(all) {
			if m.is(r.info) == byNumber && f.holds(ctx, r, m) {
				return i
			}
		}
	}
	return -1
}

// finishRotated reads the rest of the file that was read last, under the name that
// rotation gave it, and those that came between it and the present one. It returns
// the mark of the last of them if more may come to it, or if the rest must wait.
func (f *file) finishRotated(ctx context.Context, m fileMark, copied bool) *fileMark {
	all := f.predecessors()
	at := f.find(ctx, all, m)
	if at >= 0 {
		return f.readChain(ctx, slices.Concat(all[at:at+1], f.since(all[at+1:])), m, copied)
	}
	f.followed = false // what was read before may stand in it again: only time tells
	if m.Offset > 0 {
		f.unwhole("was rotated, cut or replaced, and what came to it after the last look was not found" + unreadable(all))
	}
	return f.readChain(ctx, f.since(all), fileMark{}, copied)
}

// since drops what was last written before the window, and so was read before.
func (f *file) since(all []rotated) []rotated {
	before := f.from.Add(-time.Minute)
	return slices.DeleteFunc(slices.Clone(all), func(r rotated) bool { return r.info.ModTime().Before(before) })
}

func unreadable(all []rotated) string {
	for _, r := range slices.Backward(all) {
		if r.packed != "" && r.packed != ".gz" && r.packed != ".bz2" {
			return fmt.Sprintf("; %s is %s", path.Base(r.name), errPacked)
		}
	}
	return ""
}

// readChain reads rotated files in their order, the first from the mark on.
func (f *file) readChain(ctx context.Context, chain []rotated, m fileMark, copied bool) *fileMark {
	for i, r := range chain {
		final := i < len(chain)-1 || copied || r.packed != ""
		end := f.readRotated(ctx, r, m, final)
		if f.cut || !final {
			return f.markRotated(ctx, r, end)
		}
		m = fileMark{}
	}
	return nil
}

// readRotated reads a rotated file from the mark on and returns how far.
func (f *file) readRotated(ctx context.Context, r rotated, m fileMark, final bool) int64 {
	in, stream, err := f.openRotated(ctx, r)
	if err != nil {
		f.unwhole(path.Base(r.name) + ": " + err.Error())
		return m.Offset
	}
	defer in.Close() //nolint:errcheck // opened for reading
	if r.packed == "" {
		stream = io.NewSectionReader(in, m.Offset, r.info.Size()-m.Offset)
	} else if m.Offset > 0 && !m.skip(stream) {
		f.unwhole(path.Base(r.name) + ": changed while it was read")
		return m.Offset
	}
	f.reference(r.info)
	f.mid, f.begun = m.Mid, f.begun[:0]
	f.lastEnd = f.scan(ctx, stream, m.Offset, final)
	return f.lastEnd
}

// markRotated remembers how far a rotated file was read.
func (f *file) markRotated(ctx context.Context, r rotated, end int64) *fileMark {
	in, stream, err := f.openRotated(ctx, r)
	if err != nil {
		return nil
	}
	defer in.Close() //nolint:errcheck // opened for reading
	m := markOf(in, r.info, end)
	if r.packed != "" {
		if m, err = streamMark(stream, end); err != nil {
			return nil
		}
	}
	m.Mid, f.mid = f.mid, false
	return &m
}

// drain reads what a writer still added to the predecessor after its rotation.
func (f *file) drain(ctx context.Context, m fileMark) {
	all := f.predecessors()
	if at := f.find(ctx, all, m); at >= 0 {
		f.readRotated(ctx, all[at], m, true)
		f.mid = false
	}
}

// absent deals with a log that is not there: rotated, and nothing written since, or gone.
func (f *file) absent(ctx context.Context, m fileMark) {
	all := f.predecessors()
	at := f.find(ctx, all, m)
	if at < 0 {
		f.gap(f.path, "was here at the last look and is gone, and so is what came to it since"+unreadable(all))
		return
	}
	last := all[len(all)-1]
	next := f.readChain(ctx, all[at:], m, false)
	if next == nil {
		next = f.markRotated(ctx, last, f.lastEnd)
	}
	if next != nil {
		f.next.Files[f.path] = *next
	}
	f.verdict()
}
