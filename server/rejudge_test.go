package server_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// TestRejudge judges ten days again by another parameter: a dry run changes nothing,
// without it both judgements stand, and the log says who set what and what was judged
// again. Days whose facts were erased stay as they were judged.
func TestRejudge(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		start := time.Date(2026, 6, 1, 0, 0, 0, 0, j.customer.Location())
		j.now = start.Add(5 * time.Minute)
		h := j.enrolled(j.provider)
		for n := range 40 {
			j.now = start.Add(time.Duration(n)*6*time.Hour + 10*time.Minute)
			h.pushes(h.dnsbl(evidence.NotListed))
			j.settle()
		}
		wants := func(org, want string, rules int) {
			t.Helper()
			got, _ := j.days(org, "PE-P3", start, 9)
			past, err := j.store.History(ctx, org, "PE-P3", start)
			if err != nil {
				t.Fatal(err)
			}
			if got != want || len(past["PE-P3"].Rules) != rules {
				t.Errorf("days %s with %d stretches of other rules, want %s with %d", got, len(past["PE-P3"].Rules), want, rules)
			}
		}
		good := strings.Repeat("f", 9)
		wants(j.customer.ID, good, 0)

		three, none := 3.0, 0.5
		set := store.Param{Org: j.provider.ID, Duty: "PE-P3", Part: "dnsbl", Name: "fresh", Value: &three, User: "u_7"}
		wrong := set
		for _, change := range []func(){func() { wrong.Value = &none }, func() { wrong.Name = "freshness" }, func() { wrong.Part = "backup" }, func() { wrong.Duty = "PE-C1" }, func() { wrong.Duty, wrong.Part = "", "" }} {
			wrong = set
			change()
			if err := j.srv.SetParam(ctx, wrong); err == nil {
				t.Errorf("%+v was taken", wrong)
			}
		}
		if err := j.srv.SetParam(ctx, set); err != nil {
			t.Fatal(err)
		}
		j.advance(4 * time.Hour)
		j.settle()
		j.wants(j.customer.ID, "PE-P3", "unproven stale")

		q := server.RejudgeRequest{From: start, To: start.AddDate(0, 0, 8), Duty: "PE-P3", DryRun: true}
		dry, err := j.srv.Rejudge(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		if len(dry.Changed) < 30 || dry.Rules.Number != 1 || len(dry.Kept) > 0 {
			t.Errorf("rules %+v, %d changed, %d kept", dry.Rules, len(dry.Changed), len(dry.Kept))
		}
		for _, c := range dry.Changed {
			if c.Was != duties.Fulfilled || c.Verdict != duties.Unproven || c.Why.Key != "stale" || c.Boards != 2 || c.To.After(q.To) {
				t.Fatalf("changed %+v", c)
			}
		}
		wants(j.customer.ID, good, 0)

		q.DryRun, q.User = false, "u_7"
		if _, err := j.srv.Rejudge(ctx, q); err != nil {
			t.Fatal(err)
		}
		// Looks at ten past six in the evening hold until ten past nine.
		for _, org := range []string{j.customer.ID, j.provider.ID} {
			wants(org, strings.Repeat("u", 8)+"f", len(dry.Changed))
		}
		if again, err := j.srv.Rejudge(ctx, server.RejudgeRequest{From: start, To: q.To, Duty: "PE-P3", DryRun: true}); err != nil || len(again.Changed) > 0 {
			t.Errorf("judged again by the same rules: %+v (%v)", again.Changed, err)
		}
		set2, err := j.store.ParamsSet(ctx, j.provider.ID)
		if err != nil || len(set2) != 1 || set2[0].User != "u_7" || *set2[0].Value != 3 || set2[0].At.IsZero() {
			t.Errorf("parameters %+v (%v)", set2, err)
		}
		if got := j.stated(j.provider.ID); got["parameter.set"] != 1 || got["verdicts.rejudged"] != 1 {
			t.Errorf("the log states %v", got)
		}

		set.Value = nil // the default again: the past is what it was
		if err := j.srv.SetParam(ctx, set); err != nil {
			t.Fatal(err)
		}
		if _, err := j.srv.Rejudge(ctx, q); err != nil {
			t.Fatal(err)
		}
		wants(j.customer.ID, good, 0)

		j.advance(time.Minute)
		statement(t, j.dsn, `UPDATE blob SET data = NULL, erased = 1, erased_log = 'l', erased_idx = 1`)
		set.Value = &three
		if err := j.srv.SetParam(ctx, set); err != nil {
			t.Fatal(err)
		}
		kept, err := j.srv.Rejudge(ctx, q)
		if err != nil || len(kept.Changed) > 0 || len(kept.Kept) != 2 {
			t.Errorf("without facts: %d changed, %d kept (%v)", len(kept.Changed), len(kept.Kept), err)
		}
		wants(j.customer.ID, good, 0)
	})
}

// TestToldAgainIsTheSame judges the past again by the rules of the time: a standing
// instruction, an alert that nobody took on, and evidence that came and went are what
// they were, wherever in the past it begins.
func TestToldAgainIsTheSame(t *testing.T) {
	j := newJudged(t, storetest.SQLite(t))
	ctx := context.Background()
	j.shop()
	j.channel(j.customer.ID, alert.Email, "admin@shop.example", "")
	j.advance(time.Minute)
	if err := j.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.DueNow(ctx, j.customer.ID) }); err != nil {
		t.Fatal(err)
	}
	h := j.enrolled(j.customer)
	j.serves(h, "sc")
	j.settle()
	if err := j.srv.State(ctx, server.StatementRequest{Board: j.customer.ID, Duty: "SC-C5", Kind: duties.StatementStanding, Text: "The rule looks.", Until: j.now.AddDate(0, 6, 0), User: "u_1"}); err != nil {
		t.Fatal(err)
	}
	start := j.now
	for n := range 12 * 4 {
		j.advance(6 * time.Hour)
		result := evidence.BackupOK
		if n < 4 {
			result = evidence.BackupFailed
		}
		h.pushes(h.backups(result))
		j.settle()
	}
	j.wants(j.customer.ID, "SC-C5", "unproven standing_not_acked")
	for day := range 12 {
		out, err := j.srv.Rejudge(ctx, server.RejudgeRequest{From: start.AddDate(0, 0, day).Add(time.Hour), Org: j.customer.ID, DryRun: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range out.Changed {
			t.Errorf("from day %d: %s from %s to %s: %s would be %s (%s)", day, c.Duty, c.From, c.To, c.Was, c.Verdict, c.Why)
		}
	}
}

// Rules that come into force are numbered and stated in the provider's log, once for
// each change however many servers start.
func TestRulesAreStated(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		run := func() {
			ctx, stop := context.WithTimeout(context.Background(), 3*time.Second)
			defer stop()
			done := make(chan error, 1)
			go func() { done <- j.srv.Run(ctx) }()
			for range 200 {
				if stated, err := j.store.Meta(ctx, "ruleset.stated"); err == nil && stated != "" {
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		run()
		j.restart()
		run()
		if got := j.stated(j.provider.ID)["ruleset.in_force"]; got != 1 {
			t.Errorf("stated %d times", got)
		}
		list, err := j.store.Rulesets(context.Background())
		if err != nil || len(list) != 1 || list[0].Number != 1 || list[0].Digest != j.srv.Catalogue().Digest().String() {
			t.Errorf("rule sets %+v (%v)", list, err)
		}
	})
}

// A figure that a duty no longer leaves open counts for nothing, and the server, rejudge
// and whoever sets one anew are told of it.
func TestFiguresOutsideTheirRange(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx, none := context.Background(), 0.0
		p := store.Param{Org: j.provider.ID, Duty: "WH-P1", Part: "backup", Name: "retention", Value: &none, At: j.now}
		err := j.srv.SetParam(ctx, p)
		if err == nil || !strings.HasPrefix(err.Error(), "duty WH-P1: part backup: retention: 0 days is outside 35 to 3650 days, ") || !strings.Contains(err.Error(), "signs a waiver") {
			t.Errorf("error %v", err)
		}
		if list, err := j.srv.Outside(ctx, ""); err != nil || len(list) > 0 {
			t.Errorf("%+v (%v)", list, err)
		}
		if err := j.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.AddParam(ctx, p) }); err != nil { // as a server of before took it
			t.Fatal(err)
		}
		done, err := j.srv.Rejudge(ctx, server.RejudgeRequest{From: j.now.Add(-time.Hour), Duty: "WH-P1", DryRun: true})
		if err != nil || len(done.Outside) != 1 || done.Outside[0].Counts != 35 || done.Outside[0].Set != 0 || done.Outside[0].Duty != "WH-P1" {
			t.Errorf("rejudge tells %+v (%v)", done.Outside, err)
		}
		if list, err := j.srv.Outside(ctx, j.customer.ID); err != nil || len(list) > 0 {
			t.Errorf("the customer's: %+v (%v)", list, err)
		}
	})
}

// A day is one of the organisation's own zone: of two organisations each its own.
func TestRejudgeDays(t *testing.T) {
	j := newJudged(t, storetest.SQLite(t))
	ctx := context.Background()
	for o, zone := range map[*store.Org]string{&j.provider: "Europe/Rome", &j.customer: "America/New_York"} {
		o.Zone = zone
		if err := j.srv.SetOrg(ctx, *o, ""); err != nil {
			t.Fatal(err)
		}
		local, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		today := j.now.In(local)
		midnight := time.Date(today.Year(), today.Month(), today.Day(), 0, 0, 0, 0, local)
		want := "from " + midnight.AddDate(0, 0, 1).Format(time.RFC3339) + " to "
		if _, err := j.srv.Rejudge(ctx, server.RejudgeRequest{FromDay: midnight.AddDate(0, 0, 1).Format(time.DateOnly), Org: o.ID}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s, tomorrow: error %v, want %q", zone, err, want)
		}
		eve := midnight.AddDate(0, 0, -1).Format(time.DateOnly)
		want = "from " + midnight.Format(time.RFC3339) + " to " + midnight.Format(time.RFC3339)
		if _, err := j.srv.Rejudge(ctx, server.RejudgeRequest{From: midnight, ToDay: eve, Org: o.ID}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s, to the end of yesterday: error %v, want %q", zone, err, want)
		}
	}
	for _, q := range []server.RejudgeRequest{{FromDay: "2026-6-1"}, {From: j.now.Add(-time.Hour), ToDay: "someday"}} {
		if _, err := j.srv.Rejudge(ctx, q); err == nil || !strings.Contains(err.Error(), "want a day such as 2026-06-01") {
			t.Errorf("%+v: error %v", q, err)
		}
	}
	if _, err := j.srv.Rejudge(ctx, server.RejudgeRequest{FromDay: j.now.AddDate(0, 0, -2).Format(time.DateOnly), DryRun: true}); err != nil {
		t.Error(err)
	}
}
