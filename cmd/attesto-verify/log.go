package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attesto/attesto/evidence"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
	// ring is how many of the newest trees and times are remembered: agents name
	// roots that they saw an hour ago.
	ring = 1 << 16
)

// epochCheck walks one log from its first entry.
type epochCheck struct {
	*verifier
	i      int
	e      evidence.BundleEpoch
	folder string
	trust  evidence.TrustedLog
	head   evidence.Head

	walked int64         // entries so far
	trees  []*tree       // by size modulo ring
	levels [][]tlog.Hash // hashes that wait for their tile to be full
	times  []evidence.Time
	last   evidence.Time
	notes  map[int64]*cosignedHead
	store  recordStore
	queue  []*batch
	total  *epochReport
}

// epoch checks one log and the records of the period in it.
func (v *verifier) epoch(i int) error {
	e := v.m.Epochs[i]
	c := &epochCheck{verifier: v, i: i, e: e, folder: e.Folder(i, len(v.m.Epochs)), trees: make([]*tree, ring), times: make([]evidence.Time, ring)}
	var err error
	if want := evidence.Origin(v.keyset.Server, v.m.Org, e.Epoch); e.Origin != want {
		return fmt.Errorf("its log is named %q, want %q", e.Origin, want)
	}
	if c.trust, err = v.keyset.Log(e.Origin); err != nil {
		return err
	}
	signed, err := v.b.read(c.folder+"log/checkpoint", evidence.MaxCheckpoint)
	if err != nil {
		return err
	}
	if c.head, err = c.trust.OpenCheckpoint(signed); err != nil {
		return fmt.Errorf("%slog/checkpoint: %w", c.folder, err)
	}
	c.total = &epochReport{Origin: e.Origin, Size: c.head.Size, Root: c.head.Root.String(), First: e.First, Next: e.Next}
	v.r.Epochs = append(v.r.Epochs, c.total)
	if c.head.Size != e.Size {
		v.r.fail(c.folder+"log/checkpoint", fmt.Errorf("states %d entries, the manifest %d", c.head.Size, e.Size))
	}
	if err := c.openRecords(); err != nil {
		return err
	}
	defer c.store.close()
	if err := c.cosigned(signed); err != nil {
		return err
	}
	if err := c.walk(); err != nil {
		return err
	}
	return c.policy()
}

// walk follows the tree entry by entry. It stops at the first entry that is
// missing: nothing after it can be proven.
func (c *epochCheck) walk() error {
	for n := int64(0); n*tileWidth < c.head.Size; n++ {
		width := int(min(tileWidth, c.head.Size-n*tileWidth))
		name := c.folder + "log/" + entriesPath(n, width)
		raw, err := c.b.read(name, tileWidth*(2+65535))
		if err != nil {
			c.r.fail(c.where(n*tileWidth), fmt.Errorf("missing with all after it: %w", err))
			return c.drain(0)
		}
		lines, err := splitBundle(raw, width)
		if err != nil {
			c.r.fail(name, err)
			return c.drain(0)
		}
		if err := c.bundle(n*tileWidth, lines); err != nil {
			return err
		}
	}
	if err := c.drain(0); err != nil {
		return err
	}
	c.partialTiles()
	if c.tree().root() != c.head.Root {
		c.r.fail(c.folder+"log/checkpoint", errors.New("its root is not that of the entries: the log was rewritten, or entries were changed"))
	}
	c.anchoredHeads()
	c.store.rest(c.r)
	return nil
}

func (c *epochCheck) where(index int64) string {
	return c.folder + "log entry " + strconv.FormatInt(index, 10)
}

// bundle takes the entries of one tile: their hashes into the tree, their records
// to be checked.
func (c *epochCheck) bundle(first int64, lines [][]byte) error {
	b := &batch{check: c, done: make(chan struct{})}
	for i, line := range lines {
		index := first + int64(i)
		hash := evidence.LeafHash(line)
		grown, full := c.tree().push(index, hash)
		c.tile(0, index/tileWidth, hash, full)
		e, err := evidence.ParseEntry(line)
		if err != nil {
			c.r.fail(c.where(index), err)
		} else if err := c.entry(b, index, e); err != nil {
			return err
		}
		c.remember(index+1, grown)
	}
	c.queue = append(c.queue, b)
	b.start()
	return c.drain(queued)
}

// tree is the log as far as it was walked.
func (c *epochCheck) tree() *tree { return c.trees[c.walked%ring] }

// remember notes tree and time at a size.
func (c *epochCheck) remember(size int64, t *tree) {
	c.walked, c.trees[size%ring], c.times[size%ring] = size, t, c.last
	if n := c.notes[size]; n != nil {
		n.holds = n.head.Root == t.root()
	}
}

// tile adds a hash to a level and compares the tile that it fills; above are the roots
// of that tile and of those which its root fills in turn.
func (c *epochCheck) tile(level int, n int64, h tlog.Hash, above []tlog.Hash) {
	if level == len(c.levels) {
		c.levels = append(c.levels, nil)
	}
	if c.levels[level] = append(c.levels[level], h); len(c.levels[level]) < tileWidth {
		return
	}
	c.compareTile(level, n, c.levels[level])
	c.levels[level] = c.levels[level][:0]
	c.tile(level+1, n/tileWidth, above[0], above[1:])
}

func (c *epochCheck) partialTiles() {
	for level, hashes := range c.levels {
		if len(hashes) > 0 {
			c.compareTile(level, c.head.Size>>(tileHeight*(level+1)), hashes)
		}
	}
}

func (c *epochCheck) compareTile(level int, n int64, hashes []tlog.Hash) {
	name := c.folder + "log/" + tilePath(level, n, len(hashes))
	data, err := c.b.read(name, tileWidth*tlog.HashSize)
	if err != nil {
		c.r.fail(name, err)
		return
	}
	var want bytes.Buffer
	for _, h := range hashes {
		want.Write(h[:])
	}
	if !bytes.Equal(data, want.Bytes()) {
		c.r.fail(name, errors.New("its hashes are not those of what lies below"))
	}
}

// splitBundle takes an entry bundle apart (c2sp.org/tlog-tiles).
func splitBundle(raw []byte, want int) ([][]byte, error) {
	lines := make([][]byte, 0, want)
	for len(raw) > 0 {
		if len(raw) < 2 || len(raw)-2 < int(binary.BigEndian.Uint16(raw)) {
			return nil, errors.New("cut off in the middle of an entry")
		}
		end := 2 + int(binary.BigEndian.Uint16(raw))
		lines = append(lines, raw[2:end])
		raw = raw[end:]
	}
	if len(lines) != want {
		return nil, fmt.Errorf("holds %d entries, want %d", len(lines), want)
	}
	return lines, nil
}

// tilePath and entriesPath are those of c2sp.org/tlog-tiles.
func tilePath(level int, n int64, width int) string {
	return cutHeight(tlog.Tile{H: tileHeight, L: level, N: n, W: width}.Path())
}

func entriesPath(n int64, width int) string {
	return strings.Replace(cutHeight(tlog.Tile{H: tileHeight, L: -1, N: n, W: width}.Path()), "/data/", "/entries/", 1)
}

func cutHeight(path string) string {
	return "tile/" + strings.TrimPrefix(path, "tile/"+strconv.Itoa(tileHeight)+"/")
}

// rootAt is the root that the log had at a size, at most as far as it was walked: one
// that is remembered, or one that is computed from tiles, which were compared before.
func (c *epochCheck) rootAt(size int64) (tlog.Hash, error) {
	if c.recent(size) {
		return c.trees[size%ring].root(), nil
	}
	return tlog.TreeHash(size, tlog.TileHashReader(tlog.Tree{N: c.walked, Hash: c.tree().root()}, tiles{c}))
}

// recent reports whether tree and time at a size are still remembered.
func (c *epochCheck) recent(size int64) bool { return c.walked-size < ring }

// tiles reads tiles for tlog.
type tiles struct{ c *epochCheck }

func (t tiles) Height() int { return tileHeight }

func (t tiles) ReadTiles(list []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(list))
	for i, tile := range list {
		var err error
		width := int(min(tileWidth, t.c.head.Size>>(tileHeight*tile.L)-tile.N*tileWidth))
		data, err := t.c.b.read(t.c.folder+"log/"+tilePath(tile.L, tile.N, width), tileWidth*tlog.HashSize)
		if err != nil {
			return nil, err
		}
		if len(data) < tile.W*tlog.HashSize {
			return nil, fs.ErrNotExist
		}
		out[i] = data[:tile.W*tlog.HashSize]
	}
	return out, nil
}

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}
