package packaging_test

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Whatever the agent and the programs that it starts ask of the kernel, its unit lets
// through: strace tells what they ask, systemd what the unit's sets hold. The unit itself
// runs only where systemd does, which is not so where tests are.
func TestUnitLetsTheAgentWork(t *testing.T) {
	for _, tool := range []string{"strace", "systemd-analyze"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is not installed", tool)
			}
			t.Skipf("%s is not installed", tool)
		}
	}
	unit, err := os.ReadFile("systemd/attesto-agent.service")
	if err != nil {
		t.Fatal(err)
	}
	may := allowed(t, string(unit))
	if !strings.Contains(string(unit), "\nSystemCallErrorNumber=EPERM\n") {
		t.Error("a call that is not let through kills the agent")
	}
	dir := t.TempDir()
	agent, trace, conf := filepath.Join(dir, "attesto-agent"), filepath.Join(dir, "trace"), filepath.Join(dir, "agent.yaml")
	if out, err := exec.Command("go", "build", "-o", agent, "../cmd/attesto-agent").CombinedOutput(); err != nil {
		t.Fatalf("building the agent: %v\n%s", err, out)
	}
	if err := os.WriteFile(conf, []byte("state_dir: "+dir+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Exit 3 and 4: something could not be seen here, which is another test's matter.
	out, err := exec.Command("strace", "-f", "-qq", "-o", trace, agent, "collect", "health", "storage", "accounts", "backup", "endpoints", "antivirus", "--json", "--config", conf).CombinedOutput()
	if !bytes.Contains(out, []byte(`"kind":"health"`)) {
		t.Fatalf("collecting: %v\n%s", err, out)
	}
	b, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\d+ +(\w+)\(`).FindAllSubmatch(b, -1) {
		asked[string(m[1])] = true
	}
	for _, must := range []string{"adjtimex", "openat", "execve"} {
		if !asked[must] {
			t.Errorf("the trace has no %s: the test proves little", must)
		}
	}
	for call := range asked {
		if !may[call] {
			t.Errorf("the unit does not let %s through", call)
		}
	}
}

// allowed are the system calls that a unit's filters let through, sets and all.
func allowed(t *testing.T, unit string) map[string]bool {
	t.Helper()
	out, err := exec.Command("systemd-analyze", "--no-pager", "syscall-filter").Output()
	if err != nil {
		t.Fatal(err)
	}
	sets, set := map[string][]string{}, ""
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		line := lines.Text()
		switch name := strings.TrimSpace(line); {
		case strings.HasPrefix(line, "@"):
			set = name
		case strings.HasPrefix(line, " ") && !strings.HasPrefix(name, "#"):
			sets[set] = append(sets[set], name)
		}
	}
	if len(sets["@system-service"]) < 20 {
		t.Fatalf("@system-service is %v", sets["@system-service"])
	}
	may := map[string]bool{}
	var put func(name string, yes bool)
	put = func(name string, yes bool) {
		if !strings.HasPrefix(name, "@") {
			may[name] = yes
		}
		for _, member := range sets[name] {
			put(member, yes)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^SystemCallFilter=(~?)(.+)$`).FindAllStringSubmatch(unit, -1) {
		for _, name := range strings.Fields(m[2]) {
			put(name, m[1] == "")
		}
	}
	if slices.Contains(strings.Split(unit, "\n"), "ProtectClock=yes") {
		put("@clock", false)
	}
	return may
}
