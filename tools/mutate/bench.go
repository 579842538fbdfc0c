package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// What becomes of a fault.
const (
	killed    = "killed"
	endless   = "endless" // the tests no longer ended
	lived     = "LIVED"
	uncovered = "NOT COVERED"
	unbuilt   = "no build"
)

// bench builds and runs test binaries.
type bench struct {
	dir, work string
	seconds   int // of processor time, after which a run is endless
	pkg       *pack
	reached   map[int]bool
}

// build makes the binary of all faults that can be chosen: those on lines that do not
// compile stand alone.
func (b *bench) build() error {
	for range 20 {
		replace := map[string]string{filepath.Join(b.dir, "mutant.go"): fmt.Sprintf(chooser, b.pkg.name)}
		for _, s := range b.pkg.sources {
			replace[filepath.Join(b.dir, s.name)] = s.rewritten()
		}
		out, err := b.compile("all", replace)
		if err == nil {
			return nil
		}
		if !b.setAside(out) {
			return fmt.Errorf("the package does not build: %w\n%s", err, out)
		}
	}
	return fmt.Errorf("the package with its faults does not build")
}

var (
	complaint = regexp.MustCompile(`(?m)/all\.([^/\s]+\.go):(\d+)(?::\d+)?: `)
	choice    = regexp.MustCompile(`mutant[A-Za-z]+\((\d+)`)
)

// setAside lets the faults stand alone on whose lines the compiler complains.
func (b *bench) setAside(out []byte) bool {
	some := false
	for _, m := range complaint.FindAllSubmatch(out, -1) {
		for _, s := range b.pkg.sources {
			if s.name != string(m[1]) {
				continue
			}
			n, _ := strconv.Atoi(string(m[2]))
			for _, c := range choice.FindAllStringSubmatch(strings.Split(s.rewritten(), "\n")[n-1], -1) {
				id, _ := strconv.Atoi(c[1])
				f := b.pkg.faults[id-1]
				// Conditions always compile: what they hold does not.
				if conditions := "&& || == != < <= > >="; !strings.Contains(" "+conditions+" ", " "+f.from+" ") && !f.alone {
					f.alone, some = true, true
				}
			}
			break
		}
	}
	return some
}

// compile builds the tests with other texts in the place of files.
func (b *bench) compile(name string, texts map[string]string) ([]byte, error) {
	replace := map[string]string{}
	for path, text := range texts {
		to := filepath.Join(b.work, name+"."+filepath.Base(path))
		if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
			return nil, err
		}
		replace[path] = to
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return nil, err
	}
	list := filepath.Join(b.work, name+".json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "test", "-c", "-vet=off", "-gcflags=-e", "-ldflags=-s -w", "-overlay", list, "-o", b.binary(name), ".")
	cmd.Dir = b.dir
	return cmd.CombinedOutput()
}

func (b *bench) binary(name string) string { return filepath.Join(b.work, name+".test") }

// tests runs a binary's tests. A test that loops is ended by processor time, so that a busy
// machine ends none, and one that allocates without end by 8 GB.
func (b *bench) tests(name string, env []string, args ...string) ([]byte, error) {
	limits := fmt.Sprintf(`ulimit -c 0 -t %d -v 8000000; exec "$0" "$@"`, b.seconds)
	cmd := exec.Command("bash", append([]string{"-c", limits, b.binary(name), "-test.short", "-test.failfast", "-test.timeout=20m"}, args...)...)
	cmd.Dir, cmd.Env = b.dir, append(os.Environ(), append(env, "GOMAXPROCS=1", "GOGC=400")...)
	return cmd.CombinedOutput()
}

// baseline runs all tests without a fault, and notes which faults they come by.
func (b *bench) baseline() error {
	path := filepath.Join(b.work, "reached")
	if out, err := b.tests("all", []string{"MUTANT_REACHED=" + path}); err != nil {
		return fmt.Errorf("the tests fail without a fault: %w\n%s", err, out)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	b.reached = map[int]bool{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		id, err := strconv.Atoi(lines.Text())
		if err != nil {
			return err
		}
		b.reached[id] = true
	}
	return nil
}

// try says what becomes of a fault.
func (b *bench) try(f *fault) string {
	name, env := "all", []string{"MUTANT=" + strconv.Itoa(f.id)}
	switch {
	case f.alone:
		name = strconv.Itoa(f.id)
		if _, err := b.compile(name, map[string]string{filepath.Join(b.dir, f.file): b.pkg.with(f)}); err != nil {
			return unbuilt
		}
		defer os.Remove(b.binary(name))
	case !b.reached[f.id]:
		return uncovered
	}
	own := "-test.run=^TestJudge$/^" + strings.TrimSuffix(f.file, ".go") + "$" // what finds most, first
	for _, args := range [][]string{{own}, {"-test.run=^TestJudge$"}, {"-test.skip=^TestJudge$"}} {
		out, err := b.tests(name, env, args...)
		switch {
		case err == nil:
		case bytes.Contains(out, []byte("SIGXCPU")) || strings.Contains(err.Error(), "cpu") || strings.Contains(err.Error(), "killed"):
			return endless
		default:
			return killed
		}
	}
	return lived
}
