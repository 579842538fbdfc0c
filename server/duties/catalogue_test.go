package duties_test

import (
	"cmp"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/attesto/attesto/server/duties"
)

var readOnce = sync.OnceValues(duties.Builtin)

// builtin is the catalogue, for all tests that do not change it.
func builtin(t testing.TB) *duties.Catalogue {
	t.Helper()
	c, err := readOnce()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fresh is a catalogue that a test may change.
func fresh(t testing.TB) *duties.Catalogue {
	t.Helper()
	c, err := duties.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// proven writes how a duty is proven, in the words of the list.
func proven(d duties.Duty) string {
	var ways []string
	for _, p := range d.Parts {
		if len(ways) == 0 || ways[len(ways)-1] != p.Proof {
			ways = append(ways, p.Proof)
		}
	}
	if d.Any {
		return strings.Join(ways, " or ")
	}
	return strings.Join(ways, " + ")
}

// kindsOf writes the kinds of facts that a duty is judged by, - for none.
func kindsOf(d duties.Duty) string {
	var kinds []string
	for _, p := range d.Parts {
		for _, k := range p.Kinds {
			if !slices.Contains(kinds, string(k)) {
				kinds = append(kinds, string(k))
			}
		}
	}
	return cmp.Or(strings.Join(kinds, ", "), "-")
}

// TestCatalogueIsTheList compares the catalogue with a list of its own.
func TestCatalogueIsTheList(t *testing.T) {
	b, err := os.ReadFile("testdata/duties.txt")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") {
			want = append(want, line)
		}
	}
	if len(want) != 57 {
		t.Fatalf("the list has %d duties, want 57", len(want))
	}
	list := builtin(t).Duties()
	if len(list) != len(want) {
		t.Fatalf("%d duties, want %d", len(list), len(want))
	}
	for i, d := range list {
		if got := strings.Join([]string{d.ID, d.Party, d.Cadence, proven(d), kindsOf(d)}, " | "); got != want[i] {
			t.Errorf("got  %s\nwant %s", got, want[i])
		}
	}
}

func TestJudgedDuties(t *testing.T) {
	c := builtin(t)
	for _, id := range strings.Fields("PE-P3 SC-P1 SC-C5 SC-C8 SC-P3 WH-P1 WH-P5 PE-P4 BK-C1 BK-P3") {
		d, ok := c.Duty(id)
		if !ok {
			t.Errorf("no duty %s", id)
		}
		for _, p := range d.Parts {
			if !p.Judged {
				t.Errorf("%s: part %s is not judged", id, p.Name)
			}
		}
	}
}

func TestFind(t *testing.T) {
	c := builtin(t)
	if d, err := c.Find("WH-P1"); err != nil || d.ID != "WH-P1" || len(d.Parts) == 0 {
		t.Errorf("WH-P1 is %+v, %v", d, err)
	}
	want := `duty "WH-P11" does not exist: there are WH-P1, `
	if d, err := c.Find("WH-P11"); err == nil || !strings.HasPrefix(err.Error(), want) || d.ID != "" {
		t.Errorf("WH-P11 is %+v, %v; want %s…", d, err, want)
	}
}

func TestRetentionPerDuty(t *testing.T) {
	c := builtin(t)
	for id, want := range map[string]float64{"WH-P1": 35, "PE-P1": 60, "SC-C5": 0, "BK-C1": 0} {
		d, _ := c.Duty(id)
		if got := d.Parts[0].Params["retention"].Default; got != want {
			t.Errorf("%s: retention %g, want %g", id, got, want)
		}
	}
}

// TestSourcesAreProse holds that who asks for a figure is said in both languages. The
// name of a norm may stand in both; none does so far.
func TestSourcesAreProse(t *testing.T) {
	seen := 0
	for _, d := range builtin(t).Duties() {
		for _, p := range d.Parts {
			for name, f := range p.Params {
				if seen++; f.Source.EN == f.Source.IT {
					t.Errorf("%s, %s, %s: the source is %q in both languages", d.ID, p.Name, name, f.Source.EN)
				}
			}
		}
	}
	if seen == 0 {
		t.Error("no duty has a figure")
	}
}

// TestReadRefuses gives the reader faulty catalogues, each one edit away from
// the built-in one, and wants an error that says what is wrong.
func TestReadRefuses(t *testing.T) {
	tests := []struct{ name, file, old, new, want string }{
		{"no Italian title", "wh.yaml", "it: Server di hosting aggiornati", "it: ''", "duty WH-P2: title is missing"},
		{"no English title", "wh.yaml", "en: 'Hosting servers on stable, secure releases'", "en: ''", "duty WH-P2: title is missing"},
		{"check in one language", "checks.yaml", "it: Età delle password e criteri di accesso", "it: ''", "check accounts: title is missing"},
		{"proof in one language", "checks.yaml", "it: Verifica di una persona", "it: ''", "proof review: title is missing"},
		{"cadence in one language", "checks.yaml", "{every: 24h, en: daily, it: ogni giorno}", "{every: 24h, en: daily, it: ''}", `cadence "daily" is not described`},
		{"unknown check", "sc.yaml", "[check software]", "[check software2]", `duty SC-P1: check "software2" does not exist`},
		{"unknown part", "sc.yaml", "check eventlog, review", "check eventlog, rewiew", `part "rewiew"`},
		{"unknown key", "sc.yaml", "cadence: daily", "cadense: daily", "field cadense not found"},
		{"unknown key of all checks", "checks.yaml", "cadences:", "cadence:", "checks.yaml: yaml:"},
		{"check that is not described", "checks.yaml", "  site:", "  sites:", "check site is built in but not described"},
		{"parameter of a proof that no code reads", "checks.yaml", "      ack:", "      acks:", "proof review: parameters"},
		{"service in one language", "checks.yaml", "it: Server Cloud}", "it: ''}", "service sc: title is missing"},
		{"workflow in one language", "workflows.yaml", "it: Avviso al cliente}", "it: ''}", "workflows.yaml: "},
		{"release without a day", "releases.yaml", `"7.1": 2026-08-19`, `"7.1": soon`, "the day \"soon\""},
		{"duty without parts", "sc.yaml", "parts: [check software]", "parts: []", "duty SC-P1: no parts"},
		{"part twice", "sc.yaml", "[check software]", "[check software, check software]", "duty SC-P1: part software stated twice"},
		{"cadence of no length", "checks.yaml", "{every: 24h, en: daily,", "{every: day, en: daily,", `cadence "daily": time`},
		{"family of an unknown duty", "families.yaml", "[PE-P3]", "[PE-P3, PE-P30]", "duty PE-P30 does not exist"},
		{"unknown cadence", "sc.yaml", "cadence: daily", "cadence: dayly", `cadence "dayly"`},
		{"duty of another service", "sc.yaml", "id: SC-P1", "id: WH-P1", "starts with SC-P"},
		{"duty twice", "sc.yaml", "id: SC-P2", "id: SC-P1", "SC-P1 stated twice"},
		{"default outside its range", "checks.yaml", "default: 7", "default: 700", "700 days is outside 0 to 90"},
		{"unit", "checks.yaml", "unit: days", "unit: weeks", `unit "weeks"`},
		{"source", "checks.yaml", "source: {en: ours, it: nostro}", "source: ''", "source is missing: say"},
		{"source in one language", "checks.yaml", "source: {en: ours, it: nostro}", "source: {en: ours}", "source is missing in Italian: write source: {en: …, it: …}"},
		{"source in another language", "checks.yaml", "source: {en: ours, it: nostro}", "source: {en: ours, it: nostro, de: unser}", "source: want a text"},
		{"parameter that no code reads", "checks.yaml", "      pending:", "      pendings:", "the code reads"},
		{"set of an unknown parameter", "wh.yaml", "{retention: 35}", "{retentoin: 35}", `set: part backup: parameter "retentoin" does not exist: there are retention, interval`},
		{"set out of range", "wh.yaml", "{retention: 35}", "{retention: -1}", "outside 0 to 3650"},
		{"set of an unknown part", "wh.yaml", "{backup: {retention: 35}}", "{backups: {retention: 35}}", "no part backups"},
		{"bounds of an unknown parameter", "wh.yaml", "{retention: {min: 35}", "{retentoin: {min: 35}", `bounds: part backup: parameter "retentoin" does not exist`},
		{"bounds of an unknown part", "pe.yaml", "{mail: {window: {min: 24}}}", "{mails: {window: {min: 24}}}", "there is no part mails"},
		{"protocols asked of a duty that asks none", "wh.yaml", "set: {backup: {retention: 35}}", "set: {backup: {retention: 35}}\n  asked: [[http]]", "asked: it wants the part check endpoints"},
		{"left to a statement that nobody makes", "wh.yaml", "set: {backup: {retention: 35}}", "set: {backup: {retention: 35}}\n  attested: true", "attested: it wants a check and an attestation"},
		{"protocols that nobody speaks", "pe.yaml", "[imap, imaps]", "[imap, jmap]", `asked: protocol "jmap" does not exist`},
		{"default outside its bounds", "wh.yaml", "{retention: {min: 35}", "{retention: {min: 36}", "duty WH-P1: bounds: part backup: retention: the default: 35 days is outside 36 to 3650 days"},
		{"most that is no time", "checks.yaml", "{fresh: 26h, ack: 24h}", "{fresh: a day, ack: 24h}", "most: fresh: time: invalid duration"},
		{"most under the default", "checks.yaml", "{fresh: 26h, ack: 24h}", "{fresh: 25h, ack: 24h}", "the default: 26 hours is outside 1 to 25 hours"},
		{"most under within", "workflows.yaml", "within: 24h, most: 72h, by: delivery", "within: 24h, most: 23h, by: delivery", `step "told": most "23h": want a duration such as 72h that is no shorter than within`},
		{"most of a step that is no time", "workflows.yaml", "most: 72h, by: delivery", "most: soon, by: delivery", `step "told": most "soon"`},
		{"family in one language", "families.yaml", "it: Black list}", "it: ''}", "families.yaml: family"},
		{"family without an id", "families.yaml", "id: F13", "id: ''", "families.yaml: family"},
		{"family lost", "families.yaml", "[PE-P3]", "[]", "PE-P3 is in no family"},
		{"two families", "families.yaml", "[PE-P3]", "[PE-P3, PE-P10]", "PE-P10 is in families"},
		{"early, opened by a customer", "workflows.yaml", "opens: provider\n  early: true", "opens: either\n  early: true", "early: the provider must open it"},
		{"workflow lost", "workflows.yaml", "proves: [PE-P10]", "proves: []", "duty PE-P10 is to be proven by a workflow, and no step of one proves it"},
		{"unused check", "wh.yaml", "[check site]", "[attestation]", "check site is used by no duty"},
		{"message in one language", "messages.it.yaml", "  disk_silent:", "  disk_silentt:", "messages: the languages differ"},
		{"argument in one language", "messages.it.yaml", "se il servizio {name} è attivo su {host}.", "se il servizio è attivo su {host}.", "service_unknown"},
		{"code in one language", "messages.it.yaml", "  no_space:", "  no_spaces:", "codes: the languages differ"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := files(t)
			text := string(dir[tt.file].Data)
			if !strings.Contains(text, tt.old) {
				t.Fatalf("%s does not contain %q", tt.file, tt.old)
			}
			dir[tt.file].Data = []byte(strings.Replace(text, tt.old, tt.new, 1))
			if _, err := duties.Read(dir); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	for _, name := range []string{"checks.yaml", "wh.yaml", "families.yaml", "workflows.yaml", "releases.yaml", "messages.it.yaml"} {
		dir := files(t)
		delete(dir, name)
		if _, err := duties.Read(dir); err == nil || !strings.Contains(err.Error(), "open "+name) {
			t.Errorf("without %s: error %v", name, err)
		}
	}
}

// files are those of the built-in catalogue, for a test to change.
func files(t *testing.T) fstest.MapFS {
	t.Helper()
	dir := fstest.MapFS{}
	entries, err := os.ReadDir("catalogue")
	if err != nil || len(entries) == 0 {
		t.Fatalf("no catalogue: %v", err)
	}
	for _, e := range entries {
		b, err := os.ReadFile("catalogue/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		dir[e.Name()] = &fstest.MapFile{Data: b}
	}
	return dir
}

// TestCatalogueDigest has a catalogue's digest change with any of its files, the operator's
// own among them, and with nothing else.
func TestCatalogueDigest(t *testing.T) {
	read := func(change func(fstest.MapFS)) string {
		dir := files(t)
		change(dir)
		c, err := duties.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		return c.Digest().String()
	}
	seen := map[string]string{builtin(t).Digest().String(): "the built-in catalogue"}
	if got := read(func(fstest.MapFS) {}); seen[got] == "" {
		t.Error("the same files have another digest")
	}
	differs := func(what, digest string) {
		if seen[digest] != "" {
			t.Errorf("%s has the digest of %s", what, seen[digest])
		}
		seen[digest] = what
	}
	for name := range files(t) {
		differs(name+" with a remark", read(func(dir fstest.MapFS) { dir[name].Data = append(dir[name].Data, "# a remark\n"...) }))
	}
	differs("another file", read(func(dir fstest.MapFS) { dir["remark.yaml"] = &fstest.MapFile{Data: []byte("# a remark\n")} }))
	differs("another file by another name", read(func(dir fstest.MapFS) { dir["remarks.yaml"] = &fstest.MapFile{Data: []byte("# a remark\n")} }))
	differs("the operator's own", own(t).Digest().String())
}

// TestCheckToCome reads a catalogue with a check that this build cannot make yet: its part
// is unproven and says so.
func TestCheckToCome(t *testing.T) {
	dir := files(t)
	for name, change := range map[string][2]string{
		"checks.yaml": {"\nchecks:\n", "\nchecks:\n  locks:\n    title: {en: Doors locked, it: Porte chiuse}\n"},
		"sc.yaml":     {"[check software]", "[check software, check locks]"},
	} {
		dir[name].Data = []byte(strings.Replace(string(dir[name].Data), change[0], change[1], 1))
	}
	c, err := duties.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	d, _ := c.Duty("SC-P1")
	if p := d.Parts[1]; p.Name != "locks" || p.Judged || len(p.Kinds) > 0 {
		t.Errorf("part %+v", p)
	}
	if _, parts := c.Judge(d, duties.Question{At: now}); parts[1].Verdict != duties.Unproven || parts[1].Why.Key != "way_of_proof_missing" {
		t.Errorf("%s %s", parts[1].Verdict, parts[1].Why)
	}
	if _, ok := c.Duty("SC-P0"); ok {
		t.Error("there is a duty of any id")
	}
}

// With every duty stands what asks for evidence of it; with those of infrastructure, and
// no others, the code of conduct that is for infrastructure.
func TestClausesOfAllDuties(t *testing.T) {
	for _, d := range append(builtin(t).Duties(), own(t).Duties()...) {
		f := d.Family
		if d.Own && f.ID == "" {
			continue // clauses of its own, or none
		}
		for _, want := range []string{"5(2)", "28(3)(h)"} {
			if !slices.Contains(f.GDPR, want) {
				t.Errorf("%s names no %s: %v", d.ID, want, f.GDPR)
			}
		}
		for _, want := range []string{"5.28", "5.35", "5.36", "8.34"} {
			n := 0
			for _, have := range f.ISO27001 {
				if have == want {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%s names A.%s %d times", d.ID, want, n)
			}
		}
		if code := slices.Contains(f.GDPR, "28(5)") && slices.Contains(f.Codes, "CISPE Data Protection Code of Conduct"); code != (d.Service == "sc") || !code && len(f.Codes) > 0 {
			t.Errorf("%s names codes %v, %v", d.ID, f.Codes, f.GDPR)
		}
	}
	if d, _ := builtin(t).Duty("PE-P3"); !slices.Equal(d.Family.GDPR, []string{"32(1)(b)", "5(2)", "28(3)(h)"}) || d.Family.ID != "F13" {
		t.Errorf("PE-P3 %+v", d.Family)
	}
	if d, _ := own(t).Duty("DN-C1"); !slices.Equal(d.Family.GDPR, []string{"32(1)(b)"}) {
		t.Errorf("clauses of its own: %+v", d.Family)
	}
}
