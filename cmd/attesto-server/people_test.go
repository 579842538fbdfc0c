package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestPeopleAndTheirTokens(t *testing.T) {
	c := newCLI(t)
	c.must("org", "add", "--kind", "provider", "--name", "Example Hosting")
	c.must("org", "add", "--name", "Example Shop", "--services", "wh,pe")
	if got := c.must("user", "add", "--email", "anna@example.com", "--name", "Anna", "--org", "Example Shop", "--role", "admin", "--password-stdin"); got != "" {
		t.Errorf("a password that was given is printed: %q", got)
	}
	if got := c.must("user", "add", "--email", "op@example.com", "--org", "Example Hosting", "--role", "operator"); len(got) < 16 {
		t.Errorf("password made: %q", got)
	}
	c.must("user", "add", "--email", "anna@example.com", "--org", "Example Hosting", "--role", "auditor")
	for _, args := range [][]string{{"--role", "auditor", "--ends", "soon"}, {"--role", "auditor", "--ends", "2020-01-31"}, {"--role", "viewer", "--ends", "2030-01-31"}} {
		if code, _, errOut := c.run(append([]string{"user", "add", "--email", "anna@example.com", "--org", "Example Shop"}, args...)...); code == exitOK || !strings.Contains(errOut, "end") {
			t.Errorf("%v: exit %d, %q", args, code, errOut)
		}
	}
	c.must("user", "disable", "--email", "OP@example.com")
	list := c.must("user", "list", "--json")
	for _, want := range []string{`{"email":"anna@example.com","name":"Anna","org":"Example Shop","role":"admin","state":"active"}`,
		`"org":"Example Hosting","role":"auditor","state":"active"`, `"role":"operator","state":"disabled"`} {
		if !strings.Contains(list, want) {
			t.Errorf("no %s in\n%s", want, list)
		}
	}
	c.must("user", "disable", "--email", "op@example.com", "--undo")
	if got := c.must("user", "list"); strings.Contains(got, "disabled") || !strings.Contains(got, "EMAIL") {
		t.Errorf("list:\n%s", got)
	}
	if a, b := c.must("user", "password", "--email", "OP@example.com"), c.must("user", "password", "--email", "op@example.com"); len(a) < 16 || a == b {
		t.Errorf("new passwords %q and %q", a, b)
	}
	c.must("user", "remove-factors", "--email", "op@example.com")
	if code, _, errOut := c.run("user", "remove-factors", "--email", "nobody@example.com"); code != exitMisused || !strings.Contains(errOut, "nobody@example.com") {
		t.Errorf("factors of nobody: exit %d, %q", code, errOut)
	}
	if code, _, errOut := c.run("user", "password", "--email", "nobody@example.com"); code == exitOK || !strings.Contains(errOut, "nobody@example.com") {
		t.Errorf("password of nobody: exit %d, %q", code, errOut)
	}
	if code, _, errOut := c.run("check", "--store", "sqlite:"+filepath.Join(t.TempDir(), "typo.db")); code == exitOK || !strings.Contains(errOut, "nothing was checked") {
		t.Errorf("check of no database: exit %d, %q", code, errOut)
	}
	if got := c.must("api-token", "create", "--org", "Example Shop", "--name", "ci", "--ttl", "1h"); !strings.HasPrefix(got, "attapi_") {
		t.Errorf("API token %q", got)
	}
	tokens := c.must("api-token", "list", "--org", "Example Shop", "--json")
	_, id, _ := strings.Cut(tokens, `"id":"`)
	id, _, _ = strings.Cut(id, `"`)
	if !strings.Contains(tokens, `"name":"ci"`) || !strings.HasPrefix(id, "t_") {
		t.Errorf("tokens: %s", tokens)
	}
	c.must("api-token", "revoke", "--org", "Example Shop", id)
	if got := c.must("api-token", "list", "--org", "Example Shop", "--json"); got != "" {
		t.Errorf("tokens after revoking: %s", got)
	}
	if code, _, errOut := c.run("api-token", "revoke", "--org", "Example Shop", id); code == exitOK || !strings.Contains(errOut, id) {
		t.Errorf("revoking twice: exit %d, %q", code, errOut)
	}
	for _, wrong := range [][]string{{"user", "add", "--org", "Example Shop"}, {"user", "disable", "--email", "nobody@example.com"}, {"user", "list", "x"},
		{"user", "add", "--email", "b@example.com", "--org", "Nobody", "--role", "admin"}, {"api-token", "create"}} {
		if code, out, errOut := c.run(wrong...); code == exitOK || out != "" || errOut == "" {
			t.Errorf("%v: exit %d, %q, %q", wrong, code, out, errOut)
		}
	}
}
