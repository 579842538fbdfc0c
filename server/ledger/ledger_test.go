package ledger_test

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
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
}

func (m *memory) LockLog(context.Context, string) (ledger.State, error) { return m.state, nil }

func (m *memory) AppendLog(_ context.Context, next ledger.State, entries []ledger.Entry, tiles []ledger.Tile) error {
	for _, e := range entries {
		m.leaves, m.lines = append(m.leaves, e.Leaf), append(m.lines, e.Line)
	}
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
	log := ledger.New(key)
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
