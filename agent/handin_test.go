//go:build linux

package agent_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/attesto/attesto/agent"
	"github.com/attesto/attesto/collectors/backup"
)

// TestHandInBySocket: a running agent keeps what a hook says under the account that the
// kernel names, whatever the hook says of itself; it refuses what is no report.
func TestHandInBySocket(t *testing.T) {
	r := newRig(t, backup.Spec())
	short, err := os.MkdirTemp("", "sock") // a socket's path holds 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(short) })
	r.cfg.StateDir = short
	r.enroll()
	good := `{"v":1,"job":"nightly","tool":"robocopy","exit":0,"end":"2026-11-23T03:00:00Z","by":"4242","message":"password=hunter2"}`
	if _, err := agent.HandIn(t.Context(), r.cfg, []byte(good)); !errors.Is(err, agent.ErrNoAgent) {
		t.Fatalf("without an agent: %v", err)
	}
	stop := r.run()
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	path, err := agent.HandIn(t.Context(), r.cfg, []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var kept backup.Report
	if err := json.Unmarshal(b, &kept); err != nil || kept.By != fmt.Sprint(os.Getuid()) || strings.Contains(string(b), "hunter2") {
		t.Errorf("kept %s (%v)", b, err)
	}
	for _, bad := range []string{"", "hello", `{"v":1}`, strings.Replace(good, `"exit"`, `"exot"`, 1), strings.Repeat(" ", 70<<10)} {
		if path, err := agent.HandIn(t.Context(), r.cfg, []byte(bad)); err == nil || errors.Is(err, agent.ErrNoAgent) {
			t.Errorf("%.40q: kept as %s (%v)", bad, path, err)
		}
	}
	if info, err := os.Stat(r.cfg.SocketPath()); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("socket %v (%v): every account may hand in", info, err)
	}
	// One that connects and says nothing does not keep the agent from stopping.
	silent, err := net.Dial("unix", r.cfg.SocketPath())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
}
