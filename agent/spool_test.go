package agent

// These tests are inside the package: they put faults between the spool and the disk.

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/host/hosttest"
	"github.com/attesto/attesto/evidence"
)

// What a fault does to the write that it hits.
const (
	failed    = "failed"               // nothing reached the disk
	persisted = "failed but persisted" // it did, and the caller is told otherwise
	torn      = "torn"                 // half of it did
)

var errInjected = errors.New("input/output error")

// faulty does harm at one change of the disk, and optionally at all later ones.
type faulty struct {
	at, n   int
	mode    string
	onwards bool
}

func (f *faulty) hit() bool {
	f.n++
	return f.n == f.at || (f.onwards && f.n > f.at)
}

func (f *faulty) writeDurable(path string, b []byte) error {
	if !f.hit() {
		return osFiles{}.writeDurable(path, b)
	}
	switch f.mode {
	case persisted:
		return errors.Join(errInjected, osFiles{}.writeDurable(path, b))
	case torn:
		return errors.Join(errInjected, os.WriteFile(path, b[:len(b)/2], 0o600))
	}
	return errInjected
}

func (f *faulty) moveDurable(from, to string) error {
	if !f.hit() {
		return osFiles{}.moveDurable(from, to)
	}
	if f.mode == failed {
		return errInjected
	}
	return errors.Join(errInjected, osFiles{}.moveDurable(from, to))
}

// bench seals looks of a counter into a spool and plays the server's part.
type bench struct {
	t     *testing.T
	dir   string
	key   evidence.Signer
	first evidence.Digest
	s     *Spool
	now   time.Time

	given map[uint64]evidence.Digest // every number that was ever handed out for a push
	log   []int                      // the looks in the server's log, in order
	lost  int                        // as records state
	last  uint64
	stmt  evidence.Digest
}

const benchKind = evidence.Kind("alpha")

func newBench(t *testing.T, cfg SpoolConfig, disk files) *bench {
	t.Helper()
	key, err := evidence.NewFileKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	first := evidence.Sum([]byte("enrollment"))
	b := &bench{t: t, dir: t.TempDir(), key: key, first: first, now: time.Now(), given: map[uint64]evidence.Digest{}, stmt: first}
	b.open(cfg, disk)
	return b
}

var roomy = SpoolConfig{MaxBytes: 100 << 20, MaxAge: 24 * time.Hour}

func (b *bench) open(cfg SpoolConfig, disk files) {
	b.t.Helper()
	s, err := openSpool(b.dir, cfg, b.first, disk)
	if err != nil {
		b.t.Fatalf("opening: %v", err)
	}
	b.s = s
}

func (b *bench) cursor() int {
	n := 0
	if c := b.s.Cursor(benchKind); c != nil {
		if err := json.Unmarshal(c, &n); err != nil {
			b.t.Fatal(err)
		}
	}
	return n
}

// look sees the next number and seals it.
func (b *bench) look() error {
	n := b.cursor() + 1
	facts := fmt.Appendf(nil, `{"n":%d}`, n)
	d := evidence.Sum(facts)
	return b.s.seal(map[string][]byte{string(benchKind): fmt.Append(nil, n)}, []evidence.Kind{benchKind}, map[evidence.Digest][]byte{d: facts}, b.now,
		func(seq uint64, prev evidence.Digest, lost int) (evidence.Envelope, error) {
			return evidence.Seal(b.key, evidence.Record{Org: "o_" + strings.Repeat("a", 26), Agent: "a_" + strings.Repeat("a", 26), Seq: seq, Prev: prev, Lost: lost,
				Clock: evidence.Clock{Now: evidence.At(b.now)},
				Items: []evidence.Item{{Kind: benchKind, Schema: 1, From: evidence.At(b.now), To: evidence.At(b.now), Outcome: evidence.Complete, Facts: d}}})
		})
}

// push hands out what waits, lets the server take it and receipts it.
func (b *bench) push() error {
	recs, envs, err := b.s.batch(64, 1<<20)
	if err != nil {
		return err
	}
	for i, rec := range recs {
		if was, ok := b.given[rec.Seq]; ok && was != envs[i].Digest() {
			b.t.Fatalf("number %d was given to two records", rec.Seq)
		}
		b.given[rec.Seq] = envs[i].Digest()
		if rec.Seq == b.last+1 {
			b.take(rec, envs[i])
		} else if rec.Seq > b.last {
			b.t.Fatalf("record %d comes after record %d", rec.Seq, b.last)
		}
		if err := b.s.receipted(rec.Seq); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) take(rec spooled, env evidence.Envelope) {
	r, err := evidence.ParseRecord(env.Payload())
	if err != nil {
		b.t.Fatal(err)
	}
	if r.Prev != b.stmt {
		b.t.Fatalf("record %d is not chained to the one before it", rec.Seq)
	}
	var f struct{ N int }
	if err := json.Unmarshal(rec.Blobs[r.Items[0].Facts.String()], &f); err != nil {
		b.t.Fatal(err)
	}
	b.last, b.stmt, b.log, b.lost = rec.Seq, env.StatementDigest(), append(b.log, f.N), b.lost+r.Lost
}

// check holds that no look was skipped and at most repeats were repeated.
func (b *bench) check(repeats int) {
	b.t.Helper()
	highest, repeated := 0, 0
	for _, n := range b.log {
		switch {
		case n == highest+1:
			highest = n
		case n <= highest:
			repeated++
		default:
			b.t.Errorf("look %d follows look %d: looks were skipped: %v", n, highest, b.log)
			highest = n
		}
	}
	if repeated > repeats {
		b.t.Errorf("%d looks were repeated, at most %d may be: %v", repeated, repeats, b.log)
	}
	if highest != b.cursor() {
		b.t.Errorf("the log ends with look %d, the cursor stands at %d", highest, b.cursor())
	}
}

// step does the n-th act of a life: mostly looks, with pushes and cursors between.
func (b *bench) step(n int) error {
	switch n % 4 {
	case 1:
		return b.push()
	case 2:
		return b.s.remember(map[string][]byte{"quiet": fmt.Append(nil, n)})
	}
	return b.look()
}

// TestFaultTable puts each fault at each change of the disk in a life of 12 acts, and
// goes on in the same process, or with a crash right after the fault, or with a
// crash after a while of nothing but faults. The record that was hit is neither
// lost nor doubled, and its number is never used for another.
func TestFaultTable(t *testing.T) {
	const acts = 12
	count := &faulty{}
	b := newBench(t, roomy, count)
	for n := range acts {
		if err := b.step(n); err != nil {
			t.Fatal(err)
		}
	}
	if count.n < acts {
		t.Fatalf("only %d changes of the disk", count.n)
	}
	for _, mode := range []string{failed, persisted, torn} {
		for _, after := range []string{"goes on", "crashes", "keeps failing, then crashes"} {
			for at := 1; at <= count.n; at++ {
				t.Run(fmt.Sprintf("%s/%s/%d", mode, after, at), func(t *testing.T) {
					f := &faulty{at: at, mode: mode, onwards: strings.HasPrefix(after, "keeps")}
					b := newBench(t, roomy, f)
					said := 0
					for n := range acts {
						err := b.step(n)
						if err != nil {
							said++
						}
						if err != nil && after == "crashes" {
							b.open(roomy, osFiles{})
						}
					}
					if said == 0 && mode == failed {
						t.Error("nobody was told of the fault")
					}
					if f.onwards {
						b.open(roomy, osFiles{})
					}
					for n := range acts {
						if err := b.step(n); err != nil {
							t.Errorf("after the fault: %v", err)
						}
					}
					if err := b.push(); err != nil {
						t.Fatal(err)
					}
					b.check(0)
					b.open(roomy, osFiles{}) // what is on disk agrees with what was in memory
					b.check(0)
					if b.s.State().Waiting != 0 || b.s.State().Last != b.last {
						t.Errorf("state %+v, the server holds %d", b.s.State(), b.last)
					}
				})
			}
		}
	}
}

// TestLostIsStated: looks that could not be kept while a record was in doubt, and
// those that found the spool full, are counted exactly once.
func TestLostIsStated(t *testing.T) {
	f := &faulty{at: 2, mode: failed, onwards: true}
	b := newBench(t, roomy, f)
	if err := b.look(); err != nil {
		t.Fatal(err)
	}
	for range 4 { // the first waits in memory, three are lost
		if err := b.look(); !errors.Is(err, errInjected) {
			t.Fatalf("error %v", err)
		}
	}
	if st := b.s.State(); st.Lost != 3 || st.Last != 1 {
		t.Errorf("state %+v", st)
	}
	f.onwards = false
	if err := b.s.retry(); err != nil {
		t.Fatal(err)
	}
	if st := b.s.State(); st.Lost != 3 || st.Last != 2 || st.Waiting != 2 {
		t.Errorf("state after the retry %+v", st)
	}
	b.open(roomy, osFiles{}) // the count survives
	if err := b.look(); err != nil {
		t.Fatal(err)
	}
	if err := b.push(); err != nil {
		t.Fatal(err)
	}
	if b.lost != 3 || b.s.State().Lost != 0 {
		t.Errorf("records state %d lost, want 3; still to state: %d", b.lost, b.s.State().Lost)
	}
	b.check(0)
}

func TestPruneKeepsTheNewest(t *testing.T) {
	b := newBench(t, SpoolConfig{MaxBytes: 1 << 20, MaxAge: time.Hour}, osFiles{})
	for range 5 {
		if err := b.look(); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.push(); err != nil {
		t.Fatal(err)
	}
	count := func() int {
		t.Helper()
		seqs, err := b.s.list(sentDir)
		if err != nil {
			t.Fatal(err)
		}
		return len(seqs)
	}
	if err := b.s.prune(b.now); err != nil || count() != 5 {
		t.Errorf("%d are kept of 5, %v", count(), err)
	}
	info, err := os.Stat(b.s.path(sentDir, 5))
	if err != nil {
		t.Fatal(err)
	}
	b.s.cfg.MaxBytes = 2*info.Size() + 10
	if err := b.s.prune(b.now); err != nil || count() != 2 {
		t.Errorf("%d are kept in a budget for 2, %v", count(), err)
	}
	if err := b.s.prune(b.now.Add(2 * time.Hour)); err != nil || count() != 1 {
		t.Errorf("%d are kept beyond the age, want the newest, %v", count(), err)
	}
	kept, err := b.s.keptLines()
	if err != nil || len(kept) != 4 {
		t.Fatalf("the journal keeps %d lines of 4: %v", len(kept), err)
	}
	for i, e := range kept {
		if e.Seq != uint64(i+1) || e.SHA256.IsZero() || e.Bytes == 0 || !e.Forgotten || len(e.Kinds) == 0 {
			t.Errorf("line %d: %+v", i, e)
		}
	}
	// A crash tore the next line; its record was not yet deleted.
	journal, err := os.OpenFile(filepath.Join(b.s.dir, journalFile), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := journal.WriteString(`{"seq":5,"sha`); err != nil {
		t.Fatal(err)
	}
	if err := journal.Close(); err != nil {
		t.Fatal(err)
	}
	if kept, err = b.s.keptLines(); err != nil || len(kept) != 4 {
		t.Errorf("%d lines, %v", len(kept), err)
	}
	if err := b.s.keepLines([]JournalEntry{b.s.lineOf(5)}); err != nil {
		t.Fatal(err)
	}
	if kept, err = b.s.keptLines(); err != nil || len(kept) != 5 || kept[4].Seq != 5 {
		t.Errorf("%d lines, %v", len(kept), err)
	}
	b.open(roomy, osFiles{})
	if err := b.look(); err != nil {
		t.Fatal(err)
	}
	if err := b.push(); err != nil {
		t.Fatal(err)
	}
	b.check(0)
}

func TestSpoolTooOld(t *testing.T) {
	b := newBench(t, SpoolConfig{MaxBytes: 1 << 20, MaxAge: time.Hour}, osFiles{})
	if err := b.look(); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(61 * time.Minute)
	if err := b.look(); !errors.Is(err, errFull) {
		t.Errorf("error %v, want that the spool is full", err)
	}
	if err := b.push(); err != nil {
		t.Fatal(err)
	}
	if err := b.look(); err != nil {
		t.Fatal(err)
	}
	if err := b.push(); err != nil || b.lost != 1 {
		t.Errorf("lost %d, %v", b.lost, err)
	}
	b.check(0)
}

// TestDamagedFiles: what a failing disk did to files that were once sound.
func TestDamagedFiles(t *testing.T) {
	for _, harm := range []string{"", "{", `{"seq":3}`, `{"seq":1,"envelope":"x"}`, "\x00\x00"} {
		b := newBench(t, roomy, osFiles{})
		for range 3 {
			if err := b.look(); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(b.s.path(waitDir, 3), []byte(harm), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(b.dir, laterFile), []byte(harm), 0o600); err != nil {
			t.Fatal(err)
		}
		b.open(roomy, osFiles{})
		if len(b.s.repaired) == 0 {
			t.Errorf("%q: nothing is said of the damage", harm)
		}
		if _, err := os.Stat(b.s.path(waitDir, 3) + damagedExt); err != nil {
			t.Errorf("%q: the damaged file is gone: %v", harm, err)
		}
		if err := b.look(); err != nil {
			t.Fatal(err)
		}
		if err := b.push(); err != nil {
			t.Fatal(err)
		}
		if b.lost == 0 {
			t.Errorf("%q: no record states a loss", harm)
		}
		b.check(0)
	}

	b := newBench(t, roomy, osFiles{})
	if err := errors.Join(b.look(), b.push()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.s.path(sentDir, 1), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openSpool(b.dir, roomy, b.first, osFiles{}); err == nil || !strings.Contains(err.Error(), "enroll this host anew") {
		t.Errorf("the record that the chain goes on from is damaged: %v", err)
	}
}

func FuzzSpoolFile(f *testing.F) {
	f.Add([]byte(`{"seq":1,"envelope":"","blobs":{},"cursors":{}}`), []byte(`{"after":0,"cursors":{"a":"eA=="},"lost":2}`))
	f.Add([]byte(`{"seq":18446744073709551615}`), []byte(`{"lost":-1}`))
	parent, split := f.TempDir(), 0
	var s *Spool
	var err error
	bound := hosttest.NewBound("spool", func(b []byte) {
		dir := filepath.Join(parent, "spool")
		if err = errors.Join(os.RemoveAll(dir), os.MkdirAll(filepath.Join(dir, waitDir), 0o700),
			os.WriteFile(filepath.Join(dir, waitDir, "0000000000000001.rec"), b[:split], 0o600),
			os.WriteFile(filepath.Join(dir, laterFile), b[split:], 0o600)); err == nil {
			s, err = openSpool(dir, roomy, evidence.Sum(nil), osFiles{})
		}
	})
	f.Fuzz(func(t *testing.T, rec, later []byte) {
		split = len(rec)
		if bound.Check(t, slices.Concat(rec, later)); err != nil {
			t.Fatalf("a damaged file stops the agent: %v", err)
		}
		if st := s.State(); st.Lost < 0 {
			t.Errorf("state %+v", st)
		}
	})
}
