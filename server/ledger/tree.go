package ledger

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attesto/attesto/evidence"
)

// Tree proves things about a log at one size. It keeps the tiles that it read, so
// that many proofs at one size cost little more than one; it is for one
// goroutine.
type Tree struct {
	ctx   context.Context
	r     Reader
	id    string
	size  int64
	tiles map[tileKey][]byte
	nodes map[int64]tlog.Hash // by stored hash index
}

type tileKey struct {
	level int
	n     int64
}

// At is the tree of a log at a committed size. The context holds for all reads.
func At(ctx context.Context, r Reader, id string, size int64) *Tree {
	return &Tree{ctx, r, id, size, map[tileKey][]byte{}, map[int64]tlog.Hash{}}
}

// Inclusion proves that the entry of that index is in the tree.
func (t *Tree) Inclusion(index int64) ([]tlog.Hash, error) {
	if index < 0 || index >= t.size {
		return nil, fmt.Errorf("proving entry %d: the log has %d", index, t.size)
	}
	path, err := tlog.ProveRecord(t.size, index, t)
	if err != nil {
		return nil, fmt.Errorf("proving entry %d in the log of %d: %w", index, t.size, err)
	}
	return path, nil
}

// Consistency proves that the tree continues the one of size old; the proof is
// empty for old 0 and for the tree's own size.
func (t *Tree) Consistency(old int64) ([]tlog.Hash, error) {
	if old < 0 || old > t.size {
		return nil, fmt.Errorf("proving consistency from %d: the log has %d entries", old, t.size)
	}
	if old == 0 || old == t.size {
		return nil, nil
	}
	proof, err := tlog.ProveTree(t.size, old, t)
	if err != nil {
		return nil, fmt.Errorf("proving that the log of %d continues the one of %d: %w", t.size, old, err)
	}
	return proof, nil
}

// Receipt joins an entry with the proof of its inclusion under a checkpoint of the
// tree's size.
func (t *Tree) Receipt(index int64, line, checkpoint []byte) (evidence.Receipt, error) {
	path, err := t.Inclusion(index)
	if err != nil {
		return evidence.Receipt{}, err
	}
	proof := evidence.Proof{Index: index, Path: path, Checkpoint: checkpoint}
	return evidence.Receipt{Entry: line, Proof: proof.Format()}, nil
}

// ReadHashes makes Tree a tlog.HashReader.
func (t *Tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if h, ok := t.nodes[index]; ok {
			hashes[i] = h
			continue
		}
		tile := tlog.TileForIndex(tileHeight, index)
		data, err := t.tile(tile.L, tile.N)
		if err != nil {
			return nil, err
		}
		if len(data) < tile.W*tlog.HashSize {
			return nil, fmt.Errorf("tile %d/%d of the log has %d hashes, want %d", tile.L, tile.N, len(data)/tlog.HashSize, tile.W)
		}
		if hashes[i], err = tlog.HashFromTile(tile, data[:tile.W*tlog.HashSize], index); err != nil {
			return nil, err
		}
		t.nodes[index] = hashes[i]
	}
	return hashes, nil
}

func (t *Tree) tile(level int, n int64) ([]byte, error) {
	key := tileKey{level, n}
	if data, ok := t.tiles[key]; ok {
		return data, nil
	}
	known := t.size >> (tileHeight * level) // hashes at this level
	var data []byte
	if first := n * tileWidth; first+tileWidth <= known {
		var err error
		if data, err = t.r.LogTile(t.ctx, t.id, level, n); err != nil {
			return nil, fmt.Errorf("reading tile %d/%d of the log: %w", level, n, err)
		}
	} else {
		hashes, err := t.r.LogHashes(t.ctx, t.id, level, first, known)
		if err != nil {
			return nil, fmt.Errorf("reading level %d of the log: %w", level, err)
		}
		data = EncodeEdge(hashes)
	}
	t.tiles[key] = data
	return data, nil
}
