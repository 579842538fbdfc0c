package ledger

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// The edge of a tree of n leaves is a compact range: one root for each bit that is
// set in n, the largest subtree first. It is all that an append must know of
// the tree.

// push adds leaf number n to the edge of a tree of n leaves.
func push(edge []tlog.Hash, n int64, leaf tlog.Hash) []tlog.Hash {
	for ; n&1 == 1; n >>= 1 {
		leaf = tlog.NodeHash(edge[len(edge)-1], leaf)
		edge = edge[:len(edge)-1]
	}
	return append(edge, leaf)
}

// edgeRoot is the tree's root (RFC 6962 section 2.1).
func edgeRoot(edge []tlog.Hash) tlog.Hash {
	if len(edge) == 0 {
		root, _ := tlog.TreeHash(0, nil) // reads nothing
		return root
	}
	root := edge[len(edge)-1]
	for i := len(edge) - 2; i >= 0; i-- {
		root = tlog.NodeHash(edge[i], root)
	}
	return root
}

// EncodeEdge writes an edge as the database keeps it.
func EncodeEdge(edge []tlog.Hash) []byte {
	b := make([]byte, 0, len(edge)*tlog.HashSize)
	for _, h := range edge {
		b = append(b, h[:]...)
	}
	return b
}

// DecodeEdge reads the edge of a log of size entries.
func DecodeEdge(b []byte, size int64) ([]tlog.Hash, error) {
	want := 0
	for n := size; n > 0; n >>= 1 {
		want += int(n & 1)
	}
	if len(b) != want*tlog.HashSize {
		return nil, fmt.Errorf("edge of %d bytes for a log of %d entries, want %d", len(b), size, want*tlog.HashSize)
	}
	edge := make([]tlog.Hash, want)
	for i := range edge {
		copy(edge[i][:], b[i*tlog.HashSize:])
	}
	return edge, nil
}
