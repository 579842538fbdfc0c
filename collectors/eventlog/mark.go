package eventlog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
)

const (
	headBytes = 1 << 10
	tailBytes = 256
)

// markOf remembers that a file was read up to end.
func markOf(in io.ReaderAt, info fs.FileInfo, end int64) fileMark {
	dev, ino := identity(info)
	m := fileMark{Dev: dev, Inode: ino, Offset: end, HeadN: min(headBytes, end)}
	m.Head = digestAt(in, 0, m.HeadN)
	m.Tail = digestAt(in, max(0, end-tailBytes), min(tailBytes, end))
	return m
}

// is reports whether a file has the mark's number in its file system. Numbers are
// used again for other files, so this alone proves nothing.
func (m fileMark) is(info fs.FileInfo) bool {
	dev, ino := identity(info)
	return dev == m.Dev && ino == m.Inode
}

// in reports whether a file holds what was read, by its first bytes and those before the offset.
func (m fileMark) in(r io.ReaderAt, size int64) bool {
	return size >= m.Offset && digestAt(r, 0, m.HeadN) == m.Head &&
		digestAt(r, max(0, m.Offset-tailBytes), min(tailBytes, m.Offset)) == m.Tail
}

func digestAt(in io.ReaderAt, at, n int64) string {
	b := make([]byte, n)
	if got, err := in.ReadAt(b, at); int64(got) < n && err != nil {
		return "unread: " + err.Error()
	}
	return digest(b)
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// skip reads a stream up to the mark's offset and reports whether it holds what was read.
func (m fileMark) skip(r io.Reader) bool {
	head := make([]byte, m.HeadN)
	if _, err := io.ReadFull(r, head); err != nil || digest(head) != m.Head {
		return false
	}
	tail := lastBytes(head[max(0, len(head)-tailBytes):])
	if _, err := io.CopyN(&tail, r, m.Offset-m.HeadN); err != nil {
		return false
	}
	return digest(tail) == m.Tail
}

// streamMark is the mark of a stream at end.
func streamMark(r io.Reader, end int64) (fileMark, error) {
	m := fileMark{Offset: end, HeadN: min(headBytes, end)}
	head := make([]byte, m.HeadN)
	if _, err := io.ReadFull(r, head); err != nil {
		return m, err
	}
	m.Head = digest(head)
	tail := lastBytes(head[max(0, len(head)-tailBytes):])
	if _, err := io.CopyN(&tail, r, m.Offset-m.HeadN); err != nil {
		return m, err
	}
	m.Tail = digest(tail)
	return m, nil
}

// lastBytes keeps the last tailBytes of what is written to it.
type lastBytes []byte

// Write takes a piece.
func (l *lastBytes) Write(p []byte) (int, error) {
	b := append(*l, p...)
	*l = append((*l)[:0:0], b[max(0, len(b)-tailBytes):]...)
	return len(p), nil
}

// patient is a reader that ends with its context.
type patient struct {
	context.Context
	io.Reader
}

// Read reads on as long as there is time.
func (p patient) Read(b []byte) (int, error) {
	if err := p.Err(); err != nil {
		return 0, errors.Join(err, io.ErrUnexpectedEOF)
	}
	return p.Reader.Read(b)
}
