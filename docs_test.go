package attesto_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFixtureTestsAreNamed holds the tests that read a folder of captured files to the
// name by which make fixtures finds them: TestFixture…, or a helper that only such call.
func TestFixtureTestsAreNamed(t *testing.T) {
	out, err := exec.Command("git", "grep", "-l", "os.Getenv(\"ATTESTO_FIXTURES\")", "--", "*_test.go").Output()
	if err != nil {
		t.Fatalf("git grep: %v", err)
	}
	head := regexp.MustCompile(`^func (?:\([^)]*\) )?(\w+)\(`)
	for _, file := range strings.Fields(string(out)) {
		if file == "docs_test.go" {
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		bodies := map[string]string{}
		name := ""
		for line := range strings.Lines(string(b)) {
			if m := head.FindStringSubmatch(line); m != nil {
				name = m[1]
				continue
			}
			bodies[name] += line
		}
		for name, body := range bodies {
			reads := strings.Contains(body, "os.Getenv(\"ATTESTO_FIXTURES\")")
			for helper, inside := range bodies {
				reads = reads || !strings.HasPrefix(helper, "Test") && strings.Contains(inside, "os.Getenv(\"ATTESTO_FIXTURES\")") && strings.Contains(body, helper+"(")
			}
			if reads && strings.HasPrefix(name, "Test") && !strings.HasPrefix(name, "TestFixture") {
				t.Errorf("%s: %s reads captured files: name it TestFixture…, or make fixtures does not run it", file, name)
			}
		}
	}
}

// TestThreatsAreTested holds the table of threats to the tests that it names, and to
// having one for each threat that is said to be prevented or detected.
func TestThreatsAreTested(t *testing.T) {
	table, err := os.ReadFile("docs/threats.md")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("git", "grep", "-hoE", "^func (Test|Fuzz)[A-Za-z0-9]+", "--", "*_test.go").Output()
	if err != nil {
		t.Fatalf("git grep: %v", err)
	}
	known := map[string]bool{}
	for _, line := range strings.Fields(string(out)) {
		known[line] = true
	}
	scripts, err := filepath.Glob("cmd/testdata/script/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range scripts {
		known[filepath.Base(name)] = true
	}
	names := regexp.MustCompile(`(Test|Fuzz)[A-Z][A-Za-z0-9]+|[a-z]+\.txtar`)
	rows := 0
	for line := range strings.Lines(string(table)) {
		cells := strings.Split(line, "|")
		if len(cells) != 7 || strings.Trim(cells[1], " 0123456789") != "" || strings.TrimSpace(cells[1]) == "" {
			continue
		}
		rows++
		found := names.FindAllString(cells[5], -1)
		if strings.ContainsAny(cells[3], "PD") && len(found) == 0 {
			t.Errorf("threat %s names no test", strings.TrimSpace(cells[1]))
		}
		for _, name := range found {
			if !known[name] {
				t.Errorf("threat %s names %s, which does not exist", strings.TrimSpace(cells[1]), name)
			}
		}
	}
	if rows != 23 {
		t.Errorf("%d rows", rows)
	}
}
