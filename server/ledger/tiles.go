package ledger

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// TilePath is where a tile of hashes stands below a log's prefix
// (c2sp.org/tlog-tiles): width is 256 for a full tile, less for a partial one.
func TilePath(level int, n int64, width int) string {
	return tilePath(tlog.Tile{H: tileHeight, L: level, N: n, W: width})
}

// EntriesPath is where the entries under a tile of level 0 stand.
func EntriesPath(n int64, width int) string {
	return tilePath(tlog.Tile{H: tileHeight, L: -1, N: n, W: width})
}

func tilePath(t tlog.Tile) string {
	rest := strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", tileHeight))
	if after, ok := strings.CutPrefix(rest, "data/"); ok {
		rest = "entries/" + after
	}
	return "tile/" + rest
}

// AppendBundleEntry adds an entry's line to an entry bundle (c2sp.org/tlog-tiles):
// its length in two bytes, then its bytes.
func AppendBundleEntry(bundle, line []byte) []byte {
	return append(binary.BigEndian.AppendUint16(bundle, uint16(len(line))), line...)
}

// TileSource is what tiles are made from.
type TileSource interface {
	Reader
	Entries(ctx context.Context, log string, from int64, limit int) ([]Entry, error)
}

// TileData is the content of one tile of hashes of a log of size entries; width
// is 256 for a full one.
func TileData(ctx context.Context, r Reader, log string, level int, n int64, width int) ([]byte, error) {
	if width == tileWidth {
		return r.LogTile(ctx, log, level, n)
	}
	hashes, err := r.LogHashes(ctx, log, level, n*tileWidth, n*tileWidth+int64(width))
	if err == nil && len(hashes) != width {
		err = fmt.Errorf("tile %d/%d of the log has %d hashes, want %d", level, n, len(hashes), width)
	}
	return EncodeEdge(hashes), err
}

// EntryBundle is the content of the entries under a tile of level 0.
func EntryBundle(ctx context.Context, r TileSource, log string, n int64, width int) ([]byte, error) {
	list, err := r.Entries(ctx, log, n*tileWidth, width)
	if err != nil {
		return nil, err
	}
	if len(list) != width {
		return nil, fmt.Errorf("entries from %d of the log: %d are there, want %d", n*tileWidth, len(list), width)
	}
	var b []byte
	for i, e := range list {
		if want := n*tileWidth + int64(i); e.Index != want {
			return nil, fmt.Errorf("entry %d of the log is missing", want)
		}
		b = AppendBundleEntry(b, e.Line)
	}
	return b, nil
}

// ExportTiles writes every tile and entry bundle of a log at a size, by path below
// the log's prefix, the last tiles of each level as partial ones.
func ExportTiles(ctx context.Context, r TileSource, log string, size int64, write func(path string, data []byte) error) error {
	return ExportTilesSince(ctx, r, log, 0, size, write)
}

// ExportTilesSince is ExportTiles without the tiles that were full at the size old.
func ExportTilesSince(ctx context.Context, r TileSource, log string, old, size int64, write func(path string, data []byte) error) error {
	for level := 0; size>>(tileHeight*level) > 0; level++ {
		hashes := size >> (tileHeight * level)
		for n := old >> (tileHeight * (level + 1)); n*tileWidth < hashes; n++ {
			width := int(min(tileWidth, hashes-n*tileWidth))
			data, err := TileData(ctx, r, log, level, n, width)
			if err != nil {
				return err
			}
			if err := write(TilePath(level, n, width), data); err != nil {
				return err
			}
			if level > 0 {
				continue
			}
			if data, err = EntryBundle(ctx, r, log, n, width); err != nil {
				return err
			}
			if err := write(EntriesPath(n, width), data); err != nil {
				return err
			}
		}
	}
	return nil
}
