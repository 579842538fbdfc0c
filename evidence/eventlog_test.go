package evidence_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
)

func TestEventLogValidate(t *testing.T) {
	at := func(hour int) evidence.Time { return evidence.At(time.Date(2026, 11, 23, hour, 0, 0, 0, time.UTC)) }
	good := func() evidence.EventLog {
		from, to := at(1), at(2)
		return evidence.EventLog{RuleSet: "ab12", Rules: 2,
			Sources: []evidence.LogSource{{Source: "journald", Lines: 10, Bytes: 900, From: &from, To: &to, Whole: true}, {Source: "/var/log/a"}},
			Hits: []evidence.RuleHit{{Rule: "ssh_login_failed", Severity: evidence.SeverityLow, Families: []string{"SC"}, Count: 3, First: at(1), Last: at(2),
				Over: true, Limit: 3, Networks: 2}}}
	}
	if err := good().Validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*evidence.EventLog){
		"no rule set":                     func(e *evidence.EventLog) { e.RuleSet = "" },
		"1 rules matched":                 func(e *evidence.EventLog) { e.Rules = 0 },
		"lines -1":                        func(e *evidence.EventLog) { e.Sources[0].Lines = -1 },
		`source ""`:                       func(e *evidence.EventLog) { e.Sources[1].Source = "" },
		"stands twice":                    func(e *evidence.EventLog) { e.Sources[1].Source = "journald" },
		"only one of from":                func(e *evidence.EventLog) { e.Sources[0].To = nil },
		"from 2026":                       func(e *evidence.EventLog) { e.Sources[0].From, e.Sources[0].To = e.Sources[0].To, e.Sources[0].From },
		`severity "urgent"`:               func(e *evidence.EventLog) { e.Hits[0].Severity = "urgent" },
		"count 0":                         func(e *evidence.EventLog) { e.Hits[0].Count = 0 },
		"networks 10001":                  func(e *evidence.EventLog) { e.Hits[0].Networks = evidence.MaxNetworks + 1 },
		"over a limit":                    func(e *evidence.EventLog) { e.Hits[0].Limit = 0 },
		"before the first":                func(e *evidence.EventLog) { e.Hits[0].Last = at(0) },
		"a family":                        func(e *evidence.EventLog) { e.Hits[0].Families = []string{""} },
		`"ssh_login_failed" stands twice`: func(e *evidence.EventLog) { e.Hits = append(e.Hits, e.Hits[0]) },
	} {
		e := good()
		change(&e)
		if err := e.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestEventLogBlob(t *testing.T) {
	e := evidence.EventLog{RuleSet: "ab12", Sources: []evidence.LogSource{{Source: "journald", Whole: true}}, Hits: []evidence.RuleHit{}}
	gaps := []evidence.Gap{{What: "journald", Why: "vacuumed"}}
	blob, err := evidence.FactsBlob(e, gaps)
	if err != nil {
		t.Fatal(err)
	}
	got, back, err := evidence.DecodeFacts[evidence.EventLog](blob)
	if err != nil || len(back) != 1 || back[0] != gaps[0] {
		t.Fatalf("%+v, %v, %v", got, back, err)
	}
	a, _ := json.Marshal(e)
	b, _ := json.Marshal(got)
	if string(a) != string(b) {
		t.Fatalf("%s became %s", a, b)
	}
}
