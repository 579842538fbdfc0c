package attesto_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/attesto/attesto"

// arrows lists, per folder, the folders of this module that it may import. A
// folder that is not listed may not exist: a new one is a decision.
var arrows = map[string][]string{
	"":                         {},
	"evidence":                 {},
	"evidence/rfc3161":         {},
	"collectors/host":          {"evidence"},
	"collectors/host/hosttest": {"evidence", "collectors/host"},
	"collectors/dnsbl":         {"evidence", "collectors/host"},
	"collectors/backup":        {"evidence", "collectors/host"},
	"collectors/restore":       {"evidence", "collectors/host", "collectors/backup"},
	"collectors/hypervisor":    {"evidence", "collectors/host"},
	"cmd/attesto-vmware":       {},
	"collectors/eventlog":      {"evidence", "collectors/host"},
	"collectors/software":      {"evidence", "collectors/host"},
	"collectors/health":        {"evidence", "collectors/host"},
	"collectors/endpoints":     {"evidence", "collectors/host"},
	"collectors/storage":       {"evidence", "collectors/host"},
	"collectors/accounts":      {"evidence", "collectors/host"},
	"collectors/antivirus":     {"evidence", "collectors/host"},
	"collectors/mail":          {"evidence", "collectors/host", "collectors/eventlog"}, // it follows logs as eventlog does
	"collectors":               {"evidence", "collectors/*"},
	"agent/keystore":           {"evidence"},
	"agent":                    {"evidence", "collectors", "collectors/*", "agent/keystore"},
	"cmd":                      {},
	"cmd/attesto-agent":        {"agent", "evidence", "collectors/backup"},
	"server/ledger":            {"evidence"},
	"server/duties":            {"evidence"},
	"server/abuse":             {},
	"server/alert":             {"evidence", "server/duties"},
	"server/store":             {"evidence", "server/ledger", "server/duties", "server/alert"},
	"server/anchor":            {"evidence", "evidence/rfc3161", "server/ledger", "server/store"},
	"server/store/storetest":   {"server/store"},
	"server/web":               {"evidence", "server/ledger", "server/duties", "server/alert", "server/store", "server/bundle"},
	"server/bundle":            {"evidence", "server/anchor", "server/ledger", "server/duties", "server/store"},
	"server":                   {"evidence", "evidence/rfc3161", "server/*", "packaging"},
	"cmd/attesto-server":       {"evidence", "server", "server/*"},
	"cmd/attesto-verify":       {"evidence", "evidence/rfc3161"},
	"packaging":                {},
}

// TestImportArrows holds the direction of imports: data flows one way, and the
// server never imports what runs on hosts.
func TestImportArrows(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	found := 0
	for {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&pkg); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		found++
		from := folder(pkg.ImportPath)
		allowed, known := arrows[from]
		if !known {
			t.Errorf("folder %s is not in the table of arrows", from)
			continue
		}
		for _, imp := range pkg.Imports {
			if !strings.HasPrefix(imp, module) {
				continue
			}
			if to := folder(imp); !permits(allowed, to) {
				t.Errorf("%s must not import %s", from, to)
			}
		}
	}
	if found == 0 {
		t.Fatal("no packages found")
	}
}

// TestContractImportsLittle holds evidence to the standard library, x/mod, the
// DSSE library and the group of Ed25519: other implementations must be able to
// follow it.
func TestContractImportsLittle(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}`, "./evidence").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for _, imp := range strings.Fields(string(out)) {
		first, _, _ := strings.Cut(imp, "/")
		if strings.Contains(first, ".") && !strings.HasPrefix(imp, "golang.org/x/mod/") &&
			imp != "github.com/secure-systems-lab/go-securesystemslib/dsse" && imp != "filippo.io/edwards25519" {
			t.Errorf("evidence must not import %s", imp)
		}
	}
}

// TestAgentIsWithoutLargeLibraries holds VMware's library out of what runs on every host,
// which asks it through a program of its own, and what tells people into the server.
func TestAgentIsWithoutLargeLibraries(t *testing.T) {
	for program, links := range map[string]string{"attesto-agent": "", "attesto-verify": "", "attesto-server": "github.com/nicholas-fedor/shoutrrr", "attesto-vmware": "github.com/vmware/govmomi"} {
		out, err := exec.Command("go", "list", "-deps", "./cmd/"+program).Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		for _, library := range []string{"github.com/vmware/govmomi", "github.com/nicholas-fedor/shoutrrr"} {
			if has := strings.Contains(string(out), library+"/"); has != (library == links) {
				t.Errorf("%s links %s: %v, want %v", program, library, has, !has)
			}
		}
	}
}

func folder(importPath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(importPath, module), "/")
}

func permits(allowed []string, to string) bool {
	for _, a := range allowed {
		if prefix, ok := strings.CutSuffix(a, "/*"); ok && strings.HasPrefix(to, prefix+"/") || a == to {
			return true
		}
	}
	return false
}
