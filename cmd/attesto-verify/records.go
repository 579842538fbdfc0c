package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/attesto/attesto/evidence"
)

// recordStore finds the records of an epoch by index; it is asked in the order of
// the log.
type recordStore interface {
	// record returns what is stored of an index; custody says that it lies outside
	// of the period.
	record(index int64, custody bool) (rawRecord, error)
	// rest reports what was not asked for.
	rest(r *report)
	close()
}

// rawRecord is a record that nothing is known of yet.
type rawRecord struct {
	line   []byte // of a packed bundle
	folder string // of the other
	b      *bundle
}

// open reads envelope and blobs; the receipt too where there is one.
func (w rawRecord) open() (evidence.Envelope, *evidence.Receipt, map[evidence.Digest][]byte, error) {
	if w.line != nil {
		p, err := evidence.ParsePackedRecord(w.line)
		if err != nil {
			return evidence.Envelope{}, nil, nil, err
		}
		env, err := evidence.ParseEnvelope(p.Envelope)
		return env, nil, p.Blobs, err
	}
	raw, err := w.b.read(path.Join(w.folder, "envelope.json"), evidence.MaxEnvelope)
	if err != nil {
		return evidence.Envelope{}, nil, nil, err
	}
	env, err := evidence.ParseEnvelope(raw)
	if err != nil {
		return env, nil, nil, err
	}
	var receipt evidence.Receipt
	if receipt.Entry, err = w.b.read(path.Join(w.folder, "entry.json"), maxSmall); err != nil {
		return env, nil, nil, err
	}
	if receipt.Proof, err = w.b.read(path.Join(w.folder, "entry.tlog-proof"), maxSmall); err != nil {
		return env, nil, nil, err
	}
	blobs, err := w.blobs()
	return env, &receipt, blobs, err
}

func (w rawRecord) blobs() (map[evidence.Digest][]byte, error) {
	f, err := w.b.fsys.Open(w.folder)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	d, ok := f.(fs.ReadDirFile)
	if !ok {
		return nil, errors.New("not a folder")
	}
	list, err := d.ReadDir(5 + 2*evidence.MaxItems)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	blobs := map[evidence.Digest][]byte{}
	for _, e := range list {
		if strings.HasSuffix(e.Name(), ".facts.json") || strings.HasSuffix(e.Name(), ".detail.json") {
			data, err := w.b.read(path.Join(w.folder, e.Name()), evidence.MaxBlob)
			if err != nil {
				return nil, err
			}
			blobs[evidence.Sum(data)] = data
		}
	}
	return blobs, nil
}

func (c *epochCheck) recordAt(index int64) string {
	return c.folder + "records/" + strconv.FormatInt(index, 10)
}

func (c *epochCheck) openRecords() error {
	dir := c.folder + "records"
	if c.m.Layout == evidence.LayoutFolders {
		c.store = folders{c.b, dir}
		return nil
	}
	p := &packed{}
	list, err := fs.ReadDir(c.b.fsys, dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var period, custody []string
	for _, e := range list {
		name := path.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), "custody") {
			custody = append(custody, name)
		} else {
			period = append(period, name)
		}
	}
	p.streams = [2]*stream{{b: c.b, names: period}, {b: c.b, names: custody}}
	c.store = p
	return nil
}

type folders struct {
	b   *bundle
	dir string
}

func (f folders) record(index int64, _ bool) (rawRecord, error) {
	folder := path.Join(f.dir, strconv.FormatInt(index, 10))
	if !f.b.exists(folder) {
		return rawRecord{}, errors.New("the record is missing")
	}
	return rawRecord{folder: folder, b: f.b}, nil
}

func (folders) rest(*report) {} // a folder beyond the log is a file that no entry asks for; the list of files has it
func (folders) close()       {}

// packed reads two streams of lines: the period's records, and those outside.
type packed struct{ streams [2]*stream }

func (p *packed) record(index int64, custody bool) (rawRecord, error) {
	s := p.streams[0]
	if custody {
		s = p.streams[1]
	}
	return s.find(index)
}

func (p *packed) rest(r *report) {
	for _, s := range p.streams {
		if line, err := s.peek(); err != nil {
			r.fail(s.name, err)
		} else if line != nil {
			r.fail(s.name, errors.New("holds records that the log does not"))
		}
	}
}

func (p *packed) close() {
	for _, s := range p.streams {
		s.close()
	}
}

// stream reads packed files one after the other.
type stream struct {
	b     *bundle
	names []string
	name  string
	file  fs.File
	chunk []byte // read and not yet taken apart
	line  []byte // read ahead
}

// chunkSize is how much of a packed file is read at once. Lines lie in their chunk
// until they are checked.
const chunkSize = 1 << 18

func (s *stream) close() {
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	}
}

func (s *stream) peek() ([]byte, error) {
	for s.line == nil {
		if s.file == nil {
			if len(s.names) == 0 {
				return nil, nil
			}
			s.name, s.names = s.names[0], s.names[1:]
			f, err := s.b.open(s.name, maxFile)
			if err != nil {
				return nil, err
			}
			s.file, s.chunk = f, nil
		}
		var err error
		if s.line, err = s.next(); err != nil {
			s.names = nil
			return nil, fmt.Errorf("cut off in the middle of a line: %w", err)
		}
		if s.line == nil {
			s.close()
		}
	}
	return s.line, nil
}

// next cuts the next line off, nil at the end of the file.
func (s *stream) next() ([]byte, error) {
	for searched := 0; ; {
		if n := bytes.IndexByte(s.chunk[searched:], '\n'); n >= 0 {
			line := s.chunk[: searched+n+1 : searched+n+1]
			s.chunk = s.chunk[searched+n+1:]
			return line, nil
		}
		searched = len(s.chunk)
		more := make([]byte, max(chunkSize, 2*searched))
		copy(more, s.chunk)
		n, err := s.file.Read(more[searched:])
		s.chunk = more[:searched+n]
		switch {
		case n > 0:
		case errors.Is(err, io.EOF) && searched == 0:
			return nil, nil
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		}
	}
}

func (s *stream) find(index int64) (rawRecord, error) {
	line, err := s.peek()
	if err != nil {
		return rawRecord{}, err
	}
	at, err := indexOf(line)
	if err != nil {
		s.line = nil
		return rawRecord{}, err
	}
	if at != index {
		if at < index { // out of order: pass over it, or nothing would be found any more
			s.line = nil
		}
		return rawRecord{}, errors.New("the record is missing")
	}
	s.line = nil
	return rawRecord{line: line}, nil
}

var indexStart = `{"index":`

func indexOf(line []byte) (int64, error) {
	rest, ok := strings.CutPrefix(string(line[:min(len(line), 40)]), indexStart)
	digits, _, ok2 := strings.Cut(rest, ",")
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || !ok2 || err != nil {
		return 0, errors.New("packed record: not of the form")
	}
	return n, nil
}

// kept reports whether the bundle should hold facts of a kind.
func kept(m evidence.Manifest, k evidence.Kind) bool {
	return len(m.Kinds) == 0 || slices.Contains(m.Kinds, k)
}
