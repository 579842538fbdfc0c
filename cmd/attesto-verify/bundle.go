package main

import (
	"archive/zip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/attesto/attesto/evidence"
)

// Bounds of what is read from a bundle. A hostile one is refused before it costs
// memory or hours.
const (
	maxFiles = 2_000_000
	maxFile  = 256 << 20 // bytes: a packed file is 8 MiB and its last record
	maxSmall = evidence.MaxBlob
	// A zip file may unfold to this many times its own size, and some: facts are
	// text, of which deflate makes a tenth.
	maxRatio, maxSlack = 100, 64 << 20
)

// bundle reads a folder or a zip file and never leaves it: os.Root refuses ".."
// and links that lead outside.
type bundle struct {
	fsys   fs.FS
	closer io.Closer
}

func openBundle(name string) (*bundle, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("opening bundle: %w", err)
	}
	if info.IsDir() {
		root, err := os.OpenRoot(name)
		if err != nil {
			return nil, fmt.Errorf("opening bundle: %w", err)
		}
		return &bundle{root.FS(), root}, nil
	}
	b, err := openZip(name)
	if err != nil {
		return nil, fmt.Errorf("opening bundle %s: %w", name, err)
	}
	return b, nil
}

func (b *bundle) close() { _ = b.closer.Close() }

func openZip(name string) (*bundle, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	z, err := readZip(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &bundle{z, f}, nil
}

func readZip(f *os.File) (*zip.Reader, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("neither a folder nor a zip file")
	}
	// The archive's own count bounds what reading its directory costs.
	if n, err := zipCount(f, info.Size()); err != nil {
		return nil, err
	} else if n > maxFiles {
		return nil, fmt.Errorf("%d files: %w", n, errTooMany)
	}
	z, err := zip.NewReader(f, info.Size())
	if err != nil {
		return nil, err
	}
	total, seen := uint64(0), map[string]bool{}
	for _, e := range z.File {
		switch {
		case !fs.ValidPath(strings.TrimSuffix(e.Name, "/")):
			return nil, fmt.Errorf("entry %q: not a path inside of the bundle", e.Name)
		case seen[e.Name]:
			return nil, fmt.Errorf("entry %q stands twice", e.Name)
		case e.UncompressedSize64 > maxFile:
			return nil, fmt.Errorf("entry %q would unfold to %d bytes", e.Name, e.UncompressedSize64)
		}
		seen[e.Name] = true
		total += e.UncompressedSize64
	}
	if total > uint64(info.Size())*maxRatio+maxSlack {
		return nil, fmt.Errorf("it would unfold to %d bytes from %d: no bundle does", total, info.Size())
	}
	return z, nil
}

// zipCount reads from the end of a zip file how many entries it says it has
// (APPNOTE.TXT 4.3.14 to 4.3.16).
func zipCount(f io.ReaderAt, size int64) (uint64, error) {
	tail := make([]byte, min(size, 22+20+65535))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil {
		return 0, err
	}
	for i := len(tail) - 22; i >= 0; i-- {
		if string(tail[i:i+4]) != "PK\x05\x06" {
			continue
		}
		n := binary.LittleEndian.Uint16(tail[i+10:])
		if n != 0xffff || i < 20 || string(tail[i-20:i-16]) != "PK\x06\x07" {
			return uint64(n), nil
		}
		var end [56]byte
		at := binary.LittleEndian.Uint64(tail[i-12:])
		if at > uint64(size) {
			return 0, zip.ErrFormat
		}
		if _, err := f.ReadAt(end[:], int64(at)); err != nil {
			return 0, err
		}
		return binary.LittleEndian.Uint64(end[32:]), nil
	}
	return 0, zip.ErrFormat
}

// open opens a regular file of at most limit bytes.
func (b *bundle) open(name string, limit int64) (fs.File, error) {
	info, err := fs.Stat(b.fsys, name) // a pipe would keep open waiting
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", name)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, limit)
	}
	return b.fsys.Open(name)
}

func (b *bundle) read(name string, limit int64) ([]byte, error) {
	f, err := b.open(name, limit)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, limit)
	}
	return data, nil
}

func (b *bundle) exists(name string) bool {
	_, err := fs.Stat(b.fsys, name)
	return err == nil
}

// walk calls fn with every file, a part of a folder at a time, so that a folder of
// millions costs no memory.
func (b *bundle) walk(dir string, left *int, fn func(name string)) error {
	f, err := b.fsys.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	d, ok := f.(fs.ReadDirFile)
	if !ok {
		return fmt.Errorf("%s: not a folder", dir)
	}
	for {
		list, err := d.ReadDir(1024)
		for _, e := range list {
			if *left--; *left < 0 {
				return errTooMany
			}
			name := path.Join(dir, e.Name())
			if e.IsDir() {
				if err := b.walk(name, left, fn); err != nil {
					return err
				}
				continue
			}
			fn(name)
		}
		if errors.Is(err, io.EOF) || err == nil && len(list) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
