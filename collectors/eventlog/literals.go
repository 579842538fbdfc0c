package eventlog

import "bytes"

// literals finds many strings in one pass over a text (Aho and Corasick, 1975),
// as a table with one step per byte. States that end a literal have the highest
// numbers, so that one comparison per byte tells a hit.
type literals struct {
	class   [256]uint8 // bytes that no literal contains share class 0
	width   uint32     // number of classes
	next    []uint32   // by state + class; states are multiples of width
	firstUp uint32     // states from here on end a literal
	ends    [][]int    // by state / width: the literals that end there
}

// newLiterals builds the table. Its size is that of all literals together, times
// the number of different bytes in them, times 4.
func newLiterals(words []string) *literals {
	l := &literals{width: 1}
	for _, w := range words {
		for i := range len(w) {
			if l.class[w[i]] == 0 {
				l.class[w[i]] = uint8(l.width)
				l.width++
			}
		}
	}
	width := l.width
	trie, ends := l.trie(words)
	order, fail := make([]uint32, 1, len(ends)), make([]uint32, len(ends))
	for at := 0; at < len(order); at++ {
		from := order[at]
		for c := range width {
			to := trie[from*width+c]
			back := trie[fail[from]*width+c]
			if to == 0 {
				trie[from*width+c] = back
				continue
			}
			if from != 0 {
				fail[to] = back
			}
			ends[to] = append(ends[to], ends[fail[to]]...)
			order = append(order, to)
		}
	}
	l.number(trie, ends, order)
	return l
}

// trie holds every word's path; 0 is the root and stands for "no such step" too.
func (l *literals) trie(words []string) (steps []uint32, ends [][]int) {
	size := 1 // at most
	for _, w := range words {
		size += len(w)
	}
	steps, ends = make([]uint32, 0, size*int(l.width)), make([][]int, 1, size)
	steps = steps[:l.width]
	for id, w := range words {
		s := uint32(0)
		for i := range len(w) {
			at := s*l.width + uint32(l.class[w[i]])
			if steps[at] == 0 {
				steps[at] = uint32(len(ends))
				ends = append(ends, nil)
				steps = steps[:len(ends)*int(l.width)]
			}
			s = steps[at]
		}
		if s != 0 {
			ends[s] = append(ends[s], id)
		}
	}
	return steps, ends
}

// number lays the states out: those that end a literal last.
func (l *literals) number(trie []uint32, ends [][]int, order []uint32) {
	width, place := l.width, make([]uint32, len(ends))
	n := uint32(0)
	for _, up := range []bool{false, true} {
		if up {
			l.firstUp = n * width
		}
		for _, s := range order {
			if (len(ends[s]) > 0) == up {
				place[s] = n
				n++
			}
		}
	}
	l.next, l.ends = make([]uint32, len(trie)), make([][]int, len(ends))
	for s, p := range place {
		l.ends[p] = ends[s]
		for c := range width {
			l.next[p*width+c] = place[trie[uint32(s)*width+c]] * width
		}
	}
}

// contains reports whether any literal stands in b.
func (l *literals) contains(b []byte) bool {
	next, class, firstUp := l.next, &l.class, l.firstUp
	s := uint32(0)
	for _, c := range b {
		if s = next[s+uint32(class[c])]; s >= firstUp {
			return true
		}
	}
	return false
}

// streams is how many parts of a text find reads at once: one step waits for the last,
// steps in different parts do not wait for each other.
const streams = 4

// find appends to hits, in their order, where in b literals end. No literal may hold a
// line's end: b is taken apart there.
func (l *literals) find(b []byte, hits []int) []int {
	var part [streams][]byte
	var from [streams]int
	for at, i := 0, 0; i < streams; i++ {
		end := len(b)
		if i < streams-1 {
			end = at + (len(b)-at)/(streams-i)
			if line := bytes.IndexByte(b[end:], '\n'); line >= 0 {
				end += line + 1
			} else {
				end = len(b)
			}
		}
		part[i], from[i] = b[at:end], at
		at = end
	}
	common := min(len(part[0]), len(part[1]), len(part[2]), len(part[3]))
	p0, p1, p2, p3 := part[0][:common], part[1][:common], part[2][:common], part[3][:common]
	next, class, firstUp := l.next, &l.class, l.firstUp
	var s0, s1, s2, s3 uint32
	var h1, h2, h3 []int
	for i, c := range p0 {
		s0 = next[s0+uint32(class[c])]
		s1 = next[s1+uint32(class[p1[i]])]
		s2 = next[s2+uint32(class[p2[i]])]
		s3 = next[s3+uint32(class[p3[i]])]
		if s0 >= firstUp {
			hits = append(hits, i)
		}
		if s1 >= firstUp {
			h1 = append(h1, from[1]+i)
		}
		if s2 >= firstUp {
			h2 = append(h2, from[2]+i)
		}
		if s3 >= firstUp {
			h3 = append(h3, from[3]+i)
		}
	}
	hits = l.rest(part[0][common:], s0, common, hits)
	for i, found := range [][]int{h1, h2, h3} {
		hits = append(hits, found...)
		hits = l.rest(part[i+1][common:], []uint32{s1, s2, s3}[i], from[i+1]+common, hits)
	}
	return hits
}

// rest goes on from a state in one part alone.
func (l *literals) rest(b []byte, s uint32, from int, hits []int) []int {
	for i, c := range b {
		if s = l.next[s+uint32(l.class[c])]; s >= l.firstUp {
			hits = append(hits, from+i)
		}
	}
	return hits
}

// each calls found with every literal in b, as often as it stands there.
func (l *literals) each(b []byte, found func(id int)) {
	s := uint32(0)
	for _, c := range b {
		if s = l.next[s+uint32(l.class[c])]; s >= l.firstUp {
			for _, id := range l.ends[s/l.width] {
				found(id)
			}
		}
	}
}
