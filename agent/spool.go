package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/attesto/attesto/evidence"
)

// spooled is one sealed record with all that must become durable in the same
// step: its blobs, and the cursors with which the next looks go on.
type spooled struct {
	Seq      uint64            `json:"seq"`
	Sealed   time.Time         `json:"sealed"`
	Kinds    []evidence.Kind   `json:"kinds"`
	Envelope string            `json:"envelope"`
	Blobs    map[string][]byte `json:"blobs"`   // hex SHA-256 to bytes
	Cursors  map[string][]byte `json:"cursors"` // of all kinds
}

// later is what changes between two records: cursors of looks that had nothing
// to report, and the count of looks that could not be sealed.
type later struct {
	After   uint64            `json:"after"` // the record that it follows
	Cursors map[string][]byte `json:"cursors"`
	Lost    int               `json:"lost"`
}

// Spool keeps sealed records until the log's receipt for them was verified, and
// for a while after. Each record is one file that appears whole: written aside,
// fsynced, renamed, folder fsynced. So a crash repeats a look and never skips
// one, and never gives one number to two records.
type Spool struct {
	dir string // holds wait/ and sent/
	fs  files
	cfg SpoolConfig

	mu      sync.Mutex
	last    uint64 // 0 before the first record
	stmt    evidence.Digest
	cursors map[string][]byte
	lost    int
	waiting []uint64 // ascending
	bytes   int64    // of what waits
	oldest  time.Time
}

// errFull says that a record was not sealed because too much is waiting already.
var errFull = errors.New("the spool is full: the server was not reached for too long")

const (
	waitDir    = "wait"
	sentDir    = "sent"
	laterFile  = "later.json"
	recordExt  = ".rec"
	receiptExt = ".receipt"
	tempExt    = ".tmp"
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
	return readSpool(dir, cfg, first, disk)
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
// running agent.
func readSpool(dir string, cfg SpoolConfig, first evidence.Digest, disk files) (*Spool, error) {
	s := &Spool{dir: dir, fs: disk, cfg: cfg, stmt: first, cursors: map[string][]byte{}}
	sent, err := s.list(sentDir)
	if err != nil {
		return nil, err
	}
	if s.waiting, err = s.list(waitDir); err != nil {
		return nil, err
	}
	for _, seq := range s.waiting {
		info, err := os.Stat(s.path(waitDir, seq))
		if err != nil {
			return nil, fmt.Errorf("opening spool: %w", err)
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
			return nil, fmt.Errorf("opening spool: the newest record cannot be read, so the chain cannot go on: %w", err)
		}
		s.last, s.stmt = newest, env.StatementDigest()
		if rec.Cursors != nil {
			s.cursors = rec.Cursors
		}
	}
	return s, s.readLater()
}

func (s *Spool) readLater() error {
	b, err := os.ReadFile(filepath.Join(s.dir, laterFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening spool: %w", err)
	}
	var l later
	if err := json.Unmarshal(b, &l); err != nil {
		return fmt.Errorf("opening spool: %s: %w", laterFile, err)
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

// list names the records in a folder.
func (s *Spool) list(sub string) ([]uint64, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, sub))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading spool: %w", err)
	}
	var seqs []uint64
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), recordExt)
		seq, err := strconv.ParseUint(digits, 10, 64)
		if !ok || err != nil {
			continue
		}
		seqs = append(seqs, seq)
	}
	slices.Sort(seqs)
	return seqs, nil
}

func (s *Spool) path(sub string, seq uint64) string {
	return filepath.Join(s.dir, sub, fmt.Sprintf("%016d%s", seq, recordExt))
}

// receiptPath is where a sent record's receipt is kept.
func (s *Spool) receiptPath(seq uint64) string {
	return strings.TrimSuffix(s.path(sentDir, seq), recordExt) + receiptExt
}

func (s *Spool) read(sub string, seq uint64) (spooled, evidence.Envelope, error) {
	var rec spooled
	path := s.path(sub, seq)
	b, err := os.ReadFile(path)
	if err != nil {
		return rec, evidence.Envelope{}, err
	}
	if err := json.Unmarshal(b, &rec); err != nil {
		return rec, evidence.Envelope{}, fmt.Errorf("%s: %w", path, err)
	}
	env, err := evidence.ParseEnvelope([]byte(rec.Envelope))
	if err != nil || rec.Seq != seq {
		return rec, env, fmt.Errorf("%s: holds record %d: %w", path, rec.Seq, err)
	}
	return rec, env, nil
}

// Cursor is where a kind's next look goes on.
func (s *Spool) Cursor(kind evidence.Kind) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cursors[string(kind)]
}

// seal makes the next record durable. make gets its number, what it is chained to,
// and how many looks were lost before it. When too much waits, nothing is
// sealed, the looks count as lost, and errFull is returned; their cursors do not
// move, so what can be read again will be.
func (s *Spool) seal(next map[string][]byte, kinds []evidence.Kind, blobs map[evidence.Digest][]byte, now time.Time,
	makeEnvelope func(seq uint64, prev evidence.Digest, lost int) (evidence.Envelope, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes >= s.cfg.MaxBytes || (!s.oldest.IsZero() && now.Sub(s.oldest) > s.cfg.MaxAge) {
		s.lost += len(kinds)
		return errors.Join(errFull, s.writeLater(s.cursors, s.lost))
	}
	seq := s.last + 1
	env, err := makeEnvelope(seq, s.stmt, s.lost)
	if err != nil {
		return err
	}
	rec := spooled{Seq: seq, Sealed: now.UTC(), Kinds: kinds, Envelope: string(env.Bytes()), Blobs: map[string][]byte{}, Cursors: s.with(next)}
	for d, b := range blobs {
		rec.Blobs[d.String()] = b
	}
	b, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("encoding record %d: %w", seq, err)
	}
	if err := s.fs.writeDurable(s.path(waitDir, seq), b); err != nil {
		// The file may have become durable all the same. Only what is on disk
		// says which number is free.
		return errors.Join(fmt.Errorf("writing record %d: %w", seq, err), s.settle(seq, env, rec, int64(len(b))))
	}
	s.took(seq, env, rec, int64(len(b)))
	return nil
}

// settle finds out, after a failed write, whether the record is there.
func (s *Spool) settle(seq uint64, env evidence.Envelope, rec spooled, size int64) error {
	_, onDisk, err := s.read(waitDir, seq)
	switch {
	case err == nil && onDisk.Digest() == env.Digest():
		s.took(seq, env, rec, size)
		return nil
	case errors.Is(err, fs.ErrNotExist):
		s.lost += len(rec.Kinds)
		return nil
	}
	return fmt.Errorf("record %d is damaged on disk: %w", seq, err)
}

func (s *Spool) took(seq uint64, env evidence.Envelope, rec spooled, size int64) {
	s.last, s.stmt, s.cursors, s.lost = seq, env.StatementDigest(), rec.Cursors, 0
	s.waiting = append(s.waiting, seq)
	s.bytes += size
	if s.oldest.IsZero() {
		s.oldest = rec.Sealed
	}
}

func (s *Spool) with(next map[string][]byte) map[string][]byte {
	all := map[string][]byte{}
	for k, c := range s.cursors {
		all[k] = c
	}
	for k, c := range next {
		if c != nil {
			all[k] = c
		}
	}
	return all
}

// remember keeps cursors of looks that had nothing to report.
func (s *Spool) remember(next map[string][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.with(next)
	if err := s.writeLater(all, s.lost); err != nil {
		return err
	}
	s.cursors = all
	return nil
}

func (s *Spool) writeLater(cursors map[string][]byte, lost int) error {
	b, err := json.Marshal(later{s.last, cursors, lost})
	if err != nil {
		return fmt.Errorf("encoding cursors: %w", err)
	}
	if err := s.fs.writeDurable(filepath.Join(s.dir, laterFile), b); err != nil {
		return fmt.Errorf("writing cursors: %w", err)
	}
	return nil
}

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
			return nil, nil, fmt.Errorf("reading record %d: %w", seq, err)
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

// receipted moves a record out of what waits. Its file is kept for a while, and
// the newest one always: the chain goes on from it.
func (s *Spool) receipted(seq uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.waiting, seq)
	if i < 0 {
		return nil
	}
	info, err := os.Stat(s.path(waitDir, seq))
	if err != nil {
		return fmt.Errorf("moving record %d: %w", seq, err)
	}
	if err := s.fs.moveDurable(s.path(waitDir, seq), s.path(sentDir, seq)); err != nil {
		return fmt.Errorf("moving record %d: %w", seq, err)
	}
	s.waiting = slices.Delete(s.waiting, i, i+1)
	s.bytes -= info.Size()
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
		if err := s.fs.moveDurable(s.path(sentDir, n), s.path(waitDir, n)); err != nil {
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

// prune deletes receipted records over the spool's age or, oldest first, over its
// budget; never the newest.
func (s *Spool) prune(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent, err := s.list(sentDir)
	if err != nil {
		return err
	}
	total := int64(0)
	keep := s.last
	for _, seq := range slices.Backward(sent) {
		info, err := os.Stat(s.path(sentDir, seq))
		if err != nil {
			return fmt.Errorf("pruning spool: %w", err)
		}
		total += info.Size()
		if seq != keep && (total > s.cfg.MaxBytes || now.Sub(info.ModTime()) > s.cfg.MaxAge) {
			for _, path := range []string{s.receiptPath(seq), s.path(sentDir, seq)} {
				if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return fmt.Errorf("pruning spool: %w", err)
				}
			}
		}
	}
	return nil
}

// SpoolState is what status shows of the spool.
type SpoolState struct {
	Last    uint64     `json:"last"`    // number of the newest sealed record
	Waiting int        `json:"waiting"` // records without a verified receipt
	Bytes   int64      `json:"bytes"`   // of what waits
	Oldest  *time.Time `json:"oldest,omitempty"`
	Lost    int        `json:"lost"` // looks since the last record that could not be sealed
}

// State describes the spool now.
func (s *Spool) State() SpoolState {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := SpoolState{Last: s.last, Waiting: len(s.waiting), Bytes: s.bytes, Lost: s.lost}
	if !s.oldest.IsZero() {
		oldest := s.oldest.UTC()
		st.Oldest = &oldest
	}
	return st
}
