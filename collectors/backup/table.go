package backup

import (
	"regexp"
	"strings"
)

var columnsApart = regexp.MustCompile(`\s{2,}`)

// textTable reads a table that a tool prints with a line of headings and columns two or
// more blanks apart: each row by heading, in small letters. A row whose cells do not
// match the headings one by one (an empty cell, a name with two blanks) is cut where the
// headings begin. What stands before the headings is skipped; a blank line or one that
// begins with "Total" ends the table.
func textTable(text string, headings ...string) []map[string]string {
	var names []string
	var starts []int
	var rows []map[string]string
	for line := range lines(text) {
		line = strings.TrimRight(line, " \r\t")
		low := strings.ToLower(line)
		if names == nil {
			if hasAll(low, headings) {
				names, starts = headingsOf(low)
			}
			continue
		}
		if line == "" || strings.HasPrefix(low, "total") {
			break
		}
		rows = append(rows, rowOf(line, names, starts))
	}
	return rows
}

func hasAll(line string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(line, w) {
			return false
		}
	}
	return true
}

func headingsOf(line string) (names []string, starts []int) {
	at := 0
	for _, name := range columnsApart.Split(line, -1) {
		if name == "" {
			continue
		}
		at += strings.Index(line[at:], name)
		names, starts = append(names, name), append(starts, at)
		at += len(name)
	}
	return names, starts
}

func rowOf(line string, names []string, starts []int) map[string]string {
	row := map[string]string{}
	cells := columnsApart.Split(strings.TrimSpace(line), -1)
	for i, name := range names {
		switch {
		case len(cells) == len(names):
			row[name] = cells[i]
		case starts[i] < len(line):
			end := len(line)
			if i+1 < len(starts) {
				end = min(end, starts[i+1])
			}
			row[name] = strings.ToValidUTF8(strings.TrimSpace(line[starts[i]:end]), "")
		}
	}
	return row
}
