package duties_test

import (
	"slices"
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
		withdrawn           bool
		want                []time.Time
	}{
		"nobody was told":              {never, never, never, false, nil},
		"over before anybody was told": {never, never, at(9), true, nil},
		"told":                         {at(1), never, never, false, []time.Time{at(1)}},
		"told and taken on":            {at(1), at(5), never, false, []time.Time{at(1), at(5)}},
		"taken on before it was told":  {at(5), at(1), never, false, []time.Time{at(1), at(1)}},
		"taken on untold":              {never, at(2), never, false, []time.Time{at(2), at(2)}},
		"solved before it was taken":   {at(1), never, at(9), false, []time.Time{at(1), at(9), at(9)}},
		"told, taken on, solved":       {at(1), at(5), at(9), false, []time.Time{at(1), at(5), at(9)}},
	} {
		c := duties.NoticeOf("k_1", "o_1", "SC-C1", "Shop", "mx1", now, tt.told, tt.acked, tt.solved)
		var got []time.Time
		for _, s := range c.Steps {
			got = append(got, s.At)
		}
		if !slices.Equal(got, tt.want) || c.Withdrawn != tt.withdrawn || !c.Closed.Equal(tt.solved) || c.Service != "sc" {
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
