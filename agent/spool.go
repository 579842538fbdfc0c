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
	Lost     int               `json:"lost"`    // as the envelope states it
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
	// doubt is a record whose write failed: it may be on disk or not. Its very
	// bytes are written again before anything else gets a number.
	doubt *written
	// repaired says in words what was found damaged when the spool was opened.
	repaired []string
}

// written is a record with its bytes as they go to disk.
type written struct {
	rec spooled
	env evidence.Envelope
	b   []byte
}

// errFull says that a record was not sealed because too much is waiting already.
var errFull = errors.New("the spool is full: the server was not reached for too long")

const (
	waitDir    = "wait"
	sentDir    = "sent"
	laterFile  = "later.json"
	recordExt  = ".rec"
	receiptExt = ".receipt"
	damagedExt = ".damaged"
	tempExt    = ".tmp"
)

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

// errDamaged says that a record's file does not hold what was written.
var errDamaged = errors.New("damaged on disk")

func (s *Spool) read(sub string, seq uint64) (spooled, evidence.Envelope, error) {
	var rec spooled
	path := s.path(sub, seq)
	b, err := os.ReadFile(path)
	if err != nil {
		return rec, evidence.Envelope{}, err
	}
	if err := json.Unmarshal(b, &rec); err != nil {
		return rec, evidence.Envelope{}, fmt.Errorf("%s: %w: %w", path, errDamaged, err)
	}
	env, err := evidence.ParseEnvelope([]byte(rec.Envelope))
	if err != nil {
		return rec, env, fmt.Errorf("%s: %w: %w", path, errDamaged, err)
	}
	if rec.Seq != seq {
		return rec, env, fmt.Errorf("%s: %w: it holds record %d", path, errDamaged, rec.Seq)
	}
	return rec, env, nil
}

// Cursor is where a kind's next look goes on.
func (s *Spool) Cursor(kind evidence.Kind) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.doubt != nil { // nothing becomes durable before it does
		return s.doubt.rec.Cursors[string(kind)]
	}
	return s.cursors[string(kind)]
}

// seal makes the next record durable. makeEnvelope gets its number, what it is
// chained to, and how many looks were lost before it. When too much waits, nothing
// is sealed, the looks count as lost, and errFull is returned; their cursors do
// not move, so what can be read again will be. When the disk refuses the record, it
// is kept in memory and retry writes the same bytes again.
func (s *Spool) seal(next map[string][]byte, kinds []evidence.Kind, blobs map[evidence.Digest][]byte, now time.Time,
	makeEnvelope func(seq uint64, prev evidence.Digest, lost int) (evidence.Envelope, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.resolve()
	if err == nil {
		err = s.fullLocked(now)
	}
	if err != nil {
		s.lost += len(kinds)
		return errors.Join(err, s.writeLater(s.cursors, s.lost))
	}
	seq := s.last + 1
	env, err := makeEnvelope(seq, s.stmt, s.lost)
	if err != nil {
		s.lost += len(kinds)
		return errors.Join(fmt.Errorf("sealing record %d: %w", seq, err), s.writeLater(s.cursors, s.lost))
	}
	rec := spooled{Seq: seq, Sealed: now.UTC(), Kinds: kinds, Envelope: string(env.Bytes()), Blobs: map[string][]byte{}, Cursors: s.with(next), Lost: s.lost}
	for d, b := range blobs {
		rec.Blobs[d.String()] = b
	}
	b, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("encoding record %d: %w", seq, err)
	}
	s.doubt = &written{rec, env, b}
	return s.resolve()
}

// full returns errFull while too much waits to seal anything new.
func (s *Spool) full(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fullLocked(now)
}

func (s *Spool) fullLocked(now time.Time) error {
	if s.bytes >= s.cfg.MaxBytes || (!s.oldest.IsZero() && now.Sub(s.oldest) > s.cfg.MaxAge) {
		return errFull
	}
	return nil
}

// retry writes a record again that the disk refused; it does nothing when there
// is none.
func (s *Spool) retry() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.resolve()
}

func (s *Spool) resolve() error {
	w := s.doubt
	if w == nil {
		return nil
	}
	if err := s.fs.writeDurable(s.path(waitDir, w.rec.Seq), w.b); err != nil {
		return fmt.Errorf("writing record %d: %w", w.rec.Seq, err)
	}
	s.doubt = nil
	s.last, s.stmt, s.cursors = w.rec.Seq, w.env.StatementDigest(), w.rec.Cursors
	s.lost -= w.rec.Lost
	s.waiting = append(s.waiting, w.rec.Seq)
	s.bytes += int64(len(w.b))
	if s.oldest.IsZero() {
		s.oldest = w.rec.Sealed
	}
	if s.lost == 0 {
		return nil
	}
	return s.writeLater(s.cursors, s.lost) // lost while the record was in doubt
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
	if err := s.resolve(); err != nil {
		return err // its cursors come first; the look is repeated
	}
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
