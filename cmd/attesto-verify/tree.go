package main

import (
	"golang.org/x/mod/sumdb/tlog"

	"github.com/attesto/attesto/evidence"
)

// tree is a Merkle tree (RFC 6962 section 2.1) as far as one must know it to append to
// it: the root of its rightmost full subtree, and the tree left of that; nil is the
// empty tree. The tree before an append stays as it was and shares all but its end, so
// that thousands of sizes of one log cost little, and a root only when it is asked for.
type tree struct {
	right tlog.Hash
	left  *tree
	whole *tlog.Hash // its root, once it was asked for
}

// push is the tree of n leaves with one more; full are the roots of the tiles that the
// leaf completes, the lowest first.
func (t *tree) push(n int64, leaf tlog.Hash) (grown *tree, full []tlog.Hash) {
	for height := 1; n&1 == 1; n, height = n>>1, height+1 {
		if leaf, t = tlog.NodeHash(t.right, leaf), t.left; height%tileHeight == 0 {
			full = append(full, leaf)
		}
	}
	return &tree{right: leaf, left: t}, full
}

func (t *tree) root() tlog.Hash {
	if t == nil {
		return evidence.CompactRange(nil).Root()
	}
	if t.whole == nil {
		root := t.right
		for at := t.left; at != nil; at = at.left {
			root = tlog.NodeHash(at.right, root)
		}
		t.whole = &root
	}
	return *t.whole
}
