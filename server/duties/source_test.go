package duties_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/attesto/attesto/server/duties"
)

// What is no file of the kind is refused with the line where that shows, in plain words
// and with what to do: nothing of the language that the program is written in.
func TestOwnForm(t *testing.T) {
	const list = "duties:\n  - id: DN-P1\n    cadence: daily\n    parts: [review]\n"
	for _, tt := range []struct{ name, text, want string }{
		{"a duty without its dash", list + "  id: DN-P2\n", "own.yaml:5: an item of a list is expected here: begin it with - in the column of the others"},
		{"a key out of line", "set:\n  WH-P1: {}\n WH-P2: {}\n", "own.yaml:3: a key is expected here: indent it as its neighbours are"},
		{"a list that is not closed", "# Mine.\nset: {}\nduties: [\nevery: {}\n", "own.yaml:4: a list in [ ] lacks a comma or its ]"},
		{"keys that are not closed", "set: {WH-P1: {}\n", "own.yaml:1: keys in { } lack a comma or their }"},
		{"a colon in a text", "not_applicable:\n  - {duty: SC-C1, who: me}\n  - why: on leave: until summer\n", "own.yaml:3: a colon too many: put a text with a colon into quotes"},
		{"a quote that is not closed", "not_applicable:\n  - why: \"on leave\n    who: me\n", "own.yaml:2: a text that begins with a quote never ends"},
		{"a tab", "set:\n\tWH-P1: {}\n", "own.yaml:2: a tab, or a text that begins with a sign"},
		{"a line of no key", "every: {}\nset\nservices: {}\n", "own.yaml:2: a key without its colon: write KEY: VALUE"},
		{"an alias of nothing", "every: {}\nset: *mine\n", "own.yaml:2: an alias (*NAME) of what has no name yet"},
		{"a list of nothing", "- SC-C1\n", "own.yaml:1: a key such as duties: or set: (docs/catalogue.md lists them) is wanted here, not a list"},
		{"a word", "\nnothing\n", "own.yaml:2: a key such as duties: or set: (docs/catalogue.md lists them) is wanted here, not the text “nothing”"},
		{"a text for a number", "every:\n  SC-C2: sixty\n", "own.yaml:2: a whole number is wanted here, not “sixty”"},
		{"a number in quotes", "every:\n  SC-C2: '60'\n", "own.yaml:2: a whole number is wanted here, not “60”"},
		{"half a day", "every: {SC-C7: 0.5}\n", "own.yaml:1: a whole number is wanted here, not “0.5”"},
		{"a list for a number", "set:\n  WH-P1:\n    backup:\n      retention: [40]\n", "own.yaml:4: a number is wanted here, not a list"},
		{"a text for a list", "duties:\n  - id: DN-P1\n    parts: review\n", "own.yaml:3: a list is wanted here, not the text “review”"},
		{"a text for keys", "duties: DN-P1\n", "own.yaml:1: a list is wanted here, not the text “DN-P1”"},
		{"a list for a text", "duties:\n  - id: [DN-P1]\n", "own.yaml:2: a text is wanted here, not a list"},
		{"keys for a list", "set:\n  - WH-P1\n", "own.yaml:2: KEY: VALUE, or several, is wanted here, not a list"},
		{"a word for yes", "duties:\n  - any: often\n", "own.yaml:2: true or false is wanted here, not the text “often”"},
		{"a key twice", "every: {SC-C2: 30}\nset: {}\nevery: {SC-C2: 31}\n", "own.yaml:3: the key \"every\" stands on line 1 already: write it once"},
		{"a day that is none", "not_applicable:\n  - {duty: WH-C7, who: me, why: so,\n     until: someday}\n", "own.yaml:3: “someday” is no day: write it as 2027-06-30"},
		{"a day with a time", "not_applicable:\n  - {duty: WH-C7, who: me, why: so, until: 2027-06-30T00:00:00Z}\n", "own.yaml:2: “2027-06-30T00:00:00Z” is no day"},
		{"the replacement character is text", "not_applicable:\n  - why: \ufffd\n    until: never\n", "own.yaml:3: “never” is no day"},
		{"a list that is not closed, of many lines", "duties: [\n" + strings.Repeat("  # Mine.\n", 300) + "every: {}\n", "own.yaml:302: a list in [ ] lacks a comma"},
		{"a quote that is not closed, of many lines", "why: \"mine\n" + strings.Repeat("  and mine\n", 300), "own.yaml:1: a text that begins with a quote never ends"},
		{"two bytes of nothing", "\xff\xfe", "own.yaml:1: the byte 0xFF is no text: save the file as text in UTF-8"},
		{"bytes within", "set: {}\n# \x00\n", "own.yaml:2: the byte 0x00 is no text"},
		{"Latin 1", "not_applicable:\n  - {why: perch\xe9}\n", "own.yaml:2: the byte 0xE9 is no text: save the file as text in UTF-8"},
		{"nearest key first", "dutys: []\n", `own.yaml:1: unknown key "dutys" does not exist: there are duties, `},
		{"keys of a parameter", "checks:\n  signed:\n    params:\n      age: {uint: hours}\n", "own.yaml:4: unknown key \"uint\" does not exist: there are min, unit, max, title, every, source, default\n"},
		{"keys of a duty", "duties:\n  - {titel: {}}\n", `own.yaml:2: unknown key "titel" does not exist: there are title, `},
	} {
		err := reads(tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
			continue
		}
		for _, word := range []string{"!!", "unmarshal", "duties.", "time.", "2006-01-02", "T15:04", "yaml: "} {
			if strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q speaks of %q", tt.name, err, word)
			}
		}
	}
}

// A file whose name would have it left out is no silent one.
func TestOwnFileOfAnotherName(t *testing.T) {
	_, err := duties.Load(fstest.MapFS{"own.yml": &fstest.MapFile{Data: []byte("set: {}\n")}}, now)
	if err == nil || err.Error() != "own.yml: it would not be read: let its name end in .yaml" {
		t.Errorf("error %v", err)
	}
}

// Every fault of a file is named at once, and what rests on something faulty says
// nothing more.
func TestOwnFaultsAllAtOnce(t *testing.T) {
	const text = `services:
  dn: {title: {en: Domain names}}
cadences:
  hourly: {every: 1 hour, en: hourly, it: ogni ora}
checks:
  signed: {title: {en: a, it: a}, kind: backups, rule: facts.jobs.size() > 0, good: {en: a, it: a}, bad: {it: a}, cure: {en: a, it: a}}
duties:
  - {id: DN-P1, title: {en: a, it: a}, cadence: hourly, parts: [check signed], famly: F1}
  - {id: DN-P4, title: {en: a}, cadence: dayly, parts: [check softwares, check software], set: {software: {pending: 900, reboots: 1}}}
  - {id: DN-C1, title: {en: a, it: a}, cadence: daily, parts: [workflow]}
workflows:
  - {id: w, title: {en: a, it: a}, about: {en: a, it: a}, opens: nobody, steps: [{id: s, title: {en: a, it: a}, party: customer, within: soon, proves: [DN-C1, DN-P1, DN-C9]}]}
set:
  WH-P1: {backup: {retention: 0, hole: 9, depth: 3}, review: {severity: 7}, scan: {}}
  DN-P1: {signed: {fresh: 900}}
every:
  SC-C2: sixty
  SC-C7: 0
  SC-C5: 30
not_applicable:
  - {duty: SC-C1, why: so, until: someday}
  - {duty: XX-P1, who: me, until: 2030-01-01}
`
	want := []string{
		"own.yaml:2: service dn: title is missing in Italian: write title: {en: …, it: …}",
		`own.yaml:4: cadence "hourly": every "1 hour": want a duration such as 48h`,
		`own.yaml:6: check signed: bad is missing in English`,
		`own.yaml:6: check signed: kind "backups" does not exist: there are backup, `,
		`own.yaml:8: unknown key "famly" does not exist: there are family, `,
		"own.yaml:9: duty DN-P4: title is missing in Italian",
		`own.yaml:9: duty DN-P4: cadence "dayly" does not exist: there are daily, `,
		`own.yaml:9: duty DN-P4: check "softwares" does not exist: there are software, `,
		"own.yaml:9: duty DN-P4: set: part software: pending: 900 days is outside 0 to 90 days",
		`own.yaml:9: duty DN-P4: set: part software: parameter "reboots" does not exist: there are reboot, `,
		`own.yaml:12: workflow w: opens "nobody": want provider, customer or either`,
		`own.yaml:12: workflow w: step "s": within "soon": want a duration such as 24h`,
		"own.yaml:12: workflow w: step s: it proves DN-C9: want a duty of the customer",
		"own.yaml:14: duty WH-P1: part backup: set: retention: 0 days is outside 35 to 3650 days",
		"own.yaml:14: duty WH-P1: part backup: set: hole: 9 days is outside 1 to 8 days",
		`own.yaml:14: duty WH-P1: part backup: set: parameter "depth" does not exist: there are `,
		"own.yaml:14: duty WH-P1: part review: set: severity: 7 is outside 0 to 4",
		"own.yaml:14: duty WH-P1: there is no part scan: it has backup, review",
		"own.yaml:17: a whole number is wanted here, not “sixty”",
		"own.yaml:18: duty SC-C7: every 0 days: want 1 to 366",
		`own.yaml:19: duty SC-C5: its list says "daily", which cannot be changed`,
		"own.yaml:21: “someday” is no day: write it as 2027-06-30",
		`own.yaml:22: duty "XX-P1" does not exist: there are `,
		"own.yaml:22: duty XX-P1: why is missing: say why",
		"own.yaml:22: duty XX-P1: until 2030-01-01 is more than 366 days ahead",
	}
	err := reads(text)
	if err == nil {
		t.Fatal("it was taken")
	}
	got := strings.Split(err.Error(), "\n")
	for _, w := range want {
		at := slices.IndexFunc(got, func(line string) bool { return strings.HasPrefix(line, w) })
		if at < 0 {
			t.Errorf("nothing says %q", w)
			continue
		}
		got = slices.Delete(got, at, at+1)
	}
	if len(got) > 0 {
		t.Errorf("and beside that:\n%s", strings.Join(got, "\n"))
	}
}

// Files may rest on each other, whatever their names.
func TestOwnFilesTogether(t *testing.T) {
	text := example(t, "example")
	at := strings.Index(text, "duties:")
	c, err := duties.With(map[string][]byte{"a.yaml": []byte(text[at:]), "b.yaml": []byte(text[:at])}, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Duty("BK-P100"); !ok {
		t.Error("a duty is lost")
	}
}

// How often a periodic duty must be proven goes for how old its proofs may be, too.
func TestEveryReachesTheProofs(t *testing.T) {
	c, err := duties.With(map[string][]byte{"own.yaml": []byte("every: {WH-C6: 30, SC-C6: 3, SC-C7: 1, BK-C6: 366, WH-C2: 10}\nset: {WH-C6: {restore: {age: 20}}}\n")}, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		duty, part   string
		age, longest float64
	}{{"WH-C6", "restore", 20, 30}, {"SC-C6", "vmbackup", 4, 4}, {"SC-C7", "restore", 1, 1}, {"BK-C6", "restore", 366, 366}, {"BK-C3", "restore", 62, 62}} {
		if p := paramOf(t, c, tt.duty, tt.part, "age"); p.Default != tt.age || p.Max != tt.longest || p.Allows(p.Default) != nil || p.Allows(tt.longest+1) == nil {
			t.Errorf("%s: age %g, at most %g", tt.duty, p.Default, p.Max)
		}
	}
	d, _ := c.Duty("WH-C2")
	signed := duties.Statement{Kind: duties.StatementAttestation, Good: true, At: now.Add(-10*24*time.Hour + time.Minute), Until: now.Add(80 * 24 * time.Hour)}
	for ago, want := range map[time.Duration]string{0: "fulfilled attestation_holds", time.Minute: "unproven attestation_lapsed"} {
		s := signed
		s.At = s.At.Add(-ago)
		f, _ := c.Judge(d, duties.Question{At: now, Statements: []duties.Statement{s}})
		if got := f.Verdict.String() + " " + f.Why.Key; got != want {
			t.Errorf("signed %s before: %s, want %s", now.Sub(s.At), got, want)
		}
	}
	if err := reads("every: {WH-C6: 30}\nset: {WH-C6: {restore: {age: 31}}}\n"); err == nil || !strings.Contains(err.Error(), "own.yaml:2: duty WH-C6: part restore: set: age: 31 days is outside 7 to 30 days") {
		t.Errorf("error %v", err)
	}
}

// An operator takes a duty out for a year at most; when that is over, it says so.
func TestNotApplicableEnds(t *testing.T) {
	for until, want := range map[string]string{
		"2027-11-24": "", "2027-11-25": "more than 366 days ahead", "9999-12-31": "more than 366 days ahead", "2026-11-24": "", "2026-11-23": "has passed", "2020-01-01": "has passed",
	} {
		c, err := duties.Load(fstest.MapFS{"own.yaml": &fstest.MapFile{Data: []byte("not_applicable:\n  - {duty: SC-P1, who: me, why: so,\n     until: " + until + "}\n")}}, now)
		if err == nil && len(c.Over()) > 0 {
			err = c.Over()[0]
		}
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "own.yaml:3: duty SC-P1: until "+until)) {
			t.Errorf("until %s: error %v, want %q", until, err, want)
		}
	}
}

// A fault of one check does not hide that no duty asks for another.
func TestOwnCheckOfNoDutyBesideAFault(t *testing.T) {
	const check = "title: {en: a, it: a}, rule: facts.jobs.size() > 0, good: {en: a, it: a}, bad: {en: a, it: a}, cure: {en: a, it: a}}\n"
	err := reads("checks:\n  first: {kind: backups, " + check + "  second: {kind: backup, " + check)
	for _, want := range []string{`own.yaml:2: check first: kind "backups" does not exist`, "own.yaml:3: check second is used by no duty"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
