//go:build linux

package software_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/host/hosttest"
	"github.com/attesto/attesto/collectors/software"
)

// FuzzFormats feeds every format any bytes: facts that come out hold their rules
// and fit into a record.
func FuzzFormats(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		f.Fatalf("no samples: %v", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	hosttest.FuzzFormats(f, software.Spec().Formats, time.Unix(1_800_000_000, 0))
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
	var failed error
	bound := hosttest.NewBound("apt, maps and subscriptions", func(b []byte) {
		_, _ = software.ParseAptURIs(bytes.NewReader(b))
		_, _ = software.ParseRepolist(bytes.NewReader(b))
		_, _ = software.ParseRelease(bytes.NewReader(b))
		_, _ = software.ParseAptPolicy(bytes.NewReader(b))
		_, _ = software.ParseProStatus(b, time.Time{})
		names, _ := software.ParseMaps(bytes.NewReader(b))
		_, failed = json.Marshal(append(names, software.ParseNeedsRestarting(string(b))...))
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		if bound.Check(t, b); failed != nil {
			t.Fatal(failed)
		}
	})
}
