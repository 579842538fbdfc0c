package eventlog

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/attesto/attesto/evidence"
)

const (
	headBytes = 1 << 10
	tailBytes = 256
	maxLine   = 64 << 10 // what of a longer line is looked at
)

// defaultFiles are what syslog writes on Debian, Ubuntu, Red Hat and SUSE.
var defaultFiles = []string{"/var/log/auth.log", "/var/log/secure", "/var/log/mail.log", "/var/log/maillog", "/var/log/kern.log",
	"/var/log/syslog", "/var/log/messages"}

// coveredBy names, for the catch-all files, the programs whose messages stand in a
// file of their own too, so that nothing counts twice.
var coveredBy = map[string][]string{
	"/var/log/auth.log": {"sshd", "sshd-session", "sudo", "su", "login", "useradd", "usermod", "userdel", "groupadd", "passwd", "chpasswd"},
	"/var/log/secure":   {"sshd", "sshd-session", "sudo", "su", "login", "useradd", "usermod", "userdel", "groupadd", "passwd", "chpasswd"},
	"/var/log/mail.log": {"postfix/", "dovecot", "exim", "exim4"},
	"/var/log/maillog":  {"postfix/", "dovecot", "exim", "exim4"},
	"/var/log/kern.log": {"kernel"},
}

// readFiles reads the named files; without a journal the usual ones too.
func (l *look) readFiles(ctx context.Context, old cursor, journal bool) {
	var paths []string
	for _, pattern := range l.cfg.Files {
		found, err := l.host.Glob(pattern)
		if err != nil || len(found) == 0 {
			l.gap(pattern, "no such file")
		}
		paths = append(paths, found...)
	}
	var covered []string
	if !journal {
		for _, path := range defaultFiles {
			_, err := l.host.Stat(path)
			if errors.Is(err, fs.ErrNotExist) {
				if _, known := old.Files[path]; known {
					l.gap(path, "was here at the last look and is gone")
				}
				continue
			}
			paths = append(paths, path)
			covered = append(covered, coveredBy[path]...)
		}
	}
	slices.Sort(paths)
	for _, path := range slices.Compact(paths) {
		if ctx.Err() != nil {
			return
		}
		f := file{look: l, path: path, source: evidence.LogSource{Source: path, Whole: true}}
		if path == "/var/log/syslog" || path == "/var/log/messages" {
			f.skip = covered
		}
		f.read(ctx, old)
	}
}

// file is the reading of one file in one look.
type file struct {
	*look
	path     string
	skip     []string
	followed bool // it was read before, under this name
	source   evidence.LogSource
	foreign  int64 // lines that are not of a form that we know
	long     int64
}

func (f *file) unwhole(why string) {
	f.source.Whole = false
	f.gap(f.path, why)
}

func (f *file) read(ctx context.Context, old cursor) {
	mark, known := old.Files[f.path]
	in, info, err := f.open(f.path)
	if err != nil {
		why := err.Error()
		if errors.Is(err, fs.ErrPermission) {
			why = "no permission; add the agent's user to the group adm"
		}
		f.gap(f.path, why)
		if known {
			f.next.Files[f.path] = mark
		}
		return
	}
	defer in.Close() //nolint:errcheck // opened for reading
	offset := int64(0)
	f.followed = known
	if known {
		if f.same(in, info, mark) {
			offset = mark.Offset
		} else {
			f.finishRotated(ctx, mark)
		}
	} else if info.Size() > f.left/2 {
		offset = info.Size() - f.left/2
		f.unwhole("the first look reads the end of it only")
	}
	end := f.scan(ctx, io.NewSectionReader(in, offset, info.Size()-offset), offset)
	f.next.Files[f.path] = markOf(in, info, end)
	if f.long > 0 {
		f.unwhole(fmt.Sprintf("%d lines were longer than %d bytes; only their beginning was looked at", f.long, maxLine))
	}
	if f.foreign > 0 && f.foreign*2 > f.source.Lines {
		f.unwhole(fmt.Sprintf("%d of %d lines are not of a form that is known", f.foreign, f.source.Lines))
	}
	f.facts.Sources = append(f.facts.Sources, f.source)
}

func (f *file) open(path string) (*os.File, fs.FileInfo, error) {
	info, err := f.host.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, errors.New("not a regular file")
	}
	in, err := f.host.Open(path)
	if err != nil {
		return nil, nil, err
	}
	if info, err = in.Stat(); err != nil {
		return nil, nil, errors.Join(err, in.Close())
	}
	return in, info, nil
}

// same reports whether the open file is the one that was read last, only longer.
func (f *file) same(in io.ReaderAt, info fs.FileInfo, m fileMark) bool {
	dev, ino := identity(info)
	return dev == m.Dev && ino == m.Inode && info.Size() >= m.Offset && continues(in, m)
}

// continues compares the first bytes and those before the offset.
func continues(in io.ReaderAt, m fileMark) bool {
	return digestAt(in, 0, m.HeadN) == m.Head && digestAt(in, max(0, m.Offset-tailBytes), min(tailBytes, m.Offset)) == m.Tail
}

func digestAt(in io.ReaderAt, at, n int64) string {
	b := make([]byte, n)
	if _, err := in.ReadAt(b, at); err != nil && n > 0 && !errors.Is(err, io.EOF) {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func markOf(in io.ReaderAt, info fs.FileInfo, end int64) fileMark {
	dev, ino := identity(info)
	m := fileMark{Dev: dev, Inode: ino, Offset: end, HeadN: min(headBytes, end)}
	m.Head = digestAt(in, 0, m.HeadN)
	m.Tail = digestAt(in, max(0, end-tailBytes), min(tailBytes, end))
	return m
}

// finishRotated reads the rest of the file that was read last, under the name that
// rotation gave it: by inode where it was renamed, by content where it was copied
// or compressed.
func (f *file) finishRotated(ctx context.Context, m fileMark) {
	var names []string
	for _, pattern := range []string{f.path + ".*", f.path + "-*", strings.TrimSuffix(f.path, ".log") + "-*.log*"} {
		found, err := f.host.Glob(pattern)
		if err == nil {
			names = append(names, found...)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if f.finish(ctx, name, m) {
			return
		}
	}
	f.unwhole("was rotated or cut, and the rest of what was not read yet was not found")
}

func (f *file) finish(ctx context.Context, name string, m fileMark) bool {
	in, info, err := f.open(name)
	if err != nil {
		return false
	}
	defer in.Close() //nolint:errcheck // opened for reading
	if !strings.HasSuffix(name, ".gz") {
		if info.Size() < m.Offset || !continues(in, m) {
			return false
		}
		f.scan(ctx, io.NewSectionReader(in, m.Offset, info.Size()-m.Offset), m.Offset)
		return true
	}
	z, err := gzip.NewReader(in)
	if err != nil {
		return false
	}
	head := make([]byte, m.Offset)
	if m.Offset > 1<<28 {
		return false
	}
	if _, err := io.ReadFull(z, head); err != nil || !continues(readerAt(head), m) {
		return false
	}
	f.scan(ctx, io.LimitReader(z, f.left), m.Offset)
	return true
}

type readerAt []byte

// ReadAt reads from memory.
func (r readerAt) ReadAt(p []byte, at int64) (int, error) {
	if at >= int64(len(r)) {
		return 0, io.EOF
	}
	n := copy(p, r[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// scan reads whole lines and returns the offset after the last of them. A last
// line without its end is left for the next look.
func (f *file) scan(ctx context.Context, in io.Reader, offset int64) int64 {
	r := bufio.NewReaderSize(in, maxLine)
	for n := 0; f.left > 0; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return offset
		}
		line, err := r.ReadSlice('\n')
		size := int64(len(line))
		if errors.Is(err, bufio.ErrBufferFull) {
			first := slices.Clone(line)
			rest, ended := discardLine(r)
			if !ended {
				return offset
			}
			f.long++
			size += rest
			line, err = first, nil
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				f.unwhole("reading: " + err.Error())
			}
			return offset
		}
		offset += size
		f.left -= size
		f.source.Lines++
		f.source.Bytes += size
		f.line(trimEnd(line))
	}
	f.unwhole(fmt.Sprintf("more than %d bytes came since the last look; the rest follows with the next one", f.cfg.MaxBytes))
	return offset
}

func discardLine(r *bufio.Reader) (n int64, ended bool) {
	for {
		more, err := r.ReadSlice('\n')
		n += int64(len(more))
		if err == nil {
			return n, true
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return n, false
		}
	}
}

func trimEnd(line []byte) []byte {
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r') {
		line = line[:len(line)-1]
	}
	return line
}

func (f *file) line(line []byte) {
	e, err := ParseSyslog(line, f.now)
	if err != nil {
		f.foreign++
		return
	}
	at := evidence.At(e.Time)
	if f.source.From == nil {
		f.source.From = &at
	}
	f.source.To = &at
	for _, p := range f.skip {
		if e.Program == p || (strings.HasSuffix(p, "/") && strings.HasPrefix(e.Program, p)) {
			return
		}
	}
	f.take(e, f.followed)
}
