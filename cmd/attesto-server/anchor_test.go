package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func (c cli) configure(text string) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, "server.yaml"), []byte("name: proof.example\ndata: "+c.dir+"\n"+text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func TestAnchorCommands(t *testing.T) {
	c := newCLI(t)
	c.must("org", "add", "--kind", "provider", "--name", "Example Hosting")
	if code, _, errOut := c.run("anchor", "status"); code != exitFailed || !strings.Contains(errOut, "set anchor:") {
		t.Errorf("without a configuration: exit %d, %q", code, errOut)
	}
	if got := c.must("serve", "--check-config"); !strings.Contains(got, "no faults") {
		t.Errorf("check: %q", got)
	}
	for text, want := range map[string]string{
		"anchor: {evry: 5m}\n": "evry",
		"anchor: {tsa: [{url: https://timestamp.example.com, ca: " + c.dir + "/none.pem}]}\n":   "none.pem",
		"anchor: {tsa: [{url: https://timestamp.example.com, ca: " + c.dir + "/attesto.db}]}\n": "no PEM certificate",
		"tls: {cert: " + c.dir + "/none.crt, key: " + c.dir + "/none.key}\n":                    "none.crt",
	} {
		c.configure(text)
		if code, _, errOut := c.run("serve", "--check-config"); code != exitFailed || !strings.Contains(errOut, want) {
			t.Errorf("%q: exit %d, %q", text, code, errOut)
		}
	}
	c.configure("anchor: {publish: " + c.dir + "/www}\n")
	if code, out, errOut := c.run("anchor", "status"); code != exitFailed || !strings.Contains(out, "was never done") || !strings.Contains(errOut, "1 of 2") {
		t.Errorf("before the first: exit %d, %q, %q", code, out, errOut)
	}
	// What serve does by and by.
	a := &app{out: os.Stderr, errOut: os.Stderr, configPath: filepath.Join(c.dir, "server.yaml")}
	if err := a.with(context.Background(), func(ctx context.Context, s *opened) error {
		provider, err := s.store.ProviderOrg(ctx)
		if err == nil {
			err = s.ConfirmReview(ctx, provider.ID, "SC-P1", "")
		}
		if err == nil {
			err = s.Anchor().Once(ctx)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	out := c.must("anchor", "status")
	for _, want := range []string{"proof.example/anchor/1", "head    1 entries", "waiting 0", "well"} {
		if !strings.Contains(out, want) {
			t.Errorf("status lacks %q:\n%s", want, out)
		}
	}
	if out = c.must("anchor", "status", "--json"); strings.Count(out, `"state":"well"`) != 2 {
		t.Errorf("as JSON: %s", out)
	}
	if code, _, errOut := c.run("anchor", "recover"); code != exitFailed || !strings.Contains(errOut, "nothing speaks against") {
		t.Errorf("recovering a sound log: exit %d, %q", code, errOut)
	}
	if code, out, errOut := c.run("check"); code != exitOK || out != "" || !strings.Contains(errOut, "Sound: 2 logs") {
		t.Errorf("check: exit %d, %q, %q", code, out, errOut)
	}
}
