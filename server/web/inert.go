package web

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// inert spells out what could make a page show something else than it says:
// control characters, marks that turn the direction of writing (Unicode TR 36,
// "Trojan Source"), and letters without width. Templates hold none of them, so
// each one comes from outside. Escaping HTML is html/template's work.
func inert(page []byte) []byte {
	if bytes.IndexFunc(page, deceives) < 0 {
		return page
	}
	var out bytes.Buffer
	out.Grow(len(page) + 64)
	for len(page) > 0 {
		r, n := utf8.DecodeRune(page)
		if deceives(r) {
			fmt.Fprintf(&out, `\u%04X`, r)
		} else {
			out.Write(page[:n])
		}
		page = page[n:]
	}
	return out.Bytes()
}

func deceives(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case unicode.IsControl(r):
		return true
	case r >= 0x202A && r <= 0x202E, r >= 0x2060 && r <= 0x206F, r >= 0xFFF9 && r <= 0xFFFB, r >= 0xE0000 && r <= 0xE007F:
		return true
	}
	return r == 0x00AD || r == 0x061C || r == 0x180E || r == 0x200B || r == 0x200E || r == 0x200F || r == 0x2028 || r == 0x2029 || r == 0xFEFF
}

// maxText bounds a text from outside in a table, in letters. The raw facts and
// the download have it whole.
const maxText = 300

func short(s string) string {
	if len(s) <= maxText {
		return s
	}
	n := 0
	for i := range s {
		if n == maxText {
			return s[:i] + "…"
		}
		n++
	}
	return s
}
