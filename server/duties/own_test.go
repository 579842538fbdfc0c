package duties_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/attesto/attesto/server/duties"
)

// own is the built-in catalogue with the tests' own files.
func own(t testing.TB) *duties.Catalogue {
	t.Helper()
	c, err := duties.Load(os.DirFS("testdata/own"), now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// An operator adds a service, duties and settings; what is built in stays.
func TestOwnCatalogue(t *testing.T) {
	c := own(t)
	if got := strings.Join(c.Services(), ","); got != "sc,wh,pe,bk,dn,mv" {
		t.Errorf("services %s", got)
	}
	if n := len(c.Duties()); n != 57+4+3 {
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
	d, _ = c.Duty("BK-P100")
	if s := d.Parts[0].Params["points"].Source; s.In("en") != "ours" || s.In("it") != "ours" {
		t.Errorf("a plain source is %+v", s)
	}
	if s := d.Parts[0].Params["fresh"].Source; s.In("it") == s.In("en") {
		t.Errorf("the source of a built-in parameter is %+v", s)
	}
	if c.ServiceTitle("it", "dn") != "Nomi di dominio" || c.ServiceTitle("it", "xx") != "xx" {
		t.Error("titles of services")
	}
}

// wholeRule is the rule of the example.
const wholeRule = `    rule: |
      facts.jobs.size() > 0 &&
      facts.jobs.all(j, j.encryption != "none" &&
        (!has(j.newestRestorable) || now - j.newestRestorable < duration("48h")) && j.points >= params.points)
`

// Each fault of an own file is named with its line and what to do.
func TestOwnFaults(t *testing.T) {
	tests := []struct{ name, old, new, want string }{
		{"unknown key", "cadence: daily", "cadense: daily", `own.yaml:28: unknown key "cadense"`},
		{"no YAML", "services:", "services: [", "own.yaml:"},
		{"two documents", "duties:\n", "---\nduties:\n", "own.yaml:25: another document begins"},
		{"unknown field", "j.encryption", "j.encrypted", `own.yaml:11: check encrypted: rule: column 20: undefined field 'encrypted'`},
		{"fields are named", "facts.jobs.size()", "facts.job.size()", "facts have the fields jobs"},
		{"unknown parameter", "params.points", "params.point", "own.yaml:12: check encrypted"},
		{"types", `j.encryption != "none"`, "j.encryption > 3", "own.yaml:11: check encrypted: rule: column 32: found no matching overload"},
		{"no answer", "facts.jobs.size() > 0 &&", "facts.jobs.size() + 0 ==", "own.yaml:10: check encrypted: rule: column 23"},
		{"no verdict", "j.points >= params.points)", "j.points >= params.points) ? 1 : 0", "it is a int and must be true or false"},
		{"rule on one line", "rule: |\n      facts.jobs.size() > 0 &&\n      ", "rule: facts.job.size() > 0 || ", "own.yaml:9: check encrypted: rule: column 6: undefined field 'job'"},
		{"no rule", wholeRule, "", "own.yaml:7: check encrypted: rule: it is missing: "},
		{"name of a check", "  encrypted:", "  Encrypted:", `own.yaml:7: check Encrypted: want a name of small letters`},
		{"built-in check", "  encrypted:", "  backup:", "own.yaml:7: check backup: it is there already"},
		{"kind", "kind: backup", "kind: backups", `own.yaml:8: check encrypted: kind "backups" does not exist: there are backup, accounts, `},
		{"one language", "{en: Set a password for each job., it: Impostare una password per ogni job.}", "{en: Set a password for each job.}", "own.yaml:23: check encrypted: cure is missing in Italian: write cure: {en: …, it: …}"},
		{"unit", "unit: count", "unit: pieces", `own.yaml:16: check encrypted: parameter points: unit "pieces"`},
		{"freshness in days", "      points:\n", fresher("days") + "      points:\n", "own.yaml:14: check encrypted: fresh is the oldest look that still proves, in hours or minutes"},
		{"number of a built-in duty", "id: BK-P100", "id: BK-P4", "own.yaml:26: duty BK-P4: own duties of a built-in service have numbers from 100: call it BK-P104"},
		{"source in one language", "source: ours", "source: {it: nostro}", "own.yaml:20: check encrypted: parameter points: source is missing in English"},
		{"source that is no text", "source: ours", "source: {en: ours, de: unser}", "own.yaml:20: source: want a text"},
		{"source that is a list", "source: ours", "source: [ours]", "own.yaml:20: "},
		{"a built-in duty", "id: BK-P100", "id: BK-P1", "own duties of a built-in service have numbers from 100"},
		{"last number of the built-in ones", "id: BK-P100", "id: BK-P99", "call it BK-P199"},
		{"id", "id: DN-C1", "id: DNC1", "own.yaml:31: duty DNC1: \"DNC1\": want an id such as DN-P1"},
		{"unknown service", "id: DN-C1", "id: XY-C1", "own.yaml:31: duty XY-C1: there is no service xy"},
		{"unknown check", "[check encrypted]", "[check encrypt]", `own.yaml:29: duty BK-P100: check "encrypt" does not exist: there are encrypted, backup, copy, `},
		{"unknown check in parts of another", "parts: [attestation]", "parts: &both [check encrypt, attestation]\n  - id: DN-C2\n    title: {en: a, it: a}\n    cadence: daily\n    parts: *both",
			`own.yaml:38: duty DN-C2: check "encrypt" does not exist: `},
		{"unused check", "[check encrypted]", "[attestation]", "check encrypted is used by no duty"},
		{"unproven workflow", "[attestation]", "[workflow]", "own.yaml:31: duty DN-C1 is to be proven by a workflow"},
		{"family", "family: F10", "family: F99", "own.yaml:30: duty BK-P100: there is no family F99"},
		{"set of no duty", "WH-P1: {backup: {retention: 40}}", "WH-P99: {backup: {retention: 40}}", `own.yaml:38: duty "WH-P99" does not exist: there are WH-P1, WH-P2, `},
		{"set of no part", "WH-P1: {backup: {retention: 40}}", "WH-P1: {site: {retention: 40}}", "own.yaml:38: duty WH-P1: there is no part site: it has backup, review"},
		{"range", "retention: 40", "retention: -4", "own.yaml:38: duty WH-P1: part backup: set: retention: -4 days is outside 35 to 3650 days, which is all that the duty leaves open: for anything looser its party signs a waiver"},
		{"stated cadence", "{SC-C2: 30}", "{SC-C5: 30}", `own.yaml:40: duty SC-C5: its list says "daily", which cannot be changed`},
		{"cadence of no duty", "{SC-C2: 30}", "{SC-C99: 30}", `own.yaml:40: duty "SC-C99" does not exist: there are SC-C9, `},
		{"cadence of no day", "{SC-C2: 30}", "{SC-C2: 0}", "own.yaml:40: duty SC-C2: every 0 days: want 1 to 366"},
		{"cadence over a year", "{SC-C2: 30}", "{SC-C2: 367}", "own.yaml:40: duty SC-C2: every 367 days: want 1 to 366"},
		{"taken off without who", "who: Anna Bianchi, ", "", "own.yaml:43: duty WH-C7: who is missing: say who decided so"},
		{"taken off without why", "why: the plan has no limits to watch, ", "", "own.yaml:43: duty WH-C7: why is missing: say why"},
		{"taken off for good", ", until: 2027-06-30", "", "own.yaml:43: duty WH-C7: until is missing: say until when (until: 2027-06-30)"},
		{"taken off what is not there", "duty: WH-C7", "duty: WH-C77", `own.yaml:43: duty "WH-C77" does not exist: there are WH-C7, `},
		{"service", "  dn:", "  dns:", "own.yaml:3: service dns: \"dns\": want two small letters"},
		{"service in one language", "it: Nomi di dominio", "it: ''", "own.yaml:3: service dn: title is missing in Italian"},
		{"protocol", "products: [bind]", "protos: [dns]", `own.yaml:3: service dn: protocol "dns" does not exist: there are tcp, `},
		{"built-in service", "  dn:", "  sc:", "own.yaml:3: service sc: stated twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { refused(t, "example", tt.old, tt.new, tt.want) })
	}
}

// Faults of what happens step by step are named likewise.
func TestOwnWorkflowFaults(t *testing.T) {
	tests := []struct{ name, old, new, want string }{
		{"built-in cadence", "  every other day: ", "  weekly: ", `own.yaml:7: cadence "weekly": it is there already`},
		{"two built-in cadences", "  at each move: {en: at each move, it: a ogni trasloco}\n  every other day: ", "  daily: {en: a, it: a}\n  weekly: ", `own.yaml:7: cadence "weekly": it is there already`},
		{"cadence without Italian", "it: ogni due giorni", "it: ''", `own.yaml:7: cadence "every other day": its words are missing in one language`},
		{"cadence without English", "en: every other day", "en: ''", `own.yaml:7: cadence "every other day": its words are missing in one language`},
		{"cadence that is no duration", "every: 48h", "every: two days", `own.yaml:7: cadence "every other day": every "two days": want a duration`},
		{"cadence of no time", "every: 48h", "every: 0s", `cadence "every other day": every "0s": want a duration`},
		{"without id", "- id: move", "- id: ''", "own.yaml:25: workflow : id is missing"},
		{"without English title", "en: Move of a server", "en: ''", "own.yaml:26: workflow move: title is missing in English"},
		{"without Italian title", "it: Trasloco di un server", "it: ''", "own.yaml:26: workflow move: title is missing in Italian"},
		{"without English words", "en: A customer comes from another provider.", "en: ''", "own.yaml:27: workflow move: about is missing in English"},
		{"without Italian words", "it: Un cliente arriva da un altro provider.", "it: ''", "own.yaml:27: workflow move: about is missing in Italian"},
		{"opened by nobody", "opens: customer", "opens: auditor", `own.yaml:28: workflow move: opens "auditor": want provider, customer or either`},
		{"early with a customer's step", "opens: customer", "opens: provider\n    early: true", `own.yaml:29: workflow move: early: the provider must open it and take each step itself`},
		{"within no duration", "within: 72h", "within: soon", `step "moved": within "soon": want a duration such as 24h`},
		{"within no time", "within: 72h", "within: 0h", `step "moved": within "0h"`},
		{"within a time that is over", "within: 72h", "within: -72h", `step "moved": within "-72h"`},
		{"step without id", "id: moved", "id: ''", `own.yaml:31: workflow move: step "": id is missing`},
		{"step twice", "id: moved", "id: planned", `step "planned": stated twice`},
		{"step without title", "en: Data moved", "en: ''", `own.yaml:31: workflow move: step "moved": title is missing in English`},
		{"step of nobody", "party: customer, within", "party: auditor, within", `own.yaml:32: workflow move: step "compared": party "auditor": want provider or customer`},
		{"step that may wait", "may: skip", "may: wait", `own.yaml:30: workflow move: step "planned": may "wait": want skip, or nothing`},
		{"step by post", "may: skip", "by: post", `own.yaml:30: workflow move: step "planned": by "post": want delivery or opening, or nothing`},
		{"step by opening of who does not open", "may: skip", "by: opening", `own.yaml:30: workflow move: step "planned": by opening: only the first step can be taken so, by the party that opens (customer)`},
		{"step by opening that is not the first", "party: customer, within", "by: opening, party: customer, within", `step "compared": by opening: only the first step`},
		{"built-in duty", "proves: [MV-C2]", "proves: [MV-C2, SC-C3]", "own.yaml:32: workflow move: step compared: it proves SC-C3, which is built in: own workflows prove own duties"},
		{"no such duty", "proves: [MV-C2]", "proves: [MV-C2, MV-C9]", "own.yaml:32: workflow move: step compared: it proves MV-C9: want a duty of the customer with the part workflow"},
		{"duty of the other party", "proves: [MV-C2]", "proves: [MV-C2, MV-P1]", "step compared: it proves MV-P1: want a duty of the customer"},
		{"duty without that part", "proves: [MV-C2]", "proves: [MV-C2, MV-C1]", "step compared: it proves MV-C1: want a duty of the customer with the part workflow"},
		{"duty that no step proves", "proves: [MV-C2]", "proves: []", "own.yaml:19: duty MV-C2 is to be proven by a workflow, and no step of one proves it"},
		{"built-in workflow", "- id: move", "- id: notice", "own.yaml:25: workflow notice: stated twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { refused(t, "moves", tt.old, tt.new, tt.want) })
	}
}

// refused reads an example with one text in the place of another, and wants an error.
func refused(t *testing.T, name, old, changed, want string) {
	t.Helper()
	text := example(t, name)
	if !strings.Contains(text, old) {
		t.Fatalf("the example does not contain %q", old)
	}
	if err := reads(strings.Replace(text, old, changed, 1)); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}

func example(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/own/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func reads(text string) error {
	_, err := duties.Load(fstest.MapFS{"own.yaml": &fstest.MapFile{Data: []byte(text)}}, now)
	return err
}

// fresher is how old a look of an own check may be, in a unit.
func fresher(unit string) string {
	return "      fresh: {title: {en: a, it: a}, unit: " + unit + ", default: 2, min: 1, max: 9, source: ours}\n"
}

// What an operator may write, up to the last of it.
func TestOwnLimits(t *testing.T) {
	text, moves := example(t, "example"), example(t, "moves")
	if !strings.Contains(text, "{SC-C2: 30}") || !strings.Contains(text, "      points:\n") {
		t.Fatal("the example is another")
	}
	short := text + "#"
	longest := short + strings.Repeat("x", 1<<20-len(short))
	rule := func(bytes int) string {
		const start, end = "    rule: '1 > 0 || ", "0 > 1'\n"
		return "checks:\n  own:\n    title: {en: a, it: a}\n    kind: backup\n" + start + strings.Repeat(" ", bytes-len("1 > 0 || 0 > 1")) + end +
			"    good: {en: a, it: a}\n    bad: {en: a, it: a}\n    cure: {en: a, it: a}\nduties:\n  - {id: BK-P100, title: {en: a, it: a}, cadence: daily, parts: [check own]}\n"
	}
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"a workflow of no steps", moves[:strings.Index(moves, "    steps:")], "own.yaml:25: workflow move: no steps"},
		{"remarks alone", "# Nothing yet.\n", ""},
		{"a mebibyte", longest, ""},
		{"one byte more", longest + "x", "own.yaml: 1048577 bytes: want at most 1048576"},
		{"every day", strings.Replace(text, "{SC-C2: 30}", "{SC-C2: 1}", 1), ""},
		{"once in a leap year", strings.Replace(text, "{SC-C2: 30}", "{SC-C2: 366}", 1), ""},
		{"fresh in minutes", strings.Replace(text, "      points:\n", fresher("minutes")+"      points:\n", 1), ""},
		{"fresh in hours", strings.Replace(text, "      points:\n", fresher("hours")+"      points:\n", 1), ""},
		{"longest rule", rule(4000), ""},
		{"a rule of elsewhere", "checks:\n  own:\n    <<: {title: {en: a, it: a}, kind: backup, rule: facts.job, good: {en: a, it: a}, bad: {en: a, it: a}, cure: {en: a, it: a}}\n",
			"own.yaml:3: check own: rule: column 6: undefined field 'job'"},
		{"a section of elsewhere", "# Every.\n<<: {every: {SC-C2: 0}}\n", "own.yaml:2: duty SC-C2: every 0 days"},
		{"a longer rule", rule(4001), "own.yaml:5: check own: rule: rule of 4001 bytes: want at most 4000"},
	} {
		if err := reads(tt.text); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}

// All faults of a file are named at once.
func TestOwnFaultsTogether(t *testing.T) {
	text := strings.NewReplacer("cadence: daily", "cadense: daily", "family: F10", "famly: F10").Replace(example(t, "example"))
	err := reads(text)
	for _, want := range []string{`own.yaml:28: unknown key "cadense"`, `own.yaml:30: unknown key "famly"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// TestOwnWorkflow has an operator add what happens step by step.
func TestOwnWorkflow(t *testing.T) {
	c := own(t)
	w, ok := c.Workflow("move")
	if !ok || w.Opens != duties.Customer || !slices.Equal(w.Services(), []string{"mv"}) {
		t.Fatalf("workflow %+v", w)
	}
	for id, want := range map[string]duties.Step{
		"planned": {Party: duties.Provider, Within: 24 * time.Hour, MaySkip: true}, "moved": {Party: duties.Provider, Within: 72 * time.Hour},
		"compared": {Party: duties.Customer, Within: 168 * time.Hour},
	} {
		if s, ok := w.Step(id); !ok || s.Party != want.Party || s.Within != want.Within || s.MaySkip != want.MaySkip || s.Delivery {
			t.Errorf("step %s: %+v", id, s)
		}
	}
	d, _ := c.Duty("MV-P1")
	if d.Family.ID != "F1" || d.Every != 0 || d.CadenceText.In("it") != "a ogni trasloco" {
		t.Errorf("MV-P1: %+v", d)
	}
	if d, _ := c.Duty("MV-C2"); d.Every != 48*time.Hour {
		t.Errorf("MV-C2 every %s", d.Every)
	}
	if why, _ := c.Render(duties.Italian, duties.Message{Key: "case_done", Args: map[string]string{"step_codes": "move.moved"}}); !strings.Contains(why, "Dati trasferiti") {
		t.Errorf("a step is written %q", why)
	}
}

// FuzzOwn gives the reader files of unknown make: it must answer, and what it takes
// must leave the built-in duties where they are.
func FuzzOwn(f *testing.F) {
	for _, name := range []string{"example", "faulty", "moves"} {
		f.Add(example(f, name))
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := duties.With(map[string][]byte{"own.yaml": []byte(text)}, now)
		if err == nil && len(c.Duties()) < 57 {
			t.Errorf("%d duties are left", len(c.Duties()))
		}
	})
}
