//go:build linux

package software_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/software"
	"github.com/attesto/attesto/evidence"
)

// FuzzFormats feeds every format any bytes: facts that come out hold their rules
// and fit into a record.
func FuzzFormats(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		f.Fatalf("no samples: %v", err)
	}
	formats := software.Spec().Formats
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for i := range formats {
			f.Add(uint8(i), b)
		}
	}
	f.Fuzz(func(t *testing.T, n uint8, data []byte) {
		format := formats[int(n)%len(formats)]
		look, err := format.Parse(data, time.Unix(1_800_000_000, 0))
		if err != nil {
			return
		}
		if _, err := evidence.FactsBlob(look.Facts, look.Gaps); err != nil {
			t.Fatalf("%s: %v", format.Name, err)
		}
	})
}

// FuzzParsers feeds the parsers that no format uses.
func FuzzParsers(f *testing.F) {
	f.Add([]byte("'http://x/InRelease' x_InRelease 0 \n"))
	f.Add([]byte("repo id  repo name\nbaseos  x\n"))
	f.Add([]byte(securityHead))
	f.Add([]byte(staleMap))
	f.Add([]byte("  * glibc\n"))
	f.Add([]byte(`{"attached":true,"services":[{"name":"esm-infra","status":"enabled"}]}`))
	if b, err := os.ReadFile("testdata/apt-policy.txt"); err == nil {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = software.ParseAptURIs(bytes.NewReader(data))
		_, _ = software.ParseRepolist(bytes.NewReader(data))
		_, _ = software.ParseRelease(bytes.NewReader(data))
		_, _ = software.ParseAptPolicy(bytes.NewReader(data))
		_, _ = software.ParseProStatus(data, time.Time{})
		names, _ := software.ParseMaps(bytes.NewReader(data))
		if _, err := json.Marshal(append(names, software.ParseNeedsRestarting(string(data))...)); err != nil {
			t.Fatal(err)
		}
	})
}
