// Package ledger keeps one append-only Merkle tree (RFC 6962) per organisation
// inside the caller's own database transaction: entries, full tiles, the compact
// range at the right edge, and a signed checkpoint (c2sp.org/tlog-checkpoint). It
// holds no SQL; Reader and Backend are what it needs of the database.
package ledger

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attesto/attesto/evidence"
)

// tileHeight and tileWidth are those of C2SP tlog-tiles.
const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// State is a log's head with all that an append needs.
type State struct {
	ID         string
	Org        string
	Origin     string
	Epoch      int64
	Size       int64
	Edge       evidence.CompactRange // roots of the full subtrees, left to right
	Root       tlog.Hash
	Checkpoint []byte
	LastTime   evidence.Time // of the newest entry
	Contested  bool          // an agent holds a signed head that this log does not continue
}

// Head is what the state's checkpoint says.
func (s State) Head() evidence.Head {
	return evidence.Head{Origin: s.Origin, Size: s.Size, Root: s.Root}
}

// Reader reads a log's tree. It may be asked for anything below the size of a
// head that was committed once; such rows never change.
type Reader interface {
	// LogHashes returns the hashes from (inclusive) to to (exclusive) of a tile
	// level: leaf hashes at level 0, above it the roots of the full tiles of the
	// level below.
	LogHashes(ctx context.Context, log string, level int, from, to int64) ([]tlog.Hash, error)
	// LogTile returns the 256 hashes of a full tile, one after the other.
	LogTile(ctx context.Context, log string, level int, n int64) ([]byte, error)
}

// Backend is one transaction on the database.
type Backend interface {
	Reader
	// LockLog reads the newest log of an organisation and keeps every other
	// append to it waiting until the transaction ends.
	LockLog(ctx context.Context, org string) (State, error)
	// AppendLog writes an append that started at the size next.Size-len(entries).
	AppendLog(ctx context.Context, next State, entries []Entry, tiles []Tile) error
}

// Entry is one leaf as it is stored. Signed is the size of the checkpoint that was
// signed together with it.
type Entry struct {
	Index  int64
	Leaf   tlog.Hash
	Line   []byte
	Signed int64
}

// Tile is a full tile as it is stored.
type Tile struct {
	Level int
	N     int64
	Root  tlog.Hash
	Data  []byte
}

// Log appends to logs and signs their heads.
type Log struct {
	key    ed25519.PrivateKey
	former []Former
	watch  func(context.Context, State) error
}

// Former is a key that signs beside its successor for a while.
type Former struct {
	Key   ed25519.PrivateKey
	Until time.Time
}

// New makes a Log that signs checkpoints with key. Before it signs it asks watch,
// unless that is nil, whether the log may go on from the state that the database
// has; the error of watch is returned as it is. Former keys sign as well.
func New(key ed25519.PrivateKey, watch func(context.Context, State) error, former ...Former) *Log {
	return &Log{key, former, watch}
}

// sign makes the checkpoint of a head.
func (l *Log) sign(h evidence.Head, now time.Time) ([]byte, error) {
	var former []ed25519.PrivateKey
	for _, f := range l.former {
		if now.Before(f.Until) {
			former = append(former, f.Key)
		}
	}
	return evidence.SignCheckpoint(l.key, h, former...)
}

// Renew adds the key's signature to a checkpoint that a former key alone has signed.
func (l *Log) Renew(checkpoint []byte) ([]byte, error) {
	return evidence.RenewCheckpoint(l.key, checkpoint)
}

// Start is the state of an empty log with its first signed checkpoint.
func (l *Log) Start(id, org, origin string, epoch int64) (State, error) {
	s := State{ID: id, Org: org, Origin: origin, Epoch: epoch, Root: evidence.CompactRange(nil).Root()}
	var err error
	s.Checkpoint, err = l.sign(s.Head(), time.Time{}) // by former keys as well, whatever the time
	return s, err
}

// Append adds entries to the log whose state LockLog gave in this transaction.
// It fills in their version and their time, which is now and never before that of
// the last entry. Nothing of what it returns may leave the server before the
// transaction has committed.
func (l *Log) Append(ctx context.Context, b Backend, st State, now time.Time, entries []evidence.Entry) (State, []Entry, error) {
	return l.extend(ctx, b, st, now, len(entries), func(i int, at evidence.Time) ([]byte, error) {
		e := entries[i]
		e.V, e.Time = 1, at
		return e.Line()
	})
}

// Anchor is Append for the entries of an anchor log.
func (l *Log) Anchor(ctx context.Context, b Backend, st State, now time.Time, entries []evidence.AnchorEntry) (State, []Entry, error) {
	return l.extend(ctx, b, st, now, len(entries), func(i int, at evidence.Time) ([]byte, error) {
		e := entries[i]
		e.V, e.Time = 1, at
		return e.Line()
	})
}

// extend appends n lines.
func (l *Log) extend(ctx context.Context, b Backend, st State, now time.Time, n int, encode func(i int, at evidence.Time) ([]byte, error)) (State, []Entry, error) {
	if n == 0 {
		return st, nil, errors.New("appending to the log: no entries")
	}
	if l.watch != nil {
		if err := l.watch(ctx, st); err != nil {
			return st, nil, err
		}
	}
	if st.Edge.Root() != st.Root {
		return st, nil, fmt.Errorf("log %s: its edge does not give its root at %d entries: run attesto-server check", st.Origin, st.Size)
	}
	next := st
	next.Edge = slices.Clone(st.Edge)
	if next.LastTime = evidence.At(now); next.LastTime.Before(st.LastTime.Time) {
		next.LastTime = st.LastTime
	}
	stored := make([]Entry, n)
	leaves := make([]tlog.Hash, n)
	for i := range stored {
		line, err := encode(i, next.LastTime)
		if err != nil {
			return st, nil, err
		}
		leaves[i] = evidence.LeafHash(line)
		stored[i] = Entry{Index: next.Size, Leaf: leaves[i], Line: line, Signed: st.Size + int64(n)}
		next.Edge = next.Edge.Push(next.Size, leaves[i])
		next.Size++
	}
	next.Root = next.Edge.Root()
	tiles, err := fullTiles(ctx, b, st.ID, st.Size, leaves)
	if err != nil {
		return st, nil, err
	}
	if next.Checkpoint, err = l.sign(next.Head(), now); err != nil {
		return st, nil, err
	}
	if err := b.AppendLog(ctx, next, stored, tiles); err != nil {
		return st, nil, fmt.Errorf("appending %d entries to log %s at %d: %w", n, st.Origin, st.Size, err)
	}
	return next, stored, nil
}

// fullTiles makes the tiles that became full by leaves, level by level: the
// roots of new tiles are the new hashes of the level above.
func fullTiles(ctx context.Context, r Reader, id string, size int64, fresh []tlog.Hash) ([]Tile, error) {
	var tiles []Tile
	for level := 0; len(fresh) > 0; level++ {
		var above []tlog.Hash
		for n := size / tileWidth; (n+1)*tileWidth <= size+int64(len(fresh)); n++ {
			first := n * tileWidth
			hashes := make([]tlog.Hash, 0, tileWidth)
			if first < size {
				old, err := r.LogHashes(ctx, id, level, first, size)
				if err != nil {
					return nil, fmt.Errorf("reading level %d of the log: %w", level, err)
				}
				if int64(len(old)) != size-first {
					return nil, fmt.Errorf("level %d of the log has %d hashes from %d to %d: run attesto-server check", level, len(old), first, size)
				}
				hashes = append(hashes, old...)
			}
			from := max(first-size, 0)
			hashes = append(hashes, fresh[from:from+tileWidth-int64(len(hashes))]...)
			t := newTile(level, n, hashes)
			tiles = append(tiles, t)
			above = append(above, t.Root)
		}
		size, fresh = size/tileWidth, above
	}
	return tiles, nil
}

func newTile(level int, n int64, hashes []tlog.Hash) Tile {
	t := Tile{Level: level, N: n, Data: make([]byte, 0, tileWidth*tlog.HashSize)}
	var edge evidence.CompactRange
	for i, h := range hashes {
		t.Data = append(t.Data, h[:]...)
		edge = edge.Push(int64(i), h)
	}
	t.Root = edge.Root()
	return t
}
