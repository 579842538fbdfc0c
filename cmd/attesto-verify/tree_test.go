package main

import (
	"encoding/binary"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attesto/attesto/evidence"
)

// Each tree keeps its root while the log goes on.
func TestTree(t *testing.T) {
	const n = 1000
	edge, at := evidence.CompactRange(nil), (*tree)(nil)
	roots, trees := []tlog.Hash{edge.Root()}, []*tree{at}
	for i := range int64(n) {
		leaf := evidence.LeafHash(binary.BigEndian.AppendUint64(nil, uint64(i)))
		edge = edge.Push(i, leaf)
		at, _ = at.push(i, leaf)
		roots, trees = append(roots, edge.Root()), append(trees, at)
	}
	for size := n; size >= 0; size-- {
		for range 2 {
			if got := trees[size].root(); got != roots[size] {
				t.Fatalf("root at %d is %v, want %v", size, got, roots[size])
			}
		}
	}
}
