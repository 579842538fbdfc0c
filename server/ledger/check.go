package ledger

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attesto/attesto/evidence"
)

// Fault is one thing in the database that is not as it must be.
type Fault struct {
	Where string `json:"where"` // "log ORIGIN, entry 17"
	What  string `json:"what"`
}

// Auditor reads a whole log, page by page.
type Auditor interface {
	Reader
	// Entries returns up to limit entries from an index on, in order.
	Entries(ctx context.Context, log string, from int64, limit int) ([]Entry, error)
	// Checkpoints returns up to limit released checkpoints from a size on, in order.
	Checkpoints(ctx context.Context, log string, from int64, limit int) ([]Released, error)
	// Tiles returns up to limit tiles of a level from a number on, in order.
	Tiles(ctx context.Context, log string, level int, from int64, limit int) ([]Tile, error)
}

// Released is a checkpoint as it is stored.
type Released struct {
	Size int64
	Note []byte
}

const page = 1024

// Check walks a log from its first entry and reports everything that does not
// follow from the entries' own bytes: leaf hashes, tiles, every released
// checkpoint and its signature, the head. each is called with every entry that
// is there. The error is for what could not be read at all.
func Check(ctx context.Context, a Auditor, st State, trust evidence.TrustedLog, each func(Entry) error) ([]Fault, error) {
	c := &checker{ctx: ctx, a: a, st: st, trust: trust, edges: []evidence.CompactRange{nil}, due: map[int64]bool{0: true}}
	if err := c.entries(each); err != nil {
		return c.faults, err
	}
	if err := c.tilesBeyond(); err != nil {
		return c.faults, err
	}
	c.head()
	return c.faults, nil
}

type checker struct {
	ctx    context.Context
	a      Auditor
	st     State
	trust  evidence.TrustedLog
	faults []Fault

	// Where a leaf hash and its entry disagree, one of them was changed. Both are
	// followed until a checkpoint tells which one was right.
	edges  []evidence.CompactRange
	lost   bool           // the tree cannot be followed on: an entry is missing or a root differs
	levels []level        // hashes that wait for their tile to be full
	due    map[int64]bool // sizes of which there must be a checkpoint
	notes  []Released     // read ahead
	next   int64          // size from which to read on
}

// leaf is the hash that is stored and the one that what lies below has; both are
// zero for what is missing.
type leaf struct{ stored, computed tlog.Hash }

type level struct {
	tiles int64 // full ones so far
	open  []leaf
}

// maxEdges bounds how many changed leaves are followed both ways between two
// checkpoints.
const maxEdges = 64

func (c *checker) fault(where, format string, args ...any) {
	c.faults = append(c.faults, Fault{"log " + c.st.Origin + where, fmt.Sprintf(format, args...)})
}

func (c *checker) entries(each func(Entry) error) error {
	if err := c.checkpoints(0); err != nil {
		return err
	}
	want := int64(0)
	for {
		list, err := c.a.Entries(c.ctx, c.st.ID, want, page)
		if err != nil {
			return fmt.Errorf("reading log %s from entry %d: %w", c.st.Origin, want, err)
		}
		for _, e := range list {
			if err := c.missing(want, e.Index); err != nil {
				return err
			}
			if err := c.entry(e); err != nil {
				return err
			}
			if err := each(e); err != nil {
				return err
			}
			want = e.Index + 1
		}
		if len(list) < page {
			break
		}
	}
	if err := c.missing(want, c.st.Size); err != nil {
		return err
	}
	return c.checkpoints(math.MaxInt64)
}

// missing reports the entries from want (inclusive) to got (exclusive).
func (c *checker) missing(want, got int64) error {
	if want >= got {
		return nil
	}
	what := fmt.Sprintf(", entry %d", want)
	if got-want > 1 {
		what = fmt.Sprintf(", entries %d to %d", want, got-1)
	}
	c.fault(what, "missing; later roots were not compared")
	c.lost = true
	for ; want < got; want++ {
		if err := c.tiled(0, leaf{}); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) entry(e Entry) error {
	where := fmt.Sprintf(", entry %d", e.Index)
	l := leaf{e.Leaf, evidence.LeafHash(e.Line)}
	if l.computed != l.stored {
		c.fault(where, "its bytes do not have the leaf hash that is stored: one of the two was changed")
	}
	switch {
	case e.Index >= c.st.Size:
		c.fault(where, "lies beyond the head of %d entries", c.st.Size)
		return nil
	case e.Signed <= e.Index || e.Signed > c.st.Size:
		c.fault(where, "is said to be signed at size %d", e.Signed)
	default:
		c.due[e.Signed] = true
	}
	c.follow(e.Index, l)
	if err := c.tiled(0, l); err != nil {
		return err
	}
	return c.checkpoints(e.Index + 1)
}

// follow adds a leaf to every edge that is still possible.
func (c *checker) follow(index int64, l leaf) {
	if c.lost {
		return
	}
	var edges []evidence.CompactRange
	for _, edge := range c.edges {
		if l.stored != l.computed && len(c.edges) < maxEdges {
			edges = append(edges, slices.Clone(edge).Push(index, l.computed))
		}
		edges = append(edges, edge.Push(index, l.stored))
	}
	c.edges = edges
}

// checkpoints checks the released checkpoints of sizes up to size, and that none
// that is due is missing.
func (c *checker) checkpoints(size int64) error {
	for {
		if len(c.notes) == 0 {
			var err error
			if c.notes, err = c.a.Checkpoints(c.ctx, c.st.ID, c.next, page); err != nil {
				return fmt.Errorf("reading checkpoints of log %s from %d: %w", c.st.Origin, c.next, err)
			}
			if len(c.notes) == 0 {
				c.notes = []Released{{Size: math.MaxInt64}} // the end, which no size reaches
			}
		}
		if r := c.notes[0]; r.Size <= size && r.Size < math.MaxInt64 {
			c.released(r, size)
			c.next, c.notes = r.Size+1, c.notes[1:]
			continue
		}
		break
	}
	for due := range c.due {
		if due <= size {
			c.fault(fmt.Sprintf(", checkpoint of %d", due), "missing")
			delete(c.due, due)
		}
	}
	return nil
}

func (c *checker) released(r Released, size int64) {
	where := fmt.Sprintf(", checkpoint of %d", r.Size)
	delete(c.due, r.Size)
	if r.Size > c.st.Size {
		c.fault(where, "lies beyond the head of %d entries", c.st.Size)
	}
	head, err := c.trust.OpenCheckpoint(r.Note)
	switch {
	case err != nil:
		c.fault(where, "%v", err)
	case head.Size != r.Size:
		c.fault(where, "states a size of %d", head.Size)
	case r.Size == size && !c.lost:
		c.root(where, head.Root)
	}
}

// root compares a signed root with the edges that are possible, and keeps the one
// that agrees.
func (c *checker) root(where string, signed tlog.Hash) {
	for _, edge := range c.edges {
		if edge.Root() == signed {
			c.edges = []evidence.CompactRange{edge}
			return
		}
	}
	c.fault(where, "its root is not that of the entries: the log was rewritten; later roots were not compared")
	c.lost = true
}

// head checks the log's own row.
func (c *checker) head() {
	signed, err := c.trust.OpenCheckpoint(c.st.Checkpoint)
	switch {
	case err != nil:
		c.fault(", head", "%v", err)
	case signed != c.st.Head():
		c.fault(", head", "its checkpoint states %d entries with root %v, the row %d with %v", signed.Size, signed.Root, c.st.Size, c.st.Root)
	}
	if c.lost {
		return
	}
	for _, edge := range c.edges {
		if edge.Root() == c.st.Root && bytes.Equal(EncodeEdge(edge), EncodeEdge(c.st.Edge)) {
			return
		}
	}
	c.fault(", head", "root or edge do not follow from the entries")
}

// tiled adds a hash to a level and compares the tile that it fills; the tile's
// root is a hash of the level above.
func (c *checker) tiled(at int, l leaf) error {
	if at == len(c.levels) {
		c.levels = append(c.levels, level{})
	}
	lv := &c.levels[at]
	if lv.open = append(lv.open, l); len(lv.open) < tileWidth {
		return nil
	}
	n, below := lv.tiles, lv.open
	lv.tiles, lv.open = n+1, nil
	list, err := c.a.Tiles(c.ctx, c.st.ID, at, n, 1)
	if err != nil {
		return fmt.Errorf("reading tile %d/%d of log %s: %w", at, n, c.st.Origin, err)
	}
	where := fmt.Sprintf(", tile %d/%d", at, n)
	if len(list) == 0 || list[0].N != n {
		c.fault(where, "missing")
		return c.tiled(at+1, leaf{})
	}
	return c.tiled(at+1, c.tile(where, list[0], below))
}

// tile compares one tile with the hashes below it; a hash below that is in doubt
// itself may agree in either form.
func (c *checker) tile(where string, t Tile, below []leaf) leaf {
	if len(t.Data) != tileWidth*tlog.HashSize {
		c.fault(where, "has %d bytes", len(t.Data))
		return leaf{t.Root, t.Root}
	}
	var edge evidence.CompactRange
	first, wrong := 0, 0
	for i, l := range below {
		h := tlog.Hash(t.Data[i*tlog.HashSize : (i+1)*tlog.HashSize])
		if h != l.stored && h != l.computed && l != (leaf{}) {
			if wrong++; wrong == 1 {
				first = i
			}
		}
		edge = edge.Push(int64(i), h)
	}
	if wrong > 0 {
		c.fault(where, "%d of its hashes are not those of what lies below, the first is number %d", wrong, first)
	}
	root := edge.Root()
	if root != t.Root {
		c.fault(where, "its root does not follow from its hashes")
	}
	return leaf{t.Root, root}
}

// tilesBeyond reports tiles that no entries stand for.
func (c *checker) tilesBeyond() error {
	for at := range len(c.levels) + 1 {
		full := int64(0)
		if at < len(c.levels) {
			full = c.levels[at].tiles
		}
		list, err := c.a.Tiles(c.ctx, c.st.ID, at, full, 1)
		if err != nil {
			return fmt.Errorf("reading tiles of log %s: %w", c.st.Origin, err)
		}
		if len(list) > 0 {
			c.fault(fmt.Sprintf(", tile %d/%d", at, list[0].N), "lies beyond the entries")
		}
	}
	return nil
}
