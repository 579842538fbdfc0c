//go:build !race

package collectors_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors"
	"github.com/attesto/attesto/collectors/host/hosttest"
)

// costly are texts that make a careless parser allocate: 32 KiB of what each form
// repeats.
func costly() [][]byte {
	var list [][]byte
	for _, s := range []string{
		"\n", " ", "a", "a\n", "0", "a b c d e f\n", "a=b\n", "a: b\n", "a\tb\t", ",", "[", `{"a":`, `"\u0000`, `<a>`, "\x00", "\xff", "%25", "\\040", "#\n", "[a]\n", "| ",
		"Nov 23 11:00:00 h sshd[1]: Failed password for root from 192.0.2.1 port 1 ssh2\n",
		"root:$y$j9T$a:20000:0:99999:7:::\n", "Package: a\nStatus: install ok installed\nVersion: 1\n\n", "md0 : active raid1 sda1[0]\n",
	} {
		list = append(list, []byte(strings.Repeat(s, 1<<15/len(s))))
	}
	for _, s := range []string{"{}", "[]", "0", `""`, `{"a":0}`, `{"id":"1","time":"2026-11-23T00:00:00Z"}`, "null"} {
		list = append(list, []byte("["+strings.Repeat(s+",", 1<<15/(len(s)+1))+s+"]"), []byte(strings.Repeat(s+"\n", 1<<15/(len(s)+1))))
	}
	return append(list, bytes.Repeat([]byte{0xde, 0xad, 0xbe, 0xef}, 1<<13))
}

// Whatever a file holds, reading it costs a bounded multiple of its size.
func TestBounded(t *testing.T) {
	inputs := costly()
	for _, spec := range collectors.All() {
		for _, format := range spec.Formats {
			bound := hosttest.NewBound(format.Name, func(b []byte) { _, _ = format.Parse(b, time.Unix(1_795_446_525, 0)) })
			for _, b := range inputs {
				t.Run(string(spec.Kind)+"/"+format.Name+"/"+string(b[:12]), func(t *testing.T) { bound.Check(t, b) })
			}
		}
	}
}

// Each kind's formats are fuzzed, all of them.
func TestFuzzed(t *testing.T) {
	for _, spec := range collectors.All() {
		files, err := filepath.Glob(filepath.Join(string(spec.Kind), "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no tests (%v)", spec.Kind, err)
		}
		fuzzed := func(file string) bool {
			b, err := os.ReadFile(file)
			return err == nil && bytes.Contains(b, []byte("hosttest.FuzzFormats(f, "))
		}
		if len(spec.Formats) > 0 && !slices.ContainsFunc(files, fuzzed) {
			t.Errorf("%s: no fuzz target feeds its formats: call hosttest.FuzzFormats in one", spec.Kind)
		}
	}
}
