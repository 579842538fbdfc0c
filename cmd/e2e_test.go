// Package cmd_test runs the real programs against real parts: a real name
// server for lists, real backup tools, real SMTP and HTTP. Each story is a
// script in testdata/script.
package cmd_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var binDir string

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "attesto-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	for _, name := range []string{"attesto-agent", "attesto-server", "attesto-verify"} {
		build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, name), "./"+name)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintf(os.Stderr, "building %s: %v\n", name, err)
			return 1
		}
	}
	binDir = dir
	return m.Run()
}

// TestScripts runs every story with the programs built from this tree.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"need":     cmdNeed,
			"port":     cmdPort,
			"setenv":   cmdSetenv,
			"field":    cmdField,
			"waithttp": cmdWaitHTTP,
			"mailbox":  cmdMailbox,
			"hook":     cmdHook,
			"rbl":      cmdRBL,
			"exactly":  cmdExactly,
			"until":    cmdUntil,
			"render":   cmdRender,
			"fetch":    cmdFetch,
			"review":   cmdReview,
			"verdict":  cmdVerdict,
			"sql":      cmdSQL,
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", binDir+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("RESTIC_CACHE_DIR", filepath.Join(env.WorkDir, "cache"))
			return nil
		},
	})
}
