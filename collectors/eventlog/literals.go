package eventlog

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
	width := int(l.width)
	trie, ends := l.trie(words)
	order, fail := make([]int, 1, len(ends)), make([]int, len(ends))
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
func (l *literals) trie(words []string) (steps []int, ends [][]int) {
	width := int(l.width)
	steps, ends = make([]int, width), make([][]int, 1)
	for id, w := range words {
		s := 0
		for i := range len(w) {
			at := s*width + int(l.class[w[i]])
			if steps[at] == 0 {
				steps[at] = len(ends)
				ends = append(ends, nil)
				steps = append(steps, make([]int, width)...)
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
func (l *literals) number(trie []int, ends [][]int, order []int) {
	width, place := int(l.width), make([]int, len(ends))
	n := 0
	for _, up := range []bool{false, true} {
		if up {
			l.firstUp = uint32(n * width)
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
			l.next[p*width+c] = uint32(place[trie[s*width+c]] * width)
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
