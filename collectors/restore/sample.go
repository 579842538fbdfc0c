package restore

import (
	"math/rand/v2"
)

// sampler chooses files at random while a list of any length goes by (algorithm R), among
// those that are not larger than the whole sample may be.
type sampler struct {
	want     int
	maxBytes int64
	rand     *rand.Rand // nil: the program's own
	held     int64      // regular files in the list
	fit      int64      // of them: that could be chosen
	broken   int64      // of them: that the tool itself calls unreadable
	chosen   []Entry
}

func (s *sampler) add(e Entry) {
	s.held++
	if e.Broken {
		s.broken++
	}
	if e.Size > s.maxBytes || !nameable(e.Path) {
		return
	}
	s.fit++
	if len(s.chosen) < s.want {
		s.chosen = append(s.chosen, e)
		return
	}
	if i := s.int63n(s.fit); i < int64(s.want) {
		s.chosen[i] = e
	}
}

func (s *sampler) int63n(n int64) int64 {
	if s.rand != nil {
		return s.rand.Int64N(n)
	}
	return rand.Int64N(n) //nolint:gosec // no secret: which files are tried
}

// sample is what of the chosen fits into the limit together; at least one file. Their
// order is that of the list mixed by chance, so the first ones serve as well as any.
func (s *sampler) sample() (list []Entry, bytes int64) {
	for _, e := range s.chosen {
		if bytes+e.Size <= s.maxBytes {
			list, bytes = append(list, e), bytes+e.Size
		}
	}
	return list, bytes
}
