package duties_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/attesto/attesto/server/duties"
)

// own is the built-in catalogue with the tests' own files.
func own(t testing.TB) *duties.Catalogue {
	t.Helper()
	c, err := duties.Load(os.DirFS("testdata/own"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// An operator adds a service, duties and settings; what is built in stays.
func TestOwnCatalogue(t *testing.T) {
	c := own(t)
	if got := strings.Join(c.Services(), ","); got != "sc,wh,pe,bk,dn" {
		t.Errorf("services %s", got)
	}
	if n := len(c.Duties()); n != 57+4 {
		t.Errorf("%d duties", n)
	}
	d, ok := c.Duty("DN-C1")
	if !ok || d.Party != duties.Customer || d.Service != "dn" || !d.Own || d.Family.GDPR[0] != "32(1)(b)" {
		t.Errorf("own duty %+v", d)
	}
	if d, _ := c.Duty("WH-P1"); d.Parts[0].Params["retention"].Default != 40 {
		t.Error("a parameter was not set")
	}
	if d, _ := c.Duty("SC-C2"); d.Every.Hours() != 30*24 || d.CadenceText.In("it") != "periodica, impostata a 30 giorni" {
		t.Errorf("SC-C2 every %s", d.Every)
	}
	if d, _ := builtin(t).Duty("WH-P1"); d.Parts[0].Params["retention"].Default != 35 || len(builtin(t).Duties()) != 57 {
		t.Error("the built-in catalogue was changed")
	}
	if c.ServiceTitle("it", "dn") != "Nomi di dominio" || c.ServiceTitle("it", "xx") != "xx" {
		t.Error("titles of services")
	}
}

// Each fault of an own file is named with its line and what to do.
func TestOwnFaults(t *testing.T) {
	b, err := os.ReadFile("testdata/own/example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, old, new, want string }{
		{"unknown key", "cadence: daily", "cadense: daily", `own.yaml:28: unknown key "cadense"`},
		{"no YAML", "services:", "services: [", "own.yaml:"},
		{"unknown field", "j.encryption", "j.encrypted", `own.yaml:11: check encrypted: rule: column 20: undefined field 'encrypted'`},
		{"fields are named", "facts.jobs.size()", "facts.job.size()", "facts have the fields jobs"},
		{"unknown parameter", "params.points", "params.point", "own.yaml:12: check encrypted"},
		{"types", `j.encryption != "none"`, "j.encryption > 3", "own.yaml:11: check encrypted: rule: column 32: found no matching overload"},
		{"no answer", "facts.jobs.size() > 0 &&", "facts.jobs.size() + 0 ==", "own.yaml:10: check encrypted: rule: column 23"},
		{"no verdict", "j.points >= params.points)", "j.points >= params.points) ? 1 : 0", "it is a int and must be true or false"},
		{"kind", "kind: backup", "kind: backups", `kind "backups": want one of`},
		{"one language", "{en: Set a password for each job., it: Impostare una password per ogni job.}", "{en: Set a password for each job.}", "own.yaml:23: check encrypted: cure is missing in one language"},
		{"unit", "unit: count", "unit: pieces", `own.yaml:15: check encrypted: parameter points: unit "pieces"`},
		{"number of a built-in duty", "id: BK-P100", "id: BK-P4", "call it BK-P104"},
		{"a built-in duty", "id: BK-P100", "id: BK-P1", "own duties of a built-in service have numbers from 100"},
		{"id", "id: DN-C1", "id: DNC1", "want an id such as DN-P1"},
		{"unknown service", "id: DN-C1", "id: XY-C1", "there is no service xy"},
		{"unknown check", "[check encrypted]", "[check encrypt]", `own.yaml:26: duty BK-P100: check "encrypt" does not exist`},
		{"unused check", "[check encrypted]", "[attestation]", "check encrypted is used by no duty"},
		{"unproven workflow", "[attestation]", "[workflow]", "DN-C1 is to be proven by a workflow"},
		{"family", "family: F10", "family: F99", "there is no family F99"},
		{"range", "retention: 40", "retention: -4", "own.yaml:38: duty WH-P1: part backup: set: retention: -4 days is outside 0 to 3650"},
		{"stated cadence", "{SC-C2: 30}", "{SC-C5: 30}", `duty SC-C5: its list says "daily", which cannot be changed`},
		{"cadence", "{SC-C2: 30}", "{SC-C2: 0}", "want 1 to 366"},
		{"taken off without who", "who: Anna Bianchi, ", "", "own.yaml:43: duty WH-C7: say who decided so, why, and until when"},
		{"taken off for good", ", until: 2027-06-30", "", "say who decided so, why, and until when"},
		{"service", "  dn:", "  dns:", "want two small letters"},
		{"built-in service", "  dn:", "  sc:", "service sc stated twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(string(b), tt.old) {
				t.Fatalf("the example does not contain %q", tt.old)
			}
			changed := strings.Replace(string(b), tt.old, tt.new, 1)
			_, err := duties.Load(fstest.MapFS{"own.yaml": &fstest.MapFile{Data: []byte(changed)}})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// FuzzOwn gives the reader files of unknown make: it must answer, and what it takes
// must leave the built-in duties where they are.
func FuzzOwn(f *testing.F) {
	for _, name := range []string{"example", "faulty"} {
		b, err := os.ReadFile("testdata/own/" + name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := duties.With(map[string][]byte{"own.yaml": []byte(text)})
		if err == nil && len(c.Duties()) < 57 {
			t.Errorf("%d duties are left", len(c.Duties()))
		}
	})
}
