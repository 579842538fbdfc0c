package duties

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxOwn bounds an operator's file, in bytes.
const maxOwn = 1 << 20

// source is the text of an operator's file, to find lines in.
type source struct {
	name string
	doc  yaml.Node
	bad  []int // lines that could not be read
}

// own is an operator's file that was read, with its text.
type own struct {
	ownFile
	source
}

// parseOwn reads a file strictly. Each fault of its form is named with its line; what
// could be read is there nevertheless, so that its other faults are found, too.
func parseOwn(name string, b []byte) (own, []error) {
	o := own{source: source{name: name}}
	if len(b) > maxOwn {
		return o, []error{fmt.Errorf("%s: %d bytes: want at most %d", name, len(b), maxOwn)}
	}
	if err := readable(b); err != nil {
		return o, []error{fmt.Errorf("%s:%w", name, err)}
	}
	if err := yaml.Unmarshal(b, &o.doc); err != nil {
		return o, []error{fmt.Errorf("%s:%d: %s", name, syntaxLine(b, problem(err)), notYAML(problem(err)))}
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	err := dec.Decode(&o.ownFile)
	if errors.Is(err, io.EOF) { // comments at most
		return o, nil
	}
	var form *yaml.TypeError
	if err != nil && !errors.As(err, &form) {
		return o, []error{fmt.Errorf("%s:%d: %s", name, 1, notYAML(problem(err)))}
	}
	var errs []error
	if form != nil {
		for _, text := range form.Errors {
			line, what := inPlain(text)
			o.bad = append(o.bad, line)
			errs = append(errs, fmt.Errorf("%s:%d: %s", name, line, what))
		}
	}
	return o, append(errs, o.more(dec))
}

// readable refuses bytes that are no text.
func readable(b []byte) error {
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 || r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 0x7f {
			return fmt.Errorf("%d: the byte 0x%02X is no text: save the file as text in UTF-8", 1+bytes.Count(b[:i], []byte("\n")), b[i])
		}
		i += size
	}
	return nil
}

// more refuses a second document: nobody would read it.
func (s source) more(dec *yaml.Decoder) error {
	var next yaml.Node
	if err := dec.Decode(&next); errors.Is(err, io.EOF) {
		return nil
	}
	return fmt.Errorf("%s:%d: another document begins after a line of ---: write all into one, or into a file of its own", s.name, max(next.Line, 1))
}

var yamlPrefix = regexp.MustCompile(`^(?:yaml: )?(?:line \d+: )?`)

// problem is what the reader of YAML complains of, without its own idea of the line.
func problem(err error) string { return yamlPrefix.ReplaceAllString(err.Error(), "") }

// syntaxLine is where a text stops being YAML: the reader names the line where the list
// or the keys began. It is fed line by line to see which it needed; of those, it is the
// first one with which the problem is there.
func syntaxLine(b []byte, what string) int {
	lines := slices.Collect(bytes.Lines(b))
	fed := &lineReader{lines: lines}
	_ = yaml.NewDecoder(fed).Decode(&yaml.Node{}) // it has failed before
	n := sort.Search(fed.read, func(i int) bool {
		err := yaml.Unmarshal(bytes.Join(lines[:i+1], nil), &yaml.Node{})
		return err != nil && problem(err) == what
	})
	return min(n+1, fed.read)
}

// lineReader gives out a line at each read, and counts them.
type lineReader struct {
	lines [][]byte
	read  int // lines begun
	rest  []byte
}

func (r *lineReader) Read(b []byte) (int, error) {
	if len(r.rest) == 0 {
		if r.read == len(r.lines) {
			return 0, io.EOF
		}
		r.rest = r.lines[r.read]
		r.read++
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// plainWords are complaints of the reader of YAML, by how they begin, with what to do.
var plainWords = []struct{ begins, words string }{
	{"did not find expected '-' indicator", "an item of a list is expected here: begin it with - in the column of the others, or indent it as part of the item before"},
	{"did not find expected key", "a key is expected here: indent it as its neighbours are"},
	{"did not find expected ',' or ']'", "a list in [ ] lacks a comma or its ]"},
	{"did not find expected ',' or '}'", "keys in { } lack a comma or their }"},
	{"mapping values are not allowed", "a colon too many: put a text with a colon into quotes, or mend the indentation"},
	{"could not find expected ':'", "a key without its colon: write KEY: VALUE"},
	{"found unexpected end of stream", "a text that begins with a quote never ends: close the quote"},
	{"found a tab character", "a tab: indent with spaces"},
	{"found character that cannot start any token", "a tab, or a text that begins with a sign that stands for something: indent with spaces, and put the text into quotes"},
	{"found unknown escape character", "a backslash that stands for nothing: use single quotes, or write it twice"},
	{"unknown anchor", "an alias (*NAME) of what has no name yet: name it before by &NAME"},
	{"block sequence entries are not allowed", "a list may not begin here: put it on a line of its own"},
	{"document contains excessive aliasing", "too many aliases (*NAME): write it out"},
}

func notYAML(what string) string {
	for _, w := range plainWords {
		if strings.HasPrefix(what, w.begins) {
			return w.words
		}
	}
	return "this is no YAML (" + what + "): see docs/catalogue.md for how a file looks"
}

var (
	faultLine  = regexp.MustCompile(`(?s)^line (\d+): (.*)$`)
	unknownKey = regexp.MustCompile(`(?s)^field (.*) not found in type (\S+)$`)
	wrongType  = regexp.MustCompile("(?s)^cannot unmarshal !!(\\w+)(?: `(.*)`)? into (.+)$")
	keyTwice   = regexp.MustCompile(`(?s)^mapping key (.+) already defined at line (\d+)$`)
)

// inPlain puts a complaint about the form of a file into plain words.
func inPlain(text string) (line int, words string) {
	m := faultLine.FindStringSubmatch(text)
	if m == nil {
		return 1, text
	}
	line, _ = strconv.Atoi(m[1]) // digits, by the pattern
	what := m[2]
	if m := unknownKey.FindStringSubmatch(what); m != nil {
		return line, strings.Replace(noSuch("key", m[1], keysOf(m[2])).Error(), "key", "unknown key", 1)
	}
	if m := wrongType.FindStringSubmatch(what); m != nil {
		return line, wanted(m[3]) + " is wanted here, not " + given(m[1], strings.ToValidUTF8(m[2], "?"))
	}
	if m := keyTwice.FindStringSubmatch(what); m != nil {
		return line, fmt.Sprintf("the key %s stands on line %s already: write it once", m[1], m[2])
	}
	return line, what
}

// keysOf lists the keys of a part of a file, by the name of its type.
func keysOf(name string) []string {
	types := map[string]reflect.Type{}
	parts(reflect.TypeFor[ownFile](), types)
	if t, ok := types[name]; ok {
		return keys(t)
	}
	return nil
}

// parts gathers the types of a file's parts by name.
func parts(t reflect.Type, into map[string]reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		parts(t.Elem(), into)
	case reflect.Struct:
		if _, known := into[t.String()]; !known {
			into[t.String()] = t
			for i := range t.NumField() {
				parts(t.Field(i).Type, into)
			}
		}
	}
}

func keys(t reflect.Type) []string {
	var list []string
	for i := range t.NumField() {
		if name, options, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ","); options == "inline" {
			list = append(list, keys(t.Field(i).Type)...)
		} else if name != "-" {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// wanted says what a type of Go stands for in a file.
func wanted(goType string) string {
	switch {
	case goType == "string" || goType == "evidence.Kind":
		return "a text"
	case goType == "int":
		return "a whole number"
	case goType == "float64":
		return "a number"
	case goType == "bool":
		return "true or false"
	case strings.HasPrefix(goType, "[]"):
		return "a list"
	case goType == "duties.ownFile":
		return "a key such as duties: or set: (docs/catalogue.md lists them)"
	}
	return "KEY: VALUE, or several,"
}

// given says what stands in a file, by its tag in YAML.
func given(tag, value string) string {
	switch tag {
	case "seq":
		return "a list"
	case "map":
		return "KEY: VALUE"
	case "null":
		return "nothing"
	case "str":
		return "the text “" + value + "”"
	}
	return value
}

// faults tells an error, or several, each with the line of its place below path.
func (s source) faults(err error, path ...any) error {
	var list []error
	s.tell(&list, err, "", path, s.broken(path...))
	return errors.Join(list...)
}

// tell adds the faults that an error consists of. In what is broken, what is missing
// was told as what could not be read.
func (s source) tell(list *[]error, err error, what string, path []any, broken bool) {
	switch e := err.(type) { //nolint:errorlint // each layer is opened by itself
	case nil:
	case place:
		if e.what != "" {
			what += e.what + ": "
		}
		s.tell(list, e.err, what, append(slices.Clone(path), e.path...), broken)
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			s.tell(list, one, what, path, broken)
		}
	default:
		if _, lacking := err.(missing); err == errVague || lacking && broken { //nolint:errorlint // likewise
			return
		}
		*list = append(*list, fmt.Errorf("%s:%d: %s%w", s.name, s.lineOf(err, path), what, err))
	}
}

func (s source) lineOf(err error, path []any) int {
	line := s.line(path...)
	var in ruleError
	if errors.As(err, &in) {
		line += in.line - 1
		if n := s.node(path...); n != nil && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			line++ // its text begins on the next line
		}
	}
	return line
}

func (s source) line(path ...any) int {
	for n := len(path); n >= 0; n-- { // what is missing is shown at what lacks it
		if node := s.node(path[:n]...); node != nil {
			return node.Line
		}
	}
	return 1
}

func (s source) node(path ...any) *yaml.Node {
	if len(s.doc.Content) == 0 {
		return nil
	}
	at := s.doc.Content[0]
	for _, step := range path {
		var next *yaml.Node
		switch step := step.(type) {
		case string:
			for i := 0; at.Kind == yaml.MappingNode && i < len(at.Content); i += 2 { // keys, each before its value
				if at.Content[i].Value == step {
					next = at.Content[i+1]
				}
			}
		case int:
			if step < len(at.Content) { // an alias of a list has none
				next = at.Content[step]
			}
		}
		if next == nil {
			return nil
		}
		at = next
	}
	return at
}

// broken reports whether a line of what stands at a place could not be read.
func (s source) broken(path ...any) bool {
	n := s.node(path...)
	if n == nil {
		return false
	}
	last := end(n)
	return slices.ContainsFunc(s.bad, func(line int) bool { return n.Line <= line && line <= last })
}

// end is the last line on which something of a node begins.
func end(n *yaml.Node) int {
	last := n.Line
	for _, inner := range n.Content {
		last = max(last, end(inner))
	}
	return last
}
