package agent

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// JournalEntry is one record that left, or waits to leave, this host.
type JournalEntry struct {
	Seq    uint64          `json:"seq"`
	Sealed time.Time       `json:"sealed"`
	Kinds  []evidence.Kind `json:"kinds"`
	Bytes  int             `json:"bytes"`  // of envelope and blobs
	SHA256 evidence.Digest `json:"sha256"` // of the envelope; the log holds the same
	Proven bool            `json:"proven"` // the log's receipt was verified
	Index  int64           `json:"index"`  // in the log; -1 if not known
	// Forgotten says that the content is no longer kept here.
	Forgotten bool `json:"forgotten,omitempty"`
}

// Journal lists every record that ever left, or waits to leave, this host, oldest
// first.
func Journal(cfg Config) ([]JournalEntry, error) {
	s, err := journalSpool(cfg)
	if err != nil {
		return nil, err
	}
	found := map[uint64]JournalEntry{}
	for _, sub := range []string{waitDir, sentDir} { // in this order: that is how records move
		seqs, err := s.list(sub)
		if err != nil {
			return nil, err
		}
		for _, seq := range seqs {
			e, err := s.entry(sub, seq)
			if errors.Is(err, os.ErrNotExist) {
				continue // moved while we read: it shows in the other folder
			}
			if err != nil {
				return nil, err
			}
			found[seq] = e
		}
	}
	lines, err := s.keptLines() // last: a record is listed there before it is deleted
	if err != nil {
		return nil, err
	}
	for _, e := range lines {
		if _, ok := found[e.Seq]; !ok {
			found[e.Seq] = e
		}
	}
	out := make([]JournalEntry, 0, len(found))
	for _, seq := range slices.Sorted(maps.Keys(found)) {
		out = append(out, found[seq])
	}
	return out, nil
}

func (s *Spool) entry(sub string, seq uint64) (JournalEntry, error) {
	rec, env, err := s.read(sub, seq)
	if err != nil {
		return JournalEntry{}, err
	}
	e := JournalEntry{Seq: seq, Sealed: rec.Sealed, Kinds: rec.Kinds, Bytes: len(rec.Envelope), SHA256: env.Digest(), Proven: sub == sentDir, Index: -1}
	for _, b := range rec.Blobs {
		e.Bytes += len(b)
	}
	var k kept
	if readJSON(s.receiptPath(seq), &k) == nil {
		if p, err := evidence.ParseProof([]byte(k.Proof)); err == nil {
			e.Index = p.Index
		}
	}
	return e, nil
}

func journalSpool(cfg Config) (*Spool, error) {
	id, err := state{cfg.StateDir}.identity()
	if err != nil {
		return nil, err
	}
	return readSpool(cfg.StateDir, cfg.Spool, id.First, osFiles{})
}

// Sent is the exact content of one record: the statement that was signed, and
// each blob by its digest, as they went over the wire.
type Sent struct {
	Entry     JournalEntry      `json:"-"`
	Envelope  string            `json:"envelope"`
	Statement string            `json:"statement"`
	Blobs     map[string]string `json:"blobs"`
}

// JournalRecord shows one record as it was sent.
func JournalRecord(cfg Config, seq uint64) (Sent, error) {
	s, err := journalSpool(cfg)
	if err != nil {
		return Sent{}, err
	}
	for _, sub := range []string{waitDir, sentDir} {
		rec, env, err := s.read(sub, seq)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return Sent{}, err
		}
		out := Sent{Envelope: strings.TrimSpace(rec.Envelope), Statement: string(env.Payload()), Blobs: map[string]string{}}
		for d, b := range rec.Blobs {
			out.Blobs[d] = string(b)
		}
		out.Entry, err = s.entry(sub, seq)
		return out, err
	}
	lines, err := s.keptLines()
	if err != nil {
		return Sent{}, err
	}
	if i := slices.IndexFunc(lines, func(e JournalEntry) bool { return e.Seq == seq }); i >= 0 {
		return Sent{}, fmt.Errorf("record %d was sent and its content is no longer kept here (spool: max_age); the server holds it as envelope %s, entry %d of the log",
			seq, lines[i].SHA256, lines[i].Index)
	}
	return Sent{}, fmt.Errorf("there is no record %d; attesto-agent journal lists those that there are", seq)
}
