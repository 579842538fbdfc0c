package ledger

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// TileName is what a path of C2SP tlog-tiles names: a tile of hashes, or the entries
// under one of level 0.
type TileName struct {
	Entries bool
	Level   int
	N       int64
	Width   int // 256 for a full one
}

// ParseTilePath reads exactly what TilePath and EntriesPath write.
func ParseTilePath(path string) (TileName, bool) {
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok {
		return TileName{}, false
	}
	if after, isEntries := strings.CutPrefix(rest, "entries/"); isEntries {
		rest = "data/" + after
	}
	t, err := tlog.ParseTilePath(fmt.Sprintf("tile/%d/%s", tileHeight, rest))
	if err != nil || tilePath(t) != path {
		return TileName{}, false
	}
	return TileName{Entries: t.L < 0, Level: max(t.L, 0), N: t.N, Width: t.W}, true
}

// Within reports whether a log of size entries has all of the tile.
func (t TileName) Within(size int64) bool {
	if t.Level >= 8 {
		return false
	}
	hashes := size >> (tileHeight * t.Level)
	return t.N <= hashes/tileWidth && t.N*tileWidth+int64(t.Width) <= hashes
}

// Read makes the tile's content.
func (t TileName) Read(ctx context.Context, r TileSource, log string) ([]byte, error) {
	if t.Entries {
		return EntryBundle(ctx, r, log, t.N, t.Width)
	}
	return TileData(ctx, r, log, t.Level, t.N, t.Width)
}
