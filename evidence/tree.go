package evidence

import "golang.org/x/mod/sumdb/tlog"

// CompactRange is all that one must keep of a Merkle tree (RFC 6962 section 2.1)
// to append to it: the roots of its full subtrees, the largest first, one for each
// bit that is set in its size.
type CompactRange []tlog.Hash

// Push adds leaf number n to the range of a tree of n leaves.
func (c CompactRange) Push(n int64, leaf tlog.Hash) CompactRange {
	for ; n&1 == 1; n >>= 1 {
		leaf = tlog.NodeHash(c[len(c)-1], leaf)
		c = c[:len(c)-1]
	}
	return append(c, leaf)
}

// Root is the tree's root.
func (c CompactRange) Root() tlog.Hash {
	if len(c) == 0 {
		root, _ := tlog.TreeHash(0, nil) // reads nothing
		return root
	}
	root := c[len(c)-1]
	for i := len(c) - 2; i >= 0; i-- {
		root = tlog.NodeHash(c[i], root)
	}
	return root
}
