package cmd_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// others builds the tools of others from tools/custody: Sigstore's cosign,
// Tessera's fsck, and a thin program over transparency-dev's libraries. None has
// code of this project in it.
func others(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-o", dir+"/", "github.com/sigstore/cosign/v3/cmd/cosign", "github.com/transparency-dev/tessera/cmd/fsck", "./formats")
	build.Dir = "../tools/custody"
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the tools of others: %v\n%s", err, out)
	}
	return dir
}

// demoBundle lets the demo's real server and agents run once over this host, and
// exports what the customer's agent has found.
func demoBundle(t *testing.T) string {
	t.Helper()
	data, dir := filepath.Join(t.TempDir(), "demo"), filepath.Join(t.TempDir(), "bundle")
	var said struct{ Org string }
	out := tool(t, "attesto-server", "demo", "--once", "--json", "--keep", data)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &said); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	server := filepath.Join(data, "server")
	today := time.Now()
	tool(t, "attesto-server", "export", "--store", "sqlite:"+server+"/attesto.db", "--data", server, "--org", said.Org,
		"--from", today.AddDate(0, 0, -2).Format(time.DateOnly), "--to", today.AddDate(0, 0, 2).Format(time.DateOnly), "-o", dir)
	return dir
}

func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(binDir, name), args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, &out, &errs)
	}
	return out.String()
}

// A bundle proves itself to programs that we did not write, and each of them
// notices a flipped byte in what it looks at.
func TestToolsOfOthers(t *testing.T) {
	bin, dir := others(t), demoBundle(t)
	one := func(pattern string) string {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("no %s in the bundle (%v)", pattern, err)
		}
		rel, _ := filepath.Rel(dir, found[0])
		return rel
	}
	facts := one("records/*/health.facts.json")
	record := filepath.Dir(facts)
	key := one("keys/agents/*.pub")
	said := func(want, name string, args ...string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		out, err := cmd.CombinedOutput()
		if err == nil && !strings.Contains(string(out), want) {
			err = fmt.Errorf("does not say %q", want)
		}
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	run := func(name string, args ...string) error { return said("", name, args...) }
	for _, other := range []struct {
		name  string
		check func() error
		files []string // that it reads
	}{
		{"cosign", func() error {
			return run(filepath.Join(bin, "cosign"), "verify-blob-attestation", "--key", key, "--insecure-ignore-tlog", "--type", "https://attesto.dev/evidence/v1",
				"--bundle", record+"/bundle.sigstore.json", facts)
		}, []string{record + "/bundle.sigstore.json", facts, key}},
		{"cosign on a verdict", func() error {
			return verdictByCosign(t, dir, func(bundle string) error {
				return run(filepath.Join(bin, "cosign"), "verify-blob-attestation", "--key", "keys/server.pub", "--insecure-ignore-tlog",
					"--type", "https://in-toto.io/attestation/test-result/v0.1", "--bundle", bundle, "duties.json")
			})
		}, []string{"verdicts/SC-P1.dsse.json", "duties.json"}},
		{"fsck", func() error {
			// It ends with 0 whatever it finds.
			return said("Successfully fsck'd", filepath.Join(bin, "fsck"), "-storage_url=file://"+dir+"/log/", "-public_key=keys/log.vkey", "-ui=false")
		}, []string{"log/checkpoint", one("log/tile/0/*/*"), one("log/tile/entries/*/*")}},
		{"transparency-dev", func() error { return run(filepath.Join(bin, "formats"), dir) },
			[]string{record + "/entry.json", record + "/entry.tlog-proof", one("log/cosigned/*"), one("keys/witness-*")}},
		{"openssl", func() error { return byOpenssl(t, dir, record, key, run) }, []string{record + "/envelope.json", key}},
		{"verify.py", func() error { return run("python3", "verify.py", ".") }, []string{facts, record + "/envelope.json", "keys/root.pub"}},
		{"sha256sum", func() error { return run("sha256sum", "-c", "--quiet", "SHA256SUMS") }, []string{"README.txt"}},
	} {
		t.Run(other.name, func(t *testing.T) {
			if err := other.check(); err != nil {
				t.Fatal(err)
			}
			for _, name := range other.files {
				file := filepath.Join(dir, name)
				sound, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				bad := bytes.Clone(sound)
				bad[len(bad)/2] ^= 2
				if err := os.WriteFile(file, bad, 0o644); err != nil {
					t.Fatal(err)
				}
				if other.check() == nil {
					t.Errorf("a byte of %s was flipped, and it says that all is well", name)
				}
				if err := os.WriteFile(file, sound, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// The bundle's own page checks signatures, chain and inclusion in a real browser,
// from a file, without a network.
func TestPageOfBundle(t *testing.T) {
	file := filepath.Join(demoBundle(t), "index.html")
	sound, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head := string(regexp.MustCompile(`/1\\n[0-9]+\\n`).Find(sound))
	for _, tt := range []struct {
		name, old, new string
		proven         bool
	}{
		{"sound", "", "", true},
		{"a fact is changed", `\"uptime\":`, `\"uptime\":1`, false},
		{"an entry is changed", `\"seq\":1,`, `\"seq\":2,`, false},
		{"a proof is of another place", `index 1\n`, `index 0\n`, false},
		{"another root key", `"root":"MCowBQYDK2VwAyEA`, `"root":"MCowBQYDK2VwAyEB`, false},
		{"another head", head, strings.Replace(head, `/1\n`, `/1\n9`, 1), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := bytes.Replace(sound, []byte(tt.old), []byte(tt.new), 1)
			if bytes.Equal(text, sound) == (tt.old != "") {
				t.Fatalf("%q is not in the page", tt.old)
			}
			page := filepath.Join(t.TempDir(), "index.html")
			if err := os.WriteFile(page, text, 0o600); err != nil {
				t.Fatal(err)
			}
			dom := chromium(t, page)
			if !strings.Contains(dom, `data-done="1"`) {
				t.Fatalf("the page did not come to an end:\n%s", dom[:min(len(dom), 4000)])
			}
			if got := strings.Contains(dom, `class="result ok"`); got != tt.proven {
				t.Errorf("proven: %v", got)
			}
		})
	}
}

func chromium(t *testing.T, page string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(), "--virtual-time-budget=30000", "--dump-dom", "file://"+page)
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("chromium: %v", err)
	}
	return string(out)
}

func envelopeOf(t *testing.T, file string) (payload, payloadType, sig []byte) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var e struct {
		Payload     string
		PayloadType string
		Signatures  []struct{ Sig string }
	}
	_ = json.Unmarshal(raw, &e)
	payload, _ = base64.StdEncoding.DecodeString(e.Payload)
	if len(e.Signatures) > 0 {
		sig, _ = base64.StdEncoding.DecodeString(e.Signatures[0].Sig)
	}
	return payload, []byte(e.PayloadType), sig
}

// byOpenssl checks an agent's signature over DSSE's PAE with openssl(1) alone.
func byOpenssl(t *testing.T, dir, record, key string, run func(string, ...string) error) error {
	payload, kind, sig := envelopeOf(t, filepath.Join(dir, record, "envelope.json"))
	tmp := t.TempDir()
	for name, data := range map[string][]byte{"sig": sig, "pae": fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(kind), kind, len(payload), payload)} {
		if err := os.WriteFile(filepath.Join(tmp, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return run("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", tmp+"/pae", "-sigfile", tmp+"/sig")
}

// verdictByCosign wraps a verdict's envelope for cosign.
func verdictByCosign(t *testing.T, dir string, check func(bundle string) error) error {
	raw, err := os.ReadFile(filepath.Join(dir, "verdicts/SC-P1.dsse.json"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "bundle.json")
	text := fmt.Sprintf(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"x"}},"dsseEnvelope":%s}`, raw)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return check(file)
}
