package duties_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server/duties"
)

// said is what was said of the cases of a file: the whole answer with its figures,
// moments and log entries, so that none of them changes unseen.
type said struct {
	path string
	want map[string]string
	got  strings.Builder
}

func newSaid(t *testing.T, file string) *said {
	t.Helper()
	s := &said{path: filepath.Join("testdata", "said", strings.TrimSuffix(file, ".yaml")+".txt"), want: map[string]string{}}
	b, err := os.ReadFile(s.path)
	if err != nil && !*update {
		t.Fatal(err)
	}
	for _, block := range strings.Split(string(b), "\n\n") {
		name, text, _ := strings.Cut(strings.TrimSpace(block), "\n")
		s.want[name] = text
	}
	return s
}

func (s *said) check(t *testing.T, name string, whole duties.Finding, parts []duties.PartFinding, undealt []duties.Undealt) {
	t.Helper()
	var lines []string
	last := ""
	add := func(of string, f duties.Finding) {
		line := sentence(f)
		if line == last {
			line = "the same"
		} else {
			last = line
		}
		lines = append(lines, of+": "+line)
	}
	add("duty", whole)
	for _, p := range parts {
		add(p.Part.Name, p.Finding)
		for _, a := range p.Assets {
			add("  "+a.String(), a.Finding)
		}
	}
	for _, u := range undealt {
		lines = append(lines, "case to open: "+u.Workflow.ID+" about "+u.Subject)
	}
	text := strings.Join(lines, "\n")
	fmt.Fprintf(&s.got, "%s\n%s\n\n", name, text)
	if !*update && text != s.want[name] {
		t.Errorf("said:\n%s\nwant:\n%s\nif it is right: go test ./server/duties -run TestJudge -update", text, s.want[name])
	}
}

// sentence is a finding in a line: verdict, message with its figures, log entries, and until
// when it holds.
func sentence(f duties.Finding) string {
	words := []string{f.Verdict.String(), f.Why.Key}
	for _, name := range slices.Sorted(maps.Keys(f.Why.Args)) {
		words = append(words, fmt.Sprintf("%s=%q", name, f.Why.Args[name]))
	}
	for _, cite := range f.Cites {
		words = append(words, fmt.Sprintf("#%d", cite.Index))
	}
	if !f.Due.IsZero() {
		words = append(words, "until "+f.Due.UTC().Format(time.RFC3339Nano))
	}
	return strings.Join(words, " ")
}

func (s *said) write(t *testing.T) {
	t.Helper()
	if !*update {
		return
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path, []byte(s.got.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}
