package duties_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server/duties"
)

// TestNext asks cases what they wait for.
func TestNext(t *testing.T) {
	w, _ := builtin(t).Workflow("notice")
	opened, withdrawn := now.Add(-48*time.Hour), now.Add(-time.Hour)
	first := duties.Done{Step: w.Steps[0].ID, At: opened.Add(time.Hour)}
	all := []duties.Done{first}
	for _, s := range w.Steps[1:] {
		all = append(all, duties.Done{Step: s.ID, At: opened.Add(2 * time.Hour)})
	}
	for name, tt := range map[string]struct {
		c    duties.Case
		want string
		due  time.Time
	}{
		"opened":         {duties.Case{Opened: opened}, w.Steps[0].ID, opened.Add(w.Steps[0].Within)},
		"one step taken": {duties.Case{Opened: opened, Steps: []duties.Done{first}}, w.Steps[1].ID, first.At.Add(w.Steps[1].Within)},
		"withdrawn":      {duties.Case{Opened: opened, Steps: []duties.Done{first}, Closed: withdrawn, Withdrawn: true}, "", time.Time{}},
		"all taken":      {duties.Case{Opened: opened, Steps: all}, "", time.Time{}},
	} {
		if s, due, ok := tt.c.Next(w); s.ID != tt.want || !due.Equal(tt.due) || ok != (tt.want != "") {
			t.Errorf("%s: waits for %q until %s (%t), want %q until %s", name, s.ID, due, ok, tt.want, tt.due)
		}
	}
}

// TestStrangeCases judges a duty by cases of which only the last one counts: of a workflow
// that is no more, withdrawn, and with more steps than the workflow has now.
func TestStrangeCases(t *testing.T) {
	c := builtin(t)
	d, _ := c.Duty("SC-P5")
	w, _ := c.Workflow("notice")
	n := slices.IndexFunc(w.Steps, func(s duties.Step) bool { return slices.Contains(s.Proves, d.ID) })
	if n < 0 {
		t.Fatal("the notice proves nothing for SC-P5")
	}
	var steps []duties.Done
	for _, s := range append(w.Steps, duties.Step{ID: "former"}) {
		steps = append(steps, duties.Done{Step: s.ID, At: now.Add(-time.Hour)})
	}
	of := func(id, workflow string) duties.Case {
		return duties.Case{ID: id, Workflow: workflow, Service: d.Service, Opened: now.Add(-2 * time.Hour), Closed: now.Add(-time.Hour), Steps: steps}
	}
	withdrawn := of("k_2", w.ID)
	withdrawn.Withdrawn = true
	q := duties.Question{At: now, Watched: true, Cases: []duties.Case{of("k_1", "former"), withdrawn, of("k_3", w.ID)}}
	_, parts := c.Judge(d, q)
	for _, p := range parts {
		if p.Part.Proof != duties.ProofWorkflow {
			continue
		}
		if len(p.Assets) != 1 || p.Assets[0].Agent != "k_3" || p.Verdict != duties.Fulfilled {
			t.Errorf("%s %s: %v", p.Verdict, p.Why, p.Assets)
		}
	}
}

// TestNoticeOf turns alerts into notices.
func TestNoticeOf(t *testing.T) {
	at := func(minutes int) time.Time { return now.Add(time.Duration(minutes) * time.Minute) }
	var never time.Time
	for name, tt := range map[string]struct {
		told, acked, solved time.Time
		want                []time.Time
	}{
		"nobody was told":              {never, never, never, nil},
		"over before anybody was told": {never, never, at(9), nil},
		"told":                         {at(1), never, never, []time.Time{at(1)}},
		"told and taken on":            {at(1), at(5), never, []time.Time{at(1), at(5)}},
		"taken on before it was told":  {at(5), at(1), never, []time.Time{at(1), at(1)}},
		"taken on untold":              {never, at(2), never, []time.Time{at(2), at(2)}},
		"solved before it was taken":   {at(1), never, at(9), []time.Time{at(1)}},
		"told, taken on, solved":       {at(1), at(5), at(9), []time.Time{at(1), at(5), at(9)}},
	} {
		c := duties.NoticeOf("k_1", "o_1", "SC-C1", "Shop", "mx1", false, now, tt.told, tt.acked, tt.solved)
		var got []time.Time
		for _, s := range c.Steps {
			got = append(got, s.At)
		}
		if !slices.Equal(got, tt.want) || c.Withdrawn || !c.Closed.Equal(tt.solved) || c.Service != "sc" {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func TestAssetNames(t *testing.T) {
	for _, tt := range []struct {
		a         duties.Asset
		key, name string
	}{
		{duties.Asset{Agent: "a_1", Host: "mx1"}, "a_1", "mx1"},
		{duties.Asset{Agent: "a_1", Host: "mx1", Thing: "files"}, "a_1/files", "mx1: files"},
	} {
		if tt.a.Key() != tt.key || tt.a.String() != tt.name {
			t.Errorf("%s, %s; want %s, %s", tt.a.Key(), tt.a, tt.key, tt.name)
		}
	}
}

// TestNoticeThatEnded judges both parties by alerts that ended, with and without what was to
// be done about them.
func TestNoticeThatEnded(t *testing.T) {
	c := builtin(t)
	ago := func(hours int) time.Time { return now.Add(-time.Duration(hours) * time.Hour) }
	var never time.Time
	for name, tt := range map[string]struct {
		opened, told, acked, solved time.Time
		provider, customer          string
	}{
		"nobody was told for days":         {ago(120), never, never, ago(1), "breached case_missed", "no_occasion no_case"},
		"over before it had to be told":    {ago(24), never, never, now, "no_occasion no_case", "no_occasion no_case"},
		"a minute too long":                {ago(24).Add(-time.Minute), never, never, now, "breached case_missed", "no_occasion no_case"},
		"told after it was over":           {ago(30), ago(1), never, ago(2), "breached case_late", "no_occasion no_case"},
		"over before it had to be taken":   {ago(20), ago(19), never, ago(1), "fulfilled case_done", "no_occasion no_case"},
		"nobody took it on in time":        {ago(50), ago(49), never, ago(1), "fulfilled case_done", "breached case_missed"},
		"taken on after it was over":       {ago(50), ago(49), ago(1), ago(2), "fulfilled case_done", "breached case_late"},
		"taken on, solved":                 {ago(50), ago(49), ago(48), ago(1), "fulfilled case_done", "fulfilled case_done"},
		"forgotten after a month":          {ago(1200), never, never, ago(744), "no_occasion no_case", "no_occasion no_case"},
		"not forgotten before a month":     {ago(1200), never, never, ago(743), "breached case_missed", "no_occasion no_case"},
		"missed and still open":            {ago(50), ago(49), never, never, "fulfilled case_done", "breached case_overdue"},
		"nobody was told, and it is open":  {ago(50), never, never, never, "breached case_overdue", "no_occasion no_case"},
		"told late, and not taken on then": {ago(120), ago(80), never, ago(1), "breached case_late", "breached case_missed"},
		"silenced, and nobody acted":       {ago(50), never, never, ago(1), "no_occasion no_case", "breached case_missed"},
		"silenced, and it is open":         {ago(120), never, never, never, "no_occasion no_case", "breached case_overdue"},
		"silenced, told late, taken on":    {ago(20), ago(12), ago(11), never, "no_occasion no_case", "no_occasion case_running"},
	} {
		k := duties.NoticeOf("k_1", "o_1", "SC-C5", "Shop", "mx1", strings.HasPrefix(name, "silenced"), tt.opened, tt.told, tt.acked, tt.solved)
		for duty, want := range map[string]string{"SC-P5": tt.provider, "SC-C3": tt.customer} {
			d, _ := c.Duty(duty)
			got, parts := c.Judge(d, duties.Question{At: now, Watched: true, Cases: []duties.Case{k}})
			if said := got.Verdict.String() + " " + got.Why.Key; said != want {
				t.Errorf("%s: %s is %s, want %s", name, duty, said, want)
			}
			for _, a := range parts[0].Assets {
				if a.Alarming() != (got.Why.Key == "case_overdue") {
					t.Errorf("%s: %s alarms %t though it is %s", name, duty, a.Alarming(), got.Why.Key)
				}
			}
		}
	}
}

// A step is due from the one before it, or from the opening, as pages and verdicts say alike.
func TestStepsAreDue(t *testing.T) {
	w, _ := builtin(t).Workflow("account")
	k := duties.Case{Opened: now, Steps: []duties.Done{{Step: "password", At: now.Add(30 * time.Minute)}}}
	for n, want := range []time.Duration{time.Hour, 90 * time.Minute, 3 * time.Hour} {
		if got := k.DueBy(w, n); !got.Equal(now.Add(want)) {
			t.Errorf("step %s is due at %s, want %s after the opening", w.Steps[n].ID, got, want)
		}
	}
	w, _ = builtin(t).Workflow("notice")
	if got := (duties.Case{Opened: now}).DueBy(w, 2); !got.IsZero() {
		t.Errorf("what runs from a step that was not taken is due at %s", got)
	}
}
