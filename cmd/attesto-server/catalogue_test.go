package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCatalogueList compares what the program prints with the list of duties.
func TestCatalogueList(t *testing.T) {
	b, err := os.ReadFile("../../server/duties/testdata/duties.txt")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(string(b)) {
		if f := strings.Split(strings.TrimSpace(line), " | "); len(f) >= 4 {
			want = append(want, strings.Join(f[:3], " | "))
		}
	}
	c := newCLI(t)
	lines := strings.Split(c.must("catalogue", "list", "--json"), "\n")
	if len(lines) != 57 || len(want) != 57 {
		t.Fatalf("%d lines, %d duties in the list; want 57 of both", len(lines), len(want))
	}
	for i, line := range lines {
		var d struct {
			ID, Party, Cadence, Proven string
			Title                      struct{ EN, IT string }
			Parts                      []struct{ Proof string }
			Clauses                    struct{ Family string }
		}
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join([]string{d.ID, d.Party, d.Cadence}, " | "); got != want[i] {
			t.Errorf("got %s, want %s", got, want[i])
		}
		if d.Proven == "" || d.Title.EN == "" || d.Title.IT == "" || len(d.Parts) == 0 || d.Clauses.Family == "" {
			t.Errorf("%s lacks something: %s", d.ID, line)
		}
	}
	table := c.must("catalogue", "list", "--lang", "it")
	if !strings.Contains(table, "Black list pubbliche controllate ogni giorno") || strings.Count(table, "\n") != 57 {
		t.Errorf("table:\n%s", table)
	}
}

// An operator's own file is checked with line and cure, and listed where the
// configuration names its folder.
func TestOwnCatalogue(t *testing.T) {
	const example = "../../server/duties/testdata/own/example.yaml"
	c := newCLI(t)
	if out := c.must("catalogue", "check", example); !strings.HasPrefix(out, "sound: 59 duties, 2 of them own, in 5 services") {
		t.Errorf("check says %q", out)
	}
	b, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	faulty := filepath.Join(t.TempDir(), "faulty.yaml")
	if err := os.WriteFile(faulty, []byte(strings.Replace(string(b), "j.encryption", "j.encripted", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errOut := c.run("catalogue", "check", faulty); code != exitFailed || !strings.Contains(errOut, "faulty.yaml:11: check encrypted: rule: column 20: undefined field 'encripted'") {
		t.Errorf("exit %d, %s", code, errOut)
	}
	if out := c.must("catalogue", "facts", "backup"); !strings.Contains(out, "facts.jobs[].newestRestorable google.protobuf.Timestamp\n") {
		t.Errorf("facts: %s", out)
	}
	if out := c.must("catalogue", "facts"); !strings.Contains(out, "dnsbl") {
		t.Errorf("kinds: %s", out)
	}
	if err := os.WriteFile(filepath.Join(c.dir, "server.yaml"), []byte("catalogue: "+filepath.Dir(example)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := c.must("catalogue", "list", "--json"); strings.Count(out, "\n") != 63 || !strings.Contains(out, `"id":"DN-C1"`) {
		t.Errorf("list: %s", out)
	}
}

func TestChannels(t *testing.T) {
	c := newCLI(t)
	c.must("org", "add", "--kind", "provider", "--name", "Example Hosting")
	id := c.must("channel", "add", "--org", "Example Hosting", "--kind", "email", "--target", "ops@example.com")
	hook := strings.Split(c.must("channel", "add", "--org", "Example Hosting", "--kind", "webhook", "--target", "https://chat.example.com/hook", "--hears", "both", "--after", "4"), "\n")
	if len(hook) != 2 || !strings.HasPrefix(hook[1], "whsec_") {
		t.Fatalf("webhook %q", hook)
	}
	list := c.must("channel", "list", "--json")
	if !strings.Contains(list, id) || !strings.Contains(list, `"after":"4","hears":"both"`) || strings.Contains(list, "whsec") {
		t.Errorf("list %s", list)
	}
	c.must("channel", "add", "--org", "Example Hosting", "--kind", "chat", "--target", "telegram://110201543:AAseCret1111@telegram?chats=@ops")
	if list := c.must("channel", "list"); strings.Contains(list, "seCret") || !strings.Contains(list, "telegram://…?chats=@ops") {
		t.Errorf("the list shows the token, or not the chat: %s", list)
	}
	c.must("channel", "remove", id)
	if list := c.must("channel", "list", "--org", "example hosting"); strings.Contains(list, id) || !strings.Contains(list, hook[0]) {
		t.Errorf("list %s", list)
	}
	for _, args := range [][]string{
		{"channel", "add", "--org", "Example Hosting", "--kind", "email", "--target", "nobody"},
		{"channel", "add", "--org", "Example Hosting", "--kind", "email", "--target", "A <a@example.com>"},
		{"channel", "add", "--org", "Example Hosting", "--kind", "webhook", "--target", "ftp://example.com"},
		{"channel", "add", "--org", "Example Hosting", "--kind", "fax", "--target", "+39"},
		{"channel", "add", "--org", "Example Hosting", "--kind", "chat", "--target", "generic://example.com"},
		{"channel", "add", "--org", "Nobody", "--kind", "email", "--target", "ops@example.com"},
		{"channel", "add", "--org", "Example Hosting", "--kind", "email", "--target", "ops@example.com", "--hears", "all"},
		{"channel", "add", "--org", "Example Hosting", "--kind", "email", "--target", "ops@example.com", "--after", "5"},
		{"channel", "remove", "c_none"},
	} {
		if code, _, errOut := c.run(args...); code != exitMisused || errOut == "" {
			t.Errorf("%v: exit %d, %q", args, code, errOut)
		}
	}
}
