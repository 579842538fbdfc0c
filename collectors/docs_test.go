package collectors_test

import (
	"flag"
	"os"
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
