package ledger_test

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
)

// memory is a Backend that holds all in slices.
type memory struct {
	state  ledger.State
	leaves []tlog.Hash
	lines  [][]byte
	tiles  map[int][]ledger.Tile
	signed []int64
	notes  []ledger.Released
}

func (m *memory) LockLog(context.Context, string) (ledger.State, error) { return m.state, nil }

func (m *memory) AppendLog(_ context.Context, next ledger.State, entries []ledger.Entry, tiles []ledger.Tile) error {
	for _, e := range entries {
		m.leaves, m.lines, m.signed = append(m.leaves, e.Leaf), append(m.lines, e.Line), append(m.signed, e.Signed)
	}
	m.notes = append(m.notes, ledger.Released{Size: next.Size, Note: next.Checkpoint})
	for _, t := range tiles {
		m.tiles[t.Level] = append(m.tiles[t.Level], t)
	}
	m.state = next
	return nil
}

func (m *memory) LogHashes(_ context.Context, _ string, level int, from, to int64) ([]tlog.Hash, error) {
	if level == 0 {
		return m.leaves[from:to], nil
	}
	var hashes []tlog.Hash
	for _, t := range m.tiles[level-1][from:to] {
		hashes = append(hashes, t.Root)
	}
	return hashes, nil
}

func (m *memory) LogTile(_ context.Context, _ string, level int, n int64) ([]byte, error) {
	return m.tiles[level][n].Data, nil
}

const origin = "proof.example/t/o_aaaaaaaaaaaaaaaaaaaaaaaaaa/1"

var (
	key     = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	trusted = evidence.TrustedLog{Origin: origin, Keys: []ed25519.PublicKey{key.Public().(ed25519.PublicKey)}}
	start   = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
)

type fataler interface{ Fatal(...any) }

func newMemory(t fataler) (*ledger.Log, *memory) {
	log := ledger.New(key, nil)
	st, err := log.Start("l_1", "o_aaaaaaaaaaaaaaaaaaaaaaaaaa", origin, 1)
	if err != nil {
		t.Fatal(err)
	}
	return log, &memory{state: st, tiles: map[int][]ledger.Tile{}}
}

func entries(first, n int64) []evidence.Entry {
	list := make([]evidence.Entry, n)
	for i := range list {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], uint64(first)+uint64(i))
		list[i] = evidence.Entry{Type: evidence.EntryEvidence, Seq: uint64(i), Stmt: evidence.Sum(b[:]), Env: evidence.Sum(b[1:])}
	}
	return list
}

func (m *memory) grow(t fataler, log *ledger.Log, n int64) {
	if _, _, err := log.Append(context.Background(), m, m.state, start, entries(m.state.Size, n)); err != nil {
		t.Fatal(err)
	}
}

// reference keeps the tree as tlog itself does.
type reference struct{ stored []tlog.Hash }

func (r *reference) add(t fataler, line []byte, n int64) {
	hashes, err := tlog.StoredHashes(n, line, r)
	if err != nil {
		t.Fatal(err)
	}
	r.stored = append(r.stored, hashes...)
}

func (r *reference) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		list[i] = r.stored[x]
	}
	return list, nil
}

// The compact range gives the root of RFC 6962 at every size to 600 and sampled to
// 70,000; every full tile holds the hashes that tlog would put there.
func TestRootsAndTilesAgreeWithTlog(t *testing.T) {
	log, m := newMemory(t)
	ref := &reference{}
	const last = 70_000
	for m.state.Size < last {
		old := m.state.Size
		step := int64(1)
		if old >= 600 {
			step = 1 + old*7%331
		}
		m.grow(t, log, min(step, last-old))
		for i := old; i < m.state.Size; i++ {
			ref.add(t, m.lines[i], i)
		}
		want, err := tlog.TreeHash(m.state.Size, ref)
		if err != nil {
			t.Fatal(err)
		}
		if m.state.Root != want {
			t.Fatalf("root at %d is %v, want %v", m.state.Size, m.state.Root, want)
		}
	}
	for level, count := range map[int]int{0: last / 256, 1: last / 65536} {
		if len(m.tiles[level]) != count {
			t.Errorf("%d tiles of level %d, want %d", len(m.tiles[level]), level, count)
		}
		for n, tile := range m.tiles[level] {
			want, err := tlog.ReadTileData(tlog.Tile{H: 8, L: level, N: int64(n), W: 256}, ref)
			if err != nil || string(want) != string(tile.Data) || tile.N != int64(n) {
				t.Fatalf("tile %d/%d differs (%v)", level, n, err)
			}
			root, err := ref.ReadHashes([]int64{tlog.StoredHashIndex(8*(level+1), int64(n))})
			if err != nil || root[0] != tile.Root {
				t.Fatalf("root of tile %d/%d differs (%v)", level, n, err)
			}
		}
	}
}

// Proofs made from tiles and leaves hold for any index and any older size.
func TestProofsHold(t *testing.T) {
	log, m := newMemory(t)
	heads := map[int64]evidence.Head{}
	for _, step := range []int64{1, 1, 1, 60, 192, 1, 1, 255, 30_000, 35_024, 300, 4_164} {
		m.grow(t, log, step)
		heads[m.state.Size] = m.state.Head()
	}
	ctx := context.Background()
	for size, head := range heads {
		rapid.Check(t, func(t *rapid.T) {
			index := rapid.Int64Range(0, size-1).Draw(t, "index")
			tree := ledger.At(ctx, m, m.state.ID, size)
			path, err := tree.Inclusion(index)
			if err != nil {
				t.Fatal(err)
			}
			if err := tlog.CheckRecord(path, size, head.Root, index, m.leaves[index]); err != nil {
				t.Fatal(err)
			}
		})
		for old, known := range heads {
			if old > size {
				continue
			}
			proof, err := ledger.At(ctx, m, m.state.ID, size).Consistency(old)
			if err != nil {
				t.Fatal(err)
			}
			if err := evidence.CheckConsistency(known, head, proof); err != nil {
				t.Errorf("from %d to %d: %v", old, size, err)
			}
		}
	}
}

func TestReceiptVerifies(t *testing.T) {
	key, err := evidence.NewFileKey(key)
	if err != nil {
		t.Fatal(err)
	}
	env, err := evidence.SealPayload(key, evidence.PayloadInToto, []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	log, m := newMemory(t)
	m.grow(t, log, 300)
	ctx := context.Background()
	e := evidence.Entry{Type: evidence.EntryEvidence, Stmt: env.StatementDigest(), Env: env.Digest()}
	next, stored, err := log.Append(ctx, m, m.state, start, []evidence.Entry{e})
	if err != nil {
		t.Fatal(err)
	}
	r, err := ledger.At(ctx, m, next.ID, next.Size).Receipt(300, stored[0].Line, next.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	if _, index, head, err := r.Verify(env, trusted); err != nil || index != 300 || head.Size != 301 {
		t.Fatalf("index %d of %d: %v", index, head.Size, err)
	}
}

// The server's clock may step back; the log's time may not.
func TestTimeNeverRunsBackwards(t *testing.T) {
	log, m := newMemory(t)
	ctx := context.Background()
	for _, tt := range []struct{ now, want time.Time }{
		{start, start}, {start.Add(-24 * time.Hour), start}, {start.Add(time.Second), start.Add(time.Second)},
	} {
		_, stored, err := log.Append(ctx, m, m.state, tt.now, entries(m.state.Size, 1))
		if err != nil {
			t.Fatal(err)
		}
		e, err := evidence.ParseEntry(stored[0].Line)
		if err != nil || !e.Time.Equal(tt.want) {
			t.Errorf("entry at %v has time %v, want %v (%v)", tt.now, e.Time, tt.want, err)
		}
	}
}

func TestEdgeCodec(t *testing.T) {
	log, m := newMemory(t)
	m.grow(t, log, 777)
	edge, err := ledger.DecodeEdge(ledger.EncodeEdge(m.state.Edge), 777)
	if err != nil || len(edge) != len(m.state.Edge) {
		t.Fatalf("%d hashes, %v", len(edge), err)
	}
	if _, err := ledger.DecodeEdge(ledger.EncodeEdge(m.state.Edge)[1:], 777); err == nil {
		t.Error("an edge that lost a byte was read")
	}
}

func (m *memory) Entries(_ context.Context, _ string, from int64, limit int) ([]ledger.Entry, error) {
	var list []ledger.Entry
	for i := from; i < int64(len(m.leaves)) && len(list) < limit; i++ {
		list = append(list, ledger.Entry{Index: i, Leaf: m.leaves[i], Line: m.lines[i], Signed: m.signed[i]})
	}
	return list, nil
}

func (m *memory) Checkpoints(_ context.Context, _ string, from int64, limit int) ([]ledger.Released, error) {
	var list []ledger.Released
	for _, r := range m.notes {
		if r.Size >= from && len(list) < limit {
			list = append(list, r)
		}
	}
	return list, nil
}

func (m *memory) Tiles(_ context.Context, _ string, level int, from int64, limit int) ([]ledger.Tile, error) {
	list := m.tiles[level][min(from, int64(len(m.tiles[level]))):]
	return list[:min(limit, len(list))], nil
}

// Changes that hang together in themselves are found as well: by what lies below
// and by what was signed.
func TestCheckFindsChangesThatHangTogether(t *testing.T) {
	ctx := context.Background()
	for _, tt := range []struct {
		name   string
		change func(m *memory)
		want   string
	}{
		{"nothing", func(*memory) {}, ""},
		{"another tile in its place", func(m *memory) {
			m.tiles[0][1].Data, m.tiles[0][1].Root = m.tiles[0][2].Data, m.tiles[0][2].Root
		}, "tile 0/1: 256 of its hashes are not those of what lies below, the first is number 0"},
		{"entry and leaf", func(m *memory) {
			e := entries(9999, 1)[0]
			e.V, e.Time = 1, evidence.At(start)
			line, err := e.Line()
			if err != nil {
				t.Fatal(err)
			}
			m.lines[700], m.leaves[700] = line, evidence.LeafHash(line)
		}, "checkpoint of 701: its root is not that of the entries"},
		{"leaf alone", func(m *memory) { m.leaves[700][0] ^= 1 }, "entry 700: its bytes do not have the leaf hash"},
		{"entry alone", func(m *memory) { m.lines[700] = append([]byte(" "), m.lines[700]...) }, "entry 700: its bytes do not have the leaf hash"},
		{"two entries swapped", func(m *memory) {
			m.lines[700], m.lines[701] = m.lines[701], m.lines[700]
			m.leaves[700], m.leaves[701] = m.leaves[701], m.leaves[700]
		}, "checkpoint of 701: its root is not that of the entries"},
		{"log cut short", func(m *memory) { m.leaves, m.lines = m.leaves[:1000], m.lines[:1000] }, "entries 1000 to 1029: missing"},
		{"checkpoint of another key", func(m *memory) {
			other := ed25519.NewKeyFromSeed([]byte("another key of thirty-two bytes!"))
			note, err := evidence.SignCheckpoint(other, evidence.Head{Origin: origin, Size: 701})
			if err != nil {
				t.Fatal(err)
			}
			m.notes[701].Note = note
		}, "checkpoint of 701"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log, m := newMemory(t)
			m.notes = []ledger.Released{{Size: 0, Note: m.state.Checkpoint}}
			for m.state.Size < 1030 {
				m.grow(t, log, 1)
			}
			tt.change(m)
			seen := 0
			faults, err := ledger.Check(ctx, m, m.state, trusted, func(ledger.Entry) error { seen++; return nil })
			if err != nil || seen != len(m.leaves) {
				t.Fatalf("%d entries seen (%v)", seen, err)
			}
			var all []string
			for _, f := range faults {
				all = append(all, f.Where+": "+f.What)
			}
			text := strings.Join(all, "\n")
			if (tt.want == "") != (len(faults) == 0) || !strings.Contains(text, tt.want) {
				t.Fatalf("want %q, faults:\n%s", tt.want, text)
			}
			if len(faults) > 3 {
				t.Errorf("one change, %d faults:\n%s", len(faults), text)
			}
		})
	}
}

// Tiles as exported are those that tlog reads, under the paths of C2SP.
func TestExportedTiles(t *testing.T) {
	log, m := newMemory(t)
	ref := &reference{}
	m.grow(t, log, 66_000)
	for i, line := range m.lines {
		ref.add(t, line, int64(i))
	}
	files := map[string][]byte{}
	err := ledger.ExportTiles(context.Background(), m, m.state.ID, m.state.Size, func(path string, data []byte) error {
		files[path] = data
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, tile := range map[string]tlog.Tile{
		"tile/0/000":       {H: 8, L: 0, N: 0, W: 256},
		"tile/0/257.p/208": {H: 8, L: 0, N: 257, W: 208},
		"tile/1/000":       {H: 8, L: 1, N: 0, W: 256},
		"tile/1/001.p/1":   {H: 8, L: 1, N: 1, W: 1},
		"tile/2/000.p/1":   {H: 8, L: 2, N: 0, W: 1},
	} {
		want, err := tlog.ReadTileData(tile, ref)
		if err != nil || string(files[path]) != string(want) {
			t.Errorf("%s: %d bytes, want %d (%v)", path, len(files[path]), len(want), err)
		}
	}
	if len(files) != 2*258+2+1 {
		t.Errorf("%d files", len(files))
	}
	bundle := files["tile/entries/257.p/208"]
	for i := 257 * 256; i < 66_000; i++ {
		n := int(binary.BigEndian.Uint16(bundle))
		if string(bundle[2:2+n]) != string(m.lines[i]) {
			t.Fatalf("entry %d is %q", i, bundle[2:2+n])
		}
		bundle = bundle[2+n:]
	}
	if got := ledger.TilePath(0, 1_234_567, 256); got != "tile/0/x001/x234/567" {
		t.Error(got)
	}
}
