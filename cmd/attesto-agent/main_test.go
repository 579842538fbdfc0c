package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/attesto/attesto/collectors"
)

func call(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(args, &o, &e)
	return code, o.String(), e.String()
}

// config writes a config with a state folder of its own.
func config(t *testing.T, more string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "agent.yaml")
	text := "state_dir: " + filepath.Join(dir, "state") + "\n" + more
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestWrongCalls: a wrong call or config ends with 2, names the fault, and prints
// nothing on standard output.
func TestWrongCalls(t *testing.T) {
	good, typo := config(t, ""), config(t, "colectors: {}\n")
	secret := "att1.aaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbb"
	cases := []struct {
		args []string
		want string
	}{
		{[]string{"collekt"}, "unknown command"},
		{[]string{"collect", "--jsno"}, "unknown flag"},
		{[]string{"collect", "antvirus", "--config", good}, `no collector "antvirus"; there are accounts, dnsbl, backup`},
		{[]string{"collect", "--config", typo}, "line 2: field colectors is not a key"},
		{[]string{"--check-config", "--config", typo}, "line 2"},
		{[]string{"run", "--config", "/nowhere/agent.yaml"}, "/nowhere/agent.yaml"},
		{[]string{"enroll", "--config", good, "--token", secret + ".cccccccccccccccccccccccccc"}, "--server is needed"},
		{[]string{"explain"}, "explain --as FORMAT FILE"},
		{[]string{"explain", "--as", "nothing", good}, `no format "nothing"`},
		{[]string{"explain", "--as", "restic-snapshots", "--at", "noon", good}, "--at"},
		{[]string{"journal", "first", "--config", good}, "not a record's number"},
		{[]string{"report", "backup", "--job", "x"}, "required flag"},
		{[]string{"report", "backup", "--config", good, "--job", "x", "--tool", "y", "--exit", "0", "--end", "noon"}, "--end"},
	}
	for _, c := range cases {
		code, out, errOut := call(t, c.args...)
		if code != exitUsage || !strings.Contains(errOut, c.want) || out != "" {
			t.Errorf("%v: exit %d, %q, %q: want 2 and %q", c.args, code, out, errOut, c.want)
		}
	}
}

func TestNotEnrolled(t *testing.T) {
	path := config(t, "")
	for _, args := range [][]string{{"run"}, {"run", "--once"}, {"journal"}, {"journal", "1"}} {
		code, _, errOut := call(t, append(args, "--config", path)...)
		if code != exitError || !strings.Contains(errOut, "attesto-agent enroll") {
			t.Errorf("%v: exit %d, %q", args, code, errOut)
		}
	}
	code, out, _ := call(t, "status", "--json", "--config", path)
	var s struct {
		Enrolled bool
		Problems []string
	}
	if err := json.Unmarshal([]byte(out), &s); err != nil || code != 0 || s.Enrolled || len(s.Problems) != 1 {
		t.Errorf("status: exit %d, %q, %v", code, out, err)
	}
	code, out, _ = call(t, "doctor", "--json", "--config", path)
	var d struct {
		General []struct{ What, Says, Cure string }
		Kinds   []struct{ Kind string }
	}
	if err := json.Unmarshal([]byte(out), &d); err != nil || code != exitPartial || len(d.Kinds) < 5 || len(d.General) == 0 {
		t.Errorf("doctor: exit %d, %q, %v", code, out, err)
	}
}

// TestEnrollKeepsTheSecret: a token that does not work is not repeated on the terminal.
func TestEnrollKeepsTheSecret(t *testing.T) {
	secret := strings.Repeat("b", 26)
	for _, token := range []string{"att1.aaaaaaaaaa." + secret + ".", "att1.aaaaaaaaaa." + secret + "." + strings.Repeat("c", 26)} {
		code, out, errOut := call(t, "enroll", "--config", config(t, ""), "--server", "http://127.0.0.1:1", "--token", token)
		if code != exitError || strings.Contains(out+errOut, secret) {
			t.Errorf("exit %d, %q", code, out+errOut)
		}
	}
}

// TestCollect looks at this very host: health is there on every one.
func TestCollect(t *testing.T) {
	path := config(t, "collectors:\n  health: {every: 1m}\n")
	code, out, errOut := call(t, "collect", "health", "--json", "--config", path)
	var l map[string]json.RawMessage
	if err := json.Unmarshal([]byte(out), &l); err != nil {
		t.Fatalf("exit %d, %q, %q: %v", code, out, errOut, err)
	}
	for _, key := range []string{"kind", "outcome", "from", "to", "gaps", "facts", "detail"} {
		if _, ok := l[key]; !ok {
			t.Errorf("no %q in %s", key, out)
		}
	}
	if want := map[string]int{`"complete"`: exitComplete, `"partial"`: exitPartial, `"failed"`: exitFailed}[string(l["outcome"])]; code != want {
		t.Errorf("exit %d with outcome %s", code, l["outcome"])
	}
	if string(l["facts"]) == "null" || len(l) != 7 {
		t.Errorf("line %s", out)
	}
	if _, out, _ := call(t, "collect", "health", "--config", path); !strings.HasPrefix(out, "health  ") || strings.Contains(out, "\x1b") {
		t.Errorf("table %q: want no colours off a terminal", out)
	}
	off := "collectors:\n"
	for _, s := range collectors.All() {
		off += fmt.Sprintf("  %s: {enabled: off}\n", s.Kind)
	}
	if code, out, _ := call(t, "collect", "--config", config(t, off)); code != 0 || out != "" {
		t.Errorf("all switched off: exit %d, %q", code, out)
	}
}

// TestReport: what a hook hands in is seen by the next look.
func TestReport(t *testing.T) {
	dir := t.TempDir()
	path := config(t, "collectors:\n  backup:\n    reports: "+dir+"\n")
	code, out, errOut := call(t, "report", "backup", "--config", path, "--job", "nightly", "--tool", "robocopy", "--exit", "0", "--bytes", "17")
	if code != 0 || !strings.Contains(out, dir) {
		t.Fatalf("exit %d, %q, %q", code, out, errOut)
	}
	_, out, errOut = call(t, "collect", "backup", "--json", "--config", path)
	if !strings.Contains(out, `"nightly"`) {
		t.Errorf("%q, %q", out, errOut)
	}
	code, _, errOut = call(t, "report", "backup", "--config", config(t, "collectors:\n  backup: {reports: off}\n"), "--job", "x", "--tool", "y", "--exit", "0")
	if code != exitUsage || !strings.Contains(errOut, "reports: off") {
		t.Errorf("reports switched off: exit %d, %q", code, errOut)
	}
}

func TestExplain(t *testing.T) {
	code, out, _ := call(t, "explain", "--list")
	if code != 0 || !strings.Contains(out, "restic-snapshots") || len(strings.Split(out, "\n")) < 10 {
		t.Errorf("exit %d, %q", code, out)
	}
	captured := filepath.Join(t.TempDir(), "snapshots.json")
	if err := os.WriteFile(captured, []byte("not what restic writes"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ = call(t, "explain", "--as", "restic-snapshots", captured)
	if code != exitFailed || !strings.Contains(out, `"outcome":"failed"`) {
		t.Errorf("exit %d, %q", code, out)
	}
}

func TestVersionAndHelp(t *testing.T) {
	if code, out, _ := call(t, "version"); code != 0 || !strings.HasPrefix(out, "attesto-agent dev ") {
		t.Errorf("exit %d, %q", code, out)
	}
	_, out, _ := call(t, "--help")
	for _, command := range []string{"enroll", "run", "collect", "status", "doctor", "report", "explain", "journal", "version"} {
		if !strings.Contains(out, "\n  "+command+" ") {
			t.Errorf("help does not name %s", command)
		}
	}
	if code, out, _ := call(t, "--check-config", "--config", config(t, "")); code != 0 || !strings.Contains(out, "no faults") {
		t.Errorf("exit %d, %q", code, out)
	}
}
