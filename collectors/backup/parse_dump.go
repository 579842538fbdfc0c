package backup

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"io"
	"strings"

	"github.com/attesto/attesto/evidence"
)

// maxTail bounds how much of a dump's end is looked at, and maxHead how much of its
// beginning.
const (
	maxTail = 4 << 10
	maxHead = 512
)

// ErrDumpForm says that a dump is of a form whose end cannot be looked at here.
var ErrDumpForm = errors.New("whether it is whole cannot be told of a dump compressed by xz or zstd, of pg_dump's own formats and of mongodump's archive: " +
	"write it as SQL, plain or through gzip or bzip2")

// CheckDump reads a dump to its end and says whether it is whole: mysqldump and
// mariadb-dump end with "-- Dump completed", pg_dump with "database dump complete",
// pg_dumpall with "database cluster dump complete", sqlite3 with COMMIT. What is
// compressed must decompress to its end. bytes is the size of the text. The error is
// ErrDumpForm where nothing speaks against the dump and nothing for it.
func CheckDump(r io.Reader) (bytes int64, reason string, err error) {
	text, err := decompress(r)
	if err != nil {
		return 0, evidence.ReasonIncompleteDump, nil //nolint:nilerr // not even its head is whole
	}
	var head, tail []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := text.Read(buf)
		bytes += int64(n)
		head = append(head, buf[:min(n, maxHead-len(head))]...)
		if tail = append(tail, buf[:n]...); len(tail) > maxTail {
			tail = append(tail[:0], tail[len(tail)-maxTail:]...)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return bytes, evidence.ReasonIncompleteDump, nil //nolint:nilerr // cut off, or damaged
		}
	}
	if bytes == 0 {
		return bytes, evidence.ReasonEmpty, nil
	}
	if cut, known := binaryDump(string(head), string(tail)); known && !cut {
		return bytes, "", ErrDumpForm
	}
	if !textDumpEnds(string(head), string(tail)) {
		return bytes, evidence.ReasonIncompleteDump, nil
	}
	return bytes, "", nil
}

// binaryDump knows the forms that are no text by their first bytes, and of some that
// their last ones are missing (xz-file-format 1.2, 2.1.2.3; mongo-tools archive/archive.go).
func binaryDump(head, tail string) (cut, known bool) {
	switch {
	case strings.HasPrefix(head, "\xfd7zXZ\x00"):
		return !strings.HasSuffix(strings.TrimRight(tail, "\x00"), "YZ"), true
	case strings.HasPrefix(head, "\x6d\xe2\x99\x81"):
		return !strings.HasSuffix(tail, "\xff\xff\xff\xff"), true
	}
	return false, strings.HasPrefix(head, "\x28\xb5\x2f\xfd") || strings.HasPrefix(head, "PGDMP")
}

// textDumpEnds says whether the last line that is not empty is the one with which the
// program ends that wrote the first. pg_dump adds an empty comment, and since its
// releases of August 2025 \unrestrict.
func textDumpEnds(head, tail string) bool {
	last := ""
	for line := range lines(tail) {
		if line = strings.TrimSpace(line); line != "" && line != "--" && !strings.HasPrefix(line, `\unrestrict `) {
			last = line
		}
	}
	cluster := strings.HasPrefix(last, "-- PostgreSQL database cluster dump complete")
	switch {
	case strings.Contains(head, "-- PostgreSQL database cluster dump"):
		return cluster
	case strings.Contains(head, "-- PostgreSQL database dump"):
		return cluster || strings.HasPrefix(last, "-- PostgreSQL database dump complete")
	case strings.Contains(head, "-- MySQL dump"), strings.Contains(head, "-- MariaDB dump"):
		return strings.HasPrefix(last, "-- Dump completed")
	}
	return cluster || strings.HasPrefix(last, "-- PostgreSQL database dump complete") || strings.HasPrefix(last, "-- Dump completed") || last == "COMMIT;"
}

func decompress(r io.Reader) (io.Reader, error) {
	var head [3]byte
	n, err := io.ReadFull(r, head[:])
	whole := io.MultiReader(bytes.NewReader(head[:n]), r)
	switch {
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, err
	case head[0] == 0x1f && head[1] == 0x8b:
		return gzip.NewReader(whole)
	case string(head[:]) == "BZh":
		return bzip2.NewReader(whole), nil
	}
	return whole, nil
}
