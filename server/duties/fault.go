package duties

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// place is a fault somewhere in a file: of what, and where, by keys and list positions
// from what holds it.
type place struct {
	what string
	path []any
	err  error
}

func (p place) Error() string {
	if p.what == "" {
		return p.err.Error()
	}
	return p.what + ": " + p.err.Error()
}

// Unwrap returns the fault itself.
func (p place) Unwrap() error { return p.err }

// under says of what, and where, a fault or several are; nil for none.
func under(what string, err error, path ...any) error {
	if err == nil {
		return nil
	}
	return place{what, path, err}
}

// missing is the fault of what is not there. Where keys could not be read, that says
// nothing new.
type missing string

func (m missing) Error() string { return string(m) }

// errVague stands for what cannot be said since it rests on something that is at fault
// itself. It is not told to anybody.
var errVague = errors.New("it rests on something faulty")

// lacks refuses a text that lacks a language.
func lacks(what string, t Text) error {
	var langs []string
	if t.EN == "" {
		langs = append(langs, "English")
	}
	if t.IT == "" {
		langs = append(langs, "Italian")
	}
	if len(langs) == 0 {
		return nil
	}
	return under("", missing(fmt.Sprintf("%s is missing in %s: write %s: {en: …, it: …}", what, strings.Join(langs, " and in "), what)), what)
}

// noSuch refuses a name that is none of some, and says which there are, the most alike
// first; of many the first few.
func noSuch(what, name string, there []string) error {
	const few = 20
	list := slices.Clone(there)
	slices.SortStableFunc(list, func(a, b string) int { return cmp.Compare(apart(name, a), apart(name, b)) })
	more := ""
	if len(list) > few {
		list, more = list[:5], " and others: attesto-server catalogue list"
	}
	for i, n := range list {
		if strings.ContainsAny(n, " ;(") {
			list[i] = `"` + n + `"`
		}
	}
	return fmt.Errorf("%s %q does not exist: there are %s%s", what, name, strings.Join(list, ", "), more)
}

// apart counts the letters to add, take away or change between two names.
func apart(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	a, b = a[:min(len(a), 64)], b[:min(len(b), 64)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0] // of the row above, to the left
		row[0] = i + 1
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, row[j]+1, before+1)
		}
	}
	return row[len(b)]
}
