package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/attesto/attesto/evidence"
)

// batch returns the oldest records that wait, within the limits of a push.
func (s *Spool) batch(maxRecords, maxBytes int) ([]spooled, []evidence.Envelope, error) {
	s.mu.Lock()
	seqs := slices.Clone(s.waiting[:min(maxRecords, len(s.waiting))])
	s.mu.Unlock()
	var recs []spooled
	var envs []evidence.Envelope
	size := 0
	for _, seq := range seqs {
		rec, env, err := s.read(waitDir, seq)
		if err != nil {
			if len(recs) > 0 {
				return recs, envs, nil // send what comes before it
			}
			return nil, nil, fmt.Errorf("reading record %d, without which no later one counts: %w; enroll this host anew", seq, err)
		}
		size += len(rec.Envelope) * 11 / 10
		for _, b := range rec.Blobs {
			size += len(b)*4/3 + 100
		}
		if len(recs) > 0 && size > maxBytes {
			break
		}
		recs, envs = append(recs, rec), append(envs, env)
	}
	return recs, envs, nil
}

// move renames a record from one folder to the other. A move that a crash undoes
// is harmless (the record is pushed again, or is no longer sent again), so only
// where the file is now counts.
func (s *Spool) move(seq uint64, from, to string) error {
	err := s.fs.moveDurable(s.path(from, seq), s.path(to, seq))
	if err == nil {
		return nil
	}
	_, gone := os.Stat(s.path(from, seq))
	_, there := os.Stat(s.path(to, seq))
	if errors.Is(gone, fs.ErrNotExist) && there == nil {
		return nil
	}
	return err
}

// receipted moves a record out of what waits. Its file is kept for a while, and
// the newest one always: the chain goes on from it.
func (s *Spool) receipted(seq uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.waiting, seq)
	if i < 0 {
		return nil
	}
	if err := s.move(seq, waitDir, sentDir); err != nil {
		return fmt.Errorf("moving record %d: %w", seq, err)
	}
	s.waiting = slices.Delete(s.waiting, i, i+1)
	if info, err := os.Stat(s.path(sentDir, seq)); err == nil {
		s.bytes -= info.Size()
	}
	s.oldest = time.Time{}
	if len(s.waiting) > 0 {
		if info, err := os.Stat(s.path(waitDir, s.waiting[0])); err == nil {
			s.oldest = info.ModTime()
		}
	}
	return nil
}

// again puts receipted records from seq on back among those that wait, for a server
// that lost them. It reports false when they are no longer kept.
func (s *Spool) again(seq uint64) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent, err := s.list(sentDir)
	if err != nil {
		return false, err
	}
	at, found := slices.BinarySearch(sent, seq)
	if !found {
		return false, nil
	}
	for _, n := range slices.Backward(sent[at:]) {
		if err := s.move(n, sentDir, waitDir); err != nil {
			return false, fmt.Errorf("sending record %d again: %w", n, err)
		}
		s.waiting = slices.Insert(s.waiting, 0, n)
		if info, err := os.Stat(s.path(waitDir, n)); err == nil {
			s.bytes += info.Size()
			s.oldest = info.ModTime()
		}
	}
	return true, nil
}

// prune deletes receipted records over the spool's age or, oldest first, over what
// its budget leaves beside those that wait; never the newest. The journal keeps a
// line of each.
func (s *Spool) prune(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent, err := s.list(sentDir)
	if err != nil {
		return err
	}
	total := s.bytes
	var over []uint64
	for _, seq := range slices.Backward(sent) {
		info, err := os.Stat(s.path(sentDir, seq))
		if err != nil {
			return fmt.Errorf("pruning spool: %w", err)
		}
		total += info.Size()
		if seq != s.last && (total > s.cfg.MaxBytes || now.Sub(info.ModTime()) > s.cfg.MaxAge) {
			over = append(over, seq)
		}
	}
	if len(over) == 0 {
		return nil
	}
	slices.Sort(over)
	lines := make([]JournalEntry, len(over))
	for i, seq := range over {
		lines[i] = s.lineOf(seq)
	}
	if err := s.keepLines(lines); err != nil {
		return fmt.Errorf("keeping the journal: %w", err)
	}
	for _, seq := range over {
		for _, path := range []string{s.receiptPath(seq), s.path(sentDir, seq)} {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("pruning spool: %w", err)
			}
		}
	}
	return nil
}
