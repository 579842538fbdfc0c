package duties_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server/duties"
)

// TestReplay tells the last ten hours of a duty: who joined and left, and what people did.
func TestReplay(t *testing.T) {
	hourly := lookCase{Series: 24, Ago: "0s"}
	of := func(agent string, l lookCase) lookCase { l.Agent = agent; return l }
	late := func(opened string) judgeCase {
		return judgeCase{Looks: []lookCase{}, Watched: true, Cases: []caseCase{{Workflow: "notice", Service: "sc", Title: "Slow", Opened: opened}}}
	}
	two := []agentCase{{Name: "mx1"}, {Name: "mx2"}}
	for _, tt := range []struct {
		name, file, duty string
		tc               judgeCase
		left, forked     map[string]string
		off              []string // from and to
		before           duties.Verdict
		want             string
	}{
		{name: "nothing happens", file: "dnsbl", tc: judgeCase{Looks: []lookCase{hourly}}, want: "-10 fulfilled dnsbl_clean"},
		{name: "a host that leaves", file: "dnsbl", tc: judgeCase{Looks: []lookCase{hourly}}, left: map[string]string{"mx1": "-2h"}, want: "-10 fulfilled dnsbl_clean, -2 unproven no_agent"},
		{name: "a host that left before", file: "dnsbl", tc: judgeCase{Looks: []lookCase{hourly}}, left: map[string]string{"mx1": "-20h"}, want: "-10 unproven no_agent"},
		{name: "a host that leaves later", file: "dnsbl", tc: judgeCase{Looks: []lookCase{hourly}}, left: map[string]string{"mx1": "1h"}, want: "-10 fulfilled dnsbl_clean"},
		{name: "one of two leaves", file: "dnsbl", tc: judgeCase{Agents: two, Looks: []lookCase{of("mx1", hourly)}}, left: map[string]string{"mx2": "-2h"}, want: "-10 unproven never_seen, -2 fulfilled dnsbl_clean"},
		{name: "a host that joins", file: "dnsbl", tc: judgeCase{Agents: []agentCase{{Name: "mx1", Enrolled: "-5h"}}, Looks: []lookCase{{Series: 5, Ago: "0s"}}}, want: "-10 unproven no_agent, -4 fulfilled dnsbl_clean"},
		{name: "a second host that joins", file: "dnsbl", tc: judgeCase{Agents: []agentCase{{Name: "mx1"}, {Name: "mx2", Enrolled: "-5h"}}, Looks: []lookCase{of("mx1", hourly), {Agent: "mx2", Series: 3, Ago: "0s"}}},
			want: "-10 fulfilled dnsbl_clean, -5 unproven never_seen, -2 fulfilled all_fulfilled"},
		{name: "a host that is cloned", file: "dnsbl", tc: judgeCase{Looks: []lookCase{hourly}}, forked: map[string]string{"mx1": "-3h"}, want: "-10 fulfilled dnsbl_clean, -3 unproven agent_forked"},
		{name: "a host that falls silent", file: "dnsbl", tc: judgeCase{Looks: []lookCase{{Ago: "30h"}}}, want: "-10 fulfilled dnsbl_clean, -4 unproven stale"},
		{name: "a host that fell silent and was in touch two hours later", file: "dnsbl", tc: judgeCase{Agents: []agentCase{{Name: "mx1", Talked: "-8h"}}, Looks: []lookCase{{Ago: "40h"}}},
			want: "-10 unproven stale_kind, -6 unproven stale"},
		{name: "a statement and its end", file: "people", duty: "WH-C2", tc: judgeCase{Looks: []lookCase{}, Stated: []statedCase{{At: "-4h", Until: "-1h"}}}, want: "-10 unproven attestation_never, -4 fulfilled attestation_holds, -1 unproven attestation_lapsed"},
		{name: "a need and the backups by it", file: "need", tc: judgeCase{Agents: two, Looks: []lookCase{of("mx1", lookCase{Ago: "240h"}), of("mx2", lookCase{Ago: "3h"})}, Stated: []statedCase{{Kind: duties.StatementNeed, At: "-8h", Until: "9d",
			About: map[string]any{"sets": []any{map[string]any{"service": "bk", "name": "Database", "job": "db", "hours": 24, "days": 30}}}}}},
			want: "-10 unproven need_never, -8 unproven need_blind, -3 fulfilled need_met"},
		{name: "a case step by step", file: "people", duty: "SC-C3", tc: judgeCase{Looks: []lookCase{}, Watched: true, Cases: []caseCase{{Workflow: "notice", Service: "sc", Title: "Slow", Opened: "-6h", Steps: []string{"-4h", "-3h", "-1h"}}}},
			want: "-10 no_occasion no_case, -1 fulfilled case_done"},
		{name: "a host that falls silent while the server is off", file: "dnsbl", tc: judgeCase{Looks: []lookCase{{Ago: "30h"}}}, off: []string{"-8h", "-2h"},
			want: "-10 fulfilled dnsbl_clean, -4 unproven server_off, -2 unproven stale"},
		{name: "a host that fell silent before", file: "dnsbl", tc: judgeCase{Looks: []lookCase{{Ago: "30h"}}}, off: []string{"-3h", "-2h"}, want: "-10 fulfilled dnsbl_clean, -4 unproven stale"},
		{name: "late while the server is off", file: "people", duty: "SC-P5", tc: late("-28h"), off: []string{"-8h", "-2h"}, want: "-10 no_occasion case_running, -4 unproven server_off, -2 breached case_overdue"},
		{name: "late just before the server is off", file: "people", duty: "SC-P5", tc: late("-33h"), off: []string{"-8h", "-2h"}, want: "-10 no_occasion case_running, -9 breached case_overdue"},
		{name: "late before the server was off", file: "people", duty: "SC-P5", tc: late("-40h"), off: []string{"-20h", "-2h"}, before: duties.Breached, want: "-10 breached case_overdue"},
		{name: "late since the server was off", file: "people", duty: "SC-P5", tc: late("-40h"), off: []string{"-20h", "-2h"}, want: "-10 unproven server_off, -2 breached case_overdue"},
	} {
		var f caseFile
		readCases(t, "testdata/"+tt.file+".yaml", &f)
		if tt.duty != "" {
			f.Duty = tt.duty
		}
		d, _ := builtin(t).Duty(f.Duty)
		q := question(t, f, tt.tc)
		s := duties.Story{Question: q, From: q.At.Add(-10 * time.Hour), To: q.At.Add(time.Second), Known: true, Left: moments(t, q, tt.left), Forked: moments(t, q, tt.forked), Before: tt.before}
		if tt.off != nil {
			s.Off = []duties.Outage{{From: q.At.Add(duration(t, tt.off[0])), To: q.At.Add(duration(t, tt.off[1]))}}
		}
		var turns []string
		for _, turn := range builtin(t).Replay(d, s) {
			turns = append(turns, fmt.Sprint(int(turn.At.Sub(q.At).Round(time.Minute)/time.Hour), " ", turn.Verdict, " ", turn.Why.Key))
		}
		if got := strings.Join(turns, ", "); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// moments of agents by their names, relative to the question's.
func moments(t *testing.T, q duties.Question, by map[string]string) map[string]time.Time {
	out := map[string]time.Time{}
	for name, at := range by {
		out["a_"+name] = q.At.Add(duration(t, at))
	}
	return out
}

// A judgement turns where the duty or a part of it has another verdict or another reason.
func TestTurned(t *testing.T) {
	is := func(v duties.Verdict, why string) duties.Finding {
		return duties.Finding{Verdict: v, Why: duties.Message{Key: why}}
	}
	stood := func(whole duties.Finding, parts ...duties.Finding) (j duties.Judgement) {
		j.Whole = whole
		for _, f := range parts {
			j.Parts = append(j.Parts, duties.PartFinding{Finding: f})
		}
		return j
	}
	good, stale, off := is(duties.Fulfilled, "dnsbl_clean"), is(duties.Unproven, "stale"), is(duties.Unproven, "look_failed")
	for _, tt := range []struct {
		name        string
		before, now duties.Judgement
		want        bool
	}{
		{"the same", stood(good, good, stale), stood(good, good, stale), false},
		{"the same in other words", stood(good, good), stood(is(duties.Fulfilled, "dnsbl_noted"), good), false},
		{"the duty", stood(good, good), stood(stale, good), true},
		{"the duty's cause", stood(stale, good), stood(off, good), true},
		{"the second part", stood(stale, stale, good), stood(stale, stale, stale), true},
		{"the second part's cause", stood(stale, good, stale), stood(stale, good, off), true},
		{"a part more", stood(good, good), stood(good, good, good), true},
	} {
		if got := tt.now.Turned(tt.before); got != tt.want {
			t.Errorf("%s: turned is %t", tt.name, got)
		}
	}
}
