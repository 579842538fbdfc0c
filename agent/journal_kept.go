package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/attesto/attesto/evidence"
)

// journalFile holds a line for every record whose content is no longer kept, for
// as long as the agent lives: what ever left this host stays listed.
const journalFile = "journal.jsonl"

// keepLines writes entries to the end of the journal's file, durably, before their
// records are deleted. A line that a crash left torn belongs to a record that is
// still there, so it is cut off.
func (s *Spool) keepLines(entries []JournalEntry) error {
	f, err := os.OpenFile(filepath.Join(s.dir, journalFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	end, err := afterLastLine(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	for _, e := range entries {
		if err := enc.Encode(e); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	err = f.Truncate(end)
	if err == nil {
		_, err = f.WriteAt(lines.Bytes(), end)
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncDir(s.dir)
}

// afterLastLine is the offset behind the last whole line.
func afterLastLine(f *os.File) (int64, error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	tail := make([]byte, min(end, 64<<10)) // a line has some hundred bytes
	if _, err := f.ReadAt(tail, end-int64(len(tail))); err != nil {
		return 0, err
	}
	return end - int64(len(tail)) + int64(bytes.LastIndexByte(tail, '\n')+1), nil
}

// keptLines reads the journal's file.
func (s *Spool) keptLines() ([]JournalEntry, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, journalFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	var out []JournalEntry
	n := 0
	for line := range bytes.Lines(b) {
		n++
		if line[len(line)-1] != '\n' {
			break // torn; its record is still there
		}
		var e JournalEntry
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("reading %s, line %d: %w", journalFile, n, err)
		}
		out = append(out, e)
	}
	return out, nil
}

// lineOf is what the journal keeps of a receipted record; of one that cannot be
// read any more, its number.
func (s *Spool) lineOf(seq uint64) JournalEntry {
	e, err := s.entry(sentDir, seq)
	if err != nil {
		e = JournalEntry{Seq: seq, Kinds: []evidence.Kind{}, Proven: true, Index: -1}
	}
	e.Forgotten = true
	return e
}
