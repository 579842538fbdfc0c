package software

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/attesto/attesto/evidence"
)

// Bounds of what is read from foreign bytes.
const (
	maxDatabase = 128 << 20 // bytes of a package database or of a tool's output
	maxLine     = 64 << 10  // bytes of a line that are looked at; the rest is dropped
	maxPackages = 200_000
	maxWord     = 256 // bytes of a name or version
)

// Installed is one package as its manager's database has it.
type Installed struct {
	Name, Version, Arch string
	State               string // dpkg's third word of Status; empty for other managers
	Vendor              string // rpm's VENDOR
	At                  int64  // when it was installed, Unix seconds; 0: not known (rpm only)
}

// Inventory is what a package database holds.
type Inventory struct {
	Packages []Installed
	Broken   []string // half-installed and half-configured packages, sorted as found
	Gaps     []evidence.Gap
}

func (i *Inventory) gap(what, format string, args ...any) {
	const maxGaps = 20
	if len(i.Gaps) < maxGaps {
		i.Gaps = append(i.Gaps, evidence.Gap{What: what, Why: fmt.Sprintf(format, args...)})
	}
}

// eachLine calls f with each line (without its end) and its number, from 1. A
// line over maxLine is cut; more than maxDatabase bytes are an error.
func eachLine(r io.Reader, f func(n int, line string) error) error {
	limited := &io.LimitedReader{R: r, N: maxDatabase + 1}
	b := bufio.NewReaderSize(limited, maxLine)
	for n := 1; ; n++ {
		line, err := b.ReadSlice('\n')
		text := string(line)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = b.ReadSlice('\n')
		}
		last := errors.Is(err, io.EOF)
		if err != nil && !last {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if limited.N <= 0 {
			return fmt.Errorf("more than %d bytes", maxDatabase)
		}
		if text != "" || !last {
			if err := f(n, trimEnd(text)); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
		}
		if last {
			return nil
		}
	}
}

func trimEnd(s string) string {
	for s != "" && (s[len(s)-1] == '\n' || s[len(s)-1] == '\r') {
		s = s[:len(s)-1]
	}
	return s
}

// word reports whether s can be a package's name or version: short and printable
// ASCII without blanks, as every one of the managers demands.
func word(s string) bool {
	if s == "" || len(s) > maxWord {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// show makes foreign text fit for a message.
func show(s string) string {
	if len(s) > 80 {
		s = s[:80]
		for s != "" && !utf8.ValidString(s) {
			s = s[:len(s)-1]
		}
		s += "…"
	}
	return fmt.Sprintf("%q", s)
}
