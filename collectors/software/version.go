package software

import "strings"

// compareVersions orders versions and kernel releases by their runs of digits
// and letters: digits by value, letters by alphabet, a tilde before everything. It
// serves to tell the newest of several packages of one vendor; it is no
// manager's exact order, which the server applies.
func compareVersions(a, b string) int {
	for a != "" || b != "" {
		var x, y string
		x, a = chunk(a)
		y, b = chunk(b)
		if c := compareChunks(x, y); c != 0 {
			return c
		}
	}
	return 0
}

// chunk takes the next run of digits, run of letters or tilde off s; other signs only part.
func chunk(s string) (head, rest string) {
	i := 0
	for i < len(s) && class(s[i]) == other {
		i++
	}
	s = s[i:]
	if s == "" {
		return "", ""
	}
	c, n := class(s[0]), 1
	for c != tilde && n < len(s) && class(s[n]) == c {
		n++
	}
	return s[:n], s[n:]
}

const (
	tilde = iota
	other
	letter
	digit
)

func class(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return digit
	case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		return letter
	case c == '~':
		return tilde
	}
	return other
}

func compareChunks(x, y string) int {
	if x == y {
		return 0
	}
	cx, cy := other, other
	if x != "" {
		cx = class(x[0])
	}
	if y != "" {
		cy = class(y[0])
	}
	if cx != cy {
		return cx - cy
	}
	if cx == digit {
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if len(x) != len(y) {
			return len(x) - len(y)
		}
	}
	return strings.Compare(x, y)
}
