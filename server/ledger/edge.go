package ledger

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attesto/attesto/evidence"
)

// EncodeEdge writes an edge as the database keeps it.
func EncodeEdge(edge []tlog.Hash) []byte {
	b := make([]byte, 0, len(edge)*tlog.HashSize)
	for _, h := range edge {
		b = append(b, h[:]...)
	}
	return b
}

// DecodeEdge reads the edge of a log of size entries.
func DecodeEdge(b []byte, size int64) (evidence.CompactRange, error) {
	want := 0
	for n := size; n > 0; n >>= 1 {
		want += int(n & 1)
	}
	if len(b) != want*tlog.HashSize {
		return nil, fmt.Errorf("edge of %d bytes for a log of %d entries, want %d", len(b), size, want*tlog.HashSize)
	}
	edge := make(evidence.CompactRange, want)
	for i := range edge {
		copy(edge[i][:], b[i*tlog.HashSize:])
	}
	return edge, nil
}
