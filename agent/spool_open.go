package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/attesto/attesto/evidence"
)

// OpenSpool reads the spool's state back from its newest record. first is the
// statement that record 1 is chained to: the enrollment's.
// Only the process that holds the state folder's lock may open it.
func OpenSpool(dir string, cfg SpoolConfig, first evidence.Digest) (*Spool, error) {
	return openSpool(dir, cfg, first, osFiles{})
}

func openSpool(dir string, cfg SpoolConfig, first evidence.Digest, disk files) (*Spool, error) {
	for _, sub := range []string{waitDir, sentDir} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("opening spool: %w", err)
		}
		if err := sweep(filepath.Join(dir, sub)); err != nil {
			return nil, fmt.Errorf("opening spool: %w", err)
		}
	}
	repaired, err := setAsideTorn(dir)
	if err != nil {
		return nil, fmt.Errorf("opening spool: %w", err)
	}
	s, err := readSpool(dir, cfg, first, disk)
	if err != nil {
		return nil, err
	}
	s.repaired = append(repaired, s.repaired...)
	s.lost += len(repaired)
	return s, s.confirm()
}

// setAsideTorn takes records that wait and cannot be read out of the way, newest
// first up to the first sound one: a crash can only harm the newest, and such a
// one was never pushed.
func setAsideTorn(dir string) (said []string, err error) {
	s := &Spool{dir: dir}
	waiting, err := s.list(waitDir)
	if err != nil {
		return nil, err
	}
	for _, seq := range slices.Backward(waiting) {
		_, _, err := s.read(waitDir, seq)
		if !errors.Is(err, errDamaged) {
			return said, err
		}
		if err := rename(s.path(waitDir, seq), s.path(waitDir, seq)+damagedExt); err != nil {
			return said, err
		}
		said = append(said, fmt.Sprintf("record %d was only half written and is set aside: %v", seq, err))
	}
	return said, nil
}

// confirm makes the newest record that waits durable once more: the process that
// wrote it may have ended before it knew.
func (s *Spool) confirm() error {
	if len(s.waiting) == 0 {
		return nil
	}
	path := s.path(waitDir, s.waiting[len(s.waiting)-1])
	b, err := os.ReadFile(path)
	if err == nil {
		err = s.fs.writeDurable(path, b)
	}
	if err != nil {
		return fmt.Errorf("opening spool: %w", err)
	}
	return nil
}

// sweep removes what a crash left half-written.
func sweep(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, "*"+tempExt))
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// readSpool reads the state back and changes nothing: status does so beside a
// running agent, which may move a record while we look.
func readSpool(dir string, cfg SpoolConfig, first evidence.Digest, disk files) (*Spool, error) {
	var s *Spool
	var err error
	for range 5 {
		s = &Spool{dir: dir, fs: disk, cfg: cfg, stmt: first, cursors: map[string][]byte{}}
		if err = s.load(); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("opening spool: %w", err)
	}
	return s, nil
}

func (s *Spool) load() error {
	var err error
	if s.waiting, err = s.list(waitDir); err != nil {
		return err
	}
	sent, err := s.list(sentDir)
	if err != nil {
		return err
	}
	for _, seq := range s.waiting {
		info, err := os.Stat(s.path(waitDir, seq))
		if err != nil {
			return err
		}
		s.bytes += info.Size()
		if s.oldest.IsZero() {
			s.oldest = info.ModTime()
		}
	}
	newest, dirOf := uint64(0), sentDir
	if n := len(sent); n > 0 {
		newest = sent[n-1]
	}
	if n := len(s.waiting); n > 0 && s.waiting[n-1] > newest {
		newest, dirOf = s.waiting[n-1], waitDir
	}
	if newest > 0 {
		rec, env, err := s.read(dirOf, newest)
		if err != nil {
			return fmt.Errorf("the newest record, from which the chain goes on: %w; enroll this host anew", err)
		}
		s.last, s.stmt = newest, env.StatementDigest()
		if rec.Cursors != nil {
			s.cursors = rec.Cursors
		}
	}
	return s.readLater()
}

func (s *Spool) readLater() error {
	b, err := os.ReadFile(filepath.Join(s.dir, laterFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var l later
	if err := json.Unmarshal(b, &l); err != nil {
		// The looks since the newest record are repeated. How many were lost before
		// is not known any more, but that some may have been is.
		s.lost = 1
		s.repaired = append(s.repaired, fmt.Sprintf("%s was only half written: %v", laterFile, err))
		return nil
	}
	if l.After != s.last {
		return nil // a record was sealed since: it holds newer cursors and the count
	}
	if l.Cursors != nil {
		s.cursors = l.Cursors
	}
	s.lost = l.Lost
	return nil
}
