package server_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/anchor"
	"github.com/attesto/attesto/server/store/storetest"
)

// program builds a program of others from a module of its own under tools.
func program(t *testing.T, module, pkg string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	name := filepath.Join(t.TempDir(), filepath.Base(pkg))
	build := exec.CommandContext(ctx, "go", "build", "-o", name, pkg)
	build.Dir = "../tools/" + module
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("building %s: %v\n%s", pkg, err, out)
		}
		t.Skipf("building %s: %v\n%s", pkg, err, out)
	}
	return name
}

// omniwitness runs transparency-dev's witness for a log and says how to reach it.
func omniwitness(t *testing.T, program, origin, logKey string) anchor.Witness {
	t.Helper()
	dir := t.TempDir()
	secret, public, err := note.GenerateKey(rand.Reader, "omni.example/w1")
	if err != nil {
		t.Fatal(err)
	}
	logs := fmt.Sprintf("Logs:\n  - Origin: %s\n    URL: https://log.example/\n    PublicKey: %s\n    Feeder: tiles\n", origin, logKey)
	for name, text := range map[string]string{"key": secret, "logs.yaml": logs} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, program, "-listen", addr, "-metrics_listen", "", "-private_key_path", filepath.Join(dir, "key"),
		"-additional_logs", filepath.Join(dir, "logs.yaml"), "-db_file", filepath.Join(dir, "witness.db"), "-logtostderr")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { cancel(); <-ended })
	for deadline := time.Now().Add(time.Minute); ; {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err == nil {
			_ = c.Close()
			break
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the witness ended: %v\n%s", err, &said)
		case <-time.After(50 * time.Millisecond):
			if time.Now().After(deadline) {
				t.Fatalf("the witness does not listen: %v", err)
			}
		}
	}
	raw, err := base64.StdEncoding.DecodeString(strings.SplitN(public, "+", 3)[2])
	if err != nil {
		t.Fatal(err)
	}
	return anchor.Witness{URL: "http://" + addr, VKey: evidence.WitnessVKey("omni.example/w1", raw[1:])}
}

// Programs that we did not write: transparency-dev's witness cosigns the anchor log as
// it grows, and Tessera's fsck finds the published folder whole, or not.
func TestOthersWitnessAndReadTheAnchor(t *testing.T) {
	witness, fsck := program(t, "witness", "github.com/transparency-dev/witness/cmd/omniwitness"), program(t, "custody", "github.com/transparency-dev/tessera/cmd/fsck")
	dir := filepath.Join(t.TempDir(), "www")
	dsn := storetest.SQLite(t)
	w := newWorld(t, dsn)
	const origin = "proof.example/anchor/1"
	logKey, err := w.srv.LogKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	w.anchors(anchor.Config{Publish: dir, Witnesses: []anchor.Witness{omniwitness(t, witness, origin, logKey)}})
	for range 300 { // more than one tile
		if _, err := w.srv.AppendWorkflow(t.Context(), evidence.Workflow{Org: w.customer.ID, Event: "review.confirmed"}, "x"); err != nil {
			t.Fatal(err)
		}
		w.once(10 * time.Minute)
	}
	part := func() anchor.Part {
		t.Helper()
		s, err := w.srv.Anchor().Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s.Parts[2]
	}
	if p := part(); !p.OK || p.Size != 300 {
		t.Fatalf("%+v", p)
	}
	file := filepath.Join(t.TempDir(), "log.vkey")
	if err := os.WriteFile(file, []byte(logKey), 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(limit time.Duration) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		out, err := exec.CommandContext(ctx, fsck, "-storage_url=file://"+dir+"/", "-public_key="+file, "-ui=false").CombinedOutput()
		return string(out), err
	}
	if out, err := check(2 * time.Minute); err != nil || !strings.Contains(out, "Successfully fsck'd") {
		t.Errorf("fsck: %v\n%s", err, out)
	}
	name := filepath.Join(dir, "tile/entries/000")
	bundle, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	bundle[1000] ^= 1
	if err := os.WriteFile(name, bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	// It tries a bad bundle again for as long as it may.
	if out, err := check(10 * time.Second); err == nil && strings.Contains(out, "Successfully fsck'd") {
		t.Errorf("fsck passed a changed entry:\n%s", out)
	}
	// Our memory of what it cosigned is lost: it says the size.
	attack(t, dsn, `DELETE FROM cosignature`)
	if _, err := w.srv.AppendWorkflow(t.Context(), evidence.Workflow{Org: w.customer.ID, Event: "review.confirmed"}, "x"); err != nil {
		t.Fatal(err)
	}
	w.once(10 * time.Minute)
	if p := part(); !p.OK || p.Size != 301 {
		t.Errorf("after a lost answer: %+v", p)
	}
}
