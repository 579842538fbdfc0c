package web

import (
	_ "embed"
	"math"
	"strings"
	"sync"
	"unicode"
)

//go:embed common.txt
var commonText string

// commonWords are the words of common.txt.
var commonWords = sync.OnceValue(func() map[string]bool {
	words := map[string]bool{}
	for line := range strings.Lines(commonText) {
		if !strings.HasPrefix(line, "#") {
			for word := range strings.FieldsSeq(line) {
				words[word] = true
			}
		}
	}
	return words
})

// leet are the signs that stand for letters.
var leet = strings.NewReplacer("0", "o", "1", "i", "!", "i", "|", "i", "3", "e", "4", "a", "@", "a", "5", "s", "$", "s", "7", "t", "+", "t", "8", "b", "9", "g")

// keyRows are keys that lie side by side.
var keyRows = []string{"`1234567890-=", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./", "qwertzuiop", "azertyuiop", "abcdefghijklmnopqrstuvwxyz", "01234567890"}

// What the parts of a password are worth, in bits, at most. A guesser tries common
// words, runs and years first.
const (
	wordBits   = 9.0  // one of about five hundred
	runBits    = 6.0  // where a run begins, and which way it goes
	repeatBits = 5.0  // what is said again
	yearBits   = 6.5  // 1900 to 2039
	capBits    = 1.0  // a capital, or a sign for a letter, in a word
	leastBits  = 45.0 // what a password must be worth
	longest    = 24   // characters of a word or a run
)

// bitsOf is what a password would take a guesser that knows how people make them: the
// cheapest way to put it together of words, runs, repeats, years and single
// characters. own are words that say nothing here, such as the server's name.
func bitsOf(password string, own ...string) float64 {
	text := []rune(password)
	lower := []rune(strings.ToLower(password))
	plain := []rune(leet.Replace(string(lower)))
	if len(lower) != len(text) || len(plain) != len(text) {
		return float64(len(text)) * 4.7 // letters that change length with their case are in no list
	}
	known := commonWords()
	mine := map[string]bool{}
	for _, word := range own {
		if len(word) > 2 {
			mine[strings.ToLower(word)] = true
		}
	}
	best := make([]float64, len(text)+1)
	for end := 1; end <= len(text); end++ {
		best[end] = best[end-1] + single(text[end-1])
		for start := max(0, end-longest); start < end-1; start++ {
			if cost := part(text, lower, plain, start, end, known, mine); best[start]+cost < best[end] {
				best[end] = best[start] + cost
			}
		}
	}
	return best[len(text)]
}

// single is what a character is worth that belongs to nothing.
func single(r rune) float64 {
	switch {
	case unicode.IsDigit(r):
		return 3.3
	case unicode.IsLower(r):
		return 4.7
	case r < unicode.MaxASCII:
		return 5.5
	}
	return 7
}

// part is what a stretch of a password is worth as one piece; infinity when it is none.
func part(text, lower, plain []rune, start, end int, known, mine map[string]bool) float64 {
	cost := math.Inf(1)
	piece := string(lower[start:end])
	if word := string(plain[start:end]); known[piece] || known[word] || mine[piece] || mine[word] {
		cost = wordBits
		if string(text[start:end]) != word {
			cost += capBits
		}
	}
	if isYear(piece) {
		cost = min(cost, yearBits)
	}
	if end-start >= 3 && isRun(piece) {
		cost = min(cost, runBits)
	}
	if again := end - start; start >= again && string(lower[start-again:start]) == piece {
		cost = min(cost, repeatBits)
	}
	if same(lower[start:end]) {
		cost = min(cost, repeatBits)
	}
	return cost
}

func isYear(s string) bool {
	return len(s) == 4 && (s[:2] == "19" || s[:2] == "20" && s[2] <= '3') && s[2] >= '0' && s[2] <= '9' && s[3] >= '0' && s[3] <= '9'
}

// isRun reports whether keys or letters follow one another, either way.
func isRun(s string) bool {
	back := []rune(s)
	for i, j := 0, len(back)-1; i < j; i, j = i+1, j-1 {
		back[i], back[j] = back[j], back[i]
	}
	for _, row := range keyRows {
		if strings.Contains(row, s) || strings.Contains(row, string(back)) {
			return true
		}
	}
	return false
}

func same(list []rune) bool {
	for _, r := range list {
		if r != list[0] {
			return false
		}
	}
	return true
}
