package collectors_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/attesto/attesto/collectors"
)

var update = flag.Bool("update", false, "write docs/collectors.md anew")

// The page that operators read says what the code says.
func TestDocsOfCollectors(t *testing.T) {
	const path = "../docs/collectors.md"
	want := collectors.Markdown()
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil { //nolint:gosec // a page for everyone
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s is not what the code says; run: go test ./collectors -update", path)
	}
	for _, s := range collectors.All() {
		for name, list := range map[string][]string{"Reads": s.About.Reads, "Sends": s.About.Sends, "Never": s.About.Never, "Needs": s.About.Needs} {
			if len(list) == 0 {
				t.Errorf("%s: About.%s is empty", s.Kind, name)
			}
		}
	}
}

// granted are groups and capabilities of a unit.
var granted = regexp.MustCompile(`(?m)^(?:SupplementaryGroups|AmbientCapabilities)=(.*)$`)

// What the unit and its drop-ins grant is what some kind says that it needs.
func TestGrantsAreNeeds(t *testing.T) {
	needs := ""
	for _, s := range collectors.All() {
		needs += strings.Join(s.About.Needs, "\n") + "\n"
	}
	files, err := filepath.Glob("../packaging/systemd/*.conf")
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	for _, file := range append(files, "../packaging/systemd/attesto-agent.service") {
		if filepath.Base(file) == "tpm.conf" { // for the agent's key, no kind's
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range granted.FindAllStringSubmatch(string(text), -1) {
			for _, word := range strings.Fields(m[1]) {
				want := word
				if !strings.HasPrefix(word, "CAP_") {
					want = "`" + word + "`"
				}
				if !strings.Contains(needs, want) {
					t.Errorf("%s grants %s, which no kind says that it needs", filepath.Base(file), word)
				}
			}
		}
	}
}
