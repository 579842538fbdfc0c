package main_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/tiny.txt anew")

// mutate runs the tool, built once.
func mutate(t *testing.T, tool string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(tool, append([]string{"-workers", "1", "-seconds", "1"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// TestMutate puts faults into a package of which is known what becomes of each: killed,
// endless, alive, by no test, in a constant, of types that allow no choice, no fault at all.
func TestMutate(t *testing.T) {
	tool := filepath.Join(t.TempDir(), "mutate")
	if out, err := exec.Command("go", "build", "-o", tool, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const golden = "testdata/tiny.txt"
	out, errs, err := mutate(t, tool, "testdata/tiny")
	if err != nil {
		t.Fatalf("%v: %s", err, errs)
	}
	if *update {
		if err := os.WriteFile(golden, []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if out != string(want) {
		t.Errorf("it says\n%s\nwant\n%s\nif it is right: go -C tools test ./mutate -update", out, want)
	}
	if out, errs, err := mutate(t, tool, "-only", `^tiny\.go:8:`, "testdata/tiny"); err != nil || !strings.HasPrefix(out, "2 faults, 2 of them in one binary\n") {
		t.Errorf("of one line: %v: %s%s", err, out, errs)
	}
	for folder, why := range map[string]string{"testdata/broken": "the tests fail without a fault", "testdata": "holds nothing to put a fault into"} {
		if _, errs, err := mutate(t, tool, folder); err == nil || !strings.Contains(errs, why) {
			t.Errorf("%s: %v: %s; want %q", folder, err, errs, why)
		}
	}
}
