package host

import "sort"

// SortFunc sorts as slices.SortStableFunc does. That one is compiled anew for each type,
// twenty kilobytes each time; this one has one body for all, which for the lists of a
// look is as good.
func SortFunc[T any](x []T, cmp func(a, b T) int) {
	sort.Stable(sorting{
		n:    len(x),
		less: func(i, j int) bool { return cmp(x[i], x[j]) < 0 },
		swap: func(i, j int) { x[i], x[j] = x[j], x[i] },
	})
}

type sorting struct {
	n    int
	less func(i, j int) bool
	swap func(i, j int)
}

func (s sorting) Len() int           { return s.n }
func (s sorting) Less(i, j int) bool { return s.less(i, j) }
func (s sorting) Swap(i, j int)      { s.swap(i, j) }
